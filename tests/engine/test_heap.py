"""The compiled heap against `heapq`, for any sequence of pushes and pops."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.heap import AT, ORDER, RANK_SHIFT, SERIAL, SUBJECT, new_heap, pop, push

Steps = list[tuple[int, int] | None]
STEPS = st.lists(st.none() | st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=80)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_equals_the_heap_of_python(steps: Steps) -> None:
    """A step is an (instant, rank) to push, or None to pop; insertion order makes every key different."""
    heap = new_heap(len(steps) + 1)
    twin: list[tuple[int, int, int, int]] = []
    for serial, step in enumerate(steps):
        if step is not None:
            order = step[1] << RANK_SHIFT | serial
            push(heap, len(twin), step[0], order, 100 + serial, serial)
            heapq.heappush(twin, (step[0], order, 100 + serial, serial))
        elif twin:
            assert tuple(heap[0].tolist()) == twin[0]
            pop(heap, len(twin))
            heapq.heappop(twin)
    while twin:
        assert tuple(heap[0].tolist()) == heapq.heappop(twin)
        pop(heap, len(twin) + 1)


def test_entries_of_one_instant_are_ordered_by_rank_then_insertion() -> None:
    """Ends precede starts for any insertion order; entries of one rank keep that order."""
    heap = new_heap(4)
    for size, (rank, subject) in enumerate([(2, 10), (1, 11), (2, 12), (1, 13)]):
        push(heap, size, 5, rank << RANK_SHIFT | size, subject, 0)
    subjects = []
    for size in range(4, 0, -1):
        subjects.append(int(heap[0, SUBJECT]))
        pop(heap, size)
    assert subjects == [11, 13, 10, 12]


@pytest.mark.parametrize("size", [1, 2, 5])
def test_an_empty_heap_can_be_refilled(size: int) -> None:
    """Earlier entries leave no trace in the rows."""
    heap = new_heap(size)
    for round_ in range(2):
        for n in range(size):
            push(heap, n, size - n, round_, n, round_)
        for n in range(size, 0, -1):
            assert (heap[0, AT], heap[0, ORDER], heap[0, SERIAL]) == (size - n + 1, round_, round_)
            pop(heap, n)
