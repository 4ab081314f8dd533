"""Sends batches of runs to workers and collects their rows; retries after the death of a worker.

Decides which runs form a batch, which are retried and when a run is given up. Must not know what a run is nor
what the rows are for. The sweep and the search call `Dispatcher.run`.

There are as many batches in flight as worker threads, so none queues at a worker. Therefore the first unpublished
run of a batch is the one that its worker was executing when it died.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

from clustersim.errors import ResultsError
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.execution.result_store import ResultStore
from clustersim.study.execution.worker import (
    Batch,
    RunMeasurer,
    RunRow,
    RunSpec,
    WorkerError,
    make_row,
    program_digest,
    read_published_summary,
    run_batch,
)

if TYPE_CHECKING:
    from distributed import Client, Future

TARGET_BATCH_S = 1.0  # work in a batch: a hundred times what sending it costs
MIN_RUN_S = 0.002  # no run is shorter; bounds the size of a batch
MAX_WORKER_DEATHS = 3  # workers that a run may kill before it is given up
POLL_S = 5.0  # between two counts of the workers

GIVEN_UP = f"WorkerKilled: the run killed its worker process {MAX_WORKER_DEATHS} times and was given up"


class Dispatcher:
    """Sends runs to the workers of a Dask client.

    `scenario_of` returns the scenario of a point and is called when a batch needs it. `plan` is the content of the
    plan file in `store`; workers check its digest. `measure_run` computes more figures of each run.
    """

    def __init__(
        self,
        client: Client,
        store: ResultStore,
        plan: bytes,
        scenario_of: Callable[[int], Scenario],
        measure_run: RunMeasurer | None = None,
    ) -> None:
        self._client = client
        self._store = store
        self._plan = hashlib.sha256(plan).hexdigest()
        self._scenario_of = scenario_of
        self._measure_run = measure_run
        self._run_s: float | None = None  # running mean of the wall time of a run, once known
        self._deaths: Counter[RunSpec] = Counter()
        self._threads = 0
        self._counted_at = -POLL_S
        self._sent = 0

    def run(self, specs: Iterable[RunSpec]) -> Iterator[RunRow]:
        """Yield one row per run, in the order of completion.

        Raises ResultsError if no run can succeed any more: results cannot be written, or the cluster is gone.
        """
        waiting = deque(specs)
        in_flight: dict[Future[Any], Batch] = {}
        try:
            while waiting or in_flight:
                while waiting and len(in_flight) < self._max_in_flight():
                    batch = self._next_batch(waiting)
                    in_flight[self._submit(batch)] = batch
                for future in self._completed(in_flight):
                    batch = in_flight.pop(future)
                    rows, retries = self._collect(future, batch)
                    waiting.extendleft(reversed(retries))
                    yield from rows
        finally:
            if in_flight:
                self._client.cancel(list(in_flight), force=True)

    def _max_in_flight(self) -> int:
        """Return the number of worker threads, counted at most every POLL_S: workers come and go."""
        now = time.monotonic()
        if now - self._counted_at >= POLL_S:
            self._counted_at = now
            self._threads = sum(self._client.nthreads().values()) or self._threads
        return max(self._threads, 1)

    def _next_batch(self, waiting: deque[RunSpec]) -> Batch:
        """Take runs for about TARGET_BATCH_S of work from the queue, fewer towards the end."""
        fair_share = len(waiting) // (2 * self._max_in_flight())
        size = 1 if self._run_s is None else max(1, min(int(TARGET_BATCH_S / self._run_s), fair_share))
        if self._deaths[waiting[0]]:
            size = (
                1  # a run that may have killed its worker is retried alone, so that the blame is unambiguous
            )
        specs = tuple(waiting.popleft() for _ in range(size))
        scenarios = {point: self._scenario_of(point) for point in dict.fromkeys(spec.point for spec in specs)}
        return Batch(self._store, specs, scenarios, self._plan, program_digest(), self._measure_run)

    def _submit(self, batch: Batch) -> Future[Any]:
        self._sent += 1
        return self._client.submit(
            run_batch, batch, key=f"clustersim-runs-{id(self)}-{self._sent}", pure=False
        )

    def _completed(self, in_flight: dict[Future[Any], Batch]) -> list[Future[Any]]:
        """Wait for the first batch to end, in success or failure, and return all that have ended."""
        from distributed import wait

        try:
            done = wait(list(in_flight), timeout=POLL_S, return_when="FIRST_COMPLETED").done
        except (CancelledError, OSError):  # a cancelled future, a lost scheduler, or the timeout
            done = {future for future in in_flight if future.done()}
        if not done and self._client.status in ("closed", "closing", "connecting"):
            raise self._scheduler_lost()
        return [future for future in in_flight if future in done]

    def _collect(self, future: Future[Any], batch: Batch) -> tuple[list[RunRow], list[RunSpec]]:
        """Return the rows of an ended batch, and its runs that have to be retried."""
        from distributed import KilledWorker

        try:
            result = future.result()
        except KilledWorker as error:
            return self._recover(batch, error.allowed_failures + 1)
        except (CancelledError, OSError) as error:
            raise self._scheduler_lost() from error
        finally:
            future.release()
        if isinstance(result, WorkerError):
            raise ResultsError(result.reason)
        wall_times = [row.wall_s for row in result if not row.reused]
        if wall_times:
            mean = max(sum(wall_times) / len(wall_times), MIN_RUN_S)
            self._run_s = mean if self._run_s is None else 0.5 * (self._run_s + mean)
        return result, []

    def _recover(self, batch: Batch, deaths: int) -> tuple[list[RunRow], list[RunSpec]]:
        """Return the rows that a dead worker had published, and the other runs of its batch to retry.

        The first unpublished run is charged with the death of the worker, and given up after MAX_WORKER_DEATHS.
        """
        rows: list[RunRow] = []
        unpublished: list[RunSpec] = []
        for spec in batch.specs:
            summary = read_published_summary(self._store, spec, batch.scenarios[spec.point])
            if summary is None:
                unpublished.append(spec)
            else:
                rows.append(make_row(batch, spec, summary))
        if unpublished:
            suspect = unpublished[0]
            # A scheduler of the user's own retries a batch by itself, and each time may fail at another run.
            self._deaths[suspect] += deaths if len(batch.specs) == 1 else 1
            if self._deaths[suspect] >= MAX_WORKER_DEATHS:
                rows.append(RunRow(suspect, batch.scenarios[suspect.point].seed, error=GIVEN_UP))
                unpublished.pop(0)
        return rows, unpublished

    def _scheduler_lost(self) -> ResultsError:
        return ResultsError("the Dask scheduler is gone, and with it the runs that were in progress")


def sort_rows(rows: Iterable[RunRow]) -> list[RunRow]:
    """Return the rows by point and replication, whatever the order of their completion."""
    return sorted(rows, key=lambda row: row.spec)
