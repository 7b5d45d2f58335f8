"""`a2 report`: a page shows what the run's report says, asks for nothing from elsewhere, takes no text as markup."""

import base64
import csv
import hashlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import A2, TINY, draw_classes, edit, sign
from markupsafe import escape
from PIL import Image
from test_old_runs import ARCHIVES
from test_replication_views import claim, judged, results

from a2cli.html_report import pictures as page_pictures
from a2cli.html_report.charts import charts_of
from a2cli.html_report.page_figures import MOST_ROWS
from a2cli.reports.report import new_report
from a2cli.runs.directory import Run
from a2cli.settings.declare import declared, shown
from a2cli.settings.training import TrainCnnSettings
from a2cli.storage import with_digest, without_digest
from a2cli.strict_json import to_json
from a2cli.text import printable

HERE = ["train-cnn", "--data", "set", *TINY]
FOREIGN = [
    "</script><script>alert(1)</script>", "</style><style>body{display:none}", "<img src=x onerror=alert(1)>",
    "<b>bold</b>",
    "\"quoted\" 'twice'", "a&amp;b&lt;c", "{{ 7 * 7 }}", "{% raw %}", "javascript:alert(1)", "-->", "<!--", "]]>",
    "\u202eright to left\u202c", "\u2066isolated\u2069", "\u200fmark", "שלום", "مرحبا", "😀🎨", "é" * 40, "日本語",
    "`code`", "**bold**", "[link](x)", "| cell |", "$math$", "\\x1b[31m", "%s%n", "'; DROP TABLE", "on\u2028line",
    "tab\tin",
    "<svg onload=alert(1)>", "<a href='//x'>y</a>", "&#60;script&#62;", "\x01nul",
    " spaces ",
    "ﬁ ligature", "Ω≈ç√", "ｆｕｌｌ", "<iframe>", "=1+1",
]  # fmt: skip
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "nav", "ul", "li", "a", "section",
    "h1", "h2", "h3", "h4", "p", "div", "table", "caption", "thead", "tbody", "tr", "th", "td", "details", "summary",
    "figure", "img", "figcaption", "code", "span", "pre", "textarea", "dialog", "button", "script", "noscript",
}  # fmt: skip
VOID = {"meta", "img"}
PICTURES = ("data:image/png;base64,", "data:image/webp;base64,")
OURS = files("a2cli.html_report")
PAGE_SCRIPT = (OURS / "page.js").read_text("utf-8")
UPLOT = (OURS / "uplot/uPlot.iife.min.js").read_text("utf-8")


class Page(HTMLParser):
    """A page's texts, tags and attributes; held to well-formed nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.data: list[str] = []  # of charts, as JSON
        self.scripts: list[str] = []
        self.feed(text)
        self.close()
        assert not self.inside, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" in self.inside:
            kind = self.tags[-1][1]
            (self.data if kind.get("type") == "application/json" else self.scripts).append(data)
        elif data.strip() and "style" not in self.inside:
            # As the terminal has it: a page writes intervals and minus signs as they are read aloud.
            text = re.sub(r"\[(\S+) to (\S+)\]", r"[\1, \2]", data.replace("\N{MINUS SIGN}", "-"))
            self.texts.append(text.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_in(path: Path) -> Page:
    """Return a page, held to asking for nothing: no script but ours, no address but of data and of its own parts."""
    page = Page(path.read_text("utf-8"))
    assert {tag for tag, _ in page.tags} <= ALLOWED
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value in (None, "data:,") or value.startswith(PICTURES if tag == "img" else "#")
    policy = next(one["content"] for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy")
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in page.scripts]
    scripts = " ".join(f"'sha256-{digest}'" for digest in hashes)
    assert policy == (
        f"default-src 'none'; script-src {scripts}; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
        "form-action 'none'"
    )
    assert page.scripts[-1] == PAGE_SCRIPT and page.scripts[:-1] == [UPLOT] * bool(page.data)
    identifiers = [one["id"] for _, one in page.tags if one.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert {one["href"] for tag, one in page.tags if tag == "a"} <= {f"#{name}" for name in identifiers}
    assert all(one.get("alt") for tag, one in page.tags if tag == "img" and one["src"] != "data:,")
    return page


def decoded(url: str) -> bytes:
    assert url.startswith(PICTURES)
    _, _, content = url.partition(",")
    return base64.b64decode(content)


def pixels(picture: bytes) -> bytes:
    return Image.open(io.BytesIO(picture)).convert("RGB").tobytes()


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return values


def without_figure_hashes(folder: Path) -> None:
    """Make a report one of an earlier version, which said nothing of its figures' SHA-256."""
    values = without_digest(report(folder), folder / "report.json")
    (folder / "report.json").write_text(to_json(with_digest({**values, "figure_sha256": {}})))


