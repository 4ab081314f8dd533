"""Calls of the compiled program from Python: arguments, return values and rejected calls."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
import pytest

from clustersim.engine.array_block import ArrayKind, Part, layout, pointer
from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import ENTRIES, kernel, using
from clustersim.engine.records import Array
from clustersim.policy.load import fluid_model, fluid_sampling, fluid_tables, load_series, response_times
from clustersim.world.scheduling.commands import list_tasks_of_group

NO_HISTOGRAM = np.zeros((1, response_times.BUCKETS))
NO_LOAD = pointer(
    fluid_tables.LoadTables(
        np.zeros(0, fluid_tables.FlowRow.dtype),
        np.zeros(0, fluid_tables.BackendRow.dtype),
        np.zeros((0, 2), load_series.LoadCursorRow.dtype),
        np.zeros(0, np.int64),
        np.zeros(0),
        np.zeros((1, response_times.BUCKETS)),
        NO_HISTOGRAM,
        np.zeros(0, np.int64),
        np.zeros((3, 0), np.int64),
        np.zeros((3, 0), np.int64),
        np.zeros(0),
        np.zeros(0),
        *(np.zeros((1, 1)), np.zeros((0, 1)), np.zeros((0, 1)), np.zeros(1)),  # response times
        np.zeros(1, fluid_tables.LoadSumsRow.dtype),
    )
)


class Inner(NamedTuple):
    numbers: Annotated[Array, np.int32, 1]
    matrix: Annotated[Array, np.float64, 2]


class Whole(NamedTuple):
    first: Annotated[Array, np.int64, 1]
    inner: Part[Inner]


@kernel
def change_part(whole: Whole) -> float:
    """Read and write arrays of a part, and hand the part on."""
    whole.inner.numbers[1] += whole.first[0]
    return whole.inner.numbers[1] + matrix_item(whole.inner)


@kernel
def matrix_item(inner: Inner) -> float:
    """Read an array of a block of its own."""
    return inner.matrix[1, 0]


class Outer(NamedTuple):
    first: Annotated[Array, np.int64, 1]
    inner: Inner
    last: Annotated[Array, np.uint8, 1]


def test_a_block_lays_its_arrays_end_to_end() -> None:
    """A descriptor is five words, and two for each dimension: 7, then 7 + 9, then 7 words of 8 bytes."""
    fields = layout(Outer)
    assert [field.offset for field in fields] == [0, 56, 56 + 128]
    assert fields[0].kind == ArrayKind(np.dtype(np.int64), 1)
    assert fields[1].kind is Inner


def test_a_part_lies_within_its_block() -> None:
    """It has the same place as a plain tuple would have, and kernels read a pointer to it."""
    fields = layout(Whole)
    assert [(field.offset, field.is_part) for field in fields] == [(0, False), (56, True)]
    assert fields[1].kind is Inner


@pytest.mark.parametrize("back_end", [BackEnd.NUMBA, BackEnd.PYTHON])
def test_a_kernel_reads_and_writes_a_part(back_end: BackEnd) -> None:
    """The part can be an argument of another kernel: 5 + 3 is stored, and 8 + 0.5 returned."""
    inner = Inner(np.array([4, 5], np.int32), np.array([[0.0, 0.0], [0.5, 0.0]]))
    with using(back_end):
        assert change_part(pointer(Whole(np.array([3]), inner))) == 8.5
    assert inner.numbers.tolist() == [4, 8]


def test_an_array_of_another_kind_is_rejected() -> None:
    """Compiled code requires the declared dtype and order of dimensions."""
    valid = Inner(np.zeros(3, np.int32), np.zeros((2, 2)))
    pointer(valid)
    for invalid in (
        valid._replace(numbers=np.zeros(3)),
        valid._replace(matrix=np.zeros(2)),
        valid._replace(matrix=np.zeros((4, 4))[::2, ::2]),
    ):
        with pytest.raises(TypeError, match="is declared otherwise"):
            pointer(invalid)


def test_an_entry_rejects_wrong_arguments() -> None:
    """A pointer to another block, an array of another kind, a missing argument."""
    with pytest.raises(TypeError, match="takes no array"):
        fluid_sampling.close_sample(NO_LOAD, np.zeros(1))
    with pytest.raises(TypeError, match="takes a pointer to State"):
        list_tasks_of_group(pointer(Inner(np.zeros(1, np.int32), np.zeros((1, 1)))), 0, np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="shorter"):
        fluid_model.advance_load(NO_LOAD)  # type: ignore[call-arg]


def test_numbers_are_returned_unchanged() -> None:
    """Floats, NaN among them, from a native function; numpy integers are accepted like Python's."""
    assert math.isnan(fluid_sampling.run_quantile(NO_LOAD, np.int64(0), 0.5))  # type: ignore[arg-type]
    NO_HISTOGRAM[0, 0] = 1.0
    assert fluid_sampling.run_quantile(NO_LOAD, 0, 0.5) == 0.0


def test_every_entry_has_a_symbol_of_its_own() -> None:
    """Symbols consist of module and name, so two entries of one name in one module would collide."""
    assert all(symbol.endswith(entry.__name__) for symbol, entry in ENTRIES.items())
    assert len({id(entry) for entry in ENTRIES.values()}) == len(ENTRIES)
