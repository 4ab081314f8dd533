"""One pointer to many arrays: how a kernel is given a whole world.

A kernel that takes forty arrays costs ten microseconds a call, seconds to compile, and a reference count per
array and call. `Pointer` lays the descriptors of the arrays of a NamedTuple (numpy arrays, or NamedTuples of
such) into one block of memory; numba passes its address, and `state.tasks` in a kernel reads the descriptor
from there. No reference is counted: the Python side keeps the arrays alive, and makes a new `Pointer` when one
was replaced. Kernels may write into arrays, never replace them. Knows nothing of ECS.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof as _typeof_any
from numba.core import types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox

# numba's extension API carries no types: these names are as untyped as what they stand for.
_numba_type: Any = _typeof_any
_unbox_as: Any = unbox
_lower_getattr: Any = lower_getattr_generic
_native_value: Any = NativeValue

_WORD = 8
_HEADER_WORDS = 5  # meminfo, parent, number of items, item size, data


class PointerType(types.Type):
    """The numba type of a `Pointer`: the names and types of its fields, and where each descriptor lies."""

    def __init__(self, fields: tuple[tuple[str, Any, int], ...]) -> None:
        self.fields = fields
        # A digest for a name: it becomes part of the symbol of every kernel, and numba spells out whole tables.
        words = repr([(name, str(kind), offset) for name, kind, offset in fields])
        super().__init__(name=f"Pointer_{hashlib.sha256(words.encode()).hexdigest()[:16]}")


class Pointer:
    """The address of the arrays of `values`, a NamedTuple; pass it to kernels in its place."""

    __slots__ = ("_block", "_values", "address", "numba_type")

    def __init__(self, values: tuple[Any, ...]) -> None:
        words: list[int] = []
        fields = []
        for name, value in zip(values._fields, values, strict=True):  # type: ignore[attr-defined]
            fields.append((name, _numba_type(value), len(words) * _WORD))
            for array in value if isinstance(value, tuple) else (value,):
                words += _descriptor(array)
        self._values = values  # keeps the arrays alive
        self._block = np.array(words, np.uint64)
        self.address = int(self._block.ctypes.data)
        self.numba_type = PointerType(tuple(fields))


def _descriptor(array: np.ndarray[Any, Any]) -> list[int]:
    """An array as numba holds it in memory: no owner, sizes, address, shape, strides."""
    head = [0, 0, array.size, array.itemsize, array.ctypes.data]
    return [*head, *array.shape, *array.strides]


@typeof_impl.register(Pointer)
def _typeof(value: Pointer, _: Any) -> PointerType:
    return value.numba_type


@register_model(PointerType)
class _PointerModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: PointerType) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())  # type: ignore[no-untyped-call]


@_unbox_as(PointerType)  # type: ignore[untyped-decorator]
def _unbox(_: PointerType, value: Any, c: Any) -> Any:
    number = c.pyapi.object_getattr_string(value, "address")
    address = c.pyapi.long_as_ulonglong(number)
    c.pyapi.decref(number)
    return _native_value(c.builder.inttoptr(address, ir.IntType(8).as_pointer()))


@infer_getattr
class _PointerAttributes(AttributeTemplate):
    key = PointerType

    def generic_resolve(self, pointer: PointerType, attribute: str) -> Any:  # type: ignore[override]
        for name, kind, _ in pointer.fields:
            if name == attribute:
                return kind
        return None


@_lower_getattr(PointerType)  # type: ignore[untyped-decorator]
def _read_field(context: Any, builder: Any, pointer: PointerType, value: Any, attribute: str) -> Any:
    """Load the descriptor(s) of one field; invariant, as kernels never replace an array."""
    for name, kind, offset in pointer.fields:
        if name == attribute:
            at = builder.gep(value, [ir.Constant(ir.IntType(64), offset)])
            shape = context.get_value_type(kind)
            return builder.load(builder.bitcast(at, shape.as_pointer()))
    raise AttributeError(attribute)
