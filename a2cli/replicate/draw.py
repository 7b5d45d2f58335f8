"""The figures and tables of a replication, as files in its run directory."""

from functools import partial
from operator import itemgetter

from a2cli.columns import Column, fields_of, named, of, placed
from a2cli.replicate.figures import Row, forest, pages_of
from a2cli.replicate.results import ClaimResult, Judged, MeasuredRun, ReplicationResults
from a2cli.runs.directory import Run, to_csv

CLAIMS: list[Column[tuple[ClaimResult, Judged]]] = [
    *of(itemgetter(0), named(section="section", id="id", claim="claim", kind="kind")),
    *of(itemgetter(1), named(world="world", verdict="verdict", why="why", seeds="seeds")),
    Column("printed", lambda row: row[0].printed),
    Column("fragile", lambda row: "; ".join(row[1].fragile)),
    Column("more_seeds", lambda row: row[1].more_seeds),
]
RUNS = fields_of(MeasuredRun)
DRAWN = placed("claim", "what", "world", "verdict", "seeds", "difference", "low", "high", "margin")


def draw(run: Run, results: ReplicationResults) -> None:
    """Write claims.csv and runs.csv, and for each section the figure of its comparisons with its CSV."""
    run.write("claims.csv", to_csv(CLAIMS, [(claim, one) for claim in results.claims for one in claim.judged]))
    run.write("runs.csv", to_csv(RUNS, results.runs))
    for section, title in results.sections.items():
        pages = pages_of(results, section)
        for number, rows in enumerate(pages, 1):
            name = f"claims-{section}" + (f"-{number}" if len(pages) > 1 else "")
            cells = [cell for row in rows for cell in _cells(row)]
            run.save_figure(name, partial(forest, results, f"{section}  {title}", rows), DRAWN, cells)


def _cells(row: Row) -> list[tuple[object, ...]]:
    claim = row.claim
    return [
        (claim.id, row.what, world, one.verdict, one.seeds, one.mean - claim.value, one.low - claim.value,
         one.high - claim.value, claim.margin)
        for world, one in row.by_world.items()
    ]  # fmt: skip
