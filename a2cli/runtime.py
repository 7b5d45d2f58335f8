"""The machine a run is on."""

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from a2cli.errors import SettingsError
from a2cli.geometry import NO_TRAINING
from a2cli.machine import machine

DEVICES = ("cpu", "cuda", "mps", "xpu")
_auto_threads = ""  # why auto chose as many threads as this process has, if it did
_varying_steps = set[str]()  # those that a GPU met and that torch has no way to repeat


def set_up(device: str, threads: int, auto: str = "") -> torch.device:
    """Set the processor threads, flush denormals, and return the device to compute on.

    0 threads are chosen by auto; `auto` says why it chose these, where it did. Raises SettingsError for a device that
    this machine does not have.
    """
    global _auto_threads
    _keep_freed_memory()
    torch.set_num_threads(threads or NO_TRAINING[0])
    _auto_threads = auto if threads else NO_TRAINING[1]
    torch.set_flush_denormal(True)  # Adam's second moments sink into denormals, which cost a hundred times as much
    if device == "auto" and torch.cuda.is_available():
        device = "cuda"
    if device.startswith("cuda"):
        _repeat_on_gpu()
    if device == "auto":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        if device.partition(":")[0] not in DEVICES:
            is_gpu = device.lower().startswith(("gpu", "nvidia")) and torch.cuda.is_available()
            meant = "; did you mean cuda?" if is_gpu else ""
            raise SettingsError(
                f"--device: {device!r} is no device, as cpu, cuda, cuda:1 and mps are{meant}; try auto or cpu"
            ) from None
        reason = str(error).splitlines()[0][:200]
        raise SettingsError(f"--device: {device!r} cannot be used here ({reason}); try auto or cpu") from None
    return chosen


def _repeat_on_gpu() -> None:
    """Have a GPU compute with all of 32 bits, and the same bits each time, as far as torch can.

    By itself cuDNN rounds what a convolution multiplies to TF32's 10 bits of mantissa, and adds up in an order that
    changes from run to run (PyTorch's notes "CUDA semantics" and "Reproducibility").
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS begins
    backends: Any = torch.backends  # the stubs lack what is set here
    for arithmetic in (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn):
        arithmetic.fp32_precision = "ieee"
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    torch.use_deterministic_algorithms(True, warn_only=True)
    show = warnings.showwarning

    def collect(message: Warning | str, *rest: Any, **more: Any) -> None:
        if "does not have a deterministic implementation" in str(message):
            _varying_steps.add(str(message).split()[0])
        else:
            show(message, *rest, **more)

    warnings.showwarning = collect


def repeats() -> list[str]:
    """Return a warning if this process computed what the same machine would not give again to the bit."""
    if not _varying_steps:
        return []
    steps = ", ".join(sorted(_varying_steps))
    return [f"on a GPU, torch has no deterministic {steps}: the same command gives results that differ slightly"]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute with one processor thread; decorates functions as well.

    For matrix products in double precision, whose threads MKL lets spin: 4 of them on 2 cores took 7 s for what one
    does in 0.01 s (tests/benchmarks/weight_spectra.py).
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _keep_freed_memory() -> None:
    """Let glibc keep freed blocks: handed back to the system, they cost a hundred page faults a step."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):  # musl has none
            libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, at its largest
            libc.mallopt(-1, 512 << 20)  # M_TRIM_THRESHOLD


def _gpu(device: torch.device) -> dict[str, str | int]:
    if device.type != "cuda":
        return {}
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return {"gpu": torch.cuda.get_device_name(device), "cuda": str(torch.version.cuda), "cudnn": str(cudnn)}


def environment(device: torch.device, before: Mapping[str, str | int] | None = None) -> dict[str, str | int]:
    """Return what a reader needs to know of the machine to repeat the run.

    `before` is what was said before the run was interrupted: its config has the threads, and not that auto chose them.
    """
    threads, before = torch.get_num_threads(), before or {}
    chosen_by = f"auto: {_auto_threads}" if _auto_threads else ""
    if before.get("threads") == threads:
        chosen_by = chosen_by or str(before.get("threads_chosen_by", ""))
    return {
        **machine(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "device": str(device),
        **_gpu(device),
        "threads": threads,
        **({"threads_chosen_by": chosen_by} if chosen_by else {}),
    }
