"""A ledger: the claims of a report and the runs that are evidence for them, read from one YAML file.

It is data alone: a run is a command of `a2` with presets and flags, a claim names runs and what is measured of them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len

from a2cli.errors import SettingsError, nearest
from a2cli.settings.presets import is_file, presets_folder, read_yaml

if TYPE_CHECKING:
    from pydantic import TypeAdapter

LEDGER_FILE = "ledger.yaml"  # the copy in a run directory
LEDGER_BYTES = 400_000
LEDGER_DEPTH = 6
TRAININGS = ("train-cnn", "train-mlp", "finetune")
AFTER_TRAINING = ("probe-invariance", "visualize-weights", "predict")  # of a network that another run trains

Input = Literal["data", "faces", "weights"]
Kind = Literal["number", "higher", "lower", "alike", "above", "below", "derived", "learned", "works"]
STATED = ("derived", "learned", "works")  # what a run's report states, not what it measures
Measure = Literal[
    "validation", "training", "gap", "highest-validation", "early-rise", "epochs", "speed", "fall", "changed"
]
OF_PROBES = ("fall", "changed")
NotEmpty = Annotated[str, Len(1, 1000)]


@dataclass(frozen=True, kw_only=True)
class InputEntry:
    """Data or weights that the claims are about; `images` and `classes` are those of the report's own.

    `otherwise` is the built-in set that is taken where none is given.
    """

    about: NotEmpty
    images: int | None = None
    classes: int | None = None
    otherwise: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunEntry:
    """One run: a command with its presets and flags, by the names of the settings.

    `of` is the run whose network it is of, `features` the run of extract-features whose file it trains on.
    """

    command: Literal[
        "train-cnn", "train-mlp", "finetune", "probe-invariance", "visualize-weights", "predict", "receptive-field",
        "extract-features",
    ]  # fmt: skip
    preset: tuple[str, ...] = ()
    flags: dict[str, Any] = field(default_factory=dict)
    input: Literal["data", "faces"] = "data"
    weights: bool = False
    of: str = ""
    features: str = ""


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What a claim compares its run with: another run, or what that run gains over its own `base`."""

    run: NotEmpty
    base: str = ""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One claim of a report.

    What is measured is `measure` of `run`, with `change` what that change of the image does; `base` makes it the
    difference from another run, `over` the ratio to another run. `than` are runs that it is compared with, all of which
    must bear the claim out, and `value` a number to compare it with. `printed` is what the report printed.
    `margin` is the smallest difference that matters, in the measure's own unit: of an accuracy 0.05 is 5 points.
    `expect` are values of a run's report, by their path in its results. `weight` is its share of the error that the
    whole ledger may make. `worlds` are those it is judged in, all unless given.
    """

    id: Annotated[str, Len(1, 60)]
    section: NotEmpty
    claim: NotEmpty
    kind: Kind
    run: NotEmpty
    measure: Measure = "validation"
    change: str = ""
    base: str = ""
    over: str = ""
    than: tuple[str | Compared, ...] = ()
    value: float | None = None
    printed: float | None = None
    margin: Annotated[float, Gt(0)] | None = None
    expect: dict[str, Any] = field(default_factory=dict)
    weight: Annotated[float, Gt(0), Le(1000)] = 1.0
    worlds: tuple[str, ...] = ()

    @property
    def others(self) -> list[Compared]:
        return [Compared(run=one) if isinstance(one, str) else one for one in self.than]

    @property
    def runs(self) -> list[str]:
        """Every run that it names, once."""
        named = [self.run, self.base, self.over, *(name for one in self.others for name in (one.run, one.base))]
        return [name for name in dict.fromkeys(named) if name]


@dataclass(frozen=True, kw_only=True)
class Page:
    """A page of the docs that `--write` makes: its title, and the sections that are on it."""

    title: NotEmpty
    sections: Annotated[tuple[str, ...], Len(1)]


@dataclass(frozen=True, kw_only=True)
class ClaimLedger:
    """A report's claims; `worlds` are settings that all its trainings are run with, side by side.

    `pages` are those that `--write` makes, by the name of the file without .md; without any all is on one page.
    """

    title: NotEmpty
    source: str = ""
    margin: Annotated[float, Gt(0), Le(1)] = 0.05
    inputs: dict[Input, InputEntry]
    worlds: Annotated[dict[str, dict[str, Any]], Len(1, 4)]
    sections: dict[str, str]
    runs: dict[str, RunEntry]
    claims: Annotated[tuple[Claim, ...], Len(1, 1000)]
    pages: dict[str, Page] = field(default_factory=dict)
    schema_version: Annotated[int, Ge(1), Le(1)] = 1

    def rests_on(self, claims: Iterable[Claim]) -> list[str]:
        """Return every run that claims name, and those whose networks or features these take, once."""
        names = list(dict.fromkeys(name for claim in claims for name in claim.runs))
        for name in names:
            names += [one for one in (self.runs[name].of, self.runs[name].features) if one and one not in names]
        return names


def ledger_names() -> list[str]:
    """Return the names of the ledgers that come with the package, in order."""
    return sorted(path.stem for path in (presets_folder() / "ledgers").glob("*.yaml"))


def ledger_path(name: str) -> Path:
    """Return the file of a ledger, by its name or its path; raises SettingsError for a name that none has."""
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        return path
    path = presets_folder() / "ledgers" / f"{name}.yaml"
    if not is_file(path):
        raise SettingsError(f"unknown ledger {name!r}{nearest(name, ledger_names())} ('a2 replicate' lists them)")
    return path


def read_ledger(name: str) -> ClaimLedger:
    """Return a ledger, by its name or its file's path; raises SettingsError for what is none."""
    path = ledger_path(name)
    entries = read_yaml(path, "a ledger", LEDGER_BYTES, LEDGER_DEPTH)
    from pydantic import ValidationError

    try:
        ledger = _ledgers().validate_python(entries)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{path}: {_place(entries, first['loc'])}: {first['msg']}") from None
    try:
        _check(ledger)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    return ledger


