"""The figures of `a2 visualize-weights`, each beside the numbers that it was drawn from."""

import io
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from a2cli.columns import Column, placed
from a2cli.runs.directory import Run
from a2cli.visualize_weights import figures as plots
from a2cli.visualize_weights import saliency_figures as look_plots
from a2cli.visualize_weights.findings import NetworkFindings
from a2cli.visualize_weights.results import Patch
from a2cli.visualize_weights.saliency import SaliencyMaps
from a2cli.visualize_weights.settings import ViewSettings
from a2cli.visualize_weights.spectra_figures import evidence
from a2cli.visualize_weights.unit_figures import Excited

FILMED = 16  # units in a film
SIDE_BY_SIDE = 6  # units of a network where there are several in one figure
FRAME_MILLISECONDS = 700
CAPTION = 24  # pixels


def draw(
    run: Run, seen: Sequence[NetworkFindings], looked: Sequence[SaliencyMaps], settings: ViewSettings, *, animate: bool
) -> None:
    """Write all figures into the run directory; with several networks one a network, numbered, and some together."""
    of = [one for one in seen if one.shows("filters", settings)]
    banks = [_filters(one, settings, plots.MOST_FILTERS // len(of)) for one in of]
    if banks:
        arrays = {f"{one.name}/filters": one.weights for one in banks}
        run.save_pictures("filters", partial(plots.filters, banks), arrays)
    units = [_units(one) for one in seen if one.units]
    if len(units) > 1:
        _draw_units(run, "units", [_fewer(one) for one in units], settings, f", {SIDE_BY_SIDE} of each at most")
    for number, bank in enumerate(units, start=1):
        _draw_units(run, _numbered("units", number, units), [bank], settings)
    for number, one in enumerate(seen, start=1):
        for layer in one.excited:
            _draw_excited(run, _numbered(layer.layer, number, seen), one, layer, settings)
        if one.layers:
            _draw_evidence(run, _numbered("evidence", number, seen), one)
        if one.film:
            _draw_film(run, _numbered("film", number, seen), one, settings, animate=animate)
    for number, found in enumerate(looked, start=1):
        _draw_look(run, f"look-{number}", found)


def _numbered(name: str, number: int, among: Sequence[object]) -> str:
    return name if len(among) == 1 else f"{name}-{number}"


def _filters(seen: NetworkFindings, settings: ViewSettings, most: int) -> plots.Bank:
    viewed = seen.viewed
    weight = viewed.layers[viewed.first].weight.cpu()
    shown = list(settings.units) or list(range(min(len(weight), most)))
    shown = [unit for unit in shown if unit < len(weight)]
    return plots.Bank(viewed.name, shown, viewed.filters(weight)[shown].numpy())


def _units(seen: NetworkFindings) -> plots.Bank:
    viewed = seen.viewed
    shown = [view.unit for view in seen.units]
    weights = viewed.filters(viewed.layers[viewed.first].weight.cpu())[shown]
    return plots.Bank(viewed.name, shown, weights.numpy(), seen.units, viewed.class_names)


def _fewer(bank: plots.Bank) -> plots.Bank:
    some = slice(SIDE_BY_SIDE)
    return plots.Bank(bank.name, bank.units[some], bank.weights[some], bank.views[some], bank.class_names)


def _draw_units(run: Run, name: str, banks: Sequence[plots.Bank], settings: ViewSettings, note: str = "") -> None:
    arrays = {}
    for one in banks:
        arrays[f"{one.name}/units"] = np.array(one.units)
        arrays[f"{one.name}/weights"] = one.weights
        arrays[f"{one.name}/to_classes"] = np.array([view.classes for view in one.views])
        arrays[f"{one.name}/classes"] = np.array(one.class_names)
    run.save_pictures(name, partial(plots.units, banks, settings.class_, note), arrays)


PLACES: list[Column[tuple[int, int, Patch]]] = [
    Column("unit", lambda row: row[0]),
    Column("place", lambda row: row[1]),
    Column("image", lambda row: row[2].image),
    Column("truth", lambda row: row[2].truth),
    Column("answer", lambda row: row[2].value),
    Column("first_row", lambda row: row[2].rows[0]),
    Column("last_row", lambda row: row[2].rows[1]),
    Column("first_column", lambda row: row[2].columns[0]),
    Column("last_column", lambda row: row[2].columns[1]),
]


def _draw_excited(run: Run, name: str, seen: NetworkFindings, layer: Excited, settings: ViewSettings) -> None:
    viewed, cut = seen.viewed, layer.patches.numpy()
    pictures = None if layer.pictures is None else layer.pictures.numpy()
    if not seen.shows("patches", settings):
        cut = cut[:, :0]
    arrays = {"units": np.array([one.unit for one in layer.views]), "patches": cut}
    if pictures is not None:
        arrays["ascent"] = pictures
    draw = partial(plots.patches, layer.layer, viewed.name, layer.views, cut, pictures, settings.class_)
    run.save_pictures(f"patches-{name}", draw, arrays)
    if not seen.shows("patches", settings):
        return
    rows = {viewed.names[int(row)]: int(row) for row in viewed.images.rows}
    wanted = dict.fromkeys(patch.image for view in layer.views for patch in view.patches)
    images = {one: viewed.images.images[rows[one]].numpy() for one in wanted}
    run.save_figure(
        f"images-{name}",
        partial(plots.places, layer.layer, viewed.name, layer.views, images),
        PLACES,
        [(view.unit, place, one) for view in layer.views for place, one in enumerate(view.patches, start=1)],
    )


def _draw_evidence(run: Run, name: str, seen: NetworkFindings) -> None:
    spectra = {key: (one.values.numpy(), one.low.numpy(), one.high.numpy()) for key, one in seen.spectra.items()}
    run.save_figure(
        name,
        partial(evidence, seen.viewed.name, seen.layers, spectra),
        placed("layer", "place", "singular_value", "least_drawn", "largest_drawn"),
        [(layer, place, *values) for layer, one in spectra.items()
         for place, values in enumerate(zip(*one, strict=True), start=1)],
    )  # fmt: skip


def _draw_film(run: Run, name: str, seen: NetworkFindings, settings: ViewSettings, *, animate: bool) -> None:
    viewed = seen.viewed
    chosen = list(settings.units) or [view.unit for view in seen.units] or list(range(FILMED))
    chosen = [unit for unit in chosen if unit < viewed.layers[viewed.first].units][:FILMED]
    frames = [(frame, viewed.filters(weight).numpy()) for frame, weight in seen.film]
    arrays = {f"epoch {frame.epoch}": weights[chosen] for frame, weights in frames}
    run.save_pictures(name, partial(plots.film, frames, viewed.name, chosen), {"units": np.array(chosen), **arrays})
    if animate:
        run.save_drawn(name, lambda: {"gif": _animation(plots.frames_of(frames, chosen))})


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


def _draw_look(run: Run, name: str, found: SaliencyMaps) -> None:
    maps = [
        look_plots.MapPair(said, own.signed, own.values.cpu().numpy(), other.numpy())
        for said, own, other in zip(found.look.maps, found.trained, found.random, strict=True)
    ]
    arrays = {"image": found.image.numpy()}
    for one in maps:
        arrays |= {one.said.method: one.trained, f"{one.said.method}, random weights": one.random}
    run.save_pictures(name, partial(look_plots.looks, found.look, found.image.numpy(), maps), arrays)
