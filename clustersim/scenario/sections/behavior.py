"""The key `behavior` of services and task definitions: what an application does.

Decides its shape, defaults and limits. Must not know services, task definitions or load. `resolve.load` turns the
written form into the resolved one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from clustersim.policy.tasks.iam_evaluation import Call
from clustersim.scenario.sections.distributions import DurationDistribution, parse_duration_distribution
from clustersim.scenario.sections.resolved_section import Distribution, ResolvedSection
from clustersim.scenario.sections.roles import WrittenCall
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.assumptions import assume, uses_instances, uses_load
from clustersim.scenario.text.units import (
    FractionalMs,
    MemoryMib,
    Share,
    parse_count,
    parse_duration_ms,
    value_error,
)
from clustersim.vocabulary import MS_PER_SECOND

if TYPE_CHECKING:
    from clustersim.scenario.sections.scenario import Scenario


def _parse_distribution_or_never(value: Any) -> Distribution | None:
    return None if value == "never" or value is None else parse_duration_distribution(value)


def _parse_exit_code(value: Any) -> int:
    code = parse_count(value)
    if code > 255:
        raise value_error(f"{code} is not an exit code", "0 to 255")
    return code


def _parse_ready_time(value: Any) -> int | None:
    return None if value == "never" else parse_duration_ms(value)


def _parse_protection_minutes(value: Any) -> int:
    minutes = parse_count(value)
    if not 1 <= minutes <= 2_880:  # ECS API: UpdateTaskProtection.expiresInMinutes
        raise value_error(f"{minutes} minutes are out of range", "1 to 2880")
    return minutes


DistributionOrNever = Annotated[
    Distribution | None,
    BeforeValidator(_parse_distribution_or_never),
    WithJsonSchema({"description": "a duration, a distribution, or never"}),
]
ExitCode = Annotated[
    int, BeforeValidator(_parse_exit_code), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255})
]

# --- behaviour ---------------------------------------------------------------------------------------------


class Lifecycle(ResolvedSection):
    """The lifecycle of a container, or of the task as a whole; `ready_time_ms` None: it never becomes ready."""

    startup_time: Distribution = Distribution()
    ready_time_ms: int | None = 0
    time_to_failure: Distribution | None = None
    time_to_hang: Distribution | None = None
    start_failure_probability: float = 0.0
    exit_code: int = 1
    stop_time: Distribution | None = Distribution(a=1.0 * MS_PER_SECOND)
    stop_exit_code: int = 143


_DEFAULTS = Lifecycle()


class WrittenLifecycle(WrittenSection):
    """The lifecycle of a container, or of the task as a whole."""

    startup_time: DurationDistribution = _DEFAULTS.startup_time
    ready_time: Annotated[int | None, BeforeValidator(_parse_ready_time)] = _DEFAULTS.ready_time_ms
    time_to_failure: DistributionOrNever = _DEFAULTS.time_to_failure
    time_to_hang: DistributionOrNever = _DEFAULTS.time_to_hang
    start_failure_probability: Share = _DEFAULTS.start_failure_probability
    exit_code: ExitCode = _DEFAULTS.exit_code
    stop_time: DistributionOrNever = _DEFAULTS.stop_time
    stop_exit_code: ExitCode = _DEFAULTS.stop_exit_code


class WrittenContainerBehavior(WrittenLifecycle):
    """An entry of `behavior.containers`: the keys in which one container differs from the task as a whole."""

    duration: DurationDistribution | None = None


class ContainerBehavior(Lifecycle):
    """The behaviour of one container; `duration` is the run time of one that ends when its work is done."""

    duration: Distribution | None = None


class WrittenMemoryPerTask(WrittenSection):
    """`memoryPerTask`: the memory of an idle task, and the memory of each request in it."""

    base: MemoryMib = 0.0
    per_concurrent_request: MemoryMib = 0.0


class MemoryPerTask(ResolvedSection):
    """The memory of a task: `base_mib`, and `per_concurrent_request_mib` for each request in it."""

    base_mib: float
    per_concurrent_request_mib: float


class WrittenTaskProtection(WrittenSection):
    """`taskProtection`: each task sets scale-in protection when it starts (UpdateTaskProtection)."""

    expires_in_minutes: Annotated[int, BeforeValidator(_parse_protection_minutes)] = 120


class WrittenBehavior(WrittenLifecycle):
    """`behavior`: of all revisions under a service, or of one task definition."""

    cpu_time_per_request: FractionalMs | None = None
    memory_per_task: WrittenMemoryPerTask | None = None
    task_protection: WrittenTaskProtection | None = None
    calls: list[WrittenCall] = Field(default_factory=list)
    containers: dict[str, WrittenContainerBehavior] = Field(default_factory=dict)


class Behavior(Lifecycle):
    """The behaviour of a task; the keys of its task definition take precedence over those of the service.

    `protection_ms` 0: no scale-in protection. `containers` holds only the keys that a container sets itself.
    """

    protection_ms: int = 0
    containers: tuple[tuple[str, ContainerBehavior], ...] = ()
    cpu_time_per_request_ms: float | None = None
    memory_per_task: MemoryPerTask | None = None
    calls: tuple[Call, ...] = ()


def _behaves(scenario: Scenario, has: Callable[[Behavior], bool]) -> bool:
    """Return whether a service or an entry has tasks that behave so."""
    of_services = (behavior for service in scenario.services for _, behavior in service.behaviors)
    return any(map(has, of_services)) or any(has(entry.behavior) for entry in scenario.run_tasks)


assume(
    "startup-time",
    "0 s from the start of the container to RUNNING",
    lambda scenario: _behaves(scenario, lambda behavior: behavior.startup_time == _DEFAULTS.startup_time),
    setting="services[].behavior.startupTime",
)
assume(
    "stop-time",
    "1 s from SIGTERM to the exit",
    lambda scenario: (
        bool(scenario.services)
        and _behaves(scenario, lambda behavior: behavior.stop_time == _DEFAULTS.stop_time)
    ),
    setting="services[].behavior.stopTime",
)
assume(
    "request-timeout",
    "10 s",
    lambda scenario: any(
        service.load is not None and service.load.timeout_ms == 10 * MS_PER_SECOND
        for service in scenario.services
    ),
    setting="services[].load.timeout",
)
assume(
    "no-cpu-borrowing",
    "a task never uses more CPU than it reserves, idle as its instance may be",
    lambda scenario: uses_load(scenario) and uses_instances(scenario),
)
