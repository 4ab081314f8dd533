"""Image pulls of tasks: the requests of containers to registries, and when their images are available.

These kernels carry out a pull on the arrays of the world. `policy.images.image_pulls` decides whether a registry is
asked, what is transferred and how long it takes, `policy.images.registry_rate_limits` what a registry admits, and
`policy.images.image_cleanup` what the agent removes. The end of a pull is known when it begins, since each transfer
queue is first in, first out; so `startup` and `containers` schedule a single entry for it. The messages of failed
pulls are written in advance by `build.pull_tables`.
"""

from __future__ import annotations

import math
from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.images.image_cache import (
    NO_VERSION,
    acquire_layers,
    add_image,
    clear_image_cache,
    preload_image,
    release_layers,
    remove_image,
)
from clustersim.policy.images.image_cleanup import next_removable_version
from clustersim.policy.images.image_pulls import (
    FAIL,
    USE_CACHED,
    TransferRates,
    UncachedPull,
    choose_image_source,
    fetch_layers,
    fetch_uncached,
    image_fits_on_disk,
    image_ready_at,
    missing_layers,
    needs_registry,
)
from clustersim.policy.images.pull_error_messages import PullFault
from clustersim.policy.images.registry_rate_limits import admit_requests, outage_end
from clustersim.vocabulary import NEVER
from clustersim.world.state.calendar_entries import schedule_entry
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import IMAGES_CLEANED

NOT_PULLED = -1
"""`State.tasks.pulled_versions` of a container whose image is not available yet."""

BY_ZONE, BY_HOST = 1, 2  # positions in `policy.images.registry_rate_limits.SOURCES`

_NONE = int(PullFault.NONE)
_TOO_MANY_REQUESTS = int(PullFault.TOO_MANY_REQUESTS)
_OUTAGE = int(PullFault.OUTAGE)
_NO_CREDENTIALS = int(PullFault.NO_CREDENTIALS)
_NO_SPACE = int(PullFault.NO_SPACE)
_TIMEOUT = int(PullFault.TIMEOUT)
_DENIED = len(PullFault)  # by IAM, which has its own messages


@inlined
def host_class_index(state: State, slot: int) -> int:
    """Return the instance class of a placed task, its place in `State.sets.denials`; the last place is Fargate."""
    host = state.tasks.rows[slot].instance_slot
    return int(state.instances.rows[host].instance_class) if host >= 0 else state.images.agents.size - 1


@kernel
def pull_upfront(state: State, slot: int, now: int) -> tuple[int, int]:
    """Pull the images that a placed task needs before its first container begins.

    Returns (when they are available, 0), or (when the task gives up, the number of its message).
    """
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    if t.instance_slot < 0:
        return _pull_on_fargate(state, slot, now)
    upfront = state.images.agents[host_class_index(state, slot)].upfront
    available_at = now
    for number in range(s.pulls):
        if state.images.pulls[s.first_pull + number].waits_for_containers and not upfront:
            continue
        ready, sentence = pull_on_host(state, slot, number, now)
        if sentence > 0:
            return ready, sentence
        available_at = max(available_at, ready)
    return available_at, 0


@kernel
def pull_on_host(state: State, slot: int, number: int, now: int) -> tuple[int, int]:
    """Pull the image of a task's `number`-th listed container onto its instance; returns the same as `pull_upfront`."""
    t = state.tasks.rows[slot]
    row = state.sets.rows[t.set].first_pull + number
    p, host, place = state.images.pulls[row], t.instance_slot, host_class_index(state, slot)
    behavior = state.images.agents[place].behavior
    held = state.images.cache.current_version[host, p.image]
    pulled_at = state.images.cache.pulled_at[host, held] if held != NO_VERSION else NEVER
    asked = needs_registry(behavior, held, pulled_at)
    at, fault, version = now, _NONE, held
    if asked:
        if t.pull_started < 0:
            t.pull_started = now
        version = _resolve_version(state, row, now)
        at, fault = _request_image(state, slot, row, version, now)
        if fault == _NONE:
            at, fault = _fetch(state, host, row, version, at)
    action = choose_image_source(behavior, held, asked, fault == _NONE)
    if action == FAIL:
        return at, _fault_sentence(state, row, place, fault)
    if action == USE_CACHED:
        version = held
        at = image_ready_at(state.images.layers, state.images.cache, host, held, at)
    elif p.pins_version:
        p.version = version
    state.tasks.pulled_versions[slot, number] = version
    acquire_layers(state.images.cache, host, version, p.read_write)
    return int(at), 0


