"""How far downloads of torch and torchvision are, told to whoever looks on rather than printed by tqdm."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from a2cli.progress import ProgressReporter

MEGABYTE = 1e6


@contextmanager
def told_to(reporter: ProgressReporter, module: ModuleType) -> Iterator[None]:
    """Tell a watcher how many megabytes are there of what this module downloads, which shows a bar of tqdm's."""

    class Told:
        def __init__(self, total: int | None = None, **_: Any) -> None:
            self.done, self.total = 0, total

        def __enter__(self) -> "Told":
            return self

        def __exit__(self, *_: object) -> None: ...

        def update(self, count: int) -> None:
            self.done += count
            reporter.at(self.done / MEGABYTE, self.total and self.total / MEGABYTE, "MB")

    shown = module.__dict__["tqdm"]
    module.__dict__["tqdm"] = Told
    try:
        yield
    finally:
        module.__dict__["tqdm"] = shown
