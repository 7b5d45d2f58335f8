"""`a2 visualize-weights`: what it draws are the network's own weights, and what it finds was put there."""

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, Ended, draw_classes, flip, keep_network, real_weights
from PIL import Image
from torch import nn

from a2cli.command_line.arguments import training_of
from a2cli.drawn_sets.drawing import DrawnSet
from a2cli.models.layers import initialize
from a2cli.models.zoo import build_network, untrained_backbone
from a2cli.probe_invariance.targets import TrainingRun
from a2cli.progress import NullReporter
from a2cli.random_streams import Streams
from a2cli.runs.directory import Run
from a2cli.settings.presets import resolve
from a2cli.settings.training import TrainCnnSettings, TrainMlpSettings
from a2cli.train import run as train
from a2cli.training import trial
from a2cli.visualize_weights.inspected import InspectedNetwork, find_viewed
from a2cli.visualize_weights.results import Patch
from a2cli.visualize_weights.saliency import look
from a2cli.visualize_weights.settings import ViewSettings
from a2cli.visualize_weights.units import _cut

QUICK = ("--redraws", "4", "--threads", "1", "--device", "cpu", "--quiet")
SMALL: dict[str, Any] = {"image_size": "12", "epochs": "5", "threads": "1", "device": "cpu", "learning_rate": "0.01"}
CNN = {**SMALL, "channels": "4,6", "kernel_size": "3", "stride": "1", "hidden": "5"}
MLP = {**SMALL, "hidden": "7", "val_fraction": "0.2", "test_fraction": "0"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a set of noisy images, a ConvNet and an MLP trained on it."""
    place = tmp_path_factory.mktemp("weights")
    draw_classes(place / "set", ("ada", "bea", "cay"), count=10, side=14)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("A2_CACHE_DIR", str(place / "cache"))
        patch.setattr(trial, "draw_run", lambda *_: None)
        patch.setattr(train, "draw_training", lambda *_: None)
        data = {"data": str(place / "set")}
        for name, command, kind, flags in (
            ("cnn", "train-cnn", TrainCnnSettings, CNN),
            ("mlp", "train-mlp", TrainMlpSettings, MLP),
        ):
            settings = resolve(kind, command, [], {**flags, **data}).settings
            train.train_network(settings, Run.create(command, str(place / name)), NullReporter())
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (20, 16, 3), dtype=np.uint8)).save(place / "one.png")
    (place / "words.png").write_text("no image")
    return place


@pytest.fixture
def view(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> A2:
    """Run `a2 visualize-weights` beside the set and the runs."""
    monkeypatch.setenv("A2_CACHE_DIR", str(place / "cache"))
    for path in place.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return lambda *arguments: a2("visualize-weights", *QUICK, *arguments)


@pytest.fixture
def viewed(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], InspectedNetwork]:
    """Return one of the networks as it is looked into."""
    monkeypatch.setenv("A2_CACHE_DIR", str(place / "cache"))

    def find(name: str) -> InspectedNetwork:
        folder = str(place / name)
        trained = TrainingRun(folder, training_of("--run", folder))
        return find_viewed(ViewSettings(run=(folder,)), [trained], torch.device("cpu"), NullReporter())[0]

    return find


def found(ended: Ended) -> Any:
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)["results"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def model_of(run: Path) -> nn.Module:
    return Run(run).load_model()[0]


# Pictures


def test_filters_drawn_are_the_networks(view: A2, place: Path, tmp_path: Path, rendered: None) -> None:
    out = tmp_path / "out"
    view("--run", "cnn", "--show", "filters", "--out", out).done()
    drawn = np.load(out / "figures/filters.npz")["cnn/filters"]
    torch.testing.assert_close(torch.from_numpy(drawn), model_of(place / "cnn").conv1.weight.detach())
    with Image.open(out / "figures/filters.png") as picture:
        assert picture.width == 7 * 150


def test_hidden_units_are_pictures_of_their_weights(view: A2, place: Path, tmp_path: Path) -> None:
    out, layer = tmp_path / "out", model_of(place / "mlp").hidden1
    view("--run", "mlp", "--show", "units", "--units", "3,1", "--out", out).done()
    drawn = np.load(out / "figures/units.npz")
    assert drawn["mlp/units"].tolist() == [3, 1]
    assert drawn["mlp/classes"].tolist() == ["ada", "bea", "cay"]
    # A pixel's three colours are neighbours in the weights: a picture that is a weight vector excites that unit most.
    pixels = torch.from_numpy(drawn["mlp/weights"])
    flat = pixels.permute(0, 2, 3, 1).flatten(1)
    torch.testing.assert_close(flat, layer.weight.detach()[[3, 1]])
    weights = model_of(place / "mlp").output.weight.detach().T[[3, 1]].double()
    silent = torch.from_numpy(drawn["mlp/to_classes"]).abs().sum(dim=1) == 0
    torch.testing.assert_close(torch.from_numpy(drawn["mlp/to_classes"])[~silent], weights[~silent])


def test_units_that_a_class_uses_most_come_first(
    view: A2, viewed: Callable[[str], InspectedNetwork], place: Path
) -> None:
    network, model = viewed("mlp"), model_of(place / "mlp")
    results = found(view("--run", "mlp", "--show", "units", "--class", "bea", "--json"))
    shown = results["networks"][0]["units"]
    images = torch.cat([batch for batch, _ in network.batches(NullReporter())])
    images = images[torch.tensor([label == "bea" for label in network.labels])]
    with torch.no_grad():
        hidden = model[:4](images)  # normalize, flatten, hidden1, its ReLU
    use = (hidden * model.output.weight[1]).mean(dim=0)
    assert [one["unit"] for one in shown] == use.argsort(descending=True, stable=True).tolist()
    np.testing.assert_allclose([one["use"] for one in shown], use.sort(descending=True).values.detach(), rtol=1e-5)


def test_patches_are_where_brute_force_finds_them(
    view: A2, viewed: Callable[[str], InspectedNetwork], place: Path, tmp_path: Path
) -> None:
    out, network, model = tmp_path / "out", viewed("cnn"), model_of(place / "cnn")
    view("--run", "cnn", "--show", "patches", "--layer", "conv2", "--units", "0,4", "--out", out).done()
    table = rows(out / "figures/images-conv2.csv")
    images = torch.cat([batch for batch, _ in network.batches(NullReporter())])
    with torch.no_grad():
        maps = model[:5](images)  # to conv2's ReLU
    cut = np.load(out / "figures/patches-conv2.npz")["patches"]
    for place_, unit in enumerate((0, 4)):
        strongest = maps[:, unit].flatten(1).max(dim=1)
        best = int(strongest.values.argmax())
        mine = next((row for row in table if row["unit"] == str(unit)), None)
        if strongest.values[best] == 0:
            assert mine is None
            continue
        assert mine is not None
        assert mine["image"] == network.names[int(network.images.rows[best])]
        assert float(mine["answer"]) == pytest.approx(float(strongest.values[best]))
        top, left = divmod(int(strongest.indices[best]), maps.shape[3])
        assert [int(mine[key]) for key in ("first_row", "last_row", "first_column", "last_column")] == [
            top, top + 4, left, left + 4
        ]  # fmt: skip
        alone = torch.from_numpy(cut[place_, 0]).permute(2, 0, 1)[None]  # the unit sees just that: 5x5 pixels
        with torch.no_grad():
            assert float(model[:5](alone)[0, unit]) == pytest.approx(float(strongest.values[best]), rel=1e-4)


def test_a_patch_that_lies_in_the_padding_is_grey(viewed: Callable[[str], InspectedNetwork]) -> None:
    """Where a layer pads by more than its field is wide, a unit at the edge sees nothing of the image."""
    network = viewed("cnn")
    for rows_seen, columns_seen in (((-6, -4), (2, 4)), ((1, 3), (-9, -7)), ((13, 15), (14, 16))):
        cut = _cut(network, 0, Patch("", "", 1.0, rows_seen, columns_seen))
        assert cut.shape == (3, 3, 3) and bool((cut == 128).all())


def test_an_ascent_excites_more_than_any_image(view: A2, tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = found(
        view("--run", "cnn", "--show", "patches,ascent", "--layer", "conv2", "--count", "6", "--out", out, "--json")
    )
    pictures = np.load(out / "figures/patches-conv2.npz")["ascent"]
    assert pictures.shape == (6, 3, 5, 5)
    assert pictures.min() >= 0 and pictures.max() <= 1
    units = [one for one in results["networks"][0]["units"] if one["patches"]]
    higher = [one["ascent"] > one["patches"][0]["value"] for one in units]
    assert len(higher) == 6
    assert sum(higher) >= 5, "one may end on a lower hill"


def test_figures_come_in_the_formats_asked_for_and_twice_the_same(view: A2, tmp_path: Path, rendered: None) -> None:
    for name in ("one", "two"):  # below a figure stands the name of its run
        view("--run", "mlp", "--format", "png,svg,pdf", "--out", tmp_path / name / "out").done()
    first = sorted((tmp_path / "one/out/figures").iterdir())
    assert {path.suffix for path in first} == {".png", ".svg", ".pdf", ".csv", ".npz"}
    for path in first:
        if path.suffix in {".png", ".pdf", ".csv", ".npz"}:
            assert path.read_bytes() == (tmp_path / "two/out/figures" / path.name).read_bytes(), path.name
    assert (tmp_path / "one/out/figures/units.svg").read_text().startswith("<?xml")


def test_networks_side_by_side_share_one_scale(view: A2, place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "mlp", tmp_path / "other")
    out = tmp_path / "out"
    results = found(view("--run", "mlp", "--run", tmp_path / "other", "--show", "units", "--out", out, "--json"))
    assert [one["name"] for one in results["networks"]] == ["mlp", "other"]
    assert {path.name for path in (out / "figures").glob("*.png")} == {"units.png", "units-1.png", "units-2.png"}
    both = np.load(out / "figures/units.npz")
    np.testing.assert_array_equal(both["mlp/weights"], both["other/weights"])


# The film


def test_the_film_goes_from_the_weights_drawn_to_those_kept(view: A2, place: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    results = found(view("--run", "cnn", "--show", "film", "--animate", "--out", out, "--json"))
    report = json.loads((place / "cnn/report.json").read_text())
    kept = report["results"]["runs"][0]["kept_epoch"]
    frames = results["networks"][0]["film"]
    assert [one["epoch"] for one in frames] == sorted({0, 1, 2, 4, kept})
    _, card = Run(place / "cnn").load_model()
    drawn = np.load(out / "figures/film.npz")
    started = build_network(card, Streams(0)).conv1.weight.detach().numpy()
    np.testing.assert_array_equal(drawn["epoch 0"], started)
    np.testing.assert_array_equal(drawn[f"epoch {kept}"], model_of(place / "cnn").conv1.weight.detach())
    assert not np.array_equal(drawn["epoch 1"], drawn["epoch 0"])
    moved = [one["moved"] for one in frames]
    last = drawn[f"epoch {kept}"]
    assert moved[-1] == pytest.approx(np.linalg.norm(last - started) / np.linalg.norm(started), rel=1e-5)
    with Image.open(out / "figures/film.gif") as film:
        assert film.n_frames == len(frames)


# Evidence


@pytest.fixture
def own(place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, A2]:
    """A ConvNet's run in the test's own folder, whose weights may be changed, and the command there."""
    run = shutil.copytree(place / "cnn", tmp_path / "cnn")
    monkeypatch.setenv("A2_CACHE_DIR", str(place / "cache"))
    return run, lambda *arguments: a2("visualize-weights", *QUICK, "--run", "cnn", *arguments)


def test_planted_units_are_found(own: tuple[Path, A2]) -> None:
    folder, view = own
    run = Run(folder)
    model, card = run.load_model()
    with torch.no_grad():
        model.conv2.bias[3] = -1e3
        model.conv2.weight[5] = 2 * model.conv2.weight[1]
    keep_network(run, card, model)
    layers = {one["layer"]: one for one in found(view("--show", "evidence", "--json"))["networks"][0]["layers"]}
    assert 3 in layers["conv2"]["dead"]
    assert layers["conv2"]["duplicates"] == [[1, 5]]
    assert layers["conv1"]["duplicates"] == []
    assert layers["conv2"]["moved"] > layers["output"]["moved"] > 0


@pytest.mark.slow
def test_trained_networks_have_learned_and_random_ones_have_not(
    a2: A2, drawn: Callable[[str], DrawnSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On ten seeds: the same run with its own weights, and with those that it began with."""
    monkeypatch.setattr("a2cli.drawn_sets.portraits.draw_portraits", lambda reporter: drawn("portraits"))
    flags = ("--data", "portraits", "--epochs", 8, "--threads", 1, "--hidden", 40, "--quiet", "--scheduler", "none")
    for seed in range(10):
        folder = a2("train-mlp", *flags, "--seed", seed, "--out", f"run-{seed}").done()
        look_at = ("visualize-weights", *QUICK[2:], "--run", folder, "--show", "evidence", "--json")
        layers = found(a2(*look_at))["networks"][0]["layers"]
        assert [one["verdict"] for one in layers if one["layer"] == "hidden1"] == ["learned"], seed
        run = Run(folder)
        _, card = run.load_model()
        keep_network(run, card, build_network(card, Streams(seed)))
        layers = found(a2(*look_at))["networks"][0]["layers"]
        assert {one["verdict"] for one in layers} == {"like its initialisation"}, seed
        assert all(one["moved"] == 0 for one in layers)


# What it looks at


def test_maps_say_what_they_are(view: A2, tmp_path: Path) -> None:
    out = tmp_path / "out"
    methods = "gradient,integrated-gradients,deep-lift,gradient-shap,grad-cam"
    asked = ("--image", "one.png", "--class", "cay", "--methods", methods)
    results = found(view("--run", "cnn", "--show", "filters", *asked, "--out", out, "--json"))
    (one,) = results["looks"]
    assert (one["looked_for"], one["network"]) == ("cay", "cnn")
    sums = {two["method"]: (two["total"], two["change"]) for two in one["maps"]}
    assert sums["gradient"] == (None, None)
    for method in ("integrated-gradients", "deep-lift"):
        total, change = sums[method]
        assert total == pytest.approx(change, rel=0.01)
    drawn = np.load(out / "figures/look-1.npz")
    assert drawn["image"].shape == (12, 12, 3)
    assert drawn["integrated-gradients"].sum() == pytest.approx(sums["integrated-gradients"][0], rel=1e-4)
    assert drawn["grad-cam"].min() >= 0


def test_a_map_that_needs_no_weights_says_nothing(viewed: Callable[[str], InspectedNetwork], place: Path) -> None:
    network, one = viewed("cnn"), str(place / "one.png")
    same = replace(network, redrawn=lambda _: network.graph)
    shown = look(same, one, ("gradient", "occlusion"), None, 4, NullReporter())
    assert [(two.says_nothing, two.alike[0]) for two in shown.look.maps] == [(True, pytest.approx(1))] * 2


def test_methods_that_do_not_suit_are_left_out(view: A2) -> None:
    results = found(view("--run", "mlp", "--show", "units", "--image", "one.png", "--json"))
    assert results["looks"][0]["skipped"] == {"grad-cam": "the network has no map of the image"}
    view("--run", "mlp", "--image", "one.png", "--methods", "grad-cam").refused(2, "none suits mlp")


def test_captum_is_asked_for_where_it_is_missing(view: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("a2cli.visualize_weights.checks.find_spec", lambda _: None)
    view("--run", "cnn", "--image", "one.png", "--methods", "deep-lift").refused(
        2, "captum", "pip install 'a2cli[captum]'"
    )
    view("--run", "cnn", "--image", "one.png", "--methods", "occlusion", "--show", "film").done()


# Backbones and bad input


def test_a_backbone_without_weights_is_stamped(view: A2) -> None:
    ended = view("--backbone", "squeezenet1_1", "--weights", "none", "--data", "set", "--show", "filters", "--json")
    assert ended.status == 0
    assert "NOT PRETRAINED" in ended.err
    assert json.loads(ended.out)["warnings"] == ["NOT PRETRAINED: the backbone has random weights"]


@pytest.mark.slow
def test_alexnets_first_filters_and_patches(a2: A2, paintings: Path, tmp_path: Path) -> None:
    weights = real_weights("alexnet_features.safetensors")
    out = tmp_path / "out"
    a2("visualize-weights", "--backbone", "alexnet", "--weights", weights, "--data", paintings, "--layer", "conv4",
       "--show", "filters,patches", "--out", out, "--quiet").done()  # fmt: skip
    assert np.load(out / "figures/filters.npz")["alexnet/filters"].shape == (64, 3, 11, 11)
    table = rows(out / "figures/images-conv4.csv")
    assert len(table) == 16 * 9
    assert all(int(row["last_row"]) - int(row["first_row"]) == 130 for row in table)  # conv4's field: 131 pixels


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ((), 2, ("--run", "neither")),
        (("--run", "nope"), 3, ("nope", "does not exist")),
        (("--run", "cnn", "--backbone", "alexnet"), 2, ("both",)),
        (("--run", "cnn", "--units", "6"), 2, ("conv2", "0 to 5", "got 6")),
        (("--run", "mlp", "--units", "7"), 2, ("hidden1", "0 to 6")),
        (("--run", "cnn", "--units", "1,1"), 2, ("named twice",)),
        (("--run", "cnn", "--class", "cey"), 2, ("did you mean 'cay'",)),
        (("--run", "cnn", "--layer", "conv3"), 2, ("no layer 'conv3'", "conv2")),
        (("--run", "cnn", "--layer", "output"), 2, ("linear",)),
        (("--run", "mlp", "--show", "filters"), 2, ("mlp", "see units")),
        (("--run", "cnn", "--show", "units"), 2, ("cnn", "see filters")),
        (("--run", "cnn", "--image", "words.png"), 3, ("words.png", "not an image")),
        (("--run", "cnn", "--image", "gone.png"), 3, ("gone.png", "does not exist")),
        (("--run", "cnn", "--image", "set"), 3, ("a folder",)),
        (("--run", "cnn", "--methods", "gradient"), 2, ("--image",)),
        (("--run", "cnn", "--weights", "none"), 2, ("--backbone",)),
        (("--run", "cnn", "--show", "film", "--steps", "3"), 2, ("--steps",)),
        (("--run", "cnn", "--show", "filters", "--animate"), 2, ("--animate",)),
        (("--backbone", "alexnt"), 2, ("did you mean 'alexnet'",)),
        (("--backbone", "alexnet", "--image", "one.png"), 2, ("--run",)),
    ],
)
def test_bad_input_is_one_line(
    view: A2, tmp_path: Path, arguments: tuple[str, ...], status: int, words: tuple[str, ...]
) -> None:
    view(*arguments).refused(status, *words)
    assert not (tmp_path / "runs").exists()


