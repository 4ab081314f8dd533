"""The resolved scenario's columns: rows of a task trace as arrays.

Decides nothing; `resolve_jobs` makes them. Must not know who runs the tasks. `model` gives the names on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.scenario.sections.resolved_section import Resolved

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


class TraceTable(Resolved):
    """The rows of a task trace as columns, sorted by `submit_ms` (ms since `start`).

    Rows of one instant keep the order of the file. Columns of codes and durations are of the narrowest type
    that holds them: a trace may have millions of rows.
    """

    submit_ms: Int64s
    duration_ms: npt.NDArray[Any]
    sizes: Int32s
    """[size, 3]: CPU units, MiB and GPUs, ascending."""
    size: npt.NDArray[Any]
    """Of each row, its row of `sizes`."""
    instances: Int32s
    groups: tuple[str, ...] | None = None
    """The labels that rows have, in the order of their first rows; None: the trace has none."""
    group: npt.NDArray[Any] | None = None
    """Of each row, its position in `groups`."""
    reference_id: Any = None  # Arrow strings, or None

    def __len__(self) -> int:
        return len(self.submit_ms)
