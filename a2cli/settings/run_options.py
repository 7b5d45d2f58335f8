"""What does not decide the results of a training, or of many: where they run, and what is printed."""

from dataclasses import dataclass

from a2cli.settings.declare import CountOrOff, setting


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (), "Settings from a preset's name or a YAML file; repeatable, later ones win.", short="-p", repeatable=True
    )
    out: str | None = setting(None, "Run directory; default a new one in runs/.")
    resume: str | None = setting(
        None, "Resume an interrupted run, given its directory; a finished one is measured again and checked for edits."
    )
    jobs: CountOrOff = setting(
        0, "Runs of --seeds or --folds in parallel, which changes no result; 0 takes as many as keep every core busy."
    )
    final: bool = setting(False, "Evaluate the finished network once on the test set.")
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; train nothing.")
    html: bool = setting(False, "Besides, write report.html into the run directory, as a2 report does.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print only the run directory.")
    debug: bool = setting(False, "Show the traceback of an error.")


@dataclass(frozen=True, kw_only=True)
class TrialOptions:
    """Run"""

    preset: tuple[str, ...] = setting(
        (),
        "A training's preset, by name or YAML file, or the config.yaml of a run of this command; repeatable.",
        short="-p",
        repeatable=True,
    )
    jobs: CountOrOff = setting(0, "Trials in parallel, one thread each; 0 takes every core.")
    backend: str = setting(
        "loky", "Where they run, as joblib names it: loky (processes here), dask, ray.", any_case=True
    )
    cluster: str | None = setting(None, "Address of the dask scheduler or the ray cluster.")
    out: str | None = setting(None, "Run directory; default a new one in runs/.")
    resume: str | None = setting(
        None,
        "Resume a run, given its directory; with other flags, only the trials that it lacks are run. A finished one is "
        "checked for edits.",
    )
    dry_run: bool = setting(False, "Show every setting and where it came from, and what would happen; train nothing.")
    html: bool = setting(False, "Besides, write report.html into the run directory, as a2 report does.")
    json: bool = setting(False, "Print the report as one JSON document.")
    quiet: bool = setting(False, "Print only the run directory.")
    best: bool = setting(
        False,
        "Print only the folder of the best run inside, for the next command's --run: what has the highest mean "
        "validation accuracy over seeds, with the seed that has the highest. With --resume of a finished run, at once.",
    )
    debug: bool = setting(False, "Show the traceback of an error.")
