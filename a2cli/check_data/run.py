"""`a2 data check`: what a data set holds, and what is wrong with it. Needs no torch."""

from collections import Counter
from collections.abc import Iterable

from a2cli.check_data.settings import CheckSettings
from a2cli.data.duplicates import contradictory, contradictory_in_words, identical
from a2cli.data.packing import Packed, pack
from a2cli.data.sources import find_source
from a2cli.progress import ProgressReporter
from a2cli.reports.data_results import DataCheck
from a2cli.training.data_notes import near_pairs, notes_on_default_split, shared_between_parts


def check_data(settings: CheckSettings, reporter: ProgressReporter) -> DataCheck:
    """Return what a data set holds; raises DataError where it cannot be read as one at all.

    Writes nothing but the packed images in the cache.
    """
    errors: list[str] = []
    source = find_source(settings.data or "", reporter, errors)
    packed = pack(source, settings.image_size, settings.fit, True, reporter)
    by_class = {name: Counter[str]() for name in packed.class_names}
    for label, part in zip(packed.labels.tolist(), packed.splits, strict=True):
        by_class[packed.class_names[label]][part] += 1
    groups = [[packed.names[row] for row in rows] for rows in identical(packed.groups)]
    near = near_pairs(packed, packed.splits)
    warnings = packed.warnings_but_damage
    if groups:
        warnings.append(f"{sum(map(len, groups))} identical images, as {' and '.join(groups[0][:2])}")
    return DataCheck(
        source=source.label,
        image_size=settings.image_size,
        images=len(packed.labels),
        classes={name: dict(parts) for name, parts in by_class.items()},
        sizes=_counted(f"{width}x{height}" for width, height in packed.sizes),
        modes=_counted(packed.modes),
        scaling=packed.scaling,
        passed_over=dict(packed.passed_over),
        unused=list(packed.unused),
        damaged=list(packed.skipped),
        single_valued=list(packed.constant),
        identical=groups,
        near_duplicates=near,
        wrong=[*(error.removeprefix("--data ") for error in errors), *_errors(packed)],
        warnings=[*warnings, *notes_on_default_split(packed)],
    )


def _counted(values: Iterable[str]) -> dict[str, int]:
    return dict(Counter(values).most_common())


def _errors(packed: Packed) -> list[str]:
    """Return what has to be mended before a result on these images is worth anything."""
    errors = []
    if count := len(packed.skipped):
        errors.append(
            f"{count} damaged file{'s' * (count > 1)}, as {packed.skipped[0]}; mend or remove "
            f"{'them' if count > 1 else 'it'}, or train with --skip-damaged"
        )
    if count := len(packed.constant):
        errors.append(f"{count} image{'s' * (count > 1)} of one single value, as {packed.constant[0]}")
    if pairs := contradictory(packed.groups, packed.labels):
        words = contradictory_in_words(pairs, packed.labels, packed.names, packed.class_names)
        errors.append(f"{words}; remove what is labelled wrongly, or train with --duplicates drop")
    return [*errors, *shared_between_parts(packed, packed.splits)]
