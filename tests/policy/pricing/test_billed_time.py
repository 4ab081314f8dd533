"""Time becomes money: seconds, Fargate tasks, instances and volumes. Prices are those of us-east-1."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.pricing.billed_time import (
    billed_seconds,
    billed_seconds_column,
    fargate_hours,
    instance_usd,
    volume_usd,
)


class Rates(NamedTuple):
    vcpu_usd_per_hour: float
    gb_usd_per_hour: float
    ephemeral_gb_usd_per_hour: float = 0.000111


X86 = Rates(0.04048, 0.004445)
ARM = Rates(0.03238, 0.00356)
HOUR = 3_600


def test_seconds_round_up_to_at_least_a_minute() -> None:
    """AWS Fargate and EC2 pricing: per second, rounded up, one minute minimum."""
    assert [billed_seconds(0, stop) for stop in (1, 20_000, 60_000, 60_001, 61_000)] == [60, 60, 60, 61, 61]
    assert billed_seconds(500, 1_500, minimum_s=0) == 1
    assert billed_seconds(500, 500, minimum_s=0) == 0


@pytest.mark.golden(69)
def test_five_tasks_of_1_vcpu_2_gb_for_10_minutes_daily_cost_1_23_a_month() -> None:
    """25 vCPU-hours x 0.04048 = 1.012; 50 GB-hours x 0.004445 = 0.22225."""
    runs = 5 * 30
    hours = fargate_hours(billed_seconds(0, 600_000), cpu=1_024, memory_mib=2_048)

    assert runs * hours.vcpu == pytest.approx(25)
    assert runs * hours.vcpu * X86.vcpu_usd_per_hour == pytest.approx(1.012)
    assert runs * hours.memory_gb * X86.gb_usd_per_hour == pytest.approx(0.22225)
    assert runs * hours.usd(X86) == pytest.approx(1.23425)


@pytest.mark.golden(70)
def test_ten_tasks_of_a_quarter_vcpu_for_an_hour_daily_cost_4_37_a_month() -> None:
    """75 vCPU-hours x 0.04048 = 3.036; 300 GB-hours x 0.004445 = 1.3335."""
    assert 10 * 30 * fargate_hours(HOUR, cpu=256, memory_mib=1_024).usd(X86) == pytest.approx(4.3695)


@pytest.mark.golden(71)
def test_a_task_of_20_seconds_is_billed_a_minute() -> None:
    """60 s x (0.25 x 0.04048 + 0.5 x 0.004445) / 3600 = 0.00020571 USD."""
    seconds = billed_seconds(0, 20_000)

    assert fargate_hours(seconds, cpu=256, memory_mib=512).usd(X86) == pytest.approx(0.000206, abs=5e-7)


@pytest.mark.golden(71)
@pytest.mark.parametrize(
    ("seconds", "memory", "rates", "usd"),
    [
        (HOUR, 2_048, X86, 0.04937),
        (HOUR, 2_048, ARM, 0.0395),
        (730 * HOUR, 4_096, X86, 42.53),
        (730 * HOUR, 2_048, X86, 36.04),
    ],
)
def test_a_task_of_1_vcpu_costs_its_vcpu_and_its_memory(
    seconds: int, memory: int, rates: Rates, usd: float
) -> None:
    """0.04048 + 2 x 0.004445 = 0.04937 an hour; 730 hours are AWS's month."""
    assert fargate_hours(seconds, cpu=1_024, memory_mib=memory).usd(rates) == pytest.approx(usd, rel=2e-4)


@pytest.mark.golden(71)
def test_storage_is_billed_above_the_included_20_gib() -> None:
    """50 GiB for an hour: 30 x 0.000111 = 0.00333 USD; 20 GiB add nothing."""
    hours = fargate_hours(HOUR, cpu=1_024, memory_mib=2_048, ephemeral_gib=50)

    assert hours.usd(X86) - 0.04937 == pytest.approx(0.00333)
    assert fargate_hours(HOUR, cpu=1_024, memory_mib=2_048, ephemeral_gib=20).ephemeral_gb == 0


def test_an_instance_costs_its_hours_and_a_volume_its_share_of_a_month() -> None:
    """m5.large at 0.096 for 90 minutes: 0.144; 30 GiB at 0.08 for 730 hours: 2.40."""
    assert instance_usd(5_400.0, 0.096) == pytest.approx(0.144)
    assert volume_usd(730.0 * HOUR, 30, 0.08) == pytest.approx(2.40)
    assert instance_usd(np.array([3_600.0, 7_200.0]), 0.5).tolist() == [0.5, 1.0]


instants = st.integers(0, 10**12)
span_lists = st.lists(st.integers(0, 10**9), min_size=1, max_size=20)


@given(
    start=instants,
    spans=span_lists,
    minimum=st.integers(0, 300),
)
def test_columns_equal_their_rows(start: int, spans: list[int], minimum: int) -> None:
    """The vectorised form is the scalar one, row by row."""
    starts = np.full(len(spans), start, np.int64)
    stops = starts + np.array(spans, np.int64)

    expected = [billed_seconds(start, start + span, minimum) for span in spans]
    assert billed_seconds_column(starts, stops, minimum).tolist() == expected


@given(span=st.integers(0, 10**9), longer=st.integers(0, 10**6))
def test_using_longer_is_never_cheaper(span: int, longer: int) -> None:
    """Rounding and the minimum keep the order of durations; less than a second is added."""
    short, long = billed_seconds(0, span), billed_seconds(0, span + longer)

    assert short <= long
    assert span <= billed_seconds(0, span, 0) * 1_000 < span + 1_000
