"""Runs every preset over several seeds with both losses, and writes replication.md from the runs.

python docs/replication.py run ../shared/data/paintings     # about 350 trainings; goes on where it was stopped
python docs/replication.py write                            # docs/replication.md, from the run folders alone
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from a2cli.settings.presets import preset_names
from a2cli.statistics.intervals import spread

RUNS = Path("runs/replication")
LOSSES = ("double-softmax", "cross-entropy")
SEEDS = 5
MARGIN = 0.05


def run_all(data: Path, jobs: int) -> None:
    """Train every preset with every loss, one thread each, `jobs` side by side."""
    work = [(preset, loss) for loss in LOSSES for preset in preset_names()]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda one: run_one(*one, data), work))


def run_one(preset: str, loss: str, data: Path) -> None:
    folder = RUNS / f"{preset}-{loss}"
    command = [sys.executable, "-m", "a2cli", "train-cnn", "--quiet"]
    if (folder / "config.yaml").exists():
        command += ["--resume", str(folder)]
    else:
        command += ["-p", preset, "--loss", loss, "--data", str(data), "--seeds", str(SEEDS), "--threads", "1"]
        command += ["--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    print(preset, loss, "done" if done.returncode == 0 else done.stderr.strip(), flush=True)


# What the runs say


@dataclass(frozen=True)
class Outcome:
    """One preset with one loss, by seed: accuracies of the kept weights, without dropout, and the epochs' histories."""

    train: list[float]
    val: list[float]
    epochs: list[float]
    speed: list[float]
    early_rise: list[float]

    @property
    def gap(self) -> list[float]:
        return differences(self.train, self.val)


