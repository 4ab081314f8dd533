"""The distributions of a scenario, numbered as rows of a table for kernels.

It must not know what is drawn from them. `task_set_tables` keeps one table per world; `hazard_tables` and
`container_tables` add to it.
"""

from __future__ import annotations

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.records import Table, new_table
from clustersim.scenario.sections.scenario import Distribution
from clustersim.vocabulary import NEVER
from clustersim.world.state.tables import DistributionRow


class Distributions:
    """Interns distributions as rows of `State.calendar.distributions`."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, float, float, tuple[float, ...]], int] = {}

    def row(self, distribution: Distribution | None) -> int:
        """Return the row of `distribution`, -1 for None."""
        if distribution is None:
            return NEVER
        key = (distribution.code, distribution.a, distribution.b, distribution.values)
        return self._rows.setdefault(key, len(self._rows))

    def __len__(self) -> int:
        return len(self._rows)

    def arrays(self) -> tuple[Table[DistributionRow], Array]:
        """Return (`State.calendar.distributions`, `State.calendar.distribution_values`)."""
        table = new_table(DistributionRow, max(1, len(self._rows)))
        values: list[float] = []
        for r, (code, a, b, empirical) in enumerate(self._rows):
            first = len(values)
            values.extend(empirical)
            table[r] = (code, a, b, first, len(values))
        return table, np.array(values or [0.0], np.float64)
