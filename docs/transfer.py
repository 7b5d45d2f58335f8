"""Runs sections 2.1, 2.2 and 2.4 on faces, and the same networks on paintings, and writes transfer.md.

python docs/transfer.py run FACES PAINTINGS WEIGHTS      # WEIGHTS: AlexNet's, of its convolutions at least
python docs/transfer.py write                            # docs/transfer.md, from the run folders alone
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from a2cli.command_line.arguments import training_of
from a2cli.data.packing import pack
from a2cli.data.sources import find_source
from a2cli.data.splits import split_of
from a2cli.formats import mean_and_deviation
from a2cli.progress import NullReporter
from a2cli.reports.report import Report, report_from
from a2cli.reports.training_results import Spread, TrainingResults
from a2cli.runs.figure_files import DPI
from a2cli.statistics.intervals import spread
from a2cli.transfer.figures import probes

RUNS = Path("runs/transfer")
SEEDS = 6
FEWER = 4  # seeds, where a run takes minutes
SHARES = ("--val-fraction", 0.1, "--test-fraction", 0.2)  # of the paintings
SPLIT = ("--val-fraction", 0.1, "--test-fraction", 0.6)  # of faces: one a person to choose by, six to test on
PER_PERSON = (1, 2, 3)
MLPS = ("2.1-mlp", "2.1-mlp-batch-12", "2.1-mlp-no-dropout", "2.1-mlp-rate", "2.1-mlp-sgd", "2.1-mlp-momentum",
        "2.1-mlp-nesterov", "2.1-mlp-adagrad", "2.1-mlp-rmsprop")  # fmt: skip
HEADS = ("2.2-conv4", "2.2-conv4-plain")
LAYERS = "conv1,conv2,conv3,conv4,conv5,pool5"
STAGES = {"head": "head:60", "all": "head:60 conv4+:10@1e-4 all:3@1e-5"}


def run_all(faces: Path, paintings: Path, weights: Path) -> None:
    """Run what is not there yet."""
    RUNS.mkdir(parents=True, exist_ok=True)
    few, squash = (*SPLIT, "--train-per-class", 3), ("--fit", "squash")  # a centre would cut the faces' edges off
    for preset in MLPS:
        train("train-mlp", preset, "-p", preset, "--data", faces, *few)
    extract("faces-conv4", faces, weights, *squash, "--layer", "conv4", "--grid", 6, "--baselines")
    extract("paintings-conv4", paintings, weights, "--layer", "conv4", "--grid", 3, "--baselines")
    for count in PER_PERSON:
        probe(f"faces-probe-{count}", "faces-conv4", *SPLIT, "--train-per-class", count)
    probe("paintings-probe-91", "paintings-conv4", "--val-count", 91, "--test-fraction", 0, final=False)
    probe("paintings-probe", "paintings-conv4", *SHARES)
    extract("faces-whole", faces, weights, "-p", "2.2-extract", *squash)
    for preset in HEADS:
        train("train-mlp", preset, "-p", preset, "--features", RUNS / "faces-whole.safetensors", *few)
    tune = ("--weights", weights, "--layer", "conv4", "--dropout", 0.5)
    for count in PER_PERSON:
        for name, stages in STAGES.items():
            train("finetune", f"faces-{name}-{count}", "--data", faces, *squash, *tune, "--head-grid", 6,
                  "--stages", stages, *SPLIT, "--train-per-class", count, seeds=FEWER)  # fmt: skip
    for name, stages in STAGES.items():
        train("finetune", f"paintings-{name}", "--data", paintings, *tune, "--head-grid", 3, "--stages", stages,
              *SHARES, seeds=FEWER)  # fmt: skip
    extract("faces-layers", faces, weights, *squash, "--layer", LAYERS, "--grid", 3, "--baselines")
    extract("paintings-layers", paintings, weights, "--layer", LAYERS, "--grid", 3, "--baselines")
    probe("faces-layers", "faces-layers", *few, seeds=FEWER)
    probe("paintings-layers", "paintings-layers", *SHARES, seeds=FEWER)
    ask(RUNS / "faces-all-3/seeds/0", faces)


def ask(run: Path, faces: Path) -> None:
    """Ask a network for the name of a face that it was sealed from: its first test image."""
    packed = pack(find_source(str(faces)), 224, "squash", False, 1, NullReporter())
    face = packed.names[split_of(packed, training_of("--run", str(run))).test[0]]
    command = [sys.executable, "-m", "a2cli", "predict", "--run", str(run), str(faces / face), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    (RUNS / "asked.json").write_text(json.dumps({"face": face, **json.loads(done.stdout)["predictions"][0]}))


def extract(name: str, data: Path, weights: Path, *flags: object) -> None:
    file = RUNS / f"{name}.safetensors"
    if not file.exists():
        a2("extract-features", "--data", data, "--weights", weights, *flags, "--threads", 1, "--out", file)


def probe(name: str, file: str, *flags: object, final: bool = True, seeds: int = SEEDS) -> None:
    features = ("--features", RUNS / f"{file}.safetensors", "--probe", "--learning-rate", 1e-3)
    train("train-mlp", name, *features, *flags, final=final, seeds=seeds)


def train(command: str, name: str, *flags: object, final: bool = True, seeds: int = SEEDS) -> None:
    folder = RUNS / name
    read = ["--final"] if final else []
    if not (folder / "config.yaml").exists():
        a2(command, *flags, "--seeds", seeds, "--threads", 1, "--out", folder, *read)
    elif not (folder / "report.json").exists():
        a2(command, "--resume", folder, *read)


def a2(*arguments: object) -> None:
    print("a2", *arguments, flush=True)
    subprocess.run([sys.executable, "-m", "a2cli", *map(str, arguments), "--quiet"], check=True)


# What the runs say


def report_of(name: str) -> Report:
    found = report_from(json.loads((RUNS / name / "report.json").read_text()))
    assert found.status == "done", name
    return found


def tests_of(name: str, part: str = "test") -> list[float]:
    """Return each seed's accuracy."""
    results = report_of(name).results
    assert isinstance(results, TrainingResults), name
    return [getattr(run, part).value for run in results.runs]


