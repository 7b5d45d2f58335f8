"""A command's help, and how help and reference describe an option."""

import shutil
import textwrap
from itertools import groupby

from a2cli.commands import COMMANDS
from a2cli.settings.declare import Declared, shown
from a2cli.settings.options import choices_of, plain_type, takes, word_of
from a2cli.settings.run_options import RunOptions


def help_of(command: str, width: int = 0) -> str:
    """Return a command's help: its sentence, then its options under their panels' titles."""
    items = COMMANDS[command].declared()
    width = width or min(100, max(60, shutil.get_terminal_size((80, 24)).columns))
    words = "".join(f" {item.flag}{'...' * item.takes_several}" for item in items if item.positional)
    lines = [f"Usage: a2 {command} [OPTIONS]{words}", "", *textwrap.wrap(COMMANDS[command].help, width)]
    for panel, group in groupby(items, key=lambda item: item.panel):
        lines += ["", *textwrap.wrap(f"{panel}:", width)]
        for item in group:
            left, meaning = described(item)
            indent = " " * 26
            wrapped = textwrap.wrap(meaning, width - 26) or [""]
            first = f"  {left}".ljust(26) if len(left) < 23 else f"  {left}\n{indent}"
            lines.append(first + wrapped[0])
            lines += [indent + line for line in wrapped[1:]]
    return "\n".join(lines) + "\n"


def described(item: Declared) -> tuple[str, str]:
    """Return an option as help shows it: its flag with what it takes, and its sentence with choices and default."""
    choices = choices_of(item.type)
    flag = f"{item.flag}, {item.short}" if item.short else item.flag
    left = flag if plain_type(item.type) is bool else word_of(item) if item.positional else f"{flag} {takes(item.type)}"
    if item.repeatable:  # once a flag
        left = left.removesuffix(",...")
    sentences = [item.help, *([f"One of {', '.join(choices)}."] if choices else [])]
    if item.panel != RunOptions.__doc__ and item.default is not None and item.default != ():
        sentences.append("[all]" if choices and item.default == choices else f"[{shown(item.default, item)}]")
    return left, " ".join(sentences)
