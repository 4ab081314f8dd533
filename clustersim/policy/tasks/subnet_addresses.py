"""Private IP addresses of subnets.

Decides how many addresses a CIDR block has, in which subnet of a zone a network interface is created, and the error
messages of EC2 when none is left. It must not know tasks, instances or the clock: the world keeps the free counts,
calls `subnet_with_most_free`, and then takes or returns an address.

Consumers: an instance needs one address for its primary interface, and one more for its trunk interface if trunking is
on; an awsvpc task one for its own interface, on EC2, Managed Instances and Fargate alike; tasks in bridge, host and
none mode need none (ECS Developer Guide: task networking, network interface trunking). An interface has one private
address. Load balancers, gateways and endpoints use addresses too, which is not simulated.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Array

RESERVED_ADDRESSES = 5
"""Network address, router, DNS, future use, broadcast (Amazon VPC User Guide: subnet CIDR blocks)."""

SHORTEST_PREFIX, LONGEST_PREFIX = 16, 28
"""The range of prefix lengths of a subnet (Amazon VPC User Guide: subnet CIDR blocks)."""

UNLIMITED = 1 << 40
"""The free count of a subnet without a CIDR block: more than any run needs."""

NO_SUBNET = -1


def subnet_capacity(block: IPv4Network | None) -> int:
    """Return the usable addresses of a subnet with this CIDR block; UNLIMITED without one."""
    return UNLIMITED if block is None else block.num_addresses - RESERVED_ADDRESSES


def addresses_of_instance(trunked: bool) -> int:
    """Return the addresses of a container instance itself: primary and trunk interface."""
    return 2 if trunked else 1


def addresses_of_task(network_mode: str) -> int:
    """Return the addresses of a task: one in awsvpc mode, else none."""
    return 1 if network_mode == "awsvpc" else 0


@kernel
def subnet_with_most_free(free: Array, zones: Array, allowed: Array, zone: int) -> int:
    """Return the allowed subnet of `zone` with the most free addresses; the first on a tie, NO_SUBNET if all are full.

    `free` is int64[S], `zones` int64[S], `allowed` uint8[S]. AWS does not document how it chooses among several
    subnets of a zone (MODEL.md: choices).
    """
    best, most = NO_SUBNET, 0
    for subnet in range(free.size):
        if allowed[subnet] and zones[subnet] == zone and free[subnet] > most:
            best, most = subnet, free[subnet]
    return best


def task_address_error(subnet: str, public_address: bool) -> str:
    """Return the `stoppedReason` of a task without an interface (ECS Developer Guide: TaskFailedToStart)."""
    public = " with public IP assignment enabled" if public_address else ""
    return (
        f"Unexpected EC2 error while attempting to Create Network Interface{public} in subnet '{subnet}': "
        "InsufficientFreeAddressesInSubnet"
    )


def instance_address_error(subnet: str) -> str:
    """Return the error message of EC2 RunInstances when a group cannot launch an instance."""
    return (
        f"There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of "
        "instances. Launching EC2 instance failed."
    )
