"""Kernels as plain Python: numbers, rows and arrays behave as in compiled code, and harm raises."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import kernel, using
from clustersim.engine.records import Array

RECORD = np.dtype(
    [
        ("small", np.int8),
        ("key", np.uint64),
        ("share", np.float64),
        ("position", np.int32),
        ("table", np.int16),
    ],
    align=True,
)
BOTH = pytest.mark.parametrize("back_end", [BackEnd.NUMBA, BackEnd.PYTHON])


@kernel
def change(records: Array) -> int:
    """Write by a reference, copy a record, read what was written."""
    first = records[0]
    first.small = 127
    first.position = 5
    records[1] = records[0]
    first.small -= 1
    return first.small + 1 + records[1].small + records[-1].position


@kernel
def product(records: Array) -> int:
    """Wrap around."""
    return records[0].key * np.uint64(0x9E3779B97F4A7C15)


@kernel
def quotient(records: Array) -> float:
    """Divide by what may be zero."""
    return 1.0 / records[0].share


@kernel
def logarithm(x: float) -> float:
    """Take a logarithm outside of its domain, too."""
    return math.log(x)


@kernel
def exponential(x: float) -> float:
    """Exceed what a float can hold."""
    return math.exp(x)


@kernel
def next_of(narrow: Array) -> int:
    """Count on from the largest number of a narrow type."""
    return narrow[0] + 1


@kernel
def total(numbers: Array) -> float:
    """Add up an array."""
    return numbers.sum()


@kernel
def each(narrow: Array) -> int:
    """Add one to the items of an array, one by one."""
    count = 0
    for number in narrow:
        count += number + 1
    return count


@kernel
def field_of_row(matrix: Array) -> int:
    """Read a record of a matrix by a row of it and by both numbers."""
    row = matrix[1]
    return row[0].small * 100 + matrix[1, 1].small + row.size


@kernel
def store(records: Array, number: int) -> None:
    """Store a number."""
    records[0].small = number


@kernel
def read(records: Array, number: int) -> int:
    """Read from a row."""
    return records[number].small


@BOTH
def test_a_row_is_a_reference_and_a_record_is_copied(back_end: BackEnd) -> None:
    """Fields of any name: `table` and `position` are no words of the simulator's own."""
    records = np.zeros(2, RECORD)
    with using(back_end):
        assert change(records) == 127 + 127 + 5
    assert records["small"].tolist() == [126, 127]
    assert records["position"].tolist() == [5, 5]


@BOTH
def test_numbers_are_those_of_c(back_end: BackEnd) -> None:
    """Unsigned numbers wrap around, a float divided by zero is infinite, narrow numbers grow wide."""
    records = np.zeros(1, RECORD)
    records["key"] = 3
    with using(back_end):
        assert int(product(records)) == 3 * 0x9E3779B97F4A7C15 % 2**64
        assert quotient(records) == math.inf
        assert logarithm(0.0) == -math.inf
        assert math.isnan(logarithm(-1.0))
        assert exponential(1e4) == math.inf
        assert next_of(np.array([127], np.int8)) == 128
        assert next_of(np.array([255], np.uint8)) == 256
        assert each(np.array([255, 255], np.uint8)) == 512


@BOTH
def test_sums_are_taken_in_order(back_end: BackEnd) -> None:
    """numpy alone would add pairwise, with another last bit."""
    numbers = np.random.Generator(np.random.Philox(1)).random(1_000)
    expected = 0.0
    for number in numbers.tolist():
        expected += number
    assert float(numbers.sum()) != expected
    with using(back_end):
        assert total(numbers) == expected


@BOTH
def test_a_matrix_of_records_has_rows(back_end: BackEnd) -> None:
    matrix = np.zeros((2, 2), RECORD)
    matrix["small"] = [[1, 2], [3, 4]]
    with using(back_end):
        assert field_of_row(matrix) == 306


def test_a_number_that_does_not_fit_raises() -> None:
    with using(BackEnd.PYTHON), pytest.raises(OverflowError):
        store(np.zeros(1, RECORD), 128)


@pytest.mark.parametrize("number", [2, -3])
def test_a_row_that_does_not_exist_raises(number: int) -> None:
    with (
        using(BackEnd.PYTHON),
        pytest.raises(IndexError, match=f"index {number} is out of bounds for 2 records"),
    ):
        read(np.zeros(2, RECORD), number)


def test_a_record_that_a_test_took_from_an_array_is_written_to() -> None:
    """Kernels that take one record are called with `table[n]`."""

    @kernel
    def fill(record: Array) -> None:
        record.small = 7

    records = np.zeros(3, RECORD)
    with using(BackEnd.PYTHON):
        fill(records[1])
    assert records["small"].tolist() == [0, 7, 0]


def test_a_row_shows_its_fields() -> None:
    seen = []

    @kernel
    def look(records: Array) -> None:
        seen.append(repr(records[0]))

    with using(BackEnd.PYTHON):
        look(np.zeros(1, RECORD))
    assert seen == ["Row(small=0, key=np.uint64(0), share=np.float64(0.0), position=0, table=0)"]
