"""Python functions that kernels call: the way back from compiled code into Python.

A kernel gets the `address` of a `Callback` in an array or an argument and calls `call_python` with it, in any back
end. What the function raises ends the kernel, and the entry that Python called raises it. A call costs about a
microsecond more than the function, so this is for functions of the user, not for rules of our own.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

FAILED = -(1 << 62)
"""The value of a call whose function raised; the kernel must raise then, too."""

Function = Callable[[int, int], int]

_PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
_known: WeakValueDictionary[int, Callback] = WeakValueDictionary()
_raised = threading.local()


class Callback:
    """A function of two whole numbers that returns one, for kernels to call as long as this object lives."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._native: Any = _PROTOTYPE(self.call)
        self.address = int(ctypes.cast(self._native, ctypes.c_void_p).value or 0)
        _known[self.address] = self

    def call(self, first: int, second: int) -> int:
        """Return what the function returns; FAILED if it raises, and keep what it raised."""
        try:
            return self._function(int(first), int(second))
        except BaseException as error:
            _raised.error = error
            return FAILED


def call_python(address: int, first: int, second: int) -> int:
    """Call the `Callback` at an address; FAILED if its function raised.

    Kernels call this; `engine.numba_kernels` has the compiled form.
    """
    return _known[address].call(first, second)


def take_raised() -> BaseException | None:
    """Return what a function called from a kernel of this thread raised, once; None: nothing."""
    error = getattr(_raised, "error", None)
    _raised.error = None
    return error
