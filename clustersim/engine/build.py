"""Compiles all kernels of a program into one object file: it is run by itself, as a compiler is.

    python -m clustersim.engine.build kernels     (the object file goes to standard output)

numba types and lowers each kernel; what follows differs from its way. It would optimise every kernel together
with everything that kernel calls, so each level of calls is compiled once more (45 s of CPU for the kernels of a run).
Here kernels are only linked until the whole program is one module, in which all but the entries are internal,
and that module is optimised once (8 s).
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from clustersim.engine.compiled import ENTRIES, Kernel
from clustersim.engine.frontend import compile_within, know
from clustersim.engine.program import kernel_modules

NOWHERE = 1  # an address that is never called


def build_program(name: str) -> bytes:
    """The object file of all entries of a program, for this processor."""
    for module_name in kernel_modules(name):
        importlib.import_module(module_name)
    know(Kernel)
    with global_compiler_lock, _linking_only():
        codegen = cpu_target.target_context.codegen()
        program = codegen.create_library("clustersim")
        compiled = {
            symbol: compile_within(entry, *entry.signature)
            for symbol, entry in sorted(ENTRIES.items())
            if entry.program == name
        }
        module = program._final_module
        for symbol, entry in compiled.items():
            entry.library._ensure_finalized()
            module.link_in(entry.library._final_module.clone())
            module.get_function(entry.fndesc.llvm_func_name).name = symbol
        for function in module.functions:
            if not function.is_declaration and function.name not in compiled:
                function.linkage = "internal"
        program._optimize_final_module()
        module.verify()
        return bytes(codegen._tm.emit_object(module))


@contextmanager
def _linking_only() -> Iterator[None]:
    """numba's code libraries, finished as soon as they are linked: neither optimised nor made executable."""

    def finalize(library: Any) -> None:
        for other in dict.fromkeys(library._linking_libraries):
            library._final_module.link_in(other._get_module_for_linking(), preserve=True)
        library._final_module.verify()
        library._finalized = True

    with ExitStack() as restored:
        for owner, name, instead in (
            (JITCodeLibrary, "finalize", finalize),
            (JITCodeLibrary, "get_pointer_to_function", lambda library, name: NOWHERE),
            (JITCPUCodegen, "set_env", lambda codegen, name, env: None),
        ):
            restored.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, instead)
        yield


if __name__ == "__main__":
    sys.stdout.buffer.write(build_program(sys.argv[1]))
