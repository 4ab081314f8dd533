"""Addresses of subnets: AWS's own arithmetic, and a plain twin of the choice."""

from __future__ import annotations

from ipaddress import IPv4Network

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.policy.tasks.subnet_addresses import (
    ENDLESS,
    NO_SUBNET,
    addresses_of_instance,
    addresses_of_task,
    capacity,
    instance_words,
    roomiest,
    task_words,
)


@pytest.mark.parametrize(
    ("block", "free"), [("10.0.0.0/28", 11), ("10.0.0.0/24", 251), ("10.0.0.0/16", 65_531)]
)
def test_aws_reserves_five_addresses_of_a_subnet(block: str, free: int) -> None:
    """Amazon VPC User Guide: a /28 has 16 addresses, 11 to use; a /24 has 251."""
    assert capacity(IPv4Network(block)) == free


def test_a_subnet_without_a_block_is_endless() -> None:
    assert capacity(None) == ENDLESS


def test_who_takes_addresses() -> None:
    """ECS Developer Guide: an awsvpc task has an interface of its own; trunking adds one to the instance."""
    assert [addresses_of_task(mode) for mode in ("awsvpc", "bridge", "host", "none")] == [1, 0, 0, 0]
    assert (addresses_of_instance(False), addresses_of_instance(True)) == (1, 2)


def test_ec2s_words() -> None:
    assert task_words("subnet-1", True) == (
        "Unexpected EC2 error while attempting to Create Network Interface with public IP assignment enabled "
        "in subnet 'subnet-1': InsufficientFreeAddressesInSubnet"
    )
    assert "enabled" not in task_words("subnet-1", False)
    assert instance_words("subnet-1").startswith("There are not enough free addresses in subnet 'subnet-1'")


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2), st.booleans()), min_size=1, max_size=8),
    st.integers(0, 2),
)
def test_the_roomiest_subnet_of_the_zone(subnets: list[tuple[int, int, bool]], zone: int) -> None:
    """Most free addresses; of equals the first; none where all are full, elsewhere or not allowed."""
    free, zones, allowed = (np.array(column, np.int64) for column in zip(*subnets, strict=True))
    able = [i for i, (room, of, may) in enumerate(subnets) if may and of == zone and room > 0]
    expected = max(able, key=lambda i: (subnets[i][0], -i)) if able else NO_SUBNET
    assert roomiest(free, zones, allowed.astype(np.uint8), zone) == expected
