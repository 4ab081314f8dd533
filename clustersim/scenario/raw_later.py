"""Sections that are read and checked, but whose features are not simulated yet.

Decides the shape of virtual machines. Must not know anything else. A model moves away from here when its feature
is simulated.
"""

from __future__ import annotations

from clustersim.scenario.raw import Written
from clustersim.scenario.units import MemoryMib


class GuestSystem(Written):
    """What a virtual machine's own system takes."""

    memory: MemoryMib = 0.0


class VirtualMachines(Written):
    """`virtualMachines`: one copy of a service on each."""

    instance_type: str
    guest_os: GuestSystem = GuestSystem()
