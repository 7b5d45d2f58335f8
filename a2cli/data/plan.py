"""What there is to read in a folder or manifest, for `--dry-run`."""

from collections import Counter
from pathlib import Path

from a2cli.data.folders import list_folder
from a2cli.data.listing import passed_over_in_words
from a2cli.data.manifests import list_manifest
from a2cli.errors import DataError, MissingDataError, missing
from a2cli.formats import counted
from a2cli.text import printable


def plan_data(data: str | None) -> list[str]:
    """Return what `--data` names, line by line: images, classes, parts, and what is passed over or not used.

    Only of folders and manifests, which are listed at once. Raises DataError as reading them would.
    """
    path = Path(data or "")
    try:
        if data and path.is_dir():
            listing = list_folder(path)
        elif path.suffix.lower() == ".csv" and path.is_file():
            listing = list_manifest(path)
        elif data and (path.suffix or path.name != data) and not path.exists():  # no data set's name
            raise MissingDataError(f"--data {printable(data)}: {missing(data)}", data)
        else:
            return []
    except OSError as error:
        raise DataError(f"--data {printable(str(error.filename or path))}: cannot be read ({error.strerror})") from None
    parts = Counter(part for *_, part in listing.files)
    split = f" ({', '.join(f'{part} {count}' for part, count in parts.items())})" * ("" not in parts)
    classes = len({label for _, label, _ in listing.files})
    lines = [f"Data: {counted(len(listing.files), 'image')} of {classes} classes{split}"]
    if said := passed_over_in_words(listing.passed_over, all_of_it=True):
        lines.append(f"Passed over: {said}")
    if listing.unused:
        lines.append(f"Not used: {', '.join(listing.unused)}")
    return [*lines, *(f"Note: {note}" for note in listing.notes)]
