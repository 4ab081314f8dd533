"""Commands of the controllers: start tasks, stop tasks, set desired counts.

Each command is a kernel that takes a whole batch. Callers make room first (`World.make_room`). Commands for instances
are in `instances.lifecycle`.
"""

from __future__ import annotations

import math

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.placement.placement import host_fits
from clustersim.vocabulary import NEVER, StoppedReason
from clustersim.world.resources.allocation import (
    allocate_on_fargate,
    allocate_on_host,
    choose_fargate_zone,
    has_address,
    start_fargate_billing,
    take_address,
)
from clustersim.world.resources.provider_strategy import choose_strategy_item, clear_refused
from clustersim.world.scheduling.provisioning import (
    find_fargate_failure,
    find_host,
    make_placement_request,
    try_place,
)
from clustersim.world.state.tables import State
from clustersim.world.state.task_states import (
    RUNNING,
    create_task,
)
from clustersim.world.state.usage import Slots, integrate_service
from clustersim.world.tasks.containers import ends_task
from clustersim.world.tasks.lifecycle import EXIT_KILLED, exit_task, start_healthy_task, stop_task
from clustersim.world.tasks.startup import place_on_host, schedule_fargate_reclaim

_OUT_OF_MEMORY = int(StoppedReason.OUT_OF_MEMORY)

IN_OTHER_ZONE = 99  # marks a class in `State.placement.eligible` while only one zone is considered


@kernel_entry
def set_desired(state: State, services: Slots, counts: Slots, now: int) -> None:
    """Set new desired counts. The caller must mark the services dirty afterwards."""
    for position in range(services.size):
        integrate_service(state, services[position], now)
        v = state.services.rows[services[position]]
        v.desired = counts[position]
        v.threshold = math.ceil(counts[position] * v.minimum_healthy_percent / 100.0)
        v.steady_reported = 0


@kernel
def start_task_batch(state: State, row: int, shape: int, count: int, now: int, started: Slots) -> int:
    """Create up to `count` tasks of a service's set `row`, write their ids to `started` and return their number.

    With launch type EC2 a task that fits nowhere is not created and ends the batch: ECS makes no task for it.
    Fargate's refusals are not created either, but tasks of other strategy items are; `counters.refused_sentence` is
    then the wait reason of Fargate, else 0. `shape` is that of the first strategy item of the set.
    """
    s = state.sets.rows[row]
    service = state.services.rows[s.service]
    state.counters.refused_sentence = 0
    done = 0
    for _ in range(count):
        item_row = choose_strategy_item(state, row)
        item = state.sets.strategy_items[item_row]
        item_shape = shape + item_row - s.first_item
        host = NEVER
        fails_at_once = item.fargate == 0 and item.can_wait == 0
        if fails_at_once:
            host = find_host(state, item_shape, service.ordinal)
            if host < 0:
                break
        elif item.fargate:
            code = find_fargate_failure(state, item_row, state.sets.shapes[item_shape].cpu)
            if code > 0:
                state.counters.refused_sentence = code
                if s.item_count == 1:
                    break
                item.refused += 1
                continue
        slot = create_task(state, row, item_row, item_shape, service.ordinal, now)
        service.ordinal += 1
        started[done] = state.tasks.rows[slot].task_id
        done += 1
        if fails_at_once:
            place_on_host(state, slot, host, now)
        else:
            try_place(state, slot, now)
    clear_refused(state, row)
    return done


@kernel
def start_task_in_zone(state: State, row: int, shape: int, zone: int, now: int, started: Slots) -> int:
    """Start one task of a service's set `row` in `zone`, if it fits there; return 1, else 0.

    The id of the task goes to `started`.
    """
    s = state.sets.rows[row]
    service = state.services.rows[s.service]
    item_row = choose_strategy_item(state, row)
    item = state.sets.strategy_items[item_row]
    host = NEVER
    if not has_address(state, item_row, zone):
        return 0
    if item.fargate:
        item_shape = shape + item_row - s.first_item
        closed = (
            state.capacity.fargate_closed[item.bucket, zone] > 0
            or state.placement.item_zones[item_row, zone] == 0
        )
        if closed or find_fargate_failure(state, item_row, state.sets.shapes[item_shape].cpu) > 0:
            return 0
    else:
        host = find_host_in_zone(state, shape + item_row - s.first_item, service.ordinal, zone)
        if host < 0:
            return 0
    slot = create_task(state, row, item_row, shape + item_row - s.first_item, service.ordinal, now)
    service.ordinal += 1
    started[0] = state.tasks.rows[slot].task_id
    if item.fargate:
        state.tasks.rows[slot].zone = zone
        try_place(state, slot, now)
    else:
        place_on_host(state, slot, host, now)
    return 1


