"""Settings of a probe that cannot be used, and what it would try."""

from a2cli.errors import SettingsError
from a2cli.geometry import NO_TRAINING
from a2cli.probe_invariance.settings import ProbeInvarianceSettings, probes, repeated
from a2cli.settings.conflicts import threads_in_words
from a2cli.settings.presets import Resolved


def check_probe(resolved: Resolved[ProbeInvarianceSettings]) -> None:
    """Raise SettingsError for settings of `a2 probe-invariance` that cannot be used, or could not act."""
    probe = resolved.settings.probe
    if not probe.run:
        raise SettingsError("--run: expected the folder of a training run, got none")
    for flag, named in (("--run", probe.run), ("--changes", probe.changes)):
        if twice := repeated(named):
            raise SettingsError(f"{flag}: {twice} is named twice")
    tried = probes(probe)
    if not tried:
        raise SettingsError("--changes: expected changes to try, or some by --random, got none")
    if resolved.by_flag("draws") and not probe.random:
        raise SettingsError("--draws: acts only with --random")
    if resolved.by_flag("border") and not any(each.name.startswith("translate") for each in tried):
        raise SettingsError("--border: acts only with translations among the changes")


def plan_probe(settings: ProbeInvarianceSettings) -> list[str]:
    """Return what a probe would try, line by line."""
    probe = settings.probe
    lines = [f"Runs: {', '.join(probe.run)}, on {probe.data or 'their own validation images'}"]
    for each in probes(probe):
        strengths = f" at {', '.join(f'{value:g}' for value in each.strengths)}" if not each.change.is_switch else ""
        drawn = f", drawn {probe.draws} times for each image" if each.drawn else ""
        lines.append(f"Change: {each.title}{drawn or strengths} ({each.change.unit})")
    return [*lines, threads_in_words(probe.threads, NO_TRAINING)]
