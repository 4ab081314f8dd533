"""The written keys `behavior` and `load`: what an application does, and who calls it.

Decides their shape and defaults. Must not know services or task definitions. `resolve_load` turns them into
the resolved models.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.scenario.sections.distributions import DurationDistribution, duration_distribution, mean_of
from clustersim.scenario.sections.resolved_section import Distribution
from clustersim.scenario.sections.roles import WrittenCall
from clustersim.scenario.sections.written_section import Written
from clustersim.scenario.text.units import (
    AtLeastOne,
    MemoryMib,
    Positive,
    PositiveDurationMs,
    PreciseMs,
    Share,
    count,
    duration_ms,
    positive,
    shown,
    wrong,
)
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND


def _or_never(value: Any) -> Distribution | None:
    return None if value == "never" or value is None else duration_distribution(value)


def _exit_code(value: Any) -> int:
    code = count(value)
    if code > 255:
        raise wrong(f"{code} is no exit code", "0 to 255")
    return code


def _clock_ms(value: Any) -> int:
    """A time of day `HH:MM` in ms since midnight."""
    hours, _, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < 24 and int(minutes) < 60):
        raise wrong(f"{shown(value)} is no time of day", 'write it in quotes like "14:00"')
    return int(hours) * MS_PER_HOUR + int(minutes) * MS_PER_MINUTE


def _ready(value: Any) -> int | None:
    return None if value == "never" else duration_ms(value)


def _protection(value: Any) -> int:
    minutes = count(value)
    if not 1 <= minutes <= 2_880:  # ECS API: UpdateTaskProtection.expiresInMinutes
        raise wrong(f"{minutes} minutes are out of range", "1 to 2880")
    return minutes


NeverOrDistribution = Annotated[
    Distribution | None,
    BeforeValidator(_or_never),
    WithJsonSchema({"description": "a duration, a distribution, or never"}),
]
ExitCode = Annotated[
    int, BeforeValidator(_exit_code), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 255})
]
ClockMs = Annotated[
    int, BeforeValidator(_clock_ms), WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d\d$"})
]


MOST_CONCURRENT = 1_024
"""Exact requests at work in a task at a time."""


class WrittenMemory(Written):
    """`memoryPerTask`: what a task uses when idle, and more for each request in it."""

    base: MemoryMib = 0.0
    per_concurrent_request: MemoryMib = 0.0


class TaskProtection(Written):
    """`taskProtection`: each task asks for scale-in protection when it starts (UpdateTaskProtection)."""

    expires_in_minutes: Annotated[int, BeforeValidator(_protection)] = 120


class Life(Written):
    """What a container does, or the task as a whole."""

    startup_time: DurationDistribution = Distribution()
    ready_time: Annotated[int | None, BeforeValidator(_ready)] = 0
    time_to_failure: NeverOrDistribution = None
    time_to_hang: NeverOrDistribution = None
    start_failure_probability: Share = 0.0
    exit_code: ExitCode = 1
    stop_time: NeverOrDistribution = Distribution(a=1.0 * MS_PER_SECOND)
    stop_exit_code: ExitCode = 143


class WrittenContainer(Life):
    """An entry of `behavior.containers`: what one container does that the task as a whole does not."""

    duration: DurationDistribution | None = None


class WrittenBehavior(Life):
    """`behavior`: of all revisions under a service, or of one task definition."""

    cpu_time_per_request: PreciseMs | None = None
    memory_per_task: WrittenMemory | None = None
    task_protection: TaskProtection | None = None
    calls: list[WrittenCall] = Field(default_factory=list)
    containers: dict[str, WrittenContainer] = Field(default_factory=dict)


class Daily(Written):
    """A day's rhythm: `high` at `peak` (UTC), `low` twelve hours from it, a cosine between."""

    low: Positive
    high: Positive
    peak: ClockMs = 14 * MS_PER_HOUR

    @model_validator(mode="after")
    def _ordered(self) -> Daily:
        if self.low > self.high:
            raise wrong(f"low {self.low:g} is above high {self.high:g}", "swap them")
        return self


class WrittenSeries(Written):
    """A rate per second: constant, by the day, or a column of counts per interval in a trace."""

    constant: Positive | None = None
    daily: Daily | None = None
    trace: str | None = None
    column: str | None = None
    interval: PositiveDurationMs = MS_PER_MINUTE
    scale: Positive = 1.0

    @model_validator(mode="before")
    @classmethod
    def _one_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return {"constant": positive(value)}
        if "constant" in value or ("daily" in value) == ("trace" in value):
            raise wrong("is no rate", "a number, {daily: {low, high, peak}}, or {trace, column, interval}")
        if "daily" in value and len(value) > 1:
            raise wrong("daily takes no other keys beside it", "write {daily: {low, high, peak}}")
        return value


class WrittenLoad(Written):
    """`load`: the requests of a service, or the messages of the queue it works off."""

    requests_per_second: WrittenSeries | None = None
    messages_per_second: WrittenSeries | None = None
    cpu_time_per_request: PreciseMs = 0.0
    memory_per_task: WrittenMemory = WrittenMemory()
    timeout: PositiveDurationMs = 10 * MS_PER_SECOND
    processing_time: PreciseMs = 0.0
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
    def _one_kind(self) -> WrittenLoad:
        if (self.requests_per_second is None) == (self.messages_per_second is None):
            raise wrong("needs one of requestsPerSecond and messagesPerSecond", "write one of them")
        if self.messages_per_second is not None and self.processing_time <= 0:
            raise wrong("messages need a processingTime above 0", "like processingTime: 2s")
        if self.messages_per_second is not None and self.model == "exact":
            raise wrong(
                "model: exact is of requests, not of messages", "leave model out, or write requestsPerSecond"
            )
        return self

    @model_validator(mode="after")
    def _exact_only(self) -> WrittenLoad:
        if self.model == "fluid":
            if self.service_time is not None:
                raise wrong("serviceTime is of exact requests", "add model: exact, or leave serviceTime out")
            return self
        if "concurrency_per_task" in self.model_fields_set and self.concurrency_per_task > MOST_CONCURRENT:
            many = self.concurrency_per_task
            raise wrong(
                f"concurrencyPerTask {many:,} is too large", f"at most {MOST_CONCURRENT:,} exact requests"
            )
        if self.service_time is not None and mean_of(self.service_time) < self.cpu_time_per_request:
            mean, cpu = mean_of(self.service_time), self.cpu_time_per_request
            what = f"serviceTime is {mean:g} ms on average, and {cpu:g} ms of it are CPU (cpuTimePerRequest)"
            raise wrong(what, f"a request uses one vCPU at most: a serviceTime of at least {cpu:g}ms")
        return self
