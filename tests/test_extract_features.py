"""`a2 extract-features` from the outside: what it writes, what it agrees with, what it keeps, what it refuses."""

import json
import multiprocessing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import A2, ROOT, draw_classes, hold_to_schema
from PIL import Image
from safetensors import safe_open
from torch import Tensor, nn
from torchvision import models
from torchvision.datasets import ImageFolder

from a2cli.models.fast_pooling import has_bf16
from a2cli.models.pretrained import build_torchvision
from a2cli.models.transfer import GridPooling
from a2cli.models.zoo import build_trunk
from a2cli.progress import NullReporter
from a2cli.reports.transfer_results import FeatureResults
from a2cli.settings.presets import resolve
from a2cli.settings.transfer import ExtractFeaturesSettings
from a2cli.storage import lock
from a2cli.transfer.extract_features import extract_features
from a2cli.transfer.feature_file import read_features

FAST = ["--threads", "1", "--device", "cpu"]
SMALL = [*FAST, "--data", "set", "--backbone", "squeezenet1_1", "--image-size", "64", "--weights", "none"]
FEW = [*SMALL, "--layer", "features.4,features.7"]
STAMP = "NOT PRETRAINED"


@pytest.fixture(autouse=True)
def pictures(tmp_path: Path) -> Path:
    return draw_classes(tmp_path / "set", side=75)


def results(a2: A2, *arguments: object) -> dict[str, Any]:
    ended = a2("extract-features", *arguments, "--overwrite", "--json")
    assert ended.status == 0, ended.err
    report = json.loads(ended.out)
    hold_to_schema(report)
    assert (report["status"], report["command"]) == ("done", "extract-features")
    found = report["results"]
    assert isinstance(found, dict)
    assert found["computed"] + found["kept"] <= found["images"]
    return found


