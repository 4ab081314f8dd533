"""Tasks promised to an instance that is being launched for them.

ECS Managed Instances launches for the tasks that wait, so each knows where it will go: it has left its queue, and is
placed when its instance registers. While it waits its two waiting pointers hold the instance's list. If the instance
never comes, or has no room after all, the task seeks its place anew. Which task is promised to whom is decided in
`control.capacity.managed_instances`.
"""

from __future__ import annotations

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.vocabulary import NEVER
from clustersim.world.scheduling.provisioning import find_host, fits_on
from clustersim.world.state.provisioning_queues import forget_promise, join_queue, leave_queue
from clustersim.world.state.tables import BELL_CAPACITY, BELLS, PROMISED, State
from clustersim.world.tasks.startup import place_on_host


@kernel_entry
def promise(state: State, shape: int, count: int, host: int) -> None:
    """Promise the next `count` tasks in the queue of `shape` to the instance in slot `host`."""
    h = state.instances[host]
    for _ in range(count):
        slot = state.shapes[shape].head
        leave_queue(state, slot)
        t = state.tasks[slot]
        t.promised = host
        t.previous_waiting, t.next_waiting = NEVER, h.first_promised
        if h.first_promised >= 0:
            state.tasks[h.first_promised].previous_waiting = slot
        h.first_promised = slot
        state.clock[PROMISED] += 1


@kernel
def keep_promises(state: State, host: int, now: int) -> None:
    """The instance has registered: its tasks are placed there, oldest first."""
    h = state.instances[host]
    last = NEVER
    slot = h.first_promised
    while slot >= 0:  # the list holds the newest first
        last = slot
        slot = state.tasks[slot].next_waiting
    while last >= 0:
        slot = last
        last = state.tasks[slot].previous_waiting
        forget_promise(state, slot)
        if fits_on(state, state.tasks[slot].shape, host):
            place_on_host(state, slot, host, now)
        else:
            _seek_again(state, slot, now)


@kernel
def break_promises(state: State, host: int, now: int) -> None:
    """The instance will never register: its tasks seek another place."""
    while state.instances[host].first_promised >= 0:
        slot = state.instances[host].first_promised
        forget_promise(state, slot)
        _seek_again(state, slot, now)


@kernel
def _seek_again(state: State, slot: int, now: int) -> None:
    """Place a task that lost its promise, or put it back into the queue of its shape."""
    t = state.tasks[slot]
    host = NEVER if state.shapes[t.shape].count > 0 else find_host(state, t.shape, t.ordinal)
    if host >= 0:
        place_on_host(state, slot, host, now)
    else:
        join_queue(state, slot)
        state.clock[BELLS] |= BELL_CAPACITY
