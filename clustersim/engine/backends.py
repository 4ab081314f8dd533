"""The choice of how kernels are run: compiled as one program, by numba one by one, or as plain Python.

    CLUSTERSIM_KERNELS=program   one compiled program, kept in the cache (the default; `engine.program`)
    CLUSTERSIM_KERNELS=checked   such a program in which an index beyond an array raises
    CLUSTERSIM_KERNELS=numba     numba's own `njit(cache=True)`, one by one (`engine.numba_kernels`)
    CLUSTERSIM_KERNELS=python    Python functions, for debuggers, coverage and tracebacks (`engine.python_kernels`)

Results are the same bytes. The variable is read once, when the first kernel is defined, and worker processes inherit
it. Where a program cannot be made, or the compiler is newer than any it was tested with, numba compiles kernels one
by one in its place, and one line in the log says so.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from enum import StrEnum

from clustersim.errors import UsageError

VARIABLE = "CLUSTERSIM_KERNELS"
_log = logging.getLogger("clustersim")


class BackEnd(StrEnum):
    """A way to run kernels, by its name in CLUSTERSIM_KERNELS."""

    PROGRAM = "program"
    CHECKED = "checked"
    NUMBA = "numba"
    PYTHON = "python"


def from_environment(environment: Mapping[str, str]) -> BackEnd:
    """Return the back end that CLUSTERSIM_KERNELS names; raise UsageError for an unknown one."""
    name = environment.get(VARIABLE) or BackEnd.PROGRAM
    try:
        return BackEnd(name)
    except ValueError:
        raise UsageError(f"{VARIABLE}={name}: unknown; one of {', '.join(BackEnd)}") from None


_current = from_environment(os.environ)
_lost = False  # the program: it could not be made or loaded in this process


def current() -> BackEnd:
    """Return the back end of this process."""
    return _current


def select(back_end: BackEnd) -> None:
    """Change the back end of this process; entries keep what they have loaded (`compiled.using` unloads them)."""
    global _current  # noqa: PLW0603  (of a process, as the environment is)
    _current = back_end


def uses_program() -> bool:
    """Return whether entries are called in a compiled program."""
    return not _lost and _current in (BackEnd.PROGRAM, BackEnd.CHECKED)


def fall_back(reason: str) -> None:
    """Let numba compile kernels one by one in place of the program from now on, and say why in the log."""
    global _lost  # noqa: PLW0603  (of a process, too)
    if not _lost:
        _log.warning(
            "the compiled program cannot be used (%s): numba compiles kernels one by one, which takes minutes once; "
            "%s=%s silences this",
            reason,
            VARIABLE,
            BackEnd.NUMBA,
        )
    _lost = True
