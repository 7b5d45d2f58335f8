"""What a page says of data: what was used, whether runs were judged on the same images, and the weights' SHA-256."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from a2cli.html_report.table import Table, pairs
from a2cli.probe_invariance.results import InvarianceResults
from a2cli.replicate.results import ReplicationResults
from a2cli.reports.report import DataSummary, Report
from a2cli.reports.transfer_results import FeatureResults
from a2cli.settings.declare import declared
from a2cli.settings.training import SplitSettings
from a2cli.visualize_weights.results import WeightResults

HELD_OUT_BY = ("seed", "seeds", *(item.name for item in declared(SplitSettings) if item.name != "train_per_class"))


@dataclass(frozen=True)
class DataPart:
    """One set of images: of whom, "" for the run itself, what is known of it, and the number of images by class."""

    of: str
    table: Table
    classes: Table | None = None


def data_of(report: Report) -> list[DataPart]:
    """Return what a page says of each set of images that results are of, and of the weights that a replication took."""
    if report.data:
        return [_part("", report.data, {"times that the test images were read": f"{report.test_reads}"})]
    results = report.results
    if isinstance(results, InvarianceResults):
        return [_part(run.name, run.data, {"images that were changed": f"{run.images:,}"})
                for run in results.runs if run.data]  # fmt: skip
    if isinstance(results, WeightResults):
        return [_part(one.name, one.data, {"images that the network was shown": f"{one.images:,}"})
                for one in results.networks if one.data]  # fmt: skip
    if isinstance(results, ReplicationResults) and results.inputs:
        rows = [[one.name, one.source, "" if one.images is None else f"{one.images:,}", str(one.classes or ""),
                 one.fingerprint] for one in results.inputs]  # fmt: skip
        return [DataPart("", Table(["input", "source", "images", "classes", "SHA-256 of pixels and labels"], rows))]
    return []


def _part(of: str, data: DataSummary, more: Mapping[str, str]) -> DataPart:
    values = {
        "source": data.source,
        **({"images to train on, to validate, to test": f"{data.train:,}, {data.val:,}, {data.test:,}"}
           if data.val or data.test else {"images": f"{data.train:,}"}),
        **more,
        "classes": f"{len(data.classes):,}",
        "groups of identical images": f"{len(data.identical):,}",
        "pairs of nearly identical images": f"{data.near_duplicate_pairs:,}",
        "damaged, left out": ", ".join(data.skipped),
        "passed over": ", ".join(f"{count:,} {name}" for name, count in data.passed_over.items()),
        "not used": ", ".join(data.unused),
        "scaled": data.scaling,
        "SHA-256 of pixels and labels": data.fingerprint,
    }  # fmt: skip
    known = pairs("", "", {name: value for name, value in values.items() if value})
    assert known is not None, "data has a source"
    return DataPart(of, known, pairs("class", "images", data.classes))


def weights_of(report: Report) -> dict[str, str]:
    """Return the SHA-256 of all weights that results are of, by the folder or the name of what has them."""
    found = dict(_weights_in(asdict(report.results))) if report.results else {}
    if report.transfer and report.transfer.backbone.sha256:
        found[f"the backbone {report.transfer.backbone.backbone}"] = report.transfer.backbone.sha256
    if isinstance(report.results, FeatureResults) and not found:
        found[f"the backbone {report.results.backbone}"] = report.results.sha256
    return found


def _weights_in(values: Any) -> Iterator[tuple[str, str]]:
    if isinstance(values, dict):
        weights = values.get("weights_sha256")
        if isinstance(weights, dict):
            yield from weights.items()
        elif weights:
            yield values.get("folder") or values.get("name") or values["weights"], weights
        values = list(values.values())
    if isinstance(values, list):
        for value in values:
            yield from _weights_in(value)


def are_of_other_images(reports: Sequence[Report]) -> bool:
    """Return whether runs were judged on different images, as their data or what was held out of it differs."""
    judged = []
    for report in reports:
        if report.data:
            held_out_by = () if "val" in report.data.given else HELD_OUT_BY
            split = [report.config.get(name) for name in held_out_by]
            judged.append((report.data.fingerprint.partition("/")[0], split))
    return any(one != judged[0] for one in judged)
