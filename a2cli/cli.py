"""The commands: each reads its settings, calls its experiment, and shows the result."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from a2cli import __version__, checks, options
from a2cli.console import base as console
from a2cli.console.comparison import show_comparison, show_comparison_plan
from a2cli.console.fields import show_fields
from a2cli.console.progress import Show, Transfer
from a2cli.console.training import show_training
from a2cli.errors import DataError, RefutedError, SettingsError
from a2cli.options import Resolved
from a2cli.report import to_json
from a2cli.results.comparison import ComparisonResults
from a2cli.results.fields import FieldResults
from a2cli.settings import (
    CompareMlpSettings,
    CompareSettings,
    ComparisonOptions,
    DataSettings,
    LookOptions,
    NetworkSettings,
    ReceptiveFieldSettings,
    RunOptions,
    TrainCnnSettings,
    TrainMlpSettings,
    declared,
    flat,
)

if TYPE_CHECKING:
    from a2cli.runs import Run

S = TypeVar("S")

app = typer.Typer(
    name="a2",
    help="A deep-learning lab in one command: a ConvNet assignment, experiment by experiment.",
    rich_markup_mode=None,
    no_args_is_help=True,
    add_completion=True,
)
data_app = typer.Typer(help="Data sets that are not built in.", rich_markup_mode=None, no_args_is_help=True)
app.add_typer(data_app, name="data")


def train_cnn(chosen: RunOptions, flags: dict[str, Any]) -> None:
    """Train the ConvNet: pooling, dropout, schedulers, optimizers, decay, early stopping, norms, augmentation."""
    _train(TrainCnnSettings, "train-cnn", chosen, flags)


def train_mlp(chosen: RunOptions, flags: dict[str, Any]) -> None:
    """Train a multilayer perceptron on images: hidden layers, dropout, initialisation, and training as train-cnn."""
    _train(TrainMlpSettings, "train-mlp", chosen, flags)


def _train(
    kind: type[TrainCnnSettings] | type[TrainMlpSettings], command: str, chosen: RunOptions, flags: dict[str, Any]
) -> None:
    resolved = _resolve(kind, command, chosen, flags)
    warnings = checks.check_training(resolved)
    if chosen.dry_run:
        _show_dry_run(resolved, checks.plan_training(resolved.settings), chosen.json, warnings)
        return
    with Show(chosen.quiet) as show:
        show.phase("starting")
        from a2cli.experiments.train import train_network as run_experiment
        from a2cli.runs import Run

        run = Run.create(command, chosen.out) if chosen.resume is None else Run.open(chosen.resume)
        with _resumable(run, show, command):
            report = run_experiment(resolved.settings, run, show, final=chosen.final, warnings=warnings)
    if chosen.json:
        console.show_report_json(report)
    elif chosen.quiet:
        console.out(str(run.folder))
    else:
        show_training(report, run.folder)


@app.command("presets")
def presets(
    name: Annotated[str | None, typer.Argument(help="Print this preset's settings instead.")] = None,
) -> None:
    """List the presets, with one line each, or one's settings."""
    if name is not None:
        console.out(options.as_yaml(_preset(name)))
        return
    rows = [(name, _preset(name).about) for name in options.preset_names()]
    console.show_rows(("preset", "what it is"), rows)


def _preset(name: str) -> options.Preset:
    command = options.said_by(name, "command", "train-cnn")
    return options.load_preset(name, command, {"train-mlp": TrainMlpSettings}.get(command, TrainCnnSettings))


@data_app.command("get")
def get(
    name: Annotated[str, typer.Argument(help="What to fetch: paintings.")],
    to: Annotated[
        str | None, typer.Option("--to", help="Into this folder instead of where '--data NAME' looks.")
    ] = None,
) -> None:
    """Download a data set, or go on; every file is checked."""
    from a2cli.data.download import get_paintings
    from a2cli.data.sources import data_folder

    if name != "paintings":
        raise SettingsError(f"a2 data get: expected paintings, got {name!r}")
    with Transfer(name) as transfer:
        result = get_paintings(
            Path(to) if to else data_folder() / name, report=transfer.say, progress=transfer.progress
        )
    console.note(f"{name}: {result.fetched} files fetched, {result.already} were there; all checksums are right")
    console.out(str(result.folder))


