"""temporary"""


def show_replication(report, folder):
    from a2cli.console.base import results_console

    c = results_console()
    for claim in report.results.claims:
        c.print(f"{claim.section} {claim.id}: {claim.claim}")
        for one in claim.judged:
            c.print(f"    {one.world}: {one.verdict}  {one.why}  ({one.seeds} seeds) {one.fragile or ''}")
    c.print(report.results.verdict)
    c.print(str(folder))


def show_claims(ledger, claims):
    pass


def show_plan(rows):
    print(rows)
