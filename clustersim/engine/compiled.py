"""How kernels are compiled: one decorator, one cache, safe wherever we are installed.

`kernel` is numba's `njit` with a cache on disk. The cache lives in `CLUSTERSIM_CACHE_DIR`, else in the user's
cache directory, in a folder named by version and by a digest of the kernels' sources: numba does not notice a
change in a callee of another file, so a changed source must mean another folder. numba itself keys its files
by CPU and writes them by rename, so two processes may share the folder. Where nothing can be written
the kernels are compiled for this process only, with one line in the log.
Kernel modules import `kernel` from here and nothing else of numba.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy.typing as npt

Array = npt.NDArray[Any]
"""A numpy array, of plain numbers or of records; its dtype stands where it is made."""

Function = TypeVar("Function", bound=Callable[..., Any])

KERNEL_PACKAGES = ("engine", "policy", "world")
_log = logging.getLogger("clustersim")


def _source_digest() -> str:
    package = Path(__file__).parent.parent
    digest = hashlib.sha256((package / "vocabulary.py").read_bytes())
    for folder in KERNEL_PACKAGES:
        for path in sorted((package / folder).glob("*.py")):
            source = path.read_bytes()
            if b"engine.compiled import" in source or path.samefile(__file__):  # the others hold no kernels
                digest.update(source)
    return digest.hexdigest()[:16]


def _cache_root() -> Path:
    chosen = os.environ.get("CLUSTERSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clustersim"


def _writable_cache() -> Path | None:
    """The cache folder of these sources, made if need be; None where nothing can be written."""
    try:
        folder = _cache_root() / f"kernels-{_source_digest()}"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, RuntimeError):
        return None


CACHE = _writable_cache()
"""The folder of compiled kernels, or None when this process compiles for itself alone."""


def cache_is_cold() -> bool:
    """Whether a first run has to compile (it then takes tens of seconds, and the user is told)."""
    return CACHE is None or not any(CACHE.rglob("*.nbi"))


if CACHE is not None:
    # Not by the environment: numba may have been imported before us, and has then read it.
    setattr(numba.config, "CACHE_DIR", str(CACHE))  # noqa: B010  (mypy knows no such attribute)
else:
    _log.warning(
        "no writable cache directory: kernels are compiled anew; CLUSTERSIM_CACHE_DIR would keep them"
    )


def kernel(function: Function) -> Function:
    """Compile `function` at its first call; IEEE arithmetic, no reordering, division by zero as in C.

    For kernels that make arrays; what only moves numbers is `lean`.
    """
    return _compile(function)


def lean(function: Function) -> Function:
    """Like `kernel`, for functions that neither make an array nor keep one: no references are counted.

    numba counts a reference for every array of a tuple at each call, which costs fifty times the work of a small
    kernel (measured: 600 ns against 5). Its option is named `_nrt`; a lean kernel that allocates does not
    compile, so the mistake cannot pass unseen. Lean kernels may be called from any kernel.
    """
    return _compile(function, _nrt=False)


def inlined(function: Function) -> Function:
    """Like `lean`, for the small bodies that every call site should hold itself."""
    return _compile(function, _nrt=False, forceinline=True)


def embedded(function: Function) -> Function:
    """Like `lean`, for a body with one call site: it becomes part of its caller and is not compiled by itself.

    Every kernel is optimised together with all that it calls, so each level of calls is compiled once more.
    """
    return _compile(function, _nrt=False, inline="always")


def _compile(function: Function, **options: Any) -> Function:
    decorate: Any = numba.njit
    compiled: Function = decorate(cache=CACHE is not None, error_model="numpy", fastmath=False, **options)(
        function
    )
    return compiled
