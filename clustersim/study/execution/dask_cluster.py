"""The Dask client of a study: connected to local worker processes, to this process itself, or to a Dask cluster.

Decides how the client is created and closed. Must not know what the workers do. Sweeps, searches and comparisons
open a client here and pass it to the dispatcher, which treats all three alike.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from clustersim.engine.program import prepare
from clustersim.errors import ResultsError

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 10
FIRST_WORKER_S = 60
ANY_LOCAL_PORT = "127.0.0.1:0"

_LOCAL_SETTINGS = {
    # The dispatcher decides about a run that kills its worker: it knows what the worker was doing.
    "distributed.scheduler.allowed-failures": 0,
    # A kernel may keep a worker's only thread busy for long without being dead.
    "distributed.scheduler.worker-ttl": None,
    # Dask samples stacks a hundred times a second, for a dashboard that is not open.
    "distributed.worker.profile.enabled": False,
    # By default, workers pause or are killed at a share of the memory that a run may well need.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


class ClusterError(ResultsError):
    """No scheduler answers, or the cluster has no workers."""


def count_cores() -> int:
    """Return the number of CPU cores that this process may use (a container's limit included)."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


@contextmanager
def open_dask_client(jobs: int | None, scheduler: str | None) -> Iterator[Client]:
    """Open a Dask client of the cluster at `scheduler`, or of `jobs` local processes (1: this process itself).

    The kernels are compiled before any worker starts. Raises ClusterError if no scheduler answers, or none of its
    workers does.
    """
    prepare()
    import dask
    import distributed  # noqa: F401  (its loggers and its configuration come with it)

    # A trace of a million rows is sent with each batch on purpose: that takes less time than its run.
    settings = {"distributed.admin.large-graph-warning-threshold": "1TB"}
    with _silenced_logs(), dask.config.set(settings):
        if scheduler is not None:
            with _active(_connect_to_scheduler(scheduler)) as client:
                yield client
            return
        with _local_cluster(jobs or count_cores()) as cluster, _active(_connect(cluster)) as client:
            yield client


@contextmanager
def _active(client: Client) -> Iterator[Client]:
    try:
        with client.as_current():
            yield client
    finally:
        client.close(timeout=2)


def _connect(address: object) -> Client:
    from distributed import Client

    return Client(address, timeout=CONNECT_S, set_as_default=False)


def _connect_to_scheduler(address: str) -> Client:
    """Return a client of the cluster at `address` once it has a worker."""
    try:
        client = _connect(address)
    except (OSError, ValueError, TimeoutError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no answer"
        raise ClusterError(f"no Dask scheduler answers at {address}: {reason}") from error
    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_S)
    except TimeoutError as error:
        client.close(timeout=2)
        raise ClusterError(
            f"the Dask scheduler at {address} has no workers; start one with `dask worker`"
        ) from error
    return client


@contextmanager
def _silenced_logs() -> Iterator[None]:
    """Silence the logs of Dask: the dispatcher reports the failure of a worker once, when its effect is known."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith(("distributed", "tornado"))]
    levels = {logging.getLogger(name): logging.getLogger(name).level for name in names}
    for logger in levels:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


@contextmanager
def _local_cluster(jobs: int) -> Iterator[object]:
    """Start a cluster of `jobs` worker processes on this machine."""
    import dask
    from distributed import LocalCluster

    # Ctrl-C reaches all processes of a terminal; only the parent process is to handle it.
    preload = list(dask.config.get("distributed.worker.preload"))
    if jobs > 1:
        preload.append("clustersim.study.execution.ignore_sigint")
    with dask.config.set(_LOCAL_SETTINGS | {"distributed.worker.preload": preload}), _hidden_main_module():
        cluster = LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=jobs > 1,
            memory_limit=None,
            # No dashboard; the page that Dask serves nevertheless is for this machine only, on any free port.
            scheduler_kwargs={"dashboard": False, "dashboard_address": ANY_LOCAL_PORT},
            worker_dashboard_address=ANY_LOCAL_PORT if jobs == 1 else None,
            silence_logs=logging.CRITICAL,
            host="127.0.0.1" if jobs > 1 else None,
        )
        try:
            yield cluster
        finally:
            cluster.close(timeout=5)


@contextmanager
def _hidden_main_module() -> Iterator[None]:
    """Hide the main module from worker processes, which need nothing of it.

    Python's `spawn` imports the main module into every child; a script without an `if __name__` guard would
    start its sweep in each worker. Without `__file__` and `__spec__` there is nothing to import.
    """
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in hidden:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)
