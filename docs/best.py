"""Runs the presets best and best-transfer, and ablations of both, and writes best.md from their folders.

python docs/best.py run ../shared [NAME...]     # paintings, faces-orl, AlexNet's weights are there; may be stopped
python docs/best.py write                       # docs/best.md, from the run folders alone
"""

import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from PIL import Image

from a2cli.ablate.verdict import ablation_verdict
from a2cli.formats import interval, mean_and_deviation
from a2cli.probe_invariance.changes import crop_padding
from a2cli.reports.ablation_results import AblationResults
from a2cli.reports.report import report_from
from a2cli.statistics.intervals import spread
from a2cli.statistics.pairs import pair_verdict

RUNS = Path("runs/best")
SPLIT = ("--val-fraction", 0.202)  # 91 of the paintings, as the coursework held out
PRESETS = {"best": "train-cnn", "best-transfer": "finetune", "1.2-baseline": "train-cnn"}
SEEDS = {"paintings": 10, "paintings-cut": 5, "atelier": 3, "portraits": 3, "faces-orl": 3}
HIDING = ("mean-padding", "fill-padding", "crop-padding", "only-padding")
ABLATIONS_FROM = 200  # the seeds of ablations, none of them reported or chosen on
NO_MAPS = "channels=1 kernel_size=3 stride=8 padding=1 shortcuts=off"
INGREDIENTS = {
    "best": ["statistics-=texture", "statistics-=colors", "statistics-=layout", NO_MAPS, "augment=none",
             "weight_decay=0", "label_smoothing=0"],
    "best-transfer": ["head_pool=average", "head_standardize=off", "head_grid=1", "weight_decay=0",
                      "label_smoothing=0"],
}  # fmt: skip
CALLED = {
    "channels + kernel size + stride + padding + shortcuts": "learned maps (but one channel's)",
    "augment": "flips",
    "texture": "statistics: texture",
    "colors": "statistics: colors",
    "layout": "statistics: layout",
    "head pool": "square roots",
    "head standardize": "standardized features (a head that begins at zero)",
    "head grid": "3x3 grid, not the mean",
}
DESIGN = {
    "best": ["--design", "orders", "--orders", 2, "--seeds", 6, "--epochs", 10],
    "best-transfer": ["--design", "all", "--seeds", 5],
}
# Before the reported seeds were looked at, on seeds from 100 on: what was tried, of which kind, and how it did.
TRIED = (
    ("residual networks of 64 to 128 pixels, with mixup, cutmix, crops, averages", 15, "0.736 to 0.769"),
    ("fixed statistics of 128 to 384 pixels under linear classifiers fitted in closed form", 170, "0.77 to 0.88"),
    ("the same beside a residual network, trained by gradient", 8, "0.81 to 0.852"),
    ("AlexNet's layers, pooled, under linear classifiers fitted in closed form", 110, "0.88 to 0.94"),
    ("fine-tunings of AlexNet's upper layers, and of a head alone", 6, "0.868 to 0.938"),
)


INTRODUCTION = """
Written by `docs/best.py`. The coursework's sections 1.5 to 1.6 end in "achieve the best performance that you can". Two
presets answer, for any images: `a2 train-cnn -p best`, from scratch, and `a2 finetune -p best-transfer`, on a
pretrained AlexNet.

`best` is a small residual network of 192 pixels whose linear layer also gets statistics of the image itself, by filters
that do not learn (`--statistics`): moments and correlations of Gabor energies at four sizes, a colour histogram, mean
colours. `best-transfer` takes conv3 of AlexNet as a 3x3 grid of the means of its square roots, standardized, under a
linear head. Of the paintings 360 are to train on and 91 to validate, by `--val-fraction 0.202`, given to both presets
for all numbers here (the default of 0.2 holds out 90); the seeds 0 to 9 each decide a stratified split,
the starting weights and the order. They were not looked at before the settings stood. Those of `best-transfer` were run
twice: a mistake in a2, mended since, had taken square roots of what lay in the cache once more (0.941). Without bars
there are 5 seeds.
"""
ELSEWHERE = """
Documented elsewhere on these paintings: 0.7046 ± 0.0091 from scratch; 0.896 with AlexNet's conv4 under a logistic
regression.
"""
PADDING = """
The black bars tell a picture's aspect ratio. *Bars cut off*, above, are networks trained and judged on copies without
them, each picture stretched over the square: nothing of the ratio is left. Below,
the bars of validation images are changed only afterwards, for networks that learned with black ones
([how](probing.md)): by the picture's mean colour, which leaves them to be seen as flat fields; by its reflection; cut
off; and with nothing but the bars left. There the change itself is foreign to the networks.
"""
ABLATED = f"""
`a2 ablate` on seeds from {ABLATIONS_FROM} on, of `best` with 10 epochs: points of validation accuracy, with intervals
that hold together with 95% in each column ([how](ablating.md)). Taken away alone, an ingredient that another can stand
in for seems to bring nothing; its average over orders of taking all away, the Shapley value, shares what they bring
between them.

The averages for `best` are of two orders a seed, one the other backwards: whichever of the statistics and the maps goes
last takes with it what any of them could have brought, which leaves wide intervals. What is decided there: nothing else
stands in for texture. Which regulariser was most effective? None of those in `best`: flips, label smoothing and weight
decay are not shown to bring anything; what brings the accuracy are features. For `best-transfer` all
combinations were trained.
"""
LIMITS = """
What limits it is 360 images. ConvNets alone learn them by heart and stay below 0.77 whatever they are given; filters
that need not be learned do not. One validation image is 1.1 points, and from split to split an accuracy deviates by
about 3 points.
"""


