"""The keys `behavior` and `load` of services and task definitions: what an application does, and its traffic.

Decides their shape, defaults and limits. Must not know services or task definitions. `resolve.load` turns the written
form into the resolved one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.policy.tasks.iam_evaluation import Call
from clustersim.scenario.sections.distributions import (
    DurationDistribution,
    distribution_mean,
    parse_duration_distribution,
)
from clustersim.scenario.sections.resolved_section import Distribution, Float64s, Int64s, ResolvedSection
from clustersim.scenario.sections.roles import WrittenCall
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.assumptions import assume, uses_fluid_requests, uses_instances, uses_load
from clustersim.scenario.text.units import (
    AtLeastOne,
    FractionalMs,
    MemoryMib,
    NonNegative,
    PositiveDurationMs,
    Share,
    parse_count,
    parse_duration_ms,
    parse_non_negative,
    quote_value,
    value_error,
)
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

if TYPE_CHECKING:
    from clustersim.scenario.sections.scenario import Scenario

MAX_CONCURRENT_REQUESTS = 1_024
"""The most exact requests that a task serves at a time."""


def _parse_distribution_or_never(value: Any) -> Distribution | None:
    return None if value == "never" or value is None else parse_duration_distribution(value)


def _parse_exit_code(value: Any) -> int:
    code = parse_count(value)
    if code > 255:
        raise value_error(f"{code} is not an exit code", "0 to 255")
    return code


def _parse_time_of_day_ms(value: Any) -> int:
    """Return a time of day `HH:MM` in ms since midnight."""
    hours, _, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise value_error(f"{quote_value(value)} is not a time of day", 'write it in quotes like "14:00"')
    return int(hours) * MS_PER_HOUR + int(minutes) * MS_PER_MINUTE


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
TimeOfDayMs = Annotated[
    int,
    BeforeValidator(_parse_time_of_day_ms),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d\d$"}),
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


# --- load --------------------------------------------------------------------------------------------------


class WrittenDailyRate(WrittenSection):
    """A rate that follows the day: `high` at `peak` (UTC), `low` twelve hours from it, a cosine between."""

    low: NonNegative
    high: NonNegative
    peak: TimeOfDayMs = 14 * MS_PER_HOUR

    @model_validator(mode="after")
    def _check_order(self) -> WrittenDailyRate:
        if self.low > self.high:
            raise value_error(f"low {self.low:g} is above high {self.high:g}", "swap them")
        return self


class WrittenSeries(WrittenSection):
    """A rate per second: constant, daily, or a column of counts per interval in a trace."""

    constant: NonNegative | None = None
    daily: WrittenDailyRate | None = None
    trace: str | None = None
    column: str | None = None
    interval: PositiveDurationMs = MS_PER_MINUTE
    scale: NonNegative = 1.0

    @model_validator(mode="before")
    @classmethod
    def _check_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return {"constant": parse_non_negative(value)}
        if "constant" in value or ("daily" in value) == ("trace" in value):
            raise value_error(
                "is not a rate", "a number, {daily: {low, high, peak}}, or {trace, column, interval}"
            )
        if "daily" in value and len(value) > 1:
            raise value_error("daily excludes other keys beside it", "write {daily: {low, high, peak}}")
        return value


class Series(ResolvedSection):
    """A piecewise-constant rate: `rates[i]` per second from `times_ms[i]` on.

    `times_ms` counts from the first instant of the simulation, `warmUp` before `start`. The series repeats after
    `period_ms`; 0: it does not repeat.
    """

    times_ms: Int64s
    rates: Float64s
    period_ms: int = 0


class WrittenLoad(WrittenSection):
    """`load`: the requests to a service, or the messages of the queue that it processes."""

    requests_per_second: WrittenSeries | None = None
    messages_per_second: WrittenSeries | None = None
    cpu_time_per_request: FractionalMs = 0.0
    memory_per_task: WrittenMemoryPerTask = WrittenMemoryPerTask()
    timeout: PositiveDurationMs = 10 * MS_PER_SECOND
    processing_time: FractionalMs = 0.0
    concurrency_per_task: AtLeastOne = 1
    model: Annotated[
        Literal["fluid", "exact"], Field(description="exact: every request is simulated; default fluid")
    ] = "fluid"
    service_time: Annotated[
        DurationDistribution | None,
        Field(
            description="of an exact request in an idle task; default exponential, cpuTimePerRequest on its vCPU"
        ),
    ] = None

    @model_validator(mode="after")
    def _check_kind(self) -> WrittenLoad:
        if (self.requests_per_second is None) == (self.messages_per_second is None):
            raise value_error("needs one of requestsPerSecond and messagesPerSecond", "write one of them")
        if self.messages_per_second is not None and self.processing_time <= 0:
            raise value_error("messages need a processingTime above 0", "like processingTime: 2s")
        if self.messages_per_second is not None and self.model == "exact":
            raise value_error(
                "model: exact applies to requests, not to messages",
                "leave model out, or write requestsPerSecond",
            )
        return self

    @model_validator(mode="after")
    def _check_exact_keys(self) -> WrittenLoad:
        if self.model == "fluid":
            if self.service_time is not None:
                raise value_error(
                    "serviceTime applies to exact requests only", "add model: exact, or leave serviceTime out"
                )
            return self
        if (
            "concurrency_per_task" in self.model_fields_set
            and self.concurrency_per_task > MAX_CONCURRENT_REQUESTS
        ):
            raise value_error(
                f"concurrencyPerTask {self.concurrency_per_task:,} is too large",
                f"at most {MAX_CONCURRENT_REQUESTS:,} exact requests",
            )
        if self.service_time is not None and distribution_mean(self.service_time) < self.cpu_time_per_request:
            mean, cpu = distribution_mean(self.service_time), self.cpu_time_per_request
            problem = (
                f"serviceTime is {mean:g} ms on average, and {cpu:g} ms of it are CPU (cpuTimePerRequest)"
            )
            raise value_error(
                problem, f"a request uses one vCPU at most: a serviceTime of at least {cpu:g}ms"
            )
        return self


class Load(ResolvedSection):
    """The traffic of a service and the cost of a request; `kind` "messages": of the SQS queue that it processes.

    Exact requests only: `service_time` None is exponential, with the CPU time as its mean; `concurrency_per_task` 0
    is as many requests as keep the task's vCPUs busy.
    """

    kind: Literal["requests", "messages"]
    series: Series
    cpu_time_ms: float
    memory_base_mib: float
    memory_per_request_mib: float
    timeout_ms: int
    processing_time_ms: float
    concurrency_per_task: int
    model: Literal["fluid", "exact"]
    service_time: Distribution | None


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
    "one-queue",
    "the tasks of a service serve requests from one queue, as no load balancer does",
    uses_fluid_requests,
    setting="services[].load.model",
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
