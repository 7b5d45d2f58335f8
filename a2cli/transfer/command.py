"""`a2 extract-features`, `a2 finetune`."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from a2cli import storage
from a2cli.command_line.arguments import show_dry_run
from a2cli.command_line.chosen_runs import chosen_backbone
from a2cli.commands import make_page
from a2cli.console import base as console
from a2cli.console.progress import ConsoleReporter
from a2cli.settings.presets import resolve
from a2cli.settings.transfer import ExtractFeaturesSettings, FileOptions
from a2cli.transfer.checks import check_extraction, plan_extraction


def extract_features(chosen: FileOptions, flags: dict[str, Any]) -> None:
    """A pretrained network's activations as data: some layers, for all images of a set, in one file."""
    resolved = resolve(ExtractFeaturesSettings, "extract-features", chosen.preset, flags)
    check_extraction(resolved)
    resolved, backbone = chosen_backbone(resolved, "extract-features")
    if chosen.dry_run:
        show_dry_run(resolved, plan_extraction(resolved.settings, chosen.out), chosen.json, [])
        return
    page = Path(chosen.out).with_suffix(".html")
    if chosen.html:
        storage.check_absent("--html", str(page), overwrite=chosen.overwrite)
    with ConsoleReporter(chosen.quiet) as show:
        show.phase("loading PyTorch", "starting")
        from a2cli.transfer.console import show_features
        from a2cli.transfer.extract_features import extract_features as run_experiment

        report = run_experiment(resolved.settings, chosen.out, show, overwrite=chosen.overwrite)
    report = replace(report, chosen=backbone)
    if chosen.html:
        storage.write(page, make_page("page_of_report", report, Path(chosen.out)).encode())
    if chosen.json:
        console.show_report_json(report)
    elif chosen.quiet:
        console.out(chosen.out)
    else:
        show_features(report, Path(chosen.out))
        if chosen.html:
            console.results_console().print(f"Page: {page}", soft_wrap=True)