@pytest.fixture
def place(tmp_path: Path, a2: A2) -> Path:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*HERE, "--epochs", "2", "--out", "run").status == 0
    return tmp_path


def test_a_page_shows_what_the_report_says(
    rendered: None, place: Path, a2: A2, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert a2("report", "run").out == "run/report.html\n"
    page, own = page_in(place / "run/report.html"), report(place / "run")
    found = own["results"]["runs"][0]
    assert own["results"]["verdict"] in page.texts
    for part in ("train", "val"):
        of = found[part]
        cells = [f"{of['correct']} of {of['count']}", f"{of['value']:.3f}", f"{of['low']:.3f} to {of['high']:.3f}"]
        at = page.texts.index({"train": "training", "val": f"validation, epoch {found['kept_epoch']}"}[part])
        assert page.texts[at + 1 : at + 4] == cells
    assert all(warning in page.texts for warning in own["warnings"]) and own["warnings"]
    helps = [item.help for item in declared(TrainCnnSettings)]
    assert any("[-" in one for one in helps)
    text = (place / "run/report.html").read_text("utf-8")
    assert all(f"<td>{escape(one)}</td>" in text for one in helps), "each as it is"
    assert own["data"]["fingerprint"] in page.texts and own["sha256"] in page.texts
    assert found["weights_sha256"] in page.texts and own["environment"]["torch"] in page.texts
    helps = {item.name: item for item in declared(TrainCnnSettings)}
    for name, value in own["config"].items():
        if name != "command":
            source = {"data": "--data", "epochs": "--epochs"}.get(name, own["config_from"].get(name, "default"))
            row = [name, shown(value, helps[name]), source, helps[name].help]
            assert " ".join(row) in page.text, name
    figures = [name for name in own["artifacts"] if name.endswith(".png")]
    urls = [str(one["src"]) for tag, one in page.tags if tag == "img"][:-1]
    assert len(urls) == len(figures) > 3
    exact = {pixels((place / "run" / name).read_bytes()) for name in figures}
    assert {pixels(decoded(url)) for url in urls} == exact
    whole = (place / "run/report.html").stat().st_size
    sizes = [len(decoded(url)) for url in urls]
    monkeypatch.setattr(page_pictures, "MOST_BYTES", sum(sizes) - 1)
    a2("report", "run")
    urls = [str(one["src"]) for tag, one in page_in(place / "run/report.html").tags if tag == "img"][:-1]
    assert [n for n, url in enumerate(urls) if "webp" in url] == [sizes.index(max(sizes))], "only the largest"
    monkeypatch.setattr(page_pictures, "MOST_BYTES", 0)
    assert a2("report", "run").status == 0
    smaller = page_in(place / "run/report.html")
    urls = [str(one["src"]) for tag, one in smaller.tags if tag == "img"][:-1]
    assert all("webp" in url for url in urls) and {pixels(decoded(url)) for url in urls} == exact
    assert (place / "run/report.html").stat().st_size < 0.8 * whole
    without_figure_hashes(place / "run")
    photograph = np.random.default_rng(0).normal(128, 20, (300, 300)).clip(0, 255).astype(np.uint8)
    Image.fromarray(photograph).resize((600, 600), Image.Resampling.BICUBIC).save(place / "run/figures/confusion.png")
    assert a2("report", "run").status == 0
    page = page_in(place / "run/report.html")
    losses = "(shown with small losses, at most 1440 pixels wide; exact in figures/confusion.png)"
    assert losses in page.texts, "a grey one has 256 colours"
    assert "Figures, and the numbers beside them, are shown as they lay in the run directory." in page.text
    for log in own["history"]["0"]:
        assert (
            f"{log['epoch']} {log['learning_rate']:.6g} {log['train_loss']:.6g} {log['train_accuracy']:.6g}"
            in page.text
        )
    command = next(text for text in page.texts if text.startswith("a2 train-cnn ") and "--resume" not in text)
    assert a2(*shlex.split(command)[1:], "--out", "again").status == 0
    assert report(place / "again")["results"]["runs"] == own["results"]["runs"], "the command repeats the run"


def test_a_pipe_in_place_of_a_figure_is_not_read(place: Path, a2: A2) -> None:
    figure = place / "run/figures/curves.png"
    figure.unlink()
    os.mkfifo(figure)
    assert a2("report", "run").status == 0
    assert "figures/curves.png (gone)" in page_in(place / "run/report.html").text


def test_the_numbers_of_a_figure_stand_below_it(place: Path, a2: A2) -> None:
    without_figure_hashes(place / "run")
    many = [["name", "value"], *([f"row {i}", str(i)] for i in range(MOST_ROWS + 7))]
    with (place / "run/figures/curves.csv").open("w", newline="") as file:
        csv.writer(file).writerows(many)
    a2("report", "run", "-o", "page.html")
    page = page_in(place / "page.html")
    at = page.texts.index("Numbers of Curves")
    assert page.texts[at - 2 : at + 5] == ["Numbers", "of Curves", "Numbers of Curves", "name", "value", "row 0", "0"]
    assert f"row {MOST_ROWS - 1}" in page.texts and f"row {MOST_ROWS}" not in page.texts
    copied = next(text for text in page.texts if text.startswith("name,value"))
    assert [*csv.reader(copied.splitlines())] == many, "the CSV has every row"
    assert "and 7 rows more, in the CSV file of the run directory" in page.texts


def test_charts_of_what_the_report_says_are_of_the_report(place: Path, a2: A2) -> None:
    without_figure_hashes(place / "run")
    path = place / "run/figures/curves.csv"
    path.write_text(path.read_text().replace(",0.", ",0.9"))
    assert a2("report", "run").status == 0
    loss, accuracy, _ = (json.loads(text) for text in page_in(place / "run/report.html").data)
    own = report(place / "run")["history"]["0"]
    for chart, quantity in ((loss, "loss"), (accuracy, "accuracy")):
        for line, part in zip(chart["lines"], ("train", "val"), strict=True):
            assert line["y"] == pytest.approx([log[f"{part}_{quantity}"] for log in own], rel=1e-5)
            assert line["kept"] == [report(place / "run")["results"]["runs"][0]["kept_epoch"]]


def test_the_unchanged_images_are_a_point_of_a_probes_charts(place: Path, a2: A2) -> None:
    probe = ["probe-invariance", "--run", "run", "--changes", "rotate,scale,flip-horizontal", "--threads", "1"]
    assert a2(*probe, "--html", "--out", "probe").status == 0
    rotate, scale = (json.loads(text) for text in page_in(place / "probe/report.html").data)
    (run,) = report(place / "probe")["results"]["runs"]
    assert (rotate["x"], scale["x"]) == ("degrees, counter-clockwise", "factor")
    for chart, identity, change in ((rotate, 0, run["changes"][0]), (scale, 1, run["changes"][1])):
        (line,) = chart["lines"]
        points = {point["strength"]: point["accuracy"] for point in change["points"]} | {identity: run["unchanged"]}
        assert chart["at"] == sorted(points)
        for part, name in (("y", "value"), ("low", "low"), ("high", "high")):
            assert line[part] == pytest.approx([points[at][name] for at in chart["at"]], rel=1e-5)


def test_figures_that_are_not_shown_are_named(place: Path, a2: A2) -> None:
    (place / "run/figures/curves.png").unlink()
    (place / "run/figures/confusion.png").write_bytes(b"no picture")
    assert a2("report", "run", "-o", "page.html").status == 0
    said = (
        "Figures of the run directory that are not shown here: figures/curves.png (gone), figures/confusion.png "
        "(damaged)."
    )
    assert said in page_in(place / "page.html").texts


def test_figures_that_were_edited_are_not_shown(place: Path, a2: A2) -> None:
    assert a2("report", "run").status == 0
    page = page_in(place / "run/report.html")
    assert "Figures, and the numbers beside them, were checked against theirs in the report." in page.text
    figures = place / "run/figures"
    Image.new("RGB", (90, 60)).save(figures / "confusion.png")
    (figures / "curves.csv").write_text((figures / "curves.csv").read_text().replace("0.", "0.9"))
    (figures / "classes.csv").unlink()
    assert a2("report", "run", "-o", "page.html").status == 0
    page = page_in(place / "page.html")
    edited = "not as the run wrote it"
    said = f"figures/curves.csv ({edited}), figures/classes.csv (gone), figures/confusion.png ({edited})"
    assert f"Figures of the run directory that are not shown here: {said}." in page.texts
    assert "Numbers of Curves" not in page.texts and not any("Confusion" in text for text in page.texts)


def test_of_many_seeds_the_figures_of_three_are_shown(place: Path, a2: A2) -> None:
    assert a2(*HERE, "--seeds", "5", "--out", "five", "--html").status == 0
    page = page_in(place / "five/report.html")
    folders = {name.rpartition("/figures/")[0] for name in report(place / "five")["artifacts"] if "/figures/" in name}
    assert folders == {f"seeds/{seed}" for seed in range(5)}
    shown = [
        folder for folder in sorted(folders) if f"Confusion matrix: each true class by answers, {folder}" in page.texts
    ]
    assert shown == ["seeds/0", "seeds/1", "seeds/2"]
    said = "those of seeds/3, seeds/4 (a2 report of one of these folders shows them)"
    assert f"Figures of the run directory that are not shown here: {said}." in page.texts
    assert all(f"Epochs of seed {seed}" in page.texts for seed in range(5)), "the numbers are of all"
    assert a2("report", "five/seeds/4").status == 0


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_pages_name_the_data_and_the_weights_that_results_are_of(rendered: None, place: Path, a2: A2) -> None:
    assert a2(*HERE, "--seeds", "2", "--out", "two").status == 0
    data = report(place / "run")["data"]
    weights = {name: sha256(place / name / "model/model.safetensors") for name in ("run", "two/seeds/0", "two/seeds/1")}
    probe = ["probe-invariance", "--run", "run", "--run", "two", "--changes", "invert", "--threads", "1"]
    view = ["visualize-weights", "--run", "run", "--show", "filters", "--threads", "1"]
    compare = ["compare-optimizers", "--data", "set", *TINY[:8], "--epochs", "1", "--seeds", "2", "--tuning", "none"]
    compare += ["--optimizers", "adam,sgd"]
    extract = ["extract-features", "--run", "run", "--layer", "conv1", "--data", "set", "--threads", "1"]
    for name, words in (("probe", probe), ("view", view), ("compare", compare)):
        assert a2(*words, "--html", "--out", name).status == 0
    assert a2(*extract, "--html", "--out", "features.safetensors").status == 0
    pages = {name: page_in(place / file) for name, file in (
        ("probe", "probe/report.html"), ("view", "view/report.html"), ("compare", "compare/report.html"),
        ("features", "features.html"))}  # fmt: skip
    for page in pages.values():
        assert data["fingerprint"] in page.texts and all(
            f"{name} {n}" in page.text for name, n in data["classes"].items()
        )
    for name in ("run", "two"):
        assert f"The data of {name}" in pages["probe"].texts
    (probed, _) = report(place / "probe")["results"]["runs"]
    assert f"images that were changed {probed['images']}" in pages["probe"].text
    assert all(f"{name} {digest}" in pages["probe"].text for name, digest in weights.items())
    assert f"images that the network was shown {data['val']}" in pages["view"].text
    assert weights["run"] in pages["view"].texts and weights["run"] in pages["features"].texts
    assert a2("predict", "--run", "two", "set/ada", "--html", "answers.html").status == 0
    answers = page_in(place / "answers.html").text
    assert all(f"two/seeds/{seed} {weights[f'two/seeds/{seed}']}" in answers for seed in (0, 1))
    trials = sorted((place / "compare/trials").iterdir())
    assert len(trials) == 4 and "Images of each class" in pages["compare"].texts
    for trial in trials:
        assert f"trials/{trial.name} {sha256(trial / 'model/model.safetensors')}" in pages["compare"].text


def test_runs_that_were_judged_on_other_images_are_said_to_be(place: Path, a2: A2) -> None:
    said = "These runs were evaluated on different images"
    for name, flags in (
        ("same", ["--optimizer", "sgd"]),
        ("split", ["--val-fraction", "0.3"]),
        ("seed", ["--seed", "1"]),
    ):
        assert a2(*HERE, *flags, "--out", name).status == 0
        assert a2("report", "run", name, "-o", f"{name}.html").status == 0
        assert any(text.startswith(said) for text in page_in(place / f"{name}.html").texts) == (name != "same")
    assert a2(*HERE, "--test-fraction", "0.2", "--final", "--out", "tested").status == 0
    assert a2("report", "run", "tested", "-o", "final.html").status == 0
    test = report(place / "tested")["results"]["runs"][0]["test"]
    rows = f"test accuracy {test['value']:.3f} 95% interval, test {test['low']:.3f} to {test['high']:.3f}"
    assert f"{rows} times that the test images were read 1" in page_in(place / "final.html").text


def test_several_runs_stand_side_by_side(place: Path, a2: A2) -> None:
    assert a2(*HERE, "--optimizer", "sgd", "--seeds", "2", "--out", "other").status == 0
    a2("report", "run", "other").refused(2, "--out: expected the HTML file to write")
    assert a2("report", "run", "other", "run", "-o", "page.html").status == 0
    page = page_in(place / "page.html")
    at = page.texts.index("The runs side by side, then their settings that differ")
    one, two = (report(place / name)["results"] for name in ("run", "other"))
    head = page.texts[at + 1 : at + 30]
    assert head[:2] == ["run", "other"]
    rows = " ".join(head)
    assert f"validation accuracy {one['runs'][0]['val']['value']:.3f} {two['val']['mean']:.3f} 95% interval" in rows
    assert "epochs 2 1" in rows and "optimizer adam sgd" in rows and "seeds 1 2" in rows
    assert [text for text in page.texts if text in (one["verdict"], two["verdict"])] == [one["verdict"], two["verdict"]]
    assert f"{two['val']['mean']:.3f} ± {two['val']['deviation']:.3f}" in page.texts and "seeds" in page.texts
    (place / "bob").mkdir()
    (place / "other").rename(place / "bob/run")
    assert a2("report", "run", "bob/run", "-o", "same.html").status == 0
    page = page_in(place / "same.html")
    at = page.texts.index("The runs side by side, then their settings that differ")
    assert page.texts[at + 1 : at + 3] == ["run", "bob/run"]
    assert re.findall(r'<h2 id="run-\d-title">(.*)</h2>', (place / "same.html").read_text("utf-8")) == [
        "run",
        "bob/run",
    ]


def test_text_from_outside_is_text(tmp_path: Path, a2: A2) -> None:
    names = [name.replace("/", "∕") for name in FOREIGN]
    assert len({*names}) == 40
    draw_classes(tmp_path / "set", names, count=4)
    assert a2(*HERE, "--out", "run").status == 0
    assert a2("report", "run").status == 0
    page = page_in(tmp_path / "run/report.html")
    counts = report(tmp_path / "run")["data"]["classes"]
    assert len(counts) == 40
    for name in counts:
        assert printable(name).strip() in page.texts, name
    raw = (tmp_path / "run/report.html").read_text("utf-8")
    assert not {"\u202e", "\u2066", "\u200f", "\x01", "\u2028"} & {*raw}, "marks that turn a line are escapes"


def test_a_replication_is_a_tree_of_claims(tmp_path: Path, a2: A2) -> None:
    run = Run(tmp_path / "redone")
    (tmp_path / "redone").mkdir()
    found = results(
        claim(
            "1.4-helps", "1.4", judged("supported", "report's"), judged("undecided", more=12), text="Dropout <helps>."
        ),
        claim("1.5-x", "1.5", judged("not attempted", "report's", "needs weights: --weights", 0)),
    )
    run.write_config("replicate", {"ledger": "comp541"})
    run.write_report(new_report("replicate", {"ledger": "comp541"}, {"a2": "0"}, results=found))
    assert a2("report", "redone").status == 0
    page = page_in(tmp_path / "redone/report.html")
    assert found.verdict in page.texts and "Dropout <helps>." in page.texts
    at = page.texts.index("Dropout <helps>.")
    assert page.texts[at + 1 : at + 4] == [
        "report's:",
        "supported",
        ": +3.1 points [-0.2, +6.4], margin 5 points (10 seeds)",
    ]
    assert "Each claim is judged with report's ( --loss double-softmax ), and with plain (the defaults)." in page.text
    assert "a against b" in page.texts and "trials/a" in page.texts and "a2 x" in page.texts
    assert any(text.endswith("; 12 more seeds would decide, beyond the 10 that a run is given") for text in page.texts)
    assert "data set 451 11" in page.text, "what it was judged on"
    assert ": needs weights: --weights" in page.texts
    assert page.texts.index("1.4 Dropout") < at < page.texts.index("1.5 Kernels")


@pytest.mark.slow
@pytest.mark.parametrize("archive", ARCHIVES, ids=lambda path: path.name.partition(".")[0])
def test_a_page_of_every_command_and_of_earlier_versions(archive: Path, tmp_path: Path, a2: A2) -> None:
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    folders = [path.parent for path in sorted(tmp_path.glob("*/config.yaml")) if not path.parent.match("*-stopped")]
    commands = set()
    for folder in folders:
        ended = a2("report", folder.name, "-o", f"{folder.name}.html")
        assert ended.status == 0, ended.err
        page, own = page_in(tmp_path / f"{folder.name}.html"), report(folder)
        commands.add(own["command"])
        if verdict := own["results"].get("verdict"):
            assert " ".join(verdict.split()) in page.text
    assert len(commands) >= 8
    names = [folder.name for folder in folders]
    assert a2("report", *names, "-o", "all.html").status == 0
    page_in(tmp_path / "all.html")


def test_a_run_whose_files_contradict_each_other_is_refused(place: Path, a2: A2) -> None:
    """Each with its right SHA-256."""
    page = page_in(place / a2("report", "run").out.strip())
    assert "a2 train-cnn --resume run" in page.texts, "how the numbers are derived again"
    assert "a2 train-cnn --resume run measures its networks again." in page.text
    (place / "run/report.html").unlink()
    edit(place / "run/config.yaml", "epochs: 2", "epochs: 3")
    a2("report", "run").refused(3, "run: epochs is 3 in config.yaml, but 2 in report.json")
    assert a2(*HERE, "--seeds", "2", "--jobs", "1", "--out", "two").status == 0
    path = place / "two/seeds/1/report.json"
    values = json.loads(path.read_text())
    values["results"]["runs"][0]["val"]["value"] = 0.987
    path.write_text(json.dumps(values))
    sign(path)
    a2("report", "two").refused(3, "of seeds/1, its own report 0.987")


def test_what_is_refused(place: Path, a2: A2) -> None:
    a2("report").refused(2, "expected RUN")
    a2("report", "set", "-o", "page.html").refused(3, "set: ")
    a2("report", "set/ada/0.png", "-o", "page.html").refused(3, "or a features file (.safetensors)")
    a2("report", "run", "-o", "-").refused(2, "--out: expected a file that ends in .html, got '-'")
    a2("report", "none", "-o", "page.html").refused(3, "none")
    (place / "broken").symlink_to("nothing")
    a2("report", "broken", "-o", "page.html").refused(3, "broken: is a link that leads nowhere")
    (place / "there.html").write_text("mine")
    a2("report", "run", "-o", "there.html").refused(3, "there.html", "--overwrite")
    assert (place / "there.html").read_text() == "mine"
    assert a2("report", "run", "-o", "there.html", "--overwrite").status == 0
    a2("report", "run", "-o", "no/such/there.html").refused(3, "no/such")
    whole = (place / "run/report.json").read_text()
    (place / "run/report.json").write_text(whole.replace('"status": "done"', '"status": "failed"', 1))
    a2("report", "run", "-o", "page.html").refused(3, "run/report.json: damaged or edited")
    (place / "run/report.json").unlink()
    a2("report", "run", "-o", "page.html").refused(3, "run: not finished (no report.json)")
    assert not (place / "page.html").exists()


@pytest.mark.parametrize("of", ["run", "f.safetensors"])
def test_no_torch_is_loaded(of: str, place: Path, a2: A2) -> None:
    code = "import sys; from a2cli import main; sys.exit(main.run_command() or 'torch' in sys.modules)"
    if of != "run":
        a2("extract-features", "--data", "set", "--run", "run", "--threads", "1", "--quiet", "--out", of).done()
    command = [sys.executable, "-c", code, "report", of]
    done = subprocess.run(command, cwd=place, capture_output=True, check=False, text=True)
    assert (done.returncode, Path(done.stdout.strip()).suffix) == (0, ".html"), done.stderr


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_curves_of_a_training_are_charts() -> None:
    text = "seed,epoch,train_loss,train_accuracy,val_loss,val_accuracy,test_accuracy,kept\n"
    text += "3,1,2.5,0.25,2.25,0.125,,False\n3,2,1.5,0.5,nan,0.25,,True\n"
    loss, accuracy = (chart.data for chart in charts_of("curves", rows_of(text)))
    look = {"dash": 0, "shown": True, "kept": [2]}
    assert loss == {
        "title": "Loss", "x": "epoch", "band": "", "at": [1, 2],
        "lines": [{"name": "training", "color": 1, **look, "y": [2.5, 1.5]},
                  {"name": "validation", "color": 0, **look, "y": [2.25, None]}],
    }  # fmt: skip
    assert [line["name"] for line in accuracy["lines"]] == ["training", "validation"], "no test accuracy, no line"


def test_of_several_seeds_the_mean_is_shown_and_each_can_be() -> None:
    text = "seed,epoch,learning_rate\n0,1,1\n0,2,3\n0,3,5\n1,1,3\n1,2,7\n"
    (chart,) = charts_of("learning-rate", rows_of(text), "fold")
    mean, *each = chart.data["lines"]
    assert (mean["name"], mean["y"], mean["shown"]) == ("Learning rate, mean", [2, 5, None], True), (
        "as far as all seeds go"
    )
    half = 2**0.5
    assert mean["high"][:2] == pytest.approx([2 + half, 5 + 2 * half], rel=1e-5)
    assert mean["low"][:2] == pytest.approx([2 - half, 5 - 2 * half], rel=1e-5)
    assert [(line["name"], line["y"], line["shown"]) for line in each] == [
        ("Learning rate, fold 0", [1, 3, 5], False),
        ("Learning rate, fold 1", [3, 7, None], False),
    ]
    assert chart.band == "one standard deviation to each side of the mean"


def test_contenders_and_probes_are_charts() -> None:
    text = "contender,seed,epoch,train_accuracy,val_accuracy,val_loss,seconds,kept\n"
    text += "adam,0,1,0.5,0.25,2,10,True\nsgd,0,1,0.5,0.75,2,20,True\n"
    first = charts_of("curves", rows_of(text))[0].data
    assert [(line["name"], line["color"], line["y"]) for line in first["lines"]] == [
        ("adam", 0, [0.25]),
        ("sgd", 1, [0.75]),
    ]
    (time,) = charts_of("time", rows_of(text))
    assert time.data["at"] == [10, 20] and [line["y"] for line in time.data["lines"]] == [[0.25, None], [None, 0.75]]
    probe = "run,change,strength,accuracy,low,high\na,rotate,-5,0.5,0.4,0.6\na,rotate,0,0.7,0.6,0.8\na,grey,,0.5,0,1\n"
    (rotate,) = charts_of("curves", rows_of(probe))
    assert rotate.title == "Accuracy: rotate" and rotate.band == "95% interval"
    assert rotate.data["lines"][0] | {"kept": 0} == {
        "name": "a", "color": 0, "dash": 0, "shown": True, "kept": 0,
        "y": [0.5, 0.7], "low": [0.4, 0.6], "high": [0.6, 0.8],
    }  # fmt: skip
    assert charts_of("confusion", rows_of("truth,a\na,1\n")) == []


def test_curves_of_several_runs_are_laid_over_each_other(place: Path, a2: A2) -> None:
    assert a2(*HERE, "--optimizer", "sgd", "--seeds", "2", "--out", "other").status == 0
    assert a2("report", "run", "other", "-o", "page.html").status == 0
    charts = [json.loads(text) for text in page_in(place / "page.html").data]
    loss = next(chart for chart in charts if chart["title"] == "Loss")
    assert [(line["name"], line["color"], line["dash"]) for line in loss["lines"]] == [
        ("run: training", 0, 0), ("run: validation", 0, 1),
        ("other: training, mean", 1, 0), ("other: validation, mean", 1, 1),
    ]  # fmt: skip
    own = report(place / "run")["history"]["0"]
    assert loss["lines"][1]["y"] == pytest.approx([log["val_loss"] for log in own], rel=1e-5)
    assert {tuple(chart["at"]) for chart in charts if chart["x"] == "epoch"} == {(1, 2), (1,)}


def test_what_a_command_prints_stands_on_its_page(place: Path, a2: A2) -> None:
    """Of a run of its own, so that each is shown as it was printed when it ended."""
    ended = a2("receptive-field", "--layers", "conv5 pool2", "--html", "--out", "field")
    assert "Page: field/report.html" in ended.out
    page = page_in(place / "field/report.html")
    lines = [" ".join(line.split()) for line in ended.out.partition("Run: field")[0].splitlines()]
    assert len([line for line in lines if line]) > 8
    words = page.text.replace(" ", "")
    assert all(line.strip("─ ").replace(" ", "") in words for line in lines)


def test_every_command_writes_its_page_with_html(place: Path, a2: A2) -> None:
    ended = a2(*HERE, "--html", "--out", "again")
    assert ended.out == "again\n", "with --quiet the run directory alone"
    page_in(place / "again/report.html")
    assert "report.html" not in report(place / "again")["artifacts"]
    assert a2("train-cnn", "--data", "set", "--resume", "again", "--quiet").status == 0, "a page is no edit"
    tiny = [*TINY[: TINY.index("--threads")], *TINY[TINY.index("--device") :]]
    compared = [
        "--data",
        "set",
        *tiny,
        "--optimizers",
        "adam,sgd",
        "--rates",
        "2",
        "--seeds",
        "2",
        "--jobs",
        "1",
        "--html",
    ]
    assert a2("compare-optimizers", *compared, "--out", "cmp").status == 0
    own = report(place / "cmp")["results"]["tables"][0]["contenders"]
    resume = "a2 compare-optimizers --resume cmp derives its tables from its trials' reports again."
    assert resume in page_in(place / "cmp/report.html").text
    (place / "again/model").rename(place / "elsewhere")
    assert a2("report", "again", "-o", "no-model.html").status == 0
    assert "--resume" not in page_in(place / "no-model.html").text, "without networks nothing is measured"
    texts = page_in(place / "cmp/report.html").texts
    at = texts.index("contender")
    assert [one["name"] for one in own] == [texts[texts.index(one["name"], at)] for one in own]
    assert own[0]["accuracy"] is None or f"{own[0]['accuracy']['mean']:.3f}" in " ".join(texts[at : at + 20])


def test_a_features_file_and_answers_have_pages(rendered: None, place: Path, a2: A2) -> None:
    extract = ["extract-features", "--data", "set", "--run", "run", "--threads", "1", "--out", "f.safetensors"]
    ended = a2(*extract, "--html")
    assert ended.status == 0 and "Page: f.html" in ended.out, ended.err
    page = page_in(place / "f.html")
    assert "20 images, 20 computed now, 0 kept from before." in page.texts and "threads" in page.texts
    assert a2("report", "f.safetensors", "run", "-o", "both.html").status == 0
    both = page_in(place / "both.html")
    shape = page.texts[page.texts.index("shape of an image's") + 4]
    assert "20 images." in both.texts and shape in both.texts and "0.500" in both.texts
    a2("report", "f.safetensors").refused(3, "f.html", "--overwrite")
    assert a2("report", "f.safetensors", "--overwrite").out == "f.html\n"

    answers = a2("predict", "set", "--run", "run", "--html", "answers.html", "--json")
    found = json.loads(answers.out)
    page = page_in(place / "answers.html")
    for one in found["predictions"]:
        at = page.texts.index(one["image"])
        assert page.texts[at + 1 : at + 3] == [one["answer"], f"{one['probability']:.3f}"]
    sheet = Image.open(io.BytesIO(decoded(next(str(one["src"]) for tag, one in page.tags if tag == "img"))))
    assert sheet.width > 300 and len(sheet.convert("RGB").getcolors(1 << 20) or []) > 50
    assert found["picture"] is None and not [*place.glob("*.png")]
    a2("predict", "set", "--run", "run", "--html", "answers.html").refused(3, "answers.html", "--overwrite")
    a2("predict", "set", "--run", "run", "--html", "answers.txt").refused(
        2, "--html: expected a file that ends in .html"
    )


def test_the_charting_library_is_as_it_was_published() -> None:
    """uPlot 1.6.32, its files in its npm package."""
    published = {
        "uPlot.iife.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
        "uPlot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
        "LICENSE": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
    }
    for name, digest in published.items():
        assert hashlib.sha256((OURS / "uplot" / name).read_bytes()).hexdigest() == digest, name
    assert "</script" not in UPLOT + PAGE_SCRIPT and "--" not in (OURS / "uplot/LICENSE").read_text()
