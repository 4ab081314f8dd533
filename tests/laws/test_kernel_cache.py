"""The cache of the compiled program is shared by processes, and optional where nothing can be written.

The processes of these tests take the program that the suite has compiled already in place of compiling it, except in
the nightly tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clustersim.engine import backends, object_cache, program
from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import using

PROGRAM = """
import logging, os, sys
logging.basicConfig()
import numpy as np
from clustersim.engine import program
from clustersim.engine.array_block import pointer
from clustersim.policy.scaling import cloudwatch_alarms as alarms
from clustersim.policy.scaling.service_scaling import TargetTables, new_cooldowns

COPY = "import clustersim.errors, pathlib, sys; sys.stdout.buffer.write(pathlib.Path(sys.argv[1]).read_bytes())"
run = program.subprocess.run

def copy(command, **options):
    assert command[2:] == ["-m", "clustersim.engine.build", "kernels"], command
    return run([*command[:2], "-c", COPY, os.environ["COMPILED_BEFORE"]], **options)

if "COMPILED_BEFORE" in os.environ:
    program.subprocess.run = copy
cold = program.is_cold()
table = np.zeros(1, alarms.AlarmRow.dtype)
table["window"] = table["needed"] = table["period_ticks"] = 1
words = [np.zeros(1, np.int64) for _ in range(6)]
targets = TargetTables(*words[:5], new_cooldowns(1))
tables = alarms.AlarmTables(table, np.ones((1, 1)), np.zeros(1), targets, words[5])
value = alarms.evaluate_alarms(pointer(tables), 0) + 5
print(cold, value, program.is_cold(), "numba" in sys.modules)
"""
ROOT = Path(__file__).parent.parent.parent


pytestmark = pytest.mark.slow


@pytest.fixture(params=["copied", pytest.param("compiled", marks=pytest.mark.nightly)])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of a process that compiles its program, or takes a copy of what was compiled before."""
    of_all = {**os.environ, "PYTHONPATH": str(ROOT), backends.VARIABLE: BackEnd.PROGRAM}
    if request.param == "compiled":
        return of_all
    with using(BackEnd.PROGRAM):
        program.prepare()
    code = object_cache.read(program.path())
    assert code is not None
    (tmp_path / "compiled").write_bytes(code)
    return {**of_all, "COMPILED_BEFORE": str(tmp_path / "compiled")}


def _start(environment: dict[str, str], cache: Path, where: Path | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**environment, "CLUSTERSIM_CACHE_DIR": str(cache)},
        cwd=where,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out.split(), err


@pytest.mark.slow
def test_two_processes_share_a_cold_cache(environment: dict[str, str], tmp_path: Path) -> None:
    """Both compile at once into one folder and get the same numbers; a third loads the cache without the compiler.

    One runs in a directory with another package clustersim, whose sources must not be compiled.
    """
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    (elsewhere / "clustersim").mkdir(parents=True)
    (elsewhere / "clustersim" / "__init__.py").write_text("raise ImportError('not this one')\n")
    both = [_start(environment, cache), _start(environment, cache, elsewhere)]
    first, second = (_finish(process)[0] for process in both)
    third, _ = _finish(_start(environment, cache))
    assert first[1:] == second[1:] == third[1:] == ["5", "False", "False"]
    assert "True" in (first[0], second[0])  # whoever came first
    assert third[0] == "False"
    assert len(list(cache.iterdir())) == 1  # no partial file is left


def test_without_a_writable_directory_kernels_are_compiled_for_the_process(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """A folder below a file cannot be created, by any user; one line reports it, and the run continues."""
    (tmp_path / "file").touch()
    words, errors = _finish(_start(environment, tmp_path / "file" / "cache"))
    assert words == ["True", "5", "True", "False"]
    assert errors.count("no writable cache directory") == 1
