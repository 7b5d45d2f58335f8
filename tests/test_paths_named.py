"""A path that a flag names: one that does not exist, or is of the wrong kind, is told so, with the nearest one."""

from pathlib import Path

import pytest
from conftest import A2, text_file

NEAR = "does not exist; did you mean "
PATHS = {  # what is refused, with which words
    "predict --run rin IMAGE": (3, f"--run rin: {NEAR}'run'?"),
    "predict --run mine IMAGE": (3, f"--run mine: {NEAR}'runs/mine'?"),
    "predict --run runs IMAGE": (3, "--run runs: holds runs; name one of them, such as the newest, runs/mine"),
    "predict --run run/model IMAGE": (3, "--run run/model: is inside a run directory; name that, run"),
    "predict --run set/ada IMAGE": (3, "--run set/ada: not a run directory (it has no config.yaml)"),
    "predict --run notes.txt IMAGE": (3, "--run notes.txt: is a file; expected a run directory"),
    "probe-invariance --run rin": (3, f"--run rin: {NEAR}'run'?"),
    "visualize-weights --run rin": (3, f"--run rin: {NEAR}'run'?"),
    "visualize-weights --run run --image set/ad/0.png": (3, f"--image set/ad/0.png: {NEAR}'set/ada/0.png'?"),
    "visualize-weights --run run --image set": (3, "--image set: is a folder; expected an image"),
    "receptive-field --run rin": (3, f"--run rin: {NEAR}'run'?"),
    "extract-features --run rin --quiet": (3, f"--run rin: {NEAR}'run'?"),
    "finetune --run run/model --quiet": (3, "is inside a run directory; name that, run"),
    "extract-features --weights note.txt --quiet": (3, f"--weights note.txt: {NEAR}'notes.txt'?"),
    "extract-features --weights set --quiet": (3, "--weights set: is a folder; expected a file of weights"),
    "train-mlp --features note.txt --quiet": (3, f"--features note.txt: {NEAR}'notes.txt'?"),
    "train-mlp --features set --quiet": (3, "--features set: is a folder; expected a features file"),
    "train-cnn --data sets/ada --quiet": (3, f"--data sets/ada: {NEAR}'set/ada'?"),
    "train-cnn --data Sett --dry-run": (0, ""),  # it could be a data set's name, which a plan does not look up
    "train-cnn --data sett --quiet": (3, "no file, folder or data set named 'sett'; did you mean 'set'?"),
    "train-cnn --data note.txt --dry-run": (3, f"--data note.txt: {NEAR}'notes.txt'?"),
    "train-cnn --out notes.txt --quiet": (3, "--out notes.txt: is a file; name another folder"),
    "data check sets/ada": (3, f"DATA sets/ada: {NEAR}'set/ada'?"),
}  # fmt: skip


@pytest.mark.parametrize("command", PATHS)
def test_a_path_that_is_not_what_was_expected(command: str, run: Path, data: Path, a2: A2, tmp_path: Path) -> None:
    text_file(tmp_path / "notes.txt")
    (tmp_path / "runs/mine").mkdir(parents=True)
    (tmp_path / "runs/mine/config.yaml").write_bytes((run / "config.yaml").read_bytes())
    status, words = PATHS[command]
    ended = a2(*command.replace("IMAGE", "set/ada/0.png").split())
    if status:
        ended.refused(status, words)
    else:
        assert ended.status == 0, ended.err
