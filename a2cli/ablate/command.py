"""`a2 ablate`."""

from typing import Any

from a2cli.ablate.checks import check_ablation, ingredients_of, plan_ablation
from a2cli.ablate.console import show_ablation
from a2cli.ablate.settings import ABLATIONS
from a2cli.command_line.arguments import kind_of, presets_of, resolve_study, saved_settings, select_flags
from a2cli.command_line.chosen_runs import chosen_backbone
from a2cli.data.listing import relocated
from a2cli.errors import SettingsError
from a2cli.settings.flag_names import hyphenated
from a2cli.settings.kinds import TRAINING
from a2cli.settings.presets import Resolved, preset_value
from a2cli.settings.run_options import TrialOptions
from a2cli.study.checks import check_trial_options
from a2cli.study.command import do_study

COMMAND = "ablate"


def ablate(chosen: TrialOptions, flags: dict[str, Any]) -> None:
    """What each ingredient of a training brings: taken away alone, and on average over orders, with a verdict."""
    resolved = _resolve(chosen, flags)
    with relocated(resolved.moved):
        _ablate(chosen, resolved)


def _ablate(chosen: TrialOptions, resolved: Resolved[Any]) -> None:
    resolved, backbone = chosen_backbone(resolved, COMMAND, chosen.resume)
    ingredients = ingredients_of(resolved.settings)
    warnings = check_ablation(resolved, ingredients)
    check_trial_options(chosen)
    plan = plan_ablation(resolved.settings, ingredients, chosen.jobs)
    do_study(COMMAND, chosen, resolved, warnings, plan, "ablate.run:Ablation", show_ablation, backbone)


def _resolve(chosen: TrialOptions, flags: dict[str, Any]) -> Resolved[Any]:
    """Settle an ablation's settings, which begin with the training that --trains or a preset names."""
    presets = presets_of(chosen, COMMAND)
    named = [preset_value(name, "trains", "") or preset_value(name, "command", "train-cnn") for name in presets]
    trains = hyphenated(flags["trains"] or "") or (named[-1] if named else "train-cnn")
    if trains not in TRAINING:
        raise SettingsError(f"--trains: expected one of {', '.join(TRAINING)}, got {trains!r}")
    kind = ABLATIONS[kind_of(trains, presets, flags)]
    given = select_flags(kind, flags, f"{trains} has no such setting; see --trains")
    before: tuple[str, ...] = ()
    if chosen.resume is not None and trains == named[-1]:
        before = saved_settings("--resume", chosen.resume, kind, COMMAND).settings.ablation.without
    if before and given["without"]:
        given["without"] = [*before, *(words for words in given["without"] if words not in before)]
    return resolve_study(kind, COMMAND, presets, given, trains, resumed=chosen.resume is not None)
