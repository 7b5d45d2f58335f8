"""`a2 finetune`: what is frozen stays, what is cached changes nothing, the best stage is kept, a resume is the same."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import A2, draw_classes, hold_to_schema, real_weights
from torch import Tensor, nn

from a2cli.models.backbones import graph_of, resolve_layer, truncate
from a2cli.models.freezing import cut_before, layers_of
from a2cli.models.pretrained import build_torchvision
from a2cli.models.transfer import GridPooling, Transfer, Trunk, build_head
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.runs.directory import Run
from a2cli.settings.presets import build, resolve
from a2cli.settings.training import TrainCnnSettings
from a2cli.settings.transfer import BackboneSettings, FinetuneSettings, HeadSettings, Stage, stages_of
from a2cli.train.run import train_network
from a2cli.training import train_state, trial
from a2cli.transfer.backbone import find_backbone, place_of_head, random_in_words
from a2cli.transfer.finetune_stages import learning_part, paces_of, plan_of

CNN = {"image_size": "16", "channels": "4,6", "kernel_size": "3", "stride": "1", "pool": "max", "hidden": "8",
       "norm": "batch", "epochs": "2", "threads": "1"}  # fmt: skip
TUNE = "--data set --layer conv2 --head-grid 1 --batch-size 4 --threads 1 --test-fraction 0.1 --quiet"
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set, and a small ConvNet with batch norms trained on it."""
    place = tmp_path_factory.mktemp("base")
    draw_classes(place / "set", ("ada", "bea", "cleo"), count=20, side=18)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        settings = resolve(TrainCnnSettings, "train-cnn", [], {**CNN, "data": str(place / "set")}).settings
        train_network(settings, Run.create("train-cnn", str(place / "base")), NullReporter(), figures=False)
    return place


