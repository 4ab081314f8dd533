"""A scenario's document on its way to an option, with what the options share.

Decides which blocks belong together (a block and its resolved model, an entry and its task definition) and what
goes with capacity that is left behind. Must not know an option. The `option_...` modules work on a `Rewriting`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.sections.scenario import AutoScalingGroup, RunTask, Scenario, Service, TaskDefinition

Data = dict[str, Any]

_WHERE = ("launchType", "capacityProviderStrategy", "platformVersion", "virtualMachines")
_PLACEMENT = ("placementStrategy", "placementConstraints")
_OF_INSTANCES = (
    *("setDesiredCapacity", "setInstanceProtection", "terminateInstances", "updateContainerInstancesState"),
    *("updateAutoScalingGroup", "updateCapacityProvider"),
)
"""Actions about instances, which make no sense where they are others or none."""


@dataclass(frozen=True)
class Entry:
    """A service or an entry of `runTasks`: its block, and what was resolved of it as it is written."""

    block: Data
    model: Service | RunTask

    @property
    def name(self) -> str:
        """What people call it."""
        return self.model.name

    @property
    def is_service(self) -> bool:
        """Whether it is a service."""
        return isinstance(self.model, Service)

    @property
    def is_daemon(self) -> bool:
        """Whether it is one task on each container instance."""
        return isinstance(self.model, Service) and self.model.scheduling_strategy == "DAEMON"

    @property
    def on_machines(self) -> bool:
        """Whether it is a service on virtual machines."""
        return isinstance(self.model, Service) and self.model.machines is not None

    @property
    def providers(self) -> tuple[str, ...]:
        """The capacity providers of its strategy, the cluster's default included."""
        return tuple(item.capacity_provider for item in self.model.strategy)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of its task definitions, those that actions give it later included."""
        if isinstance(self.model, Service):
            # A service on virtual machines has revisions of its own there (`resolve_machines`).
            return tuple(key.removesuffix(f"@{self.name}") for key, _ in self.model.behaviors)
        return () if self.model.task_definition is None else (self.model.task_definition,)

    def written_where(self) -> str:
        """Where it was to run, in a word."""
        return self.model.launch_type or " and ".join(self.providers)

    def keep(self) -> None:
        """Writes down where it runs, so that it no longer depends on the cluster's default."""
        if not self.block.get("launchType") and self.model.strategy:
            self.block["capacityProviderStrategy"] = [
                {"capacityProvider": item.capacity_provider, "weight": item.weight, "base": item.base}
                for item in self.model.strategy
            ]

    def move(self, provider: str | None, *, placed: bool) -> None:
        """Sends it to one capacity provider; `placed`: its placement rules stay."""
        for key in _WHERE if placed else (*_WHERE, *_PLACEMENT):
            self.block.pop(key, None)
        if provider is not None:
            self.block["capacityProviderStrategy"] = [{"capacityProvider": provider, "weight": 1}]


@dataclass
class Rewriting:
    """A document whose blocks are in the API's case; `changes` and `reasons` are sentences for people."""

    data: Data
    base: Scenario
    types: Sequence[str] = ()
    """The instance types that were asked for."""
    changes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def say(self, *sentences: str) -> None:
        """Notes what was set."""
        self.changes.extend(sentences)

    def entries(self) -> list[Entry]:
        """All services and entries of `runTasks`, in the order of the file."""
        services = zip(self.data.get("services") or (), self.base.services, strict=True)
        jobs = zip(self.data.get("runTasks") or (), self.base.run_tasks, strict=True)
        return [*itertools.starmap(Entry, services), *itertools.starmap(Entry, jobs)]

    def definitions(self, entries: Sequence[Entry]) -> Iterator[tuple[Data, TaskDefinition]]:
        """The task definitions that `entries` use, each with its block."""
        used = {key for entry in entries for key in entry.keys}
        blocks = self.data.get("taskDefinitions") or ()
        # After those that are written come the revisions on virtual machines.
        for block, model in zip(blocks, self.base.task_definitions, strict=False):
            if model.key in used:
                yield block, model

    @property
    def groups(self) -> list[AutoScalingGroup]:
        """The Auto Scaling groups of container instances."""
        return [group for group in self.base.groups if group.machines is None]

    def groups_behind(self) -> dict[str, str]:
        """The Auto Scaling group of each capacity provider that has one."""
        return {each.name: each.group for each in self.base.providers if each.group is not None}

    def keep_capacity(self, entries: Sequence[Entry]) -> None:
        """Drops providers and groups that none of `entries` uses, and what refers to them.

        An entry of launch type EC2 uses every instance that there is.
        """
        everything = any(entry.model.launch_type == "EC2" for entry in entries)
        used = {name for entry in entries for name in entry.providers}
        groups = self.groups_behind()
        kept = {name for name in groups if everything or name in used}
        lost = ({each["name"] for each in self.data.get("capacityProviders") or ()}) - kept
        serving = {groups[name] for name in kept}
        self._filter("capacityProviders", lambda block: block["name"] in kept)
        self._filter(
            "autoScalingGroups", lambda block: everything or block["AutoScalingGroupName"] in serving
        )
        (self.data.get("cluster") or {}).pop("defaultCapacityProviderStrategy", None)
        shortages = (self.data.get("failures") or {}).get("capacityShortages") or []
        shortages[:] = [each for each in shortages if each.get("capacityProvider") not in lost]
        if lost or not serving:
            self._drop_actions(frozenset(_OF_INSTANCES))
        for action in self.data.get("actions") or ():
            update = action.get("updateService")
            if isinstance(update, dict) and update.pop("capacityProviderStrategy", None):
                self.say("an action's capacityProviderStrategy is left out")

    def _filter(self, section: str, wanted: Any) -> None:
        blocks: list[Mapping[str, Any]] = self.data.get(section) or []
        if kept := [block for block in blocks if wanted(block)]:
            self.data[section] = kept
        else:
            self.data.pop(section, None)

    def _drop_actions(self, operations: frozenset[str]) -> None:
        actions = self.data.get("actions") or []
        left = [action for action in actions if not operations & action.keys()]
        if len(left) < len(actions):
            self.say(f"{len(actions) - len(left)} actions on instances are left out")
            self.data["actions"] = left


def serve(block: Data, launch_type: str) -> bool:
    """Has a task definition that says where it runs say `launch_type` too; whether that was new."""
    said = block.get("requiresCompatibilities")
    if not said or launch_type in said:
        return False
    block["requiresCompatibilities"] = [*said, launch_type]
    return True
