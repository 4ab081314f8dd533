"""Who does the work of a sweep: worker processes of this machine, this process itself, or a Dask cluster.

Decides how a Dask client comes about and goes away. Must not know what the workers do. `dispatch` gets the
client; whatever stands behind it is the same to it.
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
NOBODY = "127.0.0.1:0"

_LOCAL = {
    # A run that kills its worker is judged by `dispatch`, which knows what the worker was doing.
    "distributed.scheduler.allowed-failures": 0,
    # A kernel may keep a worker's only thread busy for long without being dead.
    "distributed.scheduler.worker-ttl": None,
    # Dask samples stacks a hundred times a second, for a dashboard that nobody has open.
    "distributed.worker.profile.enabled": False,
    # Its workers would stop taking work, or be killed, at a share of the memory that a run may well need.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
}


class ClusterError(ResultsError):
    """There is nobody to do the work."""


def cores() -> int:
    """How many processes this machine, or the part of it that we may use, runs at once."""
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


@contextmanager
def workers(jobs: int | None, scheduler: str | None) -> Iterator[Client]:
    """A Dask client: of the cluster at `scheduler`, or of `jobs` processes here (1: of this process itself).

    The kernels are compiled before any worker starts. Raises ClusterError where no scheduler answers.
    """
    prepare()
    import dask
    import distributed  # noqa: F401  (its loggers and its configuration come with it)

    # A trace of a million rows goes along with each batch on purpose: it is less than what its run takes.
    patient = {"distributed.admin.large-graph-warning-threshold": "1TB"}
    with _silent(), dask.config.set(patient):
        if scheduler is not None:
            with _used(_client_of(scheduler)) as client:
                yield client
            return
        with _local(jobs or cores()) as cluster, _used(_client(cluster)) as client:
            yield client


@contextmanager
def _used(client: Client) -> Iterator[Client]:
    try:
        with client.as_current():
            yield client
    finally:
        client.close(timeout=2)


def _client(address: object) -> Client:
    from distributed import Client

    return Client(address, timeout=CONNECT_S, set_as_default=False)


def _client_of(address: str) -> Client:
    """A client of the cluster at `address`, which has a worker."""
    try:
        client = _client(address)
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
def _silent() -> Iterator[None]:
    """What goes wrong with a worker is told once, in our words, when the sweep knows what it means."""
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
def _local(jobs: int) -> Iterator[object]:
    """A cluster of this machine."""
    import dask
    from distributed import LocalCluster

    # Ctrl-C reaches all processes of a terminal; the workers leave it to the one that knows what to do.
    preload = list(dask.config.get("distributed.worker.preload"))
    if jobs > 1:
        preload.append("clustersim.study.execution.ignore_sigint")
    with dask.config.set(_LOCAL | {"distributed.worker.preload": preload}), _main_left_alone():
        cluster = LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            processes=jobs > 1,
            memory_limit=None,
            # No dashboard; and the page that Dask serves all the same is for this machine only, on any port.
            scheduler_kwargs={"dashboard": False, "dashboard_address": NOBODY},
            worker_dashboard_address=NOBODY if jobs == 1 else None,
            silence_logs=logging.CRITICAL,
            host="127.0.0.1" if jobs > 1 else None,
        )
        try:
            yield cluster
        finally:
            cluster.close(timeout=5)


@contextmanager
def _main_left_alone() -> Iterator[None]:
    """Workers need nothing of the program that started us, so they do not run it again.

    Python's `spawn` imports the main module into every child; a script without an `if __name__` guard would
    start its sweep in each worker. Without `__file__` and `__spec__` there is nothing to import.
    """
    main = sys.modules["__main__"]
    kept = {name: getattr(main, name) for name in ("__file__", "__spec__") if hasattr(main, name)}
    for name in kept:
        setattr(main, name, None)
    try:
        yield
    finally:
        for name, value in kept.items():
            setattr(main, name, value)
