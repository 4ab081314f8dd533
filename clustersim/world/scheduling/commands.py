"""What controllers order: start so many tasks, stop these, drain or end those instances.

The entry points of the gateway for decisions, each a kernel that takes a whole batch. Callers make room
first (`World.make_room`).
"""

from __future__ import annotations

import math

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.policy.placement.hosts import ELIGIBLE
from clustersim.policy.placement.placement import fits
from clustersim.vocabulary import NEVER, StoppedReason
from clustersim.world.resources.allocation import (
    bill_fargate,
    fargate_zone,
    has_address,
    hold_fargate,
    hold_host,
    take_address,
)
from clustersim.world.resources.provider_strategy import choose_lane, forget_missed
from clustersim.world.scheduling.provisioning import fargate_refusal, find_host, request_of, seek
from clustersim.world.state.tables import REFUSED, State
from clustersim.world.state.task_states import (
    RUNNING,
    new_task,
)
from clustersim.world.state.usage import Slots, touch_service
from clustersim.world.tasks.containers import ends_task
from clustersim.world.tasks.lifecycle import EXIT_KILLED, ask_stop, exits, start_settled
from clustersim.world.tasks.startup import expect_back, place_on_host

_OUT_OF_MEMORY = int(StoppedReason.OUT_OF_MEMORY)

ELSEWHERE = 99  # a mark in `State.eligible` while only one zone is asked for


@kernel_entry
def set_desired(state: State, services: Slots, counts: Slots, now: int) -> None:
    """New desired counts, whoever asked for them; who wants that must have the services looked at."""
    for position in range(services.size):
        touch_service(state, services[position], now)
        v = state.services[services[position]]
        v.desired = counts[position]
        v.threshold = math.ceil(counts[position] * v.least_percent / 100.0)
        v.steady = 0


@kernel_entry
def start_tasks(state: State, row: int, shape: int, count: int, now: int, started: Slots) -> int:
    """Create up to `count` tasks of a service's set `row`; their ids go to `started`, their number is returned.

    With launch type EC2 a task that fits nowhere is not created, and ends the batch: ECS makes no row for it.
    Nor is one that Fargate refuses; the tasks of other lanes are. `clock[REFUSED]` is then the wait reason of
    Fargate, else 0. `shape` is that of the set's first lane.
    """
    done = start_some(state, row, shape, count, now, started)
    if state.clock[REFUSED] > 0:
        state.refusals[state.clock[REFUSED]] += 1
    return int(done)


@kernel
def start_some(state: State, row: int, shape: int, count: int, now: int, started: Slots) -> int:
    """What `start_tasks` does, without counting a refusal."""
    s = state.sets[row]
    service = state.services[s.service]
    state.clock[REFUSED] = 0
    done = 0
    for _ in range(count):
        lane = choose_lane(state, row)
        way = state.lanes[lane]
        wanted = shape + lane - s.first_lane
        host = NEVER
        refusable = way.fargate == 0 and way.queues == 0
        if refusable:
            host = find_host(state, wanted, service.ordinal)
            if host < 0:
                break
        elif way.fargate:
            code = fargate_refusal(state, lane, state.shapes[wanted].cpu)
            if code > 0:
                state.clock[REFUSED] = code
                if s.lanes == 1:
                    break
                way.missed += 1
                continue
        slot = new_task(state, row, lane, wanted, service.ordinal, now)
        service.ordinal += 1
        started[done] = state.tasks[slot].task_id
        done += 1
        if refusable:
            place_on_host(state, slot, host, now)
        else:
            seek(state, slot, now)
    forget_missed(state, row)
    return done


@kernel_entry
def start_in_zone(state: State, row: int, shape: int, zone: int, now: int, started: Slots) -> int:
    """Start one task of a service's set `row` in `zone` if there is room for it; 1 and its id, or 0."""
    s = state.sets[row]
    service = state.services[s.service]
    lane = choose_lane(state, row)
    way = state.lanes[lane]
    host = NEVER
    if not has_address(state, lane, zone):
        return 0
    if way.fargate:
        wanted = shape + lane - s.first_lane
        closed = state.fargate_closed[way.bucket, zone] > 0 or state.lane_zones[lane, zone] == 0
        if closed or fargate_refusal(state, lane, state.shapes[wanted].cpu) > 0:
            return 0
    else:
        host = find_host_in(state, shape + lane - s.first_lane, service.ordinal, zone)
        if host < 0:
            return 0
    slot = new_task(state, row, lane, shape + lane - s.first_lane, service.ordinal, now)
    service.ordinal += 1
    started[0] = state.tasks[slot].task_id
    if way.fargate:
        state.tasks[slot].zone = zone
        seek(state, slot, now)
    else:
        place_on_host(state, slot, host, now)
    return 1