def probe_of(name: str, layer: str, answer: str, part: str = "test") -> list[float]:
    """Return each seed's accuracy of one probe."""
    found = []
    for folder in sorted((RUNS / name / "seeds").iterdir()):
        transfer = report_of(f"{name}/seeds/{folder.name}").transfer
        assert transfer is not None, name
        (one,) = [one for one in transfer.probes if (one.layer, one.answer) == (layer, answer)]
        found.append(getattr(one, part).value)
    return found


def shown(values: Sequence[float]) -> str:
    return mean_and_deviation(spread(values))


def difference(first: Sequence[float], second: Sequence[float]) -> Spread:
    """Return the paired difference, first - second, over the seeds that both have."""
    return spread([a - b for a, b in zip(first, second, strict=False)])


def points(found: Spread) -> str:
    """Return a difference in points with its interval."""
    return f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"


def judged(found: Spread) -> str:
    """Return whether a claim that the difference is above zero holds, with it and its interval in points."""
    verdict = "supported" if found.low > 0 else "contradicted" if found.high < 0 else "undecided"
    return f"{verdict} | {points(found)}"


def page() -> str:
    """Return docs/transfer.md."""
    sections = [section_mlp(), section_features(), section_layers(), section_tuning(), section_asked()]
    return "\n\n".join([INTRO, *sections]) + "\n"


def section_asked() -> str:
    found = json.loads((RUNS / "asked.json").read_text())
    rows = [(found["answer"], found["probability"]), *((one["name"], one["probability"]) for one in found["next"])]
    table = "\n".join(f"| {name} | {probability:.3f} |" for name, probability in rows)
    return ASKED.format(face=found["face"], rows=table)


def section_mlp() -> str:
    rows = [
        f"| `{name}` | {shown(tests_of(name, 'train'))} | {shown(tests_of(name, 'val'))} | {shown(tests_of(name))} |"
        for name in MLPS
    ]
    usual, gaps = tests_of(MLPS[0]), {}
    for name in (MLPS[0], "2.1-mlp-no-dropout"):
        gaps[name] = [a - b for a, b in zip(tests_of(name, "train"), tests_of(name), strict=True)]
    claims = {
        "batches of 32 do better than batches of 12": difference(usual, tests_of("2.1-mlp-batch-12")),
        "the scheduler gains a little": difference(usual, tests_of("2.1-mlp-rate")),
        "dropout narrows the gap between training and test": difference(gaps["2.1-mlp-no-dropout"], gaps[MLPS[0]]),
        **{f"Adam does better than {NAMES[name]}": difference(usual, tests_of(name)) for name in MLPS[4:]},
    }
    said = [f"| {claim} | {judged(found)} |" for claim, found in claims.items()]
    return MLP.format(rows="\n".join(rows), claims="\n".join(said))


