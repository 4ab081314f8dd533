"""The memory that an EC2 instance registers with ECS.

The agent registers the total memory that Docker reports, minus ECS_RESERVED_MEMORY (default 0). This is the
advertised size less the memory of the hypervisor and the kernel (ECS Developer Guide: container instance memory
management). AWS publishes no table, so this module defines a rule per platform. It must not know where names and
sizes of instance types come from; the catalogue calls it.

Two points are met exactly: m4.large (Xen) registers 7,985 of 8,192 MiB (Developer Guide), t4g.large (Nitro) 7,813
of 8,192 (observed). Every platform's rule has the same physical parts: page structures and hypervisor in proportion
to memory, a kernel of fixed size, per-vCPU areas, and a 64 MiB bounce buffer if memory exceeds the address range of
32-bit devices. Fractions and constants were chosen so that the rule stays at or below public measurements
(data/SOURCES.md): Xen within 1 MiB of the 2018 ECS table; `Nitro, 5th generation and older` at or below that table's
m5 and c5 rows (m5.large 7,690 measured, 7,684 here); `Nitro, 6th generation on` and the burstable types at or below
the values of EKS nodes (m6i.large 7,740 here, 7,817 observed on ECS).

Unconfirmed: m5 on today's AMIs (EKS nodes report 7,633 for m5.large), bare metal, types of 2024 and later, and the
change by AMI releases (one took 4 MiB from m6i.large). `registeredMemoryMiB` in the scenario's `instanceTypes`
overrides the rule.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_BOUNCE_BUFFER_MIB = 64
_PARTS_PER_UNIT = 10_000

# Families from before 2017-11; all later ones run on the Nitro system (EC2 User Guide: instance types).
_XEN = frozenset(
    [
        "t1",
        "t2",
        "m1",
        "m2",
        "m3",
        "m4",
        "c1",
        "c3",
        "c4",
        "r3",
        "r4",
        "i2",
        "i3",
        "d2",
        "h1",
        "g2",
        "g3",
        "g3s",
        "p2",
        "p3",
        "f1",
        "x1",
        "x1e",
    ],
)
_BURSTABLE_NITRO = frozenset({"t3", "t3a", "t4g"})
_LAST_OLD_GENERATION = 5


class MemoryRule(NamedTuple):
    """The memory a platform keeps, in MiB: parts / 10,000 of memory, a fixed part, one per vCPU, a buffer."""

    parts: int
    fixed: int
    per_vcpu: int
    first_vcpus_free: int
    buffer_from: int

    def kept_mib(self, memory_mib: int, vcpus: int) -> int:
        """Return the MiB that are not available to the agent, rounded up."""
        kept = -(-memory_mib * self.parts // _PARTS_PER_UNIT) + self.fixed
        kept += self.per_vcpu * max(0, vcpus - self.first_vcpus_free)
        return kept + (_BOUNCE_BUFFER_MIB if memory_mib >= self.buffer_from else 0)


# 1/64 of memory are the kernel's page structures (64 bytes for every 4 KiB); Xen has no other proportional part.
XEN = MemoryRule(parts=156, fixed=15, per_vcpu=2, first_vcpus_free=2, buffer_from=4_096)
NITRO_BURSTABLE_X86 = MemoryRule(parts=287, fixed=79, per_vcpu=0, first_vcpus_free=0, buffer_from=4_096)
NITRO_BURSTABLE_ARM = MemoryRule(parts=287, fixed=79, per_vcpu=0, first_vcpus_free=0, buffer_from=2_048)
NITRO_OLD = MemoryRule(parts=300, fixed=138, per_vcpu=30, first_vcpus_free=0, buffer_from=2_048)
NITRO = MemoryRule(parts=383, fixed=74, per_vcpu=0, first_vcpus_free=0, buffer_from=2_048)


def find_memory_rule(name: str, arch: str) -> MemoryRule:
    """Return the rule of the platform that type `name` runs on, by its family (`m4` of `m4.large`)."""
    family = name.partition(".")[0]
    if family in _XEN:
        return XEN
    if family in _BURSTABLE_NITRO:
        return NITRO_BURSTABLE_ARM if arch == "arm64" else NITRO_BURSTABLE_X86
    generation = re.match(r"[a-z]+(\d+)", family)
    if generation is not None and int(generation.group(1)) <= _LAST_OLD_GENERATION:
        return NITRO_OLD
    return NITRO


def registered_memory_mib(name: str, arch: str, memory_mib: int, vcpus: int, reserved_mib: int = 0) -> int:
    """Return the MiB that instance type `name` registers; `reserved_mib` is the agent's ECS_RESERVED_MEMORY.

    ECS Developer Guide: m4.large registers 7,985 MiB, so a task of 8,192 MiB never fits on it; with
    ECS_RESERVED_MEMORY=256 it registers 7,729.
    """
    kept = find_memory_rule(name, arch).kept_mib(memory_mib, vcpus)
    return max(0, memory_mib - kept - reserved_mib)
