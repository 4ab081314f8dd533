"""What a comparison will run: the scenario under each option and load, each read and found sound before it starts.

Decides which options can run the workload, and how the command line and the scenario's `compare` block add up. Must
not know what becomes of a service under an option, nor where runs go. `comparison` calls it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.errors import CannotRun, ScenarioError
from clustersim.scenario.reader import Rewrite, Source
from clustersim.scenario.sections.compare import OPTIONS, Compare, option
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.sections.sweep import Choices
from clustersim.scenario.text.overrides import PathError, split_assignment
from clustersim.scenario.text.units import above_zero
from clustersim.scenario.variants.launch_options import Option
from clustersim.study.sweep.experimental_designs import Design, Values
from clustersim.study.sweep.plan import Plan, Point, Reading, Request

NOT_YET = " is not simulated yet"


@dataclass(frozen=True)
class Asked:
    """What was asked for beside the scenario's own `compare` block, which it overrules key by key.

    An override that begins with the name of an option and a colon is of that option only.
    """

    options: Sequence[str] | None = None
    loads: Sequence[float] | None = None
    replications: int | None = None
    overrides: Sequence[str] = ()
    seed: int | None = None


@dataclass(frozen=True)
class Finding:
    """An option, what was set for it, and why it cannot run the workload, if so."""

    name: str
    changes: tuple[str, ...] = ()
    why_not: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparisonPlan:
    """The runs of a comparison as a sweep's plan, and what was found of each option."""

    plan: Plan
    findings: tuple[Finding, ...]
    loads: tuple[float, ...]


def check_options(names: Sequence[Any]) -> tuple[str, ...]:
    """The names of options, each once. Raises ScenarioError with what was meant."""
    found, problems = [], []
    for name in names:
        try:
            found.append(option(name))
        except PydanticCustomError as error:
            problems.append(f"--options: {error.context['what']}; {error.context['right']}")  # type: ignore[index]
    if problems or not found:
        raise ScenarioError(problems or [f"--options: there are none; one of: {', '.join(OPTIONS)}"])
    return tuple(dict.fromkeys(found))


def check_loads(loads: Sequence[Any]) -> tuple[float, ...]:
    """Load multipliers in order, the load itself (1) among them. Raises ScenarioError."""
    problems, found = [], {1.0}
    for load in loads:
        try:
            found.add(above_zero(load))
        except PydanticCustomError as error:
            problems.append(f"--loads: {error.context['what']}; {error.context['right']}")  # type: ignore[index]
    if problems:
        raise ScenarioError(problems)
    return tuple(sorted(found))


def read_comparison(
    path: Path, asked: Asked, progress: Callable[[float], None] | None = None
) -> ComparisonPlan:
    """Every option at every load, read and checked.

    Raises ScenarioError for a scenario that is not sound as it is written, an override that makes it unsound, and
    where no option can run it.
    """
    source = Source(path)
    general, own = _divided(asked.overrides)
    block = source.compare(general)
    names = check_options(block.options if asked.options is None else asked.options)
    loads = check_loads(block.loads if asked.loads is None else asked.loads)
    base = source.scenario(general, asked.seed)
    maker = _Maker(base, block, own)
    request = Request(overrides=general, seed=asked.seed)
    reading = Reading(
        source, request, Design("grid", {}), asked.replications or block.replications, rewrite=maker.rewrite
    )
    findings, points, warnings = [], list[Point](), dict.fromkeys(base.warnings)
    for number, name in enumerate(names):
        finding, scenarios = _try(reading, maker, name, loads)
        findings.append(finding)
        points += [Point(_values(name, load, loads), each.digest) for load, each in scenarios.items()]
        warnings.update(dict.fromkeys(line for each in scenarios.values() for line in each.warnings))
        if progress is not None:
            progress((number + 1) / len(names))
    running = [finding.name for finding in findings if not finding.why_not]
    if not running:
        label = f"{source.path}:1:1"
        raise ScenarioError(
            [f"{label}: {each.name} cannot run this: {why}" for each in findings for why in each.why_not]
        )
    varied = {"option": Choices(tuple(running))}
    if len(loads) > 1:
        varied["load"] = Choices(loads)
    reading.design = Design("grid", varied)
    return ComparisonPlan(Plan(base, reading, tuple(points), tuple(warnings)), tuple(findings), loads)


def _values(name: str, load: float, loads: Sequence[float]) -> Values:
    return (name, load) if len(loads) > 1 else (name,)


class _Maker:
    """Makes the option and the load that a point's values name of the scenario."""

    def __init__(self, base: Scenario, block: Compare, own: dict[str, list[str]]) -> None:
        self._base = base
        self._block = block
        self._own = own

    def option(self, values: Values) -> Option:
        """The option at a point; its overrides are the file's, then the command line's."""
        name, load = values if len(values) > 1 else (*values, 1.0)
        written = self._block.overrides.get(name, {})
        overrides = [f"{path}={json.dumps(value)}" for path, value in written.items()]
        overrides += self._own.get(name, [])
        return Option(name, load, self._base, self._block.instance_types, overrides)

    def rewrite(self, values: Values) -> Rewrite:
        """What is done with the document at a point."""
        return self.option(values).rewrite


def _divided(overrides: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Overrides of the scenario, and those of single options (`ecs-ec2:PATH=VALUE`)."""
    general: list[str] = []
    own: dict[str, list[str]] = {}
    for text in overrides:
        name, colon, rest = text.partition(":")
        try:
            split_assignment(name)
        except PathError:  # the colon stands before the `=`
            if colon and name.strip() in OPTIONS:
                own.setdefault(name.strip(), []).append(rest)
                continue
        general.append(text)
    return general, own


def _try(
    reading: Reading, maker: _Maker, name: str, loads: Sequence[float]
) -> tuple[Finding, dict[float, Scenario]]:
    """The scenarios of an option by load; none where it cannot run at one of them."""
    changes: tuple[str, ...] = ()
    scenarios = {}
    known = set(reading.base().warnings)
    for load in loads:
        made = maker.option(_values(name, load, loads))
        request = reading.request
        try:
            scenario = reading.source.scenario(request.overrides, request.seed, made.rewrite)
        except CannotRun as error:
            return Finding(name, (), tuple(error.problems)), {}
        except ScenarioError as error:
            if any(problem.startswith("--set") for problem in error.problems):
                raise
            return Finding(name, (), tuple(_without_place(line) for line in error.problems)), {}
        missing = [line for line in scenario.warnings if NOT_YET in line and line not in known]
        if missing:
            why = dict.fromkeys(_without_place(line).partition(";")[0] for line in missing)
            return Finding(name, (), tuple(why)), {}
        if load == 1:
            changes = tuple(made.changes)
        scenarios[load] = scenario
    return Finding(name, changes), scenarios


def _without_place(line: str) -> str:
    """A problem of a document that nobody wrote: where it stands in the file would mislead."""
    parts = line.split(":", 3)
    return parts[3].strip() if len(parts) == 4 and parts[1].isdecimal() else line
