"""Sections that are read and checked, but whose features are not simulated yet.

Decides the shape of registries' images, IAM roles and virtual machines. Must not know anything
else. A model moves away from here when its feature is simulated.
"""

from __future__ import annotations

from pydantic import Field

from clustersim.scenario.raw import FreeMapping, Written
from clustersim.scenario.units import MemoryMib


class Layer(Written):
    """A layer of an image, shared by its digest."""

    digest: str
    size: MemoryMib


class Image(Written):
    """What a registry holds under an image's name."""

    registry: str = "ecr"
    layers: list[Layer] = Field(default_factory=list)
    size: MemoryMib | None = None


class Role(Written):
    """An IAM role and its policies: documents, or files that hold them."""

    role_name: str
    policies: list[FreeMapping] = Field(default_factory=list)


class GuestSystem(Written):
    """What a virtual machine's own system takes."""

    memory: MemoryMib = 0.0


class VirtualMachines(Written):
    """`virtualMachines`: one copy of a service on each."""

    instance_type: str
    guest_os: GuestSystem = GuestSystem()
