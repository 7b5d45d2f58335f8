"""What became of claims, as printed: a tree by section."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from a2cli.columns import Column
from a2cli.console.base import clock, results_console, say_where, show_rows, table_from
from a2cli.formats import counted, in_points
from a2cli.replicate.claims import Claim, ClaimLedger
from a2cli.replicate.results import ClaimResult, ClaimVerdict, Judged, PlanRow, ReplicationResults
from a2cli.reports.report import Report

if TYPE_CHECKING:
    from rich.text import Text

STYLES: dict[ClaimVerdict, str] = {
    "supported": "green",
    "contradicted": "red",
    "undecided": "yellow",
    "not attempted": "dim",
}
STEP = 2  # columns that each branch of the tree is further in


def show_replication(report: Report, folder: Path) -> None:
    """Print a tree by section: each claim, in each world its verdict, the figure that decided it, and its seeds."""
    results = report.results
    assert isinstance(results, ReplicationResults), "a replication has those"
    console = results_console()
    console.print(results.title)
    for one in results.inputs:
        counts = f", {counted(one.images, 'image')} of {one.classes} classes" if one.images is not None else ""
        console.print(f"{one.name}: {one.source}{counts}", soft_wrap=True)
    for section, title in results.sections.items():
        console.print()
        console.print(f"{section}  {title}", style="bold")
        for claim in results.claims:
            if claim.section == section:
                for depth, line in _lines(claim, results):
                    console.print(_indented(line, depth, console.width), soft_wrap=True)
    console.print()
    console.print(results.verdict)
    verdicts = {one.verdict for claim in results.claims for one in claim.judged}
    if results.trials:
        sentence = f"{counted(results.trials, 'training')}; no run is given more than {max(results.looks)} seeds."
        if verdicts & {"supported", "contradicted"}:
            sentence += f" With {100 * (1 - results.error):g}% confidence no verdict on a difference is wrong."
        console.print(sentence)
    budget, most = report.config.get("budget"), max(results.looks, default=0)
    undecided = [one for claim in results.claims for one in claim.judged if one.verdict == "undecided"]
    if budget and any(one.seeds + max(1, one.more_seeds or 0) <= most for one in undecided):
        console.print(
            f"The budget was {budget}; a claim's look is run whole once it has begun. More seeds for what is undecided:"
        )
        more = f"--budget {2 * results.trials}"
        console.print(f"a2 replicate --resume {shlex.quote(str(folder))} {more}", soft_wrap=True)
    say_where(console, report, folder)


def _lines(claim: ClaimResult, results: ReplicationResults) -> Iterator[tuple[int, "Text"]]:
    """Yield the lines of one claim, each with its depth in the tree."""
    from rich.text import Text

    yield 1, Text(f"{claim.id}: {claim.claim}")
    said = [(one.verdict, one.why) for one in claim.judged]
    together = len(results.worlds) == 1 or claim.kind == "derived" or (len(said) > 1 and len(set(said)) == 1)
    for one in claim.judged[:1] if together else claim.judged:
        line = Text("" if together else f"{one.world}: ")
        line.append(one.verdict, STYLES[one.verdict])
        line.append(f": {one.why}")
        if one.seeds:
            line.append(f" ({counted(one.seeds, 'seed')})")
        yield 2, line
        if words := remarks(one, results):
            yield 3, Text("; ".join(words), "dim")


def remarks(one: Judged, results: ReplicationResults) -> list[str]:
    """Return what a reader of a verdict should know besides."""
    words = [f"fragile: the other way with {choice}" for choice in one.fragile]
    if one.more_seeds:
        more, most = f"{one.more_seeds:,} more seed{'s' * (one.more_seeds > 1)} would decide", max(results.looks)
        beyond = one.seeds + one.more_seeds > most
        words.append(f"{more}, beyond the {most} that a run is given" if beyond else more)
    return words


def _indented(line: "Text", depth: int, width: int) -> "Text":
    """Return a line, wrapped to the screen, each line of it so far in."""
    from rich.console import Console
    from rich.text import Text

    wrapped = line.wrap(Console(width=width), max(20, width - STEP * depth))
    return Text("\n").join(Text(" " * STEP * depth) + part for part in wrapped)


def show_claims(ledger: ClaimLedger, claims: Sequence[Claim]) -> None:
    """Print the claims of a ledger by section: what is claimed, of which kind it is, what the report printed."""
    console = results_console()
    console.print(ledger.title)
    if ledger.source:
        console.print(ledger.source)
    for section, title in ledger.sections.items():
        own = [claim for claim in claims if claim.section == section]
        if own:
            console.print()
            console.print(f"{section}  {title}", style="bold")
            show_rows(("id", "kind", "claim"), [(claim.id, claim.kind, claim.claim) for claim in own])
    console.print(f"{counted(len(claims), 'claim')} on {counted(len(ledger.rests_on(claims)), 'run')}")


PLAN: list[Column[PlanRow]] = [
    Column("look", lambda row: row.look),
    Column("seeds", lambda row: row.seeds),
    Column("trainings", lambda row: row.trainings, ","),
    Column("seconds", lambda row: row.seconds, text=lambda row: clock(row.seconds) if row.seconds else "not timed",
           title="time"),
    Column("detectable", lambda row: row.detectable, text=lambda row: in_points(row.detectable, ".1f"),
           title="difference it shows"),
]  # fmt: skip


def show_plan(
    rows: Sequence[PlanRow], deviation: float, jobs: int, untimed: Sequence[str], beside: Sequence[str] = ()
) -> None:
    """Print what each look takes and shows, if there are any, and what is `beside` them, line by line.

    `untimed` are the runs whose time is not in it.
    """
    console = results_console()
    if rows:
        console.print(table_from(PLAN, rows))
        console.print(
            f"Trainings and time, {jobs} side by side, are those of all claims together, if none were decided before; "
            "a claim that is decided takes no more. A true difference this large is found in 4 of 5 replications, if "
            f"differences scatter over seeds with a standard deviation of {in_points(deviation)}."
        )
    if untimed:
        console.print(f"Not timed, as on features, in stages or diverging: {', '.join(untimed)}.")
    for line in beside:
        console.print(line)
