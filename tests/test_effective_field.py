"""Effective receptive fields, figures and run's directory of `a2 receptive-field`; whether a backend can be trusted."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, draw_classes, hold_to_schema
from safetensors.torch import save_file
from torch import nn

from a2cli.models.pretrained import build_torchvision
from a2cli.receptive_field import graphs, nan_proof
from a2cli.receptive_field.effective_field import deviation, influence, pixels_holding
from a2cli.receptive_field.effective_fields import support
from a2cli.receptive_field.fields import parse_layers, runs
from a2cli.receptive_field.model_fields import model_fields, traced
from a2cli.receptive_field.stack_fields import stack_fields


def uniform(kernels: list[int]) -> nn.Sequential:
    model = nn.Sequential(*(nn.Conv2d(3, 3, kernel, bias=False) for kernel in kernels))
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.25)
    return model


@pytest.mark.parametrize("kernels", [[5, 3], [3] * 8, [7, 1, 4]])
def test_equal_weights_give_the_boxes_convolved(kernels: list[int]) -> None:
    """Luo et al. 2016, section 2.2: the n-fold convolution of the kernels' boxes, with the sum of their variances."""
    side = 1 + sum(kernel - 1 for kernel in kernels)
    found, outputs = influence(
        uniform(kernels), [torch.rand(2, 3, side, side), torch.rand(1, 3, side, side)], (0, 0), 2
    )
    line = np.ones(1)
    for kernel in kernels:
        line = np.convolve(line, np.ones(kernel) / kernel)
    assert outputs == 2
    np.testing.assert_allclose(found, np.outer(line, line), rtol=1e-4)
    spread = np.sqrt(sum((kernel**2 - 1) / 12 for kernel in kernels))
    assert deviation(found) == pytest.approx((spread, spread), rel=1e-4)
    strongest_first = sorted(np.outer(line, line).flatten(), reverse=True)
    for share in (0.5, 0.9, 0.99):
        count = pixels_holding(found, share)
        assert sum(strongest_first[: count - 1]) < share + 1e-4
        assert sum(strongest_first[:count]) >= share - 1e-4


def test_gradients_of_both_signs_do_not_cancel() -> None:
    model = nn.Conv2d(3, 2, (1, 2), bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[[[1.0, 0.0]]], [[[-1.0, 0.0]]]]).expand(2, 3, 1, 2))
    found, outputs = influence(model, [torch.rand(4, 3, 3, 5)], (1, 2), 16)
    assert outputs == 2
    assert found[1, 2] == 1 and found.sum() == 1
    assert pixels_holding(found, 0.99) == 1


def test_a_dead_unit_has_none() -> None:
    found, _ = influence(lambda x: (x.mean(1, keepdim=True) - 2).relu(), [torch.rand(4, 3, 3, 3)], (1, 1), 16)
    assert not found.any()


@pytest.mark.parametrize("bits", [0, 1, 0b101101, (1 << 70) - 1, 0b1110000])
def test_runs(bits: int) -> None:
    assert sum(1 << place for first, last in runs(bits) for place in range(first, last + 1)) == bits
    assert all(before[1] + 1 < after[0] for before, after in zip(runs(bits), runs(bits)[1:], strict=False))


def test_the_cone_of_a_stack_is_what_each_map_shows() -> None:
    """Dilation leaves holes in the map below, and the cone has them."""
    found = stack_fields(parse_layers("conv3 pool2 conv3d2"), 20, "Z3,2,1")
    image, first, second, third = found.cone
    assert (third.rows, third.columns) == ([(2, 2)], [(1, 1)])
    assert (second.rows, second.columns) == ([(2, 2), (4, 4), (6, 6)], [(1, 1), (3, 3), (5, 5)])
    assert first.rows == [(4, 5), (8, 9), (12, 13)]
    assert found.unit is not None
    assert image.rows == found.unit.seen_rows == [(4, 15)]
    mask = support(found.unit, (20, 20))
    assert mask.sum() == found.unit.pixels


