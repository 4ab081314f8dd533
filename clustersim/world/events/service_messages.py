"""Rows of `events` in words, many at once: what is routine is put into words by compiled code.

Decides which rows are told (several tasks in one, the same steady state once in six hours) and puts their sentences
together. The words are those of the service event messages of the ECS Developer Guide (MODEL.md). Events that are
rare come with a sentence of their own. `control.events.event_buffer` calls it when the chunk of events is emptied.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from clustersim.engine.compiled import Array, kernel, kernel_entry
from clustersim.engine.string_kernels import Page, Texts, put, put_number
from clustersim.vocabulary import MS_PER_HOUR, NEVER, EventKind
from clustersim.world.state.tables import EVENT

REPEAT_AFTER_MS = 6 * MS_PER_HOUR  # ECS suppresses duplicates for so long (MODEL.md)
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
"""The texts that sentences are made of: the first of `Telling.known`."""
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


class Telling(NamedTuple):
    """A chunk of events, what their sentences are made of, and the page they are put onto."""

    events: Annotated[Array, EVENT, 1]
    known: Texts  # PIECES, then whatever `heads` and causes name
    said: Texts  # the sentences of events that are SAID
    heads: Annotated[Array, np.int64, 1]  # [service]: text that names it
    steady_at: Annotated[Array, np.int64, 1]  # [service]: when it was last said to be steady
    told: Annotated[Array, np.int64, 1]  # out: positions of the events that are told
    ends: Annotated[Array, np.int32, 1]  # out: where the sentence before ends, then its own end
    page: Page  # out


@kernel_entry
def choose_told(telling: Telling, count: int) -> int:
    """Which of the first `count` events are told: their number, and their positions in `told`."""
    found = 0
    position = 0
    while position < count:
        e = telling.events[position]
        tells = True
        if e.kind == _STEADY:
            last = telling.steady_at[e.service]
            tells = last == NEVER or e.at - last >= REPEAT_AFTER_MS
            if tells:
                telling.steady_at[e.service] = e.at
        if tells:
            telling.told[found] = position
            found += 1
        position += 1 + e.more
    return found


@kernel_entry
def compose(telling: Telling, count: int) -> int:
    """Put the sentences of the first `count` told events onto the page; how many bytes they are."""
    at = 0
    telling.ends[0] = 0
    for number in range(count):
        at = _compose_one(telling, telling.told[number], at)
        telling.ends[number + 1] = at
    return at


@kernel
def _compose_one(telling: Telling, position: int, at: int) -> int:
    """Put one sentence onto the page; where the next begins."""
    page, known = telling.page, telling.known
    e = telling.events[position]
    if e.kind == _STEADY:
        at = put(page, at, known, telling.heads[e.service])
        at = put(page, at, known, _HAS_STEADY)
    elif e.kind == _DESIRED_COUNT:
        at = put(page, at, known, telling.heads[e.service])
        at = put(page, at, known, _HAS_CHANGED)
        at = put_number(page, at, e.before)
        at = put(page, at, known, _TO)
        at = put_number(page, at, e.after)
        at = put(page, at, known, _COLON)
        at = put(page, at, known, e.sentence)
    elif e.kind == _TASKS_STARTED or e.kind == _TASKS_STOPPED:
        at = _compose_tasks(telling, position, at)
    else:
        at = put(page, at, telling.said, e.sentence)
    return at


@kernel
def _compose_tasks(telling: Telling, position: int, at: int) -> int:
    """Put onto the page how many tasks were started or stopped, and which."""
    page, known = telling.page, telling.known
    e = telling.events[position]
    started = e.kind == _TASKS_STARTED
    tasks = e.more + 1
    at = put(page, at, known, telling.heads[e.service])
    at = put(page, at, known, _HAS_STARTED if started else _HAS_STOPPED)
    at = put_number(page, at, tasks)
    at = put(page, at, known, _TASKS if started else _RUNNING_TASKS)
    for listed in range(min(tasks, LISTED_TASKS)):
        at = put(page, at, known, _TASK)
        at = put_number(page, at, telling.events[position + listed].task_id)
        at = put(page, at, known, _CLOSE)
    if tasks > LISTED_TASKS:
        at = put(page, at, known, _AND)
        at = put_number(page, at, tasks - LISTED_TASKS)
        at = put(page, at, known, _MORE)
    return put(page, at, known, _STOP)
