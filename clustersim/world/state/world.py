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
from clustersim.engine.compiled import Array
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
    groups: list[str] = field(default_factory=list)  # task groups: `service:web`, `nightly`
    entries: list[int] = field(default_factory=list)  # group -> runTasks entry, -1 for services
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

    `state` is for Python code to read; `core` passes the same arrays to a kernel as one pointer instead of forty
    arrays.
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
        taken: Array = self.state.target_changes[: counters.target_changes].copy()
        counters.target_changes = 0
        return taken

    def task_times(self, now: int) -> Array:
        """Return the task-milliseconds of each task set up to `now`, int64[3, task set].

        The rows are: running, ready, and hung but still a target. The next call overwrites the array.
        """
        if self._times.shape[1] != self.state.sets.size:
            self._times = np.zeros((3, self.state.sets.size), np.int64)
        read_task_times(self.core, now, self._times)
        return self._times

    def live_tasks(self) -> Array:
        """Return the slots of all tasks that have not ended, in slot order."""
        return np.flatnonzero(self.state.tasks["task_id"] >= 0)

    def live_instances(self) -> Array:
        """Return the slots of all instances that are not terminated, in slot order."""
        return np.flatnonzero(self.state.instances["instance_id"] >= 0)

    def instances_of(self, pool: int) -> Array:
        """Return the slots of the instances of a pool that are not terminated, ordered by instance id."""
        slots = self.live_instances()
        classes = self.state.instances["instance_class"][slots]
        slots = slots[self.state.classes["pool"][classes] == pool]
        ordered: Array = slots[np.argsort(self.state.instances["instance_id"][slots])]
        return ordered

    def need_of(self, shape: int) -> Array:
        """Return the resource requirements of a task of `shape`, int64[resource]."""
        q = self.state.shapes[shape]
        eni = self.state.strategy_items[q["strategy_item"]]["eni"]
        return np.array([q["cpu"], q["memory"], q["gpus"], eni, q["host_ports"]], np.int64)

    def make_room(self, tasks: int = 64, instances: int = 0) -> None:
        """Grow the arrays so that `tasks` tasks can be created, moved and ended, and `instances` instances launched.

        The chunks of finished tasks, terminated instances and events grow too if they have not been emptied first.
        """
        counters = self.state.counters
        tasks += instances * self.state.daemons.size
        if counters.free_tasks < tasks:
            self._grow_tasks(tasks)
        entries = int(counters.entries_per_task) * tasks + instances * ENTRIES_PER_INSTANCE
        if self.state.heap.shape[0] - counters.heap_size < entries:
            needed = int(counters.heap_size) + entries
            self._replace(heap=_longer(self.state.heap, max(2 * self.state.heap.shape[0], needed)))
        if self.state.finished_tasks.size - counters.finished_tasks < tasks:
            self._replace(
                finished_tasks=_longer(self.state.finished_tasks, int(counters.finished_tasks) + 2 * tasks)
            )
        if counters.free_instances < instances:
            self._grow_instances(instances)
        if self.state.terminated_instances.size - counters.terminated_instances < instances + 1:
            self._replace(
                terminated_instances=_longer(
                    self.state.terminated_instances, int(counters.terminated_instances) + 2 * (instances + 1)
                )
            )
        self.make_room_for_events(tasks + instances)
        changes, needed = self.state.target_changes, CHANGES_PER_TASK * (tasks + instances)
        if changes.size and changes.size - counters.target_changes < needed:
            self._replace(target_changes=_longer(changes, 2 * (changes.size + needed)))
        if self.state.waiting_shapes.size < self.state.shapes.size:
            held = self.state.waiting_shapes[: counters.waiting_shapes]
            longer = np.zeros(self.state.shapes.size, np.int64)
            longer[: held.size] = held
            self._replace(waiting_shapes=longer)

    def make_room_for_events(self, count: int) -> None:
        """Grow the chunk of events so that `count` more fit."""
        used = int(self.state.counters.events)
        if self.state.events.size - used < count:
            self._replace(events=_longer(self.state.events, used + 2 * count))

    def make_room_to_choose(self, candidates: int) -> None:
        """Grow the scratch array so that tasks to stop can be chosen among `candidates` tasks."""
        zones = self.state.zone_counts.shape[1]
        if self.state.choice.shape[1] < scratch_width(self.state.hosts, candidates, zones):
            self._replace(choice=new_choice_scratch(self.state.hosts, 2 * candidates, zones))

    def _replace(self, **arrays: Any) -> None:
        self.state = self.state._replace(**arrays)

    def _grow_tasks(self, count: int) -> None:
        old = self.state.tasks.size
        capacity = max(2 * old, old + 2 * count)
        tasks = _longer(self.state.tasks, capacity)
        tasks["task_id"][old:] = NEVER
        free = _longer(self.state.free_tasks, capacity)
        self._replace(
            tasks=tasks, free_tasks=free, container_states=_longer(self.state.container_states, capacity)
        )
        self._replace(pulled_versions=_longer(self.state.pulled_versions, capacity))
        counters = self.state.counters
        counters.free_tasks = push_free(free, counters.free_tasks, range(old, capacity))

    def _grow_instances(self, instances: int) -> None:
        old = self.state.instances.size
        capacity = max(2 * old, old + 2 * instances)
        table = _longer(self.state.instances, capacity)
        table["instance_id"][old:] = NEVER
        table["instance_class"][old:] = NEVER
        free = _longer(self.state.free_instances, capacity)
        self._replace(
            instances=table,
            free_instances=free,
            hosts_with_new_room=_longer(self.state.hosts_with_new_room, capacity),
        )
        cache, windows = grow_image_cache(self.state.image_cache, capacity), self.state.windows
        if windows.shape[1] < capacity:
            longer = np.zeros((windows.shape[0], capacity, windows.shape[2]), np.int64)
            longer[:, : windows.shape[1]] = windows
            windows = longer
        self._replace(hosts=grow_hosts(self.state.hosts, capacity), image_cache=cache, windows=windows)
        counters = self.state.counters
        counters.free_instances = push_free(free, counters.free_instances, range(old, capacity))
        self.make_room_to_choose(self.state.choice.shape[1])


def push_free(stack: Array, used: int, slots: range) -> int:
    """Insert new free slots below the `used` ones of a stack, the lowest on top; return how many it then holds."""
    held = stack[:used].copy()
    stack[: len(slots)] = slots[::-1]
    stack[len(slots) : len(slots) + used] = held
    return used + len(slots)


def _longer(array: AnyArray, capacity: int) -> AnyArray:
    """Return a copy of `array` with its first axis `capacity` long, zeros behind."""
    longer = np.zeros((capacity, *array.shape[1:]), array.dtype)
    longer[: array.shape[0]] = array
    return cast(AnyArray, longer)
