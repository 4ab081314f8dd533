"""Rows of `events`, appended to the chunk of events by the kernels in which they happen.

This module decides nothing. `control.events.event_buffer` empties the chunk and has the messages formatted.
"""

from __future__ import annotations

from clustersim.engine.compiled import inlined
from clustersim.world.state.tables import State


@inlined
def emit_event(state: State, now: int, kind: int, instance_id: int, task_id: int, service: int) -> None:
    """Append a row of `events` whose message follows from its kind. The caller must have made room."""
    emit_event_with_sentence(state, now, kind, instance_id, task_id, service, 0)


@inlined
def emit_event_with_sentence(
    state: State, now: int, kind: int, instance_id: int, task_id: int, service: int, sentence: int
) -> None:
    """Append a row of `events` that has a message of its own; `sentence` is its number."""
    e = state.outputs.events[state.counters.events]
    e.at, e.kind, e.sentence, e.merged_events = now, kind, sentence, 0
    e.instance_id, e.task_id, e.service = instance_id, task_id, service
    state.counters.events += 1
