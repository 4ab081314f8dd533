"""What instances hold of images, registries' windows and subnets' addresses is what the rows say.

Images are looked at only where the scenario lists some. Runs after `references`, so that what tasks name is
there; the versions that hosts' tags name are looked at here.
"""

from __future__ import annotations

from clustersim.engine.compiled import Array, kernel
from clustersim.policy.images.image_cache import BAKED_IN, NOTHING
from clustersim.vocabulary import NEVER, TaskState
from clustersim.world.checks.recount import Reading
from clustersim.world.checks.rules import (
    ADDRESS,
    ADDRESS_SUBNET,
    ADDRESS_ZONE,
    BILLED,
    CONTAINERS,
    DISK,
    LAYER,
    NO_ADDRESS_LEFT,
    NOTHING_TO_PULL,
    OF_SUBNET,
    PATIENCE,
    PULL_NOT_OVER,
    PULL_TIME,
    SOUND,
    STANDING,
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
def check_addresses(state: State, reading: Reading, addresses: Array) -> int:
    """A subnet's free addresses are what tasks and instances have left of its `addresses`."""
    for t in state.tasks:
        if t.task_id < 0 or t.placed < 0:
            continue
        if (t.subnet >= 0) != (state.lanes[t.lane].addresses == 1):
            return ADDRESS
        if t.subnet >= 0:
            if state.subnet_zones[t.subnet] != t.zone:
                return ADDRESS_ZONE
            if state.lane_subnets[t.lane, t.subnet] != 1:
                return ADDRESS_SUBNET
            reading.taken[t.subnet] += 1
    for h in state.instances:
        if h.instance_id >= 0 and h.subnet >= 0:
            reading.taken[h.subnet] += state.classes[h.klass].addresses
    for subnet in range(addresses.size):
        left = addresses[subnet] - reading.taken[subnet]
        if left != state.free_addresses[subnet]:
            return OF_SUBNET
        if left < 0:
            return NO_ADDRESS_LEFT
    return SOUND


@kernel
def check_images(state: State, reading: Reading, now: int, from_empty: int) -> int:
    """The first broken rule about images; `from_empty`: the run began with an empty cluster."""
    for slot in range(state.tasks.size):
        if state.tasks[slot].task_id >= 0:
            broken = _check_pull(state, reading, slot, from_empty)
            if broken != SOUND:
                return broken
    for slot in range(state.instances.size):
        if state.instances[slot].instance_id >= 0:
            broken = _check_containers(state, reading, slot)
            if broken == SOUND:
                broken = _check_layers(state, reading, slot, from_empty)
            if broken == SOUND:
                broken = _check_tags(state, slot)
            if broken != SOUND:
                return broken
    return _check_windows(state, now)


@kernel
def _check_pull(state: State, reading: Reading, slot: int, from_empty: int) -> int:
    """Who runs has its images, and the stamps of its pull; who has begun a pull is billed on Fargate."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    running = t.state >= _RUNNING
    asked = t.pull_started >= 0
    if asked and s.pulls == 0:
        return NOTHING_TO_PULL
    if asked and running and t.pull_stopped < 0:
        return PULL_NOT_OVER
    for number in range(s.pulls):
        version = state.holds[slot, number]
        if version < 0:
            if running and from_empty != 0:
                return WITHOUT_IMAGE
        elif t.slot >= 0:
            reading.containers[t.slot, version] += 1
            reading.written[t.slot] += state.pulls[s.first_pull + number].read_write
    if state.lanes[t.lane].fargate == 1 and t.placed >= 0:
        unbilled = s.pulls > 0 and not asked and not running
        if (t.accrued < 0) != unbilled:
            return BILLED
    return SOUND


@kernel
def _check_containers(state: State, reading: Reading, slot: int) -> int:
    """A version is held by the containers of the live tasks on its host that run it, and no others."""
    shelves = state.shelves
    for version in range(state.versions.size):
        if shelves.containers[slot, version] != reading.containers[slot, version]:
            return CONTAINERS
    if shelves.written[slot] != reading.written[slot]:
        return WRITTEN
    return SOUND


@kernel
def _check_layers(state: State, reading: Reading, slot: int, from_empty: int) -> int:
    """A layer is there once, for the versions that stand on it, and the disk holds exactly the layers."""
    stacks, shelves, standing = state.stacks, state.shelves, reading.standing
    for layer in range(standing.size):
        standing[layer] = 0
    for version in range(state.versions.size):
        if shelves.pulled_at[slot, version] != NEVER:
            for position in range(stacks.first[version], stacks.first[version + 1]):
                standing[stacks.layers[position]] += 1
    stored = 0
    for layer in range(standing.size):
        there = shelves.there_at[slot, layer] != NEVER
        if shelves.standing[slot, layer] != standing[layer]:
            return STANDING
        if there != (standing[layer] > 0):
            return LAYER
        if there:
            stored += stacks.unpacked[layer]
    if shelves.stored[slot] != stored:
        return STORED
    if from_empty != 0 and state.baked.size == 0 and stored > state.agents[state.instances[slot].klass].disk:
        return DISK
    return SOUND


@kernel
def _check_tags(state: State, slot: int) -> int:
    """A tag means a version of its image that is there, and each version there has come at some time."""
    shelves = state.shelves
    for image in range(shelves.held.shape[1]):
        held = shelves.held[slot, image]
        if held == NOTHING:
            continue
        if not 0 <= held < state.versions.size or shelves.pulled_at[slot, held] == NEVER:
            return TAG
        if state.stacks.image[held] != image:
            return TAG_OF_ANOTHER
    for version in range(state.versions.size):
        if shelves.pulled_at[slot, version] < 0 and shelves.pulled_at[slot, version] not in (NEVER, BAKED_IN):
            return PULL_TIME
    return SOUND


@kernel
def _check_windows(state: State, now: int) -> int:
    """No window lets more through than its limit, those that wait for the next ones included."""
    patience = 0
    for r in state.registries:
        patience = max(patience, r.patience_ms + r.timeout_ms)
    for number in range(state.limits.size):
        limit = state.limits[number]
        for source in range(state.windows.shape[1]):
            began, used = state.windows[number, source, 0], state.windows[number, source, 1]
            if used < 0:
                return WINDOW
            if began + limit.per_ms * (max(used - 1, 0) // limit.limit) > now + patience:
                return PATIENCE
    return SOUND