@pytest.fixture
def base(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """That network as a backbone, and the data, in the test's own folder; the curves are left out."""
    monkeypatch.setattr("a2cli.transfer.finetune.draw_run", lambda *_: None)
    for name in ("base", "set"):
        shutil.copytree(place / name, tmp_path / name)
    return "base"


def trunk_of(run: str | Path) -> Weights:
    model, _ = Run(Path(run)).load_model()
    return {name.removeprefix("trunk.body."): t for name, t in model.state_dict().items() if name.startswith("trunk.")}


def results_of(run: str | Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((Path(run) / "report.json").read_text())
    hold_to_schema(report)
    return report


def tune(a2: A2, base: str, out: str, *flags: str) -> Path:
    ended = a2("finetune", "--run", base, *TUNE.split(), *flags, "--out", out)
    assert ended.status == 0, ended.err
    return Path(ended.out.strip())


@pytest.mark.parametrize("caching", ["--cache", "--no-cache"])
def test_what_is_frozen_stays_to_the_bit(caching: str, a2: A2, base: str) -> None:
    """Weights, and the statistics of batch norms; what learns moves."""
    folder = tune(a2, base, "tuned", caching, "--stages", "head:2@0.01 conv2+:2@0.01 all:1@0.01")
    model, _ = Run(Path(base)).load_model()
    before, stages = model.state_dict(), sorted((folder / "stages").iterdir())
    assert [stage.name for stage in stages] == ["1-head", "2-conv2+", "3-all"]
    moving: list[set[str]] = [set(), {"conv2"}, {"conv1", "conv2"}]
    for stage, moved in zip(stages, moving, strict=True):
        after = trunk_of(stage)
        changed = {name.split(".")[0].split("_")[0] for name, t in after.items() if not torch.equal(t, before[name])}
        assert changed == moved, stage
        assert any("running_mean" in name for name in after)
    found = results_of(folder)["transfer"]["stages"]
    assert [stage["cached"] for stage in found] == [caching == "--cache", caching == "--cache", False]
    assert [stage["frozen"] for stage in found] == [["conv1", "conv2"], ["conv1"], []]
    weights = {name: sum(p.numel() for p in ps.values()) for name, ps in layers_of(graph_of(model, "base"))}
    assert found[1]["frozen_parameters"] == weights["conv1"] == 3 * 4 * 9 + 4 + 2 * 4
    assert found[1]["learned_parameters"] == weights["conv2"] + 6 * 3 + 3


def test_the_cache_changes_nothing_but_the_time(a2: A2, base: str) -> None:
    flags = ("--stages", "head:3@0.1 conv2+:2@0.1", "--dropout", "0", "--optimizer", "sgd")  # Adam enlarges rounding
    logs = [
        next(iter(results_of(tune(a2, base, out, caching, *flags))["history"].values()))
        for out, caching in (("kept", "--cache"), ("anew", "--no-cache"))
    ]
    assert [log["epoch"] for log in logs[0]] == [1, 2, 3, 4, 5]
    for kept, anew in zip(*logs, strict=True):
        for quantity in ("train_loss", "val_loss"):
            assert kept[quantity] == pytest.approx(anew[quantity], rel=1e-5)


OWN = "by stages: head:1@0.01 all:1@0.01"


def test_a_page_of_several_runs_refers_to_stages_that_have_their_own(a2: A2, base: str) -> None:
    tune(a2, base, "own", "--stages", "head:1@0.01 all:1@0.01")
    tune(a2, base, "shared", "--stages", "head:1 all", "--epochs", "1", "--learning-rate", "0.01")
    assert a2("report", "base", "own", "shared", "-o", "page.html").status == 0
    page = Path("page.html").read_text()
    for name, of in (("epochs", ("2", OWN, "1")), ("learning_rate", ("0.0001", OWN, "0.01"))):
        cells = re.search(rf"<th[^>]*>{name}</th>((?:\s*<td[^>]*>[^<]*</td>){{3}})", page)
        assert cells and tuple(re.findall(r"<td[^>]*>([^<]*)<", cells[1])) == of


def test_augmentation_switches_the_cache_off_and_says_so(a2: A2, base: str) -> None:
    ended = a2("finetune", "--run", base, *TUNE.split(), "--stages", "head:1", "--augment", "flip", "--out", "tuned")
    ended.done("not cached", "the backbone was trained on 9 of the 18 images held out here")
    assert results_of("tuned")["transfer"]["stages"][0]["cached"] is False


def test_the_best_stage_is_kept(a2: A2, base: str) -> None:
    """A stage at a ruinous rate comes last, and is not taken."""
    folder = tune(a2, base, "tuned", "--stages", "head:20@0.1 all:1@10", "--optimizer", "sgd")
    report = results_of(folder)
    assert [stage["kept"] for stage in report["transfer"]["stages"]] == [True, False]
    run = report["results"]["runs"][0]
    assert (run["kept_epoch"] <= 20, run["epochs"]) == (True, 21)
    assert all(torch.equal(t, trunk_of(folder / "stages/1-head")[name]) for name, t in trunk_of(folder).items())
    last = tune(a2, base, "last", "--stages", "head:20@0.1 all:1@10", "--optimizer", "sgd", "--no-restore-best")
    assert [stage["kept"] for stage in results_of(last)["transfer"]["stages"]] == [False, True]


def test_each_stage_begins_where_the_one_before_was_best(a2: A2, base: str) -> None:
    """A last stage with a rate of next to nothing leaves what it was given."""
    tune(a2, base, "tuned", "--stages", "head:4@0.1 head:1@1e-12")
    first, second = (results_of(f"tuned/stages/{name}")["results"]["runs"][0] for name in ("1-head", "2-head"))
    assert second["val_loss"] == pytest.approx(first["val_loss"], rel=1e-5)


def test_a_stage_meets_no_draw_again(a2: A2, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the order of the images nor dropout's masks, which a head could have learned by heart."""
    seen: list[int] = []
    derive = Streams.derive

    def reporter(self: Streams, name: str, epoch: int = 0) -> int:
        found = derive(self, name, epoch)
        if name == "dropout":
            seen.append(found)
        return found

    monkeypatch.setattr(Streams, "derive", reporter)
    tune(a2, base, "tuned", "--stages", "head:3 conv2+:2 all:1")
    assert len(set(seen)) == len(seen) == 6


STAGES = ("--stages", "head:3@0.01 conv2+:3@0.01")


def stopped_at(epoch: int, a2: A2, base: str) -> None:
    """Leave a fine-tuning in the folder broken that was interrupted in this epoch of all stages."""
    record, seen = train_state.TrainState.record, 0

    def stop(self: train_state.TrainState, log: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == epoch:
            raise KeyboardInterrupt
        record(self, log)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trial, "CHECKPOINT_SECONDS", 0.0)
        patch.setattr(train_state.TrainState, "record", stop)
        stopped = a2("finetune", "--run", base, *TUNE.split(), *STAGES, "--out", "broken")
    assert (stopped.status, json.loads(Path("broken/report.json").read_text())["status"]) == (130, "interrupted")
    assert "--resume broken" in stopped.err


def test_a_run_that_is_interrupted_goes_on_to_the_same_end(a2: A2, base: str) -> None:
    whole = tune(a2, base, "whole", *STAGES)
    stopped_at(5, a2, base)
    a2("finetune", "--resume", "broken", "--quiet").done("the backbone was trained on")
    name = "model/model.safetensors"
    assert (Path("broken") / name).read_bytes() == (whole / name).read_bytes()
    ours, theirs = results_of("broken"), results_of(whole)
    assert ours["transfer"] == theirs["transfer"]
    again = a2("finetune", "-p", whole / "config.yaml", "--quiet", "--out", "again")
    assert again.status == 0, again.err
    assert (Path("again") / name).read_bytes() == (whole / name).read_bytes()


def train_another(a2: A2) -> None:
    """Train the same network as the backbone on another seed, in the folder other."""
    flags = [word for name, value in CNN.items() for word in (f"--{name.replace('_', '-')}", value)]
    assert a2("train-cnn", *flags, "--data", "set", "--seed", "1", "--out", "other", "--quiet").status == 0


@pytest.mark.parametrize("epoch", [2, 5, 7])
def test_a_backbone_that_lies_elsewhere_is_the_same_or_refused(epoch: int, a2: A2, base: str) -> None:
    """In its first stage, in its second, and finished: the run keeps what it calls its backbone."""
    whole = tune(a2, base, "whole", *STAGES)
    if epoch < 7:
        stopped_at(epoch, a2, base)
    else:
        shutil.copytree(whole, "broken")
    train_another(a2)
    shutil.move("base", "moved")
    resume = ["finetune", "--resume", "broken", "--quiet"]
    a2(*resume).refused(3, "--run base: does not exist", "say where it lies now with --run")
    refused = a2(*resume, "--run", "other")
    assert refused.status == 3 and re.search(r"error: broken/.*: built on other weights", refused.err)
    ended = a2(*resume, "--run", "moved")
    assert ended.status == 0, ended.err
    ours, theirs = results_of("broken"), results_of(whole)
    assert (ours["transfer"], ours["config"]) == (theirs["transfer"], theirs["config"])
    name = "model/model.safetensors"
    assert (Path("broken") / name).read_bytes() == (whole / name).read_bytes()
    shutil.move("other", "base")
    refused = a2(*resume)
    assert refused.status == 3 and "built on other weights" in refused.err


def test_trials_of_an_ablation_are_all_on_the_same_weights(a2: A2, base: str) -> None:
    flags = TUNE.replace("--threads 1 ", "").split()
    flags += ["--stages", "head:1", "--dropout", "0.5", "--without", "dropout=0", "--seeds", "2", "--jobs", "1"]
    ended = a2("ablate", "--trains", "finetune", "--run", base, *flags, "--out", "study")
    assert ended.status == 0, ended.err
    train_another(a2)
    shutil.move("base", "moved")
    a2("ablate", "--resume", "study", "--quiet").refused(3, "say where it lies now with --run")
    moved = a2("ablate", "--resume", "study", "--run", "moved", "--quiet")
    assert moved.status == 0 and "finished before, and agrees with its trials" in moved.err, moved.err
    shutil.move("other", "base")
    refused = a2("ablate", "--resume", "study", "--quiet")
    assert refused.status == 3 and "error: study/trials/" in refused.err and "built on other weights" in refused.err


def test_the_test_images_are_read_once_at_the_end(a2: A2, base: str) -> None:
    folder = tune(a2, base, "tuned", "--stages", "head:1")
    assert results_of(folder)["results"]["runs"][0]["test"] is None
    assert a2("finetune", "--resume", folder, "--final", "--quiet").status == 0
    report = results_of(folder)
    assert (report["results"]["runs"][0]["test"]["count"], report["test_reads"]) == (6, 1)


def test_several_seeds(a2: A2, base: str) -> None:
    folder = tune(a2, base, "tuned", "--stages", "head:1 conv2+:1", "--seeds", "2", "--jobs", "1")
    found = results_of(folder)
    each = [results_of(folder / f"seeds/{seed}")["transfer"]["stages"] for seed in range(2)]
    for number, stage in enumerate(found["transfer"]["stages"]):
        assert stage["val"]["n"] == 2
        assert stage["val"]["mean"] == pytest.approx(sum(one[number]["val"]["value"] for one in each) / 2)
    assert a2("finetune", "--resume", folder, "--json").out.startswith("{")


def test_its_run_can_be_probed_and_built_on(a2: A2, base: str) -> None:
    folder = tune(a2, base, "tuned", "--stages", "head:1")
    probed = a2("probe-invariance", "--run", folder, "--changes", "flip-horizontal", "--quiet", "--out", "probe")
    assert probed.status == 0, probed.err
    assert a2("finetune", "--run", folder, *TUNE.split()).status == 3, "it is on a backbone itself"


def test_random_weights_are_stamped_everywhere(a2: A2, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    save = Run.save_figure

    def reporter(self: Run, name: str, draw: Any, *rest: Any) -> None:
        made: list[Any] = []
        save(self, name, lambda: made.append(draw()) or made[0], *rest)
        drawn.extend(text.get_text() for text in made[0].texts)

    monkeypatch.setattr(Run, "save_figure", reporter)
    small = "--image-size 32 --weights none --backbone squeezenet1_1 --layer features.3.cat --head-grid 1"
    flags = ["--data", place / "set", *small.split(), "--stages", "head:1", "--threads", "1"]
    ended = a2("finetune", *flags, "--out", "none")
    assert ended.status == 0, ended.err
    assert "NOT PRETRAINED" in ended.out and "NOT PRETRAINED" in ended.err
    assert sum("NOT PRETRAINED" in text for text in drawn) == 7
    report = results_of("none")
    assert report["transfer"]["backbone"]["pretrained"] is False
    assert any("NOT PRETRAINED" in warning for warning in report["warnings"])
    drawn.clear()
    look = ["visualize-weights", "--run", "none", "--redraws", "4", "--threads", "1", "--quiet"]
    assert a2(*look, "--show", "evidence", "--out", "looked").status == 0
    assert sum("NOT PRETRAINED" in text for text in drawn) == 1
    drawn.clear()
    probe = ["--run", "none", "--changes", "invert", "--threads", "1", "--out", "probed"]
    probed = a2("probe-invariance", *probe)
    assert probed.status == 0 and "NOT PRETRAINED" in probed.err
    assert drawn and sum("NOT PRETRAINED" in text for text in drawn) == sum("run probed" in text for text in drawn)
    a2(*look, "--show", "film", "--out", "film").refused(2, "its first layer did not learn in this run")


# What learns, and how fast


def transfer(name: str, layer: str) -> tuple[Transfer, str]:
    graph = graph_of(build_torchvision(name), name)
    node = resolve_layer(graph, layer, "--layer")
    trunk = Trunk(nn.Identity(), truncate(graph, [node]), GridPooling(0, "average"))
    return Transfer(trunk, nn.Linear(1, 2)), node


def test_where_networks_are_cut() -> None:
    alexnet, _ = transfer("alexnet", "fc7")
    assert cut_before(alexnet.trunk.body, "conv5") == "features.9"
    assert cut_before(alexnet.trunk.body, "fc6") == "classifier.0"
    assert cut_before(alexnet.trunk.body, "conv1") is None
    resnet, _ = transfer("resnet18", "flatten")
    assert cut_before(resnet.trunk.body, "layer4") == "layer3.1.relu_1"
    assert cut_before(resnet.trunk.body, "layer4.1") == "layer4.0.relu_1"
    with pytest.raises(Exception, match=r"layer4\.1\.conv2\+ begins inside a block"):
        cut_before(resnet.trunk.body, "layer4.1.conv2")
    with pytest.raises(Exception, match=r"no layer 'layr4' below the head; did you mean 'layer4'"):
        cut_before(resnet.trunk.body, "layr4")


def test_rates_fall_with_depth_and_what_was_pretrained_decays_on_its_own() -> None:
    network, node = transfer("alexnet", "conv4")
    settings = build(FinetuneSettings, {"layer_decay": 0.5, "trunk_weight_decay": 0.01, "weight_decay": 0.1})
    plan = plan_of(Stage("conv3+", 1, 0.1), network.trunk.body, node)
    part = learning_part(network, plan.cut, cached=True)
    paces = {name: (pace.rate, pace.weight_decay) for name, pace in paces_of(network, part, settings).items()}
    assert {name.split(".")[-2]: pace for name, pace in paces.items()} == {"6": (0.25, 0.01), "8": (0.5, 0.01)}
    assert all(name.startswith("trunk.") for name in paces), "the head moves as usual"
    assert {name.split(".")[0] for name, _ in part.named_parameters()} == {"trunk", "head"}


def test_stages_in_words() -> None:
    settings = build(FinetuneSettings, {"stages": "head conv5+:5 all:3@1e-5", "epochs": 7, "learning_rate": 0.01})
    assert stages_of(settings) == [Stage("head", 7, 0.01), Stage("conv5+", 5, 0.01), Stage("all", 3, 1e-5)]


@pytest.mark.parametrize(
    ("flags", "words"),
    {
        "--stages head:0": ("--stages", "'head:0'"),
        "--stages conv5:3": ("--stages", "'conv5:3'"),
        "--stages head:2@-1": ("--stages", "'head:2@-1'"),
        "--stages head:2@1e": ("--stages", "'head:2@1e'"),
        "--stages ": ("--stages", "got none"),
        "--stages conv9+:1": ("--stages", "'conv9'", "conv1, ", "conv2"),
        "--layer conv3": ("--layer", "'conv3'", "conv2"),
        "--stages head:1 --epochs 3": ("--epochs", "each of --stages"),
        "--stages head:1@0.1 --learning-rate 3": ("--learning-rate", "each of --stages"),
        "--stages head:1 --layer-decay 0.5": ("--layer-decay", "more than the head"),
        "--head-grid 40": ("--head-grid", "too many for maps"),
        "--weights none": ("--weights", "a --run is its own backbone"),
        "--augment fly": ("--augment", "'fly'"),
    }.items(),
)
def test_what_cannot_be_used(flags: str, words: tuple[str, ...], a2: A2, base: str) -> None:
    name, _, value = flags.partition(" ")
    rest = [name, *value.split()] if value else [name, ""]
    usual = ["--layer", "conv2"] if name != "--layer" else []
    a2("finetune", "--run", base, "--data", "set", *usual, *rest, "--quiet", "--out", "out").refused(2, *words)
    assert not Path("out").exists()


@pytest.mark.slow
def test_alexnet_on_real_paintings(a2: A2, paintings: Path) -> None:
    weights = real_weights("alexnet_features.safetensors")
    flags = f"--data {paintings} --weights {weights} --layer conv4 --head-grid 3 --val-count 91 --test-fraction 0"
    ended = a2("finetune", *flags.split(), "--stages", "head:40", "--threads", "2", "--json")
    assert json.loads(ended.out)["results"]["runs"][0]["val"]["value"] > 0.8, ended.err


def test_a_standardized_head_begins_at_zero_and_goes_on_from_what_it_saw() -> None:
    head = build_head(HeadSettings(head_standardize=True, dropout=0.0), (3, 2, 2), 4, Streams(0))
    maps = 5 + 3 * torch.randn(40, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(head(maps), torch.zeros(40, 4))
    found = head.eval()[:-1](maps)
    assert found.mean(dim=0).abs().max() < 0.05 and (found.std(dim=0) - 1).abs().max() < 0.1
    again = build_head(HeadSettings(head_standardize=True, dropout=0.0), (3, 2, 2), 4, Streams(0))
    again.load_state_dict(head.state_dict())
    assert torch.equal(again.eval()[:-1](maps), found)


@pytest.mark.parametrize("pool", ["average", "max", "root"])
def test_what_is_cached_is_pooled_once(pool: str, a2: A2, base: str) -> None:
    """The network learns the same from the cache, where the trunk's answers lie pooled, as from images."""
    flags = ("--head-grid", "2", "--head-pool", pool, "--head-standardize", "--stages", "head:2@0.01")
    found = [results_of(tune(a2, base, way[2:], way, *flags)) for way in ("--cache", "--no-cache")]
    cached, anew = (report["results"]["runs"][0]["val_loss"] for report in found)
    assert cached == pytest.approx(anew, rel=1e-4)


CLASSIFIER = "classifier.1.weight, classifier.1.bias, classifier.4.weight and 1 more"
RANDOM = (9216 * 4096 + 4096) + (4096 * 4096 + 4096)


@pytest.mark.parametrize(
    ("preset", "node", "inputs"), [("2.4-finetune", "flatten", 9216), ("best-transfer", "features.7", 3456)]
)
def test_presets_take_weights_without_a_classifier(
    preset: str, node: str, inputs: int, a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head goes where the file's weights end, and it is said; nothing of the network begins at random."""
    monkeypatch.setattr(Run, "_save_drawing", lambda *_: None)
    weights, stages = real_weights("alexnet_features.safetensors"), ["head:1"]
    draw_classes(tmp_path / "set", ("ada", "bea"), count=10, side=64)
    stages += ["conv5+:1@1e-5", "all:1@1e-5"] if preset == "2.4-finetune" else []
    flags = ["--data", "set", "--weights", weights, "--image-size", "64", "--stages", " ".join(stages)]
    ended = a2("finetune", "-p", preset, *flags, "--threads", "1", "--quiet", "--out", "out")
    assert ended.status == 0, ended.err
    report = results_of("out")
    backbone, first = report["transfer"]["backbone"], report["transfer"]["stages"][0]
    assert (backbone["random"], backbone["pretrained"]) == ([], True)
    assert first["learned_parameters"] == inputs * 2 + 2
    if preset == "2.4-finetune":
        said = f"lacks {CLASSIFIER}; so the new head is put behind {node}"
        assert backbone["node"] == node and said in ended.err and f"these {RANDOM:,} weights" in ended.err
        assert any(said in warning for warning in report["warnings"])
        assert [stage["learned"][0] for stage in report["transfer"]["stages"]] == ["head", "conv5", "conv1"]
    else:
        assert "lacks" not in ended.err


def test_what_stands_between_the_weights_and_the_head() -> None:
    """With all weights, with --partial and of a network that ends in one linear layer the head stays at the top."""
    file = str(real_weights("alexnet_features.safetensors"))
    pictures = FinetuneSettings().dataset
    lacking = find_backbone(BackboneSettings(weights=file), pictures)
    assert place_of_head(lacking, partial=False)[0] == "flatten"
    assert place_of_head(lacking, partial=True) == ("classifier.5", [])
    assert lacking.weights is not None and lacking.weights.tensors is not None
    sixth = {name: value for name, value in lacking.model.state_dict().items() if name.startswith("classifier.1.")}
    more = replace(lacking, weights=replace(lacking.weights, tensors={**lacking.weights.tensors, **sixth}))
    assert place_of_head(more, partial=False)[0] == "classifier.2"  # behind fc6 and its ReLU, and no dropout
    assert place_of_head(find_backbone(BackboneSettings(weights="none"), pictures), partial=False)[1] == []
    (tail,) = place_of_head(
        find_backbone(BackboneSettings(backbone="resnet18", weights="none"), pictures), partial=False
    )[:1]
    assert tail == "flatten"
    words = random_in_words(lacking.model, ["classifier.1.bias", "classifier.1.weight"])
    assert words == "--partial: 37,752,832 weights begin at random: classifier.1.bias, classifier.1.weight"
