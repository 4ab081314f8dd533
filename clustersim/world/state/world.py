"""The world: the arrays of `State`, grown as needed, and the names behind their numbers.

This module decides nothing. `build.build_world` fills it from a scenario; controllers read its columns and change it
through the kernels of `world`, after `make_room`. When an array must grow, `state` is replaced: no caller may keep a
`State` from one instant to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import numpy as np

from clustersim.engine.array_block import Pointer
from clustersim.engine.records import Array
from clustersim.policy.images.image_cache import grow_image_cache
from clustersim.policy.placement.hosts import grow_hosts
from clustersim.policy.placement.scale_in_victims import new_choice_scratch, scratch_width
from clustersim.scenario.sections.scenario import Scenario
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import State
from clustersim.world.state.target_changes import CHANGES_PER_TASK
from clustersim.world.state.usage import read_task_times

ENTRIES_PER_INSTANCE = 8  # most calendar entries of a new instance: its registration, hazards, image cleanup


AnyArray = TypeVar("AnyArray", bound=np.ndarray[Any, Any])


@dataclass
class Names:
    """The names behind the numbers in the arrays; list positions are rows of the table of that name."""

    services: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # payers, the labels of tasks: `service:web`, `nightly`
    task_groups: list[str] = field(default_factory=list)  # of ECS: what placement strategies spread
    entries: list[int] = field(default_factory=list)  # payer -> runTasks entry, -1 for services
    definitions: list[str] = field(default_factory=list)  # `web:2`
    providers: list[str] = field(default_factory=list)  # the last, "", is for groups without one
    pools: list[str] = field(default_factory=list)  # the groups, then the managed instances
    types: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    target_groups: dict[int, str] = field(default_factory=dict)  # set -> target group
    sentences: list[str] = field(default_factory=lambda: [""])  # messages and stopped reasons; 0 is empty
    _known: dict[str, int] = field(default_factory=dict)

    def sentence(self, words: str) -> int:
        """Return the number of a sentence; equal sentences have the same number."""
        if words not in self._known:
            self._known[words] = len(self.sentences)
            self.sentences.append(words)
        return self._known[words]


class World:
    """The simulated cluster at one instant.

    `state` is for Python code to read; `core` passes the same arrays to a kernel as one pointer.
    """

    def __init__(self, scenario: Scenario, names: Names, state: State) -> None:
        self.scenario = scenario
        self.names = names
        self.state = state
        self._core = Pointer(state)
        self._core_of = state
        self._times = np.zeros((3, 0), np.int64)
        self.sets_used = 0
        self.strategy_items_used = 0
        self.shapes_used = 0
        self.first_shape: list[int] = []  # of each set
        self.primary: list[int] = []  # of each service: the set of its PRIMARY deployment
        self.sets_of: list[list[int]] = []  # of each service: its sets with live tasks, oldest first

    @property
    def now(self) -> int:
        """The instant that the world has reached, in ms."""
        return int(self.state.clock.now)

    @property
    def core(self) -> Any:
        """The argument for kernels; rebuilt when an array has been replaced."""
        if self._core_of is not self.state:
            self._core, self._core_of = Pointer(self.state), self.state
        return self._core

    def take_target_changes(self) -> Array:
        """Return and clear the log of target changes of exact services (dtype `policy.load.exact_tables.CHANGE`)."""
        counters = self.state.counters
        taken: Array = self.state.outputs.target_changes[: counters.target_changes].copy()
        counters.target_changes = 0
        return taken

    def task_times(self, now: int) -> Array:
        """Return the task-milliseconds of each task set up to `now`, int64[3, task set].

        The rows are: running, ready, and hung but still a target. The next call overwrites the array.
        """
        if self._times.shape[1] != self.state.sets.rows.size:
            self._times = np.zeros((3, self.state.sets.rows.size), np.int64)
        read_task_times(self.core, now, self._times)
        return self._times

    def live_tasks(self) -> Array:
        """Return the slots of all tasks that have not ended, in slot order."""
        return np.flatnonzero(self.state.tasks.rows["task_id"] >= 0)

    def live_instances(self) -> Array:
        """Return the slots of all instances that are not terminated, in slot order."""
        return np.flatnonzero(self.state.instances.rows["instance_id"] >= 0)

    def instances_of(self, pool: int) -> Array:
        """Return the slots of the instances of a pool that are not terminated, ordered by instance id."""
        slots = self.live_instances()
        classes = self.state.instances.rows["instance_class"][slots]
        slots = slots[self.state.capacity.classes["pool"][classes] == pool]
        ordered: Array = slots[np.argsort(self.state.instances.rows["instance_id"][slots])]
        return ordered

    def need_of(self, shape: int) -> Array:
        """Return the resource requirements of a task of `shape`, int64[resource]."""
        q = self.state.sets.shapes[shape]
        eni = self.state.sets.strategy_items[q["strategy_item"]]["eni"]
        return np.array([q["cpu"], q["memory"], q["gpus"], eni, q["host_ports"]], np.int64)

    def make_room(self, tasks: int = 64, instances: int = 0) -> None:
        """Grow the arrays so that `tasks` tasks can be created, moved and ended, and `instances` instances launched.

        The chunks of finished tasks, terminated instances and events grow too if they have not been emptied first.
        """
        counters = self.state.counters
        tasks += instances * self.state.services.daemons.size
        if counters.free_tasks < tasks:
            self._grow_tasks(tasks)
        if counters.free_instances < instances:
            self._grow_instances(instances)
        entries = int(counters.entries_per_task) * tasks + instances * ENTRIES_PER_INSTANCE
        heap = self.state.calendar.heap
        if heap.shape[0] - counters.heap_size < entries:
            heap = longer(heap, max(2 * heap.shape[0], int(counters.heap_size) + entries))
            self.state = self.state._replace(calendar=self.state.calendar._replace(heap=heap))
        out = self.state.outputs
        if out.finished_tasks.size - counters.finished_tasks < tasks:
            rows = int(counters.finished_tasks) + 2 * tasks
            out = out._replace(finished_tasks=longer(out.finished_tasks, rows))
        if out.terminated_instances.size - counters.terminated_instances < instances + 1:
            rows = int(counters.terminated_instances) + 2 * (instances + 1)
            out = out._replace(terminated_instances=longer(out.terminated_instances, rows))
        changes, needed = out.target_changes, CHANGES_PER_TASK * (tasks + instances)
        if changes.size and changes.size - counters.target_changes < needed:
            out = out._replace(target_changes=longer(changes, 2 * (changes.size + needed)))
        if out is not self.state.outputs:
            self.state = self.state._replace(outputs=out)
        self.make_room_for_events(tasks + instances)

    def make_room_for_events(self, count: int) -> None:
        """Grow the chunk of events so that `count` more fit."""
        used, out = int(self.state.counters.events), self.state.outputs
        if out.events.size - used < count:
            out = out._replace(events=longer(out.events, used + 2 * count))
            self.state = self.state._replace(outputs=out)

    def make_room_to_choose(self, candidates: int) -> None:
        """Grow the scratch array so that tasks to stop can be chosen among `candidates` tasks."""
        placement, hosts = self.state.placement, self.state.instances.hosts
        zones = placement.zone_counts.shape[1]
        if placement.choice.shape[1] < scratch_width(hosts, candidates, zones):
            placement = placement._replace(choice=new_choice_scratch(hosts, 2 * candidates, zones))
            self.state = self.state._replace(placement=placement)

    def _grow_tasks(self, count: int) -> None:
        state, counters = self.state, self.state.counters
        old = state.tasks.rows.size
        capacity = max(2 * old, old + 2 * count)
        tasks = state.tasks._replace(
            rows=longer(state.tasks.rows, capacity),
            free=longer(state.tasks.free, capacity),
            container_states=longer(state.tasks.container_states, capacity),
            pulled_versions=longer(state.tasks.pulled_versions, capacity),
        )
        tasks.rows["task_id"][old:] = NEVER
        counters.free_tasks = push_free(tasks.free, counters.free_tasks, range(old, capacity))
        self.state = state._replace(tasks=tasks)

    def _grow_instances(self, count: int) -> None:
        state, counters = self.state, self.state.counters
        old = state.instances.rows.size
        capacity = max(2 * old, old + 2 * count)
        instances = state.instances._replace(
            rows=longer(state.instances.rows, capacity),
            free=longer(state.instances.free, capacity),
            hosts=grow_hosts(state.instances.hosts, capacity),
            hosts_with_new_room=longer(state.instances.hosts_with_new_room, capacity),
        )
        instances.rows["instance_id"][old:] = NEVER
        instances.rows["instance_class"][old:] = NEVER
        windows = state.images.windows
        if windows.shape[1] < capacity:
            windows = np.zeros((windows.shape[0], capacity, windows.shape[2]), np.int64)
            windows[:, : state.images.windows.shape[1]] = state.images.windows
        images = state.images._replace(cache=grow_image_cache(state.images.cache, capacity), windows=windows)
        counters.free_instances = push_free(instances.free, counters.free_instances, range(old, capacity))
        self.state = state._replace(instances=instances, images=images)
        self.make_room_to_choose(self.state.placement.choice.shape[1])


def push_free(stack: Array, used: int, slots: range) -> int:
    """Insert new free slots below the `used` ones of a stack, the lowest on top; return how many it then holds."""
    held = stack[:used].copy()
    stack[: len(slots)] = slots[::-1]
    stack[len(slots) : len(slots) + used] = held
    return used + len(slots)


def longer(array: AnyArray, capacity: int) -> AnyArray:
    """Return a copy of `array` with its first axis `capacity` long, zeros behind."""
    longer = np.zeros((capacity, *array.shape[1:]), array.dtype)
    longer[: array.shape[0]] = array
    return cast(AnyArray, longer)
