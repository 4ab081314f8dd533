"""Compiled programs: kernels as object files, made once, kept in a cache, loaded by the processes that call them.

All that a run needs is one program, KERNELS. What only a checked run calls is another, CHECKS, so that nobody
waits for it who does not check.

A file lies in `CLUSTERSIM_CACHE_DIR`, else in the user's cache directory, and its name says for what it was
made: a digest of the kernels' sources, the versions of the compiler and the processor. It is written beside
its name and renamed, so processes may share the directory. Where nothing can be written a program is made
for this process only, with one line in the log. `engine.build` makes it, as a process of its own: importing
the compiler alone would take longer than loading the program and a short run together.
"""

from __future__ import annotations

import hashlib
import logging
import os
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from clustersim.errors import KernelError

KERNELS, CHECKS = "kernels", "checks"
PACKAGES = {KERNELS: ("engine", "policy", "world"), CHECKS: ("world/checks",)}
"""Where the kernels of each program are."""

_MARKS = (b"engine.compiled import", b"np.dtype(")
"""What the sources hold that programs are made of: kernels, and the records that they read."""
_PACKAGE = Path(__file__).parent.parent
_log = logging.getLogger("clustersim")


def program_of(module: str) -> str:
    """The program that the kernels of a module belong to."""
    package = "/".join(module.split(".")[1:-1])
    return CHECKS if package in PACKAGES[CHECKS] else KERNELS


def kernel_modules(program: str) -> list[str]:
    """The names of all modules that hold kernels of a program."""
    return [
        ".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)
        for path in _sources(program)
        if b"engine.compiled import" in path.read_bytes()
    ]


def _sources(program: str) -> list[Path]:
    """The sources of a program's packages, those of their sub-packages too; a file is of one program only."""
    return [
        path
        for folder in PACKAGES[program]
        for path in sorted((_PACKAGE / folder).rglob("*.py"))
        if program_of(".".join(path.relative_to(_PACKAGE.parent).with_suffix("").parts)) == program
    ]


@cache
def _digest(program: str) -> str:
    """What a program depends on: kernels, compiler, processor; the checks also on the records of the kernels."""
    import llvmlite.binding as llvm

    digest = hashlib.sha256((_PACKAGE / "vocabulary.py").read_bytes())
    for path in _sources(KERNELS):
        source = path.read_bytes()
        if path.parent.name == "engine" or any(mark in source for mark in _MARKS):
            digest.update(source)
    for path in _sources(program) if program != KERNELS else ():
        digest.update(path.read_bytes())
    digest.update(f"{version('numba')} {version('llvmlite')} {version('numpy')}".encode())
    digest.update(llvm.get_host_cpu_name().encode() + llvm.get_host_cpu_features().flatten().encode())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled code is kept."""
    chosen = os.environ.get("CLUSTERSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clustersim"


def path(program: str = KERNELS) -> Path:
    """Where a program of this version is, or will be."""
    return cache_folder() / f"{program}-{_digest(program)}.o"


def is_cold() -> bool:
    """Whether the program of a run has yet to be made, which takes some fifteen seconds (the user is told)."""
    try:
        return not path().exists()
    except (OSError, RuntimeError):
        return True


def prepare() -> None:
    """Make the program of a run if it is not kept yet: before workers start, which would each make it again."""
    if is_cold():
        _make(KERNELS)


def address(symbol: str, program: str) -> int:
    """Where the function `symbol` of a program lies in memory; the first call loads the program."""
    found = int(_engine(program).get_function_address(symbol))
    if not found:
        raise LookupError(f"the program of {program} has no function {symbol}")
    return found


@cache
def _engine(program: str) -> Any:
    """A program, loaded; it stays for the life of the process."""
    import llvmlite.binding as llvm

    code = _kept(program)
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


def _kept(program: str) -> bytes | None:
    try:
        return path(program).read_bytes()
    except (OSError, RuntimeError):
        return None


def _make(program: str) -> bytes:
    """Compile a program, and keep it if that is possible."""
    # -P: not whatever clustersim the current directory may hold, but the one whose sources the name is a digest of.
    command = [sys.executable, "-P", "-m", "clustersim.engine.build", program]
    where = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=where, capture_output=True, check=False)
    if done.returncode:
        raise KernelError(f"the kernels cannot be compiled:\n{done.stderr.decode(errors='replace')}")
    code = done.stdout
    try:
        target = path(program)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=target.name)
        with os.fdopen(handle, "wb") as file:
            file.write(code)
        Path(beside).replace(target)
    except (OSError, RuntimeError):
        _log.warning(
            "no writable cache directory: kernels are compiled anew; CLUSTERSIM_CACHE_DIR would keep them"
        )
    return code
