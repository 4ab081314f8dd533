"""Compiles all kernels of a program into one object file: it is run by itself, as a compiler is.

    python -m clustersim.engine.build kernels             (the object file goes to standard output)
    python -m clustersim.engine.build kernels checked     (the same, and an index beyond an array raises)

What is done differently from numba's own way, and why, is in `engine.numba_private`. Python's garbage collector,
which would look again and again at what is kept to the end, is off.
"""

from __future__ import annotations

import gc
import importlib
import sys

from clustersim.engine.compiled import ENTRIES, Kernel
from clustersim.engine.numba_kernels import register_kernels
from clustersim.engine.numba_private import one_object
from clustersim.engine.sources import kernel_modules


def build_program(name: str, *, boundscheck: bool = False) -> bytes:
    """Return the object file of all entries of a program, for this processor."""
    gc.disable()
    for module_name in kernel_modules(name):
        importlib.import_module(module_name)
    register_kernels(Kernel)
    entries = {
        symbol: (entry, *entry.signature)
        for symbol, entry in sorted(ENTRIES.items())
        if entry.program == name
    }
    return one_object(entries, boundscheck=boundscheck)


if __name__ == "__main__":
    sys.stdout.buffer.write(build_program(sys.argv[1], boundscheck="checked" in sys.argv[2:]))
