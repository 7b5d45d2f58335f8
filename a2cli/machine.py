"""The machine: what a reader needs to know of it, its cores, and how many runs to have on them."""

import os
import platform
import sys
from pathlib import Path

from a2cli import __version__
from a2cli.text import printable

TORCH_BYTES = 3_700_000_000  # of address space: torch 2.14 takes 3.3 billion to load, and more to start threads


def machine() -> dict[str, str | int]:
    """Return what a reader needs to know of the machine to repeat what was computed without torch."""
    return {
        "a2": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
    }


def processor() -> str:
    """Return the processor's name: of two with the same instructions MKL multiplies matrices in different orders."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return printable(names[0]) if names else platform.processor() or platform.machine()


def cores() -> int:
    """Return the number of processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_limit() -> int | None:
    """Return how many bytes of address space a process may have, as `ulimit -v` sets it; None where it is not set."""
    if sys.platform == "win32":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def has_room_for_torch() -> bool:
    """Return whether torch can be loaded within `ulimit -v`: where it cannot, its C++ ends the process by a signal."""
    import mmap

    try:
        mmap.mmap(-1, TORCH_BYTES).close()
    except OSError:
        return False
    return True


def jobs_for(runs: int, cores: int) -> int:
    """Return how many runs of one length to have side by side, so that all are done soonest and memory is spared.

    With five runs on two cores it is three: with two, the last would have a core alone while the other is idle.
    """
    return min(range(min(runs, cores), min(runs, 2 * cores - 1) + 1), key=lambda jobs: _rounds(runs, jobs, cores))


def _rounds(runs: int, jobs: int, cores: int) -> float:
    """Return how long runs take, in units of one run on a core of its own, when jobs share the cores."""
    full, rest = divmod(runs, jobs)
    return full * max(1.0, jobs / cores) + (max(1.0, rest / cores) if rest else 0.0)
