"""`virtualMachines` of a service: each copy of the application has a virtual machine of its own.

Decides the shape of the block and its defaults. Must not know instance types or prices; `resolve.virtual_machines`
chooses among them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from clustersim.engine.random_streams import LOGNORMAL
from clustersim.scenario.sections.distributions import DurationDistribution
from clustersim.scenario.sections.resolved_section import Distribution, PurchaseOption, ResolvedSection
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.assumptions import assume, uses_virtual_machines
from clustersim.scenario.text.units import Count, DiskGib, DurationMs, MemoryMib
from clustersim.vocabulary import MS_PER_SECOND

BOOT_TIME = Distribution(code=LOGNORMAL, a=90.0 * MS_PER_SECOND, b=0.3)
"""Request to the application's start: the range published for EC2 is 1 to 3 minutes (MODEL.md)."""


class WrittenGuestSystem(WrittenSection):
    """The resources that a virtual machine's own operating system takes; CPU in units of 1,024 per vCPU."""

    memory: MemoryMib = 400.0
    cpu: Count = 64
    disk: DiskGib = 8


class WrittenVirtualMachines(WrittenSection):
    """`virtualMachines`: one copy of the application on each, in place of launchType and capacityProviderStrategy.

    Without `instanceType` it is the cheapest of `instanceTypes`, or of c6i, m6i and r6i (arm64: c7g, m7g, r7g), that
    holds the application and the guest operating system. `bootTime` is from the request of a machine to the start of
    its application, `instanceWarmup` how long it then counts as capacity and not in the metrics of scaling policies.
    """

    instance_type: str | None = None
    instance_types: Annotated[list[str], Field(min_length=1)] | None = None
    purchase_option: PurchaseOption = "on-demand"
    guest_os: WrittenGuestSystem = WrittenGuestSystem()
    boot_time: DurationDistribution = BOOT_TIME
    instance_warmup: DurationMs = 300 * MS_PER_SECOND
    root_volume: DiskGib = 30


class VirtualMachines(ResolvedSection):
    """The use of a group's instances as virtual machines: the service of which each runs one copy, and the resources
    that the guest operating system takes."""

    service: str
    guest_cpu: int
    guest_memory_mib: int
    guest_disk_gib: int


assume(
    "boot-time",
    "lognormal, median 90 s, sigma 0.3, from request to the application's start",
    lambda scenario: any(
        pool.machines is not None and pool.launch_time == BOOT_TIME for pool in scenario.groups
    ),
    setting="services[].virtualMachines.bootTime",
    source="1 to 3 minutes are usual",
)
assume(
    "guest-system",
    "400 MiB, 64 CPU units and 8 GiB of disk on each virtual machine",
    uses_virtual_machines,
    setting="services[].virtualMachines.guestOs",
    source="measured on an idle Linux server; CPU: none",
)
