"""What the compiler is told of ours: the type of a pointer to a block of arrays, and kernels that call kernels.

Imported only where something is compiled: by `engine.build` for the whole program, by `Kernel.alone` for one
kernel that a test or a bench calls directly.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Protocol

import numba
from llvmlite import ir
from numba.core import typed_passes as typed
from numba.core import types
from numba.core import untyped_passes as untyped
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import NativeValue, models, register_model, typeof_impl, unbox
from numba.np import numpy_support

from clustersim.engine.array_block import ArrayKind, Pointer, layout
from clustersim.engine.program import cache_folder

# numba's extension API carries no types: these names are as untyped as what they stand for.
_unbox_as: Any = unbox
_lower_getattr: Any = lower_getattr_generic
_native_value: Any = NativeValue
_types: Any = types
_pass_manager: Any = PassManager

OPTIONS = {"error_model": "numpy", "fastmath": False, "_nrt": False}
"""Of every kernel. `_nrt` is numba's name for the counting of references, which costs fifty times the work of
a small kernel (measured: 600 ns against 5); a kernel that makes an array does not compile without it."""

numba.config.CACHE_DIR = str(cache_folder() / "alone")  # type: ignore[attr-defined]


class PointerType(types.Type):
    """The numba type of a `Pointer`: the names and types of its fields, and where each descriptor lies."""

    def __init__(self, block: type) -> None:
        self.fields = [(field.name, numba_type(field.kind), field.offset) for field in layout(block)]
        # A digest for a name: it becomes part of the symbol of every kernel, and numba spells out whole tables.
        words = repr([(name, str(kind), offset) for name, kind, offset in self.fields])
        super().__init__(name=f"{block.__name__}_{hashlib.sha256(words.encode()).hexdigest()[:16]}")


def numba_type(kind: Any) -> Any:
    """The numba type of what a block or a signature declares: an array, a tuple of arrays, a number."""
    if isinstance(kind, ArrayKind):
        return types.Array(numpy_support.from_dtype(kind.dtype), kind.dimensions, "C")
    if kind in (int, float, bool):
        return {int: types.int64, float: types.float64, bool: types.boolean}[kind]
    inner = tuple(numba_type(field.kind) for field in layout(kind))
    return _types.BaseTuple.from_types(inner, kind)


class KernelCompiler(CompilerBase):
    """numba's sequence of passes without those for what kernels do not contain.

    Left out are closures, functions inlined before typing, `with`, unrolled tuples, and expressions of whole arrays;
    a kernel that contains one does not compile. A kernel compiled by itself goes numba's whole way.
    """

    def define_pipelines(self) -> list[Any]:
        """The one sequence."""
        sequence = _pass_manager("kernel")
        for each in (
            untyped.TranslateByteCode,
            untyped.FixupArgs,
            untyped.IRProcessing,
            untyped.RewriteSemanticConstants,
            untyped.DeadBranchPrune,
            untyped.GenericRewrites,
            untyped.ReconstructSSA,
            typed.NopythonTypeInference,
            typed.PreLowerStripPhis,
            typed.IRLegalization,
            typed.NativeLowering,
            typed.NoPythonBackend,
        ):
            sequence.add_pass(each, each.__name__)
        sequence.finalize()
        return [sequence]


class KernelLike(Protocol):
    """What is compiled: `engine.compiled.Kernel`, which this module must not import."""

    function: Callable[..., Any]
    inline: bool


_alone: dict[KernelLike, Any] = {}
_within: dict[KernelLike, Any] = {}
_building = False


def dispatcher(kernel: KernelLike) -> Any:
    """numba's own object for a kernel: one for the program, another for calls from Python."""
    known = _within if _building else _alone
    if kernel not in known:
        options: dict[str, Any] = {**OPTIONS, "forceinline": kernel.inline}
        if _building:
            options |= {
                "no_cpython_wrapper": True,
                "no_cfunc_wrapper": True,
                "pipeline_class": KernelCompiler,
            }
        known[kernel] = numba.njit(cache=not _building, **options)(kernel.function)
    return known[kernel]


def register_kernel_type(kernels: type) -> None:
    """Tell numba that objects of this class are functions that kernels may call."""
    typeof_impl.register(kernels, lambda kernel, context: KernelType(dispatcher(kernel)))


def compile_alone(kernel: KernelLike) -> Any:
    """A kernel that Python can call, compiled by itself with all that it calls."""
    return dispatcher(kernel)


def compile_within(entry: KernelLike, kinds: list[Any], result: Any) -> Any:
    """numba's result for an entry of the program with this signature: `engine.build` links it with the others."""
    global _building  # noqa: PLW0603  (numba asks for a kernel's type without telling for whom)
    arguments = tuple(
        PointerType(kind) if isinstance(kind, type) and hasattr(kind, "_fields") else numba_type(kind)
        for kind in kinds
    )
    _building = True
    try:
        within = dispatcher(entry)
        within.compile(arguments)
    finally:
        _building = False
    compiled = within.overloads[arguments]
    wanted = types.none if result is type(None) else numba_type(result)
    if compiled.signature.return_type != wanted:
        found = compiled.signature.return_type
        raise TypeError(f"{entry.function.__name__} says that it returns {wanted} and returns {found}")
    return compiled


class KernelType(types.Dispatcher):
    """The type of a kernel that another calls; a constant argument is any whole number, so that one version serves."""

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        """numba's resolution of a call, without a version of the callee for each constant."""
        plain = {name: _types.unliteral(kind) for name, kind in kws.items()}
        return super().get_call_type(context, tuple(map(_types.unliteral, args)), plain)


register_model(KernelType)(models.OpaqueModel)


@typeof_impl.register(Pointer)
def _type_of_pointer(pointer: Pointer, _: Any) -> PointerType:
    return PointerType(pointer.of)


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
