"""Service event messages: compiled formatting matches plain Python."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.engine.records import Array
from clustersim.engine.string_kernels import texts
from clustersim.vocabulary import NEVER, EventKind
from clustersim.world.events.service_messages import (
    LISTED_TASKS,
    PIECES,
    REPEAT_AFTER_MS,
    MessageBatch,
    format_messages,
    select_reported,
)
from clustersim.world.state.tables import EventRow

SERVICES = ("web", "köche", "a-service-of-a-long-name")
CAUSES = ("UpdateService", "monitor alarm X in state ALARM triggered policy p")
SAID = ("(task 7) was lost.", "", "ein Satz mit Ümlauten")

services = st.integers(0, len(SERVICES) - 1)
counts = st.integers(0, 2**40)
tasks = st.tuples(
    st.sampled_from([EventKind.TASKS_STARTED, EventKind.TASKS_STOPPED]),
    services,
    st.lists(st.integers(1, 10**12), min_size=1, max_size=LISTED_TASKS + 3),
)
steady = st.tuples(st.just(EventKind.STEADY), services, st.just(()))
desired = st.tuples(
    st.just(EventKind.DESIRED_COUNT), services, st.tuples(counts, counts, st.integers(0, len(CAUSES) - 1))
)
said = st.tuples(st.just(EventKind.FORMATTED), services, st.tuples(st.integers(0, len(SAID) - 1)))
happened = st.lists(
    st.tuples(st.integers(0, REPEAT_AFTER_MS), st.one_of(tasks, steady, desired, said)), max_size=30
)


def format_events(rows: Array) -> list[str]:
    """Return the messages of these events, formatted by the kernels."""
    pieces = [*PIECES, *(f"(service {name}) " for name in SERVICES), *CAUSES]
    reported, ends = np.zeros(rows.size, np.int64), np.zeros(rows.size + 1, np.int32)
    service_texts = len(PIECES) + np.arange(len(SERVICES))
    steady_at = np.full(len(SERVICES), NEVER, np.int64)
    parts = (rows, texts(pieces), texts(SAID), service_texts, steady_at, reported, ends)
    empty = pointer(MessageBatch(*parts, np.zeros(0, np.uint8)))
    count = select_reported(empty, rows.size)
    buffer = np.zeros(format_messages(empty, count), np.uint8)
    assert format_messages(pointer(MessageBatch(*parts, buffer)), count) == buffer.size
    return [buffer[ends[n] : ends[n + 1]].tobytes().decode() for n in range(count)]


@settings(deadline=None)
@given(happened)
def test_messages_match_those_of_plain_python(events: list) -> None:
    """Every kind, service names that are not ASCII, more tasks than are listed, a steady state repeated too soon."""
    rows: list[tuple[int, ...]] = []
    expected: list[str] = []
    last: dict[int, int] = {}
    now = 0
    for passed, (kind, service, what) in events:
        now += passed
        prefix = f"(service {SERVICES[service]}) "
        if kind == EventKind.STEADY:
            rows.append((now, kind, NEVER, NEVER, service, 0, 0, 0, 0, 0))
            if service not in last or now - last[service] >= REPEAT_AFTER_MS:
                last[service] = now
                expected.append(prefix + "has reached a steady state.")
        elif kind == EventKind.DESIRED_COUNT:
            before, after, cause = what
            number = len(PIECES) + len(SERVICES) + cause
            rows.append((now, kind, NEVER, NEVER, service, number, 0, before, after, 0))
            change = f"has had its desired count changed from {before} to {after}"
            expected.append(f"{prefix}{change}: {CAUSES[cause]}")
        elif kind == EventKind.FORMATTED:
            rows.append((now, kind, NEVER, NEVER, service, what[0], 0, 0, 0, 0))
            expected.append(SAID[what[0]])
        else:
            rows += [
                (now, kind, NEVER, task, service, 0, len(what) - 1 - position, 0, 0, 0)
                for position, task in enumerate(what)
            ]
            listed = "".join(f" (task {task})" for task in what[:LISTED_TASKS])
            more = f" and {len(what) - LISTED_TASKS} more" if len(what) > LISTED_TASKS else ""
            verb, noun = (
                ("started", "tasks") if kind == EventKind.TASKS_STARTED else ("stopped", "running tasks")
            )
            expected.append(f"{prefix}has {verb} {len(what)} {noun}:{listed}{more}.")
    assert format_events(np.array(rows, EventRow.dtype)) == expected
