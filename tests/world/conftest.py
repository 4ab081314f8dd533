"""Kernels of the world run as plain Python where tests call them one by one: nothing is compiled for that."""

from __future__ import annotations

from tests.back_ends import kernels_in_python

__all__ = ["kernels_in_python"]
