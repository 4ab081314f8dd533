"""The table of placement strategies: spellings, codes, and what a chain reads."""

from __future__ import annotations

import pytest

from clustersim.policy.placement.placement_strategies import (
    BINPACK_CPU,
    CUSTOM,
    FEWEST_OF_GROUP,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    STRATEGIES,
    ZONE,
    needs_group_counts,
    strategy_chain,
)


@pytest.mark.parametrize(
    ("strategy", "written", "spelled"),
    [
        ("spread", "host", "instanceId"),
        ("spread", "INSTANCEID", "instanceId"),
        ("spread", "attribute:rack", "attribute:rack"),
        ("spread", "zone", None),
        ("spread", None, None),
        ("binpack", "CPU", "cpu"),
        ("binpack", "attribute:rack", None),
        ("binpack", "attribute:NAME", None),
        ("random", None, ""),
        ("random", "cpu", ""),
    ],
)
def test_fields_are_spelled_as_in_the_api(strategy: str, written: str | None, spelled: str | None) -> None:
    """`host` is instanceId, and case does not matter (ECS API: PlacementStrategy.field); random ignores the field."""
    assert STRATEGIES[strategy].spell(written) == spelled


def test_each_field_has_a_code() -> None:
    assert STRATEGIES["spread"].code("instanceId") == SPREAD_INSTANCE
    assert STRATEGIES["spread"].code("attribute:rack") == SPREAD_ATTRIBUTE
    assert STRATEGIES["binpack"].code("cpu") == BINPACK_CPU
    assert STRATEGIES["random"].code(None) == RANDOM


def test_tasks_per_host_are_counted_only_for_rules_that_read_them() -> None:
    """Zones are counted anyway."""
    assert needs_group_counts(strategy_chain((BINPACK_CPU, 0), (SPREAD_INSTANCE, 0)), 0)
    assert needs_group_counts(strategy_chain((SPREAD_ATTRIBUTE, ZONE + 1)), 0)
    assert needs_group_counts(strategy_chain((FEWEST_OF_GROUP, 0)), 0)
    assert needs_group_counts(strategy_chain((CUSTOM, 0)), 0)
    assert needs_group_counts(strategy_chain((BINPACK_CPU, 0)), 1)
    assert not needs_group_counts(strategy_chain((SPREAD_ATTRIBUTE, ZONE), (BINPACK_CPU, 0)), 0)
