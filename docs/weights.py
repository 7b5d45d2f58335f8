"""Runs sections 2.3 and 2.5 on faces, and the same on the drawn portraits, and writes weights.md.

python docs/weights.py run FACES WEIGHTS     # WEIGHTS: AlexNet's, of its convolutions at least
python docs/weights.py write                 # docs/weights.md and its pictures, from the run folders alone
"""

import json
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from PIL import Image

from a2cli.command_line.arguments import training_of
from a2cli.formats import mean_and_deviation
from a2cli.probe_invariance.targets import TrainingRun
from a2cli.progress import NullReporter
from a2cli.reports.report import Report, report_from
from a2cli.reports.training_results import Spread, TrainingResults
from a2cli.statistics.intervals import spread
from a2cli.visualize_weights.inspected import InspectedNetwork, find_viewed
from a2cli.visualize_weights.results import LayerWeights, WeightResults
from a2cli.visualize_weights.settings import ViewSettings
from a2cli.visualize_weights.units import pixel_units

RUNS = Path("runs/weights")
SEEDS = 5
NETWORKS = ("2.3-mlp", "2.3-mlp-l2", "2.3-mlp-800", "2.3-mlp-800-l2")
TUNED = (
    "--layer",
    "conv4",
    "--head-grid",
    6,
    "--fit",
    "squash",
    "--stages",
    "head:20 conv4+:5@1e-4",
    "--val-fraction",
    0.1,
    "--test-fraction",
    0.1,
)
LOOKED_AT = 4  # images
METHODS = ("gradient", "guided-backprop", "integrated-gradients", "grad-cam", "occlusion")
CPU = torch.device("cpu")


def run_all(faces: Path, weights: Path) -> None:
    """Run what is not there yet."""
    RUNS.mkdir(parents=True, exist_ok=True)
    for data, name, seeds in ((faces, "faces", SEEDS), ("portraits", "portraits", 1)):
        for preset in NETWORKS:
            train("train-mlp", f"{name}-{preset}", "-p", preset, "--data", data, "--seeds", seeds)
        inner = "/seeds/0" if seeds > 1 else ""
        networks = [flag for preset in NETWORKS for flag in ("--run", RUNS / f"{name}-{preset}{inner}")]
        look(f"{name}-units", *networks, "--count", 6)
        train("finetune", f"{name}-tuned", "--data", data, "--weights", weights, *TUNED)
    for preset in NETWORKS:
        for seed in range(SEEDS):
            look(f"faces-{preset}-{seed}", "--run", RUNS / f"faces-{preset}/seeds/{seed}", "--show", "evidence")
    look("alexnet", "--backbone", "alexnet", "--weights", weights, "--data", faces, "--show", "evidence,filters")
    held_out = viewed_of("faces-tuned")
    rows = held_out.images.rows[:LOOKED_AT]
    images = [flag for row in rows for flag in ("--image", faces / held_out.names[int(row)])]
    look("faces-looks", "--run", RUNS / "faces-tuned", "--show", "evidence", *images)
    save_portrait(RUNS / "portrait.png")
    look("portraits-looks", "--run", RUNS / "portraits-tuned", "--image", RUNS / "portrait.png", "--count", 8)


def save_portrait(path: Path) -> None:
    """Write one drawn portrait that the tuned network did not learn from."""
    held_out = viewed_of("portraits-tuned")
    Image.fromarray(held_out.images.images[held_out.images.rows[0]].numpy()).save(path)


def train(command: str, name: str, *flags: object) -> None:
    folder = RUNS / name
    if not (folder / "config.yaml").exists():
        a2(command, *flags, "--threads", 1, "--out", folder)
    elif json.loads((folder / "report.json").read_text())["status"] != "done":
        a2(command, "--resume", folder)


def look(name: str, *flags: object) -> None:
    if not (RUNS / name).exists():
        a2("visualize-weights", *flags, "--threads", 1, "--out", RUNS / name)


def a2(*arguments: object) -> None:
    print("a2", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "a2cli", *map(str, arguments), "--quiet"], check=True)


def viewed_of(name: str) -> InspectedNetwork:
    folder = str(RUNS / name)
    trained = TrainingRun(folder, training_of("--run", folder))
    return find_viewed(ViewSettings(run=(folder,)), [trained], CPU, NullReporter())[0]


# What the runs say


def report_of(name: str) -> Report:
    return report_from(json.loads((RUNS / name / "report.json").read_text()))


def found_in(name: str) -> WeightResults:
    results = report_of(name).results
    assert isinstance(results, WeightResults), name
    return results


def first_layer(name: str) -> LayerWeights:
    return found_in(name).networks[0].layers[0]


def measure(layer: LayerWeights, name: str) -> float:
    return next(one.value for one in layer.measures if one.name == name)


def over_seeds(values: list[float], digits: int = 2) -> str:
    return mean_and_deviation(spread(values), digits)


