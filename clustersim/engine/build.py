"""Compiles all kernels of a program into one object file: it is run by itself, as a compiler is.

    python -m clustersim.engine.build kernels     (the object file goes to standard output)

numba types and lowers each kernel; what follows differs from its way. It would make a module of each kernel, link
into it all that the kernel calls, and optimise that: each level of calls is compiled once more (45 s of CPU for the
kernels of a run). Here all kernels are written into one module, in which all but the entries are internal, and that
module is optimised once. What numba does on the way is cut to what kernels need: `frontend.KernelCompiler` leaves out
passes for what they do not contain, calls of operators are typed once for all kernels, and Python's collector of
garbage, which would look again and again at what is kept to the end, is off.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import llvmlite.binding as llvm
from numba.core import cgutils, types
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from clustersim.engine.compiled import ENTRIES, Kernel
from clustersim.engine.numba_types import compile_within, register_kernel_type
from clustersim.engine.program import kernel_modules

NOWHERE = 1  # an address that is never called
_llvm: Any = llvm
_normalize: Any = cgutils.normalize_ir_text


def build_program(name: str) -> bytes:
    """The object file of all entries of a program, for this processor."""
    gc.disable()
    for module_name in kernel_modules(name):
        importlib.import_module(module_name)
    register_kernel_type(Kernel)
    with global_compiler_lock:
        codegen = cpu_target.target_context.codegen()
        written = codegen._create_empty_module("clustersim")
        with _written_into(written), _calls_typed_once():
            compiled = {
                symbol: compile_within(entry, *entry.signature)
                for symbol, entry in sorted(ENTRIES.items())
                if entry.program == name
            }
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


def _optimize(module: Any, machine: Any) -> None:
    """LLVM's own sequence of passes at level 3, once; vectorised loops are worth a sixth of some runs."""
    options = _llvm.create_pipeline_tuning_options(3)
    options.loop_vectorization = True
    passes = _llvm.create_pass_builder(machine, options)
    passes.getModulePassManager().run(module, passes)


@contextmanager
def _written_into(module: Any) -> Iterator[None]:
    """numba's code libraries all write into `module`; none is optimised or made executable."""

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
    """What numba finds out about an operator or a builtin, called with these types, holds for all kernels."""
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
    """Other attributes for a while: (owner, name, value) each."""
    with ExitStack() as restored:
        for owner, name, value in changes:
            restored.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


if __name__ == "__main__":
    sys.stdout.buffer.write(build_program(sys.argv[1]))
