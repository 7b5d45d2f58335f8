"""`a2 presets`."""

from dataclasses import asdict
from typing import Any

from a2cli.check_data.settings import DebugOptions, PresetsSettings
from a2cli.command_line.arguments import kind_of
from a2cli.commands import COMMANDS
from a2cli.console import base as console
from a2cli.settings.kinds import TRAINING
from a2cli.settings.presets import Preset, as_yaml, load_preset, preset_names, preset_value, resolve
from a2cli.settings.training import SplitSettings, split_flags


def presets(chosen: DebugOptions, flags: dict[str, Any]) -> None:
    """List the presets, with one line each; or print a preset's settings, as a file to begin with."""
    name = resolve(PresetsSettings, "presets", (), flags).settings.name
    if name is not None:
        preset = preset_of(name)
        same = split_flags({**asdict(SplitSettings()), **preset.values})
        note = f"# not the default's split: other commands hold out the same images with {same}\n" if same else ""
        console.out(as_yaml(preset) + note)
        return
    rows = [(name, preset_of(name).about) for name in preset_names()]
    console.show_rows(("preset", "what it is"), rows)


def preset_of(name: str) -> Preset:
    """Return a preset by its name, of whichever command it is."""
    command = preset_value(name, "command", "train-cnn")
    kind = kind_of(command, [name], {}) if command in TRAINING else COMMANDS[command].settings_types()[0]
    return load_preset(name, (command,), kind)