@cache
def _ledgers() -> "TypeAdapter[ClaimLedger]":
    from pydantic import ConfigDict, TypeAdapter, with_config

    for kind in (InputEntry, RunEntry, Compared, Claim, Page, ClaimLedger):
        with_config(ConfigDict(extra="forbid", allow_inf_nan=False))(kind)
    return TypeAdapter(ClaimLedger)


def ledger_schema() -> dict[str, Any]:
    """Return the JSON Schema of a ledger."""
    return _ledgers().json_schema()


def _place(entries: Any, path: Sequence[str | int]) -> str:
    """Return where in a ledger something is, a claim by its id."""
    if len(path) > 1 and path[0] == "claims" and isinstance(path[1], int):
        claim = entries["claims"][path[1]]
        name = claim.get("id", path[1] + 1) if isinstance(claim, dict) else path[1] + 1
        return ": ".join([f"claim {name}", *map(str, path[2:])])
    return ": ".join(map(str, path))


def _check(ledger: ClaimLedger) -> None:
    """Raise SettingsError for names that lead nowhere, and for claims that could not be judged."""
    ids = [claim.id for claim in ledger.claims]
    if twice := [name for name in ids if ids.count(name) > 1]:
        raise SettingsError(f"claim {twice[0]} is there twice")
    for name, run in ledger.runs.items():
        _check_run(ledger, f"run {name}", run)
    for claim in ledger.claims:
        where = f"claim {claim.id}"
        if claim.section not in ledger.sections:
            raise SettingsError(f"{where}: unknown section {claim.section!r}{nearest(claim.section, ledger.sections)}")
        for name in claim.runs:
            _find_run(ledger, where, name)
        if other := [world for world in claim.worlds if world not in ledger.worlds]:
            raise SettingsError(f"{where}: unknown world {other[0]!r}{nearest(other[0], ledger.worlds)}")
        _check_claim(ledger, where, claim)
    if ledger.pages:
        _check_pages(ledger)


def _check_pages(ledger: ClaimLedger) -> None:
    """Raise SettingsError for what is no name of a file, and unless each section is on one page."""
    if wrong := [name for name in ledger.pages if not re.fullmatch("[a-z0-9][a-z0-9-]{0,39}", name)]:
        raise SettingsError(f"pages: {wrong[0]!r}: expected a file's name of lowercase letters, digits and hyphens")
    on_pages = [section for one in ledger.pages.values() for section in one.sections]
    for section in on_pages:
        if section not in ledger.sections:
            raise SettingsError(f"pages: unknown section {section!r}{nearest(section, ledger.sections)}")
    for section in ledger.sections:
        if (count := on_pages.count(section)) != 1:
            raise SettingsError(f"pages: section {section} is on {count or 'no'} page{'s' * (count > 1)}")


def _find_run(ledger: ClaimLedger, where: str, name: str) -> RunEntry:
    if name not in ledger.runs:
        raise SettingsError(f"{where}: unknown run {name!r}{nearest(name, ledger.runs)}")
    return ledger.runs[name]


def _check_run(ledger: ClaimLedger, where: str, run: RunEntry) -> None:
    if run.input not in ledger.inputs and run.command != "receptive-field":
        raise SettingsError(f"{where}: takes {run.input}, which is not among the inputs")
    if run.weights and "weights" not in ledger.inputs:
        raise SettingsError(f"{where}: takes weights, which are not among the inputs")
    if (run.command in AFTER_TRAINING) != bool(run.of):
        raise SettingsError(f"{where}: {run.command} {'needs' if not run.of else 'takes no'} 'of'")
    if run.of and _find_run(ledger, where, run.of).command not in TRAININGS:
        raise SettingsError(f"{where}: of: {run.of} is no training")
    if run.features and _find_run(ledger, where, run.features).command != "extract-features":
        raise SettingsError(f"{where}: features: {run.features} is no run of extract-features")


def _check_claim(ledger: ClaimLedger, where: str, claim: Claim) -> None:
    given = {"than": bool(claim.than), "value": claim.value is not None, "printed": claim.printed is not None,
             "expect": bool(claim.expect)}  # fmt: skip
    needs = {"number": {"printed"}, "above": {"value"}, "below": {"value"}, "derived": {"expect"},
             "learned": {"expect"}, "works": set(), "higher": {"than"}, "lower": {"than"}}  # fmt: skip
    if claim.kind == "alike" and given["than"] == given["value"]:
        raise SettingsError(f"{where}: alike needs 'than' or 'value'")
    if lacks := [name for name in needs.get(claim.kind, ()) if not given[name]]:
        raise SettingsError(f"{where}: {claim.kind} needs '{lacks[0]}'")
    if claim.kind in STATED:
        return
    if claim.base and claim.over:
        raise SettingsError(f"{where}: has 'base' and 'over'; give one of them")
    for name in claim.runs:
        command = ledger.runs[name].command
        if command == "probe-invariance":
            if claim.measure not in OF_PROBES or not claim.change:
                raise SettingsError(f"{where}: of a probe it needs 'measure: fall' or 'changed', and 'change'")
        elif command not in TRAININGS or claim.measure in OF_PROBES or claim.change:
            raise SettingsError(f"{where}: {claim.change or claim.measure} is not measured of {command}")
