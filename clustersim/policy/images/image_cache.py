"""The image cache of container instances: its columns, and the functions that change them.

`ImageLayers` holds the layers of all images (fixed for a run), `ImageCache` what each container instance has
cached. The functions add a version, let a container acquire and release it, remove it, and clear a host. Layers
are shared: a host keeps one copy for all versions that contain it. This module decides nothing:
`policy.images.image_pulls` decides what to fetch, `policy.images.image_cleanup` what to remove. The world owns the
arrays and calls these functions.

A *version* is the image that a tag refers to from a given instant on. When a tag is pushed again, the previous
version stays on the host, untagged, until the agent cleans it up (ECS agent: image manager).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Array
from clustersim.vocabulary import NEVER

NO_VERSION = -1
"""The `current_version` of a tag that the host has no version of."""

PRELOADED = -2
"""`pulled_at` of a version from the machine image that no task has pulled yet."""

NETWORK, DISK = range(2)
"""The two queues of a host that each layer passes through in this order: columns of `busy_until`."""


class ImageLayers(NamedTuple):
    """The layers of all images: I images, V versions, L layers; sizes in bytes."""

    first: Annotated[Array, np.int64, 1]  # [V + 1]: offset of a version's layers in `layers`
    layers: Annotated[Array, np.int64, 1]  # layers of all versions, base first, each once per version
    image: Annotated[Array, np.int64, 1]  # [V]: the image it is a version of
    compressed: Annotated[Array, np.int64, 1]  # [L]: bytes that a pull transfers
    unpacked: Annotated[Array, np.int64, 1]  # [L]: bytes on disk


class ImageCache(NamedTuple):
    """The cached images of each container instance, by slot. Instants are ms, NEVER if there is none."""

    current_version: Annotated[Array, np.int64, 2]  # [n, I]: the version a tag refers to on this host
    pulled_at: Annotated[Array, np.int64, 2]  # [n, V]: NEVER: not cached; or PRELOADED
    containers: Annotated[Array, np.int64, 2]  # [n, V]: containers that use it
    released_at: Annotated[Array, np.int64, 2]  # [n, V]: when the last container released it
    references: Annotated[Array, np.int64, 2]  # [n, L]: cached versions that contain the layer
    available_at: Annotated[Array, np.int64, 2]  # [n, L]: when the layer is ready; NEVER: not cached
    stored_bytes: Annotated[Array, np.int64, 1]  # [n]: bytes of layers on disk, including those in transfer
    container_bytes: Annotated[Array, np.int64, 1]  # [n]: bytes of the containers' read/write layers
    busy_until: Annotated[Array, np.float64, 2]  # [n, 2]: when NETWORK and DISK become free, ms


def build_image_layers(
    versions: Sequence[tuple[int, Sequence[int]]], layers: Sequence[tuple[int, int]]
) -> ImageLayers:
    """Build the layers of `versions` (image, its layers) from `layers` (compressed, unpacked bytes)."""
    sizes = np.array(layers, np.int64).reshape(-1, 2)
    lengths = [0, *(len(layers_of_version) for _, layers_of_version in versions)]
    return ImageLayers(
        first=np.cumsum(lengths, dtype=np.int64),
        layers=np.array(
            [layer for _, layers_of_version in versions for layer in layers_of_version], np.int64
        ),
        image=np.array([image for image, _ in versions], np.int64),
        compressed=np.ascontiguousarray(sizes[:, 0]),
        unpacked=np.ascontiguousarray(sizes[:, 1]),
    )


def new_image_cache(hosts: int, images: int, image_layers: ImageLayers) -> ImageCache:
    """Return an empty cache for `hosts` slots."""
    versions, layers = image_layers.image.size, image_layers.compressed.size
    return ImageCache(
        current_version=np.full((hosts, images), NO_VERSION, np.int64),
        pulled_at=np.full((hosts, versions), NEVER, np.int64),
        containers=np.zeros((hosts, versions), np.int64),
        released_at=np.full((hosts, versions), NEVER, np.int64),
        references=np.zeros((hosts, layers), np.int64),
        available_at=np.full((hosts, layers), NEVER, np.int64),
        stored_bytes=np.zeros(hosts, np.int64),
        container_bytes=np.zeros(hosts, np.int64),
        busy_until=np.zeros((hosts, 2), np.float64),
    )


def grow_image_cache(cache: ImageCache, hosts: int) -> ImageCache:
    """Return the same cache with more slots; `clear_image_cache` initialises each new slot before its first use."""
    longer = []
    for column in cache:
        grown = np.zeros((hosts, *column.shape[1:]), column.dtype)
        grown[: column.shape[0]] = column
        longer.append(grown)
    return ImageCache(*longer)


@kernel
def clear_image_cache(cache: ImageCache, slot: int) -> None:
    """Clear a slot, before another instance takes it."""
    cache.current_version[slot, :] = NO_VERSION
    cache.pulled_at[slot, :] = NEVER
    cache.containers[slot, :] = 0
    cache.released_at[slot, :] = NEVER
    cache.references[slot, :] = 0
    cache.available_at[slot, :] = NEVER
    cache.stored_bytes[slot] = cache.container_bytes[slot] = 0
    cache.busy_until[slot, :] = 0.0


@kernel
def preload_image(image_layers: ImageLayers, cache: ImageCache, slot: int, version: int, now: int) -> None:
    """Add a version that comes with the machine image of a host."""
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        layer = image_layers.layers[position]
        if cache.available_at[slot, layer] == NEVER:
            cache.available_at[slot, layer] = now
            cache.stored_bytes[slot] += image_layers.unpacked[layer]
    add_image(image_layers, cache, slot, version, PRELOADED)


@kernel
def add_image(image_layers: ImageLayers, cache: ImageCache, slot: int, version: int, pulled_at: int) -> None:
    """Point the tag to a version with just fetched layers (`policy.images.image_pulls.fetch_layers`).

    A version keeps the instant of its first pull, from which clean-up counts its age.
    """
    before = cache.pulled_at[slot, version]
    if before == NEVER:
        for position in range(image_layers.first[version], image_layers.first[version + 1]):
            cache.references[slot, image_layers.layers[position]] += 1
    if before in (NEVER, PRELOADED):
        cache.pulled_at[slot, version] = pulled_at
    cache.current_version[slot, image_layers.image[version]] = version


@kernel
def acquire_layers(cache: ImageCache, slot: int, version: int, written: int) -> None:
    """Register a container that starts on the version, with a read/write layer of `written` bytes."""
    cache.containers[slot, version] += 1
    cache.container_bytes[slot] += written


@kernel
def release_layers(cache: ImageCache, slot: int, version: int, written: int, now: int) -> None:
    """Remove a container of the version, and its read/write layer of `written` bytes."""
    cache.containers[slot, version] -= 1
    cache.container_bytes[slot] -= written
    cache.released_at[slot, version] = now


@kernel
def remove_image(image_layers: ImageLayers, cache: ImageCache, slot: int, version: int) -> int:
    """Remove a version from a host with the layers that no other cached version contains; return the bytes freed."""
    freed = 0
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        layer = image_layers.layers[position]
        cache.references[slot, layer] -= 1
        if cache.references[slot, layer] == 0:
            cache.available_at[slot, layer] = NEVER
            freed += image_layers.unpacked[layer]
    cache.stored_bytes[slot] -= freed
    cache.pulled_at[slot, version] = NEVER
    if cache.current_version[slot, image_layers.image[version]] == version:
        cache.current_version[slot, image_layers.image[version]] = NO_VERSION
    return freed