def run_all(shared: Path, only: Sequence[str]) -> None:
    """Run what is not there yet, what is reported first; `only` these, if any are named."""

    def go(command: str, name: str, *flags: object) -> None:
        if not only or name in only:
            run(command, name, *flags)

    paintings, weights = shared / "data/paintings", shared / "weights/alexnet_features.safetensors"
    data = {"paintings": paintings, "paintings-cut": RUNS / "cut", "atelier": "atelier",
            "portraits": "portraits", "faces-orl": shared / "data/faces-orl"}  # fmt: skip
    if not (RUNS / "cut").exists():
        cut_padding(paintings, RUNS / "cut")
    for name, images in data.items():
        for preset, command in PRESETS.items():
            flags = ["-p", preset, "--data", images, "--seeds", SEEDS[name], "--threads", 1]
            flags += ["--weights", weights] if command == "finetune" else []
            flags += SPLIT if preset != "1.2-baseline" else ()
            flags += (
                ["--split", "stratified", "--val-count", 91] if preset == "1.2-baseline" and "paint" in name else []
            )
            go(command, f"{name}-{preset}", *flags)
        if name == "paintings":
            for preset in ("best", "best-transfer"):
                go("probe-invariance", f"padding-{preset}", "--run", RUNS / f"paintings-{preset}",
                   "--changes", ",".join(HIDING))  # fmt: skip
    for preset, ingredients in INGREDIENTS.items():
        flags = [flag for one in ingredients for flag in ("-w", one)]
        flags += [*SPLIT, *(["--weights", weights] if preset == "best-transfer" else [])]
        go("ablate", f"ablation-{preset}", "-p", preset, "--data", paintings, "--seed", ABLATIONS_FROM,
           *DESIGN[preset], *flags)  # fmt: skip


def cut_padding(source: Path, target: Path) -> None:
    """Write a copy of the images without their black bars, the picture stretched over the square."""
    unfinished = target.with_name("cut-unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    for path in sorted(source.rglob("*.png")):
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]
        place = unfinished / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crop_padding(pixels)[0].permute(1, 2, 0).numpy()).save(place)
    unfinished.rename(target)


def run(command: str, name: str, *flags: object) -> None:
    folder = RUNS / name
    report = folder / "report.json"
    if report.exists() and json.loads(report.read_text())["status"] == "done":
        return
    resumed = (folder / "config.yaml").exists() and command != "probe-invariance"
    if command == "probe-invariance":
        shutil.rmtree(folder, ignore_errors=True)
    given = ["--resume", folder] if resumed else [*flags, "--out", folder]
    print("a2", command, *given, flush=True)
    subprocess.run([sys.executable, "-m", "a2cli", command, *map(str, given), "--quiet"], check=True)


# The page


def report_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RUNS / name / "report.json").read_text())
    return found


def accuracies(name: str) -> dict[int, float]:
    return {run["seed"]: run["val"]["value"] for run in report_of(name)["results"]["runs"]}


def shown(values: Sequence[float]) -> str:
    over = spread(values)
    return f"{mean_and_deviation(over)} | {interval(over)}"


def table(head: str, rows: Sequence[str]) -> list[str]:
    return [f"| {head} |", "|" + "---|" * (head.count("|") + 1), *(f"| {row} |" for row in rows), ""]