def likenesses(viewed: InspectedNetwork) -> list[float]:
    """Return for each unit that ever answers how its picture correlates with the people it speaks for most.

    With their mean image less everyone's, both without colour.
    """
    units = pixel_units(viewed, ViewSettings(count=viewed.layers[viewed.first].units), NullReporter())
    pixels = viewed.filters(viewed.layers[viewed.first].weight).mean(dim=1).flatten(1).double()
    images, labels = everything(viewed)
    grey = images.double().mean(dim=1).flatten(1)
    means = torch.stack([grey[labels == k].mean(dim=0) for k in range(len(viewed.class_names))])
    means -= grey.mean(dim=0)
    found = []
    for one in units:
        if any(one.classes):
            most = int(np.argmax(one.classes))
            found.append(float(torch.corrcoef(torch.stack((pixels[one.unit], means[most])))[0, 1]))
    return found


def everything(viewed: InspectedNetwork) -> tuple[torch.Tensor, torch.Tensor]:
    """Return all images of the set, those that were learned from as well: (N, 3, H, W), (N,)."""
    from a2cli.data.packing import pack
    from a2cli.data.sources import find_source

    packed = pack(find_source(viewed.source), viewed.image_size, viewed.fit, False, 1, NullReporter())
    return torch.from_numpy(packed.images).permute(0, 3, 1, 2), torch.from_numpy(packed.labels)