def _resolve(settings: type[S], command: str, chosen: RunOptions, flags: dict[str, Any]) -> Resolved[S]:
    """Settle the settings; with --resume they are the run's own, and a flag or preset that differs is an error."""
    if chosen.resume is None:
        return options.resolve(settings, command, chosen.preset, flags)
    if chosen.out is not None:
        raise SettingsError("--out: a resumed run stays in its folder")
    config = _config_of("--resume", chosen.resume)
    try:
        saved = options.resolve(settings, command, [str(config)], {})
    except SettingsError as error:
        raise DataError(f"--resume {chosen.resume}: damaged ({error})") from None
    if lost := [name for name, source in saved.sources.items() if source == "default"]:
        more = " and more" if len(lost) > 1 else ""
        raise DataError(f"--resume {chosen.resume}: damaged (config.yaml has lost {lost[0]}{more})")
    asked = options.resolve(settings, command, chosen.preset, flags)
    then, now = flat(saved.settings), flat(asked.settings)
    for name, source in asked.sources.items():
        if source != "default" and now[name] != then[name]:
            raise SettingsError(
                f"--resume {chosen.resume}: {name} is {options.shown(then[name])} in the run, "
                f"{options.shown(now[name])} by {source}; leave it out, or start a new run"
            )
    return saved


def _config_of(flag: str, run: str) -> Path:
    config = Path(run) / "config.yaml"
    if not options.is_file(config):
        raise DataError(f"{flag} {run}: not a run's folder (it has no config.yaml)")
    return config


def _show_dry_run(resolved: Resolved[Any], plan: list[str], as_json: bool, warnings: list[str]) -> None:
    values = flat(resolved.settings)
    if as_json:
        settings = {name: {"value": value, "from": resolved.sources[name]} for name, value in values.items()}
        console.out(to_json({"settings": settings, "plan": plan, "warnings": warnings}))
        return
    console.show_plan([(name, options.shown(value), resolved.sources[name]) for name, value in values.items()], plan)
    for warning in warnings:
        console.note(f"warning: {warning}")


@contextmanager
def _resumable(run: "Run", show: Show, command: str) -> Iterator[None]:
    """Say how to go on when a run is interrupted; leave no empty folder of a run that could not begin."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        show.close()
        if (run.folder / "config.yaml").exists():
            console.note(f"interrupted; go on with: a2 {command} --resume {shlex.quote(str(run.folder))}")
        raise
    finally:
        run.discard()


def receptive_field(chosen: LookOptions, flags: dict[str, Any]) -> None:
    """Which input pixels a unit sees: derived, proven with NaN through the network, weighed by the gradient, drawn."""
    settings, dataset, seed = _look_settings(chosen, flags)
    drawn = chosen.figures or chosen.quiet or chosen.out is not None or settings.effective.effective
    checks.check_receptive_field(settings, flags, drawn)
    from a2cli.experiments.receptive_field import receptive_field as run_experiment

    run = None
    if drawn:
        from a2cli.runs import Run

        run = Run.create("receptive-field", chosen.out)
    try:
        with Show(chosen.quiet) as show:
            report = run_experiment(settings, dataset, seed, run, show)
    finally:
        if run:
            run.discard()
    if chosen.json:
        console.show_report_json(report)
    elif chosen.quiet and run:
        console.out(str(run.folder))
    else:
        show_fields(report, run.folder if run else None)
    assert isinstance(report.results, FieldResults), "that is what it found"
    if report.results.refuted:
        raise RefutedError(report.results.verdict)


def _look_settings(chosen: LookOptions, flags: dict[str, Any]) -> tuple[ReceptiveFieldSettings, DataSettings, int]:
    """Return the settings, and the data with its split: a run's own, so that its validation images serve."""
    command = "receptive-field"
    base = TrainCnnSettings()
    if (
        chosen.preset and options.said_by(chosen.preset[-1], "command", "train-cnn") == command
    ):  # a run's own config.yaml
        settings = options.resolve(ReceptiveFieldSettings, command, chosen.preset, flags).settings
    else:
        network = {item.name: flags[item.name] for item in declared(NetworkSettings)}
        whole = [name for name in ("model", "run", "layers") if flags[name] is not None]
        also = [name for name, value in {"preset": chosen.preset or None, **network}.items() if value is not None]
        if whole and (more := [*whole[1:], *also]):
            raise SettingsError(f"--{whole[0]}: is the network itself; leave out --{more[0].replace('_', '-')}")
        base = options.resolve(TrainCnnSettings, "train-cnn", chosen.preset, network).settings
        settings = options.resolve(ReceptiveFieldSettings, command, (), flags).settings
        settings = replace(settings, network=base.network)
    stack, effective = settings.stack, settings.effective
    data, side = base.dataset.data, base.dataset.image_size
    base = TrainCnnSettings()
    if stack.run is not None:
        base = options.resolve(TrainCnnSettings, "train-cnn", [str(_config_of("--run", stack.run))], {}).settings
        data, side = base.dataset.data, base.dataset.image_size
        settings = replace(settings, network=base.network)
    if stack.model is None and stack.layers is None:
        stack = replace(stack, image_size=stack.image_size or side)
    data = effective.data or data
    settings = replace(settings, stack=stack, effective=replace(effective, data=data))
    return settings, replace(base.dataset, data=data), base.training.seed


