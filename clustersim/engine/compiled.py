"""Kernels: functions that are compiled, and the way from Python into them.

`kernel` and `inlined` mark inner functions, `kernel_entry` those that Python calls. Normally all entries and what
they use are one compiled program (`engine.program`), which a warm process loads in milliseconds without importing the
compiler; `engine.backends` says what else can run them. The first parameter of an entry is usually a block of arrays
(`engine.array_block`), the others are whole numbers, floats, or arrays declared like `Annotated[Array, np.int64, 1]`.

Kernels are IEEE arithmetic in the written order: no fastmath, division by zero as in C. They make no arrays
and count no references. Kernel modules import their decorator from here and nothing of the compiler.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar, get_type_hints

import numpy as np
import numpy.typing as npt

from clustersim.engine import backends, program
from clustersim.engine.array_block import ArrayKind, Pointer, array_kind, descriptor
from clustersim.engine.backends import BackEnd
from clustersim.engine.callbacks import take_raised
from clustersim.engine.sources import program_of
from clustersim.errors import KernelError

Array = npt.NDArray[Any]
"""A numpy array, of plain numbers or of records; its dtype stands where it is made or declared."""

Function = TypeVar("Function", bound=Callable[..., Any])

ENTRIES: dict[str, Entry] = {}
"""Every entry that has been defined, by its symbol."""


class Kernel:
    """An inner function. Called from Python, as tests do, it is run by itself and not as part of the program."""

    def __init__(self, function: Callable[..., Any], *, inline: bool = False) -> None:
        self.function = function
        self.inline = inline
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self._as_function: Callable[..., Any] | None = None
        self._call_in_python: Callable[[tuple[Any, ...]], Any] | None = None

    @property
    def as_function(self) -> Callable[..., Any]:
        """The kernel as a Python function, which calls others as such."""
        if self._as_function is None:
            from clustersim.engine.python_kernels import as_function

            self._as_function = as_function(self.function, Kernel)
        return self._as_function

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel by itself, by the back end of this process; what it raises is not wrapped."""
        return self._called_alone(arguments)

    def _called_alone(self, arguments: tuple[Any, ...]) -> Any:
        if backends.current() is BackEnd.PYTHON:
            if self._call_in_python is None:
                from clustersim.engine.python_kernels import call

                self._call_in_python = partial(call, self.as_function)
            return self._call_in_python(arguments)
        from clustersim.engine import numba_kernels

        numba_kernels.register_kernels(Kernel)
        return numba_kernels.call(self, arguments)


