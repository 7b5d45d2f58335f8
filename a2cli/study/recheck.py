"""A comparison's report held to what its trials say."""

from dataclasses import asdict
from typing import Any

from a2cli.reports.ablation_results import AblationResults
from a2cli.reports.study_results import ComparisonResults
from a2cli.runs.directory import Run
from a2cli.settings.declare import flat
from a2cli.strict_json import plain
from a2cli.train.differences import Difference, as_stored, compare, refuse

WORDS = {"folder", "config", "reason"}  # which other versions put otherwise


def check_results(run: Run, settings: Any, results: ComparisonResults | AblationResults) -> None:
    """Raise DataError where a comparison or ablation is finished and its report says otherwise than its trials do.

    `results` are what the trials say, none of which was run since. Of other settings the report is not held to them.
    """
    report = run.read_report()
    if report is None or report.status != "done" or not isinstance(report.results, type(results)):
        return
    config, file = plain(flat(settings)), run.folder / "report.json"
    if any(config.get(name) != value for name, value in report.config.items()):
        return
    row = "results", _by_seed(as_stored(file)["results"]), plain(asdict(results)), f"the reports in {run.folder}/trials"
    refuse([difference for difference in compare(file, [row]) if not _is_wording(difference)])


def _is_wording(difference: Difference) -> bool:
    """Return whether values may differ in their words between versions; a pair's verdict is the same word in all."""
    name = difference.field.rpartition(".")[2]
    if name == "verdict":
        return " " in str(difference.stated) and " " in str(difference.derived)
    return name in WORDS


def _by_seed(values: Any) -> Any:
    """Return values of a report with all runs in the order of their seeds; earlier versions had them as they ended."""
    if isinstance(values, dict):
        return {key: _by_seed(value) for key, value in values.items()}
    if not isinstance(values, list):
        return values
    has_seeds = all(isinstance(value, dict) and isinstance(value.get("seed"), int) for value in values)
    return [_by_seed(value) for value in (sorted(values, key=lambda run: run["seed"]) if has_seeds else values)]
