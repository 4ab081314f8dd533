"""The state that all modules of `resolve` share: diagnostics, names that may be referred to, facts of the region.

Decides how a reference is looked up (an ARN means the name at its end) and how an unknown name is reported. Must not
know what the named things are. The reader makes one `Context` per scenario.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.block_validation import name_from_arn
from clustersim.scenario.catalog.fargate_prices import FargateUse
from clustersim.scenario.catalog.instance_types import Catalog
from clustersim.scenario.sections.behavior import WrittenBehavior
from clustersim.scenario.sections.scenario import StrategyItem, TaskDefinition
from clustersim.scenario.sections.scenario_file import WrittenScenario
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name

FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")


@dataclass
class Context:
    """The state of resolving one scenario."""

    diagnostics: Diagnostics
    file: WrittenScenario
    scenario: Path
    catalog: Catalog
    region: str
    zones: tuple[str, ...]
    inputs: dict[str, str]
    """SHA-256 by path of the files read."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """By kind of thing ("service"), the names that may be referred to, also of invalid things."""
    subnets: dict[str, str] = field(default_factory=dict)
    """Zone by subnet."""
    definitions: dict[str, TaskDefinition] = field(default_factory=dict)
    definition_behaviors: dict[str, WrittenBehavior] = field(default_factory=dict)
    machine_definitions: list[TaskDefinition] = field(default_factory=list)
    """Task definitions as they run on virtual machines, of each service that runs there."""
    latest: dict[str, str] = field(default_factory=dict)
    """Key of the latest revision by family."""
    default_strategy: tuple[StrategyItem, ...] = ()
    fargate_uses: dict[FargateUse, FieldPath] = field(default_factory=dict)
    traces: dict[tuple[str, str | None], Any] = field(default_factory=dict)
    """Columns of request traces by file and column; None: it cannot be used."""
    fargate_spot_used_at: FieldPath | None = None
    managed_providers: set[str] = field(default_factory=set)
    """The providers of ECS Managed Instances."""
    spot_types_without_rate: dict[str, FieldPath] = field(default_factory=dict)
    launched_types: set[str] = field(default_factory=set)
    """The instance types that a pool launches."""

    @property
    def begin_ms(self) -> int:
        """The simulation's first instant, in epoch ms."""
        return self.file.start - self.file.warm_up

    def declare_name(self, kind: str, name: str, path: FieldPath) -> None:
        """Register the name of a thing of `kind`, written at `path`; a second one of the same name is a problem."""
        names = self.names.setdefault(kind, set())
        if name in names:
            self.diagnostics.add_problem(
                path, f"a second {kind} is named {name}", "give each a name of its own"
            )
        names.add(name)

    def resolve_name(
        self, kind: str, reference: str, path: FieldPath, others: Iterable[str] = ()
    ) -> str | None:
        """Return the name that `reference` means; None, with a problem reported, if nothing of `kind` has it."""
        name = name_from_arn(reference)
        names = self.names.get(kind, set())
        if name in names or name in others:
            return name
        hint = suggest_name(name, sorted(names | set(others))) or f"the scenario has no {kind}"
        self.diagnostics.add_problem(path, f"no {kind} is named {name}", hint)
        return None

    def find_task_definition(self, reference: str, path: FieldPath) -> str | None:
        """Return the key (`web:2`) of the task definition that is meant; a family is its latest revision."""
        name = name_from_arn(reference)
        if name in self.latest:
            return self.latest[name]
        return self.resolve_name("task definition", name, path, self.latest)

    def resolve_zones(self, subnets: Iterable[tuple[str, FieldPath]]) -> tuple[str, ...]:
        """Return the zones of the named subnets, in the scenario's order.

        Without names these are the zones with a subnet, or all zones if the scenario lists no subnets.
        """
        zones = set()
        for reference, path in subnets:
            if not self.subnets:
                continue
            name = self.resolve_name("subnet", reference, path)
            if name is not None and name in self.subnets:
                zones.add(self.subnets[name])
        zones = zones or set(self.subnets.values())
        return tuple(zone for zone in self.zones if zone in zones) or self.zones

    def resolve_subnet_names(self, references: Iterable[str]) -> tuple[str, ...]:
        """Return the listed subnets that are meant; empty means all (`resolve_zones` reports unknown ones)."""
        names = dict.fromkeys(name_from_arn(reference) for reference in references)
        return tuple(name for name in names if name in self.subnets)

    def check_zones(self, zones: Iterable[str], path: FieldPath) -> tuple[str, ...]:
        """Return `zones` in the scenario's order, and report those that it does not have."""
        named = []
        for index, zone in enumerate(zones):
            if zone not in self.zones:
                self.diagnostics.add_problem(
                    (*path, index), f"{zone} is not a zone of this scenario", suggest_name(zone, self.zones)
                )
            named.append(zone)
        return tuple(zone for zone in self.zones if zone in named) or self.zones


def pick_fields(
    block: Mapping[str, Any], fields: Mapping[str, str], factor: int | None = None
) -> dict[str, Any]:
    """Return the fields of a resolved model that an AWS block sets; for the others the model's defaults hold.

    `fields` maps each field to its key in the block. With a `factor` the values are multiplied by it.
    """
    values = {field: block[key] for field, key in fields.items() if key in block}
    return values if factor is None else {field: value * factor for field, value in values.items()}
