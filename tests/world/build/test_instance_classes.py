"""Instance classes: which there are, and what their instances offer."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.world.build import instance_classes
from clustersim.world.build.build_world import build_names
from tests.harness import job, scenario_of, world


def test_there_is_a_class_for_each_zone_type_and_combination_of_attributes(tmp_path: Path) -> None:
    """Two zones, and attributes of two and three values, which cycle through lcm(2, 3) = 6 combinations: 12 classes."""
    written = world(2, runTasks=[job()])
    group = written["capacityProviders"][0]["autoScalingGroupProvider"]["autoScalingGroup"]
    group["attributes"] = {"rack": ["a", "b"], "shelf": ["1", "2", "3"]}
    scenario = scenario_of(written, tmp_path)
    pool = scenario.pools[0]
    assert instance_classes.count_attribute_combinations(pool) == 6
    classes, attributes, numbers = instance_classes.build_instance_classes(scenario, build_names(scenario))
    assert classes.size == len(attributes) == len(numbers) == 6 * len(pool.zones) * len(pool.instance_types)
    assert len({(each["rack"], each["shelf"]) for each in attributes}) == 6


def test_an_instance_offers_its_ports_without_those_of_the_agent(tmp_path: Path) -> None:
    """Of 100 ports, five are reserved by default; a port that the agent reserves is a bit of its class."""
    scenario = scenario_of(world(1, runTasks=[job()]), tmp_path)
    classes, _, _ = instance_classes.build_instance_classes(scenario, build_names(scenario))
    assert classes["host_ports"][0] == 95
    built = [(scenario.pools[0], scenario.instance_types[0])]
    reserved = scenario.pools[0].agent.reserved_ports[0]
    assert instance_classes.reserved_ports(built, [1, reserved]).tolist() == [[0b10]]


@pytest.mark.parametrize("spot", [False, True])
def test_the_price_of_an_instance_is_that_of_its_purchase_option(tmp_path: Path, spot: bool) -> None:
    """An instance type without a Spot price costs the same either way."""
    kind = scenario_of(world(1, runTasks=[job()]), tmp_path).instance_types[0]
    priced = kind.model_copy(update={"usd_per_hour": 1.0, "spot_usd_per_hour": 0.25})
    assert instance_classes.instance_usd_per_hour(priced, spot) == (0.25 if spot else 1.0)
    unpriced = priced.model_copy(update={"spot_usd_per_hour": None})
    assert instance_classes.instance_usd_per_hour(unpriced, spot) == 1.0
