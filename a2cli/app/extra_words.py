"""What to write instead of a word that a command does not take."""

import re
from collections.abc import Sequence
from pathlib import Path

from a2cli.data.listing import BUILT_IN, TORCHVISION, is_image
from a2cli.errors import SettingsError
from a2cli.probe_invariance.settings import ProbeSettings, probes
from a2cli.settings.declare import Declared
from a2cli.settings.flag_names import also_understood, hyphenated
from a2cli.settings.options import checked
from a2cli.settings.presets import preset_names
from a2cli.settings.training import augmentations
from a2cli.storage import is_run
from a2cli.text import printable, shell_word

BETWEEN = {"augment": ",", "strengths": "/", "random": ".."}  # the strengths of a name, in lists of name=strength
DATA_SETS = {name.lower() for name in (*BUILT_IN, "paintings", *TORCHVISION)}


def extra_word(word: str, words: Sequence[str], items: Sequence[Declared]) -> str:
    """Return what is said of a word that a command does not take; `words` are the command's, `items` its settings."""
    return (
        f"unexpected extra argument {printable(word)!r}{_as_list(word, words, items) or _as_value(word, words, items)}"
    )


def _as_list(word: str, words: Sequence[str], items: Sequence[Declared]) -> str:
    """Return how a list is written, where the word follows the value of a flag that takes one."""
    flags = {item.flag: item for item in items if item.takes_several and not item.positional}
    for name, others in also_understood(items).items():
        flags |= {other: item for item in flags.copy().values() if item.name == name for other in others}
    given, values = "", list[str]()
    for each in [*words, "--"]:
        if not each.startswith("--"):
            values.append(each)
            continue
        if word in values[1:] and (item := flags.get(given)):
            return _list_written(item, values)
        flag, _, value = each.partition("=")
        given, values = hyphenated(flag), [value] if value else []
    return ""


def _list_written(item: Declared, values: Sequence[str]) -> str:
    if item.repeatable:
        return f" (give the flag for each, as {' '.join(f'{item.flag} {shell_word(value)}' for value in values)})"
    parts = [part.strip() for value in values for part in value.split(",") if part.strip()]
    if item.name in BETWEEN:
        parts = _with_strengths(parts, BETWEEN[item.name])
    whole = ",".join(parts)
    if not _is_taken(item, whole):
        return ""
    how = "strengths are written name=strength, lists" if "=" in whole else "lists are written"
    return f" ({how} with commas and without blanks, as {item.flag} {shell_word(whole)})"


def _with_strengths(parts: Sequence[str], between: str) -> list[str]:
    """Return the words of a list of names with the numbers that follow a name joined to it."""
    words = list[str]()
    for part in parts:
        if words and re.fullmatch(r"[-+.\d/]+", part):
            name = words[-1].removesuffix("=")
            words[-1] = f"{name}{between if '=' in name else '='}{part}"
        else:
            words.append(part)
    return words


def _is_taken(item: Declared, whole: str) -> bool:
    """Return whether a flag takes a list, as far as that does not depend on other flags."""
    try:
        words = checked(item, whole, item.flag)
        if item.name == "augment":
            augmentations(words)
        elif item.name in BETWEEN:
            probes(ProbeSettings(**{item.name: words}))
    except SettingsError:
        return False
    return item.name != "dropout_at" or all(re.fullmatch(r"all|(conv|hidden)\d*", word) for word in words)


def _as_value(word: str, words: Sequence[str], items: Sequence[Declared]) -> str:
    """Return the flag that could be meant, of those not given: for a run, an image, a preset or a data set."""
    path, given = Path(word), {hyphenated(each.partition("=")[0]) for each in words}
    flags = {item.name: item.flag for item in items if not item.positional and item.flag not in given}
    try:
        is_there, run = path.exists(), is_run(path)
    except (OSError, ValueError):
        is_there = run = False
    is_data = is_there and (path.is_dir() or path.suffix.lower() in {".csv", ".npz"})
    could_be = {
        "run": run or (is_there and "data" not in flags),
        "image": is_there and is_image(path.name),
        "preset": word in preset_names(),
        "data": is_data or word.lower() in DATA_SETS,
    }
    meant = next((flags[name] for name, fits in could_be.items() if fits and name in flags), "")
    return f" (did you mean {meant} {shell_word(word)}?)" if meant else ""
