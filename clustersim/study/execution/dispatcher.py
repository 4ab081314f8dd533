"""Hands out runs and takes back rows: batches of short runs, workers that die, runs that kill them.

Decides which runs go together, what is tried again and when a run is given up. Must not know what a run is nor
what the rows are for. The sweep and the search call `Dispatcher.run`.

As many batches are under way as there are worker threads, none waits at a worker: so the first run of a batch
that is not published is the one its worker was busy with when it died.
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
from clustersim.study.execution.result_store import Place
from clustersim.study.execution.worker import (
    Batch,
    Measured,
    Refusal,
    Row,
    Task,
    program_digest,
    published,
    row_of,
    work,
)

if TYPE_CHECKING:
    from distributed import Client, Future

BATCH_S = 1.0  # of work in a batch: a hundred times what sending it costs
MIN_RUN_S = 0.002  # no run is quicker: a bound on the size of a batch
TRIES = 3  # workers that a run may kill before it is given up
LOOK_S = 5.0  # between two looks at how many workers there are

GIVEN_UP = f"WorkerKilled: the run killed its worker process {TRIES} times and was given up"


class Dispatcher:
    """Sends runs to the workers behind `client`; `scenario_of` gives the scenario of a point when it is needed."""

    def __init__(
        self,
        client: Client,
        place: Place,
        plan: bytes,
        scenario_of: Callable[[int], Scenario],
        measured: Measured | None = None,
    ) -> None:
        self._client = client
        self._place = place
        self._plan = hashlib.sha256(plan).hexdigest()
        self._scenario_of = scenario_of
        self._measured = measured
        self._run_s: float | None = None  # how long a run takes, once that is known
        self._deaths: Counter[Task] = Counter()
        self._threads = 0
        self._looked = -LOOK_S
        self._sent = 0

    def run(self, tasks: Iterable[Task]) -> Iterator[Row]:
        """A row per task, in the order in which they are done.

        Raises ResultsError when nothing can go on: results cannot be written, or the cluster is gone.
        """
        waiting = deque(tasks)
        flying: dict[Future[Any], Batch] = {}
        try:
            while waiting or flying:
                while waiting and len(flying) < self._places():
                    batch = self._batch(waiting)
                    flying[self._submit(batch)] = batch
                for future in self._landed(flying):
                    batch = flying.pop(future)
                    rows, again = self._settle(future, batch)
                    waiting.extendleft(reversed(again))
                    yield from rows
        finally:
            if flying:
                self._client.cancel(list(flying), force=True)

    def _places(self) -> int:
        """How many batches may be under way; workers come and go."""
        now = time.monotonic()
        if now - self._looked >= LOOK_S:
            self._looked = now
            self._threads = sum(self._client.nthreads().values()) or self._threads
        return max(self._threads, 1)

    def _batch(self, waiting: deque[Task]) -> Batch:
        """The next runs that go together: so many that sending costs nothing beside them, fewer towards the end."""
        fair = len(waiting) // (2 * self._places())
        size = 1 if self._run_s is None else max(1, min(int(BATCH_S / self._run_s), fair))
        if self._deaths[waiting[0]]:
            size = 1  # a suspect goes alone: whatever happens is its doing
        tasks = tuple(waiting.popleft() for _ in range(size))
        scenarios = {point: self._scenario_of(point) for point in dict.fromkeys(task.point for task in tasks)}
        return Batch(self._place, tasks, scenarios, self._plan, program_digest(), self._measured)

    def _submit(self, batch: Batch) -> Future[Any]:
        self._sent += 1
        return self._client.submit(work, batch, key=f"clustersim-runs-{id(self)}-{self._sent}", pure=False)

    def _landed(self, flying: dict[Future[Any], Batch]) -> list[Future[Any]]:
        """The batches that are done, well or badly; waits for the first."""
        from distributed import wait

        try:
            done = wait(list(flying), timeout=LOOK_S, return_when="FIRST_COMPLETED").done
        except (CancelledError, OSError):  # a cancelled future, a lost scheduler, or just the time is up
            done = {future for future in flying if future.done()}
        if not done and self._client.status in ("closed", "closing", "connecting"):
            raise self._gone()
        return [future for future in flying if future in done]

    def _settle(self, future: Future[Any], batch: Batch) -> tuple[list[Row], list[Task]]:
        """The rows of a batch that landed, and the runs of it that have to be done again."""
        from distributed import KilledWorker

        try:
            found = future.result()
        except KilledWorker as error:
            return self._after_death(batch, error.allowed_failures + 1)
        except (CancelledError, OSError) as error:
            raise self._gone() from error
        finally:
            future.release()
        if isinstance(found, Refusal):
            raise ResultsError(found.reason)
        spent = [row.wall_s for row in found if not row.reused]
        if spent:
            mean = max(sum(spent) / len(spent), MIN_RUN_S)
            self._run_s = mean if self._run_s is None else 0.5 * (self._run_s + mean)
        return found, []

    def _after_death(self, batch: Batch, deaths: int) -> tuple[list[Row], list[Task]]:
        """A worker died over `batch`: what it had published counts, what it was busy with is suspected."""
        rows: list[Row] = []
        left: list[Task] = []
        for task in batch.tasks:
            scenario = batch.scenarios[task.point]
            there = published(self._place, task, scenario)
            if there is None:
                left.append(task)
            else:
                rows.append(row_of(batch, task, there))
        if left:
            busy = left[0]
            # A scheduler of somebody else tries several times by itself, over a batch at different runs.
            self._deaths[busy] += deaths if len(batch.tasks) == 1 else 1
            if self._deaths[busy] >= TRIES:
                rows.append(Row(busy, batch.scenarios[busy.point].seed, error=GIVEN_UP))
                left.pop(0)
        return rows, left

    def _gone(self) -> ResultsError:
        return ResultsError("the Dask scheduler is gone, and with it the runs that were in progress")


def in_order(rows: Iterable[Row]) -> list[Row]:
    """Rows by point and replication: never by who was quicker."""
    return sorted(rows, key=lambda row: row.task)
