"""How Python calls the compiled program: what an entry takes, what it gives back, what it refuses."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

import numpy as np
import pytest

from clustersim.engine.array_block import ArrayKind, layout, pointer
from clustersim.engine.compiled import ENTRIES, Array
from clustersim.policy.load import fluid_model as load
from clustersim.policy.load import fluid_sampling as load_sample
from clustersim.policy.load import fluid_tables as load_records
from clustersim.policy.load import load_series as demand
from clustersim.policy.load import response_times as response
from clustersim.world.scheduling.commands import tasks_of_group

NO_HISTOGRAM = np.zeros((1, response.BUCKETS))
NO_LOAD = pointer(
    load_records.Load(
        np.zeros(0, load_records.FLOW),
        np.zeros(0, load_records.BACKEND),
        np.zeros((0, 2), demand.CURSOR),
        np.zeros(0, np.int64),
        np.zeros(0),
        np.zeros((1, response.BUCKETS)),
        NO_HISTOGRAM,
        np.zeros(0, np.int64),
        np.zeros((3, 0), np.int64),
        np.zeros((3, 0), np.int64),
        np.zeros(0),
        np.zeros(1, load_records.SUMS),
    )
)


class Inner(NamedTuple):
    numbers: Annotated[Array, np.int32, 1]
    matrix: Annotated[Array, np.float64, 2]


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


def test_an_array_of_another_kind_is_refused() -> None:
    """Compiled code reads what it was made for: another dtype, another order of dimensions would be nonsense."""
    right = Inner(np.zeros(3, np.int32), np.zeros((2, 2)))
    pointer(right)
    for wrong in (
        right._replace(numbers=np.zeros(3)),
        right._replace(matrix=np.zeros(2)),
        right._replace(matrix=np.zeros((4, 4))[::2, ::2]),
    ):
        with pytest.raises(TypeError, match="is declared otherwise"):
            pointer(wrong)


def test_an_entry_refuses_what_it_was_not_made_for() -> None:
    """A pointer to another block, an array of another kind, an argument too few."""
    with pytest.raises(TypeError, match="takes no array"):
        load_sample.close_sample(NO_LOAD, np.zeros(1))
    with pytest.raises(TypeError, match="takes a pointer to State"):
        tasks_of_group(pointer(Inner(np.zeros(1, np.int32), np.zeros((1, 1)))), 0, np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="shorter"):
        load.derive(NO_LOAD)  # type: ignore[call-arg]


def test_numbers_come_back_as_they_are() -> None:
    """Floats, NaN among them, from a native function; numpy's whole numbers are taken like Python's."""
    assert math.isnan(load_sample.whole_quantile(NO_LOAD, np.int64(0), 0.5))  # type: ignore[arg-type]
    NO_HISTOGRAM[0, 0] = 1.0
    assert load_sample.whole_quantile(NO_LOAD, 0, 0.5) == 0.0


def test_every_entry_has_a_symbol_of_its_own() -> None:
    """Symbols are made of module and name, so two entries of one name in one module would be one."""
    assert all(symbol.endswith(entry.__name__) for symbol, entry in ENTRIES.items())
    assert len({id(entry) for entry in ENTRIES.values()}) == len(ENTRIES)
