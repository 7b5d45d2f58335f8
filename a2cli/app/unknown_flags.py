"""What to write instead of a flag that a command does not have."""

import difflib
import re
from collections.abc import Mapping, Sequence

from a2cli.commands import COMMANDS
from a2cli.settings.declare import Declared
from a2cli.settings.flag_names import ANSWERED, UNDERSTOOD, hyphenated
from a2cli.settings.kinds import TRAINING
from a2cli.settings.options import choices_of
from a2cli.settings.run_options import TrialOptions
from a2cli.settings.training import AUGMENTATIONS
from a2cli.study.checks import REFUSED

MOST_NAMED = 3
PRETRAINED = {"model", "pretrained", "backbone", "arch"}
BACKBONE = re.compile(r"alexnet|(vgg|resnet|densenet)\d+|squeezenet1_[01]|mobilenet_v2|googlenet")


def no_such_option(command: str, flag: str, words: Sequence[str]) -> str:
    """Return what is said of a flag that a command does not have; `words` are the command line's."""
    if not flag.startswith("--"):  # the parser takes -lr for -l and -r
        flag = next((word for word in words if word.startswith(flag)), flag)
    commands = {name: each.declared() for name, each in COMMANDS.items()}
    hint = _finetune(flag, command, commands, words) or instead_of(flag, command, commands)
    return f"No such option: {flag}{hint}"


def _finetune(flag: str, command: str, commands: Mapping[str, Sequence[Declared]], words: Sequence[str]) -> str:
    """Return how a network that is trained already is trained on, where a flag of a training from scratch asks so."""
    has_backbone = any(item.name == "backbone" for item in commands[command])
    if hyphenated(flag.lstrip("-")) not in PRETRAINED or command not in TRAINING or has_backbone:
        return ""
    given = [part.lower() for word in words for part in word.split("=")]
    name = next((part for part in given if BACKBONE.fullmatch(part)), "alexnet")
    return f" (for a network that is trained already, use a2 finetune --backbone {name})"


def instead_of(flag: str, command: str, commands: Mapping[str, Sequence[Declared]]) -> str:
    """Return in brackets what could be meant by a flag that `command` does not have; '' where nothing is near.

    `commands` are the settings of all commands. A flag that is named is one of the command's own, unless it is said
    which other command has it.
    """
    items, word = commands[command], hyphenated(flag.lstrip("-"))
    if meant := _other_names(word, items) or _as_choice(word, items):
        return f" (did you mean {' or '.join(meant)}?)"
    if any(item.positional and hyphenated(item.name) == word for item in items):
        return f" (it is given without a flag: a2 {command} {word.upper()})"
    if having := [name for name, others in commands.items() if _flag_of(word, others) and not _refuses(name, word)]:
        some = ", ".join(f"a2 {name}" for name in having[:MOST_NAMED]) + ", ..." * (len(having) > MOST_NAMED)
        return f" ({_flag_of(word, commands[having[0]])} is a flag of {some})"
    if near := _near(word, items):
        return f" (did you mean {' or '.join(near)}?)"
    return ""


def _refuses(command: str, word: str) -> bool:
    return word in REFUSED and issubclass(COMMANDS[command].options_type(), TrialOptions)


def _other_names(word: str, items: Sequence[Declared]) -> list[str]:
    """Return the flags that have another name in other tools, with the value to give where there is one."""
    flags = {item.name: item.flag for item in items if not item.positional}
    named = [answer.partition(" ") for answer in ANSWERED.get(word, (UNDERSTOOD.get(word, ""),))]
    return [f"{flags[name]}{space}{value}" for name, space, value in named if name in flags]


def _as_choice(word: str, items: Sequence[Declared]) -> list[str]:
    """Return the flags that take this word, such as `--optimizer adam`; only where one does."""
    choosing = [f"{item.flag} {word}" for item in items if word in choices_of(item.type)]
    choosing += [f"{item.flag} {word}" for item in items if item.name == "augment" and word in AUGMENTATIONS]
    return choosing if len(choosing) == 1 and word != "none" else []


def _flag_of(word: str, items: Sequence[Declared]) -> str:
    names = {hyphenated(item.name.rstrip("_")): item.flag for item in items if not item.positional}
    return names.get(word) or names.get(hyphenated(UNDERSTOOD.get(word, "")), "")


def _near(word: str, items: Sequence[Declared]) -> list[str]:
    """Return the flags that begin so, or else the most similar one; a single letter is too little to go by."""
    names = {hyphenated(item.name.rstrip("_")): item.flag for item in items if not item.positional}
    beginning = [flag for name, flag in names.items() if name.startswith(word)] if len(word) > 1 else []
    close = difflib.get_close_matches(word, names, n=1) if len(word) > 1 else []
    return beginning[:MOST_NAMED] or [names[name] for name in close]
