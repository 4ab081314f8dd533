"""Dispatching without processes: the size of batches, and retries after the death of a worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ResultsError
from clustersim.scenario.reader import read_scenario
from clustersim.study.execution.dispatcher import GIVEN_UP, Dispatcher
from clustersim.study.execution.result_store import LocalStore, run_path
from clustersim.study.execution.worker import Batch, RunRow, RunSpec, WorkerError, run_batch
from clustersim.study.single_run.run import run_into
from tests.study.small import save, shop

PLAN = b"{}"


class Client:
    """The part of a Dask client that the dispatcher uses."""

    status = "running"

    def __init__(self, threads: int = 2) -> None:
        self.threads = threads
        self.batches: list[tuple[RunSpec, ...]] = []

    def cancel(self, futures: list[Any], force: bool) -> None:
        """There is nothing to cancel."""

    def nthreads(self) -> dict[str, int]:
        return {f"worker-{number}": 1 for number in range(self.threads)}


@pytest.fixture
def scenario(tmp_path: Path) -> Any:
    return read_scenario(save(tmp_path, shop("5m")))


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    found = LocalStore(tmp_path / "out" / "test", "out/test")
    found.begin(PLAN)
    return found


class Direct(Dispatcher):
    """A dispatcher whose batches are executed at once, in the order in which they are sent, by `do`."""

    def __init__(self, client: Client, store: LocalStore, scenario: Any, do: Callable[[Batch], Any]) -> None:
        super().__init__(client, store, PLAN, lambda _: scenario)  # type: ignore[arg-type]
        self.client = client
        self.do = do

    def _submit(self, batch: Batch) -> Any:
        self.client.batches.append(batch.specs)
        self._sent += 1
        return Done(lambda: self.do(batch))

    def _completed(self, in_flight: Any) -> Any:
        return list(in_flight)[:1]


class Done:
    def __init__(self, do: Callable[[], Any]) -> None:
        self.do = do

    def result(self) -> Any:
        return self.do()

    def release(self) -> None:
        """There is nothing to release."""


def all_specs(points: int, replications: int) -> list[RunSpec]:
    return [RunSpec(point, number) for point in range(points) for number in range(replications)]


def taking(seconds: float) -> Callable[[Batch], list[RunRow]]:
    return lambda batch: [RunRow(spec, 0, wall_s=seconds) for spec in batch.specs]


def test_short_runs_share_a_batch_and_long_ones_do_not(store: LocalStore, scenario: Any) -> None:
    """First one run each, to measure its duration; then a second of work; fewer towards the end."""
    client = Client()
    rows = list(Direct(client, store, scenario, taking(0.02)).run(all_specs(10, 100)))
    sizes = [len(batch) for batch in client.batches]
    assert [row.spec for row in rows] == all_specs(10, 100)
    assert sizes[:2] == [1, 1]
    assert max(sizes) == 50
    assert sizes[-1] == 1
    assert len(sizes) < 60
    client = Client()
    list(Direct(client, store, scenario, taking(3.0)).run(all_specs(1, 8)))
    assert [len(batch) for batch in client.batches] == [1] * 8


def killed(allowed: int = 0) -> Exception:
    from distributed import KilledWorker
    from distributed.scheduler import WorkerState

    last = WorkerState.__new__(WorkerState)
    return KilledWorker("runs", last, allowed)


def test_runs_published_by_a_dead_worker_count(store: LocalStore, scenario: Any) -> None:
    """Five runs in a batch, the worker dies in the fourth: three rows, and two runs are retried."""

    def die_in_the_fourth(batch: Batch) -> Any:
        if len(batch.specs) < 5:
            return run_batch(batch)
        for spec in batch.specs[:3]:
            batch.store.publish_run(
                run_path(spec.point, spec.replication),
                lambda target, spec=spec: run_into(scenario, target, replication=spec.replication),  # type: ignore[misc]
            )
        raise killed()

    dispatcher = Direct(Client(1), store, scenario, die_in_the_fourth)
    dispatcher._run_s = 0.2
    rows = list(dispatcher.run(all_specs(1, 10)))
    assert sorted(row.spec for row in rows) == all_specs(1, 10)
    assert all(row.error is None for row in rows)
    sizes = [len(batch) for batch in dispatcher.client.batches]
    assert sizes[:2] == [5, 1], "the suspect goes alone"


def test_a_run_that_kills_three_workers_is_given_up(store: LocalStore, scenario: Any) -> None:
    """Only this run: the others of its batch succeed."""
    poison = RunSpec(0, 1)

    def die(batch: Batch) -> Any:
        if poison in batch.specs:
            before = batch.specs[: batch.specs.index(poison)]
            run_batch(Batch(batch.store, before, batch.scenarios, batch.plan, batch.program))
            raise killed()
        return run_batch(batch)

    dispatcher = Direct(Client(1), store, scenario, die)
    dispatcher._run_s = 0.2
    rows = {row.spec: row for row in dispatcher.run(all_specs(1, 8))}
    assert rows.pop(poison).error == GIVEN_UP
    assert len(rows) == 7
    assert all(row.error is None for row in rows.values())
    assert sum(poison in batch for batch in dispatcher.client.batches) == 3


def test_retries_of_the_scheduler_count(store: LocalStore, scenario: Any) -> None:
    """A user's scheduler may try four times before it reports: then a single batch is enough."""

    def die(batch: Batch) -> Any:
        raise killed(allowed=3)

    dispatcher = Direct(Client(1), store, scenario, die)
    rows = list(dispatcher.run(all_specs(1, 2)))
    assert [row.error for row in rows] == [GIVEN_UP] * 2
    assert len(dispatcher.client.batches) == 2


def test_a_worker_error_ends_the_sweep(store: LocalStore, scenario: Any) -> None:
    dispatcher = Direct(Client(), store, scenario, lambda _: WorkerError("no room"))
    with pytest.raises(ResultsError, match="no room"):
        list(dispatcher.run(all_specs(1, 5)))


def test_no_runs_send_no_batches(store: LocalStore, scenario: Any) -> None:
    client = Client()
    assert list(Direct(client, store, scenario, taking(1.0)).run(deque())) == []
    assert client.batches == []
