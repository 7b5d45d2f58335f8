"""The runs that --run and --best mean: the best of several, or all, and saying which."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from a2cli.command_line.arguments import config_of, html_page, saying_where, show_report, training_of
from a2cli.console import base as console
from a2cli.errors import MissingDataError, SettingsError
from a2cli.reports.report import Report, read_report
from a2cli.settings.declare import completed, flat
from a2cli.settings.kinds import AnyTraining
from a2cli.settings.presets import Resolved
from a2cli.settings.run_options import TrialOptions
from a2cli.strict_json import plain

if TYPE_CHECKING:
    from a2cli.reports.best_results import ChosenRun

S = TypeVar("S")


def chosen_run(flag: str, run: str, *, several: bool = False) -> "ChosenRun":
    """Return the run that is meant by a folder, and say which where it is one inside it; raises DataError."""
    from a2cli.reports import best

    config_of(flag, run)
    chosen = best.choose(flag, run, several=several)
    _tell(flag, [chosen])
    return chosen


def _tell(flag: str, choices: "Sequence[ChosenRun]") -> None:
    for choice in choices:
        if choice.reason:
            console.note(f"{flag} {choice.named}: its best run is used, {choice.folder}: {choice.reason}")


def chosen_trainings(runs: Sequence[str], *, several: bool) -> "tuple[dict[str, AnyTraining], list[ChosenRun]]":
    """Return the settings of the trainings that are meant by folders, by theirs, and which were chosen.

    Raises DataError and SettingsError, also where two mean the same.
    """
    from a2cli.reports import best

    meant: dict[str, str] = {}
    for run in runs:
        config_of("--run", run)
    chosen = [best.choose("--run", run, several=several) for run in runs]
    for choice in chosen:
        if (named := meant.setdefault(choice.folder, choice.named)) != choice.named:
            raise SettingsError(f"--run: {named} and {choice.named} are the same run, {choice.folder}; leave out one")
    trainings = {folder: training_of("--run", folder) for folder in meant}
    _tell("--run", chosen)
    return trainings, [choice for choice in chosen if choice.reason]


def chosen_backbone(
    resolved: Resolved[S], command: str, resume: str | None = None
) -> "tuple[Resolved[S], list[ChosenRun]]":
    """Return settings with the run that their backbone is meant to be, and which was chosen, now or before a resume.

    Raises DataError.
    """
    settings: Any = resolved.settings
    backbone = getattr(settings, "backbone", None)
    if backbone is None or backbone.run is None:
        return resolved, []
    earlier = read_report(Path(resume)) if resume else None
    if backbone.run in resolved.moved:
        chosen_run("--run", resolved.moved[backbone.run])
        return resolved, list(earlier.chosen) if earlier else []
    try:
        chosen = chosen_run("--run", backbone.run)
    except MissingDataError as error:
        raise (saying_where(error, command) if resume else error) from None
    settings = replace(settings, backbone=replace(backbone, run=chosen.folder))
    before = [choice for choice in earlier.chosen if choice.folder == chosen.folder] if earlier else []
    return replace(resolved, settings=settings), [chosen] if chosen.reason else before


def is_finished(resolved: Resolved[Any], resume: str | None) -> bool:
    """Return whether a comparison or ablation to go on with has all that these settings ask for, its best run too."""
    from a2cli.reports import best

    report = read_report(Path(resume)) if resume else None
    if resume is None or report is None or report.status != "done":
        return False
    then, now = completed(type(resolved.settings), report.config), flat(resolved.settings)
    best_run = best.best_run(report.results)
    return plain(then) == plain(now) and best_run is not None and (Path(resume) / best_run.folder / "model").is_dir()


def show_best(folder: str) -> None:
    """Print the best run's directory alone, and by what it is that for people; raises DataError where there is none."""
    from a2cli.reports import best

    chosen = best.choose("--best", folder)
    console.note(f"--best: {chosen.reason}")
    console.out(chosen.folder)


def show_trials(report: Report, folder: Path, chosen: TrialOptions, show: Callable[[Report, Path], None]) -> None:
    """Print what trials say, as the options want it; raises DataError where they want the best run and none is."""
    if chosen.best:
        if chosen.html:
            html_page(folder)
        show_best(str(folder))
    else:
        show_report(report, folder, chosen, show)
