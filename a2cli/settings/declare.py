"""What a setting is, and how the settings of a dataclass are listed."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Le, Len, Lt

MOST = 2**31 - 1  # what torch takes for a size everywhere
Count = Annotated[int, Ge(1), Le(MOST)]
CountOrOff = Annotated[int, Ge(0), Le(MOST)]
Threads = Annotated[int, Ge(0), Le(1024)]  # 0: auto
Share = Annotated[float, Ge(0), Lt(1)]
MOST_LAYERS = 1000
PerLayer = Annotated[tuple[Count, ...], Len(1, MOST_LAYERS)]
Hidden = Annotated[tuple[Count, ...], Len(0, MOST_LAYERS)]


def setting(
    default: Any,
    help: str,  # noqa: A002
    *,
    acts_with: tuple[str, ...] | None = None,
    short: str = "",
    repeatable: bool = False,
    positional: bool = False,
    before: Any = MISSING,
    words: tuple[tuple[str, Any], ...] = (),
    any_case: bool = False,
    instead_of: str = "",
) -> Any:
    """One setting: its default and its sentence of help.

    `acts_with` is `(other setting, value, ...)`: this one has an effect only when the other has one of the values. A
    repeatable one takes its values one a flag, others that have several as a comma list; a positional one takes them
    without a flag, as the words that are left.

    `before` is for a setting that a command gets after it has made runs: the value that those runs had, which is taken
    where a saved config lacks it.

    `words` are `(word, value)`: a value may be given by its word. Of an `any_case` one capitals do not matter, as with
    choices: it is kept in small letters. One that is `instead_of` another puts that back to its default where it is
    given later than it, as a flag after a preset.
    """
    about = {"help": help, "acts_with": acts_with, "short": short, "repeatable": repeatable, "positional": positional}
    more = {"before": before, "words": words, "any_case": any_case, "instead_of": instead_of}
    return field(default=default, metadata={**about, **more})


@dataclass(frozen=True)
class Declared:
    """One setting as declared: where it stands, its type with bounds, its default, its help."""

    name: str
    group: str
    panel: str
    type: Any
    default: Any
    help: str
    acts_with: tuple[str, ...] | None
    short: str
    repeatable: bool
    positional: bool
    before: Any
    words: tuple[tuple[str, Any], ...]
    any_case: bool
    instead_of: str

    @property
    def added(self) -> bool:
        """Whether there are runs from before this setting existed."""
        return self.before is not MISSING

    @property
    def takes_several(self) -> bool:
        """Whether it takes a list of values."""
        plain = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        return get_origin(plain) is tuple

    @property
    def flag(self) -> str:
        return self.name.upper() if self.positional else "--" + self.name.rstrip("_").replace("_", "-")


def declared(settings: type, group: str = "", given: Any = None) -> Iterator[Declared]:
    """Yield every setting of a dataclass of settings, groups opened, in the order of their declaration.

    A command's own defaults are those of `given`, the object that its dataclass has for the group.
    """
    hints = _hints(settings)
    for item in fields(settings):
        if is_dataclass(hints[item.name]):
            yield from declared(hints[item.name], item.name, item.default)
        else:
            default = item.default if given is None else getattr(given, item.name)
            about, panel = item.metadata, (settings.__doc__ or "").strip()
            yield Declared(item.name, group, panel, hints[item.name], default, **about)


@cache
def _hints(settings: type) -> dict[str, Any]:
    return get_type_hints(settings, include_extras=True)  # which takes half of `a2 --help`'s time if done each time


def declared_in(*settings: type) -> list[Declared]:
    """Return every setting of several dataclasses of settings, each name once, as it is in the first that has it."""
    by_name: dict[str, Declared] = {}
    for kind in settings:
        for item in declared(kind):
            by_name.setdefault(item.name, item)
    return list(by_name.values())


def flat(settings: Any) -> dict[str, Any]:
    """Return every setting of a settings object by its name, groups opened."""
    values: dict[str, Any] = {}
    for item in fields(settings):
        value = getattr(settings, item.name)
        values.update(flat(value) if is_dataclass(value) else {item.name: value})
    return values


def changed(settings: Any) -> dict[str, Any]:
    """Return every setting that is not at its default: the same whatever settings are added later."""
    usual = flat(type(settings)())
    return {name: value for name, value in flat(settings).items() if value != usual[name]}


def completed(settings: type, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's saved settings with those that were added since, at the value that they had before."""
    return {item.name: item.before for item in declared(settings) if item.added} | dict(saved)


def deciding(settings: Any) -> dict[str, Any]:
    """Return every setting but those added later that are as they were before: the same for runs of any version."""
    before = {item.name: item.before for item in declared(type(settings)) if item.added}
    return {name: value for name, value in flat(settings).items() if name not in before or value != before[name]}


def shown(value: Any, item: Declared | None = None) -> str:
    """Return a setting's value as it is written on the command line: by its word, if the setting has one for it."""
    for word, meaning in item.words if item else ():
        if value == meaning:
            return word
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "not set" if value is None else str(value)
