"""The arguments of a user's placement function, and the checks of what it returns.

Decides nothing: it is the contract between clustersim and the function of a `custom` placement strategy
(`docs/extending.md`). It must not know how the function was found, nor the world. `world.scheduling.custom_placement`
asks the function.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]
Names = npt.NDArray[np.str_]

Draw = Callable[[int], float]
"""The random number in (0, 1) of an ordinal (0, 1, ...), the same whenever it is drawn for a task."""


@dataclass(frozen=True)
class TaskNeed:
    """The resources that one task reserves; CPU in units of which 1,024 are a vCPU."""

    cpu: int
    memory_mib: int
    gpus: int
    network_interfaces: int
    host_ports: int


@dataclass(frozen=True)
class HostColumns:
    """The container instances that may take the task: one array per column, all equally long, the oldest first.

    What is free counts before the task is placed. `tasks` are all tasks on the instance, `tasks_of_group` those of the
    task's service or group that do not stop. `registered_at_ms` is -1 for an instance without a registration.
    """

    container_instance_id: Numbers
    free_cpu: Numbers
    free_memory_mib: Numbers
    free_gpus: Numbers
    free_network_interfaces: Numbers
    free_host_ports: Numbers
    registered_cpu: Numbers
    registered_memory_mib: Numbers
    registered_at_ms: Numbers
    tasks: Numbers
    tasks_of_group: Numbers
    instance_type: Names
    availability_zone: Names
    capacity_provider: Names

    def __len__(self) -> int:
        """Return the number of instances."""
        return int(self.container_instance_id.size)


@dataclass(frozen=True)
class PlacementQuestion:
    """A task to place, and at least two container instances that have room for it and meet its constraints.

    `now_ms` counts from the first instant of the simulation, warm-up included. `group` is the task's group
    (`service:web`, or the entry's name), `task` its number in that group, from 0. `parameters` are those of the
    strategy, as written. `draw` gives random numbers by address: the same for the same seed, replication, group, task
    and ordinal, whatever else is drawn.
    """

    now_ms: int
    group: str
    task: int
    need: TaskNeed
    hosts: HostColumns
    parameters: Mapping[str, Any]
    draw: Draw


PlacementFunction = Callable[[PlacementQuestion], int]
"""A user's placement function: returns the position of an instance in the columns."""


def check_position(returned: Any, hosts: int) -> int:
    """Return what a placement function has returned, as a plain int.

    Raises ValueError if that is not the position of one of `hosts` instances.
    """
    expected = f"return the position of a host, 0 to {hosts - 1}"
    if isinstance(returned, bool | np.bool_):
        raise ValueError(f"returned {returned}; {expected}")
    try:
        position = operator.index(returned)
    except TypeError:
        kind = type(returned).__name__
        raise ValueError(f"returned {returned!r} of type {kind}; {expected}") from None
    if not 0 <= position < hosts:
        raise ValueError(f"returned {position}; {expected}")
    return position
