"""An editor of a scenario's document, shared by the launch options.

Decides which blocks belong together (a block and its resolved model, an entry and its task definition) and what is
removed together with unused capacity. It must not know any launch option. The `to_...` modules edit the document
with a `DocumentEditor`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.sections.scenario import AutoScalingGroup, RunTask, Scenario, Service, TaskDefinition

Data = dict[str, Any]

_CAPACITY_KEYS = ("launchType", "capacityProviderStrategy", "platformVersion", "virtualMachines")
_PLACEMENT_KEYS = ("placementStrategy", "placementConstraints")
_INSTANCE_ACTIONS = (
    *("setDesiredCapacity", "setInstanceProtection", "terminateInstances", "updateContainerInstancesState"),
    *("updateAutoScalingGroup", "updateCapacityProvider"),
)
"""Actions on instances, which do not apply if the instances are replaced or removed."""


@dataclass(frozen=True)
class WorkloadEntry:
    """A service or an entry of `runTasks`: its block in the document, and the model resolved from it as written."""

    block: Data
    model: Service | RunTask

    @property
    def name(self) -> str:
        """Its name."""
        return self.model.name

    @property
    def is_service(self) -> bool:
        """True for a service, false for an entry of `runTasks`."""
        return isinstance(self.model, Service)

    @property
    def is_daemon(self) -> bool:
        """True for a daemon service, which runs one task on each container instance."""
        return isinstance(self.model, Service) and self.model.scheduling_strategy == "DAEMON"

    @property
    def on_virtual_machines(self) -> bool:
        """True for a service on virtual machines."""
        return isinstance(self.model, Service) and self.model.machines is not None

    @property
    def providers(self) -> tuple[str, ...]:
        """The capacity providers of its strategy, the cluster's default included."""
        return tuple(item.capacity_provider for item in self.model.strategy)

    @property
    def task_definition_keys(self) -> tuple[str, ...]:
        """The keys of its task definitions, including those that actions deploy later."""
        if isinstance(self.model, Service):
            # A service on virtual machines has revisions of its own (`scenario.resolve.virtual_machines`).
            return tuple(key.removesuffix(f"@{self.name}") for key, _ in self.model.behaviors)
        return () if self.model.task_definition is None else (self.model.task_definition,)

    def describe_capacity(self) -> str:
        """Return its launch type or capacity providers as text."""
        return self.model.launch_type or " and ".join(self.providers)

    def pin_capacity(self) -> None:
        """Write its strategy into the block, so that it does not depend on the cluster's default."""
        if not self.block.get("launchType") and self.model.strategy:
            self.block["capacityProviderStrategy"] = [
                {"capacityProvider": item.capacity_provider, "weight": item.weight, "base": item.base}
                for item in self.model.strategy
            ]

    def move_to(self, provider: str | None, *, keep_placement: bool) -> None:
        """Move it to one capacity provider; None removes its capacity. `keep_placement` keeps its placement rules.

        A daemon service takes no strategy: it runs on all container instances, by its launch type.
        """
        for key in _CAPACITY_KEYS if keep_placement else (*_CAPACITY_KEYS, *_PLACEMENT_KEYS):
            self.block.pop(key, None)
        if provider is not None and self.is_daemon:
            self.block["launchType"] = "EC2"
        elif provider is not None:
            self.block["capacityProviderStrategy"] = [{"capacityProvider": provider, "weight": 1}]


@dataclass
class DocumentEditor:
    """A document whose blocks are in the API's case; `changes` and `obstacles` are sentences for the report."""

    data: Data
    base: Scenario
    instance_types: Sequence[str] = ()
    """The requested instance types; empty if the scenario leaves the choice open."""
    changes: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)

    def record_changes(self, *sentences: str) -> None:
        """Add sentences about changes to the report."""
        self.changes.extend(sentences)

    def list_entries(self) -> list[WorkloadEntry]:
        """Return all services and entries of `runTasks`, in the order of the file."""
        services = zip(self.data.get("services") or (), self.base.services, strict=True)
        jobs = zip(self.data.get("runTasks") or (), self.base.run_tasks, strict=True)
        return [*itertools.starmap(WorkloadEntry, services), *itertools.starmap(WorkloadEntry, jobs)]

    def iter_task_definitions(
        self, entries: Sequence[WorkloadEntry]
    ) -> Iterator[tuple[Data, TaskDefinition]]:
        """Yield the task definitions that `entries` use, each with its block."""
        used = {key for entry in entries for key in entry.task_definition_keys}
        blocks = self.data.get("taskDefinitions") or ()
        # The models of revisions on virtual machines follow those of the written blocks.
        for block, model in zip(blocks, self.base.task_definitions, strict=False):
            if model.key in used:
                yield block, model

    @property
    def auto_scaling_groups(self) -> list[AutoScalingGroup]:
        """The Auto Scaling groups of container instances."""
        return [group for group in self.base.groups if group.machines is None]

    def map_providers_to_groups(self) -> dict[str, str]:
        """Return the name of the Auto Scaling group of each capacity provider that has one."""
        return {
            provider.name: provider.group for provider in self.base.providers if provider.group is not None
        }

    def drop_unused_capacity(self, entries: Sequence[WorkloadEntry]) -> None:
        """Remove providers and groups that none of `entries` uses, and all references to them.

        An entry of launch type EC2 uses every instance.
        """
        uses_all = any(entry.model.launch_type == "EC2" for entry in entries)
        used = {name for entry in entries for name in entry.providers}
        groups = self.map_providers_to_groups()
        kept_providers = {name for name in groups if uses_all or name in used}
        removed_providers = (
            {block["name"] for block in self.data.get("capacityProviders") or ()}
        ) - kept_providers
        kept_groups = {groups[name] for name in kept_providers}
        self._filter("capacityProviders", lambda block: block["name"] in kept_providers)
        self._filter(
            "autoScalingGroups", lambda block: uses_all or block["AutoScalingGroupName"] in kept_groups
        )
        (self.data.get("cluster") or {}).pop("defaultCapacityProviderStrategy", None)
        shortages = (self.data.get("failures") or {}).get("capacityShortages") or []
        shortages[:] = [
            block for block in shortages if block.get("capacityProvider") not in removed_providers
        ]
        if removed_providers or not kept_groups:
            self._drop_actions(frozenset(_INSTANCE_ACTIONS))
        for action in self.data.get("actions") or ():
            update = action.get("updateService")
            if isinstance(update, dict) and update.pop("capacityProviderStrategy", None):
                self.record_changes("an action's capacityProviderStrategy is removed")

    def _filter(self, section: str, keep: Any) -> None:
        blocks: list[Mapping[str, Any]] = self.data.get(section) or []
        if kept_blocks := [block for block in blocks if keep(block)]:
            self.data[section] = kept_blocks
        else:
            self.data.pop(section, None)

    def _drop_actions(self, operations: frozenset[str]) -> None:
        actions = self.data.get("actions") or []
        remaining = [action for action in actions if not operations & action.keys()]
        if len(remaining) < len(actions):
            self.record_changes(f"{len(actions) - len(remaining)} actions on instances are removed")
            self.data["actions"] = remaining


def add_compatibility(block: Data, launch_type: str) -> bool:
    """Add `launch_type` to a task definition's `requiresCompatibilities`, if given; return whether it changed."""
    compatibilities = block.get("requiresCompatibilities")
    if not compatibilities or launch_type in compatibilities:
        return False
    block["requiresCompatibilities"] = [*compatibilities, launch_type]
    return True
