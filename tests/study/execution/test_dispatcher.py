"""Dispatching without processes: how large batches are, and what a dead worker makes of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ResultsError
from clustersim.scenario.reader import read_scenario
from clustersim.study.execution.dispatcher import GIVEN_UP, Dispatcher
from clustersim.study.execution.result_store import Directory, run_name
from clustersim.study.execution.worker import Batch, Refusal, Row, Task, work
from clustersim.study.single_run.run import run_into
from tests.study.small import save, shop

PLAN = b"{}"


class Client:
    """As much of a Dask client as is asked for; `do` says what becomes of a batch."""

    status = "running"

    def __init__(self, threads: int = 2) -> None:
        self.threads = threads
        self.batches: list[tuple[Task, ...]] = []

    def cancel(self, futures: list[Any], force: bool) -> None:
        """Nothing goes on by itself here."""

    def nthreads(self) -> dict[str, int]:
        return {f"worker-{number}": 1 for number in range(self.threads)}


@pytest.fixture
def scenario(tmp_path: Path) -> Any:
    return read_scenario(save(tmp_path, shop("5m")))


@pytest.fixture
def place(tmp_path: Path) -> Directory:
    found = Directory(tmp_path / "out" / "test", "out/test")
    found.begin(PLAN)
    return found


class Direct(Dispatcher):
    """Batches are done at once, in the order in which they are sent, by `do`."""

    def __init__(self, client: Client, place: Directory, scenario: Any, do: Callable[[Batch], Any]) -> None:
        super().__init__(client, place, PLAN, lambda _: scenario)  # type: ignore[arg-type]
        self.client = client
        self.do = do

    def _submit(self, batch: Batch) -> Any:
        self.client.batches.append(batch.tasks)
        self._sent += 1
        return Done(lambda: self.do(batch))

    def _landed(self, flying: Any) -> Any:
        return list(flying)[:1]


class Done:
    def __init__(self, do: Callable[[], Any]) -> None:
        self.do = do

    def result(self) -> Any:
        return self.do()

    def release(self) -> None:
        """Nothing is kept."""


def tasks(points: int, replications: int) -> list[Task]:
    return [Task(point, number) for point in range(points) for number in range(replications)]


def took(seconds: float) -> Callable[[Batch], list[Row]]:
    return lambda batch: [Row(task, 0, wall_s=seconds) for task in batch.tasks]


def test_short_runs_travel_together_long_ones_alone(place: Directory, scenario: Any) -> None:
    """First one each, to learn how long they take; then a second's worth; towards the end fewer again."""
    client = Client()
    rows = list(Direct(client, place, scenario, took(0.02)).run(tasks(10, 100)))
    sizes = [len(batch) for batch in client.batches]
    assert [row.task for row in rows] == tasks(10, 100)
    assert sizes[:2] == [1, 1]
    assert max(sizes) == 50
    assert sizes[-1] == 1
    assert len(sizes) < 60
    client = Client()
    list(Direct(client, place, scenario, took(3.0)).run(tasks(1, 8)))
    assert [len(batch) for batch in client.batches] == [1] * 8


def killed(allowed: int = 0) -> Exception:
    from distributed import KilledWorker
    from distributed.scheduler import WorkerState

    last = WorkerState.__new__(WorkerState)
    return KilledWorker("runs", last, allowed)


def test_what_a_dead_worker_had_published_counts(place: Directory, scenario: Any) -> None:
    """Five runs in a batch, the worker dies in the fourth: three rows, and two runs that are done again."""

    def die_in_the_fourth(batch: Batch) -> Any:
        if len(batch.tasks) < 5:
            return work(batch)
        for task in batch.tasks[:3]:
            batch.place.publish_run(
                run_name(task.point, task.replication),
                lambda target, task=task: run_into(scenario, target, replication=task.replication),  # type: ignore[misc]
            )
        raise killed()

    dispatcher = Direct(Client(1), place, scenario, die_in_the_fourth)
    dispatcher._run_s = 0.2
    rows = list(dispatcher.run(tasks(1, 10)))
    assert sorted(row.task for row in rows) == tasks(1, 10)
    assert all(row.error is None for row in rows)
    sizes = [len(batch) for batch in dispatcher.client.batches]
    assert sizes[:2] == [5, 1], "the suspect goes alone"


def test_a_run_that_kills_three_workers_is_given_up(place: Directory, scenario: Any) -> None:
    """Only it: its neighbours in the batch are innocent."""
    poison = Task(0, 1)

    def die(batch: Batch) -> Any:
        if poison in batch.tasks:
            before = batch.tasks[: batch.tasks.index(poison)]
            work(Batch(batch.place, before, batch.scenarios, batch.plan, batch.program))
            raise killed()
        return work(batch)

    dispatcher = Direct(Client(1), place, scenario, die)
    dispatcher._run_s = 0.2
    rows = {row.task: row for row in dispatcher.run(tasks(1, 8))}
    assert rows.pop(poison).error == GIVEN_UP
    assert len(rows) == 7
    assert all(row.error is None for row in rows.values())
    assert sum(poison in batch for batch in dispatcher.client.batches) == 3


def test_a_scheduler_that_tries_by_itself_has_tried_enough(place: Directory, scenario: Any) -> None:
    """One of somebody else may try four times before it says so: then once alone is enough."""

    def die(batch: Batch) -> Any:
        raise killed(allowed=3)

    dispatcher = Direct(Client(1), place, scenario, die)
    rows = list(dispatcher.run(tasks(1, 2)))
    assert [row.error for row in rows] == [GIVEN_UP] * 2
    assert len(dispatcher.client.batches) == 2


def test_a_worker_that_cannot_work_ends_it(place: Directory, scenario: Any) -> None:
    dispatcher = Direct(Client(), place, scenario, lambda _: Refusal("no room"))
    with pytest.raises(ResultsError, match="no room"):
        list(dispatcher.run(tasks(1, 5)))


def test_nothing_to_do_asks_nobody(place: Directory, scenario: Any) -> None:
    client = Client()
    assert list(Direct(client, place, scenario, took(1.0)).run(deque())) == []
    assert client.batches == []