def networks_table() -> list[str]:
    lines = ["| network | validation | norm | smoothness | effective rank | dead units | like whom it speaks for |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for preset in NETWORKS:
        results = report_of(f"faces-{preset}").results
        assert isinstance(results, TrainingResults) and isinstance(results.val, Spread), preset
        layers = [first_layer(f"faces-{preset}-{seed}") for seed in range(SEEDS)]
        cells = [
            over_seeds([measure(one, name) for one in layers]) for name in ("norm", "smoothness", "effective rank")
        ]
        dead = over_seeds([len(one.dead) for one in layers], 0)
        alike = over_seeds([fmean(likenesses(viewed_of(f"faces-{preset}/seeds/{seed}"))) for seed in range(SEEDS)])
        accuracy = mean_and_deviation(results.val)
        lines.append(f"| `{preset}` | {accuracy} | {cells[0]} | {cells[1]} | {cells[2]} | {dead} | {alike} |")
    drawn = {one.name: one.random for one in first_layer("faces-2.3-mlp-0").measures}
    lines.append(
        f"| drawn, 300 units | | {drawn['norm']:.2f} | {drawn['smoothness']:.2f} | {drawn['effective rank']:.2f} | | |"
    )
    return lines


def units_table() -> list[str]:
    """Return two units of each network of the first seed: the two that it uses most."""
    lines = ["| network | unit | use | most for | most against | smoothness | like whom it speaks for |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    from a2cli.visualize_weights.weights import smoothness

    for preset in NETWORKS:
        viewed = viewed_of(f"faces-{preset}/seeds/0")
        alike = likenesses_by_unit(viewed)
        pictures = viewed.filters(viewed.layers[viewed.first].weight)
        for one in pixel_units(viewed, ViewSettings(count=2), NullReporter()):
            order = np.argsort(one.classes)
            names = [viewed.class_names[int(order[i])] for i in (-1, 0)]
            smooth = smoothness(pictures[one.unit][None])
            lines.append(f"| `{preset}` | {one.unit} | {one.use:.2f} | {names[0]} | {names[1]} | {smooth:.2f} | "
                         f"{alike[one.unit]:.2f} |")  # fmt: skip
    return lines


def likenesses_by_unit(viewed: InspectedNetwork) -> dict[int, float]:
    units = pixel_units(viewed, ViewSettings(count=viewed.layers[viewed.first].units), NullReporter())
    return dict(zip([one.unit for one in units if any(one.classes)], likenesses(viewed), strict=True))


def layers_table(name: str) -> list[str]:
    lines = ["| layer | units | dead (drawn) | groups of equals | smoothness | effective rank (drawn) | verdict |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for one in found_in(name).networks[0].layers:
        rank = next(two for two in one.measures if two.name == "effective rank")
        smooth = next((f"{two.value:.2f}" for two in one.measures if two.name == "smoothness"), "")
        dead = f"{len(one.dead)} ({one.dead_random})"
        lines.append(f"| {one.layer} | {one.units} | {dead} | {len(one.duplicates)} | {smooth} | "
                     f"{rank.value:.2f} ({rank.random:.2f}) | {one.verdict} |")  # fmt: skip
    return lines


def maps_table() -> list[str]:
    looks = found_in("faces-looks").looks
    lines = ["| map | like random weights' maps | says nothing about learning |", "|---|---|---|"]
    for method in METHODS:
        maps = [one for look in looks for one in look.maps if one.method == method]
        lines.append(f"| {method} | {over_seeds([one.alike[0] for one in maps if one.alike])} | "
                     f"{sum(one.says_nothing for one in maps)} of {len(maps)} |")  # fmt: skip
    return lines


def film_table() -> list[str]:
    networks = found_in("portraits-units").networks
    lines = ["| epoch | " + " | ".join(f"`{preset}`" for preset in NETWORKS) + " |", "|---" * 5 + "|"]
    films = [{one.epoch: one.moved for one in network.film} for network in networks]
    for epoch in sorted({epoch for film in films for epoch in film}):
        cells = [f"{film[epoch]:.2f}" if epoch in film else "" for film in films]
        lines.append(f"| {epoch} | " + " | ".join(cells) + " |")
    return lines


def write() -> None:
    here = Path(__file__).parent
    for name, (run, figure) in {
        "weights-units.png": ("portraits-units", "units"),
        "weights-film.png": ("portraits-units", "film-2"),
        "weights-look.png": ("portraits-looks", "look-1"),
        "weights-patches.png": ("portraits-looks", "patches-conv4"),
    }.items():
        with Image.open(RUNS / run / f"figures/{figure}.png") as drawn:
            page = drawn.convert("RGB").quantize(200, dither=Image.Dither.FLOYDSTEINBERG)
        page.save(here / name, optimize=True)
    text = TEXT
    blocks = {
        "networks": networks_table(),
        "units": units_table(),
        "alexnet": layers_table("alexnet"),
        "tuned": layers_table("faces-looks"),
        "maps": maps_table(),
        "film": film_table(),
    }
    for name, lines in blocks.items():
        text = text.replace(f"<!-- {name} -->", "\n".join(lines))
    (here / "weights.md").write_text(text)


TEXT = """# What networks learned on faces

Sections 2.3 and 2.5 of the assignment, which its report leaves empty, on 39 people's grey faces (28x28 for the MLPs,
224x224 for AlexNet), from runs; the pictures are of the same networks on the drawn portraits. Written by
`docs/weights.py`; [how to read it](visualizing.md).

## Two hidden units of each network (2.3)

Networks of 300 and of 800 hidden units, without and with L2 (a weight decay of 0.01 under Adam), trained for 100
epochs at a rate of 1e-3 that does not fall, five seeds each, mean ± deviation; looked into are the weights of the
epoch with the best validation loss. Dead units answer all 39 held-out faces alike. The last column correlates each
unit's picture, without its colours, with the faces that it speaks for most: their mean less everyone's.

<!-- networks -->

- L2 makes the pictures smooth: neighbouring weights correlate at about 0.7 in place of 0.2. And it makes the layer
  simpler: its effective rank falls to a half and to a third of the largest possible, where without L2 it stays near
  what drawing gives. The units come to share few patterns.
- It does not make the units know more. Without L2 they correlate nearly as much with the faces that they speak for:
  the pattern is there, under the noise that the weights were drawn with. A gradient by a unit's weights is a mixture
  of training images, so noise that is in no image is hardly ever touched, but by decay. Accuracy is the same.
- 800 units are not 800 patterns: a third answer all held-out faces alike, as does a fifth to a quarter of 300.

The two units that each network of the first seed uses most:

<!-- units -->

What is interesting in them: none is one person's. Each speaks for many people and against as many, and its picture is
a face-like template of lights and darks (a hairline, brows, the sides of a face), which fits the people it speaks for
most only in part: 0.17 to 0.66. With L2 this can be seen, without it only measured. A unit with L2 is used a quarter
to a half as much as one without: the answer is spread over more of them.

![Hidden units of the four networks on the drawn portraits, at one scale](weights-units.png)

On the drawn portraits, which have colours: above without, below with L2, at one scale, so that L2's shrinking shows.

![The first layer of the network with 300 units and L2, over its training](weights-film.png)

How far the first layer had moved from where it began, over its length there, by epoch, on the drawn portraits as well:

<!-- film -->

## AlexNet: learned, layer by layer

The pretrained convolutions, on the faces, against AlexNets re-initialised:

<!-- alexnet -->

And the network of section 2.4, conv4 and its new head tuned on the faces:

<!-- tuned -->

![What excites units of conv4 of a network tuned on the drawn portraits](weights-patches.png)

## Which pixels speak for the answer (2.5)

Five maps of each of 4 held-out faces by the tuned network, and how much they are like those of the same network with
random weights: rank correlation, mean over 5 such networks, mean ± deviation over faces.

<!-- maps -->

By all five the network looks at the same faces otherwise than a random one: none is marked. The gradient, guided
backpropagation and integrated gradients keep most of the image itself (0.3 to 0.35), Grad-CAM and occlusion least.
The maps are of the answer's logit less the mean of all: of the logit alone Grad-CAM was empty for each of these
faces, as this network says no to everyone (its logits were -1.6 for the answer, -16 and less for the rest) and least
to the right one.

![Maps of a drawn portrait over those of random weights](weights-look.png)
"""

if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_all(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1:] == ["write"]:
        write()
    else:
        sys.exit(__doc__)
