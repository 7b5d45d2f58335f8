"""A run directory, and the only code that writes there.

Every file is written by `storage.py`, so it is whole or not there, and what is read again has a SHA-256.
"""

import csv
import io
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from a2cli import storage
from a2cli.columns import Column, R, fields_of, in_csv
from a2cli.errors import A2Error, DataError
from a2cli.models.cards import ModelCard
from a2cli.models.files import OWN_DIGEST, load_model, save_model
from a2cli.progress import NullReporter, ProgressReporter
from a2cli.reports.agreement import card_by_report, check_config
from a2cli.reports.best import RESUMABLE
from a2cli.reports.best_results import ChosenRun
from a2cli.reports.report import Report, read_report
from a2cli.reports.training_results import EpochLog, TrainingResults
from a2cli.runs.figure_files import captioned, reason_of, rendered
from a2cli.settings.declare import completed, flat
from a2cli.storage import DIGEST_KEY, read_json
from a2cli.strict_json import plain, to_json

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
    from torch import nn

UNLISTED = {"checkpoints", "film", "trials", "probes"}
CARD = "model/model.json"
NO_LOCKS = "{}: this file system has no locks; see to it that no second process runs in this folder"


def other_weights(where: Path, then: str, now: str) -> DataError:
    """Return the error of a run that would go on with other weights of its backbone than it began with."""
    return DataError(
        f"{where}: built on other weights (SHA-256 {then[:12]} then, {now[:12]} now); put back those that it began "
        "with, or begin a new run"
    )


