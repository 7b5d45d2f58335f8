"""The command-line app, made from the table of commands; a command is imported when it is called."""

from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from a2cli import __version__
from a2cli.commands import COMMANDS, GROUPS, Command
from a2cli.settings.flag_names import hyphenated

IN_CONTEXT = {"help_option_names": ["--help", "-h"], "token_normalize_func": hyphenated}


class Commands(TyperGroup):
    """A group of commands: each is its name and its line of help until it is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, command, rest = super().resolve_command(ctx, args)
        words = name if ctx.parent is None else f"{ctx.info_name} {name}"
        return name, _made(words) if words in COMMANDS else command, rest


class OneValue(TyperCommand):
    """A command whose flags are given once, by whichever of their names; only those that take several come again.

    `words` are its name in the table of commands.
    """

    words = ""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _, extra, order = self.make_parser(ctx).parse_args(args=list(args))
        if extra:
            from a2cli.app.extra_words import extra_word

            ctx.fail(extra_word(str(extra[0]), args, COMMANDS[self.words].declared()))
        for option in order:
            names = {*option.opts, *option.secondary_opts}
            given = [name for name in map(_flag_of, args) if name in names]
            if isinstance(option, TyperOption) and not option.multiple and order.count(option) > 1:
                if option.is_flag and len(set(given)) == 1:  # on is on, however often
                    continue
                flags = " and ".join(dict.fromkeys(given)) or option.opts[0]
                ctx.fail(f"{flags} {'are the same setting' if ' ' in flags else 'comes again'}; give it once")
        return super().parse_args(ctx, args)


def _flag_of(word: str) -> str:
    """Return the flag that a word of the command line begins with, as it is declared; '' where there is none."""
    return hyphenated(word.partition("=")[0]) if word.startswith("--") else word[:2] if word.startswith("-") else ""


@cache
def _made(name: str) -> Any:
    """Return a command as Typer runs it, with an option for each of its settings; made once, if called again."""
    from a2cli.settings.options import with_options

    command = COMMANDS[name]
    alone = typer.Typer(rich_markup_mode=None, add_completion=False)
    function = with_options(command.settings_types(), command.options_type(), _run(command))
    alone.command(name.split()[-1], cls=OneValue, add_help_option=False)(function)
    made: Any = typer.main.get_command(alone)
    made.words = name
    return made


def _run(command: Command) -> Any:
    """Return a command's function, which first says which presets were edited."""

    def run(chosen: Any, flags: dict[str, Any]) -> None:
        function = command.function()
        if presets := getattr(chosen, "preset", ()):
            from a2cli.command_line.arguments import tell_edited

            tell_edited(presets)
        function(chosen, flags)

    return run


def _placeholder() -> None: ...


def _group(help: str, **options: Any) -> typer.Typer:  # noqa: A002
    return typer.Typer(
        help=help, cls=Commands, rich_markup_mode=None, no_args_is_help=True, context_settings=IN_CONTEXT, **options
    )


app = _group("A deep-learning lab in one command: a ConvNet assignment, experiment by experiment.", name="a2")
groups = {name: _group(about) for name, about in GROUPS.items()}
for _name, _command in COMMANDS.items():
    *_of, _word = _name.split()
    _parent = groups[_of[0]] if _of else app
    _parent.command(_word, short_help=_command.short)(_placeholder)
for _name, _about in GROUPS.items():
    app.add_typer(groups[_name], name=_name, short_help=_about)  # Typer cuts a help that is not said to be short


def _version(value: bool) -> None:
    if value:
        from a2cli.console import base as console

        console.out(f"a2 {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None: ...
