"""The cache of compiled kernels: shared by processes, and done without where nothing can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import logging
logging.basicConfig()
from clustersim.engine.compiled import CACHE, cache_is_cold
cold = cache_is_cold()
from clustersim.engine.chance import stream_key, uniform
from clustersim.engine.heap import new_heap, pop, push
heap = new_heap(4)
push(heap, 0, 7, 0, 1, 1)
pop(heap, 1)
print(CACHE is not None, cold, uniform(stream_key(1, 0, "a"), 2, 3))
"""
ROOT = Path(__file__).parent.parent.parent


def _start(cache: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "CLUSTERSIM_CACHE_DIR": str(cache), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _finish(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.split(), err


def test_two_processes_share_a_cold_cache(tmp_path: Path) -> None:
    """Both compile at once into one folder, get the same numbers, and a third finds it warm."""
    both = [_start(tmp_path), _start(tmp_path)]
    first, second = (_finish(process)[0] for process in both)
    third, _ = _finish(_start(tmp_path))
    assert first[0] == second[0] == third[0] == "True"
    assert first[2] == second[2] == third[2]
    assert third[1] == "False"
    assert list(tmp_path.rglob("*.nbi"))
    assert not list(tmp_path.rglob("*.tmp*"))


def test_without_a_place_to_write_kernels_are_compiled_for_the_process(tmp_path: Path) -> None:
    """A folder below a file cannot be made, whoever asks; one line says so, and the run goes on."""
    (tmp_path / "file").touch()
    words, errors = _finish(_start(tmp_path / "file" / "cache"))
    assert words[0] == "False"
    assert errors.count("no writable cache directory") == 1