class Run:
    """A run directory."""

    def __init__(self, folder: Path, made: Sequence[Path] = (), name: str = "") -> None:
        self.folder = folder
        self.made = made
        self.name = name or folder.resolve().name
        self.data: Sequence[str] = ()  # what the figures are of
        self.stamp = ""  # what every figure says below it
        self.formats: Sequence[str] = ("png",)
        self.undrawn: dict[str, Exception] = {}  # figures, and why they could not be drawn
        self.reporter: ProgressReporter = NullReporter()  # who is told which figure is drawn
        self.chosen: Sequence[ChosenRun] = ()  # what was used in the place of runs that were named
        self.config_from: Mapping[str, str] | None = None  # where settings came from that are not the defaults
        self.spent_before: Mapping[str, float] = {}  # by a watcher's clock, until this run began

    @classmethod
    def create(cls, command: str, out: str | None) -> "Run":
        """Make a new folder: `out`, or runs/COMMAND-TIME-XXXX.

        Raises DataError where it exists with something in it, but for what a run leaves that was stopped before it
        began, or cannot be made.
        """
        name = f"{command}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        folder = Path("runs") / name if out is None else Path(out)
        try:
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())) and not storage.never_began(folder):
                what = "already there and not empty" if folder.is_dir() else "is a file"
                goes_on = command in RESUMABLE and storage.is_run(folder, command)
                hint = f", or use --resume {folder}" if goes_on else ""
                raise DataError(f"--out {folder}: {what}; name another folder{hint}")
            made = storage.make_folder(folder)
        except OSError as error:
            raise DataError(
                f"{error.filename or folder}: cannot make the run directory ({error.strerror}); see --out"
            ) from None
        return cls(folder, made)

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Take an existing run directory; raises DataError where there is none."""
        if not storage.is_run(Path(folder)):
            raise DataError(f"{folder}: {storage.no_run(Path(folder))}")
        return cls(Path(folder))

    def child(self, name: str, reporter: ProgressReporter | None = None) -> "Run":
        """Return the run inside this one, such as seeds/3, its folder made; its time counts from now on."""
        folder = self.folder / name
        storage.make_folder(folder)
        run = Run(folder, name=f"{self.name}/{name}")
        run.spent_before = reporter.clock.seconds() if reporter else {}
        return run

    @contextmanager
    def locked(self, reporter: ProgressReporter) -> Iterator[None]:
        """Hold the folder, so that no second process runs in it; says so where its file system has no locks.

        Raises DataError where one does, and turns a failed write (disk full, no permission) into one.
        """
        try:
            with storage.lock_file(self.folder, "w") as file:
                try:
                    if not storage.lock(file, wait=False):
                        reporter.warn(NO_LOCKS.format(self.folder))
                except BlockingIOError:
                    raise DataError(f"{self.folder}: another process is running in this folder") from None
                for left in self.folder.glob(f"{storage.TEMPORARY}*"):  # by a process that was killed
                    left.unlink()
                try:
                    yield
                finally:
                    if not (self.folder / "config.yaml").exists():  # the run never began
                        with suppress(OSError):
                            (self.folder / storage.LOCK).unlink()
        except OSError as error:
            raise DataError(f"{error.filename or self.folder}: cannot be written ({error.strerror or error})") from None

    # Small files

    def write(self, name: str, content: bytes) -> None:
        """Write a file whole or not at all."""
        storage.write(self.folder / name, content)

    def write_config(self, command: str, config: Mapping[str, Any]) -> None:
        """Write config.yaml, which `-p` reads again."""
        import yaml

        listed = {key: list(value) if isinstance(value, tuple) else value for key, value in config.items()}
        text = yaml.safe_dump({"command": command, **listed}, sort_keys=False, default_flow_style=None)
        self.write("config.yaml", storage.yaml_with_digest(text.encode()))

    def write_report(self, report: Report) -> None:
        report = self._with_origins(report)
        self.write("report.json", to_json(storage.with_digest(asdict(report))).encode())

    def _with_origins(self, report: Report) -> Report:
        return replace(
            report, chosen=list(self.chosen), config_from=None if self.config_from is None else dict(self.config_from)
        )

    def read_report(self) -> Report | None:
        """Return report.json, or None where there is none; raises DataError for one that was edited."""
        return read_report(self.folder)

    def previous_report(self, settings: Any, fingerprint: str, weights_sha256: str = "") -> Report | None:
        """Return the report of the run to go on with.

        Raises DataError for other settings or, if known, other data or other weights of its backbone.
        """
        report = self.read_report()
        if report is None:
            return None
        then, now = plain(completed(type(settings), report.config)), plain(flat(settings))
        for name, value in now.items():
            if then.get(name) != value:
                was = f"{name} was {then.get(name)}, is {value}"
                raise DataError(f"{self.folder}: a run with other settings ({was}); start a new run")
        if fingerprint and report.data is not None and report.data.fingerprint != fingerprint:
            raise DataError(
                f"{self.folder}: trained on other data (data: fingerprint {report.data.fingerprint[:12]} then, "
                f"{fingerprint[:12]} now); start a new run"
            )
        then_on = report.transfer.backbone.sha256 if report.transfer else ""
        if weights_sha256 and report.transfer and then_on != weights_sha256:
            raise other_weights(self.folder / "report.json", then_on, weights_sha256)
        return report

    def check_backbone(self, weights_sha256: str) -> None:
        """Raise DataError where a network saved here is on other weights than these; "" are not known."""
        for file in (self.folder / CARD, *sorted(self.folder.glob(f"stages/*/{CARD}"))) if weights_sha256 else ():
            try:
                trunk = storage.read_json(file).get("trunk")
            except (DataError, FileNotFoundError):  # what is damaged is found, or written anew, by whoever reads it
                continue
            if isinstance(trunk, dict) and trunk.get("sha256") != weights_sha256:
                raise other_weights(file, str(trunk.get("sha256")), weights_sha256)

    def start_metrics(self, history: Sequence[EpochLog]) -> None:
        """Write metrics.csv with the epochs so far."""
        self.write("metrics.csv", to_csv(fields_of(EpochLog), history))

    def append_metrics(self, log: EpochLog) -> None:
        with (self.folder / "metrics.csv").open("ab") as file:
            file.write(to_csv(fields_of(EpochLog), [log], header=False))

    def finish(self, report: Report, reporter: ProgressReporter, draw: Callable[[], None] | None = None) -> Report:
        """Write the report of a run that is done, then its figures, and return the report with both in it.

        A figure that cannot be drawn costs no result: it becomes a warning, in the report and shown. Until all are
        drawn the report has the results and is of a run that is still running, so that a resume draws what is missing.
        """

        def up_to_now(report: Report) -> Report:
            files = self.artifacts()
            drawn = [name for name in files if "figures" in Path(name).parts or name.endswith(".csv")]
            digests = {name: storage.hashed(self.folder / name).hexdigest() for name in drawn}
            spent = reporter.clock.seconds(self.spent_before)
            return replace(report, artifacts=files, figure_sha256=digests, seconds=spent)

        report = up_to_now(self._with_origins(report))
        if draw is not None:
            self.write_report(replace(report, status="running"))
            self.data = report.sources
            warnings = self._draw(draw, reporter)
            report = up_to_now(replace(report, warnings=[*report.warnings, *warnings]))
        self.write_report(report)
        return report

    def _draw(self, draw: Callable[[], None], reporter: ProgressReporter) -> list[str]:
        """Draw all figures, and return which of them could not be drawn, and why."""
        reporter.phase("drawing figures", "drawing")
        self.reporter, self.undrawn = reporter, {}
        try:
            import_module("a2cli.figures")  # sets matplotlib up, before a module of figures loads it
            draw()
        except (A2Error, OSError):  # a disk that is full, say, which is not about figures
            raise
        except Exception as error:  # whatever matplotlib, or importing it, fails with
            self.undrawn["figures"] = error
        warnings = []
        for name, reason in self.undrawn.items():
            warnings.append(f"{name} could not be drawn ({reason_of(reason)})")
            reporter.warn(warnings[-1], reason)
        return warnings

    def save_figure(
        self, name: str, draw: Callable[[], "Figure"], columns: Sequence[Column[R]], rows: Iterable[R]
    ) -> None:
        """Write the figure that `draw` makes as figures/NAME.png, or in the formats wanted, and the CSV beside it."""
        self._save_drawing(name, draw)
        self.write(f"figures/{name}.csv", to_csv(columns, rows))

    def save_pictures(self, name: str, draw: Callable[[], "Figure"], arrays: Mapping[str, "NDArray[Any]"]) -> None:
        """Write a figure of pictures, and beside it the arrays that it was drawn from, as figures/NAME.npz."""
        self._save_drawing(name, draw)
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **arrays)
        self.write(f"figures/{name}.npz", content.getvalue())

    def _save_drawing(self, name: str, draw: Callable[[], "Figure"]) -> None:
        def files() -> dict[str, bytes]:
            figure = draw()
            data = ", ".join(Path(source).name or source for source in self.data)
            below = captioned(figure, f"run {self.name}{f' · data {data}' if data else ''}", self.stamp)
            return {kind: rendered(figure, kind, below) for kind in self.formats}

        self.save_drawn(name, files)

    def save_drawn(self, name: str, draw: Callable[[], dict[str, bytes]]) -> None:
        """Write what `draw` returns, the bytes of each kind of file, as figures/NAME.KIND."""
        self.reporter.step(name)
        try:
            files = draw()
        except Exception as error:  # whatever matplotlib fails with; `finish` says so
            self.undrawn[f"figure {name}"] = error
            for kind in self.formats:
                (self.folder / f"figures/{name}.{kind}").unlink(missing_ok=True)
            return
        for kind, content in files.items():
            self.write(f"figures/{name}.{kind}", content)

    def artifacts(self) -> list[str]:
        """Return the files of the run, by their path inside the folder, but for its reports and working files.

        Nor those of a comparison's trials, which have reports of their own.
        """
        files = [path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file()]
        listed = (file for file in files if not file.name.startswith(".") and not UNLISTED & {*file.parts})
        return sorted(file.as_posix() for file in listed if file.name not in ("report.json", "report.html"))

    # Weights

    def save_model(self, card: ModelCard, model: "nn.Module") -> tuple[str, str]:
        """Write model/: the weights, and the card that rebuilds the network around them; return their SHA-256."""
        weights = save_model(self.folder / "model", card, model)
        return weights, read_json(self.folder / CARD)[OWN_DIGEST]

    def load_model(self) -> tuple["nn.Module", ModelCard]:
        """Return the run's network with its weights, and its card; raises DataError, also where it is another run's."""
        loaded, report = load_model(self.folder / "model"), self.read_report()
        if report:
            check_config(self.folder, report)
        if report and report.status == "done" and isinstance(report.results, TrainingResults):
            card, of = read_json(self.folder / CARD), report.results.runs
            for name, key in (("weights_sha256", DIGEST_KEY), ("card_sha256", OWN_DIGEST)):
                stated = [getattr(result, name) for result in of]  # "" in earlier versions' reports
                if any(stated) and card.get(key) not in stated:
                    raise DataError(
                        f"{self.folder / 'model'}: not the network that this run trained (report.json has another "
                        f"SHA-256 as {name}); put that back"
                    )
            for name, value in card_by_report(card, report).items():
                if card.get(name) != value:
                    raise DataError(
                        f"{self.folder / CARD}: {name} is not as in report.json; one of them was edited or damaged"
                    )
        return loaded

    def discard(self) -> None:
        """Remove the folders that `create` made, if the run never began; what was there before stays."""
        with suppress(OSError):  # not empty: it began, here or in another process
            for path in self.made:
                path.rmdir()


def to_csv(columns: Sequence[Column[R]], rows: Iterable[R], *, header: bool = True) -> bytes:
    """Return a table as CSV."""
    text = io.StringIO()
    names, values = in_csv(columns, rows)
    csv.writer(text, lineterminator="\n").writerows([names] * header + values)
    return text.getvalue().encode("utf-8", "backslashreplace")
