"""Kernels: functions that are compiled, and how Python calls them.

`kernel` and `inlined` mark the inner functions, `kernel_entry` those that Python calls. All entries and what they use
are one compiled program (`engine.program`; what only a checked run calls is another), made once for a version
of the sources and kept in the user's cache directory; a warm process loads it in milliseconds and never imports
the compiler. The first parameter of an entry is usually a block of arrays (`engine.array_block`), the others are
whole numbers, floats, or arrays declared like `Annotated[Array, np.int64, 1]`.

Kernels are IEEE arithmetic in the written order: no fastmath, division by zero as in C. They make no arrays
and count no references. Kernel modules import their decorator from here and nothing of the compiler.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any, TypeVar, get_type_hints

import numpy.typing as npt

from clustersim.engine import program
from clustersim.engine.array_block import ArrayKind, Pointer, array_kind, descriptor
from clustersim.errors import KernelError

Array = npt.NDArray[Any]
"""A numpy array, of plain numbers or of records; its dtype stands where it is made or declared."""

Function = TypeVar("Function", bound=Callable[..., Any])

ENTRIES: dict[str, Entry] = {}
"""Every entry that has been defined, by its symbol."""


class Kernel:
    """An inner function of the program. Called from Python (tests do) it is compiled by itself."""

    def __init__(self, function: Callable[..., Any], *, inline: bool = False) -> None:
        self.function = function
        self.inline = inline
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__
        self.__module__ = function.__module__
        self._alone: Any = None

    @property
    def alone(self) -> Any:
        """The function compiled by itself; the compiler is imported for this."""
        if self._alone is None:
            from clustersim.engine.numba_types import compile_alone, register_kernel_type

            register_kernel_type(Kernel)
            self._alone = compile_alone(self)
        return self._alone

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel compiled by itself."""
        return self.alone(*arguments)


class Entry(Kernel):
    """A kernel that Python calls, by way of the loaded program."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self.symbol = f"{function.__module__.removeprefix('clustersim.').replace('.', '_')}_{self.__name__}"
        self.program = program.program_of(function.__module__)
        self._native: Any = None
        self._result: Any = None
        self._arguments: list[Callable[[Any], Any]] = []
        ENTRIES[self.symbol] = self

    @property
    def signature(self) -> tuple[list[Any], Any]:
        """The kinds of the parameters (a block's class, an `ArrayKind`, int, float) and of the result."""
        hints = get_type_hints(self.function, include_extras=True)
        result = hints.pop("return")
        return [array_kind(hint) or hint for hint in hints.values()], result

    def _load(self) -> None:
        """Find the function in the program and prepare what a call needs."""
        kinds, result = self.signature
        words: list[Any] = []
        self._plain = True
        for kind in kinds:
            if isinstance(kind, ArrayKind):
                words += [ctypes.c_int64] * kind.words
                self._plain = False
            else:
                words.append(ctypes.c_double if kind is float else ctypes.c_int64)
        self._kinds = kinds
        self._result = ctypes.c_double() if result is float else ctypes.c_int64()
        self._where = ctypes.byref(self._result)
        self._fault = ctypes.c_void_p()
        self._why = ctypes.byref(self._fault)
        self._convert = bool if result is bool else None
        of = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *words)
        self._native = of(program.address(self.symbol, self.program))

    def __call__(self, *arguments: Any) -> Any:
        """Call the native function; a kernel that raises ends in a KernelError."""
        if self._native is None:
            self._load()
        words: list[Any] = []
        for kind, value in zip(self._kinds, arguments, strict=True):
            if kind in (int, bool):
                words.append(int(value))
            elif kind is float:
                words.append(float(value))
            elif isinstance(kind, ArrayKind):
                words += _checked(self, kind, value)
            else:
                words.append(_address(self, kind, value))
        self._result.value = 0
        if self._native(self._where, self._why, *words) != 0:
            raise KernelError(f"kernel {self.__name__} was asked for an illegal step")
        return self._result.value if self._convert is None else self._convert(self._result.value)


def _checked(asked: Entry, kind: ArrayKind, value: Any) -> list[int]:
    if not kind.holds(value):
        raise TypeError(f"{asked.__name__} takes no array of {value.dtype} with {value.ndim} dimensions here")
    return descriptor(value)


def _address(asked: Entry, kind: type, value: Any) -> int:
    if not isinstance(value, Pointer) or value.of is not kind:
        raise TypeError(f"{asked.__name__} takes a pointer to {kind.__name__} here")
    return value.address


def kernel(function: Function) -> Function:
    """An inner kernel."""
    return Kernel(function)  # type: ignore[return-value]


def inlined(function: Function) -> Function:
    """An inner kernel whose small body every call site should hold itself."""
    return Kernel(function, inline=True)  # type: ignore[return-value]


def kernel_entry(function: Function) -> Function:
    """A kernel that Python calls."""
    return Entry(function)  # type: ignore[return-value]
