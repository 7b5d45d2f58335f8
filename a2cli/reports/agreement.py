"""A training's other files held to its report, as whoever edits a file can give it its new SHA-256."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from a2cli.errors import DataError, SettingsError
from a2cli.reports.report import Report
from a2cli.settings.declare import completed, declared, flat, shown
from a2cli.settings.kinds import TRAINING
from a2cli.settings.presets import is_file, preset_value, resolve
from a2cli.strict_json import plain


def check_config(folder: Path, report: Report, name: str = "") -> None:
    """Raise DataError where the config.yaml of a training has other settings than its report; `name` is what has it.

    A study's may have: it is written anew as soon as more is asked of the study, its report when that is done.
    """
    name = name or str(folder)
    file = folder / "config.yaml"
    if not is_file(file):
        return
    try:
        command = preset_value(str(file), "command", report.command)
        if command not in TRAINING:
            return
        kinds = TRAINING[command]
        kind = next((one for one in kinds if report.config.keys() <= {item.name for item in declared(one)}), kinds[0])
        own = resolve(kind, command, [str(file)], {})
    except SettingsError as error:
        raise DataError(f"{name}: damaged, or made by a newer a2 ({error})") from None
    if lost := [item.name for item in declared(kind) if own.sources[item.name] == "default" and not item.added]:
        raise DataError(f"{name}: damaged (config.yaml has lost {lost[0]}{' and more' if len(lost) > 1 else ''})")
    stated = {"command": report.command, **plain(completed(kind, report.config))}
    for setting, value in {"command": command, **plain(flat(own.settings))}.items():
        if value != stated.get(setting):
            raise DataError(
                f"{name}: {setting} is {shown(value)} in config.yaml, but {shown(stated.get(setting))} in report.json; "
                "one of them was edited or damaged"
            )


def card_by_report(card: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Return what a network's card, as stored, has to say by its run's report: its classes and its settings.

    Of a network on images also how it takes these; one on a backbone takes them as that does.
    """
    derived: dict[str, Any] = {"class_names": list(report.data.classes)} if report.data else {}
    if card.get("trunk") is None:
        derived |= {name: report.config[name] for name in ("image_size", "fit") if name in report.config}
    network = card.get("network")
    if isinstance(network, dict):
        by_trunk = {"head_grid"} if card.get("trunk") else set()  # which may do this step of the head's
        config = {name: value for name, value in report.config.items() if name not in by_trunk}
        derived["network"] = {**network, **{name: config[name] for name in network if name in config}}
    return derived
