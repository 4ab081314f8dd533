"""The command line tells who waits for kernels to be compiled; its tests expect a compiled program."""

from __future__ import annotations

import pytest

from clustersim.engine import program


@pytest.fixture(scope="session", autouse=True)
def compiled_program(one_build_of_each_program: None) -> None:
    """Compile the program before the first test, unless that was done before."""
    program.prepare()
