"""Record declarations: dtype, columns and scalars that Python and kernels share."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.engine.array_block import pointer
from clustersim.engine.compiled import kernel
from clustersim.engine.records import Flag, Float64, Int64, Record, Scalars, Table, as_table, new_table


class QueueRow(Record):
    """A record of three types."""

    length: Int64
    mean: Float64
    open: Flag


class Totals(Scalars):
    """Two scalars."""

    served: int
    lost: int


class Shop(NamedTuple):
    """A block of a table and scalars."""

    queues: Table[QueueRow]
    totals: Totals


@kernel
def serve(shop: Shop, queue: int, count: int) -> int:
    """Serve `count` of a queue and count them."""
    row = shop.queues[queue]
    row.length -= count
    shop.totals.served += count
    return row.length


def test_a_record_has_the_dtype_of_its_annotations() -> None:
    """Fields stand in the written order, aligned as in C."""
    assert QueueRow.dtype.names == ("length", "mean", "open")
    assert QueueRow.dtype == np.dtype([("length", "i8"), ("mean", "f8"), ("open", "i1")], align=True)


def test_a_table_is_a_numpy_array_of_the_record() -> None:
    """New rows are zero; tuples become rows."""
    assert new_table(QueueRow, 3)["length"].tolist() == [0, 0, 0]
    assert as_table(QueueRow, [(4, 0.5, 1)])["mean"].tolist() == [0.5]


def test_scalars_are_named_places_of_one_array() -> None:
    """Reading gives whole numbers of Python; writing changes the array."""
    totals = Totals(lost=2)
    totals.served += 3
    assert (totals.served, totals.lost, totals.values.tolist()) == (3, 2, [3, 2])


def test_a_kernel_reads_and_writes_the_same_rows_and_scalars() -> None:
    """Python sees what a kernel has written, without a copy."""
    shop = Shop(as_table(QueueRow, [(0, 0.0, 0), (9, 0.0, 1)]), Totals(served=1))
    assert serve(pointer(shop), 1, 4) == 5
    assert shop.queues["length"].tolist() == [0, 5]
    assert shop.totals.served == 5
