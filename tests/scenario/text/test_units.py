"""Tests of the quantities and distributions of a scenario file."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from clustersim.engine import random_streams as chance
from clustersim.scenario.sections.distributions import distribution_mean, parse_duration_distribution
from clustersim.scenario.text import units


def refusal(read: Any, value: Any) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        read(value)
    context = caught.value.context or {}
    return f"{context['message']}; {context['hint']}"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("90s", 90_000),
        ("15m", 900_000),
        ("2h30m", 9_000_000),
        ("7d", 604_800_000),
        ("500ms", 500),
        ("1.5h", 5_400_000),
        ("1h 30m", 5_400_000),
        (90, 90_000),
        (0.5, 500),
        (0, 0),
        ("PT1H30M", 5_400_000),
        ("P7D", 604_800_000),
        ("P2W", 1_209_600_000),
        ("0s", 0),
    ],
)
def test_durations_are_milliseconds(text: Any, ms: int) -> None:
    """Contract, principle 4: 90s, 15m, 2h30m, 7d, or plain seconds."""
    assert units.parse_duration_ms(text) == ms


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-5s", "negative"),
        (-1, "negative"),
        ("200000d", "longer than 100 years"),
        (1e12, "longer than 100 years"),
        ("9" * 30 + "h", "longer than 100 years"),
        (True, "true is not a duration"),
        (float("nan"), "not a finite number"),
        (float("inf"), "not a finite number"),
        ([1], "a list is not a duration"),
        ({}, "a mapping is not a duration"),
        ("15 minutes", "write 15m"),
        ("3 Days", "write 3d"),
        ("30", "write 30s"),
        ("1:30", "write 1h30m"),
        ("soon", "is not a duration; write it like 90s"),
        ("P", "is not a duration"),
        ("", "is not a duration"),
    ],
)
def test_what_is_no_duration_says_what_would_be_one(value: Any, message: str) -> None:
    """A unit mistake is the likeliest mistake there is."""
    assert message in refusal(units.parse_duration_ms, value)


@given(st.integers(0, units.MAX_MS))
def test_every_whole_number_of_ms_can_be_written(ms: int) -> None:
    """No duration is lost to rounding."""
    assert units.parse_duration_ms(f"{ms}ms") == ms


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none()))
def test_no_value_makes_a_duration_reader_fail_otherwise(value: Any) -> None:
    """Bad input never gives a traceback."""
    with contextlib.suppress(PydanticCustomError):
        assert 0 <= units.parse_duration_ms(value) <= units.MAX_MS


@pytest.mark.parametrize(
    ("text", "mib"), [("512 MiB", 512), ("2 GiB", 2048), ("2GiB", 2048), (300, 300), ("1 GB", 1e9 / 2**20)]
)
def test_memory_is_mib(text: Any, mib: float) -> None:
    """A plain number is MiB; units are the ones of pydantic's ByteSize."""
    assert units.parse_memory_mib(text) == pytest.approx(mib, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "message"),
    [("512", "write 512 MiB"), ("lots", "is not a size"), (-1, "negative"), (True, "is not a size")],
)
def test_what_is_no_size_is_refused(value: Any, message: str) -> None:
    assert message in refusal(units.parse_memory_mib, value)


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (units.parse_count, True, "true is not a whole number"),
        (units.parse_count, "8", "write 8 without quotes"),
        (units.parse_count, 1.5, "1 or 2"),
        (units.parse_count, -1, "negative"),
        (units.parse_count, 2e9, "too large"),
        (units.parse_at_least_one, 0, "at least 1"),
        (units.parse_share, 50, "write 0.5 for 50 %"),
        (units.parse_share, -0.1, "from 0 to 1"),
        (units.parse_above_zero, 0, "above 0"),
        (units.parse_non_negative, float("nan"), "finite"),
        (units.parse_instant_ms, "yesterday", "2026-06-01T00:00:00Z"),
        (units.parse_instant_ms, 5, "is not an instant"),
        (units.parse_task_cpu, "much", "0.5 vCPU"),
        (units.parse_task_memory_mib, "1.5", "2 GB"),
    ],
)
def test_what_is_no_number_says_why(read: Any, value: Any, message: str) -> None:
    assert message in refusal(read, value)


def test_task_sizes_are_units_and_mib() -> None:
    """ECS API, RegisterTaskDefinition: "1 vCPU" is 1024 units, "2GB" 2048 MiB."""
    assert [units.parse_task_cpu(text) for text in ("512", 512, "1 vCPU", ".5 vCPU")] == [512, 512, 1024, 512]
    assert [units.parse_task_memory_mib(text) for text in ("1024", "2GB", "0.5 GB", "2 gb")] == [
        1024,
        2048,
        512,
        2048,
    ]


