"""Pages of the docs, in Markdown, made from a replication's report alone."""

from collections.abc import Sequence
from pathlib import Path

from a2cli import storage
from a2cli.formats import counted
from a2cli.replicate.console import remarks
from a2cli.replicate.results import VERDICTS, ClaimResult, Judged, ReplicationResults
from a2cli.reports.report import Report

READING = """*Supported* and *contradicted* are decided at looks that are paid for, so that with 95% no verdict on a \
difference is wrong; *undecided* is what these seeds leave open, and *not attempted* what lacks its data or weights \
([how it is decided](replicating.md)). An interval is that of one claim at one look; of a printed number it is the one \
in which 95% of new runs lie. *Fragile*: decided the other way under another choice."""


def write_pages(report: Report, folder: Path) -> list[Path]:
    """Write replication.md into a folder, and return what was written; raises OSError."""
    results = report.results
    assert isinstance(results, ReplicationResults), "checked before"
    storage.make_folder(folder)
    path = folder / "replication.md"
    storage.write(path, page(results, list(results.sections)).encode())
    return [path]


def page(results: ReplicationResults, sections: Sequence[str]) -> str:
    """Return a page on some sections: what the claims were judged on, and each with its verdict and its figure."""
    inputs = [
        f"- {one.name}: {_cell(Path(one.source).name)}"
        + (f", {counted(one.images, 'image')} of {one.classes} classes" if one.images is not None else "")
        for one in results.inputs
    ]
    lines = [
        f"# {_cell(results.title)}",
        "",
        f"Written by `a2 replicate {results.ledger} --write` from {counted(results.trials, 'training')}; nothing here "
        "is typed by hand.",
        "",
        *inputs,
        "",
        READING,
        "",
        "| verdict | " + " | ".join(map(_cell, results.worlds)) + " |",
        "|---|" + "---|" * len(results.worlds),
    ]
    counts = {world: results.counts(world) for world in results.worlds}
    lines += [
        f"| {verdict} | " + " | ".join(str(count[verdict]) for count in counts.values()) + " |" for verdict in VERDICTS
    ]
    for section in sections:
        lines += ["", f"## {section} {_cell(results.sections[section])}", "", *_table(results, section)]
    return "\n".join(lines) + "\n"


def _table(results: ReplicationResults, section: str) -> list[str]:
    claims = [claim for claim in results.claims if claim.section == section]
    worlds = [world for world in results.worlds if any(one.world == world for c in claims for one in c.judged)]
    lines = ["| claim | " + " | ".join(map(_cell, worlds)) + " |", "|---|" + "---|" * len(worlds)]
    for claim in claims:
        cells = [_judged(claim, world) for world in worlds]
        lines.append(f"| {_cell(claim.claim)} | " + " | ".join(cells) + " |")
    return lines


def _judged(claim: ClaimResult, world: str) -> str:
    one: Judged | None = next((each for each in claim.judged if each.world == world), None)
    if one is None:
        return ""
    seeds = f" ({counted(one.seeds, 'seed')})" if one.seeds else ""
    rest = "".join(f"; {words}" for words in remarks(one))
    return f"**{one.verdict}**: {_cell(one.why)}{seeds}{rest}"


def _cell(text: str) -> str:
    """Return text as a cell of a table in Markdown, in one line and without markup."""
    for sign in "\\|*_`<>[]#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