@kernel
def _resolve_version(state: State, row: int, now: int) -> int:
    """Return the version that a pull requests: the one its deployment has resolved, else what the tag refers to now.

    ECS Developer Guide, container image resolution: the first task of a deployment that gets an image resolves it.
    """
    p = state.images.pulls[row]
    if p.version >= 0:
        return int(p.version)
    version = p.first_version
    while version < p.last_version and state.images.versions[version + 1].since <= now:
        version += 1
    return int(version)


@kernel
def _request_image(state: State, slot: int, row: int, version: int, now: int) -> tuple[int, int]:
    """Request a version from the registry: (when it answers, 0), or (when the pull gives up, the fault)."""
    t, p, place = state.tasks.rows[slot], state.images.pulls[row], host_class_index(state, slot)
    r = state.images.registries[p.registry]
    at = now
    begins = state.images.outage_begins[r.outage_from : r.outage_to]
    until = outage_end(begins, state.images.outage_ends[r.outage_from : r.outage_to], now)
    if until >= 0:
        if until - now > r.timeout_ms:
            return int(now + r.timeout_ms), _OUTAGE
        at = until
    answer = int(at + r.latency_ms)
    known = p.credentials or (t.instance_slot >= 0 and state.images.agents[place].credentials)
    if state.images.versions[version].fault:
        return answer, int(state.images.versions[version].fault)
    if r.private and not known:
        return answer, _NO_CREDENTIALS
    if state.images.pull_denials[row, place] > 0:
        return answer, _DENIED
    layers = state.images.layers.first[version + 1] - state.images.layers.first[version]
    if t.instance_slot >= 0:
        layers = missing_layers(state.images.layers, state.images.cache, t.instance_slot, version)
    manifest = _admit(
        state, r.limit_with_credentials if known else r.limit_without_credentials, t, at, 1, r.patience_ms
    )
    rest = _admit(state, r.layer_limit, t, at, layers, r.patience_ms) if manifest >= 0 else NEVER
    if rest < 0:
        return int(at + r.patience_ms), _TOO_MANY_REQUESTS
    return int(max(manifest, rest) + r.latency_ms), _NONE


@kernel
def _admit(state: State, limit: int, t: Any, at: int, amount: int, patience: int) -> int:
    """Return when `amount` requests of a task pass a rate limit (-1: no limit); NEVER: they are refused."""
    if limit < 0:
        return at
    rate_limit = state.images.limits[limit]
    source = 0
    if rate_limit.counted_by == BY_ZONE:
        source = t.zone
    elif rate_limit.counted_by == BY_HOST:
        if t.instance_slot < 0:
            return at  # each Fargate task has its own IP address
        source = t.instance_slot
    return admit_requests(
        state.images.windows[limit], source, at, amount, rate_limit.limit, rate_limit.per_ms, patience
    )


@kernel
def _fetch(state: State, host: int, row: int, version: int, begin: int) -> tuple[int, int]:
    """Fetch what an instance lacks of a version: (when it is available, 0), or (when it fails, the fault).

    A fetch that takes longer than the agent waits still completes: Docker continues.
    """
    p = state.images.pulls[row]
    r, agent = (
        state.images.registries[p.registry],
        state.images.agents[state.instances.rows[host].instance_class],
    )
    room = agent.disk - state.images.cache.container_bytes[host] - p.read_write
    if not image_fits_on_disk(state.images.layers, state.images.cache, host, version, room):
        return begin, _NO_SPACE
    pace = TransferRates(agent.network, r.bytes_per_ms, r.total_bytes_per_ms, agent.unpack)
    done = fetch_layers(
        state.images.layers,
        state.images.cache,
        host,
        version,
        begin,
        pace,
        state.images.registry_busy_until,
        p.registry,
    )
    add_image(state.images.layers, state.images.cache, host, version, done)
    if done - begin > agent.pull_timeout_ms:
        return int(begin + agent.pull_timeout_ms), _TIMEOUT
    return int(done), _NONE


