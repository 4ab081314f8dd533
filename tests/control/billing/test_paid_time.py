"""Paid time as columns: the same as what the kernels accrue."""

from __future__ import annotations

from pathlib import Path

from clustersim.control.billing.paid_time import instance_paid_time, task_paid_time
from clustersim.control.events.column_buffer import ColumnBuffer
from clustersim.world.instances.lifecycle import end_instance
from clustersim.world.state.usage import accrue_all_costs
from tests.harness import MINUTE, SECOND
from tests.world.small import run_task, settle, small_world


def test_a_task_on_an_instance_pays_its_time_to_the_millisecond(tmp_path: Path) -> None:
    """From its placement until it is STOPPED, without rounding: the instance is what is rounded."""
    cluster = small_world(tmp_path, nodes=1)
    run_task(cluster, duration=90_500)
    settle(cluster, 5 * MINUTE)
    paid = task_paid_time(cluster, ColumnBuffer(cluster.state.outputs.finished_tasks[:1]), ended=True)
    assert (paid.until - paid.begin).tolist() == [90_500]
    assert (paid.added.tolist(), paid.billed.tolist(), paid.on_fargate.tolist()) == ([0], [True], [False])


def test_an_instance_that_ended_is_rounded_up(tmp_path: Path) -> None:
    """90.5 s are billed as 91 s; what goes on is not rounded."""
    cluster = small_world(tmp_path, nodes=2)
    first, second = cluster.live_instances()
    cluster.make_room(64, 1)
    accrue_all_costs(cluster.core, 90_500, cluster.live_tasks(), cluster.live_instances())
    end_instance(cluster.core, first, 90_500, 2)
    gone = instance_paid_time(
        cluster, ColumnBuffer(cluster.state.outputs.terminated_instances[:1]), ended=True
    )
    assert (gone.until[0] - gone.begin[0], gone.added[0]) == (90_500, 500)
    alive = instance_paid_time(
        cluster, ColumnBuffer(cluster.state.instances.rows[second : second + 1]), ended=False
    )
    assert (alive.until[0], alive.added[0]) == (90_500, 0)


def test_only_time_within_the_window_is_paid(tmp_path: Path) -> None:
    """After 10 min of warm-up; an instance that began before it is not rounded at its end."""
    cluster = small_world(tmp_path, nodes=1, warmUp="10m", duration="20m")
    (slot,) = cluster.live_instances()
    cluster.make_room(64, 1)
    end_instance(cluster.core, slot, 12 * MINUTE + SECOND // 2, 2)
    paid = instance_paid_time(
        cluster, ColumnBuffer(cluster.state.outputs.terminated_instances[:1]), ended=True
    )
    assert (paid.begin[0], paid.until[0], paid.added[0]) == (10 * MINUTE, 12 * MINUTE + SECOND // 2, 0)
