"""The keys of our own inside AWS blocks (`instanceTypes` of a group, `schedule` of a run-task entry ...).

Decides which they are, their shape and defaults; `OWN_KEYS` tells `aws.check_block` which keys to leave to
us. Must not know the API's fields. The resolving modules read blocks through `own_part`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.engine.random_streams import LOGNORMAL
from clustersim.scenario.sections.behavior import WrittenBehavior, WrittenLoad
from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.ecs_agent import EcsConfig
from clustersim.scenario.sections.resolved_section import Distribution
from clustersim.scenario.sections.virtual_machines import VirtualMachines
from clustersim.scenario.sections.written_section import FreeMapping, Written
from clustersim.scenario.text.units import (
    AboveZero,
    AtLeastOne,
    Count,
    DiskGib,
    DurationMs,
    PositiveDurationMs,
    shown,
    wrong,
)
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_SECOND

INSTANCE_LAUNCH = Distribution(code=LOGNORMAL, a=90.0 * MS_PER_SECOND, b=0.3)
MANAGED_LAUNCH = Distribution(code=LOGNORMAL, a=40.0 * MS_PER_SECOND, b=0.2)


def _attributes(value: Any) -> dict[str, tuple[str, ...]]:
    """Attributes of instances: text for all of them, or a list that is dealt out in turn."""
    if not isinstance(value, dict):
        raise wrong(f"{shown(value)} is not a mapping", "write attributes like {disk: ssd}")
    result = {}
    for name, given in value.items():
        values = given if isinstance(given, list) else [given]
        if not values or any(isinstance(item, dict | list) for item in values):
            raise wrong(f"attribute {name} has no plain values", "write text, or a list of texts")
        result[str(name)] = tuple(
            str(item).lower() if isinstance(item, bool) else str(item) for item in values
        )
    return result


Attributes = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(_attributes),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "array", "number"]}}),
]


class OwnGroup(Written):
    """The keys of our own in an Auto Scaling group."""

    instance_types: Annotated[list[str], Field(min_length=1)] | None = None
    purchase_option: Literal["on-demand", "spot"] | None = None
    launch_time: DurationDistribution = INSTANCE_LAUNCH
    attributes: Attributes = Field(default_factory=dict)
    root_volume: DiskGib = 30
    system_disk: DiskGib = 3
    ecs_config: EcsConfig = EcsConfig()
    instance_role: str | None = None
    preloaded_images: list[str] = Field(default_factory=list)
    scaling_policies: list[FreeMapping] = Field(default_factory=list)


class OwnProvider(Written):
    """The keys of our own in an `autoScalingGroupProvider`, beside the group itself."""

    managed_draining_timeout: PositiveDurationMs = 48 * MS_PER_HOUR


class OwnManagedInstances(Written):
    """The keys of our own in a `managedInstancesProvider`."""

    launch_time: DurationDistribution = MANAGED_LAUNCH


class OwnTaskDefinition(Written):
    """The keys of our own in a task definition."""

    revision: AtLeastOne | None = None
    behavior: WrittenBehavior = Field(default_factory=WrittenBehavior)


def _slow_start(ms: int) -> int:
    """ELB API, slow_start.duration_seconds: 30 to 900, or 0."""
    if ms and not 30 * MS_PER_SECOND <= ms <= 900 * MS_PER_SECOND:
        raise wrong(f"{ms / MS_PER_SECOND:g} s is out of range", "30s to 900s, or 0s for none")
    return ms


class OwnTargetGroup(Written):
    """The keys of our own in a target group."""

    deregistration_delay: DurationMs = 300 * MS_PER_SECOND
    initial_health_checks: AtLeastOne = 1
    load_balancing_algorithm_type: Literal["round_robin", "least_outstanding_requests", "weighted_random"] = (
        "round_robin"
    )
    slow_start: Annotated[DurationMs, AfterValidator(_slow_start)] = 0

    @model_validator(mode="after")
    def _slow_start_takes_turns(self) -> OwnTargetGroup:
        if self.slow_start and self.load_balancing_algorithm_type != "round_robin":
            raise wrong(
                "slowStart is of round_robin only", "leave slowStart or loadBalancingAlgorithmType out"
            )
        return self


class OwnService(Written):
    """The keys of our own in a service."""

    auto_scaling: FreeMapping | None = None
    load: WrittenLoad | None = None
    behavior: WrittenBehavior = Field(default_factory=WrittenBehavior)
    virtual_machines: VirtualMachines | None = None


class Arrivals(Written):
    """`arrivals`: a Poisson stream."""

    rate_per_hour: AboveZero


class OwnRunTask(Written):
    """The keys of our own in an entry of `runTasks`."""

    name: Annotated[str, Field(min_length=1)]
    at: Any = None
    schedule: str | None = None
    arrivals: Arrivals | None = None
    trace: str | None = None
    duration: DurationDistribution | None = None
    retries: Count = 0
    behavior: WrittenBehavior = Field(default_factory=WrittenBehavior)


def _keys(model: type[Written]) -> dict[str, None]:
    return {field.alias or name: None for name, field in model.model_fields.items()}


OWN_KEYS: Mapping[str, Mapping[str, Any]] = {
    "autoScalingGroups": _keys(OwnGroup),
    "capacityProviders": {
        "autoScalingGroupProvider": {"autoScalingGroup": None, **_keys(OwnProvider)},
        "managedInstancesProvider": _keys(OwnManagedInstances),
    },
    "taskDefinitions": _keys(OwnTaskDefinition),
    "targetGroups": _keys(OwnTargetGroup),
    "services": {**_keys(OwnService), "deploymentConfiguration": {"lifecycleHooks": {"result": None}}},
    "updateService": {"deploymentConfiguration": {"lifecycleHooks": {"result": None}}},
    "runTasks": _keys(OwnRunTask),
    "policies": {"alarm": None},
    "scalingPolicies": {"alarm": None},
    "autoScaling": {"policies": None, "scheduledActions": None, "metricResolution": None},
}


def own_part(model: type[Written], block: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of our own in a checked block."""
    return {name: block[name] for name in _keys(model) if name in block}
