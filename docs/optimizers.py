"""Runs the comparisons of sections 1.4 and 2.1 and writes optimizers.md from their folders.

python docs/optimizers.py run ../shared/data     # paintings and faces-orl, about 500 trainings; may be stopped
python docs/optimizers.py write                  # docs/optimizers.md, from the run folders alone
"""

import argparse
import json
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from a2cli.columns import in_markdown
from a2cli.formats import in_points
from a2cli.reports.report import Report, report_from
from a2cli.reports.study_results import ComparisonResults, Table, contender_columns

RUNS = Path("runs/optimizers")
BOTH = ["--tuning", "both", "--seeds", "6"]
COMPARISONS = {
    "optimizers": [
        "-p", "1.4-plateau", "--optimizers", "adam,rmsprop,sgd,momentum,nesterov,adagrad,adadelta", *BOTH,
    ],
    "schedulers": [
        "-p", "1.4-rate", "--optimizers", "adam", "--schedulers", "none,plateau,step,multistep,cosine",
        "--plateau-patience", "20", "--plateau-factor", "0.8", "--step-size", "30", "--milestones", "75,120",
        "--gamma", "0.8", *BOTH,
    ],
    "batch sizes": ["-p", "1.4-rate", "--optimizers", "adam", "--batch-sizes", "12,32", *BOTH],
    "optimizers of the MLP": [
        "-p", "2.1-mlp", "--optimizers", "adam,sgd,momentum,nesterov,adagrad,rmsprop", *BOTH,
    ],
    "batch sizes of the MLP": ["-p", "2.1-mlp", "--optimizers", "adam", "--batch-sizes", "12,32", *BOTH],
}  # fmt: skip
WAYS = {"none": "at one rate", "grid": "each tuned"}


def run_all(data: Path) -> None:
    for name, flags in COMPARISONS.items():
        folder = RUNS / name.replace(" ", "-")
        begun = (folder / "config.yaml").exists()
        images = data / ("faces-orl" if "MLP" in name else "paintings")
        given = ["--resume", str(folder)] if begun else [*flags, "--data", str(images), "--out", str(folder)]
        subprocess.run([sys.executable, "-m", "a2cli", "compare-optimizers", *given], check=True)


@dataclass(frozen=True)
class Found:
    """One comparison's report: for each way of tuning its table, and each pair's verdict in both directions."""

    name: str
    report: Report

    @classmethod
    def read(cls, name: str) -> "Found":
        return cls(name, report_from(json.loads((RUNS / name.replace(" ", "-") / "report.json").read_text())))

    @property
    def results(self) -> ComparisonResults:
        assert isinstance(self.report.results, ComparisonResults), "a comparison has those"
        return self.report.results

    def table(self, way: str) -> Table:
        return next(table for table in self.results.tables if table.tuning == way)

    def verdict(self, way: str, first: str, second: str) -> str:
        return self.table(way).against(first)[second].verdict

    def names(self) -> list[str]:
        return [one.name for one in self.table("none").contenders]


def judged(verdicts: Sequence[str], claimed: str) -> str:
    """Return whether pairs bear a claim out: all must for supported, one against is enough for contradicted."""
    against = {"better": {"worse", "equivalent"}, "worse": {"better", "equivalent"}, "alike": {"better", "worse"}}
    wanted = "equivalent" if claimed == "alike" else claimed
    if all(verdict == wanted for verdict in verdicts):
        return "supported"
    count = sum(verdict == wanted for verdict in verdicts)
    if any(verdict in against[claimed] for verdict in verdicts):
        return "contradicted"
    return f"undecided ({count} of {len(verdicts)} pairs)" if len(verdicts) > 1 else "undecided"


