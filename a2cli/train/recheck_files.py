"""The files of a finished training held to its report: metrics.csv, the checkpoint, the network's card and weights."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from a2cli.errors import DataError
from a2cli.models.files import OWN_DIGEST
from a2cli.reports.agreement import card_by_report
from a2cli.reports.report import Report
from a2cli.reports.training_results import EpochLog, TrainingResult
from a2cli.settings.kinds import AnyTraining
from a2cli.storage import DIGEST_KEY, check_regular, hashed, read_json
from a2cli.strict_json import plain
from a2cli.train.differences import OTHER, Difference, Row, compare
from a2cli.versions import VERSION_KEY

CHECKPOINTS_GONE = "{} is gone; the history, the settings and the kept weights cannot be held to it"
METRICS_GONE = "{} is gone; report.json has the same epochs, under history"


def metrics_gone(folders: Iterable[str | Path]) -> list[str]:
    """Return what to warn of where networks that are trained have lost their metrics.csv, which every run writes."""
    files = [Path(folder) / "metrics.csv" for folder in folders]
    return [METRICS_GONE.format(file) for file in files if (file.parent / "model").is_dir() and not file.exists()]


def checkpoints_gone(folders: Iterable[Path]) -> list[str]:
    """Return what to warn of where trained networks have lost their checkpoints, as checks fall away with them.

    A fine-tuning has them in its stages.
    """
    trained = [folder for folder in folders if (folder / "model").is_dir() and not (folder / "stages").is_dir()]
    paths = [folder / "checkpoints" for folder in trained]
    return [CHECKPOINTS_GONE.format(path) for path in paths if not list(path.glob("epoch-*.json"))]


def in_files(
    folder: Path,
    report: Report,
    result: TrainingResult,
    history: Sequence[EpochLog],
    settings: AnyTraining,
    identity: str,
) -> Iterator[Difference]:
    """Yield where a run's report and its other files differ; whoever uses one that is gone or damaged says so."""
    file, card, weights = (folder / name for name in ("report.json", "model/model.json", "model/model.safetensors"))
    metrics = folder / "metrics.csv"
    yield from compare(metrics, _in_metrics(metrics, history))
    yield from compare(file, _in_checkpoint(folder, history, identity))
    yield from compare(card, _in_card(card_of(folder), report))
    try:
        about = read_json(card)
        stated, digest, own = about.get(DIGEST_KEY), hashed(weights).hexdigest(), about.get(OWN_DIGEST)
    except FileNotFoundError:
        pass
    else:
        yield from compare(card, [(DIGEST_KEY, stated, digest, weights.name)])
        of_report = result.weights_sha256 or digest  # earlier versions stored none
        by = f"model/{weights.name}"
        yield from compare(file, [("results.runs[0].weights_sha256", of_report, digest, by)])
        yield from compare(
            file, [("results.runs[0].card_sha256", result.card_sha256 or own, own, f"model/{card.name}")]
        )
    yield from compare(weights, _in_kept_weights(folder, weights, settings))


def _in_metrics(file: Path, history: Sequence[EpochLog]) -> Iterator[Row]:
    by = "report.json's history"
    try:
        check_regular(file)
        with file.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
    except FileNotFoundError:
        return  # warned of by `metrics_gone`
    except (UnicodeDecodeError, csv.Error):
        rows = []
    yield "number of epochs", len(rows), len(history), by
    for row, log in zip(rows, history, strict=False):
        for name, value in asdict(log).items():
            if name in row and not _same_text(row[name], value):
                yield f"epoch {log.epoch}, {name}", row[name], value, by


def _same_text(text: str | None, value: float | None) -> bool:
    if value is None:
        return text in ("", "nan", "inf", "-inf", None)
    try:
        return text is not None and float(text) == value
    except ValueError:
        return False


def _in_checkpoint(folder: Path, history: Sequence[EpochLog], identity: str) -> Iterator[Row]:
    for path in sorted(folder.glob("checkpoints/epoch-*.json"))[-1:]:
        try:
            state = read_json(path)
            logs, own_identity = [EpochLog(**row) for row in state["history"]], state["run"]
        except (DataError, OSError, KeyError, TypeError):
            return
        if identity and own_identity != identity:
            yield "config or data.fingerprint", OTHER, "", str(path)
        yield "history", list(history), logs, str(path)


def card_of(folder: Path) -> dict[str, Any] | None:
    """Return the card of a run's network; None where there is none that can be read."""
    try:
        return read_json(folder / "model" / "model.json")
    except (DataError, FileNotFoundError):
        return None


def _in_card(card: dict[str, Any] | None, report: Report) -> Iterator[Row]:
    """Yield the classes and settings on the network's card."""
    if card is not None:
        derived = card_by_report(card, report)
        yield "", plain({name: card.get(name) for name in derived}), plain(derived), "report.json"


def _in_kept_weights(folder: Path, weights: Path, settings: AnyTraining) -> Iterator[Row]:
    """Yield that the weights are others than the newest checkpoint has; of a network on a backbone, its head's."""
    for path in sorted(folder.glob("checkpoints/epoch-*.safetensors"))[-1:]:
        check_regular(path)
        try:
            with safe_open(path, "pt") as checkpoint, safe_open(weights, "pt") as kept:
                saved = set(checkpoint.keys())
                judged = "average" if any(name.startswith("average/") for name in saved) else "model"
                part = "best" if settings.training.restore_best else judged
                for name in kept.keys():  # noqa: SIM118
                    own = f"{part}/{name}"
                    if own in saved and not torch.equal(kept.get_tensor(name), checkpoint.get_tensor(own)):
                        yield name, OTHER, "", str(path)
                        return
        except (SafetensorError, OSError):
            return


def downgraded(folder: Path) -> Iterator[Difference]:
    """Yield that a report says it is of the version without a SHA-256, where its network's card is of a later one."""
    file = folder / "report.json"
    if (card_of(folder) or {}).get(VERSION_KEY, 1) != 1 and not has_digest(file):
        by = str(folder / "model" / "model.json")
        yield Difference(file, VERSION_KEY, "1, without a SHA-256", "2 or later, with one", by)


def older_than(file: Path, inside: Sequence[Path]) -> Iterator[Difference]:
    """Yield that a report says it is of an earlier version than all reports inside it, which are written before it."""
    version, versions = read_json(file).get(VERSION_KEY, 1), [read_json(path).get(VERSION_KEY, 1) for path in inside]
    if versions and version < min(versions):
        yield Difference(file, VERSION_KEY, version, f"{min(versions)} or later", str(inside[0]))


def has_digest(file: Path) -> bool:
    return DIGEST_KEY in read_json(file)
