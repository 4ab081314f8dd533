"""Folders whose kernels run as plain Python: their conftest imports the fixture.

Without a compiler a traceback leads into the kernel, coverage counts its lines, and an index beyond an array is an
error. What takes long this way is marked `compiled`. CLUSTERSIM_KERNELS, where it is set, decides for all tests.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from clustersim.engine.backends import VARIABLE, BackEnd, current
from clustersim.engine.compiled import using


@pytest.fixture(autouse=True)
def kernels_in_python(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run kernels as plain Python, unless a test is marked `compiled`."""
    compiled = VARIABLE in os.environ or request.node.get_closest_marker("compiled") is not None
    with using(current() if compiled else BackEnd.PYTHON):
        yield
