"""A residual network, and one with statistics of the image, with all that may go with them: every command takes it."""

from pathlib import Path

import pytest
from conftest import A2, draw_classes

RESIDUAL = ("--image-size 16 --channels 4,4,4,8,8 --kernel-size 3 --padding 1 --stride 2,1,1,2,1 --norm batch "
            "--shortcuts --global-pool moments --hidden none --epochs 2 --batch-size 4 --average-weights 0.9 "
            "--augment mixup=0.3,cutmix=0.3 --label-smoothing 0.1 --threads 1 --quiet")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("more", ["", "--statistics texture,colors,layout"])
def test_every_command_takes_it(more: str, a2: A2, tmp_path: Path) -> None:
    draw_classes(tmp_path / "set", count=10, side=16)
    run = a2("train-cnn", "--data", "set", *RESIDUAL.split(), *more.split(), "--out", "run").done()
    for arguments in (
        ["predict", "--run", run, "set/ada/0.png", "--json"],
        ["receptive-field", "--run", run, "--prove", "--json"],
        ["receptive-field", "--run", run, "--effective", "--out", "field", "--quiet"],
        ["probe-invariance", "--run", run, "--changes", "flip-horizontal", "--out", "probe", "--quiet"],
        ["visualize-weights", "--run", run, "--image", "set/ada/0.png", "--redraws", "4", "--out", "view", "--quiet"],
        ["extract-features", "--run", run, "--layer", "block2", "--data", "set", "--quiet"],
        ["finetune", "--run", run, "--data", "set", "--stages", "head:1 all:1", "--out", "tuned", "--quiet"],
    ):
        ended = a2(*arguments)
        assert ended.status == 0, (arguments, ended.err)
