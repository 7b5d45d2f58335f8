"""Singular values of layers, over those of re-initialised networks."""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from a2cli.figures.common import (
    FAINT,
    INK,
    VERDICTS,
    evenly,
    fitted,
    legend_above,
    legend_height,
    new_axes,
    plain,
    shortened,
    some_of,
    titled,
)
from a2cli.visualize_weights.results import LayerWeights

Values = NDArray[np.float32]
WIDTH = 7.0
MOST_LAYERS = 21
SCALE = "these depend on the scale of the weights; what is judged as learned does not"
NAME = 40  # letters of a network's name
STYLES: dict[str, Literal["-", "--"]] = {"learned": "-", "like its initialisation": "--"}


def evidence(name: str, layers: Sequence[LayerWeights], spectra: Mapping[str, tuple[Values, Values, Values]]) -> Figure:
    """Each layer's singular values, over the band of those of re-initialised networks."""
    of, layers = len(layers), evenly(layers, MOST_LAYERS)
    across = min(3, len(layers))
    deep, wide, high = -(-len(layers) // across), WIDTH / across, 1.7
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=VERDICTS[verdict]["color"], label=f"its own: {verdict}", linestyle=style)
        for verdict, style in STYLES.items()
    ]
    handles.append(Patch(facecolor=FAINT, label="re-initialised networks, least to most"))
    legend = legend_height(WIDTH, [str(one.get_label()) for one in handles])
    title = f"Singular values of each layer's weights, {shortened(name, NAME)}, in their order"
    figure, head = titled(WIDTH, legend + deep * high, title + some_of(len(layers), of, "layers"), SCALE)
    for i, layer in enumerate(layers):
        left, top = i % across * wide, head + legend + i // across * high
        axes = new_axes(
            figure, left + 0.5, (deep - 1 - i // across) * high + 0.45, WIDTH - left - wide + 0.12, top + 0.22
        )
        values, least, largest = spectra[layer.layer]
        order = np.arange(1, len(values) + 1)
        axes.fill_between(order, least, largest, color=FAINT)
        axes.plot(order, values, color=VERDICTS[layer.verdict]["color"], linewidth=1.3, linestyle=STYLES[layer.verdict],
                  marker="o" if len(values) == 1 else "")  # fmt: skip
        plain(axes, "", "place in the order", "singular value")
        axes.set_title(fitted(layer.layer, wide - 0.65, 7.5), loc="left", fontsize=7.5, color=INK)
        axes.tick_params(labelsize=6.5)
        axes.xaxis.label.set_fontsize(7)
        axes.yaxis.label.set_fontsize(7)
        axes.set_ylim(0, None)
        axes.set_xlim((1, len(values)) if len(values) > 1 else (0.5, 1.5))
        axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
    legend_above(figure, handles, head)
    return figure
