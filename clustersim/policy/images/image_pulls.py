"""Image pulls: whether the registry is contacted, which layers are transferred, and when they are ready.

Decides, for a container instance, what ECS_IMAGE_PULL_BEHAVIOR means for its cached images, which layers it must
fetch, and the instant at which all are ready. For Fargate, which caches nothing, it decides how long a pull takes,
eager or lazy (SOCI). It must not know tasks, names of registries or the calendar: the world calls it when a
container starts, with the version that the tag refers to then and the answer of
`policy.images.registry_rate_limits`.

Timing (MODEL.md: choices). A layer passes two queues of the host: the network, then the disk, where it is
unpacked. Each queue serves one layer at a time in request order, so concurrent pulls share them and nothing is
transferred twice. Downloads of later layers overlap with the unpacking of earlier ones, and a layer is unpacked
only on top of those below it. Docker works this way: it transfers at most three layers at a time for the whole
daemon (`max-concurrent-downloads`), the rest in request order, and unpacks in order. A layer that another pull on
the host is already fetching is awaited, not fetched again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Array
from clustersim.policy.images.image_cache import DISK, NETWORK, NO_VERSION, PRELOADED, ImageCache, ImageLayers
from clustersim.vocabulary import MS_PER_SECOND, NEVER

DEFAULT, ALWAYS, ONCE, PREFER_CACHED = range(4)
BEHAVIORS = ("default", "always", "once", "prefer-cached")
"""The values of ECS_IMAGE_PULL_BEHAVIOR (ECS agent README), in the order of their codes."""

USE_CACHED, PULL, FAIL = range(3)
"""The source of a container's image; FAIL: it cannot be obtained."""

LAZY_MIN_BYTES = 10 * 2**20
"""Layers smaller than this have no SOCI index and are pulled whole (soci-snapshotter: `--min-layer-size`)."""


class TransferRates(NamedTuple):
    """Transfer rates in bytes per ms; infinity is no limit.

    `network` is that of the host, `source` the registry's rate for one pull, `shared` its rate for all pulls
    together; `disk` counts unpacked bytes.
    """

    network: float
    source: float
    shared: float
    disk: float


def network_bytes_per_ms(gbps: float) -> float:
    """Return the bandwidth of a host in bytes per ms; 0 Gbps means unknown, which is no limit."""
    return gbps * 1e9 / 8 / MS_PER_SECOND if gbps > 0 else math.inf


@kernel
def needs_registry(behavior: int, cached_version: int, pulled_at: int) -> bool:
    """Return whether the registry is contacted for an image of which the host has `cached_version` (or NO_VERSION).

    `default` and `always` contact it for each container; `once` if no task has pulled the image here since the last
    clean-up; `prefer-cached` if nothing is cached (ECS agent README: ECS_IMAGE_PULL_BEHAVIOR).
    """
    if behavior == ONCE:
        return cached_version == NO_VERSION or pulled_at == PRELOADED
    if behavior == PREFER_CACHED:
        return cached_version == NO_VERSION
    if behavior in (DEFAULT, ALWAYS):
        return True
    raise RuntimeError("unknown pull behaviour")


@kernel
def choose_image_source(behavior: int, cached_version: int, contacted: bool, answered: bool) -> int:
    """Return USE_CACHED, PULL or FAIL; only `default` uses the cache when the registry does not answer."""
    if not contacted:
        return USE_CACHED
    if answered:
        return PULL
    return USE_CACHED if behavior == DEFAULT and cached_version != NO_VERSION else FAIL


@kernel
def missing_bytes(
    image_layers: ImageLayers, cache: ImageCache, slot: int, version: int, layer_sizes: Array
) -> int:
    """Return the bytes of the layers that the host must fetch; `layer_sizes` is a size column of `image_layers`."""
    total = 0
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        layer = image_layers.layers[position]
        if cache.available_at[slot, layer] == NEVER:
            total += layer_sizes[layer]
    return total


@kernel
def missing_layers(image_layers: ImageLayers, cache: ImageCache, slot: int, version: int) -> int:
    """Return how many layers the host must fetch: the requests that count against ECR's layer quota."""
    count = 0
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        count += int(cache.available_at[slot, image_layers.layers[position]] == NEVER)
    return count


