"""Record declarations: a class gives the dtype of a table's rows, the types that mypy checks, and the documentation.

    class Task(Record):
        \"\"\"A live task.\"\"\"

        created: Milliseconds
        \"\"\"The instant of its creation.\"\"\"

A table of such rows is declared as `Table[Task]` in a block of arrays (`engine.array_block`). Kernels and Python read
`tasks[slot].created`, numpy reads the column `tasks["created"]`. Scalars that belong together are a `Scalars` class:
one 64-bit integer per field, read by name in Python and in kernels. Knows neither ECS nor the compiler.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Generic, TypeVar, cast, get_type_hints, overload

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
"""A numpy array of plain numbers or of records; its dtype stands where it is made or declared."""

Int64 = Annotated[int, np.int64]
Int32 = Annotated[int, np.int32]
Int16 = Annotated[int, np.int16]
Int8 = Annotated[int, np.int8]
Float64 = Annotated[float, np.float64]

Milliseconds = Int64
"""An instant (ms since the first instant of the simulation, -1: has not happened) or a duration in ms."""
Position = Int64
"""The position of a row in another table; -1: none."""
Count = Int64
Flag = Int8
"""0 or 1."""
RandomKey = Annotated[np.uint64, np.uint64]
"""The key of a random stream (`engine.random_streams`)."""
Usd = Float64


class Record:
    """The base of record declarations; every annotation of a subclass is a field, in order."""

    dtype: ClassVar[np.dtype[Any]]

    if TYPE_CHECKING:

        def __getitem__(self, field: str) -> Any:
            """Read a field of a row in Python, where a row is a numpy record without attributes."""

        def __setitem__(self, field: str, value: Any) -> None:
            """Write a field of a row in Python."""

    def __init_subclass__(cls) -> None:
        """Make the dtype; fields are aligned as C would align them."""
        hints = get_type_hints(cls, include_extras=True)
        fields = [(name, hint.__metadata__[0]) for name, hint in hints.items() if name != "dtype"]
        cls.dtype = np.dtype(fields, align=True)


R = TypeVar("R", bound=Record)

if TYPE_CHECKING:

    class Table(np.ndarray[Any, np.dtype[Any]], Generic[R]):
        """A one-dimensional table of records."""

        @overload  # type: ignore[override]
        def __getitem__(self, index: int | np.integer[Any]) -> R: ...
        @overload
        def __getitem__(self, index: str | list[str]) -> Array: ...
        @overload
        def __getitem__(self, index: slice | Array) -> Table[R]: ...
        def __getitem__(self, index: Any) -> Any: ...

    class Table2D(np.ndarray[Any, np.dtype[Any]], Generic[R]):
        """A two-dimensional table of records."""

        @overload  # type: ignore[override]
        def __getitem__(self, index: tuple[int | np.integer[Any], int | np.integer[Any]]) -> R: ...
        @overload
        def __getitem__(self, index: str | slice | Array | int | np.integer[Any]) -> Array: ...
        def __getitem__(self, index: Any) -> Any: ...

else:

    class Table:
        """A one-dimensional table of records: `Table[Task]` declares a field of a block of arrays."""

        def __class_getitem__(cls, record: type[Record]) -> Any:
            """Return the declaration that `engine.array_block` reads."""
            return Annotated[Array, record.dtype, 1]

    class Table2D:
        """A two-dimensional table of records."""

        def __class_getitem__(cls, record: type[Record]) -> Any:
            """Return the declaration that `engine.array_block` reads."""
            return Annotated[Array, record.dtype, 2]


def new_table(record: type[R], rows: int) -> Table[R]:
    """Return a table of `rows` records, all zero."""
    return cast("Table[R]", np.zeros(rows, record.dtype))


def as_table(record: type[R], rows: Any) -> Table[R]:
    """Return an array of `record.dtype`, or a list of tuples, as a table that mypy knows."""
    return cast("Table[R]", np.asarray(rows, record.dtype))


def new_table_2d(record: type[R], rows: int, columns: int) -> Table2D[R]:
    """Return a table of `rows` x `columns` records, all zero."""
    return cast("Table2D[R]", np.zeros((rows, columns), record.dtype))


class _Scalar:
    """A field of a `Scalars` class: reads and writes its place in the array."""

    __slots__ = ("position",)

    def __init__(self, position: int) -> None:
        self.position = position

    def __get__(self, owner: Scalars, _: type) -> int:
        return cast(int, owner.values.item(self.position))

    def __set__(self, owner: Scalars, value: int) -> None:
        owner.values[self.position] = value


class Scalars:
    """Named 64-bit integers in one array, shared with kernels; every annotation of a subclass is a field."""

    dtype: ClassVar[np.dtype[Any]]
    __slots__ = ("values",)

    def __init__(self, **values: int) -> None:
        self.values: Array = np.zeros(len(self.dtype.names or ()), np.int64)
        for name, value in values.items():
            setattr(self, name, value)

    def __init_subclass__(cls) -> None:
        """Make the dtype and an accessor for each field."""
        names = list(cls.__annotations__)
        cls.dtype = np.dtype([(name, np.int64) for name in names])
        for position, name in enumerate(names):
            setattr(cls, name, _Scalar(position))
