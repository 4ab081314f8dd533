"""The digest of a program: it changes with all that the program's code depends on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from clustersim.engine import sources
from clustersim.engine.sources import CHECKS, KERNELS

ROOT = Path(__file__).parent.parent.parent
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "clustersim").rglob("*.py"))
}
DECORATORS = ("kernel", "inlined", "kernel_entry")


def _digest(program: str) -> str:
    """The digest, worked out anew."""
    return sources.digest.__wrapped__(program)


def _imported(path: Path) -> set[str]:
    """What Python's own parser finds: modules of clustersim that a file imports when it is imported."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "clustersim"}
        if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "clustersim":
            found.add(str(node.module))
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name in MODULES or f"{name}.__init__" in MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_imports_are_those_that_python_finds(name: str) -> None:
    """A pattern over lines takes a tenth of the time of a parser, and must find the same."""
    found = sources.imported(MODULES[name].read_bytes())
    known = {each for each in found if each in MODULES or f"{each}.__init__" in MODULES}
    assert known == _imported(MODULES[name])


def test_kernel_modules_are_those_with_a_decorated_function() -> None:
    """In the engine, policies and the world, sub-packages too; each is of one program."""
    decorated = [
        name
        for name, path in MODULES.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(each, ast.Name) and each.id in DECORATORS for each in node.decorator_list)
    ]
    kernels, checks = sources.kernel_modules(KERNELS), sources.kernel_modules(CHECKS)
    assert set(kernels) | set(checks) == set(decorated)
    assert not set(kernels) & set(checks)


@pytest.mark.parametrize(
    "module",
    [
        "clustersim.policy.images.pull_error_messages",
        "clustersim.vocabulary",
        "clustersim.world.state.tables",
        "clustersim.engine.numba_private",
        "clustersim.engine.build",
    ],
)
def test_a_changed_constant_is_another_program(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a module without any kernel, too: its constants are compiled into those that import it."""
    before, read = _digest(KERNELS), sources._source
    monkeypatch.setattr(
        sources, "_source", lambda name: read(name).replace(b"1", b"2") if name == module else read(name)
    )
    assert _digest(KERNELS) != before


def test_what_no_kernel_imports_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user need not wait for the compiler after a change of a report."""
    before, read = _digest(KERNELS), sources._source
    monkeypatch.setattr(
        sources, "_source", lambda name: b"" if name == "clustersim.study.pages.metric_labels" else read(name)
    )
    assert _digest(KERNELS) == before


@pytest.mark.parametrize(("name", "value"), [("NUMBA_OPT", "1"), ("NUMBA_CPU_NAME", "generic")])
def test_the_settings_of_the_compiler_are_part_of_it(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _digest(KERNELS)
    monkeypatch.setenv(name, value)
    assert _digest(KERNELS) != before


def test_so_is_its_file_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = _digest(KERNELS)
    monkeypatch.chdir(tmp_path)
    assert _digest(KERNELS) == before
    (tmp_path / ".numba_config.yaml").write_text("opt: 1\n")
    assert _digest(KERNELS) != before


def test_the_versions_and_the_processor_are_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import llvmlite.binding as llvm

    before = _digest(KERNELS)
    with monkeypatch.context() as patch:
        patch.setattr(sources, "version", lambda name: "99.0")
        assert _digest(KERNELS) != before
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "another")
    assert _digest(KERNELS) != before
