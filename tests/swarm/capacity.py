"""What the swarm draws of capacity and failures: groups, managed scaling, Managed Instances, what is taken away.

Each function dresses a part of a scenario in the making; `pick` says whether a feature is on and counts it. Knows how
scenarios are written, not how they run.
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
    """A scenario in the making."""

    luck: random.Random
    minutes: int

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Whether a feature goes in here."""

    def can(self, *names: str) -> bool:
        """Whether the switch of any of these features is on."""


def dress_group(drawing: Drawing, group: Block) -> None:
    """Types, purchase options, policies and protection of a group of the swarm's own types."""
    luck = drawing.luck
    kinds = list(group["instanceTypes"])
    if "purchaseOption" not in group:
        if drawing.pick("several_types", 0.7):
            kinds += [kind for kind in ("swarm.small", "swarm.middle", "swarm.wide") if kind not in kinds]
        if drawing.pick("mixed_purchase", 0.6):
            group.pop("instanceTypes")
            group["mixedInstancesPolicy"] = {
                "instancesDistribution": {
                    "onDemandBaseCapacity": luck.randint(0, 3),
                    "onDemandPercentageAboveBaseCapacity": luck.choice((0, 30, 50, 100)),
                    "onDemandAllocationStrategy": luck.choice(("prioritized", "lowest-price")),
                    "spotAllocationStrategy": luck.choice(STRATEGIES),
                },
                "launchTemplate": {"overrides": [{"instanceType": kind} for kind in kinds]},
            }
        else:
            group["instanceTypes"] = kinds
    if drawing.pick("termination_policies", 0.7):
        group["terminationPolicies"] = luck.sample(POLICIES, luck.randint(1, 2))
    if drawing.pick("scale_in_protection", 0.5):
        group["newInstancesProtectedFromScaleIn"] = True
    if drawing.pick("spot_draining", 0.7):
        group["ecsConfig"] = {"ECS_ENABLE_SPOT_INSTANCE_DRAINING": True}


def dress_provider(drawing: Drawing, provider: Block) -> None:
    """Managed scaling, termination protection and draining."""
    luck = drawing.luck
    inner = provider["autoScalingGroupProvider"]
    if drawing.pick("managed_scaling", 0.8):
        inner["managedScaling"] = {
            "targetCapacity": luck.choice((50, 80, 90, 100, 100)),
            "minimumScalingStepSize": luck.choice((1, 1, 3)),
            "maximumScalingStepSize": luck.choice((3, 4, 10_000)),
            "instanceWarmupPeriod": luck.choice((0, 60, 300)),
        }
        if drawing.pick("termination_protection", 0.7):
            inner["managedTerminationProtection"] = "ENABLED"
    if drawing.pick("no_draining", 0.5):
        inner["managedDraining"] = "DISABLED"
    else:
        inner["managedDrainingTimeout"] = f"{luck.randint(2, 60)}m"


def managed_provider(drawing: Drawing) -> Block:
    """A provider of Managed Instances of the swarm's own types."""
    luck = drawing.luck
    kinds = ["swarm.small", "swarm.middle", "swarm.wide"]
    template: Block = {
        "instanceRequirements": {"allowedInstanceTypes": luck.sample(kinds, luck.randint(1, 3))},
        "capacityOptionType": luck.choice(("ON_DEMAND", "SPOT")),
    }
    after = luck.choice(({}, {"scaleInAfter": 0}, {"scaleInAfter": 120}, {"scaleInAfter": -1}))
    of = {"instanceLaunchTemplate": template, "infrastructureOptimization": after}
    return {"name": "own", "managedInstancesProvider": {"launchTime": f"{luck.randint(5, 90)}s", **of}}


def drawn_failures(drawing: Drawing, providers: list[str]) -> Block:
    """What breaks and what is taken away; without its feature Spot is never interrupted."""
    luck = drawing.luck
    failures: Block = {"spotInterruptions": "none", "fargateSpotInterruptions": "none"}

    def span() -> Block:
        at = luck.randint(1, drawing.minutes - 5)
        return {"at": f"{at}m", "duration": f"{luck.randint(1, 40)}m"}

    if drawing.pick("zone_outages"):
        zones = luck.sample(ZONES, luck.randint(1, 2))
        failures["zoneOutages"] = [{"availabilityZone": zone, **span()} for zone in zones]
    if drawing.pick("shortages"):
        failures["capacityShortages"] = [
            _shortage(drawing, providers) | span() for _ in range(luck.randint(1, 3))
        ]
    if drawing.pick("spot_interruptions"):
        mean = {"distribution": "exponential", "mean": f"{luck.randint(20, 200)}m"}
        failures["spotInterruptions"] = luck.choice(
            (
                {"timeToInterruption": mean},
                {"monthlyShare": 0.999, "poolShare": 0.5, "poolFraction": 0.01},
                "catalogue",
            )
        )
    if drawing.pick("fargate_spot_interruptions"):
        mean = {"distribution": "exponential", "mean": f"{luck.randint(20, 200)}m"}
        failures["fargateSpotInterruptions"] = luck.choice(
            ({"timeToInterruption": mean}, {"monthlyShare": 0.999, "poolShare": 1, "poolFraction": 0.02})
        )
    if drawing.pick("retirement"):
        failures["fargateTaskRetirement"] = {"timeToRetirement": f"{luck.randint(10, 120)}m"}
    if drawing.pick("agent_disconnects"):
        failures["agentDisconnects"] = {
            "timeToDisconnect": {"distribution": "exponential", "mean": f"{luck.randint(30, 300)}m"},
            "duration": {"distribution": "exponential", "mean": f"{luck.randint(1, 20)}m"},
        }
    return failures


def _shortage(drawing: Drawing, providers: list[str]) -> Block:
    """A shortage of a provider or of a type, of one purchase option or both, in a zone or in all."""
    luck = drawing.luck
    of: Block = {"capacityProvider": luck.choice([*providers, "FARGATE", "FARGATE_SPOT"])}
    if luck.random() < 0.4:
        of["purchaseOption"] = luck.choice(("spot", "on-demand"))
    if luck.random() < 0.5:
        of["availabilityZone"] = luck.choice(ZONES)
    return {**of, "reclaim": luck.random() < 0.5}
