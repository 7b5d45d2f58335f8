"""`a2 replicate`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from a2cli.command_line.arguments import resumable, run_for, saved_settings, show_dry_run, show_report
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.errors import DataError, SettingsError
from a2cli.machine import cores
from a2cli.replicate.checks import (
    COMMAND,
    DEVIATION,
    beside_looks,
    check_replication,
    chosen_claims,
    different_trainings,
    not_attempted,
    plan_replication,
)
from a2cli.replicate.claims import LEDGER_FILE, Claim, ClaimLedger, ledger_names, read_ledger
from a2cli.replicate.console import show_claims, show_plan, show_replication
from a2cli.replicate.evidence import Evidence, Inputs
from a2cli.replicate.results import PlanRow
from a2cli.replicate.settings import ClaimSettings, ReplicateOptions, ReplicateSettings
from a2cli.reports.report import read_report
from a2cli.settings.presets import Resolved, resolve
from a2cli.storage import yaml_was_edited
from a2cli.strict_json import to_json
from a2cli.study.command import start


def replicate(chosen: ReplicateOptions, flags: dict[str, Any]) -> None:
    """A report's claims redone over seeds, and judged one by one."""
    resolved = _resolve(chosen, flags)
    settings = resolved.settings.claims
    if settings.ledger is None:
        options = {"--list": chosen.list_, "--plan": chosen.plan, "--dry-run": chosen.dry_run, "--out": chosen.out}
        given = [source for source in resolved.sources.values() if source != "default"]
        if given := given + [flag for flag, value in options.items() if value]:
            raise SettingsError(
                f"{given[0]}: acts only on a ledger; name one of {', '.join(ledger_names())}, or a file"
            )
        titles = {name: read_ledger(name).title for name in ledger_names()}
        if chosen.json:
            console.out(to_json(titles))
        else:
            console.show_rows(("ledger", "what it is"), list(titles.items()))
        return
    ledger = read_ledger(_ledger_file(chosen, settings.ledger))
    check_replication(settings, ledger, chosen)
    claims = chosen_claims(ledger, settings.only)
    if chosen.list_:
        if chosen.json:
            console.out(to_json([asdict(claim) for claim in claims]))
        else:
            show_claims(ledger, claims)
        return
    evidence = Evidence(ledger, Inputs.of(ledger, settings))
    if chosen.plan:
        _plan(chosen, settings, evidence, claims)
        return
    plan = plan_replication(evidence, claims, settings, chosen.jobs)
    if chosen.dry_run:
        show_dry_run(resolved, plan, chosen.json, [])
        return
    if chosen.write is not None:
        _write(chosen, ledger, Path(chosen.write))
        return
    _run(chosen, resolved, ledger)


def _plan(chosen: ReplicateOptions, settings: ClaimSettings, evidence: Evidence, claims: Sequence[Claim]) -> None:
    jobs, rows, untimed = chosen.jobs or cores(), list[PlanRow](), list[str]()
    if different_trainings(evidence, claims):
        with ConsoleReporter(chosen.quiet) as reporter:
            reporter.phase("loading PyTorch", "starting")
            from a2cli.replicate.plan import time_replication

            rows, untimed = time_replication(evidence, claims, settings.device, settings.seed, jobs, reporter)
    if chosen.json:
        looks, missing = [asdict(row) for row in rows], not_attempted(evidence, claims)
        console.out(to_json({"looks": looks, "not_timed": untimed, "not_attempted": missing}))
    else:
        show_plan(rows, DEVIATION, jobs, untimed, beside_looks(evidence, claims))


def _run(chosen: ReplicateOptions, resolved: Resolved[ReplicateSettings], ledger: ClaimLedger) -> None:
    with ConsoleReporter(chosen.quiet) as reporter:
        workers = start(chosen.jobs, chosen.backend, chosen.cluster, reporter)
        from a2cli.replicate.run import replicate as run_experiment

        run = run_for(COMMAND, chosen.out, chosen.resume, resolved.sources)
        with resumable(run, reporter, COMMAND):
            report = run_experiment(resolved.settings, ledger, run, workers, reporter)
    show_report(report, run.folder, chosen, show_replication)


def _write(chosen: ReplicateOptions, ledger: ClaimLedger, folder: Path) -> None:
    """Write the pages of the docs from a finished run."""
    from a2cli.replicate.pages import write_pages

    assert chosen.resume is not None, "checked before"
    report = read_report(Path(chosen.resume))
    if report is None or report.status != "done":
        raise DataError(f"--resume {chosen.resume}: not finished; run it to its end first")
    for path in write_pages(report, ledger, folder):
        console.out(str(path))


def _resolve(chosen: ReplicateOptions, flags: dict[str, Any]) -> Resolved[ReplicateSettings]:
    """Settle the settings; with --resume they begin with the run's own."""
    if chosen.resume is None:
        return resolve(ReplicateSettings, COMMAND, (), flags)
    if chosen.out is not None:
        raise SettingsError("--out: a resumed run stays in its folder")
    saved = saved_settings("--resume", chosen.resume, ReplicateSettings, COMMAND)
    config = str(Path(chosen.resume) / "config.yaml")
    asked = resolve(ReplicateSettings, COMMAND, [config], flags)
    for name in ("ledger", "data", "faces", "weights", "seed"):
        then, now = getattr(saved.settings.claims, name), getattr(asked.settings.claims, name)
        if then != now:
            raise SettingsError(f"--resume {chosen.resume}: {name} is {then} in the run, not {now}; start a new run")
    return asked


def _ledger_file(chosen: ReplicateOptions, name: str) -> str:
    """Return the ledger to read: a resumed run has its own copy, as the file it began with may have changed."""
    copy = Path(chosen.resume or "") / LEDGER_FILE
    if not chosen.resume or not copy.is_file():
        return name
    if yaml_was_edited(copy.read_bytes()):
        raise DataError(f"--resume {chosen.resume}: {LEDGER_FILE} was damaged or edited; put it back as it was")
    return str(copy)
