"""What people see of a replication: the tree, the figures, the CSV files and the page, to the letter."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from a2cli.console.base import clock
from a2cli.replicate.claims import ClaimLedger, read_ledger
from a2cli.replicate.console import remarks, show_claims, show_plan, show_replication
from a2cli.replicate.draw import draw
from a2cli.replicate.figures import MOST_ROWS, forest, pages_of
from a2cli.replicate.pages import page, write_pages
from a2cli.replicate.results import (
    Alternative,
    ClaimResult,
    ClaimVerdict,
    Estimate,
    InputSummary,
    Judged,
    MeasuredRun,
    PlanRow,
    ReplicationResults,
)
from a2cli.replicate.verdict import replication_verdict
from a2cli.reports.report import new_report
from a2cli.runs.directory import Run

LONG = "A claim [red]so long[/red] that it has to be wrapped on a screen of 80 columns, as claims of reports often are"


def judged(verdict: ClaimVerdict, world: str = "plain", why: str = "+3.1 points [-0.2, +6.4], margin 5 points",
           seeds: int = 10, more: int | None = None, fragile: tuple[str, ...] = ()) -> Judged:  # fmt: skip
    estimates = [Estimate("a against b", seeds, 0.031, 0.02, -0.002, 0.064, verdict)] if seeds else []
    alternatives = [Alternative(choice, "supported") for choice in fragile]
    return Judged(world, verdict, why, seeds, estimates, more, alternatives, list(fragile), ["trials/a"], ["a2 x"])


def claim(name: str, section: str, *found: Judged, text: str = "So it is.", unit: str = "points") -> ClaimResult:
    return ClaimResult(name, section, text, "higher", "validation", unit, None, 0.0, 0.05, 1.0, list(found))


def results(*claims: ClaimResult, worlds: tuple[str, ...] = ("report's", "plain")) -> ReplicationResults:
    found = ReplicationResults(
        ledger="comp541", title="A report",
        worlds={name: {"loss": "double-softmax"} if name == "report's" else {} for name in worlds},
       
        sections={"1.4": "Dropout", "1.5": "Kernels"},
        inputs=[InputSummary("data", "set", "", 451, 11), InputSummary("weights", "w.safetensors", "", None, None)],
        looks=[6, 10], error=0.05, trials=64, trial_seconds=100.0, claims=list(claims), verdict="",
        runs=[MeasuredRun("a", worlds[0], 10, 1, 0.7, 0.04, 0.6125, 0.02, "a2 train-cnn -p 1.4-dropout"),
              MeasuredRun("b", worlds[-1], 1, 0, 0.25, None, 0.2, None, "a2 train-cnn --epochs 3")],
    )  # fmt: skip
    return replace(found, verdict=replication_verdict(found))


@pytest.fixture
def found() -> ReplicationResults:
    missing = "needs AlexNet's pretrained weights: --weights"
    return results(
        claim("1.4-helps", "1.4", judged("supported", "report's"), judged("undecided", more=12)),
        claim("1.4-long", "1.4", judged("contradicted", "report's", fragile=("margin 2.5 points",)),
              judged("supported"), text=LONG),
        claim("1.5-weights", "1.5", judged("not attempted", "report's", missing, 0), judged("not attempted", "plain",
              missing, 0)),
    )  # fmt: skip


def printed(found: ReplicationResults, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    show_replication(new_report("replicate", {}, {}, results=found), Path("run"))
    return capsys.readouterr().out


def test_the_tree(
    found: ReplicationResults, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = printed(found, capsys, monkeypatch).splitlines()
    assert [line.rstrip() for line in lines[:19]] == [
        "A report",
        "data: set, 451 images of 11 classes",
        "weights: w.safetensors",
        "",
        "1.4  Dropout",
        "  1.4-helps: So it is.",
        "    report's: supported: +3.1 points [-0.2, +6.4], margin 5 points (10 seeds)",
        "    plain: undecided: +3.1 points [-0.2, +6.4], margin 5 points (10 seeds)",
        "      12 more seeds would decide, beyond the 10 that a run is given",
        "  1.4-long: A claim [red]so long[/red] that it has to be wrapped on a screen of",
        "  80 columns, as claims of reports often are",
        "    report's: contradicted: +3.1 points [-0.2, +6.4], margin 5 points (10 seeds)",
        "      fragile: the other way with margin 2.5 points",
        "    plain: supported: +3.1 points [-0.2, +6.4], margin 5 points (10 seeds)",
        "",
        "1.5  Kernels",
        "  1.5-weights: So it is.",
        "    not attempted: needs AlexNet's pretrained weights: --weights",
        "",
    ]
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines[19:]).split())
    assert text.startswith(
        "report's: of 2 claims attempted 2 (100%) are decided: 1 supported, 1 contradicted; 1 of them fragile. "
        "plain: of 2 claims attempted 1 (50%) are decided: 1 supported, 0 contradicted."
    )


def test_more_seeds_are_advised_where_a_run_is_given_more(
    found: ReplicationResults, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    advice = "a2 replicate --resume run --budget 128"
    for one, is_advised in (
        (judged("undecided", more=12), False),
        (judged("undecided"), False),
        (judged("undecided", seeds=6, more=5), False),
        (judged("undecided", seeds=6, more=4), True),
        (judged("undecided", seeds=6), True),
        (judged("supported", seeds=6), False),
    ):
        alone = replace(found, claims=[claim("1.4-helps", "1.4", one)])
        show_replication(new_report("replicate", {"budget": "1h"}, {}, results=alone), Path("run"))
        text = capsys.readouterr().out
        assert (advice in text) == is_advised, one
        assert "64 trainings; no run is given more than 10 seeds." in " ".join(text.split())
    assert remarks(judged("undecided", seeds=6, more=4), found) == ["4 more seeds would decide"]


def test_one_world_is_not_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = printed(results(claim("a", "1.4", judged("supported")), worlds=("plain",)), capsys, monkeypatch)
    assert "    supported: +3.1 points" in text


def test_a_list_and_a_plan(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ledger = read_ledger("comp541")
    show_claims(ledger, ledger.claims)
    text = capsys.readouterr().out
    assert all(claim.id in text for claim in ledger.claims)
    assert max(map(len, text.splitlines())) <= 80
    show_plan([PlanRow(1, 6, 1396, 3725.0, 0.2639)], 0.05, 2, ["tuned"])
    text = capsys.readouterr().out
    assert "1,396" in text and f" {clock(3725.0)} " in text and "26.4 points" in text
    assert "Not timed, as on features, in stages or diverging: tuned." in text


LEDGER = """
title: A report
inputs: {data: {about: images}}
worlds: {report's: {loss: double-softmax}, plain: {}}
sections: {"1.4": Dropout, "1.5": Kernels}
pages: {drop: {title: All on dropout, sections: ["1.4"]}, kernels: {title: All on kernels, sections: ["1.5"]}}
runs: {a: {command: train-cnn, preset: [1.4-dropout]}, b: {command: train-cnn, flags: {epochs: 3}}}
claims:
  - {id: 1.4-helps, section: "1.4", claim: So it is., kind: higher, run: a, than: [b]}
  - {id: 1.5-weights, section: "1.5", claim: So it is., kind: higher, run: b, than: [b]}
"""


@pytest.fixture
def ledger(tmp_path: Path) -> ClaimLedger:
    (tmp_path / "views.yaml").write_text(LEDGER)
    return read_ledger(str(tmp_path / "views.yaml"))


def test_the_page(found: ReplicationResults, ledger: ClaimLedger) -> None:
    text = page(found, ledger, ledger.pages["drop"], {"kernels": "All on kernels"})
    lines = text.splitlines()
    written = "Written by `a2 replicate comp541 --write` from 64 trainings: A report. Nothing here is typed by hand."
    assert lines[:7] == [
        "# All on dropout",
        "",
        f"{written} Its other sections: [All on kernels](kernels.md).",
        "",
        "- data: set, 451 images of 11 classes",
        "- weights: w.safetensors",
        "- report's: `--loss double-softmax`",
    ]
    assert f"Of the whole report: {found.verdict} Of this page:" in lines
    assert "| verdict | report's | plain |" in text
    assert "| supported | 1 | 1 |" in text and "| undecided | 0 | 1 |" in text and "| not attempted | 0 | 0 |" in text
    assert "A claim \\[red\\]so long\\[/red\\] that" in text
    row = next(line for line in lines if line.startswith("| So it is."))
    assert row == (
        "| So it is. | **supported**: +3.1 points \\[-0.2, +6.4\\], margin 5 points (10 seeds) | "
        "**undecided**: +3.1 points \\[-0.2, +6.4\\], margin 5 points (10 seeds); "
        "12 more seeds would decide, beyond the 10 that a run is given |"
    )
    assert "## 1.5" not in text
    assert lines[lines.index("## What the runs measured") + 4 :] == [
        "| run | with | training | validation | seeds |",
        "|---|---|---|---|---|",
        "| `a2 train-cnn -p 1.4-dropout` | report's | 70.0 ± 4.0 | 61.3 ± 2.0 | 10, 1 failed |",
        "| `a2 train-cnn --epochs 3` | plain | 25.0 | 20.0 | 1 |",
    ]


def test_a_page_for_each_topic_of_the_ledger(found: ReplicationResults, ledger: ClaimLedger, tmp_path: Path) -> None:
    report = new_report("replicate", {}, {}, results=found)
    assert write_pages(report, ledger, tmp_path) == [tmp_path / "drop.md", tmp_path / "kernels.md"]
    kernels = (tmp_path / "kernels.md").read_text()
    assert kernels.startswith("# All on kernels") and "[All on dropout](drop.md)" in kernels
    assert "## 1.5 Kernels" in kernels and "## 1.4" not in kernels and "-p 1.4-dropout" not in kernels
    some = replace(found, sections={"1.4": "Dropout"})
    report = new_report("replicate", {}, {}, results=some)
    assert write_pages(report, ledger, tmp_path / "some") == [tmp_path / "some/drop.md"]
    assert "other sections" not in (tmp_path / "some/drop.md").read_text(), "a page that is not there"
    [one] = write_pages(report, replace(ledger, pages={}), tmp_path / "one")
    assert one.name == "replication.md" and one.read_text().startswith("# A report\n")


def test_files(found: ReplicationResults, tmp_path: Path) -> None:
    run = Run(tmp_path)
    draw(run, found)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "claims.csv").read_text())))
    assert [(row["id"], row["world"], row["verdict"]) for row in rows] == [
        (one.id, each.world, each.verdict) for one in found.claims for each in one.judged
    ]
    assert rows[1]["more_seeds"] == "12" and rows[2]["fragile"] == "margin 2.5 points"
    measured = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert [(row["run"], row["seeds"], row["validation"], row["validation_deviation"]) for row in measured] == [
        ("a", "10", "0.6125", "0.02"), ("b", "1", "0.2", ""),
    ]  # fmt: skip
    drawn = list(csv.DictReader(io.StringIO((tmp_path / "figures/claims-1.4.csv").read_text())))
    assert [(row["claim"], row["world"], float(row["difference"]), float(row["margin"])) for row in drawn] == [
        (name, world, 0.031, 0.05) for name in ("1.4-helps", "1.4-long") for world in ("report's", "plain")
    ]
    assert not (tmp_path / "figures/claims-1.5.csv").exists(), "nothing was measured there"


def test_a_figure_shows_each_comparison_where_it_is(found: ReplicationResults) -> None:
    [rows] = pages_of(found, "1.4")
    figure = forest(found, "1.4  Dropout", rows)
    panels = figure.axes
    assert [axes.get_title(loc="left") for axes in panels] == ["report's", "plain"]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == [
        "1.4-helps: a against b", "1.4-long: a against b",
    ]  # fmt: skip
    marks = [[line for line in axes.lines if line.get_marker() not in ("None", None, "")] for axes in panels]
    assert [[(line.get_xdata()[0], line.get_ydata()[0]) for line in own] for own in marks] == [  # type: ignore[index]
        [(pytest.approx(3.1), 0), (pytest.approx(3.1), 1)]
    ] * 2
    assert marks[0][0].get_marker() != marks[0][1].get_marker(), "supported, contradicted"


def test_many_comparisons_go_on_several_pages_of_2000_pixels_at_most() -> None:
    many = results(*(claim(f"1.4-{i}", "1.4", judged("supported", "report's"), judged("undecided")) for i in range(60)))
    pages = pages_of(many, "1.4")
    assert [len(rows) for rows in pages] == [MOST_ROWS, MOST_ROWS, 60 - 2 * MOST_ROWS]
    for rows in pages:
        width, height = forest(many, "1.4", rows).get_size_inches() * 150
        assert max(width, height) <= 2000
