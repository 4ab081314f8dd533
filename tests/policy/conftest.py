"""Kernels of policies run as plain Python: their tests call them one by one, and nothing is compiled for that."""

from __future__ import annotations

from tests.back_ends import kernels_in_python

__all__ = ["kernels_in_python"]
