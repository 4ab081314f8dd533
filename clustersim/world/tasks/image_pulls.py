"""The pull of a task's images: what its containers ask of registries, and when their images are there.

The kernels that carry a pull out on the world's arrays. Whether a registry is asked, what must be moved and how
long that takes is decided in `policy.images.image_pulls`, what a registry lets through in
`policy.images.registry_rate_limits`, what the agent removes in `policy.images.image_cleanup`. A pull's end is known
when it begins, since each line serves in the order of asking; so `lives` and `containers` note one entry of the
calendar for it. What it is called when it fails is a sentence, made beforehand by `pull_rows`.
"""

from __future__ import annotations

import math
from typing import Any

from clustersim.engine.compiled import inlined, kernel
from clustersim.policy.images.image_cache import NOTHING, bake, empty_host, leave, remove, shelve, take
from clustersim.policy.images.image_cleanup import next_unused
from clustersim.policy.images.image_pulls import (
    FAIL,
    USE_CACHED,
    Cold,
    Pace,
    asks,
    fetch,
    fetch_cold,
    fits,
    missing_layers,
    ready_at,
    settle,
)
from clustersim.policy.images.pull_error_messages import PullFault
from clustersim.policy.images.registry_rate_limits import admit, out_until
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import END, State
from clustersim.world.state.task_states import IMAGES_CLEANED
from clustersim.world.state.usage import note

NOT_PULLED = -1
"""`State.holds` of a container whose image is not there yet."""

BY_ZONE, BY_HOST = 1, 2  # positions in `policy.images.registry_rate_limits.SOURCES`

_NONE = int(PullFault.NONE)
_TOO_MANY_REQUESTS = int(PullFault.TOO_MANY_REQUESTS)
_OUTAGE = int(PullFault.OUTAGE)
_NO_CREDENTIALS = int(PullFault.NO_CREDENTIALS)
_NO_SPACE = int(PullFault.NO_SPACE)
_TIMEOUT = int(PullFault.TIMEOUT)
_DENIED = len(PullFault)  # by IAM, which has words of its own


@inlined
def place_of(state: State, slot: int) -> int:
    """The class of a placed task's instance; the last place is Fargate."""
    host = state.tasks[slot].slot
    return int(state.instances[host].klass) if host >= 0 else state.agents.size - 1


@kernel
def pull_upfront(state: State, slot: int, now: int) -> tuple[int, int]:
    """Pull what a placed task needs before its first container begins: (when it is there, 0), or (when the
    task gives up, the sentence that says why)."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    if t.slot < 0:
        return _pull_on_fargate(state, slot, now)
    upfront = state.agents[place_of(state, slot)].upfront
    there = now
    for number in range(s.pulls):
        if state.pulls[s.first_pull + number].waits and not upfront:
            continue
        ready, sentence = pull_on_host(state, slot, number, now)
        if sentence > 0:
            return ready, sentence
        there = max(there, ready)
    return there, 0


@kernel
def pull_on_host(state: State, slot: int, number: int, now: int) -> tuple[int, int]:
    """Pull the image of a task's `number`-th listed container onto its instance; returns as `pull_upfront`."""
    t = state.tasks[slot]
    row = state.sets[t.set].first_pull + number
    p, host, place = state.pulls[row], t.slot, place_of(state, slot)
    behavior = state.agents[place].behavior
    held = state.shelves.held[host, p.image]
    pulled_at = state.shelves.pulled_at[host, held] if held != NOTHING else NEVER
    asked = asks(behavior, held, pulled_at)
    at, fault, version = now, _NONE, held
    if asked:
        if t.pull_started < 0:
            t.pull_started = now
        version = _wanted(state, row, now)
        at, fault = _ask(state, slot, row, version, now)
        if fault == _NONE:
            at, fault = _fetch(state, host, row, version, at)
    way = settle(behavior, held, asked, fault == _NONE)
    if way == FAIL:
        return at, _sentence(state, row, place, fault)
    if way == USE_CACHED:
        version = held
        at = ready_at(state.stacks, state.shelves, host, held, at)
    elif p.pins:
        p.version = version
    state.holds[slot, number] = version
    take(state.shelves, host, version, p.read_write)
    return int(at), 0


