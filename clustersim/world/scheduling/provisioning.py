"""How a task in PROVISIONING finds its place, waits for it, or is refused.

RunTask with a launch type is refused at once where nothing fits; with a capacity provider the task waits in
PROVISIONING, up to a limit and a timeout (MODEL.md). Who waits fits on no host, so
only hosts that gained room are looked at again, once, at the end of the instant: tasks are then served in
order of arrival, and one that does not fit does not hold up a later one that does.
On Fargate a token bucket accepts launches (section 6.3). Which host is the placer's choice.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined, kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE, Request
from clustersim.policy.placement.placement import choose, fits
from clustersim.policy.placement.placement_failure import refusal
from clustersim.vocabulary import (
    CPU,
    ENI,
    GPU,
    HOST_PORTS,
    MEMORY,
    MS_PER_MINUTE,
    RESOURCES,
    InstanceState,
    StopCode,
    StoppedReason,
    WaitReason,
)
from clustersim.world.resources.allocation import fargate_zone
from clustersim.world.state.provisioning_queues import join_queue, leave_queue
from clustersim.world.state.tables import (
    BELL_CAPACITY,
    BELLS,
    CLOSEST,
    DISCONNECTED,
    ENTRIES_PER_LIFE,
    EVENTS,
    FINISHED,
    FREE_TASKS,
    FREED,
    HEAP_SIZE,
    PROMISED,
    PROVISIONING_LIMIT,
    PROVISIONING_TIMEOUT,
    ROUND,
    WAITING_SHAPES,
    WAITING_TASKS,
    State,
)
from clustersim.world.state.target_changes import has_room_for_changes
from clustersim.world.state.task_states import (
    FARGATE_ACCEPTED,
    PENDING,
    PROVISION_TIMEOUT,
    fill_need,
)
from clustersim.world.state.usage import note
from clustersim.world.tasks.lifecycle import finish
from clustersim.world.tasks.startup import place_on_fargate, place_on_host

US_PER_MS = 1_000

_FAILED_TO_START = int(StopCode.TaskFailedToStart)
_PLACEMENT_FAILED = int(StoppedReason.PLACEMENT_FAILED)
_PROVISIONING_LIMIT = int(WaitReason.PROVISIONING_LIMIT)
_VCPU_QUOTA = int(WaitReason.FARGATE_VCPU_QUOTA)
_FARGATE_CAPACITY = int(WaitReason.FARGATE_CAPACITY)
_AGENT = int(WaitReason.AGENT)
_ACTIVE = int(InstanceState.ACTIVE)


@kernel_entry
def has_room(state: State, lives: int) -> bool:
    """Whether `lives` tasks may be created, moved and ended before an array must grow or be emptied."""
    clock = state.clock
    return bool(
        clock[FREE_TASKS] >= lives
        and state.heap.shape[0] - clock[HEAP_SIZE] >= clock[ENTRIES_PER_LIFE] * lives
        and state.finished.size - clock[FINISHED] >= lives
        and state.events.size - clock[EVENTS] >= lives
        and has_room_for_changes(state, lives)
    )


@kernel
def count_on_hosts(state: State, group: int, by: int) -> None:
    """Count the placed tasks of `group` per host (by = 1), or wipe those counts again (by = 0)."""
    on_host = state.hosts.on_host
    slot = state.group_first[group]
    while slot >= 0:
        t = state.tasks[slot]
        if t.slot >= 0 and (by == 0 or (t.state >= PENDING and t.stopping < 0)):
            on_host[t.slot] = (on_host[t.slot] + 1) * by
        slot = t.next_of_group


@kernel
def request_of(state: State, shape: int) -> Request:
    """What a task of `shape` asks of the placer; `state.need` holds the amounts until the next call."""
    fill_need(state, shape)
    row = state.shapes[shape].lane
    lane = state.lanes[row]
    s = state.sets[lane.set]
    return Request(
        state.need,
        state.lane_ports[row],
        state.eligible[row],
        state.chains[lane.set],
        state.zone_counts[s.group],
        state.program[lane.program_from : lane.program_to],
        int(s.distinct),
        s.place_key,
        state.truth,
    )


@kernel
def find_host(state: State, shape: int, ordinal: int) -> int:
    """The host the placer chooses for the next task of `shape`, -1 where nothing fits."""
    s = state.sets[state.lanes[state.shapes[shape].lane].set]
    if s.counts:
        count_on_hosts(state, s.group, 1)
    host = choose(state.hosts, request_of(state, shape), ordinal)
    if s.counts:
        count_on_hosts(state, s.group, 0)
    return host


@kernel
def fits_on(state: State, shape: int, host: int) -> bool:
    """Whether a task of `shape` has room on this host, beside those of its group."""
    s = state.sets[state.lanes[state.shapes[shape].lane].set]
    if s.counts:
        count_on_hosts(state, s.group, 1)
    there = fits(state.hosts, request_of(state, shape), host)
    if s.counts:
        count_on_hosts(state, s.group, 0)
    return bool(there)


@kernel_entry
def why_refused(state: State, shape: int) -> int:
    """The wait reason of a task of `shape` that fits nowhere, counted in `refusals`."""
    code = _why(state, shape)
    state.refusals[code] += 1
    return code


@kernel
def _why(state: State, shape: int) -> int:
    """The wait reason of tasks of a shape that fit nowhere; the closest host, or -1, is in `clock[CLOSEST]`."""
    s = state.sets[state.lanes[state.shapes[shape].lane].set]
    if s.counts:
        count_on_hosts(state, s.group, 1)
    code, closest = refusal(state.hosts, request_of(state, shape))
    if state.clock[DISCONNECTED] > 0:
        silent = _silent_host(state, shape)
        if silent >= 0:
            code, closest = _AGENT, silent
    if s.counts:
        count_on_hosts(state, s.group, 0)
    state.clock[CLOSEST] = closest
    return code


@kernel
def _silent_host(state: State, shape: int) -> int:
    """The first instance that would have room for `shape` if its agent were connected; -1: none."""
    fill_need(state, shape)
    lane = state.shapes[shape].lane
    for slot in range(state.hosts.size[0]):
        h = state.instances[slot]
        if h.instance_id < 0 or h.state != _ACTIVE or h.connected:
            continue
        room = state.eligible[lane, h.klass] == ELIGIBLE
        for resource in range(RESOURCES):
            room = room and state.hosts.free[resource, slot] >= state.need[resource]
        if room:
            return slot
    return -1


@kernel
def _renew_reason(state: State, shape: int, now: int) -> None:
    """Find out anew why tasks of a shape wait, if that is older than a minute: what is short may have changed."""
    q = state.shapes[shape]
    if now - q.reasoned >= MS_PER_MINUTE:
        q.wait = _why(state, shape)
        q.reasoned = now


@kernel_entry
def renew_reasons(state: State, now: int) -> None:
    """The end of a run: whoever still waits says why it waits now."""
    for position in range(state.clock[WAITING_SHAPES]):
        shape = state.waiting_shapes[position]
        q = state.shapes[shape]
        _renew_reason(state, shape, now)
        slot = q.head
        while slot >= 0:
            state.tasks[slot].wait = q.wait
            slot = state.tasks[slot].next_waiting


@kernel
def refuse(state: State, slot: int, now: int, code: int) -> None:
    """End a task that was never placed."""
    t = state.tasks[slot]
    t.wait = code
    t.stop_code, t.reason = _FAILED_TO_START, _PLACEMENT_FAILED
    finish(state, slot, now)


@kernel
def seek(state: State, slot: int, now: int) -> None:
    """Place a task in PROVISIONING, let it wait, or refuse it."""
    t = state.tasks[slot]
    if state.lanes[t.lane].fargate:
        _seek_fargate(state, slot, now)
        return
    q = state.shapes[t.shape]
    if q.count > 0:  # its equals wait: nothing has room for it either
        _renew_reason(state, t.shape, now)
        state.refusals[q.wait] += 1
    else:
        host = find_host(state, t.shape, t.ordinal)
        if host >= 0:
            place_on_host(state, slot, host, now)
            return
        q.wait = why_refused(state, t.shape)
        q.reasoned = now
    t.wait = q.wait
    if state.lanes[t.lane].queues == 0:
        refuse(state, slot, now, q.wait)
        return
    limit = state.clock[PROVISIONING_LIMIT]
    if limit >= 0 and state.clock[WAITING_TASKS] + state.clock[PROMISED] >= limit:
        state.refusals[_PROVISIONING_LIMIT] += 1
        refuse(state, slot, now, _PROVISIONING_LIMIT)
        return
    join_queue(state, slot)
    if state.lanes[t.lane].managed:
        state.clock[BELLS] |= BELL_CAPACITY
    if state.clock[PROVISIONING_TIMEOUT] >= 0:
        note(state, now + state.clock[PROVISIONING_TIMEOUT], PROVISION_TIMEOUT, slot, t.task_id)


@kernel
def fargate_refusal(state: State, lane: int, cpu: int) -> int:
    """Why Fargate refuses `cpu` units more on `lane`: the vCPU quota, or no zone with capacity; 0: it does not."""
    b = state.buckets[state.lanes[lane].bucket]
    if b.cpu_limit >= 0 and b.cpu + cpu > b.cpu_limit:
        return _VCPU_QUOTA
    return 0 if fargate_zone(state, lane) >= 0 else _FARGATE_CAPACITY


@kernel
def _seek_fargate(state: State, slot: int, now: int) -> None:
    """Ask Fargate: it refuses, or it accepts when the token bucket allows (golden 67)."""
    t = state.tasks[slot]
    b = state.buckets[state.lanes[t.lane].bucket]
    code = fargate_refusal(state, t.lane, 0)  # the quota's count holds the task already
    if code > 0:
        state.refusals[code] += 1
        refuse(state, slot, now, code)
        return
    now_us = now * US_PER_MS
    b.next_us = max(b.next_us, now_us)
    accepted_us = b.next_us - (b.burst - 1) * b.interval_us
    b.next_us += b.interval_us
    if accepted_us <= now_us:
        place_on_fargate(state, slot, now)
    else:
        note(state, (accepted_us + US_PER_MS - 1) // US_PER_MS, FARGATE_ACCEPTED, slot, t.task_id)


@kernel
def accept_on_fargate(state: State, slot: int, now: int) -> None:
    """The token bucket has come to this task; if the last zone has closed meanwhile, it is refused after all."""
    if fargate_zone(state, state.tasks[slot].lane) >= 0:
        place_on_fargate(state, slot, now)
    else:
        state.refusals[_FARGATE_CAPACITY] += 1
        refuse(state, slot, now, _FARGATE_CAPACITY)


@inlined
def _fits(state: State, shape: int, host: int) -> bool:
    """Whether a host that is open has the resources for `shape` and is of a class it may use."""
    k = state.hosts.klass[host]
    q = state.shapes[shape]
    free = state.hosts.free
    return bool(
        k >= 0
        and free[MEMORY, host] >= q.memory
        and free[CPU, host] >= q.cpu
        and free[GPU, host] >= q.gpus
        and free[ENI, host] >= state.lanes[q.lane].eni
        and free[HOST_PORTS, host] >= q.host_ports
        and state.eligible[q.lane, k] == 1
    )


@kernel
def _oldest_that_fits(state: State) -> int:
    """The shape of the longest waiting task that some host with new room has the resources for; -1: none."""
    clock = state.clock
    best = -1
    oldest = 0
    for position in range(clock[WAITING_SHAPES]):
        shape = state.waiting_shapes[position]
        q = state.shapes[shape]
        arrived = state.tasks[q.head].task_id
        if q.tried == clock[ROUND] or (best >= 0 and arrived > oldest):
            continue
        for f in range(clock[FREED]):
            if _fits(state, shape, state.freed[f]):
                best = shape
                oldest = arrived
                break
    return best


@kernel
def serve(state: State, now: int) -> bool:
    """Let waiting tasks onto the hosts that gained room; False when an array must grow first (call again)."""
    clock = state.clock
    clock[ROUND] += 1
    while clock[WAITING_SHAPES] > 0:
        if not has_room(state, 8):
            return False
        shape = _oldest_that_fits(state)
        if shape < 0:
            break
        q = state.shapes[shape]
        slot = q.head
        hosts = clock[FREED]
        if hosts == 1 and state.lanes[q.lane].plain:
            host = state.freed[0]  # the only one that can have become big enough
        else:
            host = find_host(state, shape, state.tasks[slot].ordinal)
        if host < 0:
            q.tried = clock[ROUND]
            continue
        leave_queue(state, slot)
        place_on_host(state, slot, host, now)
        if clock[FREED] > hosts:
            clock[ROUND] += 1
    for f in range(clock[FREED]):
        state.instances[state.freed[f]].freed = 0
    clock[FREED] = 0
    return True


@kernel
def give_up(state: State, slot: int, now: int) -> None:
    """The provisioning timeout: a task that still waits is stopped, with its last refusal as the reason."""
    t = state.tasks[slot]
    if t.waiting:
        _renew_reason(state, t.shape, now)
        t.wait = state.shapes[t.shape].wait
    if t.waiting or t.promised >= 0:
        t.stop_code, t.reason = _FAILED_TO_START, _PLACEMENT_FAILED
        finish(state, slot, now)
