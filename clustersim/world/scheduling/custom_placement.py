"""A `custom` placement strategy of a task set: asks a function of the user where a task goes, and checks its answer.

The kernel that places a task (`policy.placement.placement`) calls this when the strategy's turn comes: it has already
excluded hosts without room, those that a constraint excludes, and those that an earlier strategy ranks lower. It must
not know why a task is placed. `world.build.task_set_tables` makes one for each rule of a task set.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import numpy as np

from clustersim.engine.callbacks import Callback
from clustersim.engine.random_streams import draws_of
from clustersim.policy.placement.custom_placement import (
    HostColumns,
    PlacementQuestion,
    TaskNeed,
    check_position,
)
from clustersim.scenario.extensions.user_functions import AskedFunction
from clustersim.scenario.sections.scenario import CustomPlacement
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY
from clustersim.world.state.world import World


class CustomPlacer:
    """The function of a custom strategy, for the tasks of `group`; `address` is for the chain of the task set.

    Raises ScenarioError if the function is not the one that the scenario was read with.
    """

    def __init__(self, world: World, rule: CustomPlacement, group: int, key: np.uint64) -> None:
        self._world = world
        self._group = world.names.groups[group]
        self._key = np.array([key], np.uint64)
        self._function = AskedFunction(rule.function, rule.place)
        self._parameters = MappingProxyType(rule.parameters)
        self._callback = Callback(self._choose)
        self.address = self._callback.address
        names, classes = world.names, world.state.capacity.classes
        self._types = _names_of(names.types, classes["type"])
        self._zones = _names_of(names.zones, classes["zone"])
        self._providers = _names_of(names.providers, classes["provider"])

    def _choose(self, best: int, ordinal: int) -> int:
        """Return the slot of the host that the function chooses among those with score `best`.

        Raises ScenarioError, with the place of the strategy, if the function raises or returns something else.
        """
        hosts = self._world.state.instances.hosts
        slots = np.flatnonzero(hosts.score[: hosts.size[0]] == best)
        slots = slots[np.argsort(self._world.state.instances.rows["instance_id"][slots])]
        now = self._world.now
        cpu, memory, gpus, enis, ports = self._world.state.placement.need.tolist()
        question = PlacementQuestion(
            now_ms=now,
            group=self._group,
            task=ordinal,
            need=TaskNeed(cpu, memory, gpus, enis, ports),
            hosts=self._columns(slots),
            parameters=self._parameters,
            draw=draws_of(self._key, ordinal),
        )
        position = self._function.ask(now, question, lambda returned: check_position(returned, slots.size))
        return int(slots[position])

    def _columns(self, slots: Any) -> HostColumns:
        state = self._world.state
        hosts, instances, classes = state.instances.hosts, state.instances.rows, state.capacity.classes
        of_class = hosts.instance_class[slots]
        free = hosts.free[:, slots]
        return HostColumns(
            container_instance_id=instances["instance_id"][slots],
            free_cpu=free[CPU],
            free_memory_mib=free[MEMORY],
            free_gpus=free[GPU],
            free_network_interfaces=free[ENI],
            free_host_ports=free[HOST_PORTS],
            registered_cpu=classes["cpu"][of_class],
            registered_memory_mib=classes["memory"][of_class],
            registered_at_ms=instances["registered"][slots],
            tasks=instances["task_count"][slots],
            tasks_of_group=hosts.group_tasks[slots].astype(np.int64),
            instance_type=self._types[of_class],
            availability_zone=self._zones[of_class],
            capacity_provider=self._providers[of_class],
        )


def _names_of(names: list[str], numbers: Any) -> Any:
    """Return the name of each class, as an array of texts."""
    return np.array(names or [""])[numbers]
