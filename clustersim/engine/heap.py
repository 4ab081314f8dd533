"""The compiled heap of due entries: scheduled changes in order of time.

A 4-ary heap on one int64 matrix, a row per entry: (instant in ms, order, subject, serial). Entries of one
instant come out by `order`, whose high bits are the rank of the kind of entry and whose low bits count the
insertions: a total order. Entries are never removed early: the caller that pops one compares `serial` with its
subject's and drops the entry when they differ. This module does not depend on tasks; the calendar calls it.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.engine.records import Array

AT, ORDER, SUBJECT, SERIAL = range(4)
RANK_SHIFT = 48


def new_heap(capacity: int) -> Array:
    """Return an empty heap with room for `capacity` entries."""
    return np.zeros((capacity, 4), np.int64)


@kernel
def push(heap: Array, size: int, at: int, order: int, subject: int, serial: int) -> None:
    """Add an entry to a heap that holds `size` entries (the caller counts)."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 2
        if heap[parent, 0] < at or (heap[parent, 0] == at and heap[parent, 1] < order):
            break
        for column in range(4):
            heap[hole, column] = heap[parent, column]
        hole = parent
    heap[hole, 0] = at
    heap[hole, 1] = order
    heap[hole, 2] = subject
    heap[hole, 3] = serial


@kernel
def pop(heap: Array, size: int) -> None:
    """Remove the first entry of a heap that holds `size` entries; the caller reads row 0 before."""
    last = size - 1
    at = heap[last, 0]
    order = heap[last, 1]
    hole = 0
    while True:
        child = 4 * hole + 1
        if child >= last:
            break
        best = child
        for other in range(child + 1, min(child + 4, last)):
            if heap[other, 0] < heap[best, 0] or (
                heap[other, 0] == heap[best, 0] and heap[other, 1] < heap[best, 1]
            ):
                best = other
        if heap[best, 0] > at or (heap[best, 0] == at and heap[best, 1] >= order):
            break
        for column in range(4):
            heap[hole, column] = heap[best, column]
        hole = best
    for column in range(4):
        heap[hole, column] = heap[last, column]
