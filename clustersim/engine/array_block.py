"""Pointers to blocks of arrays: one argument gives a kernel all tables.

A kernel that takes forty arrays costs ten microseconds a call, seconds to compile, and a reference count per
array and call. `Pointer` lays the descriptors of the arrays of a NamedTuple (numpy arrays, or NamedTuples of
such) into one block of memory; a kernel gets its address, and `state.tasks` in a kernel reads the descriptor
from there. References are not counted: Python keeps the arrays alive, and makes a new `Pointer` after one was
replaced. Kernels may write into arrays but cannot replace them.

The class of such tuples declares its arrays, as in `tasks: Table[Task]`; compiled code is specialised for these types,
so `Pointer` rejects others. This module depends neither on ECS nor on the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, NamedTuple, TypeVar, get_type_hints

import numpy as np

from clustersim.engine.records import Scalars

T = TypeVar("T")
Part = Annotated[T, "part"]
"""Declares a field that is a block itself, `tasks: Part[TaskTables]`: `state.tasks` in a kernel is a pointer into the
same memory, and `state.tasks.rows` reads one descriptor. Without `Part` a kernel gets the descriptors of all arrays of
the block."""

WORD = 8
DESCRIPTOR_WORDS = 5  # owner, parent, number of items, item size, address; then shape and strides


class ArrayKind(NamedTuple):
    """The type of an array for compiled code: dtype and number of dimensions, always C-contiguous."""

    dtype: np.dtype[Any]
    dimensions: int

    @property
    def words(self) -> int:
        """The length of its descriptor, in words."""
        return DESCRIPTOR_WORDS + 2 * self.dimensions

    def holds(self, array: np.ndarray[Any, Any]) -> bool:
        """Return True if `array` is of this kind."""
        contiguous = bool(array.flags.c_contiguous)
        return array.dtype == self.dtype and array.ndim == self.dimensions and contiguous


class Field(NamedTuple):
    """A field of a block: an array, scalars, or a tuple of such fields, stored one after the other."""

    name: str
    kind: ArrayKind | type
    offset: int  # bytes from the beginning of the block
    is_part: bool  # kernels read a pointer to it


def array_kind(hint: Any) -> ArrayKind | None:
    """Return the kind that `Annotated[Array, dtype, dimensions]` declares; None for anything else."""
    extras = getattr(hint, "__metadata__", None)
    if extras is None or len(extras) != 2:
        return None
    return ArrayKind(np.dtype(extras[0]), int(extras[1]))


@cache
def layout(block: type) -> tuple[Field, ...]:
    """Return the fields of a class of tuples, in order."""
    fields = []
    words = 0
    for name, hint in get_type_hints(block, include_extras=True).items():
        is_part = getattr(hint, "__metadata__", None) == Part.__metadata__
        kind = array_kind(hint) or (hint.__origin__ if is_part else hint)
        fields.append(Field(name, kind, words * WORD, is_part))
        words += _words_of(kind)
    return tuple(fields)


def _words_of(kind: ArrayKind | type) -> int:
    """Return the length of a field: a descriptor, the address of scalars, or the fields of a tuple."""
    if isinstance(kind, ArrayKind):
        return kind.words
    if issubclass(kind, Scalars):
        return 1  # the address of its array
    fields: tuple[Field, ...] = layout(kind)  # type: ignore[arg-type]  # a class of tuples
    return sum(_words_of(field.kind) for field in fields)


class Pointer:
    """The address of the arrays of `values`, a NamedTuple; it is passed to kernels instead of the tuple."""

    __slots__ = ("_block", "_values", "_viewed", "address", "of")

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.of = type(values)
        self._values = values  # keeps the arrays alive
        self._block = np.array(list(_words(values)), np.uint64)
        self.address = int(self._block.ctypes.data)
        self._viewed: Any = None

    def viewed(self, view: Callable[[Any], Any]) -> Any:
        """Return `view` of the tuple behind the pointer, computed once."""
        if self._viewed is None:
            self._viewed = view(self._values)
        return self._viewed


def pointer(values: tuple[Any, ...]) -> Any:
    """Return a `Pointer`, typed as `values` itself because kernels use it like the tuple."""
    return Pointer(values)


def _words(values: tuple[Any, ...]) -> list[int]:
    """Return the descriptors of all arrays of a tuple."""
    words: list[int] = []
    for field, value in zip(layout(type(values)), values, strict=True):
        if isinstance(field.kind, ArrayKind):
            if not field.kind.holds(value):
                given = f"{value.dtype}, {value.ndim} dimensions"
                raise TypeError(f"{type(values).__name__}.{field.name} is declared otherwise than {given}")
            words += descriptor(value)
        elif isinstance(value, Scalars):
            words.append(value.values.ctypes.data)
        else:
            words += _words(value)
    return words


def descriptor(array: np.ndarray[Any, Any]) -> list[int]:
    """Return the words that describe an array to compiled code: no owner, sizes, address, shape, strides."""
    address = array.ctypes.data  # not by __array_interface__, which spells out the fields of a record
    return [0, 0, array.size, array.itemsize, address, *array.shape, *array.strides]
