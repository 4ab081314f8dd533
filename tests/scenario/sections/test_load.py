"""The written form of a load: weeks, growth and burstiness."""

from __future__ import annotations

import pytest

from clustersim.scenario.sections.load import WrittenLoad, WrittenSeries


def test_a_week_has_168_hours_from_monday_on() -> None:
    """A rate a day, or one for each hour; days that are not named have none."""
    week = WrittenSeries.model_validate({"weekly": {"tuesday": [*range(24)], "weekend": 5}}).weekly
    assert week is not None
    assert week == (*[0.0] * 24, *map(float, range(24)), *[0.0] * 72, *[5.0] * 48)


@pytest.mark.parametrize(("written", "share"), [("5%", 0.05), (0.05, 0.05), ("-20%", -0.2)])
def test_a_growth_is_a_percentage_or_a_share(written: str | float, share: float) -> None:
    found = WrittenSeries.model_validate({"constant": 1, "growth": written}).growth
    assert found == pytest.approx(share)


def test_a_plain_number_is_a_constant_poisson_rate() -> None:
    load = WrittenLoad.model_validate({"requestsPerSecond": 5})
    assert load.requests_per_second is not None
    assert (load.requests_per_second.constant, load.requests_per_second.burstiness) == (5.0, 1.0)
