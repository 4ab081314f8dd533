"""Addresses of subnets: how many there are, who takes one, and from which subnet.

Decides how many addresses a CIDR block gives, in which subnet of a zone a network interface is made, and what
EC2 says when none is left. It must not know tasks, instances or the clock: the world keeps the free counts
and calls `roomiest`, then takes one away or gives it back.

Who takes one: an instance for its primary interface, and one more for its trunk interface where trunking is
on; an awsvpc task for its own interface, on EC2, Managed Instances and Fargate alike; tasks in bridge, host
and none mode none (ECS Developer Guide: task networking, network interface trunking). An interface holds one
private address. Load balancers, gateways and endpoints take addresses too, which is not simulated.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from clustersim.engine.compiled import Array, kernel

RESERVED = 5
"""Network address, router, DNS, future use, broadcast (Amazon VPC User Guide: subnet CIDR blocks)."""

WIDEST, NARROWEST = 16, 28
"""The prefix lengths that a subnet may have (Amazon VPC User Guide: subnet CIDR blocks)."""

ENDLESS = 1 << 40
"""The free count of a subnet without a CIDR block: more than anybody takes."""

NO_SUBNET = -1


def capacity(block: IPv4Network | None) -> int:
    """The addresses that a subnet of this CIDR block can give; without one it is endless."""
    return ENDLESS if block is None else block.num_addresses - RESERVED


def addresses_of_instance(trunked: bool) -> int:
    """The addresses that a container instance takes for itself: primary and trunk interface."""
    return 2 if trunked else 1


def addresses_of_task(network_mode: str) -> int:
    """The addresses that a task takes: one in awsvpc mode."""
    return 1 if network_mode == "awsvpc" else 0


@kernel
def roomiest(free: Array, zones: Array, allowed: Array, zone: int) -> int:
    """The allowed subnet of `zone` with the most free addresses; of equals the first, NO_SUBNET if all are full.

    `free` is int64[S], `zones` int64[S], `allowed` uint8[S]. AWS does not say how it chooses among several
    subnets of a zone (MODEL.md: choices).
    """
    best, most = NO_SUBNET, 0
    for subnet in range(free.size):
        if allowed[subnet] and zones[subnet] == zone and free[subnet] > most:
            best, most = subnet, free[subnet]
    return best


def task_words(subnet: str, public_address: bool) -> str:
    """`stoppedReason` of a task for which no interface can be made (ECS Developer Guide: TaskFailedToStart)."""
    public = " with public IP assignment enabled" if public_address else ""
    return (
        f"Unexpected EC2 error while attempting to Create Network Interface{public} in subnet '{subnet}': "
        "InsufficientFreeAddressesInSubnet"
    )


def instance_words(subnet: str) -> str:
    """Why a group cannot launch an instance, as EC2 RunInstances says it."""
    return (
        f"There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of "
        "instances. Launching EC2 instance failed."
    )
