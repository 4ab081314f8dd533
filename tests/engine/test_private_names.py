"""Names that numba and llvmlite do not promise to keep stand in one module, and no version is ruled out."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from clustersim.engine.program import TESTED_UP_TO

ROOT = Path(__file__).parent.parent.parent
PRIVATE = ROOT / "clustersim" / "engine" / "numba_private.py"
SUPPORTED = {"numba", "numba.extending", "numba.types", "llvmlite", "llvmlite.ir", "llvmlite.binding"}
OPTIONS = ("_nrt", "no_cpython_wrapper", "no_cfunc_wrapper", "pipeline_class", "forceinline")


def _uses(path: Path) -> list[str]:
    """Every use of a name of numba or llvmlite that is not one of those supported, and of a private option."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found, modules = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            modules |= {
                alias.asname or alias.name.split(".")[0] for alias in node.names if _is_theirs(alias.name)
            }
            found += [name for name in names if _is_theirs(name) and name not in SUPPORTED]
        elif isinstance(node, ast.ImportFrom) and _is_theirs(str(node.module)):
            modules |= {alias.asname or alias.name for alias in node.names}
            if node.module not in SUPPORTED:
                found.append(str(node.module))
            found += [alias.name for alias in node.names if alias.name.startswith("_")]
        elif isinstance(node, ast.keyword) and node.arg in OPTIONS:
            found.append(str(node.arg))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner, name = ast.unparse(node.value), node.attr
            if owner.split(".")[0] in modules and (name.startswith("_") or name in ("core", "np")):
                found.append(f"{owner}.{name}")
    return found


def _is_theirs(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in ("numba", "llvmlite")


def test_private_names_are_in_one_module() -> None:
    uses = {path: _uses(path) for path in sorted((ROOT / "clustersim").rglob("*.py"))}
    assert {path.name: found for path, found in uses.items() if found and path != PRIVATE} == {}


def test_the_search_for_private_names_finds_those_that_are_there() -> None:
    assert {"numba.core.codegen", "numba.core.compiler", "_nrt"} <= set(_uses(PRIVATE))


def test_dependencies_have_no_newest_version_of_the_compiler() -> None:
    """Beyond the newest that was tested the fallback is taken, so that an installation is not held back."""
    written = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    (numba,) = [each for each in written["project"]["dependencies"] if each.startswith("numba")]
    assert "<" not in numba
    assert set(TESTED_UP_TO) == {"numba", "llvmlite"}
