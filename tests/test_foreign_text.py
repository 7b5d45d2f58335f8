"""Names from outside are text: on screen without control characters or markup, in figures without formulas."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from conftest import A2, IMAGES, TINY, apart_from_few, draw_classes, once
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from a2cli.compare_optimizers import figures as comparison_plots
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.figures import common
from a2cli.reports.study_results import Contender, PairVerdict, Table
from a2cli.runs.figure_files import MOST_PIXELS, rendered
from a2cli.text import printable, shortened
from a2cli.training import figures as training_plots
from a2cli.visualize_weights import figures as weight_plots
from a2cli.visualize_weights.results import LayerWeights

STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HOSTILE = ["cost $x^$ \\frac", "\x1b[31mred\x1b]0;title\x07", "a\u202eb\u2028c\nd\x85", "[bold]x[/y] [/]", "שלום 🎨 ٣"]
FOLDER = "n$x^$[_]\x1b[41m"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m\x9b\x07\r\n\t\x7f", r"\x1b[31m\x9b\x07\x0d\x0a\x09\x7f"),
        ("a\u202eb\u2066\u2028\u2029\u200f", r"a\u202eb\u2066\u2028\u2029\u200f"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        (b"caf\xe9\n", r"caf\xe9\x0a"),
        ("\ud83d", r"\ud83d"),
        ("Gogh, šalom, שלום, 🎨 [x] $", "Gogh, šalom, שלום, 🎨 [x] $"),
    ],
)
def test_printable(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown
    printable(text).encode()


@pytest.mark.parametrize(("most", "shown"), [(10, "abcdefghij"), (9, "abcd…ghij"), (2, "a…"), (1, "…")])
def test_the_middle_of_a_long_text_is_left_out(most: int, shown: str) -> None:
    assert shortened("abcdefghij", most) == shown
    assert len(shown) <= most


def test_every_string_given_to_the_console_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    table = console.table_of("\x1b[31mcolumn[/]")
    table.title = "[b]\x07title"
    table.add_row("[/x]\x1b[41m\n")
    console.results_console().print("\x9bline [red]", table, sep="\n")
    console.note("[/z]\x1b")
    console.error("a\x1b[2J[/w]\nb")
    out, err = capsys.readouterr()
    assert not STEERS.search(out + err)
    for shown in ("\\x1b[31mcolumn[/]", "[b]\\x07title", "[/x]\\x1b[41m\\x0a", "\\x9bline [red]"):
        assert shown in out
    assert err == "[/z]\\x1b\nerror: a\\x1b[2J[/w] b\n"


def test_the_live_line_is_text(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": "120", "CI": ""}.items():
        monkeypatch.setenv(name, value)
    with ConsoleReporter() as show:
        assert show.is_live
        show.phase("reading [/x]\x1b[41m")
        show.step("[/w]\x1b[41m")
        for _ in show.parts(["[/v]\x1b[41m", "other"]):
            show.phase("part")
        show.start("seed [/y]\x1b[41m", 3, 1)
        show.leaderboard("round [/z]\x1b[41m", 1, 2, [("[b]\x1b[41m", "1", "0.5")])
    err = capsys.readouterr().err
    assert "\x1b[41m" not in err
    for shown in (
        "reading [/x]\\x1b[41m",
        "seed [/y]\\x1b[41m",
        "round [/z]\\x1b[41m",
        "[b]\\x1b[41m",
        "[/v]\\x1b[41m",
    ):
        assert shown in err


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    np.savez(tmp_path / "set.npz", images=IMAGES, labels=np.arange(10) % 5, class_names=HOSTILE)
    return tmp_path


def test_names_of_classes_and_runs_in_every_command(hostile: Path, a2: A2) -> None:
    """Trained, resumed, predicted, probed, looked into: nothing fails, nothing steers the terminal, text is whole."""
    trained = a2("train-cnn", *TINY[:-1], "--data", "set.npz", "--val-fraction", "0.5", "--out", FOLDER)
    looked = [
        trained,
        a2("train-cnn", "--resume", FOLDER),
        a2("predict", "--run", FOLDER, "--picture", "sheet.png", draw_classes(hostile / "[x]$^", ["_$y^$"])),
        a2("probe-invariance", "--run", FOLDER, "--changes", "rotate,noise,invert", "--out", "probe"),
        a2("visualize-weights", "--run", FOLDER, "--redraws", "4", "--out", "view", "--format", "png,svg"),
        a2("receptive-field", "--run", FOLDER, "--figures", "--out", "fields"),
    ]
    for ended in looked:
        assert ended.status == 0, ended.err
        assert "could not be drawn" not in ended.err
        assert not STEERS.search(ended.out + ended.err)
        assert (ended.out + ended.err).count("Traceback") == 0
    assert "cost $x^$ \\frac" in trained.out
    report = json.loads((hostile / FOLDER / "report.json").read_text())
    assert [*map(printable, report["data"]["classes"])] == [*map(printable, HOSTILE)]
    (few,) = report["warnings"]
    assert few.startswith("validation: fewer than 5 images of ")
    assert HOSTILE[0] in (hostile / FOLDER / "figures/confusion.csv").read_text()
    assert (hostile / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        ("train-cnn --device [/x]\x1b[31m --dry-run", 0, "[/x]\\x1b[31m"),
        ("train-cnn --data [/x]\x1b[31m --dry-run", 3, "[/x]\\x1b[31m"),
        ("train-cnn -p [/x]\x1b[31m", 2, "[/x]\\x1b[31m"),
        ("train-cnn -p command.yaml", 2, "'a2 \\x1b[31m[/x]'"),
        ("train-cnn -p twice.yaml", 2, "\\x1b[31m[/x] is set twice"),
        ("train-cnn -p value.yaml --dry-run", 0, "\\x1b[31m[/x]"),
        ("presets [/x]\x1b[31m", 2, "[/x]\\x1b[31m"),
        ("\x1b[31m[/x]", 2, "\\x1b[31m[/x]"),
        ("predict --run none\x1b[31m[/x] x.png", 3, "none\\x1b[31m[/x]"),
        ("train-cnn --resume [/x]\x1b", 3, "[/x]\\x1b"),
    ],
)
def test_paths_presets_and_settings(arguments: str, status: int, shown: str, a2: A2, tmp_path: Path) -> None:
    name = '"\\e[31m[/x]"'
    (tmp_path / "command.yaml").write_text(f"command: {name}\n")
    (tmp_path / "twice.yaml").write_text(f"{name}: 1\n{name}: 2\n")
    (tmp_path / "value.yaml").write_text(f"device: {name}\n")
    ended = a2(*arguments.split(" "))
    assert ended.status == status, ended
    assert shown in ended.out + ended.err
    assert not STEERS.search(ended.out + ended.err)


def test_a_terminal_gets_no_control_characters_of_ours(hostile: Path) -> None:
    """With a live line of progress, whose description is a path."""
    outside, inside = pty.openpty()
    flags = once([*TINY[:-1], "--epochs", "3", "--data", "set.npz"])
    command = [sys.executable, "-m", "a2cli", "train-cnn", *flags]
    env = {**os.environ, "TERM": "xterm-256color", "CI": "", "COLUMNS": "200"}
    process = subprocess.Popen([*command, "--out", FOLDER], stdout=inside, stderr=inside, cwd=hostile, env=env)
    os.close(inside)
    shown = b""
    try:
        while part := os.read(outside, 65536):
            shown += part
    except OSError:  # the other end is closed
        pass
    assert process.wait(timeout=60) == 0
    assert b"\x1b[?25l" in shown, "a live line hides the cursor"
    assert not any(bad in shown for bad in (b"\x1b[31mred", b"\x1b[41m", b"\x1b]0", b"\x07", "\u202e".encode()))
    assert b"Run: n$x^$[_]\\x1b[41m" in shown


# Figures


def words_in(figure: Figure) -> list[str]:
    figure.draw_without_rendering()
    return [one.get_text() for one in figure.findobj(Text)]


NAMES = ["$", "$x^$", "\\frac{", "a_b^{c", "_hidden", "{x}%s", *HOSTILE, "x" * 5000, "\ud83d\udc80"]


@pytest.mark.filterwarnings("ignore:Glyph")  # `rendered` ignores it
@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_drawn(name: str) -> None:
    figure = training_plots.confusion(np.array([[3, 1], [0, 2]]), [name, "other"], "val")
    axes = figure.axes[0]
    axes.plot([1, 2], label=common.in_legend(name))
    axes.legend()
    assert rendered(figure, "png")
    assert rendered(figure, "svg")
    shown = words_in(figure)
    assert common.fitted(common.spaced(name), training_plots.NAME, 8) in shown
    assert common.in_legend(name) in shown, "left out of the legend"
    assert not any(STEERS.search(one) for one in shown)
    assert max(map(len, shown)) < 100


@pytest.mark.parametrize("count", [2, 41, 600])
def test_a_confusion_of_many_classes_shows_the_most_confused(count: int) -> None:
    rng = np.random.default_rng(0)
    matrix = np.diag(np.full(count, 9))
    matrix[rng.integers(0, count, 300), rng.integers(0, count, 300)] += 1
    matrix[count - 1, count // 2] += 20  # the most frequent mistake
    matrix[0, count - 2] += 15
    names = [f"class {i}" for i in range(count)]
    figure = training_plots.confusion(matrix, names, "val")
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert len(shown) == min(count, 40)
    assert shown == sorted(shown, key=names.index)
    assert {f"class {i}" for i in (count - 1, count // 2, 0, count - 2)} <= {*shown}
    assert (f": the 40 most confused of {count} classes" in figure.texts[0].get_text()) == (count > 40)
    with Image.open(BytesIO(rendered(figure, "png"))) as image:
        assert max(image.size) <= MOST_PIXELS
    inside = sum(one.get_text().isdigit() for one in figure.axes[0].texts)
    assert inside == np.count_nonzero(matrix[np.ix_(*[[names.index(name) for name in shown]] * 2)])


@pytest.mark.parametrize("size", [(3.0, 3.0), (70.0, 20.0), (5.0, 200.0)])
def test_figures_have_a_largest_size(size: tuple[float, float]) -> None:
    with Image.open(BytesIO(rendered(common.new_figure(*size), "png"))) as image:
        assert max(image.size) == min(MOST_PIXELS, round(150 * max(size)))


def layer_weights(name: str) -> LayerWeights:
    return LayerWeights(name, 8, 9, [], 0, [], 0, None, [], "learned")


def test_figures_of_very_many_things_say_how_many_they_show() -> None:
    names = [f"contender {i}" for i in range(40)]
    contenders = [Contender(name, {}, 1e-3, None, None, False, [], [], None, 0, None, None, 0, 0) for name in names]
    pairs = [PairVerdict(a, b, 3, 0.1, 0.0, 0.2, "better", None) for i, a in enumerate(names) for b in names[i + 1 :]]
    figure = comparison_plots.verdicts(Table("grid", contenders, pairs, ""), 0.02)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == names[:20]
    assert figure.texts[0].get_text().endswith(", 20 of 40 contenders, the best")
    layers = [layer_weights(f"layer{i}") for i in range(150)]
    spectra = {layer.layer: (np.ones(3, np.float32),) * 3 for layer in layers}
    figure = weight_plots.evidence("resnet152", layers, spectra)
    shown = [axes.get_title("left") for axes in figure.axes]
    assert (len(shown), shown[0], shown[-1]) == (21, "layer0", "layer149")
    assert "21 of 150 layers" in figure.texts[0].get_text()
    assert common.evenly(range(5), 9) == [0, 1, 2, 3, 4]
    assert common.evenly(range(101), 5) == [0, 25, 50, 75, 100]


@pytest.fixture
def no_curves(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Let the learning curves fail by an error."""

    def fail_by(error: BaseException) -> None:
        def curves(*_: object) -> Figure:
            raise error

        monkeypatch.setattr("a2cli.training.figures.learning_curves", curves)

    return fail_by


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("two\nlines \x1b[31m"), "ValueError: two lines \\x1b[31m"),
        (MemoryError(), "not enough memory"),
        (OSError(5, "Input/output error", "DejaVu.ttf"), "OSError"),
        (ImportError("libpng.so: failed to map segment from shared object"), "not enough memory"),
    ],
)
def test_a_figure_that_fails_costs_no_report(
    error: Exception, reason: str, data: Path, a2: A2, no_curves: Callable[[BaseException], None], tmp_path: Path
) -> None:
    no_curves(error)
    ended = a2("train-cnn", *TINY, "--data", "set", "--out", "run")
    assert (ended.status, ended.out) == (0, "run\n"), ended
    (failed,) = apart_from_few(ended.err)
    assert failed.startswith(f"warning: figure curves could not be drawn ({reason}")
    report = json.loads((tmp_path / "run/report.json").read_text())
    assert report["status"] == "done"
    assert report["results"]["runs"][0]["val"]["count"] == 2
    assert [line for line in report["warnings"] if "figure curves could not be drawn" in line]
    files = {path.name for path in (tmp_path / "run/figures").iterdir()}
    assert {"curves.csv", "confusion.png", "learning-rate.png"} <= files
    assert "curves.png" not in files
    assert {f"figures/{name}" for name in files} <= {*report["artifacts"]}
    again = a2("train-cnn", "--resume", "run")
    assert (again.status, "finished before" in again.err) == (0, True)


