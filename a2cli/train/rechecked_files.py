"""The files of a finished training held to its report: metrics.csv, the checkpoint, the network's card and weights."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from a2cli.errors import DataError
from a2cli.reports.report import Report
from a2cli.reports.training_results import EpochLog, TrainingResult
from a2cli.settings.kinds import AnyTraining
from a2cli.storage import DIGEST_KEY, check_regular, hashed, read_json
from a2cli.strict_json import plain
from a2cli.train.unlike import Difference, unlike
from a2cli.versions import VERSION_KEY

ROWS_GONE = "{} is gone; report.json has the same epochs, under history"


def rows_gone(folders: Iterable[str | Path]) -> list[str]:
    """Return what to warn of where networks that are trained have lost their metrics.csv, which every run writes."""
    files = [Path(folder) / "metrics.csv" for folder in folders]
    return [ROWS_GONE.format(file) for file in files if (file.parent / "model").is_dir() and not file.exists()]


def in_rows(file: Path, history: Sequence[EpochLog]) -> Iterator[Difference]:
    """Yield where metrics.csv and the history differ; that there is none is warned of by `rows_gone`."""
    try:
        check_regular(file)
        with file.open(newline="", encoding="utf-8") as rows:
            found = list(csv.DictReader(rows))
    except FileNotFoundError:
        return
    except (UnicodeDecodeError, csv.Error):
        found = []
    if len(found) != len(history):
        yield Difference(file, "number of epochs", len(found), len(history), "report.json's history")
    for row, log in zip(found, history, strict=False):
        for name, value in asdict(log).items():
            if name in row and not _same_text(row[name], value):
                yield Difference(file, f"epoch {log.epoch}, {name}", row[name], value, "report.json's history")


def _same_text(text: str | None, value: float | None) -> bool:
    if value is None:
        return text in ("", "nan", "inf", "-inf", None)
    try:
        return text is not None and float(text) == value
    except ValueError:
        return False


def in_checkpoint(folder: Path, history: Sequence[EpochLog], identity: str) -> Iterator[Difference]:
    """Yield where the newest checkpoint, the history and the settings differ; a damaged one is noticed when used."""
    for path in sorted(folder.glob("checkpoints/epoch-*.json"))[-1:]:
        try:
            state = read_json(path)
            logs, of = [EpochLog(**row) for row in state["history"]], state["run"]
        except (DataError, OSError, KeyError, TypeError):
            return
        if identity and of != identity:
            yield Difference(folder / "report.json", "config and data.fingerprint", "others", "those of the run",
                             str(path))  # fmt: skip
        for field, one, other in unlike(list(history), logs, "history"):
            yield Difference(folder / "report.json", field, one, other, str(path))


def in_weights(folder: Path, result: TrainingResult) -> Iterator[Difference]:
    """Yield where the weights are others than those whose SHA-256 the card and the report have."""
    card, weights = folder / "model" / "model.json", folder / "model" / "model.safetensors"
    try:
        stated, found = read_json(card).get(DIGEST_KEY), hashed(weights).hexdigest()
    except FileNotFoundError:
        return  # whoever loads them says so
    if stated != found:
        yield Difference(card, DIGEST_KEY, stated, found, weights.name)
    if result.weights_sha256 and result.weights_sha256 != found:
        yield Difference(folder / "report.json", "results.runs[0].weights_sha256", result.weights_sha256, found,
                         f"model/{weights.name}")  # fmt: skip


def in_card(folder: Path, report: Report) -> Iterator[Difference]:
    """Yield where the network's card has other classes or, of a network on images, takes them otherwise."""
    file = folder / "model" / "model.json"
    try:
        card = read_json(file)
    except (DataError, FileNotFoundError):
        return  # whoever loads the network says so
    derived: dict[str, object] = {"class_names": list(report.data.classes)} if report.data else {}
    if card.get("trunk") is None:
        derived |= {name: report.config[name] for name in ("image_size", "fit") if name in report.config}
    for name, value in derived.items():
        for field, one, other in unlike(plain({name: card.get(name)}), plain({name: value}), ""):
            yield Difference(file, field.removeprefix("."), one, other, "report.json")


def in_kept_weights(folder: Path, settings: AnyTraining) -> Iterator[Difference]:
    """Yield where the weights are others than the newest checkpoint has; of a network on a backbone, its head's."""
    weights = folder / "model" / "model.safetensors"
    for path in sorted(folder.glob("checkpoints/epoch-*.safetensors"))[-1:]:
        try:
            with safe_open(path, "pt") as checkpoint, safe_open(weights, "pt") as kept:
                saved = set(checkpoint.keys())
                judged = "average" if any(name.startswith("average/") for name in saved) else "model"
                part = "best" if settings.training.restore_best else judged
                names = [name for name in kept.keys() if f"{part}/{name}" in saved]  # noqa: SIM118
                for name in names:
                    if not torch.equal(kept.get_tensor(name), checkpoint.get_tensor(f"{part}/{name}")):
                        yield Difference(weights, name, "others", "as saved", str(path))
                        return
        except (SafetensorError, OSError):
            return  # whoever loads them says so


def downgraded(folder: Path) -> Iterator[Difference]:
    """Yield that a report says it is of the version without a SHA-256, where its network's card is of a later one."""
    file, card = folder / "report.json", folder / "model" / "model.json"
    try:
        version = read_json(card).get(VERSION_KEY, 1)
    except (DataError, FileNotFoundError):
        return
    if version != 1 and not has_digest(file):
        yield Difference(file, VERSION_KEY, "1, without a SHA-256", "2 or later, with one", str(card))


def has_digest(file: Path) -> bool:
    return DIGEST_KEY in read_json(file)
