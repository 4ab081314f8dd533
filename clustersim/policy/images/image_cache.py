"""Images and their layers on container instances: the columns, and the movements that change them.

This module holds what images are made of (`Stacks`, fixed for a run), what each container instance has of
them (`Shelves`), and the movements: shelve a version, let a container take and leave it, remove it, empty a
host. Layers are shared: a host keeps one copy for all versions that stand on it. It decides nothing;
`policy.images.image_pulls` says what must be fetched, `policy.images.image_cleanup` what goes. The world owns the
arrays and calls the movements.

A *version* is an image as a tag means it from an instant on; a tag that is pushed anew leaves the version
before it on the host, nameless, until the agent cleans it up (ECS agent: image manager).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel
from clustersim.vocabulary import NEVER

NOTHING = -1
"""A host's tag that means no version."""

BAKED_IN = -2
"""`pulled_at` of a version that came with the machine image, and that no task has pulled yet."""

NETWORK, DISK = range(2)
"""The two lines of a host that layers pass through, one after the other: columns of `lines`."""


class Stacks(NamedTuple):
    """What images are made of: I images, V versions, L layers, sizes in bytes."""

    first: Annotated[Array, np.int64, 1]  # [V + 1]: where a version's layers begin in `layers`
    layers: Annotated[Array, np.int64, 1]  # layers of all versions, base first, no layer twice in one
    image: Annotated[Array, np.int64, 1]  # [V]: the image that it is a version of
    compressed: Annotated[Array, np.int64, 1]  # [L]: what a pull moves
    unpacked: Annotated[Array, np.int64, 1]  # [L]: what lies on the disk


class Shelves(NamedTuple):
    """What each container instance has, by slot. Instants are ms, NEVER where there is none."""

    held: Annotated[Array, np.int64, 2]  # [n, I]: the version that the tag means here, or NOTHING
    pulled_at: Annotated[Array, np.int64, 2]  # [n, V]: when the version was pulled; NEVER: not here; BAKED_IN
    containers: Annotated[Array, np.int64, 2]  # [n, V]: containers that hold it
    left_at: Annotated[Array, np.int64, 2]  # [n, V]: when the last container let go of it
    standing: Annotated[Array, np.int64, 2]  # [n, L]: versions here that stand on the layer
    there_at: Annotated[Array, np.int64, 2]  # [n, L]: from when on the layer is there; NEVER: not here
    stored: Annotated[Array, np.int64, 1]  # [n]: bytes of layers on the disk, those under way included
    written: Annotated[Array, np.int64, 1]  # [n]: bytes of the containers' own read/write layers
    lines: Annotated[Array, np.float64, 2]  # [n, 2]: when NETWORK and DISK are free again, ms


def stacks_of(versions: Sequence[tuple[int, Sequence[int]]], layers: Sequence[tuple[int, int]]) -> Stacks:
    """Stacks of `versions` (image, its layers) over `layers` (compressed, unpacked bytes)."""
    sizes = np.array(layers, np.int64).reshape(-1, 2)
    lengths = [0, *(len(of_version) for _, of_version in versions)]
    return Stacks(
        first=np.cumsum(lengths, dtype=np.int64),
        layers=np.array([layer for _, of_version in versions for layer in of_version], np.int64),
        image=np.array([image for image, _ in versions], np.int64),
        compressed=np.ascontiguousarray(sizes[:, 0]),
        unpacked=np.ascontiguousarray(sizes[:, 1]),
    )


def new_shelves(hosts: int, images: int, stacks: Stacks) -> Shelves:
    """Empty shelves for `hosts` slots."""
    versions, layers = stacks.image.size, stacks.compressed.size
    return Shelves(
        held=np.full((hosts, images), NOTHING, np.int64),
        pulled_at=np.full((hosts, versions), NEVER, np.int64),
        containers=np.zeros((hosts, versions), np.int64),
        left_at=np.full((hosts, versions), NEVER, np.int64),
        standing=np.zeros((hosts, layers), np.int64),
        there_at=np.full((hosts, layers), NEVER, np.int64),
        stored=np.zeros(hosts, np.int64),
        written=np.zeros(hosts, np.int64),
        lines=np.zeros((hosts, 2), np.float64),
    )


def grown_shelves(shelves: Shelves, hosts: int) -> Shelves:
    """The same shelves for more slots; those behind are filled when an instance comes (`empty_host`)."""
    longer = []
    for column in shelves:
        grown = np.zeros((hosts, *column.shape[1:]), column.dtype)
        grown[: column.shape[0]] = column
        longer.append(grown)
    return Shelves(*longer)


@kernel
def empty_host(shelves: Shelves, slot: int) -> None:
    """Forget everything in a slot, before another instance comes into it."""
    shelves.held[slot, :] = NOTHING
    shelves.pulled_at[slot, :] = NEVER
    shelves.containers[slot, :] = 0
    shelves.left_at[slot, :] = NEVER
    shelves.standing[slot, :] = 0
    shelves.there_at[slot, :] = NEVER
    shelves.stored[slot] = shelves.written[slot] = 0
    shelves.lines[slot, :] = 0.0


@kernel
def bake(stacks: Stacks, shelves: Shelves, slot: int, version: int, now: int) -> None:
    """Put a version on a host's shelf that came with its machine image."""
    for position in range(stacks.first[version], stacks.first[version + 1]):
        layer = stacks.layers[position]
        if shelves.there_at[slot, layer] == NEVER:
            shelves.there_at[slot, layer] = now
            shelves.stored[slot] += stacks.unpacked[layer]
    shelve(stacks, shelves, slot, version, BAKED_IN)


@kernel
def shelve(stacks: Stacks, shelves: Shelves, slot: int, version: int, pulled_at: int) -> None:
    """Give the tag the version whose layers were just asked for; `policy.images.image_pulls.fetch` comes before it.

    A version keeps the instant of its first pull: the age that clean-up asks for.
    """
    before = shelves.pulled_at[slot, version]
    if before == NEVER:
        for position in range(stacks.first[version], stacks.first[version + 1]):
            shelves.standing[slot, stacks.layers[position]] += 1
    if before in (NEVER, BAKED_IN):
        shelves.pulled_at[slot, version] = pulled_at
    shelves.held[slot, stacks.image[version]] = version


@kernel
def take(shelves: Shelves, slot: int, version: int, written: int) -> None:
    """A container of the version begins, with a read/write layer of so many bytes: its image stays."""
    shelves.containers[slot, version] += 1
    shelves.written[slot] += written


@kernel
def leave(shelves: Shelves, slot: int, version: int, written: int, now: int) -> None:
    """A container of the version is gone, and its read/write layer with it."""
    shelves.containers[slot, version] -= 1
    shelves.written[slot] -= written
    shelves.left_at[slot, version] = now


@kernel
def remove(stacks: Stacks, shelves: Shelves, slot: int, version: int) -> int:
    """Take a version off a host, and the layers that no other version there stands on; returns bytes freed."""
    freed = 0
    for position in range(stacks.first[version], stacks.first[version + 1]):
        layer = stacks.layers[position]
        shelves.standing[slot, layer] -= 1
        if shelves.standing[slot, layer] == 0:
            shelves.there_at[slot, layer] = NEVER
            freed += stacks.unpacked[layer]
    shelves.stored[slot] -= freed
    shelves.pulled_at[slot, version] = NEVER
    if shelves.held[slot, stacks.image[version]] == version:
        shelves.held[slot, stacks.image[version]] = NOTHING
    return freed