def test_instants_are_utc_unless_they_say_otherwise() -> None:
    """1970-01-02 is 86,400 seconds after the epoch."""
    assert units.parse_instant_ms("1970-01-02") == 86_400_000
    assert units.parse_instant_ms("1970-01-02T01:00:00+01:00") == 86_400_000


KINDS = [
    {"distribution": "constant", "mean": "10s"},
    {"distribution": "exponential", "mean": "10s"},
    {"distribution": "lognormal", "mean": "10s", "sigma": 0.5},
    {"distribution": "uniform", "mean": "10s"},
    {"distribution": "uniform", "low": "8s", "mean": "10s"},
    {"distribution": "normal", "mean": "10s", "sd": "1s"},
    {"distribution": "weibull", "shape": 2, "mean": "10s"},
    {"distribution": "empirical", "values": [1, 2, 3], "mean": "10s"},
]


@pytest.mark.parametrize("written", KINDS, ids=lambda kind: "-".join(map(str, kind)))
def test_mean_works_for_every_kind(written: dict[str, Any]) -> None:
    """The mean of what is sampled is the mean that was asked for (midpoint rule over the quantiles)."""
    row = parse_duration_distribution(written)
    assert distribution_mean(row) == pytest.approx(10_000)
    points = (np.arange(4_000) + 0.5) / 4_000
    values = np.array(row.values)
    sampled = np.mean([chance.sample(row.code, row.a, row.b, values, u) for u in points])
    assert sampled == pytest.approx(10_000, rel=5e-3)


def test_parameters_become_ms() -> None:
    """lognormal: median in time, sigma a plain number; uniform: low and high in time."""
    row = parse_duration_distribution({"distribution": "lognormal", "median": "90s", "sigma": 0.3})
    assert (row.code, row.a, row.b) == (chance.LOGNORMAL, 90_000, 0.3)
    row = parse_duration_distribution({"distribution": "uniform", "low": 1, "high": "2s"})
    assert (row.code, row.a, row.b) == (chance.UNIFORM, 1_000, 2_000)
    assert parse_duration_distribution("5s").a == 5_000
    row = parse_duration_distribution({"distribution": "weibull", "shape": 1, "mean": "7s"})
    assert row.a == pytest.approx(7_000)


@pytest.mark.parametrize("name", ["sd", "stddev", "sigma"])
def test_a_normal_takes_its_deviation_under_three_names(name: str) -> None:
    row = parse_duration_distribution({"distribution": "normal", "mean": "10s", name: "2s"})
    assert (row.a, row.b) == (10_000, 2_000)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"mean": "5s"}, "has no kind"),
        ({"distribution": "lognorml", "median": 1}, "did you mean lognormal?"),
        ({"distribution": "lognormal", "median": "5s"}, "needs sigma"),
        ({"distribution": "lognormal", "median": 1, "mean": 1, "sigma": 1}, "one of them"),
        ({"distribution": "exponential", "rate": 5}, "has no rate; it takes mean"),
        ({"distribution": "exponential", "mean": 0}, "not above 0"),
        ({"distribution": "uniform", "low": 5, "high": 1}, "low <= high"),
        ({"distribution": "uniform", "low": 30, "mean": 10}, "low <= high"),
        ({"distribution": "weibull", "scale": 5}, "needs shape"),
        ({"distribution": "empirical", "values": []}, "values is not a list"),
        ({"distribution": "empirical", "values": ["1s", "x"]}, "is not a duration"),
        ({"distribution": "normal", "mean": "5s", "sd": "1s", "sigma": "2s"}, "same parameter"),
        ({"distribution": "lognormal", "median": "90 years", "sigma": 1}, "is not a duration"),
    ],
)
def test_what_is_no_distribution_says_what_would_be_one(written: Any, message: str) -> None:
    assert message in refusal(parse_duration_distribution, written)


def test_sigma_out_of_reason_is_refused() -> None:
    """A lognormal of sigma 50 has a mean of e^1250 medians."""
    text = refusal(parse_duration_distribution, {"distribution": "lognormal", "median": 1, "sigma": 50})
    assert "too large" in text
    assert math.isfinite(
        distribution_mean(parse_duration_distribution({"distribution": "lognormal", "median": 1, "sigma": 5}))
    )
