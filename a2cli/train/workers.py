"""Processes that run trainings side by side, here or on a cluster; joblib hands the work out.

This imports no torch, so that the server which processes begin from can load it while the command does.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

from a2cli.errors import SettingsError, nearest

BACKENDS = ("loky", "dask", "ray")
SECONDS_TO_REACH = 20
R = TypeVar("R")


@dataclass(frozen=True)
class Workers:
    """Where work is done: how much side by side, by which of joblib's backends, at which cluster's address."""

    jobs: int
    backend: str = "loky"
    cluster: str | None = None

    def check(self) -> None:
        """Raise SettingsError for a backend that is not known."""
        if self.backend not in BACKENDS:
            raise SettingsError(
                f"--backend: expected one of {', '.join(BACKENDS)}, got {self.backend!r}"
                f"{nearest(self.backend, BACKENDS)}"
            )

    @contextmanager
    def results(self, function: Callable[..., R], calls: Sequence[tuple[Any, ...]]) -> Iterator[Iterator[R]]:
        """Give the function's results for these arguments as they come; whatever ends this, no process of ours goes on.

        Raises what the function raises, and BrokenProcessPool where a process was killed.
        """
        if self.backend == "loky" and self.jobs == 1:
            yield (function(*arguments) for arguments in calls)
            return
        import joblib

        if self.backend == "ray":
            with self._ray_pool() as pool:
                yield pool.imap_unordered(_call, [(function, arguments) for arguments in calls])
            return
        try:
            with self._backend(), warnings.catch_warnings():
                warnings.filterwarnings("ignore", "[0-9]+ tasks ", UserWarning)  # what was cancelled is no news
                parallel = joblib.Parallel(n_jobs=self.jobs, return_as="generator_unordered", batch_size=1)
                with closing(parallel(joblib.delayed(function)(*arguments) for arguments in calls)) as results:
                    yield results
        except BaseException:
            if self.backend == "loky":
                _stop_processes(kill=True)
            raise

    @contextmanager
    def _ray_pool(self) -> Iterator[Any]:
        """Give a pool of ray's processes: joblib's backend for ray gives results only once all are there.

        Raises SettingsError where ray is not installed or its cluster not reached.
        """
        with self._reached():
            ray = import_module("ray")
            if not ray.is_initialized():
                if self.cluster is not None:
                    _knock(self.cluster)
                ray.init(address=self.cluster, log_to_driver=False, logging_level="error", include_dashboard=False)
            pool = import_module("ray.util.multiprocessing").Pool(self.jobs)
        try:
            yield pool
        finally:
            pool.terminate()
            pool.join()

    @contextmanager
    def _reached(self) -> Iterator[None]:
        """Say in a SettingsError that a backend is not installed, or that its cluster is not reached."""
        try:
            yield
        except ImportError as error:
            raise SettingsError(f"--backend {self.backend}: not installed ({error})") from None
        except (OSError, ValueError, TimeoutError) as error:
            raise SettingsError(f"--cluster {self.cluster}: not reached ({str(error)[:100]})") from None

    def close(self) -> None:
        """End the processes here that wait for more work."""
        if self.backend == "loky" and self.jobs > 1:
            _stop_processes()

    @contextmanager
    def _backend(self) -> Iterator[None]:
        """Make a backend joblib's; raises SettingsError for one that is not installed or not reached."""
        import joblib

        client: Any = None
        if self.backend == "dask":
            with self._reached():
                dask = import_module("dask.distributed")
                client = dask.Client(self.cluster, timeout=SECONDS_TO_REACH, set_as_default=True)
        if self.backend == "loky" and start_server():
            from joblib.externals.loky.backend.context import set_start_method

            set_start_method("forkserver", force=True)
        try:
            here = {"initializer": _begin, "initargs": (dict(os.environ),)} if self.backend == "loky" else {}
            with joblib.parallel_config(backend=self.backend, **here):
                yield
        finally:
            if client is not None:
                client.close()


def _knock(address: str) -> None:
    """Raise OSError where nothing listens at an address such as ray://host:port, for which ray would wait minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdecimal():
        socket.create_connection((host, int(port)), SECONDS_TO_REACH).close()


def _call(work: tuple[Callable[..., R], tuple[Any, ...]]) -> R:
    function, arguments = work
    return function(*arguments)


def start_server() -> bool:
    """Start the process that the others begin as copies of, so that torch is loaded once for all of them.

    It has no threads that a copy would lack. Return False where there is none such (Windows, macOS) and each process
    loads torch.
    """
    if sys.platform != "linux":
        return False
    from multiprocessing import forkserver

    multiprocessing.set_forkserver_preload(["a2cli.train.preloaded"])
    forkserver.ensure_running()
    return True


def _stop_processes(kill: bool = False) -> None:
    from joblib.externals.loky import get_reusable_executor

    # Some are gone already. An interrupt also ends the pgrep by which the children of the others are looked for, of
    # which joblib warns with a traceback; they have none.
    with suppress(Exception), warnings.catch_warnings(action="ignore"):
        get_reusable_executor().shutdown(wait=True, kill_workers=kill)


def _begin(environment: Mapping[str, str]) -> None:
    """Prepare a process: it has its parent's environment, leaves Ctrl-C to it, and ends when it does, however."""
    os.environ.clear()
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent, pid = multiprocessing.parent_process(), os.getppid()

    def reporter() -> None:
        if parent is not None:
            parent.join()
        while parent is None and os.getppid() == pid:  # begun without the server
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=reporter, daemon=True).start()
