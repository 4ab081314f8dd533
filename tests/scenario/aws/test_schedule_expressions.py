"""Tests of EventBridge's schedule expressions: cron, rate and at."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from clustersim.scenario.aws.schedule_expressions import ScheduleError, check_schedule_expression, fire_times


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def fired(expression: str, begin: str, end: str, timezone: str = "UTC") -> list[str]:
    found = fire_times(expression, ms(begin), ms(end), timezone)
    return [datetime.fromtimestamp(each / 1000, UTC).strftime("%m-%dT%H:%M") for each in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 3 * * ? *)", ["06-01T03:00", "06-02T03:00", "06-03T03:00"]),
        ("cron(0 0 ? * MON-TUE *)", ["06-01T00:00", "06-02T00:00"]),
        ("cron(0 0 ? * 2-3 *)", ["06-01T00:00", "06-02T00:00"]),
        ("cron(0 0 ? * 3 *)", ["06-02T00:00"]),
        ("cron(0/30 8 1 * ? 2026)", ["06-01T08:00", "06-01T08:30"]),
        ("cron(0 3 * * ? 2027)", []),
        ("cron(0 3 * * ? 2020-2026/2)", ["06-01T03:00", "06-02T03:00", "06-03T03:00"]),
        ("cron(0 3 30 2 ? *)", []),
        ("rate(1 day)", ["06-01T00:00", "06-02T00:00", "06-03T00:00"]),
        ("at(2026-06-02T04:00:00)", ["06-02T04:00"]),
        ("at(2027-06-02T04:00:00)", []),
    ],
)
def test_three_days_from_monday_the_first_of_june(expression: str, expected: list[str]) -> None:
    """EventBridge User Guide; 1 June 2026 is a Monday, and day 1 of a week is Sunday."""
    assert fired(expression, "2026-06-01", "2026-06-04") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 0 L * ? *)", ["06-30T00:00", "07-31T00:00"]),
        ("cron(0 0 ? * 6L *)", ["06-26T00:00", "07-31T00:00"]),
        ("cron(0 0 ? * 6#3 *)", ["06-19T00:00", "07-17T00:00"]),
        ("cron(0 0 ? * FRI#3 *)", ["06-19T00:00", "07-17T00:00"]),
    ],
)
def test_last_and_nth_days(expression: str, expected: list[str]) -> None:
    """6L is the last Friday of a month, 6#3 the third."""
    assert fired(expression, "2026-06-01", "2026-08-01") == expected


def test_the_end_is_not_included_and_the_beginning_is() -> None:
    assert fired("cron(0 0 * * ? *)", "2026-06-01", "2026-06-02") == ["06-01T00:00"]


def test_a_rate_counts_from_the_birth_of_its_schedule() -> None:
    """Warm-up does not move the instants."""
    found = fire_times("rate(2 hours)", 5 * 3_600_000, 10 * 3_600_000, origin_ms=0)
    assert (found // 3_600_000).tolist() == [6, 8]
    found = fire_times("rate(2 hours)", 0, 5 * 3_600_000, origin_ms=3_600_000)
    assert (found // 3_600_000).tolist() == [1, 3]


def test_time_zones_follow_the_clock_on_the_wall() -> None:
    """4 o'clock in New York is 9:00 UTC in winter and 8:00 UTC in summer."""
    found = fired("cron(0 4 * * ? *)", "2026-03-07", "2026-03-10", "America/New_York")
    assert found == ["03-07T09:00", "03-08T08:00", "03-09T08:00"]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("cron(0 3 * * * *)", "needs `?` in exactly one"),
        ("cron(0 3 ? * ? *)", "needs `?` in exactly one"),
        ("cron(0 3 * * ?)", "has 5 fields, not 6"),
        ("cron(61 3 * * ? *)", "cannot be read"),
        ("cron(0 0 ? * 8 *)", "out of range"),
        ("cron(0 3 * * ? 26)", "is not a year"),
        ("cron(0 0 3W * ? *)", "not supported"),
        ("rate(1 hours)", "is not a rate"),
        ("rate(5 hour)", "is not a rate"),
        ("rate(0 hours)", "is not a rate"),
        ("rate(5 weeks)", "is not a rate"),
        ("at(soon)", "is not an instant"),
        ("0 3 * * ? *", "is not a schedule"),
        ("", "is not a schedule"),
    ],
)
def test_what_is_no_schedule_is_refused(expression: str, message: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        check_schedule_expression(expression)
    assert message in str(caught.value)
    assert caught.value.hint


def test_a_zone_that_is_none_is_refused() -> None:
    with pytest.raises(ScheduleError, match="not a time zone"):
        check_schedule_expression("rate(1 day)", "Mars/Base")


def test_a_local_time_that_does_not_exist_is_skipped() -> None:
    """On 29 March 2026 Berlin's clocks go from 2:00 to 3:00: 2:30 does not fire, 3:00 fires once."""
    begin, end = ms("2026-03-28T12:00"), ms("2026-03-30T12:00")
    assert fire_times("cron(30 2 * * ? *)", begin, end, "Europe/Berlin").tolist() == [ms("2026-03-30T00:30")]
    three = fire_times("cron(0 3 * * ? *)", begin, end, "Europe/Berlin").tolist()
    assert three == [ms("2026-03-29T01:00"), ms("2026-03-30T01:00")]


def test_a_local_time_that_occurs_twice_fires_once() -> None:
    """On 25 October 2026 Berlin's clocks go from 3:00 back to 2:00: 2:30 fires in summer time (0:30 UTC) only."""
    begin, end = ms("2026-10-24T12:00"), ms("2026-10-25T12:00")
    assert fire_times("cron(30 2 * * ? *)", begin, end, "Europe/Berlin").tolist() == [ms("2026-10-25T00:30")]
    hourly = fire_times("cron(0 * * * ? *)", ms("2026-10-24T23:30"), ms("2026-10-25T02:30"), "Europe/Berlin")
    assert hourly.tolist() == [ms("2026-10-25T00:00"), ms("2026-10-25T02:00")]


def test_a_schedule_that_begins_in_the_repeated_hour_waits_for_the_next_time() -> None:
    """From 1:15 UTC on, the second 2:15 of Berlin, 2:30 has fired already."""
    begin, end = ms("2026-10-25T01:15"), ms("2026-10-26T12:00")
    assert fire_times("cron(30 2 * * ? *)", begin, end, "Europe/Berlin").tolist() == [ms("2026-10-26T01:30")]
