"""The world: the arrays of `State`, kept large enough, and the names their numbers stand for.

Holds what is; decides nothing. `populate` fills it from a scenario; controllers read its columns and give
orders through the kernels of the gateway, after `make_room`. When an array must grow, `state` is replaced:
nobody may keep a `State` from one instant to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clustersim.engine.array_block import Pointer
from clustersim.engine.compiled import Array
from clustersim.policy.images.image_cache import grown_shelves
from clustersim.policy.placement.hosts import grown_hosts
from clustersim.policy.placement.scale_in_victims import choice_scratch, scratch_width
from clustersim.scenario.sections.scenario import Scenario
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import (
    ENTRIES_PER_LIFE,
    EVENTS,
    FINISHED,
    FREE_INSTANCES,
    FREE_TASKS,
    HEAP_SIZE,
    LOST,
    NOW,
    TARGET_CHANGES,
    WAITING_SHAPES,
    State,
)
from clustersim.world.state.target_changes import CHANGES_PER_LIFE
from clustersim.world.state.usage import read_times

ENTRIES_OF_INSTANCE = 5  # what the calendar may hold of an instance: its ends, its agent, its clean-up


@dataclass
class Names:
    """What the numbers in the arrays stand for; positions are rows of the table named."""

    services: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # `service:web`, `nightly`
    entries: list[int] = field(default_factory=list)  # group -> runTasks entry, -1 for services
    definitions: list[str] = field(default_factory=list)  # `web:2`
    providers: list[str] = field(default_factory=list)  # the last is that of groups without one: ""
    pools: list[str] = field(default_factory=list)  # the groups, then the managed instances
    types: list[str] = field(default_factory=list)
    zones: list[str] = field(default_factory=list)
    target_groups: dict[int, str] = field(default_factory=dict)  # set -> target group
    sentences: list[str] = field(default_factory=lambda: [""])  # why a task did not start; 0 says nothing
    _known: dict[str, int] = field(default_factory=dict)

    def sentence(self, words: str) -> int:
        """The number of a sentence; the same words have the same number."""
        if words not in self._known:
            self._known[words] = len(self.sentences)
            self.sentences.append(words)
        return self._known[words]


class World:
    """The simulated cluster at one instant.

    `state` is for Python to read, `core` the same arrays for a kernel: one pointer instead of forty arrays.
    """

    def __init__(self, scenario: Scenario, names: Names, state: State) -> None:
        self.scenario = scenario
        self.names = names
        self.state = state
        self._core = Pointer(state)
        self._core_of = state
        self._times = np.zeros((3, 0), np.int64)
        self.sets_used = 0
        self.lanes_used = 0
        self.shapes_used = 0
        self.first_shape: list[int] = []  # of each set
        self.primary: list[int] = []  # of each service: the set of its PRIMARY deployment
        self.sets_of: list[list[int]] = []  # of each service: its sets with live tasks, oldest first

    @property
    def now(self) -> int:
        """The instant the world has reached, in ms."""
        return int(self.state.clock[NOW])

    @property
    def core(self) -> Any:
        """What kernels are given; made anew when an array has been replaced."""
        if self._core_of is not self.state:
            self._core, self._core_of = Pointer(self.state), self.state
        return self._core

    def take_target_changes(self) -> Array:
        """What befell the targets of exact services since the last call (`policy.load.exact_tables.CHANGE`)."""
        clock = self.state.clock
        taken: Array = self.state.target_changes[: clock[TARGET_CHANGES]].copy()
        clock[TARGET_CHANGES] = 0
        return taken

    def task_times(self, now: int) -> Array:
        """[3, task set]: task-milliseconds of each up to `now`: running, able to answer, asked but no longer able.

        The next call writes into the same array.
        """
        if self._times.shape[1] != self.state.sets.size:
            self._times = np.zeros((3, self.state.sets.size), np.int64)
        read_times(self.core, now, self._times)
        return self._times

    def live_tasks(self) -> Array:
        """The slots of all tasks that have not ended, in slot order."""
        return np.flatnonzero(self.state.tasks["task_id"] >= 0)

    def live_instances(self) -> Array:
        """The slots of all instances that are not terminated, in slot order."""
        return np.flatnonzero(self.state.instances["instance_id"] >= 0)

    def instances_of(self, pool: int) -> Array:
        """The slots of the instances of a pool that are not terminated, by instance id."""
        slots = self.live_instances()
        klasses = self.state.instances["klass"][slots]
        slots = slots[self.state.classes["group"][klasses] == pool]
        ordered: Array = slots[np.argsort(self.state.instances["instance_id"][slots])]
        return ordered

    def need_of(self, shape: int) -> Array:
        """What a task of `shape` asks of an instance, by resource."""
        q = self.state.shapes[shape]
        eni = self.state.lanes[q["lane"]]["eni"]
        return np.array([q["cpu"], q["memory"], q["gpus"], eni, q["host_ports"]], np.int64)

    def make_room(self, lives: int = 64, instances: int = 0) -> None:
        """Grow what must grow so that `lives` tasks can be created, moved and ended, and `instances` launched.

        The chunks of finished tasks, lost instances and events grow here when they are not emptied first.
        """
        clock = self.state.clock
        lives += instances * self.state.daemons.size
        if clock[FREE_TASKS] < lives:
            self._grow_tasks(lives)
        entries = int(clock[ENTRIES_PER_LIFE]) * lives + instances * ENTRIES_OF_INSTANCE
        if self.state.heap.shape[0] - clock[HEAP_SIZE] < entries:
            wanted = int(clock[HEAP_SIZE]) + entries
            self._replace(heap=_longer(self.state.heap, max(2 * self.state.heap.shape[0], wanted)))
        if self.state.finished.size - clock[FINISHED] < lives:
            self._replace(finished=_longer(self.state.finished, int(clock[FINISHED]) + 2 * lives))
        if clock[FREE_INSTANCES] < instances:
            self._grow_instances(instances)
        if self.state.lost.size - clock[LOST] < instances + 1:
            self._replace(lost=_longer(self.state.lost, int(clock[LOST]) + 2 * (instances + 1)))
        self.make_room_for_events(lives + instances)
        changes, asked = self.state.target_changes, CHANGES_PER_LIFE * (lives + instances)
        if changes.size and changes.size - clock[TARGET_CHANGES] < asked:
            self._replace(target_changes=_longer(changes, 2 * (changes.size + asked)))
        if self.state.waiting_shapes.size < self.state.shapes.size:
            kept = self.state.waiting_shapes[: clock[WAITING_SHAPES]]
            longer = np.zeros(self.state.shapes.size, np.int64)
            longer[: kept.size] = kept
            self._replace(waiting_shapes=longer)

    def make_room_for_events(self, count: int) -> None:
        """Grow the chunk of events so that so many can be told."""
        told = int(self.state.clock[EVENTS])
        if self.state.events.size - told < count:
            self._replace(events=_longer(self.state.events, told + 2 * count))

    def make_room_to_choose(self, candidates: int) -> None:
        """Grow the scratch so that some of so many tasks can be chosen to stop."""
        zones = self.state.zone_counts.shape[1]
        if self.state.choice.shape[1] < scratch_width(self.state.hosts, candidates, zones):
            self._replace(choice=choice_scratch(self.state.hosts, 2 * candidates, zones))

    def _replace(self, **arrays: Any) -> None:
        self.state = self.state._replace(**arrays)

    def _grow_tasks(self, lives: int) -> None:
        old = self.state.tasks.size
        capacity = max(2 * old, old + 2 * lives)
        tasks = _longer(self.state.tasks, capacity)
        tasks["task_id"][old:] = NEVER
        free = _longer(self.state.free_tasks, capacity)
        self._replace(tasks=tasks, free_tasks=free, cells=_longer(self.state.cells, capacity))
        self._replace(holds=_longer(self.state.holds, capacity))
        push_free(free, self.state.clock, FREE_TASKS, old, capacity)

    def _grow_instances(self, instances: int) -> None:
        old = self.state.instances.size
        capacity = max(2 * old, old + 2 * instances)
        table = _longer(self.state.instances, capacity)
        table["instance_id"][old:] = NEVER
        table["klass"][old:] = NEVER
        free = _longer(self.state.free_instances, capacity)
        self._replace(instances=table, free_instances=free, freed=_longer(self.state.freed, capacity))
        shelves, windows = grown_shelves(self.state.shelves, capacity), self.state.windows
        if windows.shape[1] < capacity:
            longer = np.zeros((windows.shape[0], capacity, windows.shape[2]), np.int64)
            longer[:, : windows.shape[1]] = windows
            windows = longer
        self._replace(hosts=grown_hosts(self.state.hosts, capacity), shelves=shelves, windows=windows)
        push_free(free, self.state.clock, FREE_INSTANCES, old, capacity)
        self.make_room_to_choose(self.state.choice.shape[1])


def push_free(stack: Array, clock: Array, counter: int, first: int, last: int) -> None:
    """Put the slots `first` to `last` - 1 under the free ones, lowest to be taken first."""
    held = stack[: clock[counter]].copy()
    fresh = last - first
    stack[:fresh] = np.arange(last - 1, first - 1, -1)
    stack[fresh : fresh + held.size] = held
    clock[counter] += fresh


def _longer(array: Array, capacity: int) -> Array:
    """A copy of `array` with its first axis `capacity` long, zeros behind."""
    longer = np.zeros((capacity, *array.shape[1:]), array.dtype)
    longer[: array.shape[0]] = array
    return longer
