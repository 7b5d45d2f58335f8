"""Presets and saved configs: files of settings; and a command's settings settled from its default, these and its flags.

Precedence, last wins: the default, the presets in their order, the flags.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from a2cli.errors import SettingsError, nearest, no_file
from a2cli.settings.declare import Declared, declared
from a2cli.settings.flag_names import setting_like
from a2cli.settings.kinds import TRAINING
from a2cli.settings.options import checked
from a2cli.storage import yaml_was_edited
from a2cli.text import printable

PRESET_BYTES = 64_000
PRESET_DEPTH = 3
S = TypeVar("S")


@dataclass(frozen=True)
class Resolved(Generic[S]):
    """A command's settings, and for each by name where its value came from.

    `moved` is what a resumed run calls its data, with where that lies now.
    """

    settings: S
    sources: Mapping[str, str]
    moved: Mapping[str, str] = field(default_factory=dict)

    def by_flag(self, name: str) -> bool:
        return self.sources[name].startswith("--")


@dataclass(frozen=True)
class Preset:
    """A named set of settings, those it extends included: values by setting name.

    Those in `added` are not in the file, a run's config.yaml, as they did not exist when it was written.
    """

    name: str
    about: str
    values: Mapping[str, Any]
    extends: str | None
    added: Mapping[str, Any]


@cache
def presets_folder() -> Path:
    """Return the folder of the presets that come with the package (in a checkout, beside it)."""
    inside = Path(__file__).parents[1] / "presets"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "presets"


def preset_names() -> list[str]:
    """Return the names of the presets that come with the package, in order."""
    return sorted(path.stem for path in presets_folder().glob("*.yaml"))


def load_preset(name: str, commands: Sequence[str], settings: type, extending: tuple[str, ...] = ()) -> Preset:
    """Read a preset by its name or its file's path, with those that it extends; of the first command, or the others.

    `extending` are the presets that extend it. Raises SettingsError for an unknown name, a file that is not a preset of
    these commands, or an unknown setting.
    """
    if name in extending:
        raise SettingsError(f"preset {name!r} extends itself: {' -> '.join((*extending, name))}")
    path = _preset_path(name)
    entries = read_yaml(path)
    about, extends = str(entries.pop("about", "")), entries.pop("extends", None)
    wanted = entries.pop("command", "train-cnn" if path.parent == presets_folder() else commands[0])
    if wanted not in commands:
        raise SettingsError(f"{path.name}: is a preset of 'a2 {wanted}', not of 'a2 {commands[0]}'")
    values: dict[str, Any] = {}
    if extends is not None:
        try:
            values |= load_preset(str(extends), commands, settings, (*extending, name)).values
        except SettingsError as error:
            raise SettingsError(str(error).replace("--preset:", f"{path.name}: extends:")) from None
    settings_by_name = {item.name: item for item in declared(settings)}
    replaced = _replaced_by([str(key).replace("-", "_") for key in entries], settings_by_name)
    values |= {name: value for name, value in replaced.items() if name in values}
    for key, value in entries.items():
        setting = str(key).replace("-", "_")
        setting = f"{setting}_" if f"{setting}_" in settings_by_name else setting  # class
        if setting not in settings_by_name:
            raise SettingsError(f"{path.name}: unknown setting {key!r}{setting_like(setting, settings_by_name)}")
        values[setting] = checked(settings_by_name[setting], value, f"{path.name}: {setting}")
    added = _added_since((settings,) if wanted == commands[0] else TRAINING.get(wanted, ()), entries)
    return Preset(name, about, values | added, extends, added)


def _replaced_by(given: Collection[str], settings_by_name: Mapping[str, Declared]) -> dict[str, Any]:
    """Return the settings that go back to their defaults, as one that is instead of them is given and they are not."""
    named = {settings_by_name[name].instead_of for name in given if name in settings_by_name} - {"", *given}
    return {name: settings_by_name[name].default for name in named}


def _added_since(kinds: Iterable[type], entries: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the settings that a run's config.yaml lacks as they did not exist then, at the value from before.

    A config.yaml has all settings that its command had; a file that leaves out others than those is a preset.
    """
    given = {str(key).replace("-", "_") for key in entries}
    for kind in kinds:
        lacking = [item for item in declared(kind) if item.name not in given]
        if all(item.added for item in lacking):
            return {item.name: item.before for item in lacking}
    return {}


def preset_value(name: str, key: str, usual: str) -> str:
    """Return what a preset, or one that it extends, says for a key such as `command`, or `usual`."""
    visited: list[str] = []
    while name not in visited:
        visited.append(name)
        entries = read_yaml(_preset_path(name))
        if key in entries or "extends" not in entries:
            return str(entries.get(key, usual))
        name = str(entries["extends"])
    return usual


def as_yaml(preset: Preset) -> str:
    """Return a preset as a file of its own, with what it extends written out."""
    import yaml

    values = {name: list(value) if isinstance(value, tuple) else value for name, value in preset.values.items()}
    return yaml.safe_dump({"about": preset.about, **values}, sort_keys=False, default_flow_style=None, width=100)


