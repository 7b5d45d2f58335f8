"""The settings of `a2 probe-invariance`, and the changes of an image that it knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from annotated_types import Ge, Gt, Le, Len

from a2cli.errors import SettingsError, nearest
from a2cli.settings.declare import Threads, setting


@dataclass(frozen=True)
class Change:
    """One way to change an image: what its strength means, the strength that changes nothing (None: every one changes
    something), the strengths that make sense, and those that are tried unless others are named.

    `strengths` are from one end to the other, so neighbours are alike. A change that is only on or off has none.
    `augmentations` show such images in training; images without what it `needs` are not probed.
    """

    unit: str
    identity: float | None
    low: float
    high: float
    strengths: tuple[float, ...]
    augmentations: tuple[str, ...] = ()
    needs: Literal["", "colour", "bars"] = ""

    @property
    def is_switch(self) -> bool:
        return not self.strengths

    @property
    def mildest(self) -> float:
        """The end from which strengths are counted: what changes nothing, or of qualities the highest."""
        return self.high if self.identity is None else self.identity


def _switch(*augmentations: str, needs: Literal["", "colour", "bars"] = "") -> Change:
    return Change("off or on", 0.0, 0.0, 1.0, (), augmentations, needs)


SHIFTS = (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3)
FACTORS = (0.25, 0.5, 0.75, 1.25, 1.5, 2.0)
# One entry a change: all that is said of it. What it does to images is the function of its name in `changes.py`.
CHANGES = {
    "translate-x": Change("share of the width, right", 0.0, -0.9, 0.9, SHIFTS, ("translate", "crop")),
    "translate-y": Change("share of the height, down", 0.0, -0.9, 0.9, SHIFTS, ("translate", "crop")),
    "translate": Change("share of both sides, right and down", 0.0, -0.9, 0.9, SHIFTS, ("translate", "crop")),
    "rotate": Change("degrees, counter-clockwise", 0.0, -180, 180, (-90, -45, -30, -15, 15, 30, 45, 90), ("rotate",)),
    "scale": Change("factor", 1.0, 0.1, 10, (0.5, 0.67, 0.8, 0.9, 1.1, 1.25, 1.5, 2.0), ("crop",)),
    "flip-horizontal": _switch("flip"),
    "flip-vertical": _switch(),
    "brightness": Change("factor", 1.0, 0, 10, FACTORS, ("color-jitter",)),
    "contrast": Change("factor", 1.0, 0, 10, FACTORS, ("color-jitter",)),
    "saturation": Change("factor", 1.0, 0, 10, (0.0, *FACTORS), ("color-jitter", "grayscale"), "colour"),
    "hue": Change("share of a turn", 0.0, -0.5, 0.5, (-0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4),
                  ("color-jitter",), "colour"),
    "gamma": Change("exponent", 1.0, 0.1, 10, (0.4, 0.6, 0.8, 1.25, 1.67, 2.5)),
    "grayscale": _switch("grayscale", needs="colour"),
    "invert": _switch(),
    "noise": Change("deviation, white is 1", 0.0, 0, 1, (0.02, 0.05, 0.1, 0.2, 0.3)),
    "blur": Change("deviation in pixels", 0.0, 0, 10, (0.5, 1.0, 1.5, 2.0, 3.0)),
    "jpeg": Change("quality", None, 1, 100, (90, 70, 50, 30, 10, 5)),
    "occlusion": Change("side of a square in the centre, share", 0.0, 0, 1, (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)),
    "fill-padding": _switch(needs="bars"),
    "mean-padding": _switch(needs="bars"),
    "crop-padding": _switch(needs="bars"),
    "only-padding": _switch(needs="bars"),
}  # fmt: skip
if TYPE_CHECKING:
    ChangeName = str
else:
    ChangeName = Literal[tuple(CHANGES)]
Border = Literal["zero", "reflect", "circular", "real"]


@dataclass(frozen=True, kw_only=True)
class ProbeSettings:
    """What to probe"""

    run: Annotated[tuple[str, ...], Len(1)] = setting(
        (),
        "Directory of a training run; of one over several seeds or folds all its networks; of a comparison or an "
        "ablation its best run, as their --best prints it. Repeatable: runs are compared.",
        repeatable=True,
    )
    data: str | None = setting(
        None,
        "Other images, as for train-cnn, all of them; or the new location of the run's own. Of the run's own images, "
        "and without this flag, each network's validation images are used.",
    )
    changes: tuple[ChangeName, ...] = setting(tuple(CHANGES), "Changes to try at fixed strengths.")
    strengths: tuple[str, ...] = setting(
        (), "Strengths instead of the usual ones, as rotate=-30/-10/10/30,brightness=0.5/1.5.", any_case=True
    )
    random: tuple[str, ...] = setting(
        (),
        "Changes whose strength is drawn for each image in a range, as ColorJitter and RandomAffine do: "
        "brightness=0.5..1.5,translate=-0.1..0.1 (right and down apart).",
        any_case=True,
    )
    draws: Annotated[int, Ge(1), Le(1000)] = setting(10, "How often each image is changed so.")
    border: Border = setting(
        "zero",
        "What comes in where an image is translated: black, its reflection, its other side, or what was there (real: "
        "the images are read larger, and their middle is what the network sees).",
    )
    margin: Annotated[float, Gt(0), Le(100)] = setting(
        5.0, "Change of accuracy, in points, up to which a network is called invariant."
    )
    layers: bool = setting(True, "Measure how far the activations of each layer move under each change.")
    device: str = setting("auto", "Device: auto, cpu, cuda, cuda:1, mps.", any_case=True)
    threads: Threads = setting(0, "Processor threads; auto takes four on any machine.", words=(("auto", 0),))
    seed: Annotated[int, Ge(0)] = setting(0, "Seed of the noise and of strengths drawn.")


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (), "Settings from a probe's config.yaml; repeatable.", short="-p", repeatable=True
    )
    out: str | None = setting(None, "Run directory; default a new one in runs/.")
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; probe nothing.")
    html: bool = setting(False, "Besides, write report.html into the run directory, as a2 report does.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print only the run directory.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class ProbeInvarianceSettings:
    """Everything that decides the result of `a2 probe-invariance`."""

    probe: ProbeSettings = ProbeSettings()


@dataclass(frozen=True)
class Probe:
    """One change to try: at fixed strengths, or drawn from a range."""

    name: ChangeName
    strengths: tuple[float, ...]
    drawn: tuple[float, float] | None = None

    @property
    def change(self) -> Change:
        return CHANGES[self.name]

    @property
    def title(self) -> str:
        return self.name if self.drawn is None else f"{self.name} {self.drawn[0]:g}..{self.drawn[1]:g}"


def probes(settings: ProbeSettings) -> list[Probe]:
    """Return what to try: each change at its strengths, then those drawn at random.

    Raises SettingsError for a strength out of range, a change that is not tried, or one that is named twice.
    """
    named = [_named("--strengths", word, "/") for word in settings.strengths]
    given = dict(named)
    if twice := repeated([name for name, _ in named]):
        raise SettingsError(f"--strengths: {twice} is named twice; all its strengths go into one, as {twice}=A/B")
    if other := [name for name in given if name not in settings.changes]:
        raise SettingsError(f"--strengths: {other[0]} is not among the --changes")
    probes = []
    for name in settings.changes:
        change = CHANGES[name]
        strengths = given.get(name, change.strengths)
        if name in given and change.is_switch:
            raise SettingsError(f"--strengths: {name} is off or on, it has no strength")
        changing = tuple(sorted({value for value in strengths if value != change.identity}))
        if name in given and not changing:
            raise SettingsError(f"--strengths: {name}={strengths[0]:g} changes nothing")
        probes.append(Probe(name, changing or (1.0,)))
    for word in settings.random:
        name, ends = _named("--random", word, "..")
        if CHANGES[name].is_switch or len(ends) != 2 or ends[0] >= ends[1]:
            raise SettingsError(f"--random: expected a change with its range, as brightness=0.5..1.5, got {word!r}")
        probes.append(Probe(name, (), (ends[0], ends[1])))
    if twice := repeated([probe.title for probe in probes]):
        raise SettingsError(f"--random: {twice} is named twice")
    return probes


def repeated(names: Sequence[str]) -> str | None:
    """Return the first name that stands there a second time."""
    return next((name for i, name in enumerate(names) if name in names[:i]), None)


def _named(flag: str, word: str, between: str) -> tuple[ChangeName, tuple[float, ...]]:
    name, _, values = word.partition("=")
    if name not in CHANGES:
        raise SettingsError(f"{flag}: unknown change {name!r}{nearest(name, CHANGES)}")
    change = CHANGES[name]
    try:
        numbers = tuple(float(value) for value in values.split(between))
    except ValueError:
        raise SettingsError(f"{flag}: expected {name}=NUMBER{between}NUMBER, got {word!r}") from None
    for number in numbers:
        if not change.low <= number <= change.high:
            raise SettingsError(
                f"{flag}: {name} takes {change.low:g} to {change.high:g} ({change.unit}), got {number:g}"
            )
    return name, numbers


def pixels(share: float, side: int) -> int:
    """Return a translation in whole pixels, one at least."""
    rounded = round(share * side)
    return rounded if rounded or not share else (1 if share > 0 else -1)


def real_margin(settings: ProbeSettings, side: int) -> int:
    """Return how many pixels around the image are read so that translations bring in what was there."""
    if settings.border != "real":
        return 0
    shares = [abs(value) for probe in probes(settings) if probe.name.startswith("translate")
              for value in (*probe.strengths, *(probe.drawn or ()))]  # fmt: skip
    return max((pixels(share, side) for share in shares), default=0)
