"""The figures of `a2 visualize-weights`, each beside the numbers that it was drawn from."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from torch import Tensor

from a2cli.columns import placed
from a2cli.runs.directory import Run
from a2cli.visualize_weights import figures as plots
from a2cli.visualize_weights import image_figures as image_plots
from a2cli.visualize_weights.findings import NetworkFindings
from a2cli.visualize_weights.results import LayerWeights
from a2cli.visualize_weights.saliency import SaliencyMaps
from a2cli.visualize_weights.settings import ViewSettings
from a2cli.visualize_weights.units import Excited

FILMED = 16  # units in a film
SIDE_BY_SIDE = 6  # units of a network where there are several in one figure
FRAME_MILLISECONDS = 700
CAPTION = 24  # pixels


def draw(
    run: Run,
    findings: Sequence[NetworkFindings],
    maps: Sequence[SaliencyMaps],
    settings: ViewSettings,
    *,
    animate: bool,
) -> None:
    """Write all figures into the run directory; with several networks one a network, numbered, and some together."""
    with_filters = [found for found in findings if "filters" in found.shown]
    if with_filters:
        most = plots.MOST_FILTERS // len(with_filters)
        banks = [_bank(found, settings.units or range(most)) for found in with_filters]
        arrays = {f"{bank.name}/filters": bank.weights for bank in banks}
        run.save_pictures("filters", partial(plots.filters, banks), arrays)
    units = [_bank(found, [view.unit for view in found.result.units]) for found in findings if "units" in found.shown]
    if len(units) > 1:
        _draw_units(run, "units", [bank.first(SIDE_BY_SIDE) for bank in units], settings,
                    f", {SIDE_BY_SIDE} of each at most")  # fmt: skip
    for number, bank in enumerate(units, start=1):
        _draw_units(run, _numbered("units", number, units), [bank], settings)
    for number, found in enumerate(findings, start=1):
        for layer in found.excited:
            _draw_excited(run, _numbered(layer.layer, number, findings), found, layer, settings)
        if found.result.layers:
            name = _numbered("evidence", number, findings)
            _draw_evidence(run, name, found.viewed.name, found.result.layers, found.spectra)
        if found.film:
            _draw_film(run, _numbered("film", number, findings), found, settings, animate=animate)
    for number, shown in enumerate(maps, start=1):
        _draw_look(run, f"look-{number}", shown)


def _numbered(name: str, number: int, among: Sequence[object]) -> str:
    return name if len(among) == 1 else f"{name}-{number}"


def _bank(found: NetworkFindings, units: Sequence[int]) -> plots.Bank:
    """Return those of these units that the first layer has, with what was found of them."""
    viewed = found.viewed
    weight = viewed.layers[viewed.first].weight.cpu()
    filters = viewed.filters(weight)[[unit for unit in units if unit < len(weight)]].numpy()
    return plots.Bank(viewed.name, filters, found.result.units, viewed.class_names)


def _draw_units(run: Run, name: str, banks: Sequence[plots.Bank], settings: ViewSettings, note: str = "") -> None:
    arrays = {}
    for bank in banks:
        arrays[f"{bank.name}/units"] = np.array([view.unit for view in bank.views])
        arrays[f"{bank.name}/weights"] = bank.weights
        arrays[f"{bank.name}/to_classes"] = np.array([view.classes for view in bank.views])
        arrays[f"{bank.name}/classes"] = np.array(bank.class_names)
    run.save_pictures(name, partial(plots.units, banks, settings.class_, note), arrays)


PLACES = placed(
    "unit", "place", "image", "truth", "answer", "first_row", "last_row", "first_column", "last_column"
)  # fmt: skip


def _draw_excited(run: Run, name: str, found: NetworkFindings, layer: Excited, settings: ViewSettings) -> None:
    viewed, shows_patches = found.viewed, "patches" in found.shown
    cut = layer.patches.numpy() if shows_patches else layer.patches[:, :0].numpy()
    pictures = None if layer.pictures is None else layer.pictures.numpy()
    arrays = {"units": np.array([view.unit for view in layer.views]), "patches": cut}
    if pictures is not None:
        arrays["ascent"] = pictures
    figure = partial(image_plots.patches, layer.layer, viewed.name, layer.views, cut, pictures, settings.class_)
    run.save_pictures(f"patches-{name}", figure, arrays)
    if not shows_patches:
        return
    rows = {viewed.names[int(row)]: int(row) for row in viewed.images.rows}
    wanted = dict.fromkeys(patch.image for view in layer.views for patch in view.patches)
    images = {file: viewed.images.images[rows[file]].numpy() for file in wanted}
    run.save_figure(
        f"images-{name}",
        partial(image_plots.places, layer.layer, viewed.name, layer.views, images),
        PLACES,
        [
            (view.unit, place, patch.image, patch.truth, patch.value, *patch.rows, *patch.columns)
            for view in layer.views
            for place, patch in enumerate(view.patches, start=1)
        ],
    )


def _draw_evidence(
    run: Run, name: str, network: str, layers: Sequence[LayerWeights], spectra: Mapping[str, Tensor]
) -> None:
    values = {layer: spectrum.numpy() for layer, spectrum in spectra.items()}
    run.save_figure(
        name,
        partial(plots.evidence, network, layers, values),
        placed("layer", "place", "singular_value", "least_drawn", "largest_drawn"),
        [(layer, place, *row) for layer, spectrum in values.items() for place, row in enumerate(spectrum.T, start=1)],
    )


def _draw_film(run: Run, name: str, found: NetworkFindings, settings: ViewSettings, *, animate: bool) -> None:
    viewed, units = found.viewed, found.result.units if "units" in found.shown else []
    chosen = settings.units or [view.unit for view in units] or range(FILMED)
    chosen = [unit for unit in chosen if unit < viewed.layers[viewed.first].units][:FILMED]
    frames = [(frame, viewed.filters(weight)[chosen].numpy()) for frame, weight in found.film]
    arrays: dict[str, NDArray[Any]] = {"units": np.array(chosen)}
    arrays |= {f"epoch {frame.epoch}": weights for frame, weights in frames}
    run.save_pictures(name, partial(plots.film, frames, viewed.name, chosen), arrays)
    if animate:
        run.save_drawn(name, lambda: {"gif": _animation(plots.frames_of(frames))})


def _animation(frames: Sequence[tuple[str, NDArray[np.uint8]]]) -> bytes:
    """Return frames, each with its words, as a GIF."""
    pages, written = [_page(words, pixels) for words, pixels in frames], io.BytesIO()
    shown = [*[FRAME_MILLISECONDS] * (len(pages) - 1), 3 * FRAME_MILLISECONDS]
    pages[0].save(written, "GIF", save_all=True, append_images=pages[1:], duration=shown, loop=0)
    return written.getvalue()


def _page(words: str, pixels: NDArray[np.uint8]) -> Image.Image:
    """Return a frame of an animation: its words over its pixels."""
    page = Image.new("RGB", (pixels.shape[1], pixels.shape[0] + CAPTION), "white")
    page.paste(Image.fromarray(pixels), (0, CAPTION))
    ImageDraw.Draw(page).text((4, 3), words, fill="#333333", font_size=CAPTION - 8)
    return page


def _draw_look(run: Run, name: str, shown: SaliencyMaps) -> None:
    arrays: dict[str, NDArray[Any]] = {"image": shown.image}
    for pair in shown.maps:
        arrays |= {pair.result.method: pair.trained, f"{pair.result.method}, random weights": pair.random}
    run.save_pictures(name, partial(image_plots.looks, shown.look, shown.image, shown.maps), arrays)
