"""Queues of waiting tasks against Python lists."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clustersim.vocabulary import NEVER
from clustersim.world.state.provisioning_queues import join_queue, leave_queue
from clustersim.world.state.tables import WAITING_SHAPES, WAITING_TASKS
from clustersim.world.state.task_states import new_task
from clustersim.world.state.world import World
from tests.world.small import JOB, WEB, small_world

TASKS = 12


@pytest.fixture
def of(tmp_path: Path) -> World:
    """A world with a dozen tasks of two shapes, none of which waits."""
    made = small_world(tmp_path)
    for n in range(TASKS):
        row = (WEB, JOB)[n % 2]
        new_task(made.core, row, int(made.state.sets[row]["first_lane"]), made.first_shape[row], n, 0)
    return made


def _line(of: World, shape: int) -> list[int]:
    """The slots in a queue from head to tail, both ways compared."""
    tasks, q = of.state.tasks, of.state.shapes[shape]
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
def test_a_queue_is_a_list_that_anybody_may_leave(of: World, toggles: list[int]) -> None:
    """Each toggle lets a task join, or leave from wherever it stands."""
    slots = of.live_tasks()
    twin: dict[int, list[int]] = {of.first_shape[row]: [] for row in (WEB, JOB)}
    for n in toggles:
        slot = int(slots[n])
        line = twin[int(of.state.tasks[slot]["shape"])]
        if slot in line:
            leave_queue(of.core, slot)
            line.remove(slot)
        else:
            join_queue(of.core, slot)
            line.append(slot)
    clock = of.state.clock
    assert {shape: _line(of, shape) for shape in twin} == twin
    assert clock[WAITING_TASKS] == sum(len(line) for line in twin.values())
    listed = set(of.state.waiting_shapes[: clock[WAITING_SHAPES]].tolist())
    assert listed == {shape for shape, line in twin.items() if line}
    for line in twin.values():
        for slot in line:
            leave_queue(of.core, slot)
    assert clock[WAITING_TASKS] == clock[WAITING_SHAPES] == 0
    assert all(of.state.shapes[shape]["position"] == NEVER for shape in twin)
