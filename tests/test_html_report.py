"""`a2 report`: a page shows what the run's report says, asks for nothing from elsewhere, takes no text as markup."""

import base64
import csv
import json
import shutil
import subprocess
import sys
import tarfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from conftest import A2, TINY, draw_classes
from test_old_runs import ARCHIVES
from test_replication_views import claim, judged, results

from a2cli.html_report.contents import MOST_ROWS
from a2cli.reports.report import new_report
from a2cli.runs.directory import Run
from a2cli.settings.declare import declared, shown
from a2cli.settings.training import TrainCnnSettings
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
    "figure", "img", "figcaption", "code", "span",
}  # fmt: skip
VOID = {"meta", "img"}


class Page(HTMLParser):
    """A page's texts, tags and attributes; held to well-formed nesting."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
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
        if data.strip() and "style" not in self.inside:
            self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def page_in(path: Path) -> Page:
    """Return a page, held to asking for nothing: no script, no address but of data and of its own parts."""
    page = Page(path.read_text("utf-8"))
    assert {tag for tag, _ in page.tags} <= ALLOWED
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            value = attributes.get(name)
            assert value is None or value.startswith("data:image/png;base64," if tag == "img" else "#")
    policy = next(one["content"] for tag, one in page.tags if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    identifiers = [one["id"] for _, one in page.tags if one.get("id")]
    assert len(identifiers) == len(set(identifiers))
    assert {one["href"] for tag, one in page.tags if tag == "a"} <= {f"#{name}" for name in identifiers}
    assert all(one.get("alt") for tag, one in page.tags if tag == "img")
    return page


def report(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return values


@pytest.fixture
def place(tmp_path: Path, a2: A2) -> Path:
    draw_classes(tmp_path / "set", count=10)
    assert a2(*HERE, "--epochs", "2", "--out", "run").status == 0
    return tmp_path


def test_a_page_shows_what_the_report_says(place: Path, a2: A2) -> None:
    assert a2("report", "run").out == "run/report.html\n"
    page, own = page_in(place / "run/report.html"), report(place / "run")
    found = own["results"]["runs"][0]
    assert own["results"]["verdict"] in page.texts
    for part in ("train", "val"):
        of = found[part]
        cells = [f"{of['value']:.3f}", f"{of['low']:.3f} to {of['high']:.3f}", f"{of['correct']} of {of['count']}"]
        at = page.texts.index({"train": "training", "val": "validation"}[part])
        assert page.texts[at + 1 : at + 4] == cells
    assert all(warning in page.texts for warning in own["warnings"]) and own["warnings"]
    assert own["data"]["fingerprint"] in page.texts and own["sha256"] in page.texts
    assert found["weights_sha256"] in page.texts and own["environment"]["torch"] in page.texts
    helps = {item.name: item for item in declared(TrainCnnSettings)}
    for name, value in own["config"].items():
        if name != "command":
            row = [name, shown(value, helps[name]), helps[name].help]
            assert " ".join(row) in page.text, name
    figures = [name for name in own["artifacts"] if name.endswith(".png")]
    urls = [str(one["src"]) for tag, one in page.tags if tag == "img"]
    assert len(urls) == len(figures) > 3
    contents = {
        f"data:image/png;base64,{base64.b64encode((place / 'run' / name).read_bytes()).decode()}" for name in figures
    }
    assert set(urls) == contents
    for log in own["history"]["0"]:
        assert (
            f"{log['epoch']} {log['learning_rate']:.6g} {log['train_loss']:.6g} {log['train_accuracy']:.6g}"
            in page.text
        )
    assert "a2 train-cnn -p run/config.yaml" in page.texts


def test_the_numbers_of_a_figure_stand_below_it(place: Path, a2: A2) -> None:
    many = [["name", "value"], *([f"row {i}", str(i)] for i in range(MOST_ROWS + 7))]
    with (place / "run/figures/curves.csv").open("w", newline="") as file:
        csv.writer(file).writerows(many)
    a2("report", "run", "-o", "page.html")
    page = page_in(place / "page.html")
    at = page.texts.index("Numbers of curves")
    assert page.texts[at : at + 6] == ["Numbers of curves", "Numbers of curves", "name", "value", "row 0", "0"]
    assert f"row {MOST_ROWS - 1}" in page.texts and f"row {MOST_ROWS}" not in page.texts
    assert "and 7 rows more, in the CSV file of the run directory" in page.texts


def test_figures_that_are_not_shown_are_named(place: Path, a2: A2) -> None:
    (place / "run/figures/curves.png").unlink()
    assert a2("report", "run", "-o", "page.html").status == 0
    said = "Figures in the run directory that are not shown here, as they are no PNG files or gone: figures/curves.png."
    assert said in page_in(place / "page.html").texts


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
    assert "a against b" in page.texts and "trials/a" in page.texts and "a2 x" in page.texts
    assert any(text.endswith("; 12 more seeds would decide") for text in page.texts)
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


def test_what_is_refused(place: Path, a2: A2) -> None:
    a2("report").refused(2, "expected RUN")
    a2("report", "set", "-o", "page.html").refused(3, "set: ")
    a2("report", "none", "-o", "page.html").refused(3, "none")
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


def test_no_torch_is_loaded(place: Path) -> None:
    code = "import sys; from a2cli import main; main.run_command(); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, "report", "run"], cwd=place, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_browser_opens_it_without_a_complaint(place: Path, a2: A2, rendered: None) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here")
    assert a2(*HERE, "--out", "drawn").status == 0
    assert a2("report", "drawn", "-o", "page.html").status == 0
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"]
    address = (place / "page.html").as_uri()
    profile = f"--user-data-dir={place / 'profile'}"
    done = subprocess.run([browser, *flags, profile, address], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0 and report(place / "drawn")["sha256"] in done.stdout
    assert ":CONSOLE" not in done.stderr and "Content Security Policy" not in done.stderr
