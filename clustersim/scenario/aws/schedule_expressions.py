"""EventBridge schedule expressions: `cron(...)`, `rate(...)` and `at(...)`.

Decides the instants at which an expression fires in a time zone; croniter steps through the calendar. It must not
know what is started then. The `resolve` modules validate expressions with `check_schedule_expression`;
`control.standalone_tasks.run_tasks` and `simulation` call `fire_times`.

Fields of cron (EventBridge User Guide: cron expressions): minutes, hours, day of month, month, day of week
(1 is Sunday), year; one of the two days is `?`. Where clocks change, a local time that does not exist is skipped, and
one that occurs twice fires once, the first time (EventBridge Scheduler User Guide: daylight saving time). A rate
fires at once and then at every interval (EventBridge Scheduler User Guide: a rate without a start date starts
immediately).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
from croniter import CroniterBadCronError, CroniterError, croniter

from clustersim.vocabulary import MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

_RATE_UNITS = {"minute": MS_PER_MINUTE, "hour": MS_PER_HOUR, "day": MS_PER_DAY}
_YEAR_RANGE = (1970, 2199)  # EventBridge
_LONGEST_CLOCK_CHANGE = timedelta(hours=3)  # how far before the first instant local times are looked at
_DAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


class ScheduleError(ValueError):
    """An invalid schedule expression or time zone; `hint` tells how to fix it."""

    def __init__(self, message: str, hint: str) -> None:
        self.hint = hint
        super().__init__(message)


def check_schedule_expression(expression: str, timezone: str = "UTC") -> None:
    """Raise `ScheduleError` if `expression` or `timezone` is invalid."""
    _load_zone(timezone)
    kind, body = _split_expression(expression)
    if kind == "rate":
        _parse_rate_ms(body)
    elif kind == "at":
        _parse_at(body, "UTC")
    else:
        _parse_cron(body)


def fire_times(
    expression: str, begin_ms: int, end_ms: int, timezone: str = "UTC", origin_ms: int | None = None
) -> npt.NDArray[np.int64]:
    """Return the epoch ms at which `expression` fires, from `begin_ms` up to but excluding `end_ms`.

    A rate counts from `origin_ms`, the instant its schedule was created (default: `begin_ms`).
    """
    kind, body = _split_expression(expression)
    if kind == "rate":
        step, origin = _parse_rate_ms(body), begin_ms if origin_ms is None else origin_ms
        first = origin + max(0, -((origin - begin_ms) // step)) * step
        return np.arange(first, end_ms, step, dtype=np.int64)
    if kind == "at":
        instant = _parse_at(body, timezone)
        return np.array([instant] if begin_ms <= instant < end_ms else [], dtype=np.int64)
    return np.fromiter(_iter_cron_times(body, begin_ms, end_ms, timezone), dtype=np.int64)


def _split_expression(expression: str) -> tuple[str, str]:
    match = re.fullmatch(r"\s*(cron|rate|at)\s*\((.*)\)\s*", expression, flags=re.DOTALL)
    if match is None:
        hint = "write cron(0 3 * * ? *), rate(15 minutes) or at(2026-06-01T03:00:00)"
        if len(expression.split()) == 6:
            hint = f"write cron({expression.strip()})"
        raise ScheduleError(f"{expression[:60]!r} is not a schedule", hint)
    return match[1], match[2].strip()


def _load_zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ScheduleError(f"{name!r} is not a time zone", "a name like Europe/Berlin, or UTC") from None


def _parse_rate_ms(body: str) -> int:
    match = re.fullmatch(r"(\d{1,9})\s+(minute|hour|day)(s?)", body)
    if match is None or int(match[1]) == 0:
        raise ScheduleError(f"rate({body[:40]}) is not a rate", "write rate(1 hour) or rate(15 minutes)")
    value, unit = int(match[1]), match[2]
    if (value == 1) == bool(match[3]):  # EventBridge: singular for 1, plural for more
        raise ScheduleError(
            f"rate({body}) is not a rate", f"write rate({value} {unit}{'' if value == 1 else 's'})"
        )
    return value * _RATE_UNITS[unit]


def _parse_at(body: str, timezone: str) -> int:
    try:
        instant = datetime.fromisoformat(body)
    except ValueError:
        raise ScheduleError(f"at({body[:40]}) is not an instant", "write at(2026-06-01T03:00:00)") from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=_load_zone(timezone))
    return round(instant.timestamp()) * MS_PER_SECOND


@lru_cache(maxsize=1_024)
def _parse_cron(body: str) -> tuple[str, frozenset[int] | None]:
    """Return croniter's five fields, and the years (None: all)."""
    fields = body.split()
    if len(fields) != 6:
        hint = "minutes hours day-of-month month day-of-week year, like cron(0 3 * * ? *)"
        raise ScheduleError(f"cron({body[:60]}) has {len(fields)} fields, not 6", hint)
    minutes, hours, days, months, weekdays, years = (field.upper() for field in fields)
    if (days == "?") == (weekdays == "?"):
        message = f"cron({body}) needs `?` in exactly one of day-of-month and day-of-week"
        raise ScheduleError(message, f"like cron({fields[0]} {fields[1]} * {fields[3]} ? {fields[5]})")
    if "W" in re.sub(r"[A-Z]{2,}", "", days):
        raise ScheduleError(f"cron({body}): `W` is not supported", "name the day")
    five = " ".join(
        (
            minutes,
            hours,
            "*" if days == "?" else days,
            months,
            "*" if weekdays == "?" else _convert_weekdays(weekdays),
        )
    )
    try:
        croniter(five)
    except (CroniterBadCronError, CroniterError, ValueError) as error:
        raise ScheduleError(f"cron({body}) cannot be read: {error}", "like cron(0 3 * * ? *)") from None
    return five, _parse_years(body, years)