def on_paintings() -> list[str]:
    rows = []
    for preset in PRESETS:
        for name, words in (("paintings", "as they are"), ("paintings-cut", "bars cut off")):
            found = report_of(f"{name}-{preset}")
            values = accuracies(f"{name}-{preset}")
            trained = fmean(run["train"]["value"] for run in found["results"]["runs"])
            rows.append(f"`{preset}` | {words} | {shown(list(values.values()))} | "
                        f"{min(values.values()):.3f} to {max(values.values()):.3f} | {trained:.3f}")  # fmt: skip
    return table("preset | trained and judged on paintings | validation accuracy | 95% | seeds | training", rows)


def hidden_afterwards() -> list[str]:
    rows = []
    for preset in ("best", "best-transfer"):
        (network,) = report_of(f"padding-{preset}")["results"]["runs"]
        by_name = {change["name"]: change["points"][0]["accuracy"]["value"] for change in network["changes"]}
        rows.append(f"`{preset}` | {network['unchanged']['value']:.3f} | "
                    + " | ".join(f"{by_name[name]:.3f}" for name in HIDING))  # fmt: skip
    return table(f"preset | unchanged | {' | '.join(HIDING)}", rows)


def elsewhere() -> list[str]:
    rows = []
    for name in ("atelier", "portraits", "faces-orl"):
        means = {preset: accuracies(f"{name}-{preset}") for preset in PRESETS}
        cells = [f"{fmean(means[preset].values()):.3f}" for preset in PRESETS]
        rows.append(f"{name} | {' | '.join(cells)}")
    return table("data | " + " | ".join(f"`{preset}`" for preset in PRESETS), rows)


def brought(preset: str) -> list[str]:
    report = report_of(f"ablation-{preset}")
    results, found = report["results"], report_from(report).results
    assert isinstance(found, AblationResults), "an ablation has those"

    def points(pair: dict[str, Any] | None) -> str:
        if pair is None:
            return ""
        return f"{100 * pair['difference']:+.1f} [{100 * pair['low']:+.1f}, {100 * pair['high']:+.1f}]"

    averaged = results["design"] != "one-out"
    rows = []
    for one in results["ingredients"]:
        decides = one["average"] if averaged else one["alone"]
        cells = [CALLED.get(one["name"], one["name"]), points(one["alone"])]
        cells += [points(one["average"])] if averaged else []
        rows.append(" | ".join([*cells, decides["verdict"]]))
    average = "on average over orders | " if averaged else ""
    return [
        *table(f"ingredient | taken away alone | {average}having it is", rows),
        *paragraphs(ablation_verdict(found)),
    ]


def page() -> str:
    best, baseline = accuracies("paintings-best"), accuracies("paintings-1.2-baseline")
    against = pair_verdict("best", "baseline", [best[seed] - baseline[seed] for seed in best], 0.01, 1, 1 / 91)
    gained = f"{100 * against.difference:.1f} points [{100 * against.low:.1f}, {100 * against.high:.1f}]"
    lines = [
        "# The best network on the paintings",
        "",
        *paragraphs(INTRODUCTION),
        *on_paintings(),
        *paragraphs(f"Seed by seed `best` gains {gained} on the baseline. {ELSEWHERE}"),
        "## The padding",
        "",
        *paragraphs(PADDING),
        *hidden_afterwards(),
        "## Other data",
        "",
        f"The same presets unchanged, mean validation accuracy over {SEEDS['atelier']} seeds:",
        "",
        *elsewhere(),
        "## What each ingredient brings",
        "",
        *paragraphs(ABLATED),
    ]
    for preset in INGREDIENTS:
        lines += [f"### {preset}", "", *brought(preset)]
    lines += [
        "## How they were chosen",
        "",
        "On seeds from 100 on, so on other splits than those reported:",
        "",
        *table("tried | configurations | validation accuracy", [f"{w} | {n} | {a}" for w, n, a in TRIED]),
        *paragraphs(LIMITS),
    ]
    return "\n".join(lines).rstrip() + "\n"


def paragraphs(text: str) -> list[str]:
    found: list[str] = []
    for part in text.strip().split("\n\n"):
        words = " ".join(part.split())
        found += [*textwrap.wrap(words, 118, break_long_words=False, break_on_hyphens=False), ""]
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_all(Path(sys.argv[2]), sys.argv[3:])
    else:
        Path(__file__).with_name("best.md").write_text(page())
