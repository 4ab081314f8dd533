"""The resolved scenario's columns: rows of a task trace as arrays.

Decides nothing; `resolve_jobs` makes them. Must not know who runs the tasks. `model` gives the names on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.scenario.model_base import Resolved

Int32s = npt.NDArray[np.int32]
Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]


class TraceTable(Resolved):
    """The rows of a task trace as columns, sorted by `submit_ms` (ms since `start`)."""

    submit_ms: Int64s
    duration_ms: Int64s
    cpu: Int32s
    memory_mib: Int32s
    gpus: Int32s
    instances: Int32s
    group: tuple[str, ...] | None = None
    reference_id: Any = None  # Arrow strings, or None

    def __len__(self) -> int:
        return len(self.submit_ms)
