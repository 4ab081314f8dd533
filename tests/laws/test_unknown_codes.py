"""Codes that no branch knows are errors: an extension that is half made must not run as something else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import using
from clustersim.engine.random_streams import sample
from clustersim.errors import KernelError
from clustersim.policy.capacity.instance_allocation import order_types
from clustersim.policy.images.image_pulls import needs_registry
from clustersim.policy.placement.placement import choose_host, strategy_chain
from clustersim.policy.placement.scale_in_victims import (
    WORK_ROWS,
    choose_tasks_to_stop,
    new_choice_scratch,
)
from clustersim.policy.tasks.deployment import breaker_threshold
from clustersim.policy.tasks.traffic_shift import traffic_steps
from clustersim.vocabulary import ENTRY_KINDS, INSTANCE_ENTRIES, TASK_INTERRUPTED, TASK_RETIRED
from clustersim.world.calendar import ANY_STATE, STATE_OF_ENTRY
from clustersim.world.scheduling.provisioning import make_placement_request
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.world import World
from tests.world.small import JOB, run_task, settle, small_world

UNKNOWN = 99


@pytest.fixture(autouse=True)
def _in_python() -> Any:
    with using(BackEnd.PYTHON):
        yield


@pytest.fixture
def cluster(tmp_path: Path) -> World:
    return small_world(tmp_path)


def test_an_unknown_placement_strategy(cluster: World) -> None:
    state = cluster.state
    request = make_placement_request(cluster.core, cluster.first_shape[JOB])
    unknown = request._replace(chain=strategy_chain((UNKNOWN, 0)))
    with pytest.raises(RuntimeError, match="unknown placement strategy"):
        choose_host(state.instances.hosts, unknown, 0)
    slots = np.zeros(2, np.int64)
    work = new_choice_scratch(state.instances.hosts, 2, 2)[:WORK_ROWS]
    chain = strategy_chain((UNKNOWN, 0))
    with pytest.raises(RuntimeError, match="unknown placement strategy"):
        choose_tasks_to_stop(
            state.instances.hosts, chain, slots, slots, np.uint64(1), 0, slots[:1].copy(), work
        )


@pytest.mark.parametrize("kind", sorted(set(range(ENTRY_KINDS)) - set(INSTANCE_ENTRIES)))
def test_every_kind_of_entry_of_a_task_is_known(cluster: World, kind: int) -> None:
    """Each belongs to a state in which it is processed, or, as Fargate's, to any: none is dropped in silence."""
    assert STATE_OF_ENTRY[kind] != ANY_STATE or kind in (TASK_INTERRUPTED, TASK_RETIRED)


def test_an_unknown_entry_of_a_task(cluster: World) -> None:
    slot = run_task(cluster, duration=60_000)
    task_id = int(cluster.state.tasks.rows["task_id"][slot])
    unknown = ENTRY_KINDS - 1
    before = int(STATE_OF_ENTRY[unknown])
    state = int(cluster.state.tasks.rows["state"][slot])
    try:
        STATE_OF_ENTRY[unknown] = (state + 1) % 4
        schedule_entry(cluster.core, 1_000, unknown, slot, task_id)
        settle(cluster, 2_000)  # stale: the task is in another state
        STATE_OF_ENTRY[unknown] = state
        schedule_entry(cluster.core, 3_000, unknown, slot, task_id)
        with pytest.raises(KernelError, match="unknown entry"):
            settle(cluster, 4_000)
    finally:
        STATE_OF_ENTRY[unknown] = before


def test_unknown_distributions_behaviours_and_strategies() -> None:
    with pytest.raises(RuntimeError, match="unknown distribution"):
        sample(UNKNOWN, 1.0, 1.0, np.zeros(1), 0.5)
    with pytest.raises(RuntimeError, match="unknown pull behaviour"):
        needs_registry(UNKNOWN, 0, 0)
    with pytest.raises(ValueError, match="no allocation strategy"):
        order_types([], "dearest", False, {}, 1)
    with pytest.raises(ValueError, match="shifts no traffic"):
        traffic_steps("ROLLING", 10.0, 0)
    with pytest.raises(ValueError, match="no type of a threshold"):
        breaker_threshold(10, "BOUNDLESS")
