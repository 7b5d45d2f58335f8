"""Labelled images in folders, one a class, below a folder for each part of the split or without.

Imports nothing heavy: `--dry-run` lists folders too.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from a2cli.data.listing import (
    NO_CLASS,
    UNDERSTOOD,
    Listing,
    Walk,
    check_class_names,
    check_same_classes,
    listed,
    passed_over_in_words,
    split_named,
    split_note,
)
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.text import printable, shell_word

NEITHER = f"a split's parts are understood by any usual name, {UNDERSTOOD}, train among them, and nothing beside them"


def list_folder(root: Path, errors: list[str] | None = None) -> Listing:
    """Return the labelled images in a folder; class folders without an image are added to `errors`, if given.

    Raises DataError for a layout that is neither class folders nor a split of them, or half the one and half the
    other, and OSError for a folder that may not be read.
    """
    walk, where = Walk(), f"--data {printable(str(root))}"
    files: list[tuple[str, str, str]] = []
    walk.enter(str(root))
    folders = walk.subfolders(str(root))
    parts = {name: part for name in folders if (part := split_named(name)) is not None}
    notes = []
    if parts and (others := folders.keys() - parts.keys()):
        if len(set(parts.values())) > 1 or any(_holds_folders_alone(folders[name]) for name in parts):
            raise DataError(
                f"{where}: found {listed(parts)} beside {listed(sorted(others))}; {NEITHER}. "
                "Move the others away, or say what each image is in a .csv manifest"
            )
        notes = [f"{listed(parts)} read as a class, not as a part of a split: images lie there directly"]
        parts = {}
    if parts:
        _check_parts(parts, where)
        notes = split_note(parts)
        for name, part in parts.items():
            walk.enter(folders[name])
            files += _class_files(folders[name], walk.subfolders(folders[name]), walk, part, errors)
    else:
        files += _class_files(str(root), folders, walk, "", errors)
        _check_no_splits_inside(folders, files, where)
    if errors and len({label for _, label, _ in files}) < 2:
        raise DataError(errors[0])
    if not parts:
        _check_two(str(root), {label for _, label, _ in files}, folders, walk)
    notes += _merged(str(root), files)
    check_class_names({label for _, label, _ in files}, where, "class folders")
    check_same_classes(files, where)
    return Listing(files, dict(walk.passed_over), notes=notes)


def _holds_folders_alone(folder: str) -> bool:
    """Return whether there are folders and no image directly in a folder, as in a part of a split."""
    walk = Walk()
    first = next(walk.images(folder), "")
    return bool(walk.subfolders(folder)) and (not first or "/" in first[len(folder) + 1 :])


def _check_parts(parts: dict[str, str], where: str) -> None:
    """Raise DataError for parts of a split without train, or with two folders for one part."""
    for part in dict.fromkeys(parts.values()):
        names = [name for name in parts if parts[name] == part]
        if len(names) > 1:
            raise DataError(f"{where}: found {listed(names)}, which all mean {part!r}; expected one folder a part")
    if "train" not in parts.values():
        raise DataError(f"{where}: found {listed(parts)} and no train; {NEITHER}")


def _class_files(
    root: str, classes: dict[str, str], walk: Walk, part: str, errors: list[str] | None
) -> Iterator[tuple[str, str, str]]:
    if not classes:
        raise DataError(f"--data {printable(root)}: expected one sub-folder a class, found none{_outside(root)}")
    for name, folder in classes.items():
        before = walk.passed_over.copy()
        paths = list(walk.images(folder, f"{part}/{name}" if part else name))
        if not paths:
            others = passed_over_in_words(walk.passed_over - before, all_of_it=True)
            without = (
                f"a class folder without an image{f' (passed over: {others})' * bool(others)}; fill it or remove it"
            )
            if errors is None:
                raise DataError(f"--data {printable(folder)}: {without}")
            errors.append(f"--data {printable(folder)}: {without}")
        yield from ((path, name, part) for path in paths)


def _check_two(root: str, labels: set[str], folders: Mapping[str, str], walk: Walk) -> None:
    """Raise DataError for a folder of one class alone; where that holds folders of images, it is the one meant."""
    if len(labels) != 1:
        return
    inner, hint = folders[min(labels)], _outside(root)
    if len(folders) == 1 and not walk.passed_over[NO_CLASS]:
        inside = sum(any(True for _ in Walk().images(path)) for path in Walk().subfolders(inner).values())
        hint = f"; did you mean --data {shell_word(inner)}, which has {inside} folders?" if inside > 1 else ""
    raise DataError(
        f"--data {printable(root)}: expected at least two classes, found only {printable(min(labels))!r}{hint}"
    )


def _outside(folder: str) -> str:
    """Say how many images lie directly in a folder of classes, and what to do with them; nothing where none do."""
    walk = Walk()
    walk.subfolders(folder)
    if not (count := walk.passed_over[NO_CLASS]):
        return ""
    lie, them = ("image lies", "it") if count == 1 else ("images lie", "them")
    put = f"put {them} into one folder a class, or name {them} with their classes in a .csv"
    return f"; {count} {lie} directly in it: {put}"


def _merged(root: str, files: Sequence[tuple[str, str, str]]) -> list[str]:
    """Say which images of a class lie in several folders inside its own; they are of one class all the same."""
    places: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for path, label, part in files:
        below = path[len(root) + 1 :].split("/")[1 if part else 0 :]
        places[part, label][below[1] if len(below) > 2 else ""] += 1
    several = {place: names for place, names in places.items() if len({*names} - {""}) > 1}
    if not several:
        return []
    (_, label), names = min(several.items())
    images = sum(count for of in several.values() for name, count in of.items() if name)
    some = " and ".join(printable(f"{label}/{name}") for name in sorted({*names} - {""})[:2])
    inside = f"{counted(images, 'image')} in folders inside a class folder"
    return [f"{inside} are read as of that class, as {some} as {printable(label)!r}"]


def _check_no_splits_inside(folders: dict[str, str], files: list[tuple[str, str, str]], where: str) -> None:
    """Raise DataError for class folders that are split inside, as ada/train and ada/test, which would be mixed up."""
    inside: dict[str, set[str]] = defaultdict(set)
    for path, label, _ in files:
        below = path[len(folders[label]) + 1 :]
        if "/" in below:
            inside[label].add(below[: below.index("/")])
    for label, names in inside.items():
        parts = {name: part for name in names if (part := split_named(name)) is not None}
        if "train" in parts.values() and len(set(parts.values())) > 1:
            raise DataError(
                f"{where}: class {printable(label)!r} holds {listed(sorted(parts))}; a split is understood above its "
                f"classes, as train/{printable(label)}: move the folders, or say it in a .csv manifest"
            )
