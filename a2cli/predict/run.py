"""`a2 predict`: what trained networks answer to images, batch by batch."""

import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from a2cli.commands import make_page
from a2cli.data.decode import DamagedImageError, read_image, to_square
from a2cli.data.files import NamedImage, find_images
from a2cli.errors import DataError
from a2cli.formats import counted
from a2cli.machine import cores
from a2cli.models.cards import ModelCard
from a2cli.predict.settings import PredictionSettings
from a2cli.progress import ProgressReporter
from a2cli.reports.predictions import Answer, Broken, Prediction, Predictions
from a2cli.runs.figure_files import reason_of, rendered
from a2cli.runtime import set_up
from a2cli.storage import check_absent, write
from a2cli.text import printable
from a2cli.train.ensemble import Ensemble, find_ensemble
from a2cli.train.recheck_files import metrics_gone

MOST_PICTURED = 100
THUMBNAIL = 240  # pixels; a tile of 1.5 inches has 225 of them
MOST_A_TASK = 16  # images; handing small ones to threads one by one takes as long as reading them

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Read:
    """An image as the network takes it, (S, S, 3), and one to look at, (H, W, 3), if there is to be a picture.

    `scaling_assumed` where it has more than 8 bits and the network was trained on none such.
    """

    name: str
    square: Pixels
    thumbnail: Pixels | None
    scaling_assumed: bool