def test_damage_is_told(own: tuple[Path, A2]) -> None:
    folder, view = own
    flip(folder / "film/epoch-00000002.safetensors")
    view("--show", "film").refused(3, "epoch-00000002", "damaged")
    shutil.rmtree(folder / "film")
    results = found(view("--show", "film", "--json"))["networks"][0]["film"]
    assert len(results) == 2, "the first and the last are not kept there"
    shutil.rmtree(folder / "model")
    view("--show", "film").refused(3, "model.json")


def test_a_plan_says_what_would_be_drawn(view: A2, tmp_path: Path) -> None:
    ended = view("--run", "mlp", "--image", "one.png", "--dry-run")
    assert ended.status == 0
    for words in ("Networks: mlp", "all that suit the network", "4 networks re-initialised", "one.png"):
        assert words in ended.out
    assert not (tmp_path / "runs").exists()


def test_a_backbone_is_built_once_for_all_redraws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew are the layers that are looked at, as they would be in the whole network: by name, from the seed."""
    settings = ViewSettings(backbone="squeezenet1_0", weights="none", show=("filters",), seed=3)
    (network,) = find_viewed(settings, [], torch.device("cpu"), NullReporter())
    built = []
    whole = untrained_backbone
    monkeypatch.setattr(
        "a2cli.visualize_weights.inspected.untrained_backbone", lambda card: built.append(card) or whole(card)
    )
    drawn = [network.redrawn(number).state_dict() for number in (0, 1, 0)]
    assert len(built) == 1
    expected = whole(built[0])
    initialize(expected, Streams(Streams(3).derive("redraw", 1)))
    own = expected.state_dict()
    assert drawn[0].keys() == drawn[1].keys()
    assert all(torch.equal(drawn[0][name], drawn[2][name]) for name in drawn[0])
    for name, value in drawn[1].items():
        assert torch.equal(value, own[name.removeprefix("body.")])
        assert not torch.equal(value, drawn[0][name]) or not value.any()
