"""Addresses of subnets: AWS's own arithmetic, and a plain-Python twin of the choice."""

from __future__ import annotations

from ipaddress import IPv4Network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.subnet_addresses import (
    NO_SUBNET,
    UNLIMITED,
    addresses_of_instance,
    addresses_of_task,
    instance_address_error,
    subnet_capacity,
    subnet_with_most_free,
    task_address_error,
)


@pytest.mark.parametrize(
    ("block", "free"), [("10.0.0.0/28", 11), ("10.0.0.0/24", 251), ("10.0.0.0/16", 65_531)]
)
def test_aws_reserves_five_addresses_of_a_subnet(block: str, free: int) -> None:
    """Amazon VPC User Guide: a /28 has 16 addresses, 11 to use; a /24 has 251."""
    assert subnet_capacity(IPv4Network(block)) == free


def test_a_subnet_without_a_block_is_unlimited() -> None:
    assert subnet_capacity(None) == UNLIMITED


def test_addresses_of_tasks_and_instances() -> None:
    """ECS Developer Guide: an awsvpc task has an interface of its own; trunking adds one to the instance."""
    assert [addresses_of_task(mode) for mode in ("awsvpc", "bridge", "host", "none")] == [1, 0, 0, 0]
    assert (addresses_of_instance(False), addresses_of_instance(True)) == (1, 2)


def test_error_messages_of_ec2() -> None:
    assert task_address_error("subnet-1", True) == (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled "
        "in subnet 'subnet-1': InsufficientFreeAddressesInSubnet"
    )
    assert "enabled" not in task_address_error("subnet-1", False)
    assert instance_address_error("subnet-1").startswith(
        "There are not enough free addresses in subnet 'subnet-1'"
    )


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 2),
)
def test_the_subnet_of_the_zone_with_most_free_addresses(
    subnets: list[tuple[int, int, bool]], zone: int
) -> None:
    """Most free addresses; of equals the first; none where all are full, elsewhere or not allowed."""
    free, zones, allowed = (np.array(column, np.int64) for column in zip(*subnets, strict=True))
    candidates = [
        i
        for i, (room, subnet_zone, is_allowed) in enumerate(subnets)
        if is_allowed and subnet_zone == zone and room > 0
    ]
    expected = max(candidates, key=lambda i: (subnets[i][0], -i)) if candidates else NO_SUBNET
    assert subnet_with_most_free(free, zones, allowed.astype(np.uint8), zone) == expected