@kernel
def _wanted(state: State, row: int, now: int) -> int:
    """The version that a pull asks for: the one its deployment has settled on, else what the tag means now.

    ECS Developer Guide, container image resolution: the first task of a deployment that gets an image settles it.
    """
    p = state.pulls[row]
    if p.version >= 0:
        return int(p.version)
    version = p.first_version
    while version < p.last_version and state.versions[version + 1].since <= now:
        version += 1
    return int(version)


@kernel
def _ask(state: State, slot: int, row: int, version: int, now: int) -> tuple[int, int]:
    """Ask the registry for a version: (when it answers, 0), or (when the pull gives up, the fault)."""
    t, p, place = state.tasks[slot], state.pulls[row], place_of(state, slot)
    r = state.registries[p.registry]
    at = now
    begins = state.outage_begins[r.outage_from : r.outage_to]
    until = out_until(begins, state.outage_ends[r.outage_from : r.outage_to], now)
    if until >= 0:
        if until - now > r.timeout_ms:
            return int(now + r.timeout_ms), _OUTAGE
        at = until
    answer = int(at + r.latency_ms)
    known = p.credentials or (t.slot >= 0 and state.agents[place].credentials)
    if state.versions[version].fault:
        return answer, int(state.versions[version].fault)
    if r.private and not known:
        return answer, _NO_CREDENTIALS
    if state.pull_denials[row, place] > 0:
        return answer, _DENIED
    layers = state.stacks.first[version + 1] - state.stacks.first[version]
    if t.slot >= 0:
        layers = missing_layers(state.stacks, state.shelves, t.slot, version)
    manifest = _admit(state, r.with_credentials if known else r.without, t, at, 1, r.patience_ms)
    rest = _admit(state, r.layers, t, at, layers, r.patience_ms) if manifest >= 0 else NEVER
    if rest < 0:
        return int(at + r.patience_ms), _TOO_MANY_REQUESTS
    return int(max(manifest, rest) + r.latency_ms), _NONE


@kernel
def _admit(state: State, limit: int, t: Any, at: int, amount: int, patience: int) -> int:
    """When `amount` requests of a task pass a limit (-1: there is none); NEVER: they are refused."""
    if limit < 0:
        return at
    of = state.limits[limit]
    source = 0
    if of.by == BY_ZONE:
        source = t.zone
    elif of.by == BY_HOST:
        if t.slot < 0:
            return at  # each Fargate task has an address of its own
        source = t.slot
    return admit(state.windows[limit], source, at, amount, of.limit, of.per_ms, patience)


@kernel
def _fetch(state: State, host: int, row: int, version: int, begin: int) -> tuple[int, int]:
    """Fetch what an instance lacks of a version and shelve it: (when it is there, 0), or (when it fails, the fault).

    What takes longer than the agent waits is there all the same when it is done: Docker goes on.
    """
    p = state.pulls[row]
    r, agent = state.registries[p.registry], state.agents[state.instances[host].klass]
    room = agent.disk - state.shelves.written[host] - p.read_write
    if not fits(state.stacks, state.shelves, host, version, room):
        return begin, _NO_SPACE
    pace = Pace(agent.network, r.source, r.shared, agent.unpack)
    done = fetch(state.stacks, state.shelves, host, version, begin, pace, state.served, p.registry)
    shelve(state.stacks, state.shelves, host, version, done)
    if done - begin > agent.pull_timeout_ms:
        return int(begin + agent.pull_timeout_ms), _TIMEOUT
    return int(done), _NONE