@kernel
def image_fits_on_disk(
    image_layers: ImageLayers, cache: ImageCache, slot: int, version: int, room: int
) -> bool:
    """Return whether the missing layers fit on the disk; `room` is its size less system and containers, bytes."""
    return bool(
        cache.stored_bytes[slot] + missing_bytes(image_layers, cache, slot, version, image_layers.unpacked)
        <= room
    )


@kernel
def fetch_layers(
    image_layers: ImageLayers,
    cache: ImageCache,
    slot: int,
    version: int,
    begin: int,
    rates: TransferRates,
    registry_busy_until: Array,
    registry: int,
) -> int:
    """Fetch the missing layers of a version from `begin` on; return the instant at which all layers are ready.

    `registry_busy_until` is float64[R]: when each registry has completed its requests so far, ms; it matters only
    where `shared` is limited.
    """
    done = sent = float(begin)
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        layer = image_layers.layers[position]
        if cache.available_at[slot, layer] == NEVER:
            size = image_layers.compressed[layer]
            started = max(float(begin), cache.busy_until[slot, NETWORK])
            cache.busy_until[slot, NETWORK] = started + size / rates.network
            sent = max(sent, started) + size / rates.source
            registry_busy_until[registry] = (
                max(float(begin), registry_busy_until[registry]) + size / rates.shared
            )
            moved = max(cache.busy_until[slot, NETWORK], sent, registry_busy_until[registry])
            done = max(done, moved, cache.busy_until[slot, DISK]) + image_layers.unpacked[layer] / rates.disk
            cache.busy_until[slot, DISK] = done
            cache.available_at[slot, layer] = math.ceil(done)
            cache.stored_bytes[slot] += image_layers.unpacked[layer]
        done = max(done, float(cache.available_at[slot, layer]))
    return math.ceil(done)


@kernel
def image_ready_at(image_layers: ImageLayers, cache: ImageCache, slot: int, version: int, now: int) -> int:
    """Return when a cached version is usable: another pull may still be fetching its layers."""
    ready = now
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        ready = max(ready, cache.available_at[slot, image_layers.layers[position]])
    return ready


class UncachedPull(NamedTuple):
    """The progress of a pull on a host that caches nothing.

    `moved` and `done` are ms from the first answer of the registry: until the last byte is transferred, and until
    everything is unpacked. `stored_bytes` are on disk, `sent` are the bytes transferred.
    """

    moved: float = 0.0
    done: float = 0.0
    stored_bytes: float = 0.0
    sent: float = 0.0


@kernel
def fetch_uncached(
    image_layers: ImageLayers,
    version: int,
    seen: Array,
    task: int,
    before: UncachedPull,
    rates: TransferRates,
    lazy_share: float,
) -> UncachedPull:
    """Fetch a version to a host that caches nothing (Fargate), after the other images of the same `task`.

    Layers pass the queues as on an instance, but without other tasks. Of a lazy image (SOCI), `lazy_share` of each
    layer that has an index is fetched before the container starts; the rest comes while it runs. `seen` is
    int64[L]: the last task that fetched each layer, so that images of one task share layers; ~task if it fetched
    only a part, which is of no use to an image that needs the whole layer. The compressed layers are stored beside
    the unpacked ones (ECS Developer Guide: Fargate task ephemeral storage).
    """
    moved, done, stored, sent = before.moved, before.done, before.stored_bytes, before.sent
    rate = min(rates.network, rates.source, rates.shared)
    for position in range(image_layers.first[version], image_layers.first[version + 1]):
        layer = image_layers.layers[position]
        share = lazy_share if image_layers.compressed[layer] >= LAZY_MIN_BYTES else 1.0
        partial = share < 1.0
        if seen[layer] == task or (partial and seen[layer] == ~task):
            continue
        seen[layer] = ~task if partial else task
        moved += share * image_layers.compressed[layer] / rate
        done = max(done, moved) + share * image_layers.unpacked[layer] / rates.disk
        stored += share * (image_layers.compressed[layer] + image_layers.unpacked[layer])
        sent += share * image_layers.compressed[layer]
    return UncachedPull(moved, done, stored, sent)
