"""Every use of a name that numba or llvmlite does not promise to keep: how kernels become one module.

Imported only to build a program, and to read why one of its kernels failed. A version of numba without one of these
names makes the import or the build fail, and then processes take the back end `numba`, which does without them.

numba would make a module of each kernel, link into it all that the kernel calls, and optimise that: each level of
calls is compiled once more. Here numba writes all kernels into one module, in which only the entries stay visible.
Its work on the way is cut to what kernels need: passes for what they do not contain are left out, and a call of an
operator or builtin is typed once for all kernels.
"""

from __future__ import annotations

import ctypes
import pickle
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core import cgutils, types
from numba.core import typed_passes as typed
from numba.core import untyped_passes as untyped
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler import CompilerBase
from numba.core.compiler_lock import global_compiler_lock
from numba.core.compiler_machinery import PassManager
from numba.core.registry import cpu_target
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, lower_getattr_generic

from clustersim.engine.numba_kernels import (
    ARITHMETIC,
    KernelLike,
    Maker,
    PointerType,
    argument_type,
    compiling,
    dispatcher,
    load_field,
    numba_type,
)

NOWHERE = 1  # an address that is never called
_llvm: Any = llvm
_normalize: Any = cgutils.normalize_ir_text
_pass_manager: Any = PassManager
_decorate: Any = numba.njit
_lower_getattr: Any = lower_getattr_generic


class KernelCompiler(CompilerBase):
    """numba's sequence of passes without those for what kernels do not contain.

    Left out are closures, functions inlined before typing, `with`, unrolled tuples, and expressions of whole arrays;
    a kernel that contains one does not compile. A kernel compiled by itself goes numba's whole way.
    """

    def define_pipelines(self) -> list[Any]:
        """Return the one sequence."""
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


def _maker(boundscheck: bool) -> Maker:
    """Return a function that makes a kernel's dispatcher in the program.

    `_nrt` is numba's name for the counting of references, which costs fifty times the work of a small kernel
    (measured: 600 ns against 5); a kernel that makes an array does not compile without it.
    """

    def make(kernel: KernelLike) -> Any:
        return _decorate(
            _nrt=False,
            boundscheck=boundscheck,
            forceinline=kernel.inline,
            no_cpython_wrapper=True,
            no_cfunc_wrapper=True,
            pipeline_class=KernelCompiler,
            **ARITHMETIC,
        )(kernel.function)

    return make


def one_object(entries: Mapping[str, tuple[KernelLike, list[Any], Any]], *, boundscheck: bool) -> bytes:
    """Compile entries, (kernel, kinds of parameters, kind of result) each by its symbol, into one object file."""
    with global_compiler_lock:
        codegen = cpu_target.target_context.codegen()
        written = codegen._create_empty_module("clustersim")
        with _written_into(written), _calls_typed_once(), compiling(_maker(boundscheck)):
            compiled = {symbol: _compiled(*entry) for symbol, entry in entries.items()}
    module = _llvm.parse_assembly(_normalize(str(written)))
    for symbol, entry in compiled.items():
        module.get_function(entry.fndesc.llvm_func_name).name = symbol
    for function in module.functions:
        if not function.is_declaration and function.name not in compiled:
            function.linkage = "internal"
    module.verify()
    machine = codegen._tm
    _optimize(module, machine)
    return bytes(machine.emit_object(module))


def _compiled(entry: KernelLike, kinds: list[Any], result: Any) -> Any:
    """Return numba's result for an entry with this signature."""
    arguments = tuple(map(argument_type, kinds))
    within = dispatcher(entry)
    within.compile(arguments)
    compiled = within.overloads[arguments]
    wanted = types.none if result is type(None) else numba_type(result)
    if compiled.signature.return_type != wanted:
        found = compiled.signature.return_type
        raise TypeError(f"{entry.function.__name__} says that it returns {wanted} and returns {found}")
    return compiled


def _optimize(module: Any, machine: Any) -> None:
    """Run LLVM's own sequence of passes at level 3, once; vectorised loops are worth a sixth of some runs."""
    options = _llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = True
    passes = _llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)


@contextmanager
def _written_into(module: Any) -> Iterator[None]:
    """Let numba's code libraries all write into `module`; none is optimised or made executable."""

    def finalize(library: Any) -> None:
        library._finalized = True

    changes = (
        (JITCodeLibrary, "create_ir_module", lambda library, name: module),
        (JITCodeLibrary, "add_ir_module", lambda library, written: None),
        (JITCodeLibrary, "finalize", finalize),
        (JITCodeLibrary, "get_pointer_to_function", lambda library, name: NOWHERE),
        (JITCPUCodegen, "set_env", lambda codegen, name, env: None),
    )
    with _changed(*changes):
        yield


@contextmanager
def _calls_typed_once() -> Iterator[None]:
    """Keep what numba finds out about a call of an operator or builtin with certain types: it holds for all kernels."""
    known: dict[Any, Any] = {}
    resolve = types.BaseFunction.get_call_type

    def get_call_type(function: Any, context: Any, args: Any, kws: Any) -> Any:
        call = (function, tuple(args), tuple(kws.items()))
        if call not in known:
            known[call] = resolve(function, context, args, kws)
        return known[call]

    with _changed((types.BaseFunction, "get_call_type", get_call_type)):
        yield


@contextmanager
def _changed(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    """Give attributes other values for a while: (owner, name, value) each."""
    with ExitStack() as restored:
        for owner, name, value in changes:
            restored.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


@infer_getattr
class _PointerAttributes(AttributeTemplate):
    """The types of a pointer's attributes; typed and read in place, where `numba_kernels` has a function for each."""

    key = PointerType

    def generic_resolve(self, pointer: PointerType, attribute: str) -> Any:  # type: ignore[override]
        """Return the type of a field; None where there is none of that name."""
        return next((kind for name, kind, _ in pointer.fields if name == attribute), None)


@_lower_getattr(PointerType)  # type: ignore[untyped-decorator]
def _read_field(context: Any, builder: Any, pointer: PointerType, value: Any, attribute: str) -> Any:
    kind, offset = next((kind, offset) for name, kind, offset in pointer.fields if name == attribute)
    return load_field(context, builder, value, kind, offset)


class _Raised(ctypes.Structure):
    """The description of an exception that compiled code leaves: a pickled (class, arguments, place)."""

    _fields_ = (
        ("pickled", ctypes.c_void_p),
        ("length", ctypes.c_int32),
        ("dynamic", ctypes.c_void_p),
        ("unwrap", ctypes.c_void_p),
        ("allocated", ctypes.c_int32),
    )


def raised(status: int, address: int | None) -> tuple[Exception, str] | None:
    """Return the exception that ended a kernel of the program, and `file:line`; None where it left no description."""
    if status < 1 or not address:
        return None
    found = _Raised.from_address(address)
    if found.allocated > 0 or not found.pickled:
        return None
    kind, arguments, place = pickle.loads(ctypes.string_at(found.pickled, found.length))
    where = f"{Path(place[1]).name}:{place[2]}" if place else "an unknown line"
    return kind(*(arguments or ())), where
