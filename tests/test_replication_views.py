"""What people see of a replication: the tree, the figures, the CSV files and the page, to the letter."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from a2cli.console.base import clock
from a2cli.replicate.claims import read_ledger
from a2cli.replicate.console import show_claims, show_plan, show_replication
from a2cli.replicate.draw import draw
from a2cli.replicate.figures import MOST_ROWS, forest, pages_of
from a2cli.replicate.pages import page
from a2cli.replicate.results import (
    Alternative,
    ClaimResult,
    ClaimVerdict,
    Estimate,
    InputSummary,
    Judged,
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
        ledger="comp541", title="A report", worlds={name: {} for name in worlds},
        sections={"1.4": "Dropout", "1.5": "Kernels"},
        inputs=[InputSummary("data", "set", "", 451, 11), InputSummary("weights", "w.safetensors", "", None, None)],
        looks=[6, 10], error=0.05, trials=64, trial_seconds=100.0, claims=list(claims), verdict="",
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
        "      12 more seeds would decide",
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


def test_the_page(found: ReplicationResults) -> None:
    text = page(found, ["1.4"])
    assert "| verdict | report's | plain |" in text
    assert "| supported | 1 | 1 |" in text and "| undecided | 0 | 1 |" in text and "| not attempted | 1 | 1 |" in text
    assert "A claim \\[red\\]so long\\[/red\\] that" in text
    row = next(line for line in text.splitlines() if line.startswith("| So it is."))
    assert row == (
        "| So it is. | **supported**: +3.1 points \\[-0.2, +6.4\\], margin 5 points (10 seeds) | "
        "**undecided**: +3.1 points \\[-0.2, +6.4\\], margin 5 points (10 seeds); 12 more seeds would decide |"
    )
    assert "Kernels" not in text and "Kernels" in page(found, ["1.4", "1.5"])


def test_files(found: ReplicationResults, tmp_path: Path) -> None:
    run = Run(tmp_path)
    draw(run, found)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "claims.csv").read_text())))
    assert [(row["id"], row["world"], row["verdict"]) for row in rows] == [
        (one.id, each.world, each.verdict) for one in found.claims for each in one.judged
    ]
    assert rows[1]["more_seeds"] == "12" and rows[2]["fragile"] == "margin 2.5 points"
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