def test_the_cone_along_a_graph_is_where_nan_comes_through() -> None:
    """NaN put into one row of a map inside the network reaches the tip if and only if the cone has that row."""
    tip = "layer3.1.conv2"
    cone = model_fields("resnet18", 64, f"{tip},1,2").cone
    graph = traced(build_torchvision("resnet18"))
    assert graph is not None
    derivation, modules = graphs.derive(graph, 64), dict(graph.named_modules())
    assert [one.name for one in cone] == ["image", "conv1", "layer1.1.conv2", "layer2.1.conv2", tip]
    for one in cone[1:-1]:
        rows = {row for first, last in one.rows for row in range(first, last + 1)}
        assert 0 < len(rows) <= one.size[0]
        for row in range(one.size[0]):
            hook = modules[one.name].register_forward_hook(lambda _, __, maps, row=row: spoiled(maps, row))
            maps = graphs.maps_of(derivation, [tip])(torch.zeros(1, 3, 64, 64))[tip]
            hook.remove()
            assert bool(maps[0, :, 1].isnan().any()) == (row in rows), (one.name, row)


def spoiled(maps: torch.Tensor, row: int) -> torch.Tensor:
    return maps.index_fill(2, torch.tensor([row]), torch.nan)


def through_fft(conv: nn.Conv2d, maps: torch.Tensor) -> torch.Tensor:
    """A convolution as an FFT computes it: right, and every value is made of all."""
    height, width = (size + kernel - 1 for size, kernel in zip(maps.shape[2:], conv.kernel_size, strict=True))
    spectrum = torch.fft.rfft2(maps, (height, width))[:, None] * torch.fft.rfft2(
        conv.weight.flip(2, 3), (height, width)
    )
    full = torch.fft.irfft2(spectrum.sum(dim=2), (height, width))
    rows, columns = (kernel - 1 for kernel in conv.kernel_size)
    return full[:, :, rows : maps.shape[2], columns : maps.shape[3]] + conv.bias.view(-1, 1, 1)


