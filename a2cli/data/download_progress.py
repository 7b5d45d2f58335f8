"""How far downloads of torch and torchvision are, told to whoever looks on rather than printed by tqdm."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

from a2cli.progress import ProgressReporter

MEGABYTE = 1e6


@contextmanager
def told_to(reporter: ProgressReporter, module: ModuleType) -> Iterator[None]:
    """Report how many megabytes are there of what this module downloads, in place of the bar that it has from tqdm."""

    @contextmanager
    def reported(total: int | None = None, **_: Any) -> Iterator[SimpleNamespace]:
        done = 0

        def update(count: int) -> None:
            nonlocal done
            done += count
            reporter.at(done / MEGABYTE, total and total / MEGABYTE, "MB")

        yield SimpleNamespace(update=update)

    tqdm = module.__dict__["tqdm"]
    module.__dict__["tqdm"] = reported
    try:
        yield
    finally:
        module.__dict__["tqdm"] = tqdm
