"""The scalars of the world: its instants, and numbers of used rows, serials and requests.

Declares them; knows no table. `world.state.tables` makes them part of `State`; kernels and Python read and write them
by name.
"""

from __future__ import annotations

from clustersim.engine.records import Scalars


class Clock(Scalars):
    """The instants of the simulation, in ms."""

    now: int
    """The instant that is being simulated."""
    reached: int
    """The instant up to which the calendar has run."""
    window_start: int
    """The first instant that counts for costs and the summary: the end of the warm-up."""
    end: int
    """The end of the run."""


class Counters(Scalars):
    """Numbers of used rows, next serials, and what controllers and kernels tell each other."""

    heap_size: int
    """Entries in the calendar's heap."""
    sequence: int
    """The number of the next entry: the last criterion of its order."""
    entries_done: int
    """Entries carried out so far."""
    entries_per_task: int
    """Entries that the calendar may hold of one task at a time."""
    kernel_calls: int
    next_task_id: int
    next_instance_id: int
    free_tasks: int
    """Used rows of `State.tasks.free`."""
    free_instances: int
    """Used rows of `State.instances.free`."""
    finished_tasks: int
    """Used rows of `State.outputs.finished_tasks`."""
    terminated_instances: int
    """Used rows of `State.outputs.terminated_instances`."""
    events: int
    """Used rows of `State.outputs.events`."""
    target_changes: int
    """Used rows of `State.outputs.target_changes`."""
    hosts_with_new_room: int
    """Used rows of `State.instances.hosts_with_new_room`."""
    waiting_shapes: int
    """Used rows of `State.placement.waiting_shapes`."""
    waiting_tasks: int
    """Tasks in provisioning queues."""
    assigned_tasks: int
    """Tasks that wait for an instance that is being launched for them."""
    dirty_services: int
    """Used rows of `State.services.dirty`."""
    controllers_to_wake: int
    """Bits: WAKE_SCHEDULER, WAKE_CAPACITY."""
    serving_round: int
    """The number of the pass over the provisioning queues."""
    capacity_epoch: int
    """Raised whenever room may have been made for tasks that were refused."""
    next_arrival: int
    """The next row of `State.calendar.arrivals`."""
    arrival_copy: int
    """The next copy of that row's task."""
    arrivals_left: int
    """Arrivals that are not yet in `State.calendar.arrivals`."""
    provisioning_limit: int
    """Tasks that may wait at a time; -1: no limit."""
    provisioning_timeout: int
    """ms that a task may wait; -1: for ever."""
    sets_used: int
    """Used rows of `State.sets.rows`."""
    stopped_sets: int
    closest_host: int
    """The slot of the host that came closest to fitting in the last refusal; -1: none."""
    refused_sentence: int
    """The sentence of the last refusal that is not about resources; 0: none."""
    disconnected_agents: int
    zones_changed: int
    """Raised whenever the number of a service's tasks in a zone may have changed."""
    awaited: int


WAKE_SCHEDULER = 1
WAKE_CAPACITY = 2