def test_debug_shows_where_a_figure_failed(
    data: Path, a2: A2, no_curves: Callable[[BaseException], None], tmp_path: Path
) -> None:
    no_curves(ValueError("no curve"))
    ended = a2("train-cnn", *TINY, "--data", "set", "--out", "run", "--debug")
    assert ended.status == 0
    assert "Traceback (most recent call last):" in ended.err
    assert ended.err.endswith("ValueError: no curve\n")


def test_matplotlib_that_cannot_be_loaded_costs_no_report(
    data: Path, a2: A2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "a2cli.training.figures", None)
    monkeypatch.delattr("a2cli.training.figures")
    ended = a2("train-cnn", *TINY, "--data", "set", "--out", "run")
    assert (ended.status, "could not be drawn" in ended.err) == (0, True)
    assert json.loads((tmp_path / "run/report.json").read_text())["status"] == "done"


def test_an_interrupt_while_drawing_leaves_a_run_to_go_on_with(
    data: Path, a2: A2, no_curves: Callable[[BaseException], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    no_curves(KeyboardInterrupt())
    assert a2("train-cnn", *TINY, "--data", "set", "--out", "run").status == 130
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A2_CACHE_DIR", str(tmp_path / "cache"))
    assert a2("train-cnn", "--resume", "run", "--quiet").done() == Path("run")
    assert json.loads((tmp_path / "run/report.json").read_text())["status"] == "done"


def test_a_contact_sheet_that_fails_costs_no_answer(
    data: Path, train: A2, a2: A2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: object) -> Figure:
        raise ValueError("no sheet")

    train("--data", "set", "--out", "run").done()
    monkeypatch.setattr("a2cli.predict.figures.contact_sheet", fail)
    ended = a2("predict", "--run", "run", "--picture", "sheet.png", "set/ada/0.png", "--quiet")
    assert (ended.status, ended.out.count("\n")) == (0, 1)
    assert ended.err == "warning: --picture sheet.png: could not be drawn (ValueError: no sheet)\n"
    assert not (tmp_path / "sheet.png").exists()
