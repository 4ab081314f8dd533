"""Areas and cost: sums of counts times ms, and the billing of an interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.pricing.billed_time import billed_seconds
from clustersim.world.instances.lifecycle import end_instance
from clustersim.world.state.usage import accrue_all_costs, integrate_all, integrate_service
from tests.harness import HOUR, MINUTE, SECOND
from tests.world.small import run_task, settle, small_world

HOURLY = 0.36 + 30 * 0.08 / 730  # of a test.node and its root volume


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_an_area_is_the_sum_of_counts_times_time(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int]]
) -> None:
    """A step is (ms that pass, count and threshold from then on)."""
    cluster = small_world(tmp_path_factory.mktemp("area"))
    row = cluster.state.services.rows[0]
    now = area = available = 0
    row["threshold"] = 0
    for passed, count, threshold in steps:
        area += int(row["running"]) * passed
        available += passed * int(row["running"] >= row["threshold"])
        now += passed
        integrate_service(cluster.core, 0, now)
        row["running"], row["threshold"] = count, threshold
    assert (row["running_area"], row["available_ms"]) == (area, available)


@pytest.mark.parametrize("life_ms", [1, 59_999, 60_000, 60_001, 61_000, 3_599_500])
def test_an_instance_is_billed_by_the_begun_second_and_a_minute_at_least(
    tmp_path: Path, life_ms: int
) -> None:
    """The same rule as `policy.pricing.billed_time`, which shares no code with it."""
    cluster = small_world(tmp_path, nodes=1)
    slot = cluster.live_instances()[0]
    cluster.make_room(64, 1)
    end_instance(cluster.core, slot, life_ms, 2)
    assert cluster.state.outputs.terminated_instances[0]["cost"] == pytest.approx(
        billed_seconds(0, life_ms) / 3_600 * HOURLY, rel=1e-12
    )
    assert cluster.state.outputs.class_ms.sum() == billed_seconds(0, life_ms) * SECOND


def test_a_task_pays_its_share_by_reservation(tmp_path: Path) -> None:
    """512 of 4,096 units and 1,024 of 8,192 MiB are an eighth, however a vCPU is weighed against a GiB."""
    cluster = small_world(tmp_path, nodes=1)
    run_task(cluster, duration=30 * MINUTE)
    settle(cluster, HOUR)
    assert cluster.state.outputs.finished_tasks[0]["cost"] == pytest.approx(HOURLY / 8 / 2)


def test_accruing_in_steps_is_accruing_at_once(tmp_path: Path) -> None:
    """The end of a cost period must not change the sum: integers are summed, prices come last."""
    sums = []
    for name, stops in (("steps", range(7, HOUR, 999_983)), ("once", range(0))):
        cluster = small_world(tmp_path / name, nodes=1)
        run_task(cluster)
        for now in (*stops, HOUR):
            accrue_all_costs(cluster.core, now, cluster.live_tasks(), cluster.live_instances())
        sums.append((int(cluster.state.outputs.class_ms.sum()), int(cluster.state.outputs.weight_ms.sum())))
    assert sums[0] == sums[1] == (HOUR, HOUR * (9 * 512 + 1_024))


def test_time_outside_the_window_costs_nothing(tmp_path: Path) -> None:
    """Contract, section 4: nothing outside `start` to the end is in the bill."""
    cluster = small_world(tmp_path, nodes=1, warmUp="10m", duration="20m")
    accrue_all_costs(cluster.core, 5 * MINUTE, cluster.live_tasks(), cluster.live_instances())
    assert cluster.state.outputs.class_ms.sum() == 0
    accrue_all_costs(cluster.core, 15 * MINUTE, cluster.live_tasks(), cluster.live_instances())
    assert cluster.state.outputs.class_ms.sum() == 5 * MINUTE
    accrue_all_costs(cluster.core, 40 * MINUTE, cluster.live_tasks(), cluster.live_instances())
    assert cluster.state.outputs.class_ms.sum() == 20 * MINUTE


def test_reservation_areas_of_a_large_fleet_do_not_overflow(tmp_path: Path) -> None:
    """1,000 instances of 1.5 TiB for 90 days: 1,572,864,000 MiB x 7,776,000,000 ms is 1.22e19, beyond 2^63."""
    cluster = small_world(tmp_path, nodes=1)
    memory, days = 1_000 * 1_572_864, 90 * 24 * HOUR
    provider = cluster.state.capacity.providers[0]
    for column in ("memory", "registered_memory"):
        provider[column] = memory
    integrate_all(cluster.core, days, np.zeros(0, np.int64))
    for column in ("memory_area", "registered_memory_area"):
        assert float(provider[column]) == pytest.approx(memory * days, rel=1e-12)
