"""The section `subnets`, resolved: subnets of zones with their numbers of addresses.

Decides which CIDR blocks are valid, and the subnets of a scenario that lists none. Must not know tasks or instances.
`resolve.scenario` calls it first, since services and groups name subnets.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from clustersim.policy.tasks.subnet_addresses import LONGEST_PREFIX, SHORTEST_PREFIX, subnet_capacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.scenario import Subnet
from clustersim.scenario.text.document import FieldPath


def resolve_subnets(context: Context) -> tuple[Subnet, ...]:
    """Return all subnets; without any, one without a limit of addresses for each zone."""
    subnets: list[Subnet] = []
    blocks: list[tuple[str, IPv4Network]] = []
    for index, written in enumerate(context.file.subnets):
        path = ("subnets", index)
        context.declare_name("subnet", written.subnet_id, (*path, "subnetId"))
        context.subnets[written.subnet_id] = written.availability_zone
        if written.availability_zone not in context.zones:
            problem = f"{written.availability_zone} is not a zone of this scenario"
            context.diagnostics.add_problem(
                (*path, "availabilityZone"), problem, f"one of: {', '.join(context.zones)}"
            )
        block = None
        if written.cidr_block is not None:
            block = _parse_cidr_block(context, written.cidr_block, (*path, "cidrBlock"))
            if block is not None:
                _check_overlap(context, block, blocks, (*path, "cidrBlock"))
                blocks.append((written.subnet_id, block))
        subnets.append(
            Subnet(name=written.subnet_id, zone=written.availability_zone, addresses=subnet_capacity(block))
        )
    return tuple(subnets) or tuple(Subnet(name=f"subnet-{zone}", zone=zone) for zone in context.zones)


def _parse_cidr_block(context: Context, text: str, path: FieldPath) -> IPv4Network | None:
    """Return the CIDR block of a subnet, and report one that AWS refuses; None if it cannot be read."""
    try:
        block = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        context.diagnostics.add_problem(path, f"{text!r} is not a CIDR block", "like 10.0.0.0/20")
        return None
    if "/" not in text or str(block) != text:
        context.diagnostics.add_problem(path, f"{text} is not the first address of a block", str(block))
    elif not SHORTEST_PREFIX <= block.prefixlen <= LONGEST_PREFIX:
        problem = f"a subnet cannot have the size /{block.prefixlen}"
        context.diagnostics.add_problem(path, problem, f"/{SHORTEST_PREFIX} to /{LONGEST_PREFIX}")
    return block


def _check_overlap(
    context: Context, block: IPv4Network, others: list[tuple[str, IPv4Network]], path: FieldPath
) -> None:
    for name, other in others:
        if block.overlaps(other):
            context.diagnostics.add_problem(path, f"{block} overlaps with {name}", f"outside {other}")
