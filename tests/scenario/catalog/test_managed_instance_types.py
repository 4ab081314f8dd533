"""The families of Managed Instances and their fee, against the Developer Guide and bills."""

from __future__ import annotations

import pytest

from clustersim.scenario.catalog.instance_types import load_catalog
from clustersim.scenario.catalog.managed_instance_types import (
    is_general_purpose,
    is_launched,
    management_fee,
)


@pytest.mark.parametrize(
    ("name", "launched"),
    [
        ("m6i.large", True),
        ("t4g.small", True),
        ("t4g.nano", False),
        ("t3.micro", False),
        ("c6g.medium", False),  # one vCPU
        ("m4.large", False),  # not a family of the list
        ("i3.large", False),
    ],
)
def test_ecs_launches_only_published_families_of_more_than_one_vcpu(name: str, launched: bool) -> None:
    assert is_launched(load_catalog().instance_type(name, "us-east-1")) == launched


def test_without_requirements_ecs_takes_general_purpose_families() -> None:
    assert [
        name for name in ("m7g.large", "t3.small", "c6i.large", "r6i.large") if is_general_purpose(name)
    ] == [
        "m7g.large",
        "t3.small",
    ]


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("m6i.large", 0.12),
        ("g6.xlarge", 0.078),
        ("gr6.4xlarge", 0.078),
        ("p5.48xlarge", 0.048),
        ("trn1.2xlarge", 0.048),
    ],
)
def test_the_fee_of_accelerated_types_is_lower(name: str, share: float) -> None:
    """Since 2026-07-01."""
    assert management_fee(name) == share
