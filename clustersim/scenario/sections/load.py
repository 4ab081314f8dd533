"""The key `load` of services: the requests to a service, or the messages of the queue that it processes.

Decides its shape, defaults and limits. Must not know services, or how a rate becomes a series (`traces.load_shapes`).
`resolve.load` turns the written form into the resolved one.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.scenario.sections.behavior import WrittenMemoryPerTask
from clustersim.scenario.sections.distributions import DurationDistribution, distribution_mean
from clustersim.scenario.sections.resolved_section import Distribution, Float64s, Int64s, ResolvedSection
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import (
    AtLeastOne,
    DurationMs,
    FractionalMs,
    NonNegative,
    PositiveDurationMs,
    parse_non_negative,
    parse_number,
    quote_value,
    value_error,
)
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

MAX_CONCURRENT_REQUESTS = 1_024
"""The most exact requests that a task serves at a time."""
MAX_BURSTINESS = 16.0
"""The largest squared coefficient of variation in the tables of the fluid model."""
HOURS_PER_DAY = 24

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_DAYS = {
    **{name: (day,) for day, name in enumerate(_WEEKDAYS)},
    "weekdays": (0, 1, 2, 3, 4),
    "weekend": (5, 6),
}
"""The days of a key of `weekly`, Monday is 0."""


def _parse_time_of_day_ms(value: Any) -> int:
    """Return a time of day `HH:MM` in ms since midnight."""
    hours, _, minutes = value.partition(":") if isinstance(value, str) else ("", "", "")
    if not (hours.isdecimal() and minutes.isdecimal() and int(hours) < HOURS_PER_DAY and int(minutes) < 60):
        raise value_error(f"{quote_value(value)} is not a time of day", 'write it in quotes like "14:00"')
    return int(hours) * MS_PER_HOUR + int(minutes) * MS_PER_MINUTE


def _parse_growth(value: Any) -> float:
    """Return a growth, `5%` or 0.05, as a share; a rate may shrink, but not below 0."""
    text = value.strip() if isinstance(value, str) else ""
    try:
        share = float(text.removesuffix("%")) / 100.0 if text.endswith("%") else parse_number(value)
    except ValueError as error:
        if not text.endswith("%"):
            raise
        raise value_error(f"{quote_value(value)} is not a growth", "write it like 5%") from error
    if not -1.0 < share <= 10.0:
        raise value_error(
            f"{quote_value(value)} a month is out of range", "above -100% and at most 1000%, like 5% or 0.05"
        )
    return share


def _parse_burstiness(value: Any) -> float:
    result = parse_non_negative(value)
    if result > MAX_BURSTINESS:
        raise value_error(
            f"burstiness {result:g} is out of range",
            f"from 0 (clockwork) by 1 (Poisson) to {MAX_BURSTINESS:g}",
        )
    return result


def _parse_week(value: Any) -> tuple[float, ...]:
    """Return the rates of the 168 hours of a week that begins on Monday, from a mapping of days."""
    hint = "days (monday to sunday, weekdays, weekend) with a rate, or with a rate for each of the 24 hours"
    if not isinstance(value, dict) or not value:
        raise value_error(f"{quote_value(value)} is not a week", hint)
    week: list[float | None] = [None] * (len(_WEEKDAYS) * HOURS_PER_DAY)
    for name, rates in value.items():
        days = _DAYS.get(name.lower()) if isinstance(name, str) else None
        if days is None:
            raise value_error(
                f"{quote_value(name)} is not a day", suggest_name(str(name), list(_DAYS)) or hint
            )
        hours = rates if isinstance(rates, list) else [rates] * HOURS_PER_DAY
        if len(hours) != HOURS_PER_DAY:
            raise value_error(f"{name} has {len(hours)} rates", "one, or one for each of the 24 hours")
        numbers = [parse_non_negative(rate) for rate in hours]
        for day in days:
            first = day * HOURS_PER_DAY
            if week[first] is not None:
                raise value_error(f"{_WEEKDAYS[day]} has rates twice", "write each day once")
            week[first : first + HOURS_PER_DAY] = numbers
    return tuple(rate or 0.0 for rate in week)


_RATES = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {
            "type": "array",
            "items": {"type": "number", "minimum": 0},
            "minItems": HOURS_PER_DAY,
            "maxItems": HOURS_PER_DAY,
        },
    ]
}
TimeOfDayMs = Annotated[
    int,
    BeforeValidator(_parse_time_of_day_ms),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d\d$"}),
]
Week = Annotated[
    tuple[float, ...],
    BeforeValidator(_parse_week),
    WithJsonSchema(
        {
            "type": "object",
            "description": "rates per second by day (UTC): one a day, or one for each of its 24 hours",
            "properties": dict.fromkeys(_DAYS, _RATES),
            "additionalProperties": False,
        }
    ),
]
Growth = Annotated[
    float,
    BeforeValidator(_parse_growth),
    WithJsonSchema({"type": ["string", "number"], "description": "per month of 730 h, like 5% or 0.05"}),
]
Burstiness = Annotated[
    float,
    BeforeValidator(_parse_burstiness),
    WithJsonSchema(
        {
            "type": "number",
            "minimum": 0,
            "maximum": MAX_BURSTINESS,
            "description": "squared coefficient of variation of the times between requests; default 1, Poisson",
        }
    ),
]


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


class WrittenSpike(WrittenSection):
    """An item of `spikes`: from `at` after `start` on, for the time `for`, the rate is `factor` times as high."""

    at: DurationMs
    factor: NonNegative
    duration: PositiveDurationMs = Field(alias="for")


_SHAPES = ("constant", "daily", "weekly", "trace")
_TRACE_KEYS = ("column", "interval", "scale")


class WrittenSeries(WrittenSection):
    """A rate per second: the sum of the given shapes, times its growth, times the factors of its spikes."""

    constant: NonNegative | None = None
    daily: WrittenDailyRate | None = None
    weekly: Week | None = None
    trace: str | None = None
    column: str | None = None
    interval: PositiveDurationMs = MS_PER_MINUTE
    scale: NonNegative = 1.0
    growth: Growth = 0.0
    spikes: list[WrittenSpike] = Field(default_factory=list)
    burstiness: Burstiness = 1.0

    @model_validator(mode="before")
    @classmethod
    def _check_form(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return {"constant": parse_non_negative(value)}
        if not any(name in value for name in _SHAPES):
            raise value_error(
                "is not a rate",
                "a number, or one or more of constant, daily: {low, high, peak}, weekly: {monday: ...} and trace",
            )
        for name in _TRACE_KEYS:
            if name in value and "trace" not in value:
                raise value_error(f"{name} is of a trace", "add trace: FILE.csv, or leave it out")
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
    visibility_timeout: Annotated[
        DurationMs,
        Field(
            description="until a message of a lost worker is visible again; working ones extend it; default 30s"
        ),
    ] = 30 * MS_PER_SECOND
    model: Annotated[
        Literal["fluid", "exact"], Field(description="exact: every request is simulated; default fluid")
    ] = "fluid"
    service_time: Annotated[
        DurationDistribution | None,
        Field(
            description="of a request in an idle task; default exponential with cpuTimePerRequest, on its vCPU"
        ),
    ] = None

    @model_validator(mode="after")
    def _check_kind(self) -> WrittenLoad:
        if (self.requests_per_second is None) == (self.messages_per_second is None):
            raise value_error("needs one of requestsPerSecond and messagesPerSecond", "write one of them")
        if self.messages_per_second is None:
            if "visibility_timeout" in self.model_fields_set:
                raise value_error(
                    "visibilityTimeout applies to messages, not to requests",
                    "leave it out, or write messagesPerSecond",
                )
            return self
        if self.processing_time <= 0:
            raise value_error("messages need a processingTime above 0", "like processingTime: 2s")
        if self.model == "exact":
            raise value_error(
                "model: exact applies to requests, not to messages",
                "leave model out, or write requestsPerSecond",
            )
        if self.service_time is not None or "burstiness" in self.messages_per_second.model_fields_set:
            name = "burstiness" if self.service_time is None else "serviceTime"
            raise value_error(
                f"{name} applies to requests, not to messages", "leave it out, or write requestsPerSecond"
            )
        return self

    @model_validator(mode="after")
    def _check_costs_of_requests(self) -> WrittenLoad:
        if (
            self.model == "exact"
            and "concurrency_per_task" in self.model_fields_set
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

    `burstiness` is the squared coefficient of variation of the times between requests. `service_time` None is
    exponential, with the CPU time as its mean. Exact requests only: `concurrency_per_task` 0 is no limit.
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
    burstiness: float = 1.0
    visibility_timeout_ms: int = 30_000
