"""Settings dataclasses become command-line options, and what is given to these is checked by the settings' types."""

from collections.abc import Callable, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

from a2cli.errors import SettingsError, nearest
from a2cli.settings.declare import Declared, declared, declared_in
from a2cli.settings.flag_names import also_understood, hyphenated
from a2cli.settings.run_options import RunOptions

if TYPE_CHECKING:
    from inspect import Parameter

C = TypeVar("C")


def checked(item: Declared, value: Any, where: str) -> Any:
    """Return the value as the setting's type, within its bounds; `where` names the flag or file in the error.

    Raises SettingsError.
    """
    from pydantic import ConfigDict, TypeAdapter, ValidationError

    if isinstance(value, str):
        value = dict(item.words).get(value.lower(), value)
    if get_origin(plain_type(item.type)) is tuple:
        value = _as_list(value)
    choices = choices_of(item.type)
    if choices or item.any_case:
        value = (
            [_as_declared(part, choices) for part in value] if isinstance(value, list) else _as_declared(value, choices)
        )
    parts = value if isinstance(value, list | tuple) else [value]
    if takes(item.type).startswith(("INT", "NUMBER")) and any(isinstance(part, bool) for part in parts):
        raise SettingsError(f"{where}: expected a number, got {_shown(value)}")  # pydantic would take True for 1
    try:
        return TypeAdapter(item.type, config=ConfigDict(allow_inf_nan=False)).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        got = first["input"] if first["loc"] else value
        expected = first["msg"].replace("Input should be", "expected").replace("Tuple should have", "expected")
        expected = expected.split(", unable to parse")[0]
        hint = nearest(str(got), choices) if choices else _with_point(item, got)
        raise SettingsError(f"{where}: {expected}, got {_shown(got)}{hint}") from None


def _with_point(item: Declared, got: Any) -> str:
    """Return how a number is written that has a comma for its point, or nothing."""
    if not takes(item.type).startswith("NUMBER") or not isinstance(got, str):
        return ""
    number = got.replace(",", ".", 1)
    try:
        float(number)
    except ValueError:
        return ""
    return f"; write {number}" if "," in got else ""


def _as_declared(value: Any, choices: Sequence[str]) -> Any:
    """Return a word in small letters, as one of the choices is written, where its capitals or underscores differ."""
    if not isinstance(value, str) or value in choices:
        return value
    return hyphenated(value) if hyphenated(value) in choices else value if choices else value.lower()


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def plain_type(hint: Any) -> Any:
    """Return the type without its bounds."""
    return plain_type(get_args(hint)[0]) if get_origin(hint) is Annotated else hint


def _as_list(value: Any) -> Any:
    if isinstance(value, str):
        return [] if value.strip().lower() in {"", "none"} else [part.strip() for part in value.split(",")]
    return value if isinstance(value, list | tuple) else [value]


def choices_of(hint: Any) -> tuple[str, ...]:
    """Return the words that a setting of this type is one of, or some of; none where it takes other values."""
    plain = plain_type(hint)
    if get_origin(plain) is tuple:
        return choices_of(get_args(plain)[0])
    return get_args(plain) if get_origin(plain) is Literal else ()


def with_options(
    settings: Sequence[type], options: type[C], run: Callable[[C, dict[str, Any]], None]
) -> Callable[..., None]:
    """Return `run(options, flags)` as a function with one command-line option for each setting.

    `options` holds what does not decide the result (RunOptions, LookOptions), `flags` the settings given by flag (None
    where a flag was not given).
    """

    import inspect

    def command(**given: Any) -> None:
        chosen = {item: given.pop(item.name) for item in declared(options)}
        run(options(**{i.name: checked(i, v, i.flag) for i, v in chosen.items() if v is not None}), given)

    items = [*declared_in(*settings), *declared(options)]
    others = also_understood(items)
    parameters = [_parameter(item, others.get(item.name, ())) for item in items]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _parameter(item: Declared, others: Sequence[str]) -> "Parameter":
    from inspect import Parameter

    import typer

    choices, takes_list = choices_of(item.type), item.repeatable or (item.positional and item.takes_several)
    kind: Any = list[str] if takes_list else bool if plain_type(item.type) is bool else str
    names = [_flags(item), *([item.short] if item.short else []), *others]
    option = typer.Option(*names, autocompletion=(lambda: list(choices)) if choices else None)
    if item.positional:
        option = typer.Argument(metavar=word_of(item))
    return Parameter(item.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option])


def word_of(item: Declared) -> str:
    """Return what stands for a positional setting."""
    return item.flag + "..." * item.takes_several


def _flags(item: Declared) -> str:
    """Return a setting's flag; what is on or off can also be switched off, as a preset may have switched it on."""
    two_way = plain_type(item.type) is bool and item.panel != RunOptions.__doc__
    return f"{item.flag}/--no-{item.flag[2:]}" if two_way else item.flag


def takes(hint: Any) -> str:
    """Return the word for what a setting of this type takes, such as `INT,...`."""
    plain = plain_type(hint)
    if get_origin(plain) is tuple:
        return takes(get_args(plain)[0]) + ",..."
    if NoneType in get_args(plain):
        return takes(get_args(plain)[0])
    return "NAME" if choices_of(hint) else {int: "INT", float: "NUMBER"}.get(plain, "TEXT")