@kernel
def _pull_on_fargate(state: State, slot: int, now: int) -> tuple[int, int]:
    """Pull all images of a Fargate task, which caches nothing; returns the same as `pull_upfront`."""
    t = state.tasks.rows[slot]
    s, place = state.sets.rows[t.set], host_class_index(state, slot)
    if s.pulls == 0:
        return now, 0
    t.pull_started = begin = now
    for number in range(s.pulls):
        row = s.first_pull + number
        version = _resolve_version(state, row, now)
        at, fault = _request_image(state, slot, row, version, now)
        if fault != _NONE:
            return at, _fault_sentence(state, row, place, fault)
        if state.images.pulls[row].pins_version:
            state.images.pulls[row].version = version
        state.tasks.pulled_versions[slot, number] = version
        begin = max(begin, at)
    agent = state.images.agents[place]
    done, stored = 0.0, 0.0
    cold = UncachedPull(0.0, 0.0, 0.0, 0.0)
    for number in range(s.pulls):
        p = state.images.pulls[s.first_pull + number]
        r = state.images.registries[p.registry]
        pace = TransferRates(agent.network, r.bytes_per_ms, r.total_bytes_per_ms, agent.unpack)
        sent = cold.sent
        cold = fetch_uncached(
            state.images.layers,
            state.tasks.pulled_versions[slot, number],
            state.images.layer_scratch,
            t.task_id,
            cold,
            pace,
            p.lazy_share,
        )
        served = (
            max(float(begin), state.images.registry_busy_until[p.registry])
            + (cold.sent - sent) / r.total_bytes_per_ms
        )
        state.images.registry_busy_until[p.registry] = served
        done, stored = max(done, served), stored + p.read_write
    if cold.stored_bytes + stored > s.ephemeral_bytes:
        return begin, _fault_sentence(state, s.first_pull, place, _NO_SPACE)
    return max(begin + math.ceil(cold.done), math.ceil(done)), 0


@kernel
def _fault_sentence(state: State, row: int, place: int, fault: int) -> int:
    """Return the number of the message of a failed pull."""
    if fault == _DENIED:
        return int(state.images.pull_denials[row, place])
    if place == state.images.agents.size - 1:
        return int(state.images.pulls[row].fargate_words + fault)
    if fault == _TIMEOUT:
        return int(state.images.agents[place].timeout_words)
    return int(state.images.pulls[row].host_words + fault)


# --- images of tasks --------------------------------------------------------------------------------------


@kernel
def clear_pulled_versions(state: State, slot: int) -> None:
    """Reset the pulled images of a task that has just been placed."""
    for number in range(state.sets.rows[state.tasks.rows[slot].set].pulls):
        state.tasks.pulled_versions[slot, number] = NOT_PULLED


@kernel
def release_images(state: State, slot: int, now: int) -> None:
    """Release the images of a task whose containers are gone; the agent may remove them once they are old enough."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    for number in range(s.pulls):
        version = state.tasks.pulled_versions[slot, number]
        if version >= 0:
            read_write = state.images.pulls[s.first_pull + number].read_write
            release_layers(state.images.cache, t.instance_slot, version, read_write, now)


@kernel
def add_cached_images(state: State, slot: int, now: int) -> None:
    """Add the images of a long-running task to the cache of its instance, as pulled long ago."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    clear_pulled_versions(state, slot)
    for number in range(s.pulls):
        row = s.first_pull + number
        p, version = state.images.pulls[row], _resolve_version(state, row, now)
        if state.images.versions[version].fault:
            continue  # it runs an image that the registry no longer has
        if p.pins_version:
            p.version = version
        state.tasks.pulled_versions[slot, number] = version
        if t.instance_slot >= 0:
            preload_image(state.images.layers, state.images.cache, t.instance_slot, version, now)
            add_image(state.images.layers, state.images.cache, t.instance_slot, version, now)
            acquire_layers(state.images.cache, t.instance_slot, version, p.read_write)


# --- instances ---------------------------------------------------------------------------------------------


@kernel
def preload_images(state: State, host: int, now: int) -> None:
    """Reset the image cache of a new instance to what its machine image contains, and its share of rate limits."""
    if state.images.versions.size == 0:
        return
    clear_image_cache(state.images.cache, host)
    agent = state.images.agents[state.instances.rows[host].instance_class]
    for position in range(agent.preloaded_from, agent.preloaded_to):
        preload_image(state.images.layers, state.images.cache, host, state.images.preloaded[position], now)
    for limit in range(state.images.limits.size):
        if state.images.limits[limit].counted_by == BY_HOST:
            state.images.windows[limit, host, :] = 0


@kernel
def schedule_image_cleanup(state: State, host: int, now: int) -> None:
    """Schedule the next image cleanup of an instance, if its agent has one."""
    wait = state.images.agents[state.instances.rows[host].instance_class].cleanup_ms
    if state.images.versions.size > 0 and wait >= 0 and now + wait < state.clock.end:
        schedule_entry(state, now + wait, IMAGES_CLEANED, host, state.instances.rows[host].instance_id)


@kernel
def clean_images(state: State, host: int, now: int) -> None:
    """Remove some unused images, as the agent's cleanup cycle does, and schedule the next cycle."""
    agent = state.images.agents[state.instances.rows[host].instance_class]
    for _ in range(agent.images_per_cycle):
        version = next_removable_version(
            state.images.cache, host, now, agent.minimum_age_ms, agent.container_wait_ms
        )
        if version == NO_VERSION:
            break
        remove_image(state.images.layers, state.images.cache, host, version)
    schedule_image_cleanup(state, host, now)
