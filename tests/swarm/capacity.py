"""Random capacity and failures for the swarm: groups, managed scaling, Managed Instances, outages, interruptions.

Each function adds to a part of a scenario that is being drawn; `pick` decides whether a feature is on and counts it.
The module uses the format of scenarios, not the simulator.
"""

from __future__ import annotations

import random
from typing import Any, Protocol

Block = dict[str, Any]

CAPACITY_FEATURES = (
    *("mixed_purchase", "several_types", "termination_policies", "scale_in_protection", "no_draining"),
    *("managed_scaling", "termination_protection", "managed_instances", "zone_outages", "shortages"),
    *("spot_interruptions", "spot_draining", "fargate_spot_interruptions", "retirement", "agent_disconnects"),
)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
SPOT_PRICES = {"spotInterruption": 0.2}
STRATEGIES = (
    "lowest-price",
    "capacity-optimized",
    "price-capacity-optimized",
    "capacity-optimized-prioritized",
)
POLICIES = ("Default", "OldestInstance", "NewestInstance", "ClosestToNextInstanceHour", "AllocationStrategy")


class Drawing(Protocol):
    """The scenario that is being drawn."""

    rng: random.Random
    minutes: int

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Whether a feature goes in here."""

    def can(self, *names: str) -> bool:
        """Whether the switch of any of these features is on."""


def add_group_options(drawing: Drawing, group: Block) -> None:
    """Add types, purchase options, policies and protection to a group of instance types of the swarm."""
    rng = drawing.rng
    kinds = list(group["instanceTypes"])
    if "purchaseOption" not in group:
        if drawing.pick("several_types", 0.7):
            kinds += [kind for kind in ("swarm.small", "swarm.middle", "swarm.wide") if kind not in kinds]
        if drawing.pick("mixed_purchase", 0.6):
            group.pop("instanceTypes")
            group["mixedInstancesPolicy"] = {
                "instancesDistribution": {
                    "onDemandBaseCapacity": rng.randint(0, 3),
                    "onDemandPercentageAboveBaseCapacity": rng.choice((0, 30, 50, 100)),
                    "onDemandAllocationStrategy": rng.choice(("prioritized", "lowest-price")),
                    "spotAllocationStrategy": rng.choice(STRATEGIES),
                },
                "launchTemplate": {"overrides": [{"instanceType": kind} for kind in kinds]},
            }
        else:
            group["instanceTypes"] = kinds
    if drawing.pick("termination_policies", 0.7):
        group["terminationPolicies"] = rng.sample(POLICIES, rng.randint(1, 2))
    if drawing.pick("scale_in_protection", 0.5):
        group["newInstancesProtectedFromScaleIn"] = True
    if drawing.pick("spot_draining", 0.7):
        group["ecsConfig"] = {"ECS_ENABLE_SPOT_INSTANCE_DRAINING": True}


def add_provider_options(drawing: Drawing, provider: Block) -> None:
    """Add managed scaling, termination protection and draining to a provider."""
    rng = drawing.rng
    inner = provider["autoScalingGroupProvider"]
    if drawing.pick("managed_scaling", 0.8):
        inner["managedScaling"] = {
            "targetCapacity": rng.choice((50, 80, 90, 100, 100)),
            "minimumScalingStepSize": rng.choice((1, 1, 3)),
            "maximumScalingStepSize": rng.choice((3, 4, 10_000)),
            "instanceWarmupPeriod": rng.choice((0, 60, 300)),
        }
        if drawing.pick("termination_protection", 0.7):
            inner["managedTerminationProtection"] = "ENABLED"
    if drawing.pick("no_draining", 0.5):
        inner["managedDraining"] = "DISABLED"
    else:
        inner["managedDrainingTimeout"] = f"{rng.randint(2, 60)}m"


def draw_managed_instances_provider(drawing: Drawing) -> Block:
    """Draw a provider of Managed Instances of instance types of the swarm."""
    rng = drawing.rng
    kinds = ["swarm.small", "swarm.middle", "swarm.wide"]
    template: Block = {
        "instanceRequirements": {"allowedInstanceTypes": rng.sample(kinds, rng.randint(1, 3))},
        "capacityOptionType": rng.choice(("ON_DEMAND", "SPOT")),
    }
    after = rng.choice(({}, {"scaleInAfter": 0}, {"scaleInAfter": 120}, {"scaleInAfter": -1}))
    of = {"instanceLaunchTemplate": template, "infrastructureOptimization": after}
    return {"name": "own", "managedInstancesProvider": {"launchTime": f"{rng.randint(5, 90)}s", **of}}


def draw_failures(drawing: Drawing, providers: list[str]) -> Block:
    """Draw failures and interruptions; without its feature Spot is never interrupted."""
    rng = drawing.rng
    failures: Block = {"spotInterruptions": "none", "fargateSpotInterruptions": "none"}

    def span() -> Block:
        at = rng.randint(1, drawing.minutes - 5)
        return {"at": f"{at}m", "duration": f"{rng.randint(1, 40)}m"}

    if drawing.pick("zone_outages"):
        zones = rng.sample(ZONES, rng.randint(1, 2))
        failures["zoneOutages"] = [{"availabilityZone": zone, **span()} for zone in zones]
    if drawing.pick("shortages"):
        failures["capacityShortages"] = [
            _draw_shortage(drawing, providers) | span() for _ in range(rng.randint(1, 3))
        ]
    if drawing.pick("spot_interruptions"):
        mean = {"distribution": "exponential", "mean": f"{rng.randint(20, 200)}m"}
        failures["spotInterruptions"] = rng.choice(
            (
                {"timeToInterruption": mean},
                {"monthlyShare": 0.999, "poolShare": 0.5, "poolFraction": 0.01},
                "catalogue",
            )
        )
    if drawing.pick("fargate_spot_interruptions"):
        mean = {"distribution": "exponential", "mean": f"{rng.randint(20, 200)}m"}
        failures["fargateSpotInterruptions"] = rng.choice(
            ({"timeToInterruption": mean}, {"monthlyShare": 0.999, "poolShare": 1, "poolFraction": 0.02})
        )
    if drawing.pick("retirement"):
        failures["fargateTaskRetirement"] = {"timeToRetirement": f"{rng.randint(10, 120)}m"}
    if drawing.pick("agent_disconnects"):
        failures["agentDisconnects"] = {
            "timeToDisconnect": {"distribution": "exponential", "mean": f"{rng.randint(30, 300)}m"},
            "duration": {"distribution": "exponential", "mean": f"{rng.randint(1, 20)}m"},
        }
    return failures


def _draw_shortage(drawing: Drawing, providers: list[str]) -> Block:
    """Draw a shortage of a provider, of one purchase option or both, in one zone or in all."""
    rng = drawing.rng
    of: Block = {"capacityProvider": rng.choice([*providers, "FARGATE", "FARGATE_SPOT"])}
    if rng.random() < 0.4:
        of["purchaseOption"] = rng.choice(("spot", "on-demand"))
    if rng.random() < 0.5:
        of["availabilityZone"] = rng.choice(ZONES)
    return {**of, "reclaim": rng.random() < 0.5}
