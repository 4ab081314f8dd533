"""The pull of an image: whether the registry is asked, which layers are moved, and when they are there.

Decides, for a container instance, what ECS_IMAGE_PULL_BEHAVIOR makes of what it has; which layers it must
fetch; and the instant at which all are there. For Fargate, which keeps nothing, how long a pull takes, eager
or lazy (SOCI). It must not know tasks, registries' names or the calendar: the world calls it when a container
begins, with the version that the tag means then and what `policy.images.registry_rate_limits` said.

How time goes (MODEL.md: choices). A layer passes two lines of the host, the network and then the disk, where
it is unpacked; each line serves one layer after the other in the order of asking, so concurrent pulls share
them and nothing is moved twice. Downloads of later layers overlap with the unpacking of earlier ones, and a
layer is unpacked only on top of those below it. This is how Docker does it: it moves at most three layers at
a time for the whole daemon (`max-concurrent-downloads`), the rest in the order of asking, and unpacks in
order. A layer that another pull on the host is bringing is waited for, not fetched again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from clustersim.engine.compiled import Array, kernel
from clustersim.policy.images.image_cache import BAKED_IN, DISK, NETWORK, NOTHING, Shelves, Stacks
from clustersim.vocabulary import MS_PER_SECOND, NEVER

DEFAULT, ALWAYS, ONCE, PREFER_CACHED = range(4)
BEHAVIORS = ("default", "always", "once", "prefer-cached")
"""The values of ECS_IMAGE_PULL_BEHAVIOR (ECS agent README), in the order of their codes."""

USE_CACHED, PULL, FAIL = range(3)
"""What a container does for its image."""

LAZY_FROM = 10 * 2**20
"""Layers smaller than this have no SOCI index and are moved whole (soci-snapshotter: `--min-layer-size`)."""


class Pace(NamedTuple):
    """How fast bytes go, per ms; infinity is no limit.

    `network` is the host's, `source` what the registry gives one pull, `shared` what it gives all pulls
    together, `disk` counts unpacked bytes.
    """

    network: float
    source: float
    shared: float
    disk: float


def network_rate(gbps: float) -> float:
    """A host's bandwidth in bytes per ms; 0 Gbps says that it is not known, and limits nothing."""
    return gbps * 1e9 / 8 / MS_PER_SECOND if gbps > 0 else math.inf


@kernel
def asks(behavior: int, held: int, pulled_at: int) -> bool:
    """Whether the registry is asked for an image of which `held` is the host's version (or NOTHING).

    `default` and `always` ask for each container; `once` if no task has pulled it here since the last
    clean-up; `prefer-cached` if there is none (ECS agent README: ECS_IMAGE_PULL_BEHAVIOR).
    """
    if behavior == ONCE:
        return held == NOTHING or pulled_at == BAKED_IN
    if behavior == PREFER_CACHED:
        return held == NOTHING
    return True


@kernel
def settle(behavior: int, held: int, asked: bool, answered: bool) -> int:
    """What the container does: where the registry does not answer, only `default` falls back on the cache."""
    if not asked:
        return USE_CACHED
    if answered:
        return PULL
    return USE_CACHED if behavior == DEFAULT and held != NOTHING else FAIL


@kernel
def missing(stacks: Stacks, shelves: Shelves, slot: int, version: int, amounts: Array) -> int:
    """The bytes of the layers that the host would have to fetch; `amounts` is a column of `stacks`."""
    total = 0
    for position in range(stacks.first[version], stacks.first[version + 1]):
        layer = stacks.layers[position]
        if shelves.there_at[slot, layer] == NEVER:
            total += amounts[layer]
    return total


@kernel
def missing_layers(stacks: Stacks, shelves: Shelves, slot: int, version: int) -> int:
    """How many layers the host would have to fetch: the requests that count against ECR's layer quota."""
    count = 0
    for position in range(stacks.first[version], stacks.first[version + 1]):
        count += int(shelves.there_at[slot, stacks.layers[position]] == NEVER)
    return count


