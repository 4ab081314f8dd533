"""The keys of our own inside AWS blocks (`instanceTypes` of a group, `schedule` of a run-task entry ...).

Decides which they are, their shape and defaults; `OWN_KEYS` lists the keys that `aws.block_validation` leaves alone.
Must not know the API's fields. The modules of `resolve` read blocks through `pick_own_keys`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.engine.random_streams import LOGNORMAL
from clustersim.scenario.sections.behavior import WrittenBehavior
from clustersim.scenario.sections.deployment import WrittenCircuitBreakerKeys
from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.ecs_agent import SYSTEM_DISK_GIB, WrittenEcsConfig
from clustersim.scenario.sections.load import WrittenLoad
from clustersim.scenario.sections.resolved_section import Distribution, PurchaseOption
from clustersim.scenario.sections.virtual_machines import WrittenVirtualMachines
from clustersim.scenario.sections.written_section import FreeMapping, WrittenSection
from clustersim.scenario.text.assumptions import assume
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import (
    AboveZero,
    AtLeastOne,
    Count,
    DiskGib,
    DurationMs,
    PositiveDurationMs,
    quote_value,
    value_error,
)
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, ScalingProcess

INSTANCE_LAUNCH_TIME = Distribution(code=LOGNORMAL, a=90.0 * MS_PER_SECOND, b=0.3)
MANAGED_INSTANCE_LAUNCH_TIME = Distribution(code=LOGNORMAL, a=40.0 * MS_PER_SECOND, b=0.2)


def _parse_attributes(value: Any) -> dict[str, tuple[str, ...]]:
    """Return attributes of instances: one value for all of them, or several that are assigned in turn."""
    if not isinstance(value, dict):
        raise value_error(f"{quote_value(value)} is not a mapping", "write attributes like {disk: ssd}")
    result = {}
    for name, given in value.items():
        values = given if isinstance(given, list) else [given]
        if not values or any(isinstance(item, dict | list) for item in values):
            raise value_error(f"attribute {name} must have text values", "write text, or a list of texts")
        result[str(name)] = tuple(
            str(item).lower() if isinstance(item, bool) else str(item) for item in values
        )
    return result


Attributes = Annotated[
    dict[str, tuple[str, ...]],
    BeforeValidator(_parse_attributes),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "array", "number"]}}),
]


_PROCESSES = [process.value for process in ScalingProcess]
_DEPRECATED_PROCESS = "RemoveFromLoadBalancerLowPriority"  # describe calls may still list it


def parse_processes(value: Any) -> tuple[ScalingProcess, ...]:
    """Return processes given by name, or as a describe call lists them (`ProcessName`), each of them once."""
    if not isinstance(value, list | tuple):
        hint = f"a list like [{_PROCESSES[0]}, {_PROCESSES[1]}]"
        raise value_error(f"{quote_value(value)} is not a list", hint)
    found = []
    for item in value:
        name = item
        if isinstance(item, dict):
            name = next((item[key] for key in item if str(key).lower() == "processname"), None)
        if name == _DEPRECATED_PROCESS:
            continue
        if name not in _PROCESSES:
            raise value_error(f"{quote_value(name)} is not a process", suggest_name(str(name), _PROCESSES))
        found.append(ScalingProcess(name))
    return tuple(dict.fromkeys(found))


SuspendedProcesses = Annotated[
    tuple[ScalingProcess, ...],
    BeforeValidator(parse_processes),
    WithJsonSchema({"type": "array", "items": {"anyOf": [{"enum": _PROCESSES}, {"type": "object"}]}}),
]


class OwnAutoScalingGroupKeys(WrittenSection):
    """The keys of our own in an Auto Scaling group."""

    instance_types: Annotated[list[str], Field(min_length=1)] | None = None
    purchase_option: PurchaseOption | None = None
    launch_time: DurationDistribution = INSTANCE_LAUNCH_TIME
    attributes: Attributes = Field(default_factory=dict)
    root_volume: DiskGib = 30
    system_disk: DiskGib = SYSTEM_DISK_GIB
    ecs_config: WrittenEcsConfig = WrittenEcsConfig()
    instance_role: str | None = None
    preloaded_images: list[str] = Field(default_factory=list)
    scaling_policies: list[FreeMapping] = Field(default_factory=list)
    suspended_processes: SuspendedProcesses = ()


class OwnCapacityProviderKeys(WrittenSection):
    """The keys of our own in an `autoScalingGroupProvider`, beside the group itself."""

    managed_draining_timeout: PositiveDurationMs = 48 * MS_PER_HOUR


class OwnManagedScalingKeys(WrittenSection):
    """The keys of our own in `managedScaling`."""

    scale_in_interval: PositiveDurationMs = 2 * MS_PER_MINUTE


class OwnManagedInstancesKeys(WrittenSection):
    """The keys of our own in a `managedInstancesProvider`."""

    launch_time: DurationDistribution = MANAGED_INSTANCE_LAUNCH_TIME
    stops_tasks_when_draining: bool = False


class OwnTaskDefinitionKeys(WrittenSection):
    """The keys of our own in a task definition."""

    revision: AtLeastOne | None = None
    behavior: WrittenBehavior = Field(default_factory=WrittenBehavior)


def _check_slow_start(ms: int) -> int:
    """Check the range of ELB's attribute slow_start.duration_seconds: 30 to 900, or 0."""
    if ms and not 30 * MS_PER_SECOND <= ms <= 900 * MS_PER_SECOND:
        raise value_error(f"{ms / MS_PER_SECOND:g} s is out of range", "30s to 900s, or 0s for none")
    return ms