def _preset_path(name: str) -> Path:
    path = Path(name)
    if path.suffix in {".yaml", ".yml"} or len(path.parts) > 1:
        if not is_file(path):
            raise SettingsError(f"--preset {printable(name[:200])}: {no_file(name, 'a YAML file')}")
        return path
    path = presets_folder() / f"{name}.yaml"
    if not is_file(path):
        raise SettingsError(
            f"--preset: unknown preset {name!r}{nearest(name, preset_names())} ('a2 presets' lists them)"
        )
    return path


def is_file(path: Path) -> bool:
    """Return whether there is such a file, as far as anyone may see."""
    try:
        return path.is_file()
    except OSError:  # a folder that may not be entered, or a name too long
        return False


def was_edited(path: Path) -> bool:
    """Return whether a file is a run's config.yaml and not as it was written; of one that cannot be read, False."""
    if not is_file(path):
        return False
    try:
        with path.open("rb") as file:
            return yaml_was_edited(file.read(PRESET_BYTES + 1))
    except OSError:
        return False


def read_yaml(
    path: Path, what: str = "a preset", most: int = PRESET_BYTES, depth: int = PRESET_DEPTH
) -> dict[Any, Any]:
    """Return the entries of a YAML file of `most` bytes and nested so deep at most; raises SettingsError."""
    import yaml

    try:
        with path.open("rb") as file:
            text = file.read(most + 1)
        if len(text) > most:
            raise SettingsError(f"{path}: {what} is at most {most:,} bytes")
        entries = _parsed(path, text, what, depth)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise SettingsError(f"{path}: not YAML: {reason}") from None
    if not isinstance(entries, dict):
        raise SettingsError(f"{path}: expected 'setting: value' lines, got {type(entries).__name__}")
    return dict(entries)


@lru_cache(256)
def _parsed(path: Path, text: bytes, what: str, depth: int) -> Any:
    """Return what a file's text says; a preset that many others extend is parsed once, as PyYAML takes its time."""
    import yaml

    try:  # libyaml's takes a tenth of the time, but not the escapes of names that are not UTF-8
        return _loaded(path, text, what, depth, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError:
        return _loaded(path, text, what, depth, yaml.SafeLoader)


def _loaded(path: Path, text: bytes, what: str, depth: int, loader_type: Any) -> Any:
    import yaml

    _check_events(path, yaml.parse(text, Loader=loader_type), what, depth)
    loader = loader_type(text)
    try:
        node = loader.get_single_node()
        for keys in _keys_of(node):
            if twice := [key for key, count in Counter(keys).items() if count > 1]:
                raise SettingsError(f"{path}: {twice[0]} is set twice")
        return None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _keys_of(node: Any) -> Iterator[list[str]]:
    """Yield the keys of each mapping in a parsed YAML file."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        yield [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
    if isinstance(node, yaml.CollectionNode):
        for part in node.value:
            yield from _keys_of(part[1] if isinstance(part, tuple) else part)


def _check_events(path: Path, events: Iterable[Any], what: str, most: int) -> None:
    """Refuse what no such file needs: aliases, which let a few lines stand for billions of values, and deep nesting."""
    from yaml import AliasEvent, CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if isinstance(event, AliasEvent):
            raise SettingsError(f"{path}: YAML aliases (*name) are not allowed in {what}; write the values out")
        if depth > most:
            raise SettingsError(f"{path}: lists within lists are not allowed in {what}")


def resolve(
    settings: type[S], command: str, presets: Sequence[str], flags: Mapping[str, Any], also: Sequence[str] = ()
) -> Resolved[S]:
    """Settle every setting of a command: its default, then each preset, then the flags given (not None).

    Presets may also be of the commands `also`. Raises SettingsError.
    """
    settings_by_name = {item.name: item for item in declared(settings)}
    values: dict[str, Any] = {name: item.default for name, item in settings_by_name.items()}
    sources = dict.fromkeys(settings_by_name, "default")
    for name in presets:
        preset = load_preset(name, (command, *also), settings)
        values |= preset.values
        sources |= dict.fromkeys(preset.values, f"preset {preset.name}")
        sources |= dict.fromkeys(preset.added, f"preset {preset.name}, from before there was this setting")
        replaced = _replaced_by(preset.values, settings_by_name)
        values, sources = values | replaced, sources | dict.fromkeys(replaced, "default")
    given = {name: value for name, value in flags.items() if value is not None}
    replaced = _replaced_by(given, settings_by_name)
    values |= replaced
    sources |= {settings_by_name[name].instead_of: settings_by_name[name].flag for name in given
                if settings_by_name[name].instead_of in replaced}  # fmt: skip
    for name, value in given.items():
        values[name] = checked(settings_by_name[name], value, settings_by_name[name].flag)
        sources[name] = settings_by_name[name].flag
    return Resolved(build(settings, values), sources)


def build(settings: type[S], values: Mapping[str, Any]) -> S:
    """Return the settings object that holds these values by setting name; what is not named keeps its default."""
    groups: dict[str, dict[str, Any]] = {}
    kinds = get_type_hints(settings)
    for item in declared(settings):
        if item.name in values:
            groups.setdefault(item.group, {})[item.name] = values[item.name]
    own = groups.pop("", {})
    return settings(**own, **{group: kinds[group](**inner) for group, inner in groups.items()})
