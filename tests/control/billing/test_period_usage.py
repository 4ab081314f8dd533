"""The usage of a cost period: divided among payers, idle capacity and commitments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from clustersim.control.billing.period_usage import NO_PAYER, PeriodUsage, Reading
from clustersim.control.billing.price_list import PriceList
from clustersim.policy.pricing.commitments import Coverage, ReservedInstances
from clustersim.world.state.world import World
from tests.harness import HOUR, provider
from tests.world.small import small_world

WEIGHT = 9 * 4096 + 8192  # of a test.node


@pytest.fixture
def cluster(tmp_path: Path) -> World:
    """One instance class, free volumes."""
    group = provider(count=1, availabilityZones=["us-east-1a"])
    return small_world(tmp_path, capacityProviders=[group], pricing={"ebsUsdPerGibMonth": 0})


def reading(cluster: World, share: float) -> Reading:
    """An hour of one instance, of which the first payer reserves a share."""
    weight_ms, fargate_ms = (
        np.zeros_like(cluster.state.outputs.weight_ms),
        np.zeros_like(cluster.state.outputs.fargate_ms),
    )
    weight_ms[0, 0] = share * WEIGHT * HOUR
    return Reading(0, HOUR, weight_ms, fargate_ms, np.array([HOUR]))


def period(cluster: World, coverage: Coverage) -> PeriodUsage:
    payers = cluster.state.outputs.weight_ms.shape[0]
    return PeriodUsage(0, PriceList(cluster), coverage, payers, np.array([float(WEIGHT)]))


def test_what_no_task_reserves_is_idle(cluster: World) -> None:
    """A quarter of an hour at 0.36 USD is the payer's, the rest nobody's."""
    coverage = Coverage(PriceList(cluster).columns)
    usage = period(cluster, coverage)
    usage.add(reading(cluster, 0.25), np.ones((1, 2)), np.zeros(0))
    items = usage.line_items()
    instance = items.sku == 0
    assert items.payer[instance].tolist() == [0, NO_PAYER]
    assert items.effective[instance] == pytest.approx([0.09, 0.27])
    assert usage.class_hours().tolist() == [1.0]


def test_a_full_instance_has_no_idle_item(cluster: World) -> None:
    """Rounding errors of the shares neither make idle negative nor leave a trace of it."""
    usage = period(cluster, Coverage(PriceList(cluster).columns))
    for share in (1.0, 1.0 + 1e-15, 1.0 - 1e-15):
        usage.add(reading(cluster, share), np.ones((1, 2)), np.zeros(0))
    assert NO_PAYER not in usage.line_items().payer


def test_covered_usage_is_an_item_of_its_own(cluster: World) -> None:
    """Half an instance-hour is reserved at 0.20: both payers have a covered and an uncovered half."""
    columns = PriceList(cluster).columns
    coverage = Coverage(columns, reserved_instances=[ReservedInstances("test.node", 1, 0.20)])
    taken = reading(cluster, 0.25)
    usage = period(cluster, coverage)
    usage.add(taken, *coverage.settle(taken.by_column(PriceList(cluster)), 0.5))
    items = usage.line_items()
    instance = items.sku == 0
    assert items.commitment[instance].tolist() == [NO_PAYER, 0, NO_PAYER, 0]
    assert items.billed[instance] == pytest.approx([0.045, 0, 0.135, 0])
    assert items.effective[instance] == pytest.approx([0.045, 0.025, 0.135, 0.075])
    assert usage.unused.tolist() == [0.0]