def test_a_kernel_that_marks_too_much_is_found_out_first(a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, conv, maps = nn.Conv2d.forward, nn.Conv2d(3, 4, (3, 2)), torch.rand(2, 3, 9, 8)
    torch.testing.assert_close(through_fft(conv, maps), plain(conv, maps))
    command = "receptive-field", "--layers", "conv3 pool2 conv3", "--image-size", "14", "--prove"

    def fast(conv: nn.Conv2d, maps: torch.Tensor) -> torch.Tensor:
        return through_fft(conv, maps) if torch.backends.mkldnn.enabled else plain(conv, maps)

    monkeypatch.setattr(nn.Conv2d, "forward", fast)
    model = nan_proof.built(parse_layers("conv3 pool2 conv3"))
    assert nan_proof.marking_too_much(model, torch.zeros(1, 3, 14, 14)) == ["Z1", "Z3"]
    assert "Proven" in a2(*command).out, "torch's plain kernel does not"
    monkeypatch.setattr(nn.Conv2d, "forward", through_fft)
    a2(*command).refused(2, "the kernel that computes Z1 here spreads NaN", "nothing can be proven")


def test_a_run_trained_against_untrained(a2: A2, train: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=20, side=14)
    small = ["--image-size", "14", "--channels", "3,4", "--stride", "1", "--epochs", "8", "--learning-rate", "0.05"]
    run = train("--data", "set", *small).done()
    look = a2("receptive-field", "--run", run, "--effective", "--out", "look", "--quiet")
    folder = look.done()
    report = json.loads((folder / "report.json").read_text())
    hold_to_schema(report)
    found = report["results"]["effective"]
    assert [(one["layer"], one["weights"]) for one in found] == [
        (layer, weights) for layer in ("conv1", "conv2") for weights in ("untrained", "trained")
    ]
    assert all(one["outside"] == 0 and one["pixels"] == (9, 25)[one["layer"] == "conv2"] for one in found)
    assert found[2]["deviation"] != found[3]["deviation"]
    assert sorted(path.name for path in (folder / "figures").glob("*.png")) == [
        f"{name}.png" for name in ("box", "depth", "effective", "maps")
    ]
    with (folder / "figures/effective.csv").open() as file:
        cells = list(csv.DictReader(file))
    for weights in ("untrained", "trained"):
        assert sum(float(cell["share"]) for cell in cells if cell["weights"] == weights) == pytest.approx(1)
    again = a2("receptive-field", "-p", folder / "config.yaml", "--out", "again", "--json")
    assert json.loads(again.out)["results"] == report["results"]


def test_a_unit_of_a_preset_over_images(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", side=20)
    flags = [
        "--layers",
        "conv3 pool2 conv3d2",
        "--image-size",
        "20",
        "--data",
        "set",
        "--unit",
        "Z3,2,1",
        "--images",
        "2",
    ]
    results = json.loads(a2("receptive-field", *flags, "--effective", "--json", "--out", "look").out)["results"]
    last = results["effective"][-1]
    assert (last["layer"], last["unit"], last["images"], last["outside"]) == ("Z3", [2, 1], 2, 0)
    assert last["pixels"] == results["unit"]["pixels"] == 144
    assert 1 <= last["holding"]["50"] < last["holding"]["90"] <= last["holding"]["99"] <= 144


def test_gradient_from_outside_the_field_refutes(a2: A2, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw_classes(tmp_path / "set", side=20)
    built = nan_proof.built

    def wider(layers: Any) -> nn.Sequential:
        model = built(layers)
        model[1] = nn.Conv2d(3, 3, 5, padding=1)
        return model

    monkeypatch.setattr("a2cli.receptive_field.nan_proof.built", wider)
    monkeypatch.setattr(
        "a2cli.receptive_field.effective_fields._of_sequence",
        lambda model: lambda name: model[:2] if name == "Z2" else model[:1],
    )
    ended = a2(
        "receptive-field", "--layers", "conv3 conv3", "--image-size", "20", "--data", "set", "--effective", "--out", "o"
    )
    assert ended.status == 5
    assert "Refuted: gradient reaches Z2 from outside its field." in ended.err


def test_figures_without_an_images_size(a2: A2, tmp_path: Path) -> None:
    folder = a2("receptive-field", "--layers", "conv5 conv3", "--quiet").done()
    assert folder.parent == Path("runs")
    assert sorted(path.name for path in (folder / "figures").glob("*.png")) == ["depth.png", "maps.png"]


def test_a_model_with_weights(a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", side=40)
    command = ["receptive-field", "--model", "squeezenet1_0", "--image-size", "40", "--data", "set", "--images", "1"]
    command += ["--unit", "features.3.squeeze,4,4", "--effective"]
    weights = build_torchvision("squeezenet1_0").state_dict()
    save_file({name: 2 * value for name, value in weights.items()}, tmp_path / "twice.safetensors")
    found = json.loads(a2(*command, "--weights", "twice.safetensors", "--json").out)["results"]["effective"]
    assert [one["weights"] for one in found] == ["untrained", "trained"]
    assert found[0]["layer"] == "features.3.squeeze"
    (tmp_path / "no.safetensors").write_text("{}")
    a2(*command, "--weights", "no.safetensors").refused(3, "not a file of weights")
    a2(*command, "--weights", "gone.safetensors").refused(3, "does not exist")
    save_file({"features.0.weight": torch.zeros(1)}, tmp_path / "small.safetensors")
    a2(*command, "--weights", "small.safetensors").refused(3, "weights of another network (features.0.weight is (1,)")
    save_file({"features.0.weight": weights["features.0.weight"]}, tmp_path / "few.safetensors")
    a2(*command, "--weights", "few.safetensors").refused(3, "lacks classifier.1.bias, classifier.1.weight, features.0")
    save_file({**weights, "extra": torch.zeros(1)}, tmp_path / "more.safetensors")
    a2(*command, "--weights", "more.safetensors").refused(3, "weights of another network (no place for extra)")
    assert len(list((tmp_path / "runs").iterdir())) == 1, "those refused left nothing"


BAD = {
    "--layers conv5 --effective": (2, "--effective: needs --image-size"),
    "--images 4": (2, "--images: acts only with --effective"),
    "--outputs 4": (2, "--outputs: acts only with --effective"),
    "--weights x": (2, "--weights: acts only with --effective"),
    "--effective --weights x": (2, "--weights: acts only with --model"),
    "--data atelier": (2, "--data: acts only with"),
    "--effective --images 0": (2, "--images"),
    "--effective --data nowhere": (3, "nowhere"),
    "--figures --out taken": (3, "already there"),
}


@pytest.mark.parametrize("flags", BAD)
def test_bad_flags_leave_nothing(flags: str, a2: A2, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    status, words = BAD[flags]
    a2("receptive-field", *flags.split()).refused(status, words)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_alexnets_training_narrows_its_conv4(a2: A2, paintings: Path) -> None:
    """Real weights on real images: the gradient is nearer to the centre than in the network drawn at random."""
    weights = paintings.parents[1] / "weights/alexnet_features.safetensors"
    flags = ["--data", paintings, "--weights", weights, "--images", "4", "--outputs", "4", "--json"]
    ended = a2("receptive-field", "--model", "alexnet", "--unit", "features.8,6,6", "--effective", *flags)
    untrained, trained = json.loads(ended.out)["results"]["effective"]
    assert trained["shares"]["90"] < untrained["shares"]["90"] < 1
    assert trained["pixels"] == 131**2
