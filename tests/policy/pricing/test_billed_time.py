"""Billed time: from when and until when a task pays, and the rounding of what has ended."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.pricing.billed_time import (
    billing_round_up,
    paid_from,
    paid_from_columns,
    paid_until,
    round_up_columns,
)

SECOND, MINUTE = 1_000, 60_000
NEVER = -1
spans = st.integers(0, 10**12)


@pytest.mark.parametrize(
    ("length", "billed"),
    [(1, 60_000), (20_000, 60_000), (60_000, 60_000), (60_001, 61_000), (61_000, 61_000)],
)
def test_seconds_round_up_to_at_least_a_minute(length: int, billed: int) -> None:
    """AWS Fargate and EC2 pricing: per second, rounded up, one minute minimum."""
    assert length + billing_round_up(length) == billed


@given(span=spans, longer=st.integers(0, 10**6))
def test_using_longer_is_never_cheaper(span: int, longer: int) -> None:
    """Rounding and the minimum keep the order of durations; beyond a minute less than a second is added."""
    short, long = (each + int(billing_round_up(each)) for each in (span, span + longer))
    assert short <= long
    assert span <= short < max(span + SECOND, MINUTE + 1)


def test_fargate_pays_from_the_pull_of_its_images() -> None:
    """AWS Fargate pricing: from the time when the image download starts; what pulls nothing pays from its placement."""
    assert paid_from(1, 7_000, 5_000) == 7_000
    assert paid_from(1, NEVER, 5_000) == 5_000
    assert paid_from(0, 7_000, 5_000) == 5_000


@pytest.mark.parametrize(("on_fargate", "until"), [(0, 6_000), (1, 9_000)])
def test_a_task_on_an_instance_pays_until_it_begins_to_stop(on_fargate: int, until: int) -> None:
    """It began to stop at 6 s and is STOPPED at 9 s; Fargate bills to the end."""
    assert paid_until(on_fargate, 6_000, 9_000) == until
    assert paid_until(on_fargate, NEVER, 9_000) == 9_000


@given(lengths=st.lists(spans, min_size=1, max_size=20))
def test_columns_are_rounded_row_by_row(lengths: list[int]) -> None:
    """The kernel over columns is the rule of one row."""
    added = np.zeros(len(lengths), np.int64)
    round_up_columns(np.array(lengths, np.int64), added)
    assert added.tolist() == [billing_round_up(length) for length in lengths]


def test_the_beginnings_of_columns_are_those_of_rows() -> None:
    """Three tasks: on Fargate with and without a pull, and on an instance."""
    begun = np.zeros(3, np.int64)
    columns = [np.array(column, np.int64) for column in ([1, 1, 0], [7, NEVER, 7], [5, 5, 5])]
    paid_from_columns(*columns, begun)
    assert begun.tolist() == [7, 5, 5]
