"""The placement strategies by name, and their codes in the chains that kernels follow.

Declares which strategies a scenario may write (`STRATEGIES`), by which fields, and what each needs. It decides nothing:
`policy.placement.placement` chooses hosts by these codes, `policy.placement.scale_in_victims` chooses tasks to stop.
`scenario` checks names by this table, `world.build.task_set_tables` makes chains with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

# Codes of the rules of a chain, each with an argument; a chain ends with END (ECS API: PlacementStrategy).
END, BINPACK_CPU, BINPACK_MEMORY, SPREAD_INSTANCE, SPREAD_ATTRIBUTE, RANDOM, FEWEST_OF_GROUP, CUSTOM = range(
    8
)

ZONE = 0  # the row of `Hosts.values` that holds Availability Zones


_SPELLINGS = {"host": "instanceId"}  # what else the API takes for a field
ANY_ATTRIBUTE = "attribute:NAME"
NO_FIELD = ""


@dataclass(frozen=True)
class Strategy:
    """A strategy that a scenario may write: its codes by the field that it goes by.

    Under `ANY_ATTRIBUTE` is the code for any attribute, under `NO_FIELD` that of a strategy that needs no field.
    """

    codes: Mapping[str, int]

    def spell(self, written: str | None) -> str | None:
        """Return a field in the API's spelling, NO_FIELD where none is needed; None if the strategy cannot go by it."""
        if NO_FIELD in self.codes:
            return NO_FIELD
        name = str(written or "")
        if name.startswith("attribute:") and ANY_ATTRIBUTE in self.codes:
            return name
        folded = {known.lower(): known for known in self.codes if known != ANY_ATTRIBUTE}
        return folded.get(_SPELLINGS.get(name.lower(), name).lower())

    def code(self, field: str | None) -> int:
        """Return the code for a field in the API's spelling. Raises KeyError if there is none."""
        if field is not None and field.startswith("attribute:"):
            return self.codes[ANY_ATTRIBUTE]
        return self.codes[field or NO_FIELD]

    @property
    def hint(self) -> str:
        """The fields that the strategy goes by, for messages."""
        return " or ".join(self.codes)


STRATEGIES: Mapping[str, Strategy] = {
    "spread": Strategy({"instanceId": SPREAD_INSTANCE, ANY_ATTRIBUTE: SPREAD_ATTRIBUTE}),
    "binpack": Strategy({"cpu": BINPACK_CPU, "memory": BINPACK_MEMORY}),
    "random": Strategy({NO_FIELD: RANDOM}),
    "custom": Strategy({NO_FIELD: CUSTOM}),
}
"""The strategies by the `type` of PlacementStrategy; `custom` is ours (`scenario.extensions.custom_placement`)."""

COUNTS_GROUP_PER_HOST = frozenset({SPREAD_INSTANCE, FEWEST_OF_GROUP, CUSTOM})
"""The codes whose rule reads `Hosts.group_tasks`; so does a spread over an attribute other than the zone."""


def strategy_chain(*rules: tuple[int, int]) -> Integers:
    """Return the chain of `(code, argument)` rules, terminated by END."""
    return np.array([*rules, (END, 0)], np.int64)


def needs_group_counts(chain: npt.NDArray[np.int64], distinct: int) -> bool:
    """Return whether a choice reads `Hosts.group_tasks`.

    The caller must then have counted the tasks of the group there.
    """
    for code, argument in chain.tolist():
        if code == END:
            break
        if code in COUNTS_GROUP_PER_HOST or (code == SPREAD_ATTRIBUTE and argument != ZONE):
            return True
    return distinct != 0