def tensors(arrays: Mapping[str, Any]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def hooked(model: nn.Module, nodes: list[str], data: str, transform: Any, batch: int, precision: str) -> list[Tensor]:
    """What a script with torchvision alone gets: hooks, its transforms on the pictures, batch by batch."""
    found: dict[str, list[Tensor]] = {node: [] for node in nodes}
    for node in nodes:

        def hook(_module: nn.Module, _inputs: object, output: Tensor, node: str = node) -> None:
            found[node].append(output.float().clone())

        model.get_submodule(node).register_forward_hook(hook)
    images = [image for image, _ in ImageFolder(data, transform)]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        for start in range(0, len(images), batch):
            model(torch.stack(images[start : start + batch]))
    return [torch.cat(found[node]) for node in nodes]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("batch", [32, 4])
def test_features_are_torchvisions_bit_for_bit(a2: A2, batch: int, precision: str) -> None:
    flags = ["--layer", "features.4,features.7", "--batch-size", batch, "--precision", precision]
    slow = ["bf16 in software"] * (precision == "bf16" and not has_bf16())
    a2("extract-features", *SMALL, *flags, "--quiet").done(STAMP, *slow)
    model = models.squeezenet1_1(weights=None).eval()
    model.load_state_dict(build_torchvision("squeezenet1_1").state_dict())
    transform = models.SqueezeNet1_1_Weights.DEFAULT.transforms(crop_size=64, resize_size=73)
    expected = hooked(model, ["features.4", "features.7"], "set", transform, batch, precision)
    found = read_features("features.safetensors")
    for mine, theirs in zip(found.layers.values(), expected, strict=True):
        assert np.array_equal(mine, theirs)
    assert list(found.layers) == ["features.4", "features.7"]


def test_real_weights_on_real_paintings(a2: A2, paintings: Path, tmp_path: Path) -> None:
    weights = ROOT / "../shared/weights/alexnet_features.safetensors"
    for folder in sorted(paintings.iterdir())[:3]:
        (tmp_path / "some" / folder.name).mkdir(parents=True)
        for file in sorted(folder.iterdir())[:5]:
            (tmp_path / "some" / folder.name / file.name).symlink_to(file.resolve())
    a2("extract-features", *FAST, "--data", "some", "--weights", weights, "--layer", "conv4,pool5", "--quiet").done()
    found = read_features("features.safetensors")
    model = models.alexnet(weights=None).eval()
    missing, unexpected = model.load_state_dict(tensors(found.weights), strict=False)
    assert not unexpected
    assert all(name.startswith("classifier") for name in missing)
    expected = hooked(
        model, ["features.9", "features.12"], "some", models.AlexNet_Weights.DEFAULT.transforms(), 32, "fp32"
    )
    assert np.array_equal(found.layers["conv4"], expected[0])
    assert np.array_equal(found.layers["pool5"], expected[1])
    assert found.about.trunks["conv4"].pretrained


def test_what_the_file_says(a2: A2, tmp_path: Path) -> None:
    for part, count in (("train", 4), ("val", 2), ("test", 3)):
        draw_classes(tmp_path / "parts" / part, count=count, side=75)
    flags = [*FAST, "--data", "parts", "--weights", "none", "--image-size", "64"]
    found = results(a2, *flags, "--layer", "conv4,fc8", "--out", "f.safetensors")
    read = read_features("f.safetensors")
    names = [f"{part}/{name}/{i}.png" for part, count in (("test", 3), ("train", 4), ("val", 2))
             for name in ("ada", "bea") for i in range(count)]  # fmt: skip
    assert list(read.about.names) == names
    assert list(read.about.splits) == [name.split("/")[0] for name in names]
    assert [read.about.class_names[label] for label in read.labels] == [name.split("/")[1] for name in names]
    card = read.about.trunks["conv4"]
    assert (card.backbone, card.node, card.weights, card.sha256) == ("alexnet", "features.9", "none", "")
    assert (card.image_size, card.fit, card.mean, card.std) == (
        64, "center-73", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    )  # fmt: skip
    assert (read.about.precision, read.about.batch_size, read.about.source) == ("fp32", 32, "parts")
    assert [(one["name"], one["node"], one["shape"]) for one in found["layers"]] == [
        ("conv4", "features.9", [256, 3, 3]),
        ("fc8", "classifier.6", [1000]),
    ]
    packed = read.packed("fc8")
    assert packed.images.shape == (18, 1000)
    assert packed.class_names == ("ada", "bea")
    trunk = build_trunk(card)  # the file alone computes its features again
    trunk.body.load_state_dict(tensors(read.weights), strict=False)
    with torch.inference_mode():
        again = trunk.eval()(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    assert again.shape == (1, 256, 3, 3)
    with safe_open("f.safetensors", framework="np") as file:  # any reader of safetensors will do
        assert np.array_equal(file.get_tensor("labels"), read.labels)


@pytest.mark.parametrize("pool", ["average", "max", "root"])
def test_pooled_to_a_grid(a2: A2, pool: str) -> None:
    a2("extract-features", *FEW, "--out", "maps.safetensors", "--quiet").done(STAMP)
    a2("extract-features", *FEW, "--grid", "2", "--grid-pool", pool, "--quiet").done(STAMP)
    maps, pooled = read_features("maps.safetensors").layers, read_features("features.safetensors").layers
    for name in maps:
        assert pooled[name].shape[2:] == (2, 2)
        assert np.array_equal(pooled[name], GridPooling(2, pool)(torch.from_numpy(maps[name])))


def test_a_grid_of_roots_keeps_signs() -> None:
    maps = torch.tensor([[0.0, 0.0, 4.0, 4.0], [0.0, 0.0, 4.0, 16.0]]).repeat_interleave(2, dim=0)[None, None]
    found = GridPooling(2, "root")(torch.cat((maps, -maps), dim=1))[0]
    assert torch.allclose(found[0], torch.tensor([[0.0, 2.0], [0.0, 3.0]]), atol=0.02)
    assert torch.equal(found[1], -found[0])


def test_resnet18_with_random_weights(a2: A2) -> None:
    flags = [*FAST, "--data", "set", "--backbone", "resnet18", "--weights", "none", "--image-size", "64"]
    ended = a2("extract-features", *flags, "--layer", "layer1.0.relu_1,layer4,fc")
    assert ended.status == 0
    assert ended.err.count(f"warning: {STAMP}: the backbone has random weights\n") == 1
    assert STAMP in ended.out.splitlines()[0]
    found = read_features("features.safetensors")
    assert [tuple(rows.shape[1:]) for rows in found.layers.values()] == [(64, 16, 16), (512, 2, 2), (1000,)]
    assert found.about.trunks["layer4"].node == "layer4.1.relu_1"
    assert not found.about.trunks["layer4"].pretrained
    assert results(a2, *flags, "--layer", "fc")["verdict"].startswith(f"{STAMP}: the backbone has random weights. ")


def test_our_own_network(a2: A2, train: A2) -> None:
    run = train("--data", "set", "--batch-size", "4").done()
    found = results(a2, *FAST, "--data", "set", "--run", run, "--layer", "conv1,output")
    assert found["pretrained"]
    read = read_features("features.safetensors")
    assert read.layers["output"].shape == (10, 2)
    assert read.layers["conv1"].min() >= 0
    before = ["--layer", "conv1", "--before-relu", "--out", "before.safetensors"]
    a2("extract-features", *FAST, "--data", "set", "--run", run, *before, "--quiet").done()
    assert np.array_equal(read_features("before.safetensors").layers["conv1"].clip(0), read.layers["conv1"])
    refused = a2(
        "extract-features", *FAST, "--data", "set", "--run", run, "--image-size", "9", "--quiet", "--overwrite"
    )
    refused.refused(2, "--image-size: the network of", "takes 8x8, got 9")


def test_a_run_whose_directory_is_called_none_is_pretrained(a2: A2, train: A2) -> None:
    """`--weights none` are random ones; a run by that name has what it learned."""
    train("--data", "set", "--batch-size", "4", "--out", "none").done()
    found = results(a2, *FAST, "--data", "set", "--run", "none", "--layer", "conv1")
    assert found["pretrained"] and STAMP not in found["verdict"]


def test_baselines(a2: A2, train: A2) -> None:
    run = train("--data", "set", "--batch-size", "4").done()
    a2("extract-features", *FAST, "--data", "set", "--run", run, "--layer", "conv1", "--baselines", "--quiet").done()
    found = read_features("features.safetensors")
    assert list(found.layers) == ["conv1", "random-conv1", "pixels"]
    assert found.about.random == ("random-conv1",)
    opened = [Image.open(f"set/{name}") for name in found.about.names]
    pixels = np.stack([np.asarray(picture.resize((28, 28), Image.Resampling.BILINEAR)) for picture in opened])
    assert np.array_equal(found.layers["pixels"], torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    assert not np.array_equal(found.layers["conv1"], found.layers["random-conv1"])


def test_kept_by_content(a2: A2, tmp_path: Path) -> None:
    first = results(a2, *FEW)
    assert (first["computed"], first["kept"]) == (10, 0)
    before = read_features("features.safetensors").layers["features.7"].copy()
    assert results(a2, *FEW)["computed"] == 0
    (tmp_path / "set/ada/2.png").rename(tmp_path / "set/ada/7.png")
    assert results(a2, *FEW)["computed"] == 0
    moved = read_features("features.safetensors")
    assert np.array_equal(moved.layers["features.7"], before[[0, 1, 3, 4, 2, *range(5, 10)]])
    Image.new("RGB", (75, 75), "red").save(tmp_path / "set/bea/0.png")
    assert results(a2, *FEW)["computed"] == 1
    changed = read_features("features.safetensors").layers["features.7"].copy()
    assert (changed != moved.layers["features.7"]).any((1, 2, 3)).tolist() == [i == 5 for i in range(10)]
    assert results(a2, *SMALL, "--layer", "features.4")["computed"] == 0
    for other in (["--batch-size", "5"], ["--grid", "1"], ["--precision", "bf16"], ["--image-size", "65"]):
        assert results(a2, *FEW, *other)["computed"] == 10
    fresh = tmp_path / "elsewhere"
    with pytest.MonkeyPatch.context() as patch:  # what was kept, and computed beside it, is what a fresh pass gives
        patch.setenv("A2_CACHE_DIR", str(fresh))
        assert results(a2, *FEW)["computed"] == 10
    assert np.array_equal(read_features("features.safetensors").layers["features.7"], changed)


def test_the_activation_is_part_of_what_is_kept(a2: A2, train: A2) -> None:
    """Two networks with the same random weights, which differ in what no weights show."""
    found = []
    for activation in ("relu", "tanh"):
        run = train("--data", "set", "--batch-size", "4", "--activation", activation, "--out", activation).done()
        flags = ["--run", run, "--layer", "conv1", "--baselines", "--out", f"{activation}.safetensors"]
        a2("extract-features", *FAST, "--data", "set", *flags, "--quiet").done()
        found.append(read_features(f"{activation}.safetensors").layers["random-conv1"])
    assert not np.array_equal(found[0], found[1])


class Impatient(NullReporter):
    """Interrupts after so many batches."""

    def __init__(self, batches: int) -> None:
        super().__init__()
        self.left = batches

    def batches(self, batches: Iterable[Any], count: int) -> Iterable[Any]:
        for batch in batches:
            if count == 5 and not self.left:  # not while packing
                raise KeyboardInterrupt
            yield batch
            self.left -= count == 5


def settings(**flags: str) -> ExtractFeaturesSettings:
    small = {flag[2:].replace("-", "_"): value for flag, value in zip(SMALL[::2], SMALL[1::2], strict=True)}
    return resolve(ExtractFeaturesSettings, "extract-features", [], {**small, "layer": "features.4", **flags}).settings


def computed(out: str, **flags: str) -> int:
    found = extract_features(settings(**flags), out, NullReporter(), overwrite=True).results
    assert isinstance(found, FeatureResults)
    return found.computed


def test_an_interrupted_pass_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        extract_features(settings(batch_size="2"), "f.safetensors", Impatient(3))
    assert not Path("f.safetensors").exists()
    assert not list(tmp_path.glob(".writing*"))
    assert computed("f.safetensors", batch_size="2") == 4
    broken = read_features("f.safetensors").layers["features.4"]
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / "other"))
    assert computed("g.safetensors", batch_size="2") == 10
    assert np.array_equal(read_features("g.safetensors").layers["features.4"], broken)


def test_what_a_killed_pass_left_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    computed("f.safetensors")
    whole = read_features("f.safetensors").layers["features.4"].copy()
    (rows,) = (tmp_path / "cache/activations").glob("*/rows.f32")
    with rows.open("r+b") as file:
        file.truncate(rows.stat().st_size - 5)
    with (rows.parent / "digests").open("ab") as file:
        file.write(b"half a digest")
    assert computed("f.safetensors") == 1
    assert np.array_equal(read_features("f.safetensors").layers["features.4"], whole)


def test_a_layer_by_two_of_its_names(a2: A2, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block's name is its last node's: one store, which would wait for its own lock if it were opened twice."""
    monkeypatch.setattr("a2cli.transfer.activations.lock", lambda file, wait: lock(file, wait=False))
    assert results(a2, *SMALL, "--layer", "features.3,features.3.cat")["computed"] == 10
    first, second = read_features("features.safetensors").layers.values()
    assert np.array_equal(first, second)
    (rows,) = Path("cache/activations").glob("*/rows.f32")
    assert rows.stat().st_size == first.nbytes, "each row is there once"


def _extract(folder: str, out: str, queue: Any) -> None:
    import os

    os.chdir(folder)
    queue.put(computed(out))


@pytest.mark.slow
def test_two_processes_share_the_work(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    both = [context.Process(target=_extract, args=(str(tmp_path), f"{i}.safetensors", queue)) for i in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(queue.get(timeout=60) for _ in both) == [0, 10]
    first, second = (read_features(str(tmp_path / f"{i}.safetensors")).layers["features.4"] for i in range(2))
    assert np.array_equal(first, second)


def test_identical_images_are_neither_computed_twice_nor_kept_from_before(a2: A2, tmp_path: Path) -> None:
    """Into an empty cache nothing is kept from before."""
    for i in range(2):
        (tmp_path / f"set/ada/again{i}.png").write_bytes((tmp_path / f"set/ada/{i}.png").read_bytes())
    first, again = (results(a2, *FEW) for _ in range(2))
    assert (first["images"], first["computed"], first["kept"]) == (12, 10, 0)
    assert first["verdict"].endswith("12 images, 10 computed now, 0 kept from before, 2 identical to another.")
    assert (again["computed"], again["kept"]) == (0, 10)


@pytest.mark.parametrize(
    ("backbone", "layer"), {"alexnet": "conv4", "resnet18": "avgpool", "squeezenet1_1": "features.12.cat"}.items()
)
def test_the_usual_layer(backbone: str, layer: str, a2: A2) -> None:
    flags = [*FAST, "--data", "set", "--backbone", backbone, "--weights", "none", "--image-size", "64"]
    report = json.loads(a2("extract-features", *flags, "--overwrite", "--json").out)
    assert [one["name"] for one in report["results"]["layers"]] == report["config"]["layer"] == [layer]
    assert report["results"]["layers"][0]["shape"][0] == {"conv4": 256, "avgpool": 512, "features.12.cat": 512}[layer]


def test_a_layer_named_is_not_replaced(a2: A2) -> None:
    flags = [*FAST, "--data", "set", "--backbone", "resnet18", "--weights", "none", "--image-size", "64"]
    a2("extract-features", *flags, "--layer", "conv4", "--quiet").refused(2, "--layer: no layer 'conv4'", "layer4.1")
