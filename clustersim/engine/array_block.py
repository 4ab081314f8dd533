"""One pointer to many arrays: how a kernel is given a whole world.

A kernel that takes forty arrays costs ten microseconds a call, seconds to compile, and a reference count per
array and call. `Pointer` lays the descriptors of the arrays of a NamedTuple (numpy arrays, or NamedTuples of
such) into one block of memory; a kernel gets its address, and `state.tasks` in a kernel reads the descriptor
from there. No reference is counted: the Python side keeps the arrays alive, and makes a new `Pointer` when one
was replaced. Kernels may write into arrays, never replace them.

A class of such tuples says what its arrays are, `tasks: Annotated[Array, TASK, 1]`: compiled code is made for
just these, so `Pointer` refuses others. Knows neither ECS nor the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple, get_type_hints

import numpy as np

from clustersim.engine.records import Scalars

WORD = 8
DESCRIPTOR_WORDS = 5  # owner, parent, number of items, item size, address; then shape and strides


class ArrayKind(NamedTuple):
    """What an array is, as compiled code must know it: always C-contiguous."""

    dtype: np.dtype[Any]
    dimensions: int

    @property
    def words(self) -> int:
        """The length of its descriptor."""
        return DESCRIPTOR_WORDS + 2 * self.dimensions

    def holds(self, array: np.ndarray[Any, Any]) -> bool:
        """Whether `array` is of this kind."""
        contiguous = bool(array.flags.c_contiguous)
        return array.dtype == self.dtype and array.ndim == self.dimensions and contiguous


class Field(NamedTuple):
    """A field of a block: an array, scalars, or a tuple of such fields, which follow one another."""

    name: str
    kind: ArrayKind | type
    offset: int  # bytes from the beginning of the block


def array_kind(hint: Any) -> ArrayKind | None:
    """The kind that `Annotated[Array, dtype, dimensions]` declares; None for anything else."""
    extras = getattr(hint, "__metadata__", None)
    if extras is None or len(extras) != 2:
        return None
    return ArrayKind(np.dtype(extras[0]), int(extras[1]))


@cache
def layout(block: type) -> tuple[Field, ...]:
    """The fields of a class of tuples, in order."""
    fields = []
    words = 0
    for name, hint in get_type_hints(block, include_extras=True).items():
        kind = array_kind(hint) or hint
        fields.append(Field(name, kind, words * WORD))
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
    """The address of the arrays of `values`, a NamedTuple; pass it to kernels in its place."""

    __slots__ = ("_block", "_values", "_viewed", "address", "of")

    def __init__(self, values: tuple[Any, ...]) -> None:
        self.of = type(values)
        self._values = values  # keeps the arrays alive
        self._block = np.array(list(_words(values)), np.uint64)
        self.address = int(self._block.ctypes.data)
        self._viewed: Any = None

    def viewed(self, view: Callable[[Any], Any]) -> Any:
        """Return the tuple behind the pointer as `view` shows it, made once."""
        if self._viewed is None:
            self._viewed = view(self._values)
        return self._viewed


def pointer(values: tuple[Any, ...]) -> Any:
    """A `Pointer` that the checker of types takes for `values` itself, as kernels do."""
    return Pointer(values)


def _words(values: tuple[Any, ...]) -> list[int]:
    """The descriptors of all arrays of a tuple."""
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
    """An array as compiled code holds it: no owner, sizes, address, shape, strides."""
    address = array.ctypes.data  # not by __array_interface__, which spells out the fields of a record
    return [0, 0, array.size, array.itemsize, address, *array.shape, *array.strides]