def _convert_weekdays(field: str) -> str:
    """Convert EventBridge's days 1 (Sunday) to 7 to croniter's 0 to 6, including the `L` and `#` forms."""
    if field == "L":
        return "6"

    def day(match: re.Match[str]) -> str:
        number = int(match[0])
        if not 1 <= number <= 7:
            raise ScheduleError(f"day of week {number} is out of range", "1 (SUN) to 7 (SAT)")
        return str(number - 1)

    for index, name in enumerate(_DAY_NAMES):
        field = field.replace(name, str(index + 1))
    parts = []
    for part in field.split(","):
        if match := re.fullmatch(r"([1-7])L", part):
            parts.append(f"L{int(match[1]) - 1}")
            continue
        head, sign, tail = part.partition("#") if "#" in part else part.partition("/")
        parts.append(re.sub(r"\d+", day, head) + sign + tail)
    return ",".join(parts)


def _parse_years(body: str, field: str) -> frozenset[int] | None:
    if field in ("*", "?"):
        return None
    years: set[int] = set()
    for part in field.split(","):
        match = re.fullmatch(r"(?:(\d{4})(?:-(\d{4}))?|\*)(?:/(\d{1,3}))?", part)
        if match is None or match[3] == "0":
            raise ScheduleError(f"cron({body}): {part} is not a year", "* or a year like 2026")
        first = int(match[1] or _YEAR_RANGE[0])
        last = int(match[2] or (_YEAR_RANGE[1] if match[3] or not match[1] else first))
        years.update(range(max(first, _YEAR_RANGE[0]), min(last, _YEAR_RANGE[1]) + 1, int(match[3] or 1)))
    return frozenset(years)


def _iter_cron_times(body: str, begin_ms: int, end_ms: int, timezone: str) -> Iterator[int]:
    """Yield epoch ms; croniter steps through local times without a zone, so that each occurs once."""
    five, years = _parse_cron(body)
    zone = _load_zone(timezone)
    begin = datetime.fromtimestamp(begin_ms / MS_PER_SECOND, UTC).astimezone(zone).replace(tzinfo=None)
    steps = croniter(five, begin - _LONGEST_CLOCK_CHANGE, max_years_between_matches=30)
    while True:
        try:
            local: datetime = steps.get_next(datetime)
        except CroniterError:  # a day that never comes, such as 30 February
            return
        instant = local.replace(tzinfo=zone)
        epoch = round(instant.timestamp()) * MS_PER_SECOND
        if epoch >= end_ms:
            return
        exists = instant.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local
        if epoch >= begin_ms and exists and (years is None or local.year in years):
            yield epoch
