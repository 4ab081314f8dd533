"""Compiled programs: kernels as object files, made once, kept in the cache, loaded by the processes that call them.

There are two (`engine.sources`): what a run needs, and what only a checked run needs. A file's name in the cache
(`engine.object_cache`) contains the digest of all that its code depends on. `engine.build` makes it, in a process of
its own: importing the compiler alone would take longer than loading the program and a short run together.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clustersim.engine import backends, object_cache
from clustersim.engine.backends import BackEnd
from clustersim.engine.sources import KERNELS, digest
from clustersim.errors import KernelError

TESTED_UP_TO = {"numba": (0, 68), "llvmlite": (0, 50)}
"""The newest versions of the compiler whose private names (`engine.numba_private`) are known to work."""


def path(program: str = KERNELS) -> Path:
    """Return where a program of this version is, or will be."""
    checked = "-checked" if _is_checked() else ""
    return object_cache.cache_folder() / f"{program}{checked}-{digest(program)}.program"


def _is_checked() -> bool:
    return backends.current() is BackEnd.CHECKED


def is_cold() -> bool:
    """Return whether a run will first make its program, which takes some fifteen seconds (the user is told)."""
    if not backends.uses_program():
        return False
    try:
        return not path().exists()
    except (OSError, RuntimeError):
        return True


def prepare() -> None:
    """Make the program of a run if it is not kept yet: before workers start, which would each make it again."""
    if backends.uses_program() and is_cold():
        try:
            _make(KERNELS)
        except KernelError as error:
            backends.fall_back(str(error))


def address(symbol: str, program: str) -> int:
    """Return the address of a program's function; the first call loads the program.

    Raise KernelError where the program cannot be made here.
    """
    found = int(_engine(program, _is_checked()).get_function_address(symbol))
    if not found:
        raise LookupError(f"the program of {program} has no function {symbol}")
    return found


@cache
def _engine(program: str, checked: bool) -> Any:
    """Load a program, with checks of bounds or without; it stays for the life of the process."""
    import llvmlite.binding as llvm

    _refuse_untested()
    code = object_cache.read(path(program))
    if code is None:
        code = _make(program)
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(
        cpu=llvm.get_host_cpu_name(), features=llvm.get_host_cpu_features().flatten()
    )
    engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)
    engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return engine


def _refuse_untested() -> None:
    """Raise KernelError for a compiler that is newer than any that was tested."""
    for name, tested in TESTED_UP_TO.items():
        found = tuple(int(number) for number in re.findall(r"\d+", version(name))[:2])
        if found > tested:
            newest = ".".join(map(str, tested))
            raise KernelError(f"{name} {version(name)} is newer than {newest}, the newest that was tested")


def _make(program: str) -> bytes:
    """Compile a program, and keep it if that is possible."""
    _refuse_untested()
    # -P: not whatever clustersim the current directory may hold, but the one whose sources the name is a digest of.
    command = [sys.executable, "-P", "-m", "clustersim.engine.build", program]
    command += ["checked"] if _is_checked() else []
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), backends.VARIABLE: BackEnd.PROGRAM}
    done = subprocess.run(command, env=where, capture_output=True, check=False)
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise KernelError(f"it cannot be built: {lines[-1]}")
    object_cache.write(path(program), done.stdout)
    return done.stdout
