"""What all resolving modules share: the findings, the names that may be referred to, the region's facts.

Decides how a reference is looked up (an ARN means the name at its end) and what is said when nothing has that
name. Must not know what the named things are. The reader makes one `Context` per scenario.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.block_validation import name_in_arn
from clustersim.scenario.catalog.fargate_prices import FargateUse
from clustersim.scenario.catalog.instance_types import Catalog
from clustersim.scenario.sections.behavior import WrittenBehavior
from clustersim.scenario.sections.scenario import StrategyItem, TaskDefinition
from clustersim.scenario.sections.scenario_file import ScenarioFile
from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest

FARGATE_PROVIDERS = ("FARGATE", "FARGATE_SPOT")


@dataclass
class Context:
    """The state of resolving one scenario."""

    findings: Findings
    file: ScenarioFile
    scenario: Path
    catalog: Catalog
    region: str
    zones: tuple[str, ...]
    inputs: dict[str, str]
    """SHA-256 by path of the files read."""
    names: dict[str, set[str]] = field(default_factory=dict)
    """By kind of thing ("service"), the names that may be referred to, also of things that are wrong."""
    subnets: dict[str, str] = field(default_factory=dict)
    """Zone by subnet."""
    definitions: dict[str, TaskDefinition] = field(default_factory=dict)
    definition_behaviors: dict[str, WrittenBehavior] = field(default_factory=dict)
    machine_definitions: list[TaskDefinition] = field(default_factory=list)
    """Task definitions as they run on virtual machines, one for each service that does."""
    latest: dict[str, str] = field(default_factory=dict)
    """Key of the latest revision by family."""
    default_strategy: tuple[StrategyItem, ...] = ()
    fargate_uses: dict[FargateUse, Steps] = field(default_factory=dict)
    traces: dict[tuple[str, str | None], Any] = field(default_factory=dict)
    """Columns of request traces by file and column; None for those that cannot be used."""
    fargate_spot_used_at: Steps | None = None
    managed_providers: set[str] = field(default_factory=set)
    """The providers of ECS Managed Instances."""
    spot_types_without_band: dict[str, Steps] = field(default_factory=dict)
    types_used: set[str] = field(default_factory=set)
    """The instance types that something launches."""

    @property
    def begin_ms(self) -> int:
        """The simulation's first instant, in epoch ms."""
        return self.file.start - self.file.warm_up

    def declare(self, kind: str, name: str, path: Steps) -> None:
        """A thing of `kind` is named `name` at `path`; two of one name are a problem."""
        known = self.names.setdefault(kind, set())
        if name in known:
            self.findings.add(path, f"a second {kind} is named {name}", "give each a name of its own")
        known.add(name)

    def find(self, kind: str, reference: str, path: Steps, others: Iterable[str] = ()) -> str | None:
        """The name that `reference` means; None, with a problem reported, where nothing has it."""
        name = name_in_arn(reference)
        known = self.names.get(kind, set())
        if name in known or name in others:
            return name
        hint = closest(name, sorted(known | set(others))) or f"the scenario has no {kind}"
        self.findings.add(path, f"no {kind} is named {name}", hint)
        return None

    def find_definition(self, reference: str, path: Steps) -> str | None:
        """The key (`web:2`) of the task definition that is meant; a family is its latest revision."""
        name = name_in_arn(reference)
        if name in self.latest:
            return self.latest[name]
        return self.find("task definition", name, path, self.latest)

    def zones_of(self, subnets: Iterable[tuple[str, Steps]]) -> tuple[str, ...]:
        """The zones of the named subnets, in the scenario's order; without names those that have a subnet, which
        are all where the scenario lists no subnets."""
        found = set()
        for reference, path in subnets:
            if not self.subnets:
                continue
            name = self.find("subnet", reference, path)
            if name is not None and name in self.subnets:
                found.add(self.subnets[name])
        found = found or set(self.subnets.values())
        return tuple(zone for zone in self.zones if zone in found) or self.zones

    def subnets_of(self, references: Iterable[str]) -> tuple[str, ...]:
        """The listed subnets that are meant; empty is all of them (`zones_of` reports what is unknown)."""
        names = dict.fromkeys(name_in_arn(reference) for reference in references)
        return tuple(name for name in names if name in self.subnets)

    def check_zones(self, zones: Iterable[str], path: Steps) -> tuple[str, ...]:
        """`zones`, if they are the scenario's."""
        found = []
        for index, zone in enumerate(zones):
            if zone not in self.zones:
                self.findings.add(
                    (*path, index), f"{zone} is no zone of this scenario", closest(zone, self.zones)
                )
            found.append(zone)
        return tuple(zone for zone in self.zones if zone in found) or self.zones
