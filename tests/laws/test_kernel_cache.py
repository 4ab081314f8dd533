"""The cache of the compiled program is shared by processes, and optional where nothing can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging, sys
logging.basicConfig()
import numpy as np
from clustersim.engine.program import is_cold, path
from clustersim.engine.array_block import pointer
from clustersim.policy.scaling import cloudwatch_alarms as alarms
from clustersim.policy.scaling.service_scaling import TargetTables, new_cooldowns
cold = is_cold()
table = np.zeros(1, alarms.AlarmRow.dtype)
table["window"] = table["needed"] = table["period_ticks"] = 1
words = [np.zeros(1, np.int64) for _ in range(6)]
targets = TargetTables(*words[:5], new_cooldowns(1))
tables = alarms.AlarmTables(table, np.ones((1, 1)), np.zeros(1), targets, words[5])
value = alarms.evaluate_alarms(pointer(tables), 0) + 5
print(cold, value, is_cold(), "numba" in sys.modules)
"""
ROOT = Path(__file__).parent.parent.parent


def _start(cache: Path, where: Path | None = None) -> subprocess.Popen[str]:
    environment = {**os.environ, "CLUSTERSIM_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM],
        env=environment,
        cwd=where,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out.split(), err


def test_two_processes_share_a_cold_cache(tmp_path: Path) -> None:
    """Both compile at once into one folder and get the same numbers; a third loads the cache without the compiler.

    One runs in a directory with another package clustersim, whose sources must not be compiled.
    """
    cache, elsewhere = tmp_path / "cache", tmp_path / "elsewhere"
    (elsewhere / "clustersim").mkdir(parents=True)
    (elsewhere / "clustersim" / "__init__.py").write_text("raise ImportError('not this one')\n")
    both = [_start(cache), _start(cache, elsewhere)]
    first, second = (_finish(process)[0] for process in both)
    third, _ = _finish(_start(cache))
    assert first == second == ["True", "5", "False", "False"]
    assert third == ["False", "5", "False", "False"]
    assert len(list(cache.iterdir())) == 1  # no partial file is left


def test_without_a_writable_directory_kernels_are_compiled_for_the_process(tmp_path: Path) -> None:
    """A folder below a file cannot be created, by any user; one line reports it, and the run continues."""
    (tmp_path / "file").touch()
    words, errors = _finish(_start(tmp_path / "file" / "cache"))
    assert words == ["True", "5", "True", "False"]
    assert errors.count("no writable cache directory") == 1
