"""Queues of waiting tasks, compared with Python lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clustersim.vocabulary import NEVER
from clustersim.world.state.provisioning_queues import join_queue, leave_queue
from clustersim.world.state.task_states import create_task
from clustersim.world.state.world import World
from tests.world.small import JOB, WEB, small_world

TASKS = 12


@pytest.fixture
def cluster(tmp_path: Path) -> World:
    """A world with a dozen tasks of two shapes, none of which waits."""
    made = small_world(tmp_path)
    for n in range(TASKS):
        row = (WEB, JOB)[n % 2]
        create_task(made.core, row, int(made.state.sets.rows[row]["first_item"]), made.first_shape[row], n, 0)
    return made


def _line(cluster: World, shape: int) -> list[int]:
    """Return the slots in a queue from head to tail; both directions are compared."""
    tasks, q = cluster.state.tasks.rows, cluster.state.sets.shapes[shape]
    forth, slot = [], int(q["head"])
    while slot >= 0:
        forth.append(slot)
        slot = int(tasks[slot]["next_waiting"])
    back, slot = [], int(q["tail"])
    while slot >= 0:
        back.append(slot)
        slot = int(tasks[slot]["previous_waiting"])
    assert forth == back[::-1]
    assert len(forth) == q["count"]
    return forth


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(toggles=st.lists(st.integers(0, TASKS - 1), max_size=40))
def test_a_task_may_leave_its_queue_at_any_position(cluster: World, toggles: list[int]) -> None:
    """Each toggle lets a task join, or leave from any position."""
    slots = cluster.live_tasks()
    twin: dict[int, list[int]] = {cluster.first_shape[row]: [] for row in (WEB, JOB)}
    for n in toggles:
        slot = int(slots[n])
        line = twin[int(cluster.state.tasks.rows[slot]["resource_shape"])]
        if slot in line:
            leave_queue(cluster.core, slot)
            line.remove(slot)
        else:
            join_queue(cluster.core, slot)
            line.append(slot)
    counters = cluster.state.counters
    assert {shape: _line(cluster, shape) for shape in twin} == twin
    assert counters.waiting_tasks == sum(len(line) for line in twin.values())
    listed = set(cluster.state.placement.waiting_shapes[: counters.waiting_shapes].tolist())
    assert listed == {shape for shape, line in twin.items() if line}
    for line in twin.values():
        for slot in line:
            leave_queue(cluster.core, slot)
    assert counters.waiting_tasks == counters.waiting_shapes == 0
    assert all(cluster.state.sets.shapes[shape]["position"] == NEVER for shape in twin)
