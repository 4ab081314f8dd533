"""The option `--renew-golden`, which replaces the stored summaries: `pytest tests/golden --renew-golden`."""

from __future__ import annotations

import pytest

from tests.back_ends import kernels_in_python

__all__ = ["kernels_in_python"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--renew-golden", action="store_true", default=False, help="store new golden summaries")


@pytest.fixture
def renew_golden(pytestconfig: pytest.Config) -> bool:
    """Whether stored summaries are replaced instead of compared."""
    return bool(pytestconfig.getoption("--renew-golden", default=False))
