"""Events become rows: what compiled code says of them is what plain Python says."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.array_block import pointer
from clustersim.engine.compiled import Array
from clustersim.engine.string_kernels import texts
from clustersim.vocabulary import NEVER, EventKind
from clustersim.world.events.service_messages import (
    LISTED_TASKS,
    PIECES,
    REPEAT_AFTER_MS,
    Telling,
    choose_told,
    compose,
)
from clustersim.world.state.tables import EVENT

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
said = st.tuples(st.just(EventKind.SAID), services, st.tuples(st.integers(0, len(SAID) - 1)))
happened = st.lists(
    st.tuples(st.integers(0, REPEAT_AFTER_MS), st.one_of(tasks, steady, desired, said)), max_size=30
)


def tell(rows: Array) -> list[str]:
    """The sentences of these events by the kernels."""
    words = [*PIECES, *(f"(service {name}) " for name in SERVICES), *CAUSES]
    told, ends = np.zeros(rows.size, np.int64), np.zeros(rows.size + 1, np.int32)
    heads = len(PIECES) + np.arange(len(SERVICES))
    steady_at = np.full(len(SERVICES), NEVER, np.int64)
    parts = (rows, texts(words), texts(SAID), heads, steady_at, told, ends)
    empty = pointer(Telling(*parts, np.zeros(0, np.uint8)))
    found = choose_told(empty, rows.size)
    page = np.zeros(compose(empty, found), np.uint8)
    assert compose(pointer(Telling(*parts, page)), found) == page.size
    return [page[ends[n] : ends[n + 1]].tobytes().decode() for n in range(found)]


@settings(deadline=None)
@given(happened)
def test_sentences_are_those_of_the_plain_twin(events: list) -> None:
    """Every kind, service names that are not ASCII, more tasks than are listed, a steady state said again too soon."""
    rows: list[tuple[int, ...]] = []
    expected: list[str] = []
    last: dict[int, int] = {}
    now = 0
    for passed, (kind, service, what) in events:
        now += passed
        of = f"(service {SERVICES[service]}) "
        if kind == EventKind.STEADY:
            rows.append((now, kind, NEVER, NEVER, service, 0, 0, 0, 0, 0))
            if service not in last or now - last[service] >= REPEAT_AFTER_MS:
                last[service] = now
                expected.append(of + "has reached a steady state.")
        elif kind == EventKind.DESIRED_COUNT:
            before, after, cause = what
            number = len(PIECES) + len(SERVICES) + cause
            rows.append((now, kind, NEVER, NEVER, service, number, 0, before, after, 0))
            change = f"has had its desired count changed from {before} to {after}"
            expected.append(f"{of}{change}: {CAUSES[cause]}")
        elif kind == EventKind.SAID:
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
            expected.append(f"{of}has {verb} {len(what)} {noun}:{listed}{more}.")
    assert tell(np.array(rows, EVENT)) == expected