def predict(
    settings: PredictionSettings,
    picture: str | None,
    reporter: ProgressReporter,
    *,
    overwrite: bool = False,
    html: str | None = None,
) -> Predictions:
    """Return a run's answers to the images that the settings name; write the files that `picture` and `html` name.

    They are a contact sheet, and a page with it and the answers.

    What is not an image that can be used is in `broken`, and the rest is done. Raises SettingsError for a device that
    is not there, DataError for a run without finished networks, and for a picture that cannot be written, or is there
    already, unless `overwrite`.
    """
    assert settings.run is not None, "checked before"
    reporter.phase(f"loading the networks of {settings.run}", brief=True)
    device = set_up(settings.device, settings.threads)
    ensemble = find_ensemble(settings.run, device)
    for missing in metrics_gone(ensemble.folders):
        reporter.warn(missing)
    images, broken, passed_over = find_images(settings.image)
    classes = ensemble.card.class_names
    for flag, file in {"--picture": picture, "--html": html}.items():
        if file is not None:
            _check_absent(flag, file, images, overwrite=overwrite)
    with_sheet = picture or html
    notes = ensemble.warnings + passed_over
    if settings.top > len(classes) and settings.top != PredictionSettings().top:
        notes.append(f"--top {settings.top}: there are {len(classes)} classes, so as many answers")
    if with_sheet and len(images) > MOST_PICTURED:
        notes.append(f"{'--picture' if picture else '--html'}: shows the first {MOST_PICTURED} of {len(images)} images")
    for note in notes:
        reporter.warn(note)
    size = settings.batch_size
    if len(images) > size:  # else it is over before anyone has read it
        reporter.phase(f"answering {counted(len(images), 'image')}", "predicting")
    predictions, thumbnails, assumed = list[Prediction](), list[Pixels](), 0
    batches = _batches(images, ensemble.card, size, settings.threads or cores(), MOST_PICTURED if with_sheet else 0)
    with warnings.catch_warnings(action="ignore"):  # Pillow's, on odd metadata of images that it reads all the same
        for batch in reporter.batches(batches, -(-len(images) // size)):
            read = [image for image in batch if isinstance(image, Read)]
            broken += [image for image in batch if isinstance(image, Broken)]
            thumbnails += [image.thumbnail for image in read if image.thumbnail is not None]
            assumed += sum(image.scaling_assumed for image in read)
            predictions += _answers(read, ensemble, settings.top, device) if read else []
    if assumed:
        notes.append(
            f"{assumed} of 16 bits, 0 to 65535 taken as black to white, as the network was trained on images of 8 bits"
        )
        reporter.warn(notes[-1])
    results = Predictions(
        run=settings.run,
        networks=ensemble.folders,
        method=ensemble.method,
        classes=[printable(name) for name in classes],
        image_size=ensemble.card.image_size,
        fit=ensemble.card.fit,
        pretrained=ensemble.pretrained,
        predictions=predictions,
        broken=broken,
        warnings=notes,
        picture=picture if thumbnails else None,
        weights_sha256=ensemble.weights_sha256,
    )
    sheet = None
    if thumbnails:
        results, sheet = _pictured(results, thumbnails, reporter)
    if picture and sheet:
        _write("--picture", picture, sheet)
    if html:
        _write("--html", html, make_page("page_of_predictions", results, sheet).encode())
    return results


def _batches(
    images: Sequence[NamedImage], card: ModelCard, batch_size: int, threads: int, pictured: int
) -> Iterator[list[Read | Broken]]:
    """Yield images in batches, in order, read by so many threads while the batches before are being answered.

    The first `pictured` of them have a thumbnail.
    """
    part = max(1, min(MOST_A_TASK, min(batch_size, len(images)) // (4 * threads)))

    def read(rows: range) -> list[Read | Broken]:
        return [_read(images[row], card, row < pictured) for row in rows]

    waiting: deque[list[Future[list[Read | Broken]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for start in range(0, len(images), batch_size):
                rows = range(start, min(start + batch_size, len(images)))
                waiting.append([pool.submit(read, rows[i : i + part]) for i in range(0, len(rows), part)])
                if len(waiting) > 2:  # two are read ahead while one is answered, and no more are in memory
                    yield [image for task in waiting.popleft() for image in task.result()]
            while waiting:
                yield [image for task in waiting.popleft() for image in task.result()]
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # else Ctrl-C waits for all that was handed in


def _read(image: NamedImage, card: ModelCard, with_thumbnail: bool) -> Read | Broken:
    try:
        stored = read_image(image.file)
        decoded = stored.rgb(card.value_range)
        square = to_square(decoded, card.image_size, card.fit)
    except DamagedImageError as reason:
        return Broken(image.name, str(reason))
    scaling_assumed = stored.is_deep and card.value_range is None
    if with_thumbnail:
        decoded.thumbnail((THUMBNAIL, THUMBNAIL))
    return Read(image.name, square, np.asarray(decoded) if with_thumbnail else None, scaling_assumed)


def _answers(read: Sequence[Read], ensemble: Ensemble, top: int, device: torch.device) -> Iterator[Prediction]:
    """Yield the most probable answers to a batch of images; among equals the first class wins, as in validation."""
    names = [printable(name) for name in ensemble.card.class_names]
    squares = torch.from_numpy(np.stack([image.square for image in read]))
    probabilities = ensemble.probabilities(squares.permute(0, 3, 1, 2), device)
    values, classes = probabilities.sort(dim=1, descending=True, stable=True)  # topk leaves the order of equals open
    for image, row, places in zip(read, values[:, :top].tolist(), classes[:, :top].tolist(), strict=True):
        first, *others = (Answer(names[place], value) for place, value in zip(places, row, strict=True))
        yield Prediction(image.name, first.name, first.probability, others)


def _check_absent(flag: str, file: str, images: Sequence[NamedImage], *, overwrite: bool) -> None:
    """Raise DataError where a file that a flag names cannot be written, or is one of the images."""
    path = Path(file)
    files = [Path(image.file) for image in images if isinstance(image.file, str)]
    if path.exists() and path.resolve() in {each.resolve() for each in files}:
        raise DataError(f"{flag} {file}: is one of the images; name another file")
    check_absent(flag, file, overwrite=overwrite)


def _pictured(
    results: Predictions, thumbnails: Sequence[Pixels], reporter: ProgressReporter
) -> tuple[Predictions, bytes | None]:
    """Return the contact sheet (PNG), and the results with what was wrong with it."""
    reporter.phase("drawing the picture", "drawing", brief=True)
    try:
        import_module("a2cli.figures")  # sets matplotlib up, before the module of this figure loads it
        from a2cli.predict.figures import contact_sheet

        return results, rendered(contact_sheet(results, thumbnails), "png")
    except Exception as error:  # whatever matplotlib fails with; no answer is lost for it
        what = f"--picture {results.picture}:" if results.picture else "--html: the contact sheet"
        note = f"{what} could not be drawn ({reason_of(error)})"
        reporter.warn(note, error)
        return replace(results, picture=None, warnings=[*results.warnings, note]), None


def _write(flag: str, file: str, content: bytes) -> None:
    try:
        write(Path(file), content)
    except OSError as error:
        raise DataError(f"{flag} {file}: cannot be written ({error.strerror})") from None