class Entry(Kernel):
    """A kernel that Python calls, normally by way of the loaded program."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.symbol = f"{function.__module__.removeprefix('clustersim.').replace('.', '_')}_{self.__name__}"
        self.program = program_of(function.__module__)
        self._native: Any = None
        self._result: Any = None
        self._kinds: list[Any] | None = None
        ENTRIES[self.symbol] = self

    @property
    def signature(self) -> tuple[list[Any], Any]:
        """The kinds of the parameters (a block's class, an `ArrayKind`, int, float) and of the result."""
        hints = get_type_hints(self.function, include_extras=True)
        result = hints.pop("return")
        return [array_kind(hint) or hint for hint in hints.values()], result

    def _load(self) -> bool:
        """Find the function in the program and prepare what a call needs; False: another back end is to be used."""
        if self._kinds is None:
            self._kinds, result = self.signature
            self._convert = {bool: bool, int: int, float: float}.get(result)
            self._result = ctypes.c_double() if result is float else ctypes.c_int64()
            self._where = ctypes.byref(self._result)
            self._fault = ctypes.c_void_p()
            self._why = ctypes.byref(self._fault)
            self._is_bool = result is bool
        if not backends.uses_program():
            return False
        try:
            address = program.address(self.symbol, self.program)
        except KernelError as error:
            backends.fall_back(str(error))
            return False
        words: list[Any] = []
        for kind in self._kinds:
            if isinstance(kind, ArrayKind):
                words += [ctypes.c_int64] * kind.words
            else:
                words.append(ctypes.c_double if kind is float else ctypes.c_int64)
        self._native = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *words)(address)
        return True

    def __call__(self, *arguments: Any) -> Any:
        """Call the native function; a kernel that raises ends in a KernelError, or in what a callback raised."""
        if self._native is None and not self._load():
            return self._call_elsewhere(arguments)
        words: list[Any] = []
        for kind, value in zip(self._kinds, arguments, strict=True):  # type: ignore[arg-type]  # it is loaded
            if kind in (int, bool):
                words.append(int(value))
            elif kind is float:
                words.append(float(value))
            elif isinstance(kind, ArrayKind):
                words += descriptor(_checked(self, kind, value))
            else:
                words.append(_pointed(self, kind, value).address)
        self._result.value = 0
        status = self._native(self._where, self._why, *words)
        if status != 0:
            raise take_raised() or self._failure(status)
        return bool(self._result.value) if self._is_bool else self._result.value

    def _call_elsewhere(self, arguments: tuple[Any, ...]) -> Any:
        """Call the kernel by another back end than the program, with the same checks of arguments."""
        converted: list[Any] = []
        for kind, value in zip(self._kinds or (), arguments, strict=True):
            if kind in (int, bool):
                converted.append(int(value))
            elif kind is float:
                converted.append(np.float64(value))
            elif isinstance(kind, ArrayKind):
                converted.append(_checked(self, kind, value))
            else:
                converted.append(_pointed(self, kind, value))
        try:
            result = self._called_alone(tuple(converted))
        except Exception as error:
            raised = take_raised()
            if raised is not None:
                raise raised from None
            raise KernelError(f"kernel {self.__name__} failed: {type(error).__name__}: {error}") from error
        return result if self._convert is None else self._convert(result)

    def _failure(self, status: int) -> KernelError:
        """Return an error that says what ended a kernel of the program, with its cause where that was left."""
        again = f"{backends.VARIABLE}={BackEnd.PYTHON} shows the traceback"
        try:
            from clustersim.engine.numba_private import raised

            found = raised(status, self._fault.value)
        except (
            Exception
        ) as error:  # of numba's private names, which may be gone: the failure is still to be told
            found = None
            again += f"; its cause is not known here ({type(error).__name__}: {error})"
        if found is None:
            return KernelError(f"kernel {self.__name__} failed with status {status}; {again}")
        cause, place = found
        failure = KernelError(
            f"kernel {self.__name__} failed: {type(cause).__name__}: {cause} ({place}); {again}"
        )
        failure.__cause__ = cause
        return failure


@contextmanager
def using(back_end: BackEnd) -> Iterator[None]:
    """Run kernels by another back end for a while, as tests do."""
    before = backends.current()
    _select(back_end)
    try:
        yield
    finally:
        _select(before)


def _select(back_end: BackEnd) -> None:
    if back_end is not backends.current():
        backends.select(back_end)
        for entry in ENTRIES.values():
            entry._native = None


def _checked(asked: Entry, kind: ArrayKind, value: Any) -> Any:
    if not kind.holds(value):
        raise TypeError(f"{asked.__name__} takes no array of {value.dtype} with {value.ndim} dimensions here")
    return value


def _pointed(asked: Entry, kind: type, value: Any) -> Pointer:
    if not isinstance(value, Pointer) or value.of is not kind:
        raise TypeError(f"{asked.__name__} takes a pointer to {kind.__name__} here")
    return value


def kernel(function: Function) -> Function:
    """Mark a function as an inner kernel."""
    return Kernel(function)  # type: ignore[return-value]


def inlined(function: Function) -> Function:
    """Mark a function as an inner kernel whose small body is copied into every call site."""
    return Kernel(function, inline=True)  # type: ignore[return-value]


def kernel_entry(function: Function) -> Function:
    """Mark a function as a kernel that Python calls."""
    return Entry(function)  # type: ignore[return-value]