class OwnTargetGroupKeys(WrittenSection):
    """The keys of our own in a target group."""

    deregistration_delay: DurationMs = 300 * MS_PER_SECOND
    initial_health_checks: AtLeastOne = 1
    load_balancing_algorithm_type: Literal["round_robin", "least_outstanding_requests", "weighted_random"] = (
        "round_robin"
    )
    slow_start: Annotated[DurationMs, AfterValidator(_check_slow_start)] = 0

    @model_validator(mode="after")
    def _check_slow_start_routing(self) -> OwnTargetGroupKeys:
        if self.slow_start and self.load_balancing_algorithm_type != "round_robin":
            raise value_error(
                "slowStart applies to round_robin only", "leave slowStart or loadBalancingAlgorithmType out"
            )
        return self


class OwnServiceKeys(WrittenSection):
    """The keys of our own in a service."""

    auto_scaling: FreeMapping | None = None
    load: WrittenLoad | None = None
    behavior: WrittenBehavior = Field(default_factory=WrittenBehavior)
    virtual_machines: WrittenVirtualMachines | None = None


class WrittenArrivals(WrittenSection):
    """`arrivals`: a Poisson stream."""

    rate_per_hour: AboveZero


class OwnRunTaskKeys(WrittenSection):
    """The keys of our own in an entry of `runTasks`."""

    name: Annotated[str, Field(min_length=1)]
    at: Any = None
    schedule: str | None = None
    arrivals: WrittenArrivals | None = None
    trace: str | None = None
    duration: DurationDistribution | None = None
    retries: Count = 0
    behavior: WrittenBehavior = Field(default_factory=WrittenBehavior)


OWN_STRATEGY_KEYS: Mapping[str, None] = {"policy": None, "parameters": None}
"""The keys of our own in an item of `placementStrategy`, of type custom."""


def _key_names(model: type[WrittenSection]) -> dict[str, None]:
    return {field.alias or name: None for name, field in model.model_fields.items()}


_DEPLOYMENT_KEYS = {
    "deploymentCircuitBreaker": _key_names(WrittenCircuitBreakerKeys),
    "lifecycleHooks": {"result": None},
}

OWN_KEYS: Mapping[str, Mapping[str, Any]] = {
    "autoScalingGroups": _key_names(OwnAutoScalingGroupKeys),
    "capacityProviders": {
        "autoScalingGroupProvider": {
            "autoScalingGroup": None,
            "managedScaling": _key_names(OwnManagedScalingKeys),
            **_key_names(OwnCapacityProviderKeys),
        },
        "managedInstancesProvider": _key_names(OwnManagedInstancesKeys),
    },
    "taskDefinitions": _key_names(OwnTaskDefinitionKeys),
    "targetGroups": _key_names(OwnTargetGroupKeys),
    "services": {
        **_key_names(OwnServiceKeys),
        "placementStrategy": OWN_STRATEGY_KEYS,
        "deploymentConfiguration": _DEPLOYMENT_KEYS,
    },
    "updateService": {"deploymentConfiguration": _DEPLOYMENT_KEYS},
    "runTasks": {**_key_names(OwnRunTaskKeys), "placementStrategy": OWN_STRATEGY_KEYS},
    "policies": {"alarm": None},
    "scalingPolicies": {"alarm": None},
    "autoScaling": {"policies": None, "scheduledActions": None, "metricResolution": None},
}


def pick_own_keys(model: type[WrittenSection], block: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys of our own in a checked block."""
    return {name: block[name] for name in _key_names(model) if name in block}


assume(
    "launch-time",
    "lognormal, median 90 s, sigma 0.3, from request to registered",
    lambda scenario: any(
        pool.machines is None and pool.launch_time == INSTANCE_LAUNCH_TIME for pool in scenario.groups
    ),
    setting="autoScalingGroups[].launchTime",
    source="1 to 3 minutes are usual",
)
assume(
    "managed-instances-launch-time",
    "lognormal, median 40 s, sigma 0.2, from request to registered",
    lambda scenario: any(
        pool.launch_time == MANAGED_INSTANCE_LAUNCH_TIME for pool in scenario.managed_instances
    ),
    setting="capacityProviders[].managedInstancesProvider.launchTime",
    source="one public measurement",
)
