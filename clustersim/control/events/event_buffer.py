"""Turns the world's buffer of events into rows of the table `events`.

Compiled code and controllers add events to the buffer in the order in which they happen, as numbers; messages are made
when the buffer is written out. `world.events.service_messages` formats routine service events,
`control.events.failure_events` failures of tasks and instances; all others come with their message. Decides nothing;
only `control.events.service_events` uses it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from clustersim.control.events.failure_events import failure_message
from clustersim.engine.array_block import pointer
from clustersim.engine.compiled import Array
from clustersim.engine.string_kernels import texts
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import NEVER, EventKind
from clustersim.world.events.service_messages import PIECES, MessageBatch, format_messages, select_reported
from clustersim.world.state.world import World

_ROUTINE = {
    EventKind.TASKS_STARTED: "SERVICE_TASKS_STARTED",
    EventKind.TASKS_STOPPED: "SERVICE_TASKS_STOPPED",
    EventKind.STEADY: "SERVICE_STEADY_STATE",
    EventKind.DESIRED_COUNT: "SERVICE_DESIRED_COUNT_UPDATED",
}
"""The names of the events whose messages compiled code formats."""
_IS_FAILURE = np.array([kind not in (*_ROUTINE, EventKind.FORMATTED) for kind in EventKind])
_MESSAGE = int(EventKind.FORMATTED)


class EventBuffer:
    """The buffered events of a run."""

    def __init__(self, world: World, recorder: Recorder) -> None:
        self._world = world
        self._recorder = recorder
        self._kinds = recorder.vocabulary("events", "kind")
        services = world.names.services
        self._texts = [*PIECES, *(f"(service {name}) " for name in services)]
        self._number_of = {text: number for number, text in enumerate(self._texts)}
        self._text_table = texts(self._texts)
        self._service_prefixes = len(PIECES) + np.arange(len(services))
        self._steady_at = np.full(len(services), NEVER, np.int64)
        self._messages: list[str] = []

    def text_number(self, text: str) -> int:
        """Return the number that stands for a text in later events."""
        if text not in self._number_of:
            self._number_of[text] = len(self._texts)
            self._texts.append(text)
        return self._number_of[text]

    def add_message(
        self, now: int, service: int, name: str, sentence: str, task_id: int, instance_id: int
    ) -> None:
        """Add an event with a complete message."""
        row = self._add(now, EventKind.FORMATTED, 1)[0]
        row["service"], row["task_id"], row["instance_id"] = service, task_id, instance_id
        row["name"], row["sentence"] = self._kinds.code(name), len(self._messages)
        self._messages.append(sentence)

    def add_desired_counts(
        self, now: int, services: Array, before: Array, after: Array, causes: Array
    ) -> None:
        """Add changes of desired counts; `causes` are text numbers."""
        rows = self._add(now, EventKind.DESIRED_COUNT, services.size)
        rows["service"], rows["sentence"] = services, causes
        rows["desired_before"], rows["desired_after"] = before, after

    def _add(self, now: int, kind: int, count: int) -> Array:
        """Return `count` new rows of a kind to fill in; writes out or grows a full buffer first."""
        counters = self._world.state.counters
        if counters.events + count > self._world.state.outputs.events.size:
            self.flush()
            self._world.make_room_for_events(count)
        rows = self._world.state.outputs.events[counters.events : counters.events + count]
        counters.events += count
        rows["at"], rows["kind"] = now, kind
        rows["task_id"] = rows["instance_id"] = NEVER
        rows["merged_events"] = 0
        return rows

    def _format_failures(self, rows: Array) -> None:
        """Format the messages of failures of tasks and instances."""
        for position in np.flatnonzero(_IS_FAILURE[rows["kind"]]):
            row = rows[position]
            name, sentence = failure_message(self._world.names, row)
            self._messages.append(sentence)
            row["kind"], row["sentence"] = _MESSAGE, len(self._messages) - 1
            row["name"] = self._kinds.code(name)

    def flush(self) -> None:
        """Write the rows of all events in the buffer and empty it."""
        state = self._world.state
        count = int(state.counters.events)
        state.counters.events = 0
        if count == 0:
            return
        rows = state.outputs.events[:count]
        self._format_failures(rows)
        if self._text_table.ends.size <= len(self._texts):
            self._text_table = texts(self._texts)
        selected, ends = np.zeros(count, np.int64), np.zeros(count + 1, np.int32)
        messages = texts(self._messages)
        self._messages = []
        parts = (rows, self._text_table, messages, self._service_prefixes, self._steady_at, selected, ends)
        selected_count = select_reported(pointer(MessageBatch(*parts, np.zeros(0, np.uint8))), count)
        if selected_count == 0:
            return
        characters = np.zeros(
            format_messages(pointer(MessageBatch(*parts, np.zeros(0, np.uint8))), selected_count), np.uint8
        )
        format_messages(pointer(MessageBatch(*parts, characters)), selected_count)
        ends = ends[: selected_count + 1]
        message_column = pa.Array.from_buffers(
            pa.string(), selected_count, [None, pa.py_buffer(ends), pa.py_buffer(characters)]
        )
        self._recorder.append_columns(
            "events", self._columns(rows[selected[:selected_count]]) | {"message": message_column}
        )

    def _columns(self, rows: Array) -> dict[str, Any]:
        """Return all columns except the messages."""
        kinds = rows["kind"]
        is_message = kinds == _MESSAGE
        names = np.where(is_message, rows["name"], NEVER)
        for kind, name in _ROUTINE.items():
            if np.any(kinds == kind):
                names[kinds == kind] = self._kinds.code(name)
        names_task = is_message | (rows["merged_events"] == 0)
        return {
            "time": rows["at"],
            "service": rows["service"],
            "kind": names,
            "task_id": np.where(names_task, rows["task_id"], NEVER),
            "container_instance_id": np.where(is_message, rows["instance_id"], NEVER),
        }
