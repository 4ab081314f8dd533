"""Kernels as ordinary Python functions: for debuggers, coverage and tracebacks, without a compiler.

A kernel is the function as written, with its own code object, so breakpoints and coverage count as usual. Only its
global names differ: other kernels are plain functions there, too, global arrays are viewed as described below, and
`math` gives C's results where Python's own raises.

Arguments are viewed so that they behave as in compiled code. A row of records is a reference with attributes. Whole
numbers read from rows and from narrow arrays are Python's, as compiled code widens them; unsigned 64-bit numbers and
floats stay numpy's, which wrap around and divide by zero as in C. Where compiled code would do harm, Python raises:
an index beyond an array, a whole number that does not fit where it is stored, a whole number divided by zero.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType, SimpleNamespace
from typing import Any, Protocol, cast

import numpy as np

from clustersim.engine.array_block import Pointer


class KernelLike(Protocol):
    """A kernel: `engine.compiled.Kernel`, which this module must not import."""

    @property
    def as_function(self) -> Callable[..., Any]:
        """The kernel as a Python function."""


class Numbers(np.ndarray):
    """An array of plain numbers, added up one after the other as compiled code does (numpy adds pairwise)."""

    def sum(self, *_: Any, **__: Any) -> Any:
        """Return the sum of all items, in their order."""
        total = self.dtype.type(0)
        for item in self.reshape(-1):
            total += item
        return total


class NarrowNumbers(Numbers):
    """An array of narrow whole numbers; an item that is read is a Python number, which never wraps around."""

    def __getitem__(self, index: Any) -> Any:
        """Return one item as a Python number, or the array of several."""
        found = super().__getitem__(index)
        return found if isinstance(found, np.ndarray) else found.item()

    def __iter__(self) -> Iterator[Any]:
        """Iterate over Python numbers, or the rows of a matrix."""
        return (self[index] for index in range(self.shape[0]))


class Table(dict[Any, Any]):
    """An array of records, indexed as numpy indexes it; as a dictionary it keeps each row once it was asked for."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        super().__init__()
        self.array = array
        self.size = array.size
        self.shape = array.shape
        self.records = array.reshape(-1)
        if array.size and not np.shares_memory(self.records, array):
            raise TypeError("an array of records must be contiguous")
        self.written = [self.records[name] for name in array.dtype.names or ()]
        self.read = [_readable(column) for column in self.written]
        self.owner: object = array  # of the memory, kept alive
        self._row_class = _row_class(array.dtype)

    def __missing__(self, index: Any) -> Any:
        """Return a row, or the table of all rows with this first index."""
        if len(self.shape) > 1 and not isinstance(index, tuple):
            found: Any = Table(self.array[index])
        else:
            found = self._row_class(self, self._position(index if isinstance(index, tuple) else (index,)))
        super().__setitem__(index, found)
        return found

    def _position(self, index: tuple[Any, ...]) -> int:
        """Return the position of a row among all; a negative index counts from the end, as in compiled code."""
        position = 0
        for number, length in zip(index, self.shape, strict=True):
            if not -length <= number < length:
                raise IndexError(f"index {number} is out of bounds for {length} records")
            position = position * length + int(number) % length
        return position

    def __setitem__(self, index: Any, value: Row) -> None:
        """Copy a record into a row."""
        row = self[index]
        self.records[row._number] = value._table.records[value._number]

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows."""
        return (self[number] for number in range(self.shape[0]))

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.shape[0])


class Row:
    """A reference to one record; subclasses have a property for each field."""

    __slots__ = ("_number", "_read", "_table", "_written")  # no names that a field may have

    def __init__(self, table: Table, number: int) -> None:
        self._table = table
        self._read = table.read
        self._written = table.written
        self._number = number

    def __repr__(self) -> str:
        """Show all fields by name."""
        return f"Row({', '.join(f'{name}={getattr(self, name)!r}' for name in self._table.array.dtype.names or ())})"


@cache
def _row_class(dtype: np.dtype[Any]) -> type[Row]:
    """Return a class with a property for each field of a record."""
    fields = {name: _property(number) for number, name in enumerate(dtype.names or ())}
    return type("Row", (Row,), {"__slots__": (), **fields})


def _property(field: int) -> property:
    def read(row: Row) -> Any:
        return row._read[field][row._number]

    def write(row: Row, value: Any) -> None:
        row._written[field][row._number] = value

    return property(read, write)


def _readable(column: np.ndarray[Any, Any]) -> Any:
    """Return a column to read from: of whole numbers a memoryview, which gives Python's, and fast."""
    signed_or_narrow = column.dtype.kind in "ib" or (column.dtype.kind == "u" and column.itemsize < 8)
    return memoryview(cast(Any, column)) if signed_or_narrow and column.ndim == 1 else column


def view(value: Any) -> Any:
    """Return an argument, or a global, as a kernel in Python sees it."""
    if isinstance(value, Pointer):
        return value.viewed(view)
    if isinstance(value, np.ndarray):
        if isinstance(value, Numbers):
            return value
        if value.dtype.names:
            return Table(value)
        narrow = value.dtype.kind in "iu" and value.itemsize < 8
        return value.view(NarrowNumbers if narrow else Numbers)
    if isinstance(value, np.void):
        return _row_of(value)
    if isinstance(value, tuple):
        viewed = [view(each) for each in value]
        return type(value)(*viewed) if hasattr(value, "_fields") else tuple(viewed)
    return value


def _row_of(record: np.void) -> Row:
    """Return a row for one record that a caller took from an array; numpy exports its memory for reading only."""
    address = np.frombuffer(record.data, np.uint8).ctypes.data
    memory: Any = (ctypes.c_char * record.nbytes).from_address(address)
    table = Table(np.frombuffer(memory, record.dtype))
    table.owner = record
    row: Row = table[0]
    return row


class _CMath(SimpleNamespace):
    """The functions of `math`; where Python's raise they give infinity or no number, as C's do."""

    def __init__(self) -> None:
        super().__init__(**vars(math))
        for name in ("log", "log2", "exp", "expm1", "sqrt"):
            setattr(self, name, _as_in_c(getattr(math, name), getattr(np, name)))


def _as_in_c(function: Callable[[Any], float], otherwise: Callable[[Any], Any]) -> Callable[[Any], float]:
    def call(x: Any) -> float:
        try:
            return function(x)
        except (ValueError, OverflowError):
            return float(otherwise(x))

    return call


_modules: dict[str, dict[str, Any]] = {}
_c_math = _CMath()


def as_function(function: Callable[..., Any], kernels: type[KernelLike]) -> Callable[..., Any]:
    """Return a kernel's function with the global names that a kernel in Python has."""
    module = function.__module__
    names = _modules.get(module)
    if names is None:
        # Known before it is filled: kernels of two modules may call each other.
        names = _modules[module] = {}
        for name, value in vars(sys.modules[module]).items():
            if isinstance(value, kernels):
                names[name] = value.as_function
            elif value is math:
                names[name] = _c_math
            else:
                names[name] = view(value) if isinstance(value, np.ndarray) else value
    twin = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    twin.__doc__, twin.__module__ = function.__doc__, module
    return twin


def call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call a kernel's function on viewed arguments; what wraps around or divides by zero does so silently, as in C."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore", under="ignore"):
        return function(*map(view, arguments))
