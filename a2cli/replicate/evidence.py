"""The runs that claims rest on: what each is trained with in each world, or why it cannot be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from a2cli.command_line.arguments import kind_of
from a2cli.errors import SettingsError
from a2cli.replicate.claims import TRAININGS, Claim, ClaimLedger, Input, RunEntry
from a2cli.replicate.settings import ClaimSettings
from a2cli.settings.declare import declared, flat, shown
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.presets import resolve
from a2cli.strict_json import to_json
from a2cli.train.checks import check_training


@dataclass(frozen=True)
class Inputs:
    """The data and weights that claims are judged on, by the ledger's names; none where nothing stands in."""

    found: Mapping[str, str]
    given: Sequence[str]  # those that a flag named

    @classmethod
    def of(cls, ledger: ClaimLedger, settings: ClaimSettings) -> "Inputs":
        """Return what the flags name, else the built-in sets of the ledger; raises SettingsError for what it lacks."""
        flags = {"data": settings.data, "faces": settings.faces, "weights": settings.weights}
        given = {name: value for name, value in flags.items() if value is not None}
        if other := [name for name in given if name not in ledger.inputs]:
            raise SettingsError(f"--{other[0]}: no claim of this ledger is about any")
        usual: dict[str, str] = {name: entry.otherwise for name, entry in ledger.inputs.items() if entry.otherwise}
        return cls({**usual, **given}, list(given))


@dataclass(frozen=True)
class Evidence:
    """The runs of a ledger on these inputs. `features` are the files that runs of extract-features write, by run."""

    ledger: ClaimLedger
    inputs: Inputs
    device: str = "cpu"
    features: Mapping[str, str] = field(default_factory=dict)

    def lacking(self, name: str) -> str:
        """Return why a run cannot be, and the flag that would change it; '' where it can."""
        entry = self.ledger.runs[name]
        wanted: list[Input] = [] if entry.command == "receptive-field" else [entry.input]
        wanted += ["weights"] if entry.weights else []
        for need in wanted:
            if need not in self.inputs.found:
                return f"needs {self.ledger.inputs[need].about}: --{need}"
        return self.lacking(entry.of) if entry.of else self.lacking(entry.features) if entry.features else ""

    def not_attempted(self, claim: Claim) -> str:
        """Return why a claim is not attempted, or ''."""
        lacking = next((why for name in claim.runs if (why := self.lacking(name))), "")
        name = self.input_of(claim)
        if lacking or claim.printed is None or name is None or name in self.inputs.given:
            return lacking
        about = self.ledger.inputs[name].about
        return f"a number of other data: {about}, not the built-in {self.inputs.found[name]}; --{name}"

    def input_of(self, claim: Claim) -> Input | None:
        """Return the name of the data that a claim's training is on; None of a claim about no training."""
        own = self.of(claim.run)
        return self.ledger.runs[own].input if own else None

    def training(self, name: str, world: str) -> AnyTraining:
        """Return what a training is run with in a world; raises SettingsError that names the run."""
        entry = self.ledger.runs[name]
        try:
            kind, flags = self._kind(entry), self.flags(entry, world)
            resolved = resolve(kind, entry.command, entry.preset, flags)
            check_training(resolved)
        except SettingsError as error:
            raise SettingsError(f"run {name}: {error}") from None
        settings: AnyTraining = resolved.settings
        return settings

    def _kind(self, entry: RunEntry) -> type[AnyTraining]:
        return kind_of(entry.command, entry.preset, {"features": entry.features or entry.flags.get("features")})

    def flags(self, entry: RunEntry, world: str) -> dict[str, Any]:
        """Return the flags of a training in a world, by setting; those of the run win over the world's."""
        names = {item.name for item in declared(self._kind(entry))}
        if other := [name for name in entry.flags if name.replace("-", "_") not in names]:
            raise SettingsError(f"{entry.command} has no setting {other[0]!r}")
        flags = {name: value for name, value in self.ledger.worlds[world].items() if name in names}
        flags |= {name.replace("-", "_"): value for name, value in entry.flags.items()}
        if entry.features:
            flags["features"] = self.features.get(entry.features, f"{entry.features}.safetensors")
        else:
            flags["data"] = self.inputs.found[entry.input]
        if entry.weights:
            flags["weights"] = self.inputs.found["weights"]
        return {**flags, "device": self.device}

    def of(self, name: str) -> str:
        """Return the training that a run is of: itself, or the one whose network it takes; '' of others."""
        entry = self.ledger.runs[name]
        return name if entry.command in TRAININGS else entry.of

    def trainings(self, claims: Sequence[tuple[Claim, str]]) -> dict[tuple[str, str], AnyTraining]:
        """Return the trainings that claims rest on, each in its world, by run and world."""
        wanted = dict.fromkeys((own, world) for claim, world in claims for name in claim.runs if (own := self.of(name)))
        return {key: self.training(*key) for key in wanted}


def shared(trainings: Mapping[tuple[str, str], AnyTraining]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return for each training the first one with the same settings: what claims have in common is trained once."""
    first: dict[str, tuple[str, str]] = {}
    return {key: first.setdefault(to_json(flat(settings)), key) for key, settings in trainings.items()}


def words_of(entry: RunEntry, flags: Mapping[str, Any]) -> list[str]:
    """Return the command that repeats a run, word by word."""
    words = ["a2", entry.command, *(word for name in entry.preset for word in ("-p", name))]
    for name, value in flags.items():
        flag = f"--{name.rstrip('_').replace('_', '-')}"
        if isinstance(value, bool):
            words.append(flag if value else f"--no-{flag[2:]}")
        else:
            words += [flag, shown(value)]
    return words