@kernel
def fits(stacks: Stacks, shelves: Shelves, slot: int, version: int, room: int) -> bool:
    """Whether the missing layers fit onto the disk, of which `room` bytes are neither system nor containers."""
    return bool(shelves.stored[slot] + missing(stacks, shelves, slot, version, stacks.unpacked) <= room)


@kernel
def fetch(
    stacks: Stacks,
    shelves: Shelves,
    slot: int,
    version: int,
    begin: int,
    pace: Pace,
    served: Array,
    registry: int,
) -> int:
    """Fetch what is missing of a version from `begin` on; returns the instant at which all of it is there.

    `served` is float64[R]: when each registry has served what it was asked for, ms; it matters where `shared`
    is limited.
    """
    done = sent = float(begin)
    for position in range(stacks.first[version], stacks.first[version + 1]):
        layer = stacks.layers[position]
        if shelves.there_at[slot, layer] == NEVER:
            size = stacks.compressed[layer]
            started = max(float(begin), shelves.lines[slot, NETWORK])
            shelves.lines[slot, NETWORK] = started + size / pace.network
            sent = max(sent, started) + size / pace.source
            served[registry] = max(float(begin), served[registry]) + size / pace.shared
            moved = max(shelves.lines[slot, NETWORK], sent, served[registry])
            done = max(done, moved, shelves.lines[slot, DISK]) + stacks.unpacked[layer] / pace.disk
            shelves.lines[slot, DISK] = done
            shelves.there_at[slot, layer] = math.ceil(done)
            shelves.stored[slot] += stacks.unpacked[layer]
        done = max(done, float(shelves.there_at[slot, layer]))
    return math.ceil(done)


@kernel
def ready_at(stacks: Stacks, shelves: Shelves, slot: int, version: int, now: int) -> int:
    """The instant from which a version on the shelf can be used: another pull may still be bringing it."""
    ready = now
    for position in range(stacks.first[version], stacks.first[version + 1]):
        ready = max(ready, shelves.there_at[slot, stacks.layers[position]])
    return ready


class Cold(NamedTuple):
    """How far a pull has come where nothing is kept: ms until the last byte is moved, and until all is
    unpacked, from the registry's first answer on; bytes on the disk, and bytes moved."""

    moved: float = 0.0
    done: float = 0.0
    stored: float = 0.0
    sent: float = 0.0


@kernel
def fetch_cold(
    stacks: Stacks, version: int, seen: Array, task: int, before: Cold, pace: Pace, lazy_share: float
) -> Cold:
    """Fetch a version to where nothing is kept (Fargate), after the other images of the same `task`.

    Layers pass as on a host, but for no other task. Of a lazy image (SOCI) `lazy_share` of each layer that
    has an index is moved before the container starts; the rest comes while it runs. `seen` is int64[L]: the
    last task that fetched each layer, so that images of one task share layers; ~task where it has a part of it,
    which serves no image that needs the whole. The compressed layers lie on the disk beside the unpacked ones
    (ECS Developer Guide: Fargate task ephemeral storage).
    """
    moved, done, stored, sent = before.moved, before.done, before.stored, before.sent
    rate = min(pace.network, pace.source, pace.shared)
    for position in range(stacks.first[version], stacks.first[version + 1]):
        layer = stacks.layers[position]
        share = lazy_share if stacks.compressed[layer] >= LAZY_FROM else 1.0
        in_part = share < 1.0
        if seen[layer] == task or (in_part and seen[layer] == ~task):
            continue
        seen[layer] = ~task if in_part else task
        moved += share * stacks.compressed[layer] / rate
        done = max(done, moved) + share * stacks.unpacked[layer] / pace.disk
        stored += share * (stacks.compressed[layer] + stacks.unpacked[layer])
        sent += share * stacks.compressed[layer]
    return Cold(moved, done, stored, sent)
