"""Where images come from, by what `--data` says: folders, manifests, arrays, and sets by name."""

import os
import re
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from a2cli.data.arrays import read_arrays
from a2cli.data.decode import Decoded, read_image
from a2cli.data.download_progress import told_to
from a2cli.data.folders import list_folder
from a2cli.data.items import Items, Source, items_of
from a2cli.data.listing import BUILT_IN, MOVED, TORCHVISION, Listing
from a2cli.data.manifests import list_manifest
from a2cli.errors import DataError, MissingDataError, missing, nearest
from a2cli.progress import ProgressReporter
from a2cli.text import printable
from a2cli.user_folders import data_folder

TORCHVISION_BY_FLAG = {"CIFAR10", "CIFAR100", "MNIST", "FashionMNIST", "KMNIST"}  # their second argument is `train`
OWN_FOLDER = "a folder of yours has the name of a known set, and is used:"


def find_source(data: str, reporter: ProgressReporter | None = None, errors: list[str] | None = None) -> Source:
    """Return the source that `--data` names; one's own folder before any set of that name.

    A resumed run's may lie elsewhere now (`MOVED`). With `errors`, class folders without an image are added to it
    rather than raised. Raises DataError where there is none, or its layout is not one of labelled images.
    """
    if data in MOVED:
        return replace(find_source(MOVED[data], reporter, errors), label=printable(data))
    if not data:
        raise DataError("--data: expected a folder, a file or a data set's name, got nothing")
    if reporter:
        reporter.phase(f"listing the images of {printable(data)}", "reading images", brief=True)
    path, name = Path(data), data.lower()
    torchvision_names = dict(zip(map(str.lower, TORCHVISION), TORCHVISION, strict=True))
    try:
        if path.is_dir():
            is_named = data in (*BUILT_IN, "paintings") or name in torchvision_names
            return _from_listing(path, path, list_folder(path, errors), [f"{OWN_FOLDER} {path.resolve()}"] * is_named)
        if path.suffix.lower() == ".csv" and path.is_file():
            return _from_listing(path, path.parent, list_manifest(path))
        if path.suffix.lower() == ".npz" and path.is_file():
            return Source(printable(data), f"{path.resolve()} {_stamp(data)}", lambda _: read_arrays(path))
        if name in BUILT_IN:
            return _drawn_set(name)
        if name == "paintings":
            folder = data_folder() / "paintings"
            if not folder.is_dir():
                fetch = f"fetch them with 'a2 data get paintings' (into {folder})"
                raise DataError(f"--data paintings: not there yet; {fetch}")
            return _from_listing(folder, folder, list_folder(folder))
        if name in torchvision_names:
            return _torchvision_set(torchvision_names[name])
        if path.exists():
            unzip = "; unzip it, and name the folder" if path.suffix.lower() == ".zip" else ""
            raise DataError(f"--data {printable(data)}: expected a folder, a .csv manifest or an .npz file{unzip}")
    except OSError as error:
        raise DataError(f"--data {printable(error.filename or data)}: cannot be read ({error.strerror})") from None
    if path.suffix or path.name != data:
        raise MissingDataError(f"--data {printable(data)}: {missing(data)}", data)
    names = [*BUILT_IN, "paintings", *torchvision_names]
    hint = nearest(name, names) or missing(data).removeprefix("does not exist")
    hint = hint or f" (names known: {', '.join(names)})"
    raise MissingDataError(f"--data: no file, folder or data set named {printable(data)!r}{hint}", data)


def _drawn_set(name: str) -> Source:
    def items(reporter: ProgressReporter) -> Items:
        from a2cli.drawn_sets.atelier import draw_atelier
        from a2cli.drawn_sets.portraits import draw_portraits

        reporter.step("drawing the images")
        drawn = {"atelier": draw_atelier, "portraits": draw_portraits}[name](reporter=reporter)
        reporter.step("")
        return items_of(drawn.images, drawn.labels, drawn.class_names, drawn.names)

    return Source(name, f"{name} 1", items)  # 1: of the drawings; with another number all are packed anew


def _torchvision_set(name: str) -> Source:
    def items(reporter: ProgressReporter) -> Items:
        from torchvision import datasets

        folder, kind = str(data_folder() / "torchvision"), getattr(datasets, name)
        test_part = False if name in TORCHVISION_BY_FLAG else "test"
        reporter.step(f"fetching them into {folder}")
        try:
            with told_to(reporter, datasets.utils):
                # The defaults are the training parts, of OxfordIIITPet train and val together.
                train, test = kind(folder, download=True), kind(folder, test_part, download=True)
        except (OSError, RuntimeError, ImportError) as error:  # some sets need SciPy
            raise DataError(f"--data {name}: torchvision cannot fetch it into {folder} ({_reason(error)})") from None
        parts = {"train": train, "test": test}
        images = [(part, i) for part, data in parts.items() for i in range(len(data))]
        reporter.step("reading the labels")
        labels = [int(parts[part][i][1]) for part, i in reporter.batches(images, len(images))]
        reporter.step("")
        classes = getattr(train, "classes", None) or sorted({str(label) for label in labels}, key=int)

        def image(number: int) -> Decoded:
            part, i = images[number]
            stored = parts[part][i][0]
            return Decoded(stored.convert("RGB"), stored.mode, stored.size)

        names = [f"{part}/{i:06d}" for part, i in images]
        return Items(tuple(classes), names, labels, [part for part, _ in images], image)

    return Source(name, f"torchvision {name}", items)


def _reason(error: Exception) -> str:
    """Return why nothing could be fetched: torchvision puts each mirror's error into a text of many lines."""
    text = " ".join(str(error).split())
    if told := re.search(r"<urlopen error (?:\[Errno -?\d+\] )?([^<>]+)>", text):
        return f"no connection: {told[1]}"
    return textwrap.shorten(text, 120, placeholder=" ...")


def _from_listing(label: Path, root: Path, listing: Listing, notes: Sequence[str] = ()) -> Source:
    classes = sorted({name for _, name, _ in listing.files})
    index = {name: i for i, name in enumerate(classes)}
    lines = [f"{path}\t{name}\t{split}\t{_stamp(path)}" for path, name, split in listing.files]
    items = Items(
        class_names=tuple(map(printable, classes)),
        names=[printable(_below(path, root)) for path, _, _ in listing.files],
        labels=[index[name] for _, name, _ in listing.files],
        splits=[split for _, _, split in listing.files],
        image=lambda i: read_image(listing.files[i][0]),
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
        return Path(os.path.relpath(path, root)).as_posix()  # Path.relative_to takes no "..", as manifests may have
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
