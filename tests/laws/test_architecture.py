"""The structure of the code and its tests: imports point down, modules are small, tests are found by a module's name.

    0 vocabulary, errors | 1 engine, record, stats | 2 policy | 3 scenario | 4 world | 5 control | 6 simulation
    7 study | 8 cli, __init__

The sources are read with `ast`: nothing is imported, and imports inside functions count too.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections import defaultdict
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent.parent / "clustersim"
LAYERS = {
    **{"vocabulary": 0, "errors": 0, "engine": 1, "record": 1, "stats": 1, "policy": 2, "scenario": 3},
    **{
        "world": 4,
        "control": 5,
        "simulation": 6,
        "study": 7,
        "cli": 8,
        "__init__": 9,
        "__main__": 9,
    },
}
MODULES = sorted(PACKAGE.rglob("*.py"))
LONGEST_MODULE = 400
LARGEST_FOLDER = 22
LONGEST_FUNCTION = 60
TESTS = PACKAGE.parent / "tests"
TESTS_OF_THE_WHOLE = {"golden", "laws", "scenarios", "swarm"}  # folders of tests that are of no single room
WITHOUT_A_TEST = Path(__file__).parent / "modules_without_a_test.txt"
DEFINED_TWICE = {
    "call": "engine: the same step of two back ends, numba_kernels and python_kernels",
    "KernelLike": "engine: what each of these back ends asks of a kernel, which neither may import",
}
FOR_POLICY = ("clustersim.engine.compiled", "clustersim.engine.random_streams", "clustersim.engine.records")


def _name(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {_name(path) for path in MODULES}


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _layer(module: str) -> int:
    parts = module.split(".")
    return LAYERS["__init__" if len(parts) == 1 else parts[1]]


def _imports(path: Path, at_run_time: bool = False) -> set[str]:
    """Return the clustersim modules that a module imports, also in functions; `at_run_time` omits TYPE_CHECKING."""
    imported = set()
    skipped: set[ast.AST] = set()
    for node in ast.walk(_tree(path)):
        if at_run_time and isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            skipped |= set(ast.walk(node))
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}:{node.lineno} has a relative import"
            full = {f"{node.module}.{alias.name}" for alias in node.names} - {"clustersim.__version__"}
            imported |= {name if name in NAMES else str(node.module) for name in full}
    return {name for name in imported if name.split(".")[0] == "clustersim"}


def test_imports_point_down() -> None:
    """A module imports its own layer and those below, so it can be read without knowing the layers above."""
    upward = [
        f"{_name(path)} imports {name}"
        for path in MODULES
        for name in sorted(_imports(path))
        if _layer(name) > _layer(_name(path))
    ]
    assert upward == []


def test_engine_and_record_are_independent() -> None:
    """They share a layer and import nothing from each other."""
    for path in MODULES:
        for one, other in (("engine", "record"), ("record", "engine")):
            if f".{one}." in _name(path):
                assert not [name for name in _imports(path) if name.startswith(f"clustersim.{other}")]


def test_policies_import_only_the_compiler_and_random_streams_of_the_engine() -> None:
    """A policy is a function of its arguments: no calendar, no clock, no files."""
    for path in MODULES:
        if ".policy." in _name(path):
            below = {name for name in _imports(path) if _layer(name) == 1}
            assert below <= set(FOR_POLICY), _name(path)


def test_imports_have_no_cycles() -> None:
    """The modules have an order in which each comes after those it imports."""
    graph = {_name(path): _imports(path, at_run_time=True) - {_name(path)} for path in MODULES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(graph)


def _folder(path: Path) -> str:
    """The folder of a module; a top-level module counts as a folder of its own."""
    folder = str(path.parent.relative_to(PACKAGE))
    return _name(path) if folder == "." else folder


def test_folders_have_no_import_cycles() -> None:
    """The folders have an order in which each comes after those it imports at run time."""
    folders = {_name(path): _folder(path) for path in MODULES if path.name != "__init__.py"}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        below = {folders[name] for name in _imports(path, at_run_time=True) if name in folders}
        graph.setdefault(_folder(path), set()).update(below - {_folder(path)})
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


def test_folders_are_small_and_documented() -> None:
    """At most 22 files in a folder, and three sentences: what it decides, what it must not know, where to start."""
    folders = sorted({path.parent for path in MODULES} - {PACKAGE})
    assert [folder.name for folder in folders if len(list(folder.glob("*.*"))) > LARGEST_FOLDER] == []
    assert [
        folder.name
        for folder in folders
        if len(re.findall(r"\.(?=\s|$)", ast.get_docstring(_tree(folder / "__init__.py")) or "")) < 3
    ] == []


@pytest.mark.filterwarnings("default::UserWarning")
def test_modules_are_documented_and_long_ones_are_reported() -> None:
    """An opening paragraph; beyond 400 lines a warning, since a module may need a few more for one thing told whole."""
    sources = {path: path.read_text(encoding="utf-8") for path in MODULES}
    for path, source in sources.items():
        lines = len(source.splitlines())
        if lines > LONGEST_MODULE:
            warnings.warn(f"{_name(path)} has {lines} lines, more than {LONGEST_MODULE}", stacklevel=1)
    assert [
        _name(path) for path in MODULES if sources[path].strip() and not ast.get_docstring(_tree(path))
    ] == []


def test_functions_are_small() -> None:
    """At most 60 lines: a function that does not fit on a screen does several things."""
    long = [
        f"{_name(path)}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


def test_every_folder_of_tests_is_a_room() -> None:
    """Tests of `clustersim/ROOM/MODULE.py` are in `tests/ROOM/test_MODULE.py`; other folders test the whole."""
    rooms = {path.parent.relative_to(PACKAGE) for path in MODULES}
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert sorted(str(folder) for folder in folders - rooms) == sorted(TESTS_OF_THE_WHOLE - {"swarm"})
    assert all((TESTS / folder).is_dir() for folder in TESTS_OF_THE_WHOLE)


def test_modules_have_a_test_of_their_name() -> None:
    """Modules without one are listed in `modules_without_a_test.txt`, which may only shrink.

    Most of them are tested by way of a whole run, or by the test of the module that calls them.
    """
    listed = WITHOUT_A_TEST.read_text(encoding="utf-8").split()
    untested = [
        str(place)
        for place in (path.relative_to(PACKAGE) for path in MODULES)
        if place.stem not in ("__init__", "__main__")
        and not (TESTS / place.parent / f"test_{place.name}").exists()
    ]
    assert sorted(set(untested) - set(listed)) == [], "a new module needs a test of its name"
    assert sorted(set(listed) - set(untested)) == [], (
        "these have a test, or are gone: strike them off the list"
    )
    assert listed == sorted(listed)


def test_a_public_name_is_defined_in_one_module() -> None:
    """So a search for a class or function finds the one that is meant; exceptions are listed with their reason."""
    modules = defaultdict(list)
    for path in MODULES:
        for node in _tree(path).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                modules[node.name].append(_name(path))
    twice = {name: places for name, places in modules.items() if len(places) > 1}
    assert {name: places for name, places in twice.items() if name not in DEFINED_TWICE} == {}
    assert sorted(DEFINED_TWICE) == sorted(twice), "an exception that is none any more"


def test_only_the_engine_imports_numba() -> None:
    """Kernels import only the decorator, so a change of the compiler affects one package."""
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            if any(name.split(".")[0] in ("numba", "llvmlite") for name in names):
                assert ".engine." in _name(path) or ".record." in _name(path), _name(path)


def test_all_random_numbers_come_from_named_streams() -> None:
    """The `random` module and numpy's global state would make the random numbers of one entity depend on others."""
    for path in MODULES:
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                assert "random" not in [alias.name for alias in node.names], _name(path)
            if isinstance(node, ast.ImportFrom):
                assert node.module not in ("random", "numpy.random"), _name(path)
            if isinstance(node, ast.Attribute) and ast.unparse(node).startswith("np.random."):
                assert node.attr in ("Generator", "Philox", "SeedSequence", "random"), _name(path)