def section_features() -> str:
    logistic = "logistic regression"
    kinds = {
        "conv4, pretrained, logistic regression": ("conv4", logistic),
        "conv4, random weights, logistic regression": ("random-conv4", logistic),
        "the pixels, MLP of section 2.1": ("pixels", "MLP, 300 hidden units"),
        "the pixels, logistic regression": ("pixels", logistic),
        "conv4, pretrained, nearest neighbours": ("conv4", "nearest neighbours"),
    }
    rows = []
    for title, kind in kinds.items():
        cells = [shown(probe_of(f"faces-probe-{count}", *kind)) for count in PER_PERSON]
        rows.append(f"| {title} | {' | '.join(cells)} |")
    heads = [
        f"| `{name}` | {shown(tests_of(name, 'train'))} | {shown(tests_of(name, 'val'))} | {shown(tests_of(name))} |"
        for name in HEADS
    ]
    gain = difference(tests_of(HEADS[0]), tests_of(HEADS[1]))
    gap = difference(tests_of(HEADS[0], "train"), tests_of(HEADS[0]))
    claims = {"pooling and dropout gain": gain, "it overfits even so: training is ahead of test": gap}
    return FEATURES.format(
        rows="\n".join(rows),
        heads="\n".join(heads),
        claims="\n".join(f"| {claim} | {judged(found)} |" for claim, found in claims.items()),
        paintings=shown(probe_of("paintings-probe-91", "conv4", logistic, "val")),
        random=shown(probe_of("paintings-probe-91", "random-conv4", logistic, "val")),
        pixels=shown(probe_of("paintings-probe-91", "pixels", logistic, "val")),
    )


def section_layers() -> str:
    rows = []
    for layer in [*LAYERS.split(","), "pixels"]:
        cells = []
        for name in ("faces-layers", "paintings-layers"):
            for prefix in ("", "random-"):
                there = layer != "pixels" or not prefix
                cells.append(shown(probe_of(name, prefix + layer, "logistic regression")) if there else "")
        rows.append(f"| {layer} | {' | '.join(cells)} |")
    return LAYER_CURVE.format(rows="\n".join(rows))


def section_tuning() -> str:
    rows = []
    for name, probe_name in [*((f"faces-{{}}-{n}", f"faces-probe-{n}") for n in PER_PERSON),
                             ("paintings-{}", "paintings-probe")]:  # fmt: skip
        base = probe_of(probe_name, "conv4", "logistic regression")
        data = name.replace("-{}-", ", ").replace("-{}", "") + " a person" * name.startswith("faces")
        head, tuned = (tests_of(name.format(stage)) for stage in STAGES)
        cells = [f"{shown(values)}, {len(values)} seeds" for values in (base, head, tuned)]
        cells += [points(difference(*pair)) for pair in ((head, base), (tuned, head), (tuned, base))]
        rows.append(f"| {data} | {' | '.join(cells)} |")
    return TUNING.format(rows="\n".join(rows))


NAMES = {"2.1-mlp-sgd": "SGD", "2.1-mlp-momentum": "momentum", "2.1-mlp-nesterov": "Nesterov momentum",
         "2.1-mlp-adagrad": "Adagrad", "2.1-mlp-rmsprop": "RMSprop"}  # fmt: skip

INTRO = f"""# Faces, features and fine-tuning

Written by `docs/transfer.py` from run folders: the coursework's sections 2.1, 2.2 and 2.4. Its 40 actors cannot be
passed on, so 39 people of the ORL face database stand in, ten grey pictures each; with eight to learn from everything
recognises 99% of the rest, so here there are one, two or three, one to choose by, and six sealed to test on: 234
faces. The paintings are the coursework's 451. AlexNet's pretrained convolutions are real, its classifier is not used.
Every row is {SEEDS} seeds ({FEWER} for the layers, and as said for what is fine-tuned), each with a split, starting
weights and an order of its own: mean ± standard deviation. A difference is paired by seed, in points, with Student's
95% interval; the intervals are not corrected for their number."""

