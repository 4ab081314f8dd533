"""The source files of each program's kernels, and the digest of all that its compiled code depends on.

All that a run needs is one program, KERNELS. What only a checked run calls is another, CHECKS, so that other runs
do not wait for it.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

KERNELS, CHECKS = "kernels", "checks"
PACKAGES = {KERNELS: ("engine", "policy", "world"), CHECKS: ("world/checks",)}
"""The folders that hold the kernels of each program."""

_PACKAGE = Path(__file__).parent.parent
_ROOT = str(_PACKAGE.parent)
_KERNELS = re.compile(
    rb"^from clustersim\.engine\.compiled import (?:\([^)]*|[^(\n]*)\b(?:kernel|inlined|kernel_entry)\b", re.M
)
_IMPORT = re.compile(
    rb"^(?:from (clustersim[\w.]*) import (?:\(([^)]*)\)|([^\n]*))|import (clustersim[\w.]*))", re.M
)
_COMPILERS = ("numba", "llvmlite", "numpy")


def program_of(module: str) -> str:
    """Return the program that the kernels of a module belong to."""
    package = "/".join(module.split(".")[1:-1])
    return CHECKS if package in PACKAGES[CHECKS] else KERNELS


def kernel_modules(program: str) -> list[str]:
    """Return the names of all modules that hold kernels of a program."""
    return [
        module for module in _modules(PACKAGES[program], program) if _KERNELS.search(_source(module) or b"")
    ]


def _modules(folders: tuple[str, ...], program: str) -> list[str]:
    """Return the names of all modules of a program below some folders of the package."""
    found = []
    for folder in folders:
        for place, _, files in os.walk(_PACKAGE / folder):
            package = ".".join(("clustersim", *Path(place).relative_to(_PACKAGE).parts))
            modules = [f"{package}.{file.removesuffix('.py')}" for file in files if file.endswith(".py")]
            found += [module for module in modules if program_of(module) == program]
    return sorted(found)


def import_closure(modules: list[str]) -> dict[str, bytes]:
    """Return the sources of some modules and of all of clustersim that they import, by the modules' names.

    Only imports that begin a line count: what a function imports when it is called is no constant of a kernel.
    """
    sources: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        source = None if module in sources else _source(module)
        if source is not None:
            sources[module] = source
            waiting += imported(source)
    return sources


def imported(source: bytes) -> list[str]:
    """Return the names of the modules of clustersim that a source imports, and of the packages that they are in."""
    found = []
    for package, listed, same_line, module in _IMPORT.findall(source):
        name = (module or package).decode()
        found.append(name)
        if package and _is_package(name):
            names = re.sub(rb"#[^\n]*", b"", listed or same_line).decode().split(",")
            found += [f"{name}.{each.split()[0]}" for each in names if each.strip()]
    return found


@cache
def _is_package(module: str) -> bool:
    return os.path.isdir(os.path.join(_ROOT, *module.split(".")))  # noqa: PTH112, PTH118  (five times as fast)


@cache
def _source(module: str) -> bytes | None:
    """Return the source of a module or package; None for another name."""
    place = os.path.join(_ROOT, *module.split("."))  # noqa: PTH118
    try:
        with open(os.path.join(place, "__init__.py") if _is_package(module) else place + ".py", "rb") as file:  # noqa: PTH118, PTH123
            return file.read()
    except OSError:
        return None


@cache
def digest(program: str) -> str:
    """Return a digest of sources, compiler and its settings, and processor: equal digests mean equal code."""
    import llvmlite.binding as llvm

    whole = hashlib.sha256()
    for module, source in sorted(
        import_closure(kernel_modules(program) + _modules(("engine",), KERNELS)).items()
    ):
        whole.update(f"{module} {len(source)}\n".encode() + source)
    whole.update("".join(f"{name} {version(name)}\n" for name in _COMPILERS).encode())
    whole.update(repr(_settings()).encode())
    whole.update(llvm.get_host_cpu_name().encode() + llvm.get_host_cpu_features().flatten().encode())
    return whole.hexdigest()[:16]


def _settings() -> list[tuple[str, str]]:
    """Return numba's settings: its environment variables, and its file in the current directory."""
    settings = sorted((name, value) for name, value in os.environ.items() if name.startswith("NUMBA_"))
    with suppress(OSError):
        settings.append(("file", Path(".numba_config.yaml").read_bytes().hex()))
    return settings
