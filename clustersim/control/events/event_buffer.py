"""The chunk of events on its way to the table: numbers first, words when the chunk is emptied.

Compiled code and controllers put events into the world's chunk in the order in which they happen; here they become
rows of `events`. Routine ones are put into words by `world.events.service_messages`, what befell a task or an
instance by `control.events.failure_events`, the others were words from the start. Decides nothing;
`control.events.service_events` is its one user.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clustersim.control.events.failure_events import mishap_words
from clustersim.engine.array_block import pointer
from clustersim.engine.compiled import Array
from clustersim.engine.string_kernels import texts
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import NEVER, EventKind
from clustersim.world.events.service_messages import PIECES, Telling, choose_told, compose
from clustersim.world.state.tables import EVENTS
from clustersim.world.state.world import World

_ROUTINE = {
    EventKind.TASKS_STARTED: "SERVICE_TASKS_STARTED",
    EventKind.TASKS_STOPPED: "SERVICE_TASKS_STOPPED",
    EventKind.STEADY: "SERVICE_STEADY_STATE",
    EventKind.DESIRED_COUNT: "SERVICE_DESIRED_COUNT_UPDATED",
}
"""The names of the events that compiled code finds the words of."""
_IS_MISHAP = np.array([kind not in (*_ROUTINE, EventKind.SAID) for kind in EventKind])
_SAID = int(EventKind.SAID)


class EventRows:
    """One for the run."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._world = world
        self._recorder = recorder
        self._names = recorder.vocabulary("events", "kind")
        services = world.names.services
        self._words = [*PIECES, *(f"(service {name}) " for name in services)]
        self._number_of = {word: number for number, word in enumerate(self._words)}
        self._known = texts(self._words)
        self._heads = len(PIECES) + np.arange(len(services))
        self._steady_at = np.full(len(services), NEVER, np.int64)
        self._said: list[str] = []

    def number(self, words: str) -> int:
        """The number that stands for some words in events to come."""
        if words not in self._number_of:
            self._number_of[words] = len(self._words)
            self._words.append(words)
        return self._number_of[words]

    def say(self, now: int, service: int, name: str, sentence: str, task_id: int, instance_id: int) -> None:
        """Add an event that has its sentence."""
        row = self._add(now, EventKind.SAID, 1)[0]
        row["service"], row["task_id"], row["instance_id"] = service, task_id, instance_id
        row["name"], row["sentence"] = self._names.code(name), len(self._said)
        self._said.append(sentence)

    def add_tasks(self, now: int, service: int, kind: EventKind, task_ids: Array) -> None:
        """Add that tasks were started or stopped: one event of as many rows."""
        rows = self._add(now, kind, task_ids.size)
        rows["service"], rows["task_id"] = service, task_ids
        rows["more"] = np.arange(task_ids.size - 1, -1, -1)

    def add_steady(self, now: int, service: int) -> None:
        """Add that a service is steady."""
        self._add(now, EventKind.STEADY, 1)["service"] = service

    def add_desired(self, now: int, services: Array, before: Array, after: Array, causes: Array) -> None:
        """Add that desired counts were changed; causes are numbers of words."""
        rows = self._add(now, EventKind.DESIRED_COUNT, services.size)
        rows["service"], rows["sentence"] = services, causes
        rows["before"], rows["after"] = before, after

    def _add(self, now: int, kind: int, count: int) -> Array:
        """So many new rows of a kind, to be filled in; the chunk is emptied or grown before where it is full."""
        clock = self._world.state.clock
        if clock[EVENTS] + count > self._world.state.events.size:
            self.empty()
            self._world.make_room_for_events(count)
        rows = self._world.state.events[clock[EVENTS] : clock[EVENTS] + count]
        clock[EVENTS] += count
        rows["at"], rows["kind"] = now, kind
        rows["task_id"] = rows["instance_id"] = NEVER
        rows["more"] = 0
        return rows

    def _find_words(self, rows: Array) -> None:
        """Put into words what befell tasks and instances."""
        for position in np.flatnonzero(_IS_MISHAP[rows["kind"]]):
            row = rows[position]
            name, sentence = mishap_words(self._world.names, row)
            self._said.append(sentence)
            row["kind"], row["sentence"] = _SAID, len(self._said) - 1
            row["name"] = self._names.code(name)

    def empty(self) -> None:
        """Write the rows of all events in the chunk, and give it the room back."""
        state = self._world.state
        count = int(state.clock[EVENTS])
        state.clock[EVENTS] = 0
        if count == 0:
            return
        rows = state.events[:count]
        self._find_words(rows)
        if self._known.ends.size <= len(self._words):
            self._known = texts(self._words)
        told, ends = np.zeros(count, np.int64), np.zeros(count + 1, np.int32)
        said = texts(self._said)
        self._said = []
        parts = (rows, self._known, said, self._heads, self._steady_at, told, ends)
        found = choose_told(pointer(Telling(*parts, np.zeros(0, np.uint8))), count)
        if found == 0:
            return
        page = np.zeros(compose(pointer(Telling(*parts, np.zeros(0, np.uint8))), found), np.uint8)
        compose(pointer(Telling(*parts, page)), found)
        ends = ends[: found + 1]
        sentences = pa.Array.from_buffers(pa.string(), found, [None, pa.py_buffer(ends), pa.py_buffer(page)])
        self._recorder.append_columns("events", self._columns(rows[told[:found]]) | {"message": sentences})

    def _columns(self, rows: Array) -> dict[str, Any]:
        """All columns but the sentences."""
        kinds = rows["kind"]
        said = kinds == _SAID
        names = np.where(said, rows["name"], NEVER)
        for kind, name in _ROUTINE.items():
            if np.any(kinds == kind):
                names[kinds == kind] = self._names.code(name)
        one = said | (rows["more"] == 0)
        return {
            "time": rows["at"],
            "service": rows["service"],
            "kind": names,
            "task_id": np.where(one, rows["task_id"], NEVER),
            "container_instance_id": np.where(said, rows["instance_id"], NEVER),
        }