def compare_optimizers(chosen: ComparisonOptions, flags: dict[str, Any]) -> None:
    """Optimizers, schedulers and more compared: equally tuned, over many seeds, with a verdict on each pair."""
    command = "compare-optimizers"
    presets = list(chosen.preset)
    if chosen.resume is not None:
        if chosen.out is not None or presets:
            raise SettingsError("--resume: goes on with the run's settings and folder; leave out --out, --preset")
        presets = [str(_config_of("--resume", chosen.resume))]
    resolved = _resolve_comparison(command, presets, flags)
    warnings = checks.check_compare(resolved)
    if chosen.budget is not None and not chosen.plan:
        raise SettingsError("--budget: acts only with --plan")
    if chosen.cluster is not None and chosen.backend == "loky":
        raise SettingsError("--cluster: acts only with --backend dask or ray")
    if chosen.dry_run:
        _show_dry_run(resolved, checks.plan_compare(resolved.settings), chosen.json, warnings)
        return
    with Show(chosen.quiet) as show:
        show.phase("starting")
        from a2cli.experiments.compare_optimizers import compare_optimizers as run_experiment
        from a2cli.experiments.trials import Workers
        from a2cli.runs import Run
        from a2cli.runtime import cores

        workers = Workers(chosen.jobs or cores(), chosen.backend, chosen.cluster)
        workers.check()
        if chosen.plan:
            from a2cli.experiments.comparison_plan import plan_comparison, seconds_of

            budget = seconds_of(chosen.budget) if chosen.budget else None
            if chosen.budget and budget is None:
                raise SettingsError(f"--budget: expected a time such as 20m, 90s or 1.5h, got {chosen.budget!r}")
            before = Run.open(chosen.resume).read_report() if chosen.resume else None
            found = before.results if before and isinstance(before.results, ComparisonResults) else None
            plan = plan_comparison(resolved.settings, workers.jobs, budget, found, show)
            show.close()
            if chosen.json:
                console.out(to_json(plan))
            else:
                show_comparison_plan(plan)
            return
        run = Run.create(command, chosen.out) if chosen.resume is None else Run.open(chosen.resume)
        for warning in warnings:
            show.warn(warning)
        with _resumable(run, show, command):
            report = run_experiment(resolved.settings, run, workers, show, warnings=warnings)
    if chosen.json:
        console.show_report_json(report)
    elif chosen.quiet:
        console.out(str(run.folder))
    else:
        show_comparison(report, run.folder)


def _resolve_comparison(command: str, presets: list[str], flags: dict[str, Any]) -> Resolved[Any]:
    """Settle a comparison's settings, which begin with the network that --network or a preset names."""
    says = [(options.said_by(name, "command", ""), options.said_by(name, "network", "")) for name in presets]
    is_mlp = any("mlp" in said for said in says) or any(said[0] == "train-mlp" for said in says)
    network = flags["network"] or ("mlp" if is_mlp else "cnn")
    kind, trains = (CompareMlpSettings, "train-mlp") if network == "mlp" else (CompareSettings, "train-cnn")
    known = {item.name for item in declared(kind)}
    if other := [name for name, value in flags.items() if value is not None and name not in known]:
        raise SettingsError(f"--{other[0].replace('_', '-')}: {trains} has no such setting; see --network")
    given = {name: value for name, value in flags.items() if name in known}
    return options.resolve(kind, command, presets, given, also=(trains,))


WITH_SETTINGS: dict[str, tuple[tuple[type, ...], type, Any, str]] = {
    "train-cnn": ((TrainCnnSettings,), RunOptions, train_cnn, "Train the ConvNet, on one seed or several."),
    "train-mlp": ((TrainMlpSettings,), RunOptions, train_mlp, "Train an MLP, on one seed or several."),
    "compare-optimizers": (
        (CompareSettings, CompareMlpSettings),
        ComparisonOptions,
        compare_optimizers,
        "Optimizers and schedulers at equal tuning, over seeds, with a verdict.",
    ),
    "receptive-field": ((ReceptiveFieldSettings,), LookOptions, receptive_field, "Which input pixels a unit sees."),
}
for _name, (_settings, _options, _run, _short) in WITH_SETTINGS.items():
    app.command(_name, short_help=_short, add_help_option=False)(options.with_options(_settings, _options, _run))


def _version(value: bool) -> None:
    if value:
        console.out(f"a2 {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_version, help="Show the version.")
    ] = False,
) -> None: ...