@kernel
def find_host_in_zone(state: State, shape: int, ordinal: int, zone: int) -> int:
    """Return the host that the placement policy chooses in `zone`; -1 if none fits there."""
    item_row = state.sets.shapes[shape].strategy_item
    for k in range(state.capacity.classes.size):
        if state.capacity.classes[k].zone != zone and state.placement.eligible[item_row, k] == ELIGIBLE:
            state.placement.eligible[item_row, k] = IN_OTHER_ZONE
    host = find_host(state, shape, ordinal)
    for k in range(state.capacity.classes.size):
        if state.placement.eligible[item_row, k] == IN_OTHER_ZONE:
            state.placement.eligible[item_row, k] = ELIGIBLE
    return host


@kernel
def start_tasks_on_hosts(state: State, row: int, shape: int, hosts: Slots, now: int, started: Slots) -> int:
    """Start a task of a DAEMON service's set `row` on each instance in `hosts` on which it fits.

    Instances whose agent is disconnected are left out. The ids of the tasks go to `started`; returns their number.
    """
    s = state.sets.rows[row]
    service = state.services.rows[s.service]
    done = 0
    for host in hosts:
        if state.instances.rows[host].connected and host_fits(
            state.instances.hosts, make_placement_request(state, shape), host
        ):
            slot = create_task(state, row, s.first_item, shape, service.ordinal, now)
            service.ordinal += 1
            started[done] = state.tasks.rows[slot].task_id
            done += 1
            place_on_host(state, slot, host, now)
    return done


@kernel_entry
def create_healthy_tasks(state: State, row: int, shape: int, count: int, now: int) -> int:
    """Create up to `count` tasks that are RUNNING and healthy at once; return how many fitted.

    Used for `initialState: running`.
    """
    s = state.sets.rows[row]
    service = state.services.rows[s.service]
    done = 0
    while done < count:
        item_row = choose_strategy_item(state, row)
        fargate = state.sets.strategy_items[item_row].fargate
        host = NEVER
        if not fargate:
            host = find_host(state, shape + item_row - s.first_item, service.ordinal)
            if host < 0:
                break
        zone = (
            choose_fargate_zone(state, item_row)
            if fargate
            else state.capacity.classes[state.instances.rows[host].instance_class].zone
        )
        if not has_address(state, item_row, zone):
            break
        slot = create_task(state, row, item_row, shape + item_row - s.first_item, service.ordinal, now)
        service.ordinal += 1
        take_address(state, slot, zone)
        if fargate:
            allocate_on_fargate(state, slot, now)
            start_fargate_billing(state, slot, now)
            schedule_fargate_reclaim(state, slot, now)
        else:
            allocate_on_host(state, slot, host, now)
        start_healthy_task(state, slot, now)
        done += 1
    return done


@kernel_entry
def stop_tasks(state: State, slots: Slots, now: int, code: int, reason: int) -> None:
    """Request the tasks in `slots` to stop, in this order."""
    for slot in slots:
        stop_task(state, slot, now, code, reason)


@kernel_entry
def kill_for_memory(state: State, row: int, now: int) -> None:
    """Kill the main containers of all ready tasks of set `row` for exceeding their memory."""
    s = state.sets.rows[row]
    slot = state.tasks.group_first[s.group]
    while slot >= 0:
        t = state.tasks.rows[slot]
        following = t.next_of_group
        if t.set == row and t.state == RUNNING and t.ready:
            _kill_main(state, slot, now)
        slot = following


@kernel
def _kill_main(state: State, slot: int, now: int) -> None:
    """Kill the main container of a RUNNING task with SIGKILL (exit code 137)."""
    t = state.tasks.rows[slot]
    s = state.sets.rows[t.set]
    t.next_exit_code, t.next_reason = EXIT_KILLED, _OUT_OF_MEMORY
    if s.first_container >= 0:
        container = state.tasks.container_states[slot, s.main_container]
        container.exits_at, container.exit_code, container.reason = now, EXIT_KILLED, _OUT_OF_MEMORY
        if not ends_task(state, slot, s.main_container, now):
            return
    exit_task(state, slot, now)


@kernel_entry
def list_tasks_of_group(state: State, group: int, out: Slots) -> int:
    """Write the slots of the live tasks of `group` that are not stopping to `out`; return their number.

    The newest comes first.
    """
    count = 0
    slot = state.tasks.group_first[group]
    while slot >= 0:
        if state.tasks.rows[slot].state <= RUNNING and count < out.size:
            out[count] = slot
            count += 1
        slot = state.tasks.rows[slot].next_of_group
    return count
