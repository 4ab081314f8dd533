"""Assumptions: modelling choices that no source confirms and that could move the answer of a run.

A section declares its own beside its settings, with `assume`; `assumptions_of` returns those that one scenario makes:
it uses the part of the model, and does not write the setting. Must not know the settings. The reader calls
`assumptions_of`; manifests list them, and the report of a run counts them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from clustersim.scenario.sections.scenario import RunTask, Scenario, Service

NONE = "none"


class Assumption(NamedTuple):
    """An assumption of a run. `setting` is the key that replaces it; None: nothing does."""

    name: str
    value: str
    setting: str | None
    source: str


_declared: dict[str, tuple[Assumption, Callable[[Scenario], bool]]] = {}


def assume(
    name: str,
    value: str,
    used: Callable[[Scenario], bool],
    *,
    setting: str | None = None,
    source: str = NONE,
) -> None:
    """Declare an assumption: its `name`, the `value` of a default in words, and which scenarios make it.

    `setting` is the key in the file, steps joined by dots. A file that has this key makes no assumption; for a key
    inside the blocks of a list (`services[].load.timeout`) `used` compares the resolved value with the default. A name
    may be declared once.
    """
    if name in _declared:
        raise ValueError(f"the assumption {name} is declared twice")
    _declared[name] = Assumption(name=name, value=value, setting=setting, source=source), used


def assumptions_of(scenario: Scenario, data: Mapping[str, Any]) -> tuple[Assumption, ...]:
    """Return the assumptions of a scenario, by name; `data` is the document as written, without defaults."""
    return tuple(
        assumption
        for _, (assumption, used) in sorted(_declared.items())
        if not _is_written(assumption.setting, data) and used(scenario)
    )


def _is_written(setting: str | None, data: Any) -> bool:
    """Return whether the file has a setting that stands in no list."""
    for step in setting.split(".") if setting is not None else ("",):
        if not isinstance(data, Mapping) or step not in data:
            return False
        data = data[step]
    return True


# --- which parts of the model a scenario uses -------------------------------------------------------------


def _placed(scenario: Scenario) -> list[Service | RunTask]:
    """Return what has tasks."""
    return [*scenario.services, *scenario.run_tasks]


def uses_fargate(scenario: Scenario) -> bool:
    """Return whether tasks run on Fargate."""
    return any(
        placed.launch_type == "FARGATE"
        or any(item.capacity_provider.startswith("FARGATE") for item in placed.strategy)
        for placed in _placed(scenario)
    )


def uses_fargate_spot(scenario: Scenario) -> bool:
    """Return whether tasks run on Fargate Spot."""
    return any(
        item.capacity_provider == "FARGATE_SPOT" for placed in _placed(scenario) for item in placed.strategy
    )


def uses_spot_instances(scenario: Scenario) -> bool:
    """Return whether some pool launches Spot instances."""
    return any("spot" in pool.purchase_options for pool in scenario.pools)


def uses_instances(scenario: Scenario) -> bool:
    """Return whether there are EC2 instances of any kind."""
    return bool(scenario.pools)


def uses_groups(scenario: Scenario) -> bool:
    """Return whether there are Auto Scaling groups of container instances."""
    return any(group.machines is None for group in scenario.groups)


def uses_managed_instances(scenario: Scenario) -> bool:
    """Return whether there are providers of ECS Managed Instances."""
    return bool(scenario.managed_instances)


def uses_virtual_machines(scenario: Scenario) -> bool:
    """Return whether services run on virtual machines of their own."""
    return any(service.machines is not None for service in scenario.services)


def uses_interfaces(scenario: Scenario) -> bool:
    """Return whether tasks on instances have network interfaces of their own."""
    return uses_instances(scenario) and any(
        each.network_mode == "awsvpc" for each in scenario.task_definitions
    )


def uses_fluid_requests(scenario: Scenario) -> bool:
    """Return whether requests are simulated as a flow, not one by one."""
    return any(
        service.load is not None and service.load.kind == "requests" and service.load.model == "fluid"
        for service in scenario.services
    )


def uses_load(scenario: Scenario) -> bool:
    """Return whether some service has load."""
    return any(service.load is not None for service in scenario.services)


def uses_providers_that_queue(scenario: Scenario) -> bool:
    """Return whether tasks may wait in PROVISIONING for container instances."""
    return any(
        not item.capacity_provider.startswith("FARGATE")
        for placed in _placed(scenario)
        for item in placed.strategy
    )


def uses_target_tracking(scenario: Scenario) -> bool:
    """Return whether some service follows a metric."""
    return any(
        type(policy).__name__ == "TargetTracking"
        for service in scenario.services
        if service.auto_scaling is not None
        for policy in service.auto_scaling.policies
    )


def loses_capacity(scenario: Scenario) -> bool:
    """Return whether instances or zones fail."""
    failures = scenario.failures
    return bool(failures.container_instances or failures.zone_outages)
