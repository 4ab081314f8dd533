"""Python functions that kernels call, in each back end."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest

from clustersim.engine.backends import BackEnd
from clustersim.engine.callbacks import FAILED, Callback, call_python
from clustersim.engine.compiled import kernel_entry, using
from clustersim.engine.random_streams import draw_uniform
from clustersim.engine.records import Array

BACK_ENDS = [BackEnd.PYTHON, BackEnd.NUMBA]


@kernel_entry
def sum_of_calls(addresses: Annotated[Array, np.int64, 1], count: int) -> int:
    """Call each function with 0, 1, ... and add up what they return."""
    total = 0
    for address in addresses:
        for number in range(count):
            returned = call_python(address, number, 10)
            if returned == FAILED:
                raise RuntimeError("a function failed")
            total += returned
    return total


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_kernel_calls_python_by_an_address(back_end: BackEnd) -> None:
    """3 numbers by two functions: (0 + 1 + 2) * 10, and 3 * 10 - (0 + 1 + 2)."""
    times, minus = Callback(lambda a, b: a * b), Callback(lambda a, b: b - a)
    with using(back_end):
        assert sum_of_calls(np.array([times.address, minus.address]), 3) == 30 + 27


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_what_the_function_raises_ends_the_kernel(back_end: BackEnd) -> None:
    """The entry raises the same object, and the next call is not affected."""

    def fail(first: int, _: int) -> int:
        if first == 2:
            raise KeyError("two")
        return first

    callback = Callback(fail)
    failing = np.array([callback.address])
    with using(back_end):
        with pytest.raises(KeyError, match="two"):
            sum_of_calls(failing, 5)
        assert sum_of_calls(failing, 2) == 1


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_the_function_may_call_kernels(back_end: BackEnd) -> None:
    keys = np.array([7], np.uint64)
    drawn = Callback(lambda a, b: int(1000 * draw_uniform(keys, a, b)))
    with using(back_end):
        expected = sum(int(1000 * draw_uniform(keys, number, 10)) for number in range(4))
        assert sum_of_calls(np.array([drawn.address]), 4) == expected
