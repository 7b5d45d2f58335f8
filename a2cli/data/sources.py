"""Where images come from, by the name given as `--data`: folders, manifests, arrays, and sets by name."""

import difflib
import os
from pathlib import Path

from a2cli.data.arrays import read_arrays
from a2cli.data.decode import read_image
from a2cli.data.folders import list_folder
from a2cli.data.items import Items, Source
from a2cli.data.listing import BUILT_IN, TORCHVISION, Listing
from a2cli.data.manifests import list_manifest
from a2cli.data.named_sets import drawn_set, torchvision_set
from a2cli.errors import DataError, MissingDataError, missing
from a2cli.progress import ProgressReporter
from a2cli.text import printable
from a2cli.user_folders import data_folder

OWN_FOLDER = "a folder of yours has the name of a known set, and is used:"
__all__ = ["Items", "Source", "find_source"]


def find_source(data: str, reporter: ProgressReporter | None = None) -> Source:
    """Return the source that `--data` names; one's own folder before any set of that name.

    Raises DataError where there is none, or its layout is not one of labelled images.
    """
    if not data:
        raise DataError("--data: expected a folder, a file or a data set's name, got nothing")
    if reporter:
        reporter.phase(f"listing the images of {printable(data)}", "reading images", brief=True)
    path = Path(data)
    by_name = {name.lower(): name for name in TORCHVISION}
    try:
        if path.is_dir():
            named = data in (*BUILT_IN, "paintings") or data.lower() in by_name
            return _from_listing(path, path, list_folder(path), [f"{OWN_FOLDER} {path.resolve()}"] * named)
        if path.suffix.lower() == ".csv" and path.is_file():
            return _from_listing(path, path.parent, list_manifest(path), [])
        if path.suffix.lower() == ".npz" and path.is_file():
            return Source(printable(data), f"{path.resolve()} {_stamp(data)}", lambda _: read_arrays(path))
        if data.lower() in BUILT_IN:
            return drawn_set(data.lower())
        if data.lower() == "paintings":
            folder = data_folder() / "paintings"
            if not folder.is_dir():
                fetch = f"fetch them with 'a2 data get paintings' (into {folder})"
                raise DataError(f"--data paintings: not there yet; {fetch}")
            return _from_listing(folder, folder, list_folder(folder), [])
        if data.lower() in by_name:
            return torchvision_set(by_name[data.lower()])
        if path.exists():
            raise DataError(f"--data {printable(data)}: expected a folder, a .csv manifest or an .npz file")
    except OSError as error:
        raise DataError(f"--data {printable(error.filename or data)}: cannot be read ({error.strerror})") from None
    if path.suffix or path.name != data:
        raise MissingDataError(f"--data {printable(data)}: {missing(data)}", data)
    names = [*BUILT_IN, "paintings", *by_name]
    close = difflib.get_close_matches(data.lower(), names, n=1)
    hint = f"; did you mean {close[0]!r}?" if close else missing(data).removeprefix("does not exist")
    hint = hint or f" (names known: {', '.join(names)})"
    raise MissingDataError(f"--data: no file, folder or data set named {printable(data)!r}{hint}", data)


def _from_listing(label: Path, root: Path, listing: Listing, notes: list[str]) -> Source:
    classes = sorted({name for _, name, _ in listing.files})
    index = {name: i for i, name in enumerate(classes)}
    lines = [f"{path}\t{name}\t{split}\t{_stamp(path)}" for path, name, split in listing.files]
    paths = [path for path, _, _ in listing.files]
    items = Items(
        class_names=tuple(map(printable, classes)),
        names=[printable(_below(path, root)) for path in paths],
        labels=[index[name] for _, name, _ in listing.files],
        splits=[split for _, _, split in listing.files],
        image=lambda i: read_image(paths[i]),
    )
    return Source(
        label=printable(str(label)),
        key="\n".join([str(root.resolve()), *lines]),
        items=lambda _: items,
        passed_over=listing.passed_over,
        unused=listing.unused,
        notes=[*notes, *listing.notes],
    )


def _below(path: str, root: Path) -> str:
    """Return a file's path from a folder on, the same on each system; from the root on where it is on another drive."""
    try:
        return Path(os.path.relpath(path, root)).as_posix()
    except ValueError:  # Windows
        return Path(path).as_posix()


def _stamp(path: str) -> str:
    """Return what stands for a file's content: its size and times, and what moves when files are swapped.

    A copy that keeps the time of the last change (mtime) still has a ctime of its own, and a renamed file its inode.
    """
    try:
        stat = Path(path).stat()
    except OSError:
        return "missing"  # a link that leads nowhere; reported as a damaged file when it is decoded
    return f"{stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns} {stat.st_dev} {stat.st_ino}"
