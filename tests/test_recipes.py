"""The recipes of CONTRIBUTING.md: their diffs, made in a copy of the package, are all that each addition takes."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TINY, draw_classes

DIFFS = re.findall(r"^```diff\n(.*?)^```", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
A2 = """
import contextlib, io, json, sys
from a2cli import main
ended = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["a2", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(io.StringIO()) as err:
        status = main.run_command()
    ended.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(ended))
"""
COLUMN = """
import json, sys
from pathlib import Path
from a2cli.columns import in_csv, in_markdown
from a2cli.compare_optimizers.console import show_comparison
from a2cli.reports.report import report_from
from a2cli.reports.study_results import contender_columns
report = report_from(json.loads(Path(sys.argv[1]).read_text()))
show_comparison(report, Path("run"))
columns, contenders = contender_columns(0.5), report.results.tables[0].contenders
print(json.dumps(in_csv(columns, contenders)))
print("\\n".join(in_markdown(columns, contenders)))
"""


def make(diff: str, root: Path) -> None:
    """Make the changes of a diff without line numbers; each place has to be there, once."""
    for name, body in re.findall(r"^--- .*\n\+\+\+ b/(.*)\n((?:(?!--- ).*\n)+)", diff, re.MULTILINE):
        text = (root / name).read_text() if (root / name).exists() else ""
        for hunk in body.split("@@\n")[1:]:
            lines = [line or " " for line in hunk.splitlines()]
            old, new = ("".join(line[1:] + "\n" for line in lines if line[0] in kinds) for kinds in (" -", " +"))
            assert text.count(old) == 1 or not text, f"{name}: {old}"
            text = text.replace(old, new) if text else new
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with everything added, and its docs written again."""
    root = tmp_path_factory.mktemp("recipes")
    for name in ("a2cli", "docs", "presets"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "*.png"))
    for diff in DIFFS:
        make(diff, root)
    draw_classes(root / "set")
    python(root, (root / "docs/generate.py").read_text().replace("__file__", repr(str(root / "docs/generate.py"))))
    return root


def python(root: Path, code: str, *arguments: str) -> str:
    env = {**os.environ, "PYTHONPATH": str(root), "A2_CACHE_DIR": str(root / "cache"), "COLUMNS": "100"}
    done = subprocess.run([sys.executable, "-c", code, *arguments], cwd=root, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def a2(root: Path, *commands: str) -> list[tuple[int, str, str]]:
    """Run commands one after the other, and return of each its status and what it printed."""
    ended: list[tuple[int, str, str]] = json.loads(python(root, A2, json.dumps([one.split() for one in commands])))
    return ended


def test_there_are_five_recipes() -> None:
    assert len(DIFFS) == 5


def test_help_checks_and_dry_run(copy: Path) -> None:
    listed, train, probe, hello, greeted, wrong, refused, dry, compared = a2(
        copy, "--help", "train-cnn --help", "probe-invariance --help", "hello --help", "hello --name Ada",
        "hello --nam x",
        "train-cnn --clip-gradient -1", "train-cnn --optimizer lion --clip-gradient 0.5 --dry-run --json",
        "compare-optimizers --optimizers adam,lion --clip-gradient 1 --dry-run",
    )  # fmt: skip
    assert re.search(r"hello +Greet\.", listed[1])
    assert "adadelta, lion" in " ".join(train[1].split()) and "--clip-gradient NUMBER" in train[1]
    assert "sepia" in probe[1] and "--name TEXT" in hello[1] and greeted[1] == "Hello, Ada.\n"
    assert wrong[0] == 2 and "--name" in wrong[2]
    assert refused[0] == 2 and "--clip-gradient: expected" in refused[2]
    settings = json.loads(dry[1])["settings"]
    assert settings["optimizer"] == {"value": "lion", "from": "--optimizer"}
    assert settings["clip_gradient"] == {"value": 0.5, "from": "--clip-gradient"}
    assert compared[0] == 0 and "1e-05" in compared[1], "a tenth of lion's usual rate"


def test_the_reference_and_the_docs_tables(copy: Path) -> None:
    page = (copy / "docs/commands.md").read_text()
    assert "## a2 hello\n\nGreet somebody.\n\n\n### Whom to greet\n" in page
    with_it = [part.split("\n")[0] for part in page.split("## a2 ")[1:] if "`--clip-gradient NUMBER`" in part]
    assert {"train-cnn", "train-mlp", "compare-optimizers", "ablate", "finetune"} <= {*with_it}
    assert page.count("adagrad, adadelta, lion.") == page.count("One of adam, adamw")
    assert "grayscale, sepia, invert" in page
    assert "| sepia | off or on |  | off | on |\n" in (copy / "docs/probing.md").read_text()
    assert "| lion | 0.0001 |  |\n" in (copy / "docs/comparing.md").read_text()


def test_runs_have_them(copy: Path, run: Path) -> None:
    """A training, a probe of it, and a run from before the setting, which goes on."""
    trained = "train-cnn --data set --optimizer lion --clip-gradient 0.5 --out run " + " ".join(TINY)
    tiny = "--threads 1 --device cpu --no-layers"
    probed = f"probe-invariance --run run --changes sepia,invert --random brightness=0.9..1.1 {tiny} --out probe"
    first, second, old = a2(copy, trained, probed, f"train-cnn --resume {run} --quiet")
    assert (first[0], second[0], old[0]) == (0, 0, 0), (first, second, old)
    report = json.loads((copy / "run/report.json").read_text())
    assert (report["config"]["optimizer"], report["config"]["clip_gradient"]) == ("lion", 0.5)
    assert "clip_gradient: 0.5\n" in (copy / "run/config.yaml").read_text()
    assert json.loads((run / "report.json").read_text())["config"]["clip_gradient"] == 0.0
    changes = json.loads((copy / "probe/report.json").read_text())["results"]["runs"][0]["changes"]
    assert [one["name"] for one in changes] == ["sepia", "invert", "brightness"]
    for name in ("curves", "classes", "sheet-1-1"):
        rows = csv.DictReader((copy / f"probe/figures/{name}.csv").read_text().splitlines())
        assert "sepia" in {row["change"] if row["change"] != "-" else row["strength"] for row in rows}
    assert re.search(r"^ *sepia ", second[1], re.MULTILINE)


def test_a_column_is_printed_in_the_csv_and_in_markdown(copy: Path) -> None:
    printed = python(copy, COLUMN, str(ROOT / "tests/golden/compare-optimizers.report.json"))
    table, names, docs = re.split(r"^(\[\[.*)$", printed, flags=re.MULTILINE)
    header, (first, *_) = json.loads(names)
    values = json.loads((ROOT / "tests/golden/compare-optimizers.report.json").read_text())["results"]["tables"][0]
    runs = [one["accuracy"] for one in values["contenders"][0]["runs"]]
    middle = sum(runs) / len(runs)  # of two runs
    assert re.search(r"contender +rate +accuracy +median +95%", table) and f" {middle:.3f} " in table
    assert header[:4] == ["contender", "learning_rate", "accuracy", "median"] and first[3] == middle
    assert "| contender | rate | accuracy | median | 95% | to 0.50 |" in docs and f" | {middle:.3f} | " in docs
