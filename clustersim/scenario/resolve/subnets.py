"""The section `subnets`, resolved: subnets of zones with the addresses that they can give.

Decides which CIDR blocks AWS takes and what a subnet is when none is listed. Must not know who takes addresses.
`resolve` calls it first, since services and groups name subnets.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from clustersim.policy.tasks.subnet_addresses import NARROWEST, WIDEST, capacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.scenario import Subnet
from clustersim.scenario.text.document import Steps


def subnets(context: Context) -> tuple[Subnet, ...]:
    """All subnets; without any, an endless one for each zone."""
    found: list[Subnet] = []
    blocks: list[tuple[str, IPv4Network]] = []
    for index, written in enumerate(context.file.subnets):
        path = ("subnets", index)
        context.declare("subnet", written.subnet_id, (*path, "subnetId"))
        context.subnets[written.subnet_id] = written.availability_zone
        if written.availability_zone not in context.zones:
            what = f"{written.availability_zone} is no zone of this scenario"
            context.findings.add((*path, "availabilityZone"), what, f"one of: {', '.join(context.zones)}")
        block = None
        if written.cidr_block is not None:
            block = _block(context, written.cidr_block, (*path, "cidrBlock"))
            if block is not None:
                _check_overlap(context, block, blocks, (*path, "cidrBlock"))
                blocks.append((written.subnet_id, block))
        found.append(
            Subnet(name=written.subnet_id, zone=written.availability_zone, addresses=capacity(block))
        )
    return tuple(found) or tuple(Subnet(name=f"subnet-{zone}", zone=zone) for zone in context.zones)


def _block(context: Context, text: str, path: Steps) -> IPv4Network | None:
    """A CIDR block that a subnet may have."""
    try:
        block = IPv4Network(text, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError):
        context.findings.add(path, f"{text!r} is no CIDR block", "like 10.0.0.0/20")
        return None
    if "/" not in text or str(block) != text:
        context.findings.add(path, f"{text} is not the beginning of a block", str(block))
    elif not WIDEST <= block.prefixlen <= NARROWEST:
        what = f"a subnet is not of the size /{block.prefixlen}"
        context.findings.add(path, what, f"/{WIDEST} to /{NARROWEST}")
    return block


def _check_overlap(
    context: Context, block: IPv4Network, others: list[tuple[str, IPv4Network]], path: Steps
) -> None:
    for name, other in others:
        if block.overlaps(other):
            context.findings.add(path, f"{block} overlaps with {name}", f"outside {other}")
