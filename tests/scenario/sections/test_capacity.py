"""Groups, providers and failures as read: defaults, invalid input of each kind, warnings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.capacity import ManagedScaling
from clustersim.scenario.sections.failures import SpotInterruptions
from tests.harness import NODE, Block, on, provider, scenario_of, service, world


def read_error(written: Block, directory: Path) -> str:
    """Return the message of the error that an invalid scenario raises."""
    with pytest.raises(ScenarioError) as refused:
        scenario_of(written, directory)
    return str(refused.value)


def world_with_provider(inner: Block, **group: Any) -> Block:
    """Return a scenario whose provider has these settings beside its group."""
    of = provider(**group)
    del of["autoScalingGroupProvider"]["managedScaling"]
    of["autoScalingGroupProvider"] |= inner
    return world(capacityProviders=[of], services=[service()])


def test_defaults_of_a_provider(tmp_path: Path) -> None:
    """No managed scaling, no protection, managed draining for 48 hours; the settings' own defaults are AWS's."""
    (plain,) = scenario_of(world_with_provider({}), tmp_path).providers
    assert (plain.managed_scaling, plain.managed_termination_protection) == (None, False)
    assert (plain.managed_draining, plain.draining_timeout_ms) == (True, 48 * 3_600_000)
    (scaled,) = scenario_of(world_with_provider({"managedScaling": {}}), tmp_path).providers
    assert scaled.managed_scaling == ManagedScaling(
        target_capacity=100,
        minimum_step=1,
        maximum_step=10_000,
        warmup_ms=300_000,
        scale_in_interval_ms=120_000,
    )


def test_protection_without_managed_scaling_is_warned_of(tmp_path: Path) -> None:
    """botocore, AutoScalingGroupProvider: it does not work then."""
    scenario = scenario_of(world_with_provider({"managedTerminationProtection": "ENABLED"}), tmp_path)
    assert not scenario.providers[0].managed_termination_protection
    assert any("does nothing without managed scaling" in warning for warning in scenario.warnings)


@pytest.mark.parametrize(
    ("group", "options", "base", "percent"),
    [
        ({}, ("on-demand",), 0, 100),
        ({"purchaseOption": "spot"}, ("spot",), 0, 0),
        (
            {"mixedInstancesPolicy": {"instancesDistribution": {"onDemandBaseCapacity": 2}}},
            ("on-demand",),
            2,
            100,
        ),
        (
            {"mixedInstancesPolicy": {"instancesDistribution": {"onDemandPercentageAboveBaseCapacity": 0}}},
            ("spot",),
            0,
            0,
        ),
        (
            {
                "mixedInstancesPolicy": {
                    "instancesDistribution": {
                        "onDemandBaseCapacity": 1,
                        "onDemandPercentageAboveBaseCapacity": 0,
                    }
                }
            },
            ("on-demand", "spot"),
            1,
            0,
        ),
    ],
    ids=["plain", "spot", "base of an on-demand group", "all Spot", "base and Spot"],
)
def test_purchase_options(
    tmp_path: Path, group: Block, options: tuple[str, ...], base: int, percent: int
) -> None:
    """Our own `purchaseOption`, or the mixed instances policy; its defaults are 0 and 100 %."""
    keys = {"instanceTypes": [{**NODE, "spotUsdPerHour": 0.1, "spotInterruption": 0.1}]}
    (found,) = scenario_of({**world_with_provider({}, **group), **keys}, tmp_path).groups
    assert found.purchase_options == options
    assert (found.distribution.on_demand_base, found.distribution.on_demand_percent) == (base, percent)


@pytest.mark.parametrize(
    ("group", "said"),
    [
        ({"terminationPolicies": ["OldestInstanse"]}, "did you mean OldestInstance?"),
        ({"instanceTypes": ["m6i.lagre"]}, "did you mean m6i.large"),
        ({"purchaseOption": "spot"}, "test.node has no Spot price"),
    ],
)
def test_an_invalid_group_is_reported(tmp_path: Path, group: Block, said: str) -> None:
    """Each with what would be right."""
    assert said in read_error(world_with_provider({}, **group), tmp_path)


@pytest.mark.parametrize(
    ("failures", "said"),
    [
        (
            {"capacityShortages": [{"at": "1h", "duration": "1h"}]},
            "names no capacity; add capacityProvider: NAME",
        ),
        (
            {"capacityShortages": [{"capacityProvider": "noeds", "at": "1h", "duration": "1h"}]},
            "did you mean nodes?",
        ),
        (
            {"capacityShortages": [{"instanceType": "m6i.large", "at": "1h", "duration": "1h"}]},
            "nothing launches m6i.large",
        ),
        (
            {
                "capacityShortages": [
                    {"capacityProvider": "nodes", "purchaseOption": "sport", "at": 0, "duration": 1}
                ]
            },
            "did you mean spot?",
        ),
        ({"capacityShortages": [{"capacityProvider": "nodes", "at": "1h"}]}, "duration"),
        (
            {"zoneOutages": [{"availabilityZone": "us-east-1z", "at": "1h", "duration": "1h"}]},
            "us-east-1z is not a zone of this scenario",
        ),
        ({"spotInterruptions": "often"}, "catalogue, none or {timeToInterruption: ...}"),
        ({"spotInterruptions": {"monthlyShare": 7.5}}, "write 0.075 for 7.5 %"),
        ({"spotInterruptions": {"monthlyShare": 1}}, "monthlyShare must be below 1"),
        ({"spotInterruptions": {"poolFraction": 0}}, "poolFraction must be above 0"),
        (
            {"spotInterruptions": {"timeToInterruption": "2d", "poolShare": 0.5}},
            "timeToInterruption excludes other keys",
        ),
        ({"spotInterruptions": {"timeToInteruption": "2d"}}, "did you mean timeToInterruption?"),
        ({"fargateTaskRetirement": {}}, "timeToRetirement"),
        ({"agentDisconnects": {"timeToDisconnect": "1d"}}, "duration"),
    ],
)
def test_invalid_failures_are_reported(tmp_path: Path, failures: Block, said: str) -> None:
    """Each with its place and what would be right."""
    found = read_error(world(services=[service()], failures=failures), tmp_path)
    assert said in found
    assert "failures." in found


def test_spot_interruptions_as_written(tmp_path: Path) -> None:
    """By the catalogue half of them as events of pools; a time of one's own stands for itself."""

    def spot(failures: Block) -> SpotInterruptions | None:
        return scenario_of(world(services=[service()], failures=failures), tmp_path).failures.spot

    assert spot({}) == SpotInterruptions(pool_share=0.5, pool_fraction=0.5)
    assert spot({"spotInterruptions": "none"}) is None
    assert spot({"spotInterruptions": {"monthlyShare": 0.1, "poolShare": 0}}) == SpotInterruptions(
        monthly_share=0.1, pool_share=0, pool_fraction=0.5
    )
    own = spot({"spotInterruptions": {"timeToInterruption": "2d"}})
    assert own is not None
    assert own.time_to_interruption is not None


def test_managed_instances_take_no_placement_strategy(tmp_path: Path) -> None:
    """ECS places there itself: the field is passed over with a warning, and the compatibility has to be there."""
    of = {"name": "own", "managedInstancesProvider": {"instanceLaunchTemplate": {}}}
    here = service(capacityProviderStrategy=[on("own")], placementStrategy=[{"type": "random"}])
    scenario = scenario_of(world(capacityProviders=[of], services=[here]), tmp_path)
    assert any("Managed Instances take no placementStrategy" in warning for warning in scenario.warnings)
    only_ec2 = {"taskDefinitions": [{**world()["taskDefinitions"][0], "requiresCompatibilities": ["EC2"]}]}
    said = read_error(world(capacityProviders=[of], services=[here], **only_ec2), tmp_path)
    assert "does not support launch_type MANAGED_INSTANCES" in said
