"""Kernels compiled by numba one by one: the back end `numba`, by numba's supported names alone.

Imported only where something is compiled. A kernel is an ordinary `njit(cache=True)` function that calls others;
numba is told of two types: pointers to a block of arrays, and kernels. Inner kernels that a test calls are compiled
this way, too, in the back end `checked` with checks of bounds. `engine.build` types kernels by the same rules.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

import numba
from llvmlite import ir
from numba import types
from numba.extending import (
    NativeValue,
    intrinsic,
    models,
    overload_attribute,
    register_model,
    typeof_impl,
    unbox,
)

from clustersim.engine import backends, object_cache
from clustersim.engine.array_block import ArrayKind, Pointer, layout
from clustersim.engine.backends import BackEnd
from clustersim.engine.records import Scalars
from clustersim.engine.sources import CHECKS, KERNELS, digest

# numba's extension API carries no types: these names are as untyped as what they stand for.
_unbox_as: Any = unbox
_intrinsic: Any = intrinsic
_overload_attribute: Any = overload_attribute
_native_value: Any = NativeValue
_types: Any = types
_config: Any = numba.config
_decorate: Any = numba.njit

ARITHMETIC = {"error_model": "numpy", "fastmath": False}
"""Options of every kernel, whatever compiles it: IEEE in the written order, division by zero as in C."""


class KernelLike(Protocol):
    """A kernel: `engine.compiled.Kernel`, which this module must not import."""

    function: Callable[..., Any]
    inline: bool


Maker = Callable[[KernelLike], Any]
"""A function that makes numba's dispatcher of a kernel."""


class PointerType(types.Type):
    """The numba type of a `Pointer`: the names, types and places of the descriptors of its fields."""

    def __init__(self, block: type) -> None:
        self.fields = [
            (field.name, (argument_type if field.is_part else numba_type)(field.kind), field.offset)
            for field in layout(block)
        ]
        # A digest for a name: it becomes part of the symbol of every kernel, and numba spells out whole tables.
        words = repr([(name, str(kind), offset) for name, kind, offset in self.fields])
        super().__init__(name=f"{block.__name__}_{hashlib.sha256(words.encode()).hexdigest()[:16]}")


def numba_type(kind: Any) -> Any:
    """Return the numba type of what a block or a signature declares: an array, a tuple of arrays, a number."""
    if isinstance(kind, ArrayKind):
        return types.Array(numba.from_dtype(kind.dtype), kind.dimensions, "C")
    if kind in (int, float, bool):
        return {int: types.int64, float: types.float64, bool: types.boolean}[kind]
    if issubclass(kind, Scalars):
        return numba.from_dtype(kind.dtype)
    return _types.NamedTuple(tuple(numba_type(field.kind) for field in layout(kind)), kind)


def argument_type(kind: Any) -> Any:
    """Return the numba type of an argument of an entry: a block of arrays is passed by a pointer."""
    return PointerType(kind) if isinstance(kind, type) and hasattr(kind, "_fields") else numba_type(kind)


class KernelType(types.Dispatcher):
    """The type of a kernel that another calls; a constant argument is any whole number, so that one version serves."""

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        """Resolve a call, without a version of the callee for each constant."""
        plain = {name: _types.unliteral(kind) for name, kind in kws.items()}
        return super().get_call_type(context, tuple(map(_types.unliteral, args)), plain)


register_model(KernelType)(models.OpaqueModel)

_dispatchers: dict[tuple[Maker, KernelLike], Any] = {}
_maker: Maker


def dispatcher(kernel: KernelLike) -> Any:
    """Return numba's own object for a kernel: one for each way of compiling."""
    known = _dispatchers.get((_maker, kernel))
    if known is None:
        known = _dispatchers[_maker, kernel] = _maker(kernel)
    return known


@contextmanager
def compiling(maker: Maker) -> Iterator[None]:
    """Make the dispatchers of kernels otherwise: numba asks for a kernel's type without telling for whom."""
    global _maker  # noqa: PLW0603
    before = _maker
    _maker = maker
    try:
        yield
    finally:
        _maker = before


def register_kernels(kernels: type) -> None:
    """Tell numba that objects of this class are functions that kernels may call."""
    typeof_impl.register(kernels, lambda kernel, context: KernelType(dispatcher(kernel)))


def call(kernel: KernelLike, arguments: tuple[Any, ...]) -> Any:
    """Call a kernel, and compile it if need be."""
    with compiling(_checked if backends.current() is BackEnd.CHECKED else _plain):
        return dispatcher(kernel)(*arguments)


def _plain(kernel: KernelLike) -> Any:
    return _njit(kernel, "numba", boundscheck=False)


def _checked(kernel: KernelLike) -> Any:
    return _njit(kernel, "checked", boundscheck=True)


def _njit(kernel: KernelLike, name: str, *, boundscheck: bool) -> Any:
    """Decorate a kernel; the folder of its compiled code is one for these sources and options, as numba's index knows
    neither."""
    folder = object_cache.usable_folder()
    before = _config.CACHE_DIR
    if folder is not None:
        _config.CACHE_DIR = str(folder / f"{name}-{digest(KERNELS)}-{digest(CHECKS)}")
    try:
        return _decorate(cache=folder is not None, boundscheck=boundscheck, **ARITHMETIC)(kernel.function)
    finally:
        _config.CACHE_DIR = before


_maker = _plain


@typeof_impl.register(Pointer)
def _type_of_pointer(pointer: Pointer, _: Any) -> PointerType:
    return _pointer_type(pointer.of)


@cache
def _pointer_type(block: type) -> PointerType:
    kind = PointerType(block)
    _make_all_readable(kind)
    return kind


def _make_all_readable(kind: PointerType) -> None:
    for name, of_field, _ in kind.fields:
        _make_readable(name)
        if isinstance(of_field, PointerType):
            _make_all_readable(of_field)


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


@_intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _read_field(_: Any, pointer: PointerType, number: Any) -> Any:
    """Load the descriptor(s) of the field with a constant number."""
    _, kind, offset = pointer.fields[number.literal_value]

    def generate(context: Any, builder: Any, _: Any, arguments: Any) -> Any:
        return load_field(context, builder, arguments[0], kind, offset)

    return kind(pointer, number), generate


def load_field(context: Any, builder: Any, address: Any, kind: Any, offset: int) -> Any:
    """Write the instructions that load a field's descriptor(s), or that compute the address of a part."""
    at = builder.gep(address, [ir.Constant(ir.IntType(64), offset)])
    if isinstance(kind, PointerType):
        return at
    return builder.load(builder.bitcast(at, context.get_value_type(kind).as_pointer()))


@cache
def _make_readable(name: str) -> None:
    """Tell numba how an attribute of this name is read from any pointer whose block has such a field."""

    def resolve(pointer):  # type: ignore[no-untyped-def]  # (numba compares its signature)
        for number, (field, _, _) in enumerate(pointer.fields):
            if field == name:
                return lambda pointer: _read_field(pointer, number)
        return None

    _overload_attribute(PointerType, name)(resolve)
