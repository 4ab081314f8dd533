"""Rules of images, registries and subnets: caches, rate limits and free addresses agree with the tasks.

Images are checked only where the scenario lists some. It runs after `references`, so that the rows that tasks refer
to exist; the versions that tags on hosts refer to are checked here.
"""

from __future__ import annotations

from clustersim.engine.compiled import Array, kernel
from clustersim.policy.images.image_cache import NO_VERSION, PRELOADED
from clustersim.vocabulary import NEVER, TaskState
from clustersim.world.checks.recount import Recount
from clustersim.world.checks.rules import (
    ADDRESS,
    ADDRESS_SUBNET,
    ADDRESS_ZONE,
    BILLED,
    CONTAINERS,
    DISK,
    LAYER,
    LAYER_REFERENCES,
    NO_ADDRESS_LEFT,
    NOTHING_TO_PULL,
    OF_SUBNET,
    PATIENCE,
    PULL_NOT_OVER,
    PULL_TIME,
    SOUND,
    STORED,
    TAG,
    TAG_OF_ANOTHER,
    WINDOW,
    WITHOUT_IMAGE,
    WRITTEN,
)
from clustersim.world.state.tables import State

_RUNNING = int(TaskState.RUNNING)


@kernel
def check_addresses(state: State, recount: Recount, addresses: Array) -> int:
    """Check that the free addresses of a subnet are what tasks and instances leave of its `addresses`."""
    for t in state.tasks.rows:
        if t.task_id < 0 or t.placed < 0:
            continue
        if (t.subnet >= 0) != (state.sets.strategy_items[t.strategy_item].addresses == 1):
            return ADDRESS
        if t.subnet >= 0:
            if state.capacity.subnet_zones[t.subnet] != t.zone:
                return ADDRESS_ZONE
            if state.placement.item_subnets[t.strategy_item, t.subnet] != 1:
                return ADDRESS_SUBNET
            recount.taken[t.subnet] += 1
    for h in state.instances.rows:
        if h.instance_id >= 0 and h.subnet >= 0:
            recount.taken[h.subnet] += state.capacity.classes[h.instance_class].addresses
    for subnet in range(addresses.size):
        left = addresses[subnet] - recount.taken[subnet]
        if left != state.capacity.free_addresses[subnet]:
            return OF_SUBNET
        if left < 0:
            return NO_ADDRESS_LEFT
    return SOUND


@kernel
def check_images(state: State, recount: Recount, now: int, from_empty: int) -> int:
    """Return the first broken rule about images; `from_empty`: the run began with an empty cluster."""
    for slot in range(state.tasks.rows.size):
        if state.tasks.rows[slot].task_id >= 0:
            broken = _check_pull(state, recount, slot, from_empty)
            if broken != SOUND:
                return broken
    for slot in range(state.instances.rows.size):
        if state.instances.rows[slot].instance_id >= 0:
            broken = _check_containers(state, recount, slot)
            if broken == SOUND:
                broken = _check_layers(state, recount, slot, from_empty)
            if broken == SOUND:
                broken = _check_tags(state, slot)
            if broken != SOUND:
                return broken
    return _check_windows(state, now)


@kernel
def _check_pull(state: State, recount: Recount, slot: int, from_empty: int) -> int:
    """Check that a running task has its images and pull times, and that Fargate bills from the pull on."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    running = t.state >= _RUNNING
    asked = t.pull_started >= 0
    if asked and s.pulls == 0:
        return NOTHING_TO_PULL
    if asked and running and t.pull_stopped < 0:
        return PULL_NOT_OVER
    for number in range(s.pulls):
        version = state.tasks.pulled_versions[slot, number]
        if version < 0:
            if running and from_empty != 0:
                return WITHOUT_IMAGE
        elif t.instance_slot >= 0:
            recount.containers[t.instance_slot, version] += 1
            recount.container_bytes[t.instance_slot] += state.images.pulls[s.first_pull + number].read_write
    if state.sets.strategy_items[t.strategy_item].fargate == 1 and t.placed >= 0:
        unbilled = s.pulls > 0 and not asked and not running
        if (t.accrued_until < 0) != unbilled:
            return BILLED
    return SOUND


@kernel
def _check_containers(state: State, recount: Recount, slot: int) -> int:
    """Check that a version is held by exactly the containers of live tasks on its host that run it."""
    cache = state.images.cache
    for version in range(state.images.versions.size):
        if cache.containers[slot, version] != recount.containers[slot, version]:
            return CONTAINERS
    if cache.container_bytes[slot] != recount.container_bytes[slot]:
        return WRITTEN
    return SOUND


@kernel
def _check_layers(state: State, recount: Recount, slot: int, from_empty: int) -> int:
    """Check that exactly the referenced layers are cached, each once, and that the disk holds exactly these."""
    layers, cache, references = state.images.layers, state.images.cache, recount.references
    for layer in range(references.size):
        references[layer] = 0
    for version in range(state.images.versions.size):
        if cache.pulled_at[slot, version] != NEVER:
            for position in range(layers.first[version], layers.first[version + 1]):
                references[layers.layers[position]] += 1
    stored = 0
    for layer in range(references.size):
        cached = cache.available_at[slot, layer] != NEVER
        if cache.references[slot, layer] != references[layer]:
            return LAYER_REFERENCES
        if cached != (references[layer] > 0):
            return LAYER
        if cached:
            stored += layers.unpacked[layer]
    if cache.stored_bytes[slot] != stored:
        return STORED
    if (
        from_empty != 0
        and state.images.preloaded.size == 0
        and stored > state.images.agents[state.instances.rows[slot].instance_class].disk
    ):
        return DISK
    return SOUND


@kernel
def _check_tags(state: State, slot: int) -> int:
    """Check that a tag refers to a cached version of its image, and that each cached version has a pull time."""
    cache = state.images.cache
    for image in range(cache.current_version.shape[1]):
        held = cache.current_version[slot, image]
        if held == NO_VERSION:
            continue
        if not 0 <= held < state.images.versions.size or cache.pulled_at[slot, held] == NEVER:
            return TAG
        if state.images.layers.image[held] != image:
            return TAG_OF_ANOTHER
    for version in range(state.images.versions.size):
        if cache.pulled_at[slot, version] < 0 and cache.pulled_at[slot, version] not in (
            NEVER,
            PRELOADED,
        ):
            return PULL_TIME
    return SOUND


@kernel
def _check_windows(state: State, now: int) -> int:
    """Check that no window admits more than its limit, including requests that wait for later windows."""
    patience = 0
    for r in state.images.registries:
        patience = max(patience, r.patience_ms + r.timeout_ms)
    for number in range(state.images.limits.size):
        limit = state.images.limits[number]
        for source in range(state.images.windows.shape[1]):
            began, used = state.images.windows[number, source, 0], state.images.windows[number, source, 1]
            if used < 0:
                return WINDOW
            if began + limit.per_ms * (max(used - 1, 0) // limit.limit) > now + patience:
                return PATIENCE
    return SOUND