def claims(found: dict[str, Found]) -> list[str]:
    optimizers, schedulers, batches, faces, face_batches = (found[name] for name in COMPARISONS)
    names, plans = optimizers.names(), schedulers.names()
    given = [
        ("Adadelta is the worst optimizer", optimizers, "worse", [("adadelta", other) for other in names]),
        ("SGD is worse than Adam", optimizers, "worse", [("sgd", "adam")]),
        ("Adagrad is worse than Adam", optimizers, "worse", [("adagrad", "adam")]),
        ("Adam and RMSprop are alike", optimizers, "alike", [("adam", "rmsprop")]),
        (
            "Adam and RMSprop are the best optimizers",
            optimizers,
            "better",
            [(best, other) for best in ("adam", "rmsprop") for other in names if other not in {"adam", "rmsprop"}],
        ),
        (
            "the schedulers are alike",
            schedulers,
            "alike",
            [(a, b) for i, a in enumerate(plans) for b in plans[i + 1 :] if "none" not in {a, b}],
        ),
        (
            "plateau is the best scheduler by a little",
            schedulers,
            "better",
            [("plateau", other) for other in plans if other != "none"],
        ),
        ("a scheduler gains a little", schedulers, "better", [(one, "none") for one in plans]),
        ("batches of 12 are worse than batches of 32", batches, "worse", [("batch 12", "batch 32")]),
        ("the same, for the MLP on faces", face_batches, "worse", [("batch 12", "batch 32")]),
        ("Adam is best for the MLP on faces", faces, "better", [("adam", other) for other in faces.names()]),
    ]
    rows = ["| claim | at one rate | each tuned |", "|---|---|---|"]
    for text, where, claimed, pairs in given:
        pairs = [(first, second) for first, second in pairs if first != second]
        cells = [judged([where.verdict(way, *pair) for pair in pairs], claimed) for way in WAYS]
        rows.append(f"| {text} | {' | '.join(cells)} |")
    return rows


def decided(found: Found) -> str:
    counts = []
    for way in ("none", "grid"):
        pairs = found.table(way).pairs
        counts.append(f"{sum(pair.verdict != 'undecided' for pair in pairs)} of {len(pairs)} pairs")
    words = f"Of the optimizers on paintings {counts[0]} are decided at the one rate, and {counts[1]} when tuned: "
    return words + "most of what the report saw between them goes with the rate that it gave them all."


def shown(found: Found) -> list[str]:
    lines = [
        f"## {found.name[0].upper()}{found.name[1:]}",
        "",
        f"`a2 compare-optimizers {' '.join(COMPARISONS[found.name])}`",
        "",
    ]
    for way, title in WAYS.items():
        table = found.table(way)
        names = [one.name for one in table.contenders]
        columns = contender_columns(found.results.target, digits=3)
        columns = [replace(one, printed=one.printed or one.name == "train_accuracy") for one in columns]
        lines += [f"### {title.capitalize()}", "", *in_markdown(columns, table.contenders)]
        lines += ["", f"| row against column | {' | '.join(names)} |", f"|---|{'---|' * len(names)}"]
        for row in names:
            cells = [found.verdict(way, row, column) if row != column else "" for column in names]
            lines.append(f"| {row} | {' | '.join(cells)} |")
        lines += ["", table.verdict, ""]
    return lines


def page() -> str:
    found = {name: Found.read(name) for name in COMPARISONS}
    first = found["optimizers"].report.data
    assert first is not None, "a finished comparison has its data"
    targets = ", ".join(f"{name} {one.results.target:.3f}" for name, one in found.items())
    about = f"""
        Written by `docs/optimizers.py` from runs of `a2 compare-optimizers`: the claims of the coursework's sections
        1.4 and 2.1, which compared single runs at one learning rate. Here every contender is run twice over 6 seeds:
        at the report's learning rate (5e-4, of the MLP 1e-3), and at the best of at least five rates, chosen on two
        other seeds. A seed decides the split too. The ConvNet is that of section 1.4, with pooling and dropout 0.2,
        for 150 epochs, with the coursework's own loss, which applies softmax twice, on the 451 paintings
        ({first.train} to train on, {first.val} to validate). The MLP is that of section 2.1, on
        390 faces of 39 people, which are not the report's and easier: 39 images validate, so that one is 2.6 points."""
    reading = f"""
        A pair is *equivalent* within {in_points(found["optimizers"].results.margin)}; the intervals of a table have
        simultaneous 95% confidence ([how](comparing.md)). A claim on several pairs is supported if all bear it out,
        contradicted if one is against it. *to*: the median number of epochs to the target over the runs that reached
        it, and how many did, if not all; *-*: none. The target is 90% of the best mean: {targets}. *edge*: the best
        rate lies at the end of its range."""
    lines = [
        "# Optimizers, schedulers, batch sizes",
        "",
        *textwrap.wrap(" ".join(about.split()), 118),
        "",
        *textwrap.wrap(" ".join(reading.split()), 118),
        "",
        *claims(found),
        "",
        *textwrap.wrap(" ".join(decided(found["optimizers"]).split()), 118),
        "",
        *(line for one in found.values() for line in shown(one)),
    ]
    return "\n".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["run", "write"])
    parser.add_argument("data", type=Path, nargs="?", default=Path("../shared/data"))
    arguments = parser.parse_args()
    if arguments.what == "run":
        run_all(arguments.data)
    else:
        (Path(__file__).parent / "optimizers.md").write_text(page())
