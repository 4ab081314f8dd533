"""Shared configuration of all tests: the import path, the hypothesis profile, one build of each compiled program."""

from __future__ import annotations

import fcntl
import sys
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# The same examples in every run, so that a failure is reproducible. `--hypothesis-profile=default` draws new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.load_profile("suite")


@pytest.fixture(scope="session", autouse=True)
def one_build_of_each_program() -> None:
    """Let pytest's workers wait for each other instead of each compiling the same program into a cold cache."""
    from clustersim.engine import object_cache, program

    make = program._make

    def make_once(name: str) -> bytes:
        if not object_cache.usable_folder():
            return make(name)
        with program.path(name).with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return object_cache.read(program.path(name)) or make(name)

    program._make = make_once