@kernel
def _pull_on_fargate(state: State, slot: int, now: int) -> tuple[int, int]:
    """Pull all images of a Fargate task, of which nothing is kept; returns as `pull_upfront`."""
    t = state.tasks[slot]
    s, place = state.sets[t.set], place_of(state, slot)
    if s.pulls == 0:
        return now, 0
    t.pull_started = begin = now
    for number in range(s.pulls):
        row = s.first_pull + number
        version = _wanted(state, row, now)
        at, fault = _ask(state, slot, row, version, now)
        if fault != _NONE:
            return at, _sentence(state, row, place, fault)
        if state.pulls[row].pins:
            state.pulls[row].version = version
        state.holds[slot, number] = version
        begin = max(begin, at)
    agent = state.agents[place]
    done, stored = 0.0, 0.0
    cold = Cold(0.0, 0.0, 0.0, 0.0)
    for number in range(s.pulls):
        p = state.pulls[s.first_pull + number]
        r = state.registries[p.registry]
        pace = Pace(agent.network, r.source, r.shared, agent.unpack)
        sent = cold.sent
        cold = fetch_cold(
            state.stacks, state.holds[slot, number], state.seen, t.task_id, cold, pace, p.lazy_share
        )
        served = max(float(begin), state.served[p.registry]) + (cold.sent - sent) / r.shared
        state.served[p.registry] = served
        done, stored = max(done, served), stored + p.read_write
    if cold.stored + stored > s.ephemeral:
        return begin, _sentence(state, s.first_pull, place, _NO_SPACE)
    return max(begin + math.ceil(cold.done), math.ceil(done)), 0


@kernel
def _sentence(state: State, row: int, place: int, fault: int) -> int:
    """What ECS says of a failed pull."""
    if fault == _DENIED:
        return int(state.pull_denials[row, place])
    if place == state.agents.size - 1:
        return int(state.pulls[row].fargate_words + fault)
    if fault == _TIMEOUT:
        return int(state.agents[place].timeout_words)
    return int(state.pulls[row].host_words + fault)


# --- what containers hold ----------------------------------------------------------------------------------


@kernel
def forget_images(state: State, slot: int) -> None:
    """A task that is placed has no image yet."""
    for number in range(state.sets[state.tasks[slot].set].pulls):
        state.holds[slot, number] = NOT_PULLED


@kernel
def put_down(state: State, slot: int, now: int) -> None:
    """The containers of a task are gone: its instance may remove their images when the agent has waited."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    for number in range(s.pulls):
        version = state.holds[slot, number]
        if version >= 0:
            read_write = state.pulls[s.first_pull + number].read_write
            leave(state.shelves, t.slot, version, read_write, now)


@kernel
def stock(state: State, slot: int, now: int) -> None:
    """A task that has been there for long: its images lie on its instance, pulled long ago."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    forget_images(state, slot)
    for number in range(s.pulls):
        row = s.first_pull + number
        p, version = state.pulls[row], _wanted(state, row, now)
        if state.versions[version].fault:
            continue  # it runs on what the registry has lost since
        if p.pins:
            p.version = version
        state.holds[slot, number] = version
        if t.slot >= 0:
            bake(state.stacks, state.shelves, t.slot, version, now)
            shelve(state.stacks, state.shelves, t.slot, version, now)
            take(state.shelves, t.slot, version, p.read_write)


# --- instances ---------------------------------------------------------------------------------------------


@kernel
def furnish(state: State, host: int, now: int) -> None:
    """A new instance has what its machine image brings, and an address that no registry knows."""
    if state.versions.size == 0:
        return
    empty_host(state.shelves, host)
    agent = state.agents[state.instances[host].klass]
    for position in range(agent.baked_from, agent.baked_to):
        bake(state.stacks, state.shelves, host, state.baked[position], now)
    for limit in range(state.limits.size):
        if state.limits[limit].by == BY_HOST:
            state.windows[limit, host, :] = 0


@kernel
def note_cleaning(state: State, host: int, now: int) -> None:
    """Note the next clean-up of an instance's images, if its agent has any."""
    wait = state.agents[state.instances[host].klass].cleanup_ms
    if state.versions.size > 0 and wait >= 0 and now + wait < state.clock[END]:
        note(state, now + wait, IMAGES_CLEANED, host, state.instances[host].instance_id)


@kernel
def clean_images(state: State, host: int, now: int) -> None:
    """The agent's clean-up: some images that nobody uses go."""
    agent = state.agents[state.instances[host].klass]
    for _ in range(agent.images_per_cycle):
        version = next_unused(state.shelves, host, now, agent.minimum_age_ms, agent.container_wait_ms)
        if version == NOTHING:
            break
        remove(state.stacks, state.shelves, host, version)
    note_cleaning(state, host, now)