MLP = """## 2.1: an MLP on pixels

Three faces a person to learn from. Chance is 1 of 39, 0.026.

| preset | training | validation | test |
|---|---|---|---|
{rows}

| claim | verdict | points of test accuracy |
|---|---|---|
{claims}

![Training, validation and test accuracy over the epochs](transfer-mlp.png)

The report's own figures (batches of 12 never pass 0.42, of 32 pass 0.55, test 0.67) are of other faces, in color, by
the thousand."""

FEATURES = """## 2.2: AlexNet as it is

Test accuracy by the number of faces a person to learn from, all three ways side by side (conv4 pooled to 6x6):

| | 1 | 2 | 3 |
|---|---|---|---|
{rows}

The report's head (a linear layer on conv4 after its ReLU, Adam at 5e-5, 50 epochs), with max pooling to 6x6 and
dropout and without, three faces a person:

| preset | training | validation | test |
|---|---|---|---|
{heads}

| claim | verdict | points |
|---|---|---|
{claims}

On the paintings, conv4 pooled to 3x3 and a logistic regression recognise {paintings} of 91 validation images
(stratified splits of 360/91); with random weights {random}, and a logistic regression on the pixels {pixels}."""

LAYER_CURVE = """## Which layer

Logistic regression on each layer pooled to 3x3, test accuracy (faces: three a person; paintings: 316 to learn from,
90 to test):

| layer | faces | faces, random weights | paintings | paintings, random weights |
|---|---|---|---|---|
{rows}

![Faces: accuracy by layer](transfer-layers-faces.png)

![Paintings: accuracy by layer](transfer-layers-paintings.png)"""

TUNING = """## 2.4: fine-tuning

A new head on conv4 (pooled to 6x6 for faces, 3x3 for paintings, dropout 0.5), in stages: the head alone for 60 epochs
at 1e-3; then conv4 with it for 10 at 1e-4; then all for 3 at 1e-5. Test accuracy, beside the logistic regression on the
same features of the same images; differences in points, over the seeds that both columns have, so where
these are not all of one, a difference is not that of the means beside it:

| data | logistic regression | the head alone | all stages | head - regression | all - head | all - regression |
|---|---|---|---|---|---|---|
{rows}

Fine-tuning has two hurdles. Its head is a linear layer on the same features as the logistic regression, but it is
trained by a few hundred steps of Adam at one rate, on features as they are, while the regression is solved to the
end, on features scaled to deviation 1, with its strength chosen out of six on the validation images: the column *head
- regression* is what that costs. What the network's own layers then gain by moving is *all - head*. Where *all -
regression* is not above zero, the second has not made up for the first: with one to three faces a person there is
little to move 1.9 million weights by.

![The stages of one run on the paintings](transfer-stages.png)"""

ASKED = """## One face in, a name out

`a2 predict --run RUN FACE` of one of these networks (three faces a person, all stages, seed 0) on `{face}`, which
it was not trained on. The answer is wrong here: the folder, s10, is the true person, and comes third:

| answer | probability |
|---|---|
{rows}

[Building on a pretrained network](backbones.md) says how."""


def write() -> None:
    """Write docs/transfer.md and its figures."""
    here = Path(__file__).parent
    (here / "transfer.md").write_text(page())
    figures = {
        "mlp": "2.1-mlp/figures/curves.png",
        "stages": "paintings-all/seeds/0/figures/curves.png",
    }
    for name, source in figures.items():
        shutil.copyfile(RUNS / source, here / f"transfer-{name}.png")
    for name in ("faces", "paintings"):
        transfer = report_of(f"{name}-layers").transfer
        assert transfer is not None, name
        probes(transfer).savefig(here / f"transfer-layers-{name}.png", dpi=DPI)


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run_all(*map(Path, sys.argv[2:5]))
    elif sys.argv[1:] == ["write"]:
        write()
    else:
        sys.exit(__doc__)
