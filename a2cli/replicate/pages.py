"""Pages of the docs, in Markdown, made from a replication's report and its ledger alone."""

from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from a2cli import storage
from a2cli.columns import Column, in_markdown
from a2cli.formats import counted
from a2cli.replicate.claims import ClaimLedger, Page
from a2cli.replicate.console import remarks
from a2cli.replicate.evidence import words_of
from a2cli.replicate.results import VERDICTS, ClaimResult, ClaimVerdict, Judged, MeasuredRun, ReplicationResults
from a2cli.reports.report import Report

READING = """*Supported* and *contradicted* are decided at interim analyses (looks) that share the error rate, so that \
with 95% confidence no verdict on a difference is wrong; *undecided* is what these seeds leave open, and \
*not attempted* what lacks its data or weights (`docs/replicating.md` of a2 says how). An interval is that of one \
claim at one look; for a printed number it is the 95% prediction interval of a new run. *Fragile*: decided the other \
way with another margin, epoch or loss."""
MEASURED = "Mean accuracies in percent, ± the standard deviation over seeds, of the weights that each training kept."


def write_pages(report: Report, ledger: ClaimLedger, folder: Path) -> list[Path]:
    """Write the ledger's pages that have a section of the run, and return their files; raises OSError."""
    results = report.results
    assert isinstance(results, ReplicationResults), "checked before"
    pages = ledger.pages or {"replication": Page(title=ledger.title, sections=tuple(ledger.sections))}
    pages = {name: one for name, one in pages.items() if set(one.sections) & set(results.sections)}
    storage.make_folder(folder)
    for name, one in pages.items():
        others = {other: page.title for other, page in pages.items() if other != name}
        storage.write(folder / f"{name}.md", page(results, ledger, one, others).encode())
    return [folder / f"{name}.md" for name in pages]


def page(results: ReplicationResults, ledger: ClaimLedger, one: Page, others: dict[str, str]) -> str:
    """Return a page: the data, how verdicts read, its sections' claims each with its verdict, and what runs measured.

    `others` are the titles of the other pages, by name.
    """
    inputs = [
        f"- {found.name}: {_cell(Path(found.source).name)}"
        + (f", {counted(found.images, 'image')} of {found.classes} classes" if found.images is not None else "")
        for found in results.inputs
    ]
    settings = [
        f"- {_cell(world)}: `{' '.join(f'--{name} {value}' for name, value in flags.items())}`"
        for world, flags in results.worlds.items()
        if flags
    ]
    linked = [f"[{_cell(title)}]({name}.md)" for name, title in others.items()]
    claims = [claim for claim in results.claims if claim.section in one.sections]
    lines = [
        f"# {_cell(one.title)}",
        "",
        f"Written by `a2 replicate {Path(results.ledger).name} --write` from {counted(results.trials, 'training')}: "
        f"{_cell(results.title)}. Nothing here is typed by hand."
        + (f" Its other sections: {', '.join(linked)}." if linked else ""),
        "",
        *inputs,
        *settings,
        "",
        READING,
        "",
        f"Of the whole report: {_cell(results.verdict)} Of this page:",
        "",
        *_counts(results, claims),
    ]
    for section in one.sections:
        if section in results.sections:
            lines += ["", f"## {section} {_cell(results.sections[section])}", "", *_table(results, section)]
    if measured := _measured(results, ledger, claims):
        lines += ["", "## What the runs measured", "", MEASURED, "", *measured]
    return "\n".join(lines) + "\n"


def _counts(results: ReplicationResults, claims: Sequence[ClaimResult]) -> list[str]:
    counts = Counter((one.world, one.verdict) for claim in claims for one in claim.judged)

    def counted_in(world: str, verdict: ClaimVerdict) -> str:
        return str(counts[world, verdict])

    worlds = [Column(_cell(world), text=partial(counted_in, world)) for world in results.worlds]
    return in_markdown([Column("verdict", text=str), *worlds], VERDICTS)


def _table(results: ReplicationResults, section: str) -> list[str]:
    claims = [claim for claim in results.claims if claim.section == section]
    worlds = [world for world in results.worlds if any(one.world == world for c in claims for one in c.judged)]
    judged = [Column(_cell(world), text=partial(_judged, results, world)) for world in worlds]
    return in_markdown([Column("claim", text=lambda claim: _cell(claim.claim)), *judged], claims)


def _judged(results: ReplicationResults, world: str, claim: ClaimResult) -> str:
    one: Judged | None = next((each for each in claim.judged if each.world == world), None)
    if one is None:
        return ""
    seeds = f" ({counted(one.seeds, 'seed')})" if one.seeds else ""
    rest = "".join(f"; {words}" for words in remarks(one, results))
    return f"**{one.verdict}**: {_cell(one.why)}{seeds}{rest}"


def _measured(results: ReplicationResults, ledger: ClaimLedger, claims: Sequence[ClaimResult]) -> list[str]:
    """Return the table of the runs that claims rest on, each by the command that it is, without its data."""
    shown = {claim.id for claim in claims}
    wanted = {name for claim in ledger.claims if claim.id in shown for name in claim.runs}
    wanted |= {ledger.runs[name].of for name in wanted}
    rows = [one for name in ledger.runs if name in wanted for one in results.runs if one.run == name]
    if not rows:
        return []
    columns: list[Column[MeasuredRun]] = [
        Column("run", text=lambda row: f"`{' '.join(words_of(ledger.runs[row.run], ledger.runs[row.run].flags))}`"),
        Column("with", text=lambda row: _cell(row.world)),
        Column("training", text=lambda row: _share(row.training, row.training_deviation)),
        Column("validation", text=lambda row: _share(row.validation, row.validation_deviation)),
        Column("seeds", text=lambda row: f"{row.seeds}" + (f", {row.failed} failed" if row.failed else "")),
    ]
    return in_markdown(columns, rows)


def _share(mean: float, deviation: float | None) -> str:
    return f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "")


def _cell(text: str) -> str:
    """Return text as a cell of a table in Markdown, in one line and without markup."""
    for sign in "\\|*_`<>[]#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
