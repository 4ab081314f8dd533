"""Messages of routine service events, selected and formatted in bulk by compiled code.

It decides which events are reported (several tasks in one message, the same steady state once in six hours) and
formats their messages, which are those of the ECS Developer Guide (MODEL.md). Rare events come with a message of
their own. `control.events.event_buffer` calls it when it empties the chunk of events.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import kernel, kernel_entry
from clustersim.engine.records import Array, Table
from clustersim.engine.string_kernels import Page, Texts, put, put_number
from clustersim.vocabulary import MS_PER_HOUR, NEVER, EventKind
from clustersim.world.state.tables import EventRow

REPEAT_AFTER_MS = 6 * MS_PER_HOUR  # ECS suppresses duplicates for this long (MODEL.md)
LISTED_TASKS = 10  # ids in one message

PIECES = (
    "has started ",
    " tasks:",
    "has stopped ",
    " running tasks:",
    " (task ",
    ")",
    " and ",
    " more",
    ".",
    "has reached a steady state.",
    "has had its desired count changed from ",
    " to ",
    ": ",
)
"""The parts of messages: the first texts of `MessageBatch.texts`."""
(
    _HAS_STARTED,
    _TASKS,
    _HAS_STOPPED,
    _RUNNING_TASKS,
    _TASK,
    _CLOSE,
    _AND,
    _MORE,
    _STOP,
    _HAS_STEADY,
    _HAS_CHANGED,
    _TO,
    _COLON,
) = range(len(PIECES))

_TASKS_STARTED = int(EventKind.TASKS_STARTED)
_TASKS_STOPPED = int(EventKind.TASKS_STOPPED)
_STEADY = int(EventKind.STEADY)
_DESIRED_COUNT = int(EventKind.DESIRED_COUNT)
_FORMATTED = int(EventKind.FORMATTED)


class MessageBatch(NamedTuple):
    """A chunk of events, the texts of their messages, and the buffer that they are written to."""

    events: Table[EventRow]
    texts: Texts  # PIECES, then the names of services and causes of changes
    messages: Texts  # of events that have one of their own
    service_texts: Annotated[Array, np.int64, 1]  # [service]: text that names it
    steady_at: Annotated[Array, np.int64, 1]  # [service]: when its steady state was last reported
    reported: Annotated[Array, np.int64, 1]  # out: positions of the reported events
    ends: Annotated[Array, np.int32, 1]  # out: end of the previous message, then of this one
    buffer: Page  # out


@kernel_entry
def select_reported(batch: MessageBatch, count: int) -> int:
    """Write the positions of the reported ones among the first `count` events to `reported`; return their number."""
    selected = 0
    position = 0
    while position < count:
        e = batch.events[position]
        is_reported = True
        if e.kind == _STEADY:
            last = batch.steady_at[e.service]
            is_reported = last == NEVER or e.at - last >= REPEAT_AFTER_MS
            if is_reported:
                batch.steady_at[e.service] = e.at
        if is_reported:
            batch.reported[selected] = position
            selected += 1
        position += 1 + e.merged_events
    return selected


@kernel_entry
def format_messages(batch: MessageBatch, count: int) -> int:
    """Write the messages of the first `count` reported events to the buffer; return their length in bytes."""
    at = 0
    batch.ends[0] = 0
    for number in range(count):
        at = _format_message(batch, batch.reported[number], at)
        batch.ends[number + 1] = at
    return at


@kernel
def _format_message(batch: MessageBatch, position: int, at: int) -> int:
    """Write one message to the buffer; return where the next begins."""
    buffer, texts = batch.buffer, batch.texts
    e = batch.events[position]
    if e.kind == _STEADY:
        at = put(buffer, at, texts, batch.service_texts[e.service])
        at = put(buffer, at, texts, _HAS_STEADY)
    elif e.kind == _DESIRED_COUNT:
        at = put(buffer, at, texts, batch.service_texts[e.service])
        at = put(buffer, at, texts, _HAS_CHANGED)
        at = put_number(buffer, at, e.desired_before)
        at = put(buffer, at, texts, _TO)
        at = put_number(buffer, at, e.desired_after)
        at = put(buffer, at, texts, _COLON)
        at = put(buffer, at, texts, e.sentence)
    elif e.kind == _TASKS_STARTED or e.kind == _TASKS_STOPPED:
        at = _format_tasks(batch, position, at)
    elif e.kind == _FORMATTED:
        at = put(buffer, at, batch.messages, e.sentence)
    else:
        raise RuntimeError("unknown kind of event")
    return at


@kernel
def _format_tasks(batch: MessageBatch, position: int, at: int) -> int:
    """Write how many tasks were started or stopped, and which; return where the next message begins."""
    buffer, texts = batch.buffer, batch.texts
    e = batch.events[position]
    started = e.kind == _TASKS_STARTED
    tasks = e.merged_events + 1
    at = put(buffer, at, texts, batch.service_texts[e.service])
    at = put(buffer, at, texts, _HAS_STARTED if started else _HAS_STOPPED)
    at = put_number(buffer, at, tasks)
    at = put(buffer, at, texts, _TASKS if started else _RUNNING_TASKS)
    for listed in range(min(tasks, LISTED_TASKS)):
        at = put(buffer, at, texts, _TASK)
        at = put_number(buffer, at, batch.events[position + listed].task_id)
        at = put(buffer, at, texts, _CLOSE)
    if tasks > LISTED_TASKS:
        at = put(buffer, at, texts, _AND)
        at = put_number(buffer, at, tasks - LISTED_TASKS)
        at = put(buffer, at, texts, _MORE)
    return put(buffer, at, texts, _STOP)
