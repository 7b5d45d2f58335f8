"""`a2 data check`: what a data set holds, and what is wrong with it. Needs no torch."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from a2cli.check_data.settings import CheckSettings
from a2cli.data.duplicates import and_more, contradictory, identical
from a2cli.data.listing import passed_over_in_words
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.machine import cores
from a2cli.progress import ProgressReporter
from a2cli.reports.data_results import DataCheck
from a2cli.training.data_notes import few_note, near_notes, near_pairs, shared_between_parts


def check_data(settings: CheckSettings, reporter: ProgressReporter) -> DataCheck:
    """Return what a data set holds; raises DataError where it cannot be read as one at all.

    Writes nothing but the packed images in the cache.
    """
    source = find_source(settings.data or "", reporter)
    packed = pack(source, settings.image_size, settings.fit, True, cores(), reporter)
    by_class = {name: dict[str, int]() for name in packed.class_names}
    for label, part in zip(packed.labels.tolist(), packed.splits, strict=True):
        parts = by_class[packed.class_names[label]]
        parts[part] = parts.get(part, 0) + 1
    near = near_pairs(packed, packed.splits)
    return DataCheck(
        source=source.label,
        image_size=settings.image_size,
        images=len(packed.labels),
        classes=by_class,
        sizes=_counted(f"{width}x{height}" for width, height in packed.sizes),
        modes=_counted(packed.modes),
        scaling=packed.scaling,
        passed_over=dict(packed.passed_over),
        unused=list(packed.unused),
        damaged=list(packed.skipped),
        single_valued=list(packed.constant),
        identical=[[packed.names[row] for row in rows] for rows in identical(packed.groups)],
        near_duplicates=near,
        wrong=_wrong(packed),
        warnings=[*packed.notes, *_other_warnings(packed), *near_notes(near), *_few(packed)],
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _wrong(packed: Packed) -> list[str]:
    """Return what has to be mended before a result on these images is worth anything."""
    found, names, labels = [], packed.names, packed.labels
    if count := len(packed.skipped):
        found.append(f"{count} damaged file{'s' * (count > 1)}, as {packed.skipped[0]}")
    if count := len(packed.constant):
        found.append(f"{count} image{'s' * (count > 1)} of one single value, as {packed.constant[0]}")
    if several := contradictory(packed.groups, labels):
        two = " and ".join(f"{names[row]} ({packed.class_names[labels[row]]})" for row in several[0])
        found.append(f"identical images under two labels: {two}{and_more(len(several))}")
    return [*found, *shared_between_parts(packed, packed.splits)]


def _other_warnings(packed: Packed) -> list[str]:
    found = []
    if said := passed_over_in_words(packed.passed_over):
        found.append(f"passed over: {said}")
    if packed.unused:
        found.append(f"not used: {', '.join(packed.unused)}")
    groups = identical(packed.groups)
    if count := sum(map(len, groups)):
        found.append(f"{count} identical images, as {' and '.join(packed.names[row] for row in groups[0][:2])}")
    return found


def _few(packed: Packed) -> list[str]:
    """Name the classes with few images in a part that came with the data."""
    parts = np.array(packed.splits)
    rows = {called: packed.labels[parts == part] for part, called in (("val", "validation"), ("test", "test"))}
    return [note for called, labels in rows.items() if len(labels)
            and (note := few_note(called, labels, packed.class_names))]  # fmt: skip
