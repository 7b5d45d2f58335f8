"""What a run's report holds, as dataclasses; `report.json` and its JSON Schema are made from them."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, reduce
from operator import or_
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from a2cli.errors import DataError
from a2cli.storage import DIGEST_KEY, read_json, without_digest
from a2cli.versions import VERSION_KEY, NewerVersionError, newest, upgraded, version_of

if TYPE_CHECKING:  # making the dataclasses of all results takes as long as parsing a command line
    from pydantic import TypeAdapter

    from a2cli.reports.best_results import ChosenRun
    from a2cli.reports.data_results import NearDuplicate
    from a2cli.reports.training_results import EpochLog
    from a2cli.reports.transfer_results import TransferResults

    Results: TypeAlias = Any  # one of those that the commands name

SCHEMA_VERSION = newest("report")
MOST_WHY = 120  # characters of what another library says is wrong


@dataclass(frozen=True)
class DataSummary:
    """The data as used: counts by class and split, what was left out, and the SHA-256 of pixels and labels.

    `identical` are the names of each group of images with the same pixels; `near_duplicates` the worst of so many
    pairs of nearly identical images.
    `passed_over` counts files that were there and not read, by ending, and those in folders of tools by the folder;
    `unused` are columns or arrays that were not read, `constant` the images of one single value, and `scaling` says
    how images of more than 8 bits were brought to 8. `given` are the parts of the split that the data came with.
    """

    source: str
    classes: dict[str, int]
    train: int
    val: int
    test: int
    skipped: list[str]
    fingerprint: str
    identical: list[list[str]] = field(default_factory=list)
    passed_over: dict[str, int] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    constant: list[str] = field(default_factory=list)
    scaling: str = ""
    near_duplicates: "list[NearDuplicate]" = field(default_factory=list)
    near_duplicate_pairs: int = 0
    given: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """The whole report; `history` holds each seed's epochs.

    `seconds` is what the last session's time was spent on, and `all` of it; earlier versions had only some of it.

    `transfer` is what the training of a network on a backbone has besides. `test_reads` counts those by --final,
    `test_curve_reads` those after each epoch by --test-curve. `chosen` are the runs that were used in
    the place of those that --run named. `config_from` says of each setting that is not the default where it came from,
    as the command began; None where that is not known. `figure_sha256` is that of each figure and of each CSV
    file, by their paths; earlier versions had none. Version 1 of the schema had no `sha256`.
    """

    command: str
    config: dict[str, Any]
    environment: dict[str, str | int]
    status: Literal["running", "done", "interrupted", "diverged", "failed"]
    created: str
    data: DataSummary | None = None
    results: "Results | None" = None
    transfer: "TransferResults | None" = None
    history: "dict[str, list[EpochLog]]" = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    test_reads: int = 0
    test_curve_reads: int = 0
    chosen: "list[ChosenRun]" = field(default_factory=list)
    config_from: dict[str, str] | None = None
    figure_sha256: dict[str, str] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
    sha256: str = ""  # of all the rest, filled in as it is written

    @property
    def sources(self) -> list[str]:
        """The data that the results are of, as they were named."""
        if self.data:
            return [self.data.source]
        if (sources := getattr(self.results, "sources", None)) is not None:
            return list(dict.fromkeys(sources))
        of = self.config.get("data") or self.config.get("features")
        return [str(of)] if of else []

    @property
    def is_tested(self) -> bool:
        """Whether a training is done and its networks were tried on the test images."""
        from a2cli.reports.training_results import TrainingResults

        results = self.results
        return self.status == "done" and isinstance(results, TrainingResults) and all(r.test for r in results.runs)


def new_report(command: str, config: dict[str, Any], environment: dict[str, str | int], **more: Any) -> Report:
    """Return the report of what is done by now; `more` are further fields of it, or other values of these."""
    by_now = {"status": "done", "created": datetime.now(UTC).isoformat(timespec="seconds")}
    return Report(command=command, config=config, environment=environment, **{**by_now, **more})


def report_from(values: object) -> Report:
    """Return the report that `to_json` wrote; raises ValueError where the values are not one."""
    return _reports(str(values.get("command")) if isinstance(values, dict) else "").validate_python(values)


def read_report(folder: Path) -> Report | None:
    """Return a run's report.json, or None where there is none.

    Raises DataError where it is not a report, or not as it was written; those of the schema's first version have no
    SHA-256.
    """
    path = folder / "report.json"
    try:
        values = read_json(path)
        version_of("report", values, path)  # before anything else, as a newer one may be hashed otherwise
        if values.get(VERSION_KEY) != 1 or DIGEST_KEY in values:
            without_digest(values, path)
        report = report_from(upgraded("report", values, path))
        if datetime.fromisoformat(report.created).tzinfo is None:
            raise ValueError(f"created: expected a time with its zone, got {report.created}")
        if report.status == "done" and (contradiction := _contradiction(report)):
            raise ValueError(contradiction)
        return report
    except FileNotFoundError:
        return None
    except NewerVersionError:
        raise
    except DataError as error:
        raise DataError(
            f"{error}; put back the file as it was, or remove it: --resume writes a training's again"
        ) from None
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not a report of a2's ({_why(error)})") from None


def _contradiction(report: Report) -> str:
    """Return what in the report of a finished run contradicts itself, so that others can rely on how it is made."""
    from a2cli.commands import COMMANDS
    from a2cli.reports.training_results import TrainingResults

    results = report.results
    if results is None:
        has_some = report.command in COMMANDS and COMMANDS[report.command].results_type()
        return "status: done, but there are no results" if has_some else ""
    if not isinstance(results, TrainingResults):
        return ""
    if not results.runs or len(results.runs) != len(report.history):
        return f"history: of {len(report.history)}, but results.runs are {len(results.runs)}"
    named = [name for name in ("train", "val", "last_val", "test", "judged") if getattr(results, name)]
    return f"results.{named[0]}: of several runs, but there is one" if named and len(results.runs) == 1 else ""


def _why(error: Exception) -> str:
    """Return where values first are no report, and why: results.runs[0].val: field required."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return shorten(str(error), MOST_WHY, placeholder=" ...")
    first = error.errors()[0]
    place = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in first["loc"])[1:]
    return f"{place}: {first['msg'][:1].lower()}{first['msg'][1:]}"


@cache
def _reports(command: str = "") -> "TypeAdapter[Report]":
    """Return what checks reports of a command, without one of all; made once, as that takes longer than checking."""
    from pydantic import TypeAdapter

    from a2cli.commands import COMMANDS

    # Pydantic looks up the names in the report's annotations here.
    from a2cli.reports.best_results import ChosenRun  # noqa: F401
    from a2cli.reports.data_results import NearDuplicate  # noqa: F401
    from a2cli.reports.training_results import EpochLog  # noqa: F401
    from a2cli.reports.transfer_results import TransferResults  # noqa: F401

    wanted = [COMMANDS[command]] if command in COMMANDS else COMMANDS.values()
    Results = reduce(or_, (of for one in wanted if (of := one.results_type())), type(None))  # noqa: F841, N806

    return TypeAdapter(Report)


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of `report.json`."""
    return _reports().json_schema(mode="serialization")