@kernel
def find_host_in(state: State, shape: int, ordinal: int, zone: int) -> int:
    """The host the placer chooses in `zone` alone; -1 where nothing fits there."""
    lane = state.shapes[shape].lane
    for k in range(state.classes.size):
        if state.classes[k].zone != zone and state.eligible[lane, k] == ELIGIBLE:
            state.eligible[lane, k] = ELSEWHERE
    host = find_host(state, shape, ordinal)
    for k in range(state.classes.size):
        if state.eligible[lane, k] == ELSEWHERE:
            state.eligible[lane, k] = ELIGIBLE
    return host


@kernel_entry
def start_on_hosts(state: State, row: int, shape: int, hosts: Slots, now: int, started: Slots) -> int:
    """Start a task of a DAEMON service's set `row` on each of the instances in `hosts` where it fits and an agent
    is there to start it.

    Their ids go to `started`, their number is returned.
    """
    s = state.sets[row]
    service = state.services[s.service]
    done = 0
    for host in hosts:
        if state.instances[host].connected and fits(state.hosts, request_of(state, shape), host):
            slot = new_task(state, row, s.first_lane, shape, service.ordinal, now)
            service.ordinal += 1
            started[done] = state.tasks[slot].task_id
            done += 1
            place_on_host(state, slot, host, now)
    return done


@kernel_entry
def start_healthy(state: State, row: int, shape: int, count: int, now: int) -> int:
    """`initialState: running`: create tasks that are RUNNING and healthy at once; returns how many fitted."""
    s = state.sets[row]
    service = state.services[s.service]
    done = 0
    while done < count:
        lane = choose_lane(state, row)
        fargate = state.lanes[lane].fargate
        host = NEVER
        if not fargate:
            host = find_host(state, shape + lane - s.first_lane, service.ordinal)
            if host < 0:
                break
        zone = fargate_zone(state, lane) if fargate else state.classes[state.instances[host].klass].zone
        if not has_address(state, lane, zone):
            break
        slot = new_task(state, row, lane, shape + lane - s.first_lane, service.ordinal, now)
        service.ordinal += 1
        take_address(state, slot, zone)
        if fargate:
            hold_fargate(state, slot, now)
            bill_fargate(state, slot, now)
            expect_back(state, slot, now)
        else:
            hold_host(state, slot, host, now)
        start_settled(state, slot, now)
        done += 1
    return done


@kernel_entry
def stop_tasks(state: State, slots: Slots, now: int, code: int, reason: int) -> None:
    """Ask the tasks in `slots` to stop, in this order."""
    for slot in slots:
        ask_stop(state, slot, now, code, reason)


@kernel_entry
def run_out_of_memory(state: State, row: int, now: int) -> None:
    """The main containers of all tasks of set `row` that answer are killed for their memory."""
    s = state.sets[row]
    slot = state.group_first[s.group]
    while slot >= 0:
        t = state.tasks[slot]
        following = t.next_of_group
        if t.set == row and t.state == RUNNING and t.ready:
            _kill_main(state, slot, now)
        slot = following


@kernel
def _kill_main(state: State, slot: int, now: int) -> None:
    """Kill the container of a RUNNING task that does its work: SIGKILL, exit code 137."""
    t = state.tasks[slot]
    s = state.sets[t.set]
    t.next_exit_code, t.next_reason = EXIT_KILLED, _OUT_OF_MEMORY
    if s.first_container >= 0:
        cell = state.cells[slot, s.main]
        cell.exits, cell.exit_code, cell.reason = now, EXIT_KILLED, _OUT_OF_MEMORY
        if not ends_task(state, slot, s.main, now):
            return
    exits(state, slot, now)


@kernel_entry
def tasks_of_group(state: State, group: int, out: Slots) -> int:
    """The slots of the live tasks of `group` that are not stopping, newest first, into `out`; their number."""
    count = 0
    slot = state.group_first[group]
    while slot >= 0:
        if state.tasks[slot].state <= RUNNING and count < out.size:
            out[count] = slot
            count += 1
        slot = state.tasks[slot].next_of_group
    return count
