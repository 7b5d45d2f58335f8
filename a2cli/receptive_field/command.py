"""`a2 receptive-field`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from a2cli.command_line.arguments import run_for, saved_config, saved_settings, show_report
from a2cli.command_line.chosen_runs import chosen_run
from a2cli.console.progress import ConsoleReporter
from a2cli.errors import RefutedError, SettingsError
from a2cli.receptive_field.checks import check_receptive_field
from a2cli.receptive_field.settings import LookOptions, ReceptiveFieldSettings
from a2cli.settings.declare import declared, flat
from a2cli.settings.presets import preset_value, resolve
from a2cli.settings.training import NetworkSettings, TrainCnnSettings

if TYPE_CHECKING:
    from a2cli.reports.best_results import ChosenRun

COMMAND = "receptive-field"


def receptive_field(chosen: LookOptions, flags: dict[str, Any]) -> None:
    """Which input pixels a unit sees: derived, proven with NaN through the network, weighed by the gradient, drawn."""
    settings, sample, used, sources = _settings(chosen, flags)
    drawn = chosen.figures or chosen.html or chosen.quiet or chosen.out is not None or settings.effective.effective
    check_receptive_field(settings, flags, drawn)
    from a2cli.receptive_field.console import show_fields
    from a2cli.receptive_field.results import FieldResults
    from a2cli.receptive_field.run import receptive_field as run_experiment

    run = run_for(COMMAND, chosen.out, None, sources) if drawn else None
    if run:
        run.chosen = used
    try:
        with ConsoleReporter(chosen.quiet) as show:
            report = run_experiment(settings, sample, run, show)
    finally:
        if run:
            run.discard()
    report = replace(report, chosen=used)
    show_report(report, run.folder if run else None, chosen, show_fields)
    assert isinstance(report.results, FieldResults), "that is what it found"
    if report.results.refuted:
        raise RefutedError(report.results.verdict)


def _settings(
    chosen: LookOptions, flags: dict[str, Any]
) -> "tuple[ReceptiveFieldSettings, TrainCnnSettings, list[ChosenRun], dict[str, str]]":
    """Return the settings, the training whose images serve: a run's own, so that those held out do; and which run.

    Last, where each setting came from.
    """
    trained = TrainCnnSettings()  # the network, its images and their split
    if chosen.preset and preset_value(chosen.preset[-1], "command", "train-cnn") == COMMAND:  # our own config.yaml
        resolved = resolve(ReceptiveFieldSettings, COMMAND, chosen.preset, flags)
        settings, sources = resolved.settings, dict(resolved.sources)
    else:
        network = {item.name: flags[item.name] for item in declared(NetworkSettings)}
        whole = [name for name in ("model", "run", "layers") if flags[name] is not None]
        also = [name for name, value in {"preset": chosen.preset or None, **network}.items() if value is not None]
        if whole and (more := [*whole[1:], *also]):
            raise SettingsError(f"--{whole[0]}: is the network itself; leave out --{more[0].replace('_', '-')}")
        of_network = resolve(TrainCnnSettings, "train-cnn", chosen.preset, network)
        resolved = resolve(ReceptiveFieldSettings, COMMAND, (), flags)
        trained = of_network.settings
        settings = replace(resolved.settings, network=trained.network)
        sources = {**resolved.sources, **{name: of_network.sources[name] for name in network}}
    stack = settings.stack
    used = []
    if stack.run is not None:
        used = [chosen_run("--run", stack.run)]
        stack = replace(stack, run=used[0].folder)
        trained = _trained(used[0].folder)
        settings = replace(settings, network=trained.network)
        sources |= dict.fromkeys(flat(settings.network), "--run")
    if stack.model is None and stack.layers is None:
        stack = replace(stack, image_size=stack.image_size or trained.dataset.image_size)
    data = settings.effective.data or trained.dataset.data
    settings = replace(settings, stack=stack, effective=replace(settings.effective, data=data))
    # The config.yaml of this command has no split, so the split is taken from the run, never from a preset.
    split = trained if stack.run is not None else TrainCnnSettings()
    sample = replace(split, dataset=replace(split.dataset, data=data))
    return settings, sample, [run for run in used if run.reason], sources


def _trained(run: str) -> TrainCnnSettings:
    with saved_config("--run", run) as config:
        command = preset_value(config, "command", "train-cnn")
    if command != "train-cnn":
        raise SettingsError(
            f"--run {run}: is of 'a2 {command}'; fields are those of a train-cnn run's convolutions, or by --model of "
            "a network of torchvision's"
        )
    return saved_settings("--run", run, TrainCnnSettings, command).settings