def read_outcome(folder: Path) -> Outcome:
    report = json.loads((folder / "report.json").read_text())
    assert report["status"] == "done", folder
    runs = report["results"]["runs"]
    histories = [report["history"][str(run["seed"])] for run in runs]
    return Outcome(
        train=[run["train"]["value"] for run in runs],
        val=[run["val"]["value"] for run in runs],
        epochs=[float(run["epochs"]) for run in runs],
        speed=[sorted(row["images_per_second"] for row in rows)[len(rows) // 2] for rows in histories],
        early_rise=[min(early_rise(rows, "train_accuracy"), early_rise(rows, "val_accuracy")) for rows in histories],
    )


def early_rise(rows: list[dict[str, float]], metric: str) -> float:
    """Return how much more a curve rises up to its tenth epoch than after it."""
    return 2 * rows[9][metric] - rows[0][metric] - rows[-1][metric]


def differences(a: Sequence[float], b: Sequence[float]) -> list[float]:
    return [x - y for x, y in zip(a, b, strict=True)]


Outcomes = Mapping[str, Outcome]
Evidence = tuple[str, Callable[[Outcomes], list[float]], str]


def val(a: str, b: str, expected: str) -> Evidence:
    """Compare validation accuracies, seed by seed: a is expected higher, lower or the same as b."""
    return f"{a} against {b}", lambda found: differences(found[a].val, found[b].val), expected


def gap(a: str, b: str, expected: str) -> Evidence:
    """Compare the distances between training and validation accuracy, seed by seed."""
    return f"gap, {a} against {b}", lambda found: differences(found[a].gap, found[b].gap), expected


@dataclass(frozen=True)
class Claim:
    section: str
    text: str
    evidence: Sequence[Evidence]


TOP = "1.4-weight-decay"
CLAIMS = [
    Claim(
        "1.2",
        "both curves rise fast in the first 10 epochs (more than half of the whole rise)",
        [("rise up to epoch 10, less the rise after it", lambda f: f["1.2-baseline"].early_rise, "higher")],
    ),
    Claim(
        "1.3",
        "pooling changes nothing (at equal epochs)",
        [val("1.3-pooling", "1.2-baseline-150", "same")],
    ),
    Claim("1.4", "dropout 0.5 after the first ReLU hurts", [val("1.4-dropout-first", "1.3-pooling", "lower")]),
    Claim("1.4", "dropout 0.2 after every ReLU helps", [val("1.4-dropout", "1.3-pooling", "higher")]),
    Claim(
        "1.4",
        "dropout 0.2 is the best strength",
        [val("1.4-dropout", f"1.4-dropout-{rate}", "higher") for rate in ("0.1", "0.3", "0.5")],
    ),
    Claim(
        "1.4", "dropout narrows the gap between training and validation", [gap("1.4-dropout", "1.3-pooling", "lower")]
    ),
    Claim(
        "1.4",
        "dropout narrows the gap more than weight decay does",
        [
            (
                "change of the gap, dropout against weight decay",
                lambda f: differences(
                    differences(f["1.4-dropout"].gap, f["1.3-pooling"].gap),
                    differences(f[TOP].gap, f["1.4-plateau"].gap),
                ),
                "lower",
            )
        ],
    ),
    Claim("1.4", "learning rate 5e-4 with the plateau scheduler helps", [val("1.4-plateau", "1.4-dropout", "higher")]),
    Claim(
        "1.4",
        "no large difference between schedulers",
        [val("1.4-plateau", f"1.4-{name}", "same") for name in ("rate", "step", "multistep", "cosine")],
    ),
    Claim(
        "1.4",
        "plateau is the best scheduler by a little",
        [val("1.4-plateau", f"1.4-{name}", "higher") for name in ("rate", "step", "multistep", "cosine")],
    ),
    Claim(
        "1.4",
        "Adadelta is the worst optimizer, all at the same rate",
        [val("1.4-adadelta", f"1.4-{name}", "lower") for name in ("sgd", "adagrad", "rmsprop", "plateau")],
    ),
    Claim(
        "1.4",
        "SGD and Adagrad are bad",
        [val("1.4-sgd", "1.4-plateau", "lower"), val("1.4-adagrad", "1.4-plateau", "lower")],
    ),
    Claim("1.4", "Adam and RMSprop are alike", [val("1.4-rmsprop", "1.4-plateau", "same")]),
    Claim("1.4", "weight decay 1e-5 gains a point", [val(TOP, "1.4-plateau", "higher")]),
    Claim(
        "1.4",
        "early stopping only ends earlier",
        [
            val("1.4-early-stopping", TOP, "same"),
            (
                "epochs, as a share more",
                lambda f: [a / b - 1 for a, b in zip(f["1.4-early-stopping"].epochs, f[TOP].epochs, strict=True)],
                "lower",
            ),
        ],
    ),
    Claim("1.5", "kernels 7x7 with stride 1 are more accurate", [val("1.5-kernel-7-stride-1", TOP, "higher")]),
    Claim(
        "1.5",
        "and much slower (fewer than half the images a second)",
        [
            (
                "speed as a share, less one half",
                lambda f: [a / b - 0.5 for a, b in zip(f["1.5-kernel-7-stride-1"].speed, f[TOP].speed, strict=True)],
                "lower",
            )
        ],
    ),
    Claim("1.5", "larger strides lose accuracy", [val("1.5-stride-3", TOP, "lower")]),
    Claim("1.5", "a third convolution with pooling is worse", [val("1.5-third-convolution", TOP, "lower")]),
    *(
        Claim("1.5.1", f"{name.replace('-', ' ')} gains slightly", [val(f"1.5.1-{name}", TOP, "higher")])
        for name in ("local-response", "batch-norm", "weight-norm")
    ),
    *(
        Claim("1.5.1", f"augmentation by {name} is worse", [val(f"1.5.1-{name}", TOP, "lower")])
        for name in ("grayscale", "color-jitter", "crop", "rotate")
    ),
]
REPORTED = {  # training and validation accuracy, one run each
    "1.2-baseline": (0.6583, 0.5274),
    "1.3-pooling": (0.65, 0.52),
    "1.4-dropout": (0.67, 0.62),
    "1.4-plateau": (0.79, 0.64),
    "1.4-weight-decay": (0.80, 0.65),
    "1.5-kernel-7-stride-1": (0.87, 0.69),
    "1.6-final": (0.83, 0.66),
}


def judge(values: list[float], expected: str, margin: float = MARGIN) -> tuple[str, str]:
    """Return (supported, contradicted or undecided, the difference with its interval) for paired differences."""
    if len(set(values)) == 1:  # no spread over seeds: the difference itself decides
        mean = low = high = values[0]
    else:
        found = spread(values)
        mean, low, high = found.mean, found.low, found.high
    shown = f"{100 * mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"
    if expected == "same":
        inside, outside = low > -margin and high < margin, low > margin or high < -margin
        return ("supported" if inside else "contradicted" if outside else "undecided"), shown
    above, below = (low > 0, high < 0) if expected == "higher" else (high < 0, low > 0)
    return ("supported" if above else "contradicted" if below else "undecided"), shown


def verdict(parts: Sequence[str]) -> str:
    if "contradicted" in parts:
        return "contradicted"
    return "supported" if set(parts) == {"supported"} else "undecided"


def write() -> None:
    """Write replication.md from the run folders."""
    found = {loss: {name: read_outcome(RUNS / f"{name}-{loss}") for name in preset_names()} for loss in LOSSES}
    lines = [INTRODUCTION.format(seeds=SEEDS, margin=100 * MARGIN), "## Accuracies", ""]
    lines += [
        "| preset | the report: training / validation | loss | training | validation | 95% interval of the mean | n |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in preset_names():
        reported = " / ".join(f"{100 * share:.1f}" for share in REPORTED[name]) if name in REPORTED else ""
        for loss in LOSSES:
            one = found[loss][name]
            train, over = spread(one.train), spread(one.val)
            lines.append(
                f"| `{name}` | {reported} | {loss} | {100 * train.mean:.1f} ± {100 * train.deviation:.1f} | "
                f"{100 * over.mean:.1f} ± {100 * over.deviation:.1f} | "
                f"{100 * over.low:.1f} to {100 * over.high:.1f} | {over.n} |"
            )
            reported = ""
    lines += ["", "## Claims", "", "| section | claim | " + " | ".join(LOSSES) + " |", "|---|---|---|---|"]
    for claim in CLAIMS:
        cells = []
        for loss in LOSSES:
            judged = [judge(values(found[loss]), expected) for _, values, expected in claim.evidence]
            numbers = "; ".join(
                f"{name}: {shown}" for (name, *_), (_, shown) in zip(claim.evidence, judged, strict=True)
            )
            cells.append(f"**{verdict([word for word, _ in judged])}** ({numbers})")
        lines.append(f"| {claim.section} | {claim.text} | {' | '.join(cells)} |")
    Path(__file__).with_suffix(".md").write_text("\n".join(lines) + "\n")


INTRODUCTION = """# The paintings, measured

Generated by `docs/replication.py` from its runs; nothing here is typed by hand. Every preset was trained on the 451
paintings with {seeds} seeds (each seed its own random split of 360 and 91 images, its own weights and order) and both
losses: *double-softmax* is the report's own, *cross-entropy* what it should have been. Accuracies are in percent, of
the weights after the last epoch (after early stopping, of the best epoch), without dropout; ± is the standard deviation
over seeds.

A claim is tested on differences paired by seed, with Student's 95% interval of their mean, in points (or hundredths, of
shares). *Supported*: the interval lies on the claimed side of zero (for "alike" and "changes nothing": within
{margin:.0f} points, the standard error of one accuracy on 91 images). *Contradicted*: it lies on the other side.
*Undecided*: neither, for these seeds. A claim with several comparisons is supported if all are, and contradicted if one
is. The intervals are not corrected for the number of claims: of twenty true zeros, one would look like a difference.
The report names no epochs but for its baseline's 50. From section 1.3 on the presets train for 150: with its loss, its
figures are reached there and not at 50, where its plateau scheduler could not act either. `1.2-baseline-150` is the
baseline at as many, so that later rows have something to be compared with. `1.6-final` is `1.5.1-batch-norm` by another
name, as the report's final network is that, so their rows are the same. [invariance.md](invariance.md) has some of
these presets by a later version, with the same seeds and splits, and says why their accuracies are others.
"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["run", "write"])
    parser.add_argument("data", type=Path, nargs="?", help="the folder of paintings, for run")
    parser.add_argument("--jobs", type=int, default=2, help="trainings side by side")
    chosen = parser.parse_args()
    if chosen.what == "run":
        run_all(chosen.data, chosen.jobs)
    else:
        write()
