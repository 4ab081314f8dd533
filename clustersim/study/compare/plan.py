"""The plan of a comparison: the scenario under each option and load, each validated before any run starts.

Decides which options can run the workload, and how the command line and the scenario's `compare` block combine. Must
not know how an option changes a service, nor where results are written. `compare` calls it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

from clustersim.errors import CannotRun, ScenarioError
from clustersim.scenario.reader import RewriteDocument, ScenarioSource
from clustersim.scenario.sections.compare import OPTIONS, WrittenCompare, parse_option
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.sections.sweep import Choices
from clustersim.scenario.text.overrides import PathError, split_assignment
from clustersim.scenario.text.units import parse_above_zero
from clustersim.scenario.variants.launch_options import LaunchOption
from clustersim.study.sweep.experimental_designs import Design, PointValues
from clustersim.study.sweep.plan import Point, SweepPlan, SweepRequest, VariedScenario

NOT_SIMULATED = " is not simulated yet"


@dataclass(frozen=True)
class ComparisonRequest:
    """The options of a comparison; each takes precedence over the same key of the scenario's `compare` block.

    An override that begins with the name of an option and a colon applies to that option only.
    """

    options: Sequence[str] | None = None
    loads: Sequence[float] | None = None
    replications: int | None = None
    overrides: Sequence[str] = ()
    seed: int | None = None


@dataclass(frozen=True)
class OptionPlan:
    """An option, the changes made for it, and the reasons why it cannot run the workload (empty if it can)."""

    name: str
    changes: tuple[str, ...] = ()
    why_not: tuple[str, ...] = ()


@dataclass(frozen=True)
class ComparisonPlan:
    """The runs of a comparison as the plan of a sweep, the requested options, and the load multipliers."""

    plan: SweepPlan
    options: tuple[OptionPlan, ...]
    loads: tuple[float, ...]


def check_options(names: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of options, each once. Raises ScenarioError for unknown names."""
    checked, problems = [], []
    for name in names:
        try:
            checked.append(parse_option(name))
        except PydanticCustomError as error:
            problems.append(f"--options: {error.context['message']}; {error.context['hint']}")  # type: ignore[index]
    if problems or not checked:
        raise ScenarioError(
            problems or [f"--options: the list is empty; at least one of: {', '.join(OPTIONS)}"]
        )
    return tuple(dict.fromkeys(checked))


def check_loads(loads: Sequence[Any]) -> tuple[float, ...]:
    """Return the load multipliers in order, the load itself (1) among them. Raises ScenarioError."""
    problems, multipliers = [], {1.0}
    for load in loads:
        try:
            multipliers.add(parse_above_zero(load))
        except PydanticCustomError as error:
            problems.append(f"--loads: {error.context['message']}; {error.context['hint']}")  # type: ignore[index]
    if problems:
        raise ScenarioError(problems)
    return tuple(sorted(multipliers))


def plan_comparison(
    path: Path, request: ComparisonRequest, progress: Callable[[float], None] | None = None
) -> ComparisonPlan:
    """Validate every option at every load.

    `progress` is called with the share of options validated, 0 to 1. Raises ScenarioError if the scenario is invalid
    as written, if an override makes it invalid, or if no option can run it.
    """
    source = ScenarioSource(path)
    general, own = _split_overrides(request.overrides)
    block = source.read_compare(general)
    names = check_options(block.options if request.options is None else request.options)
    loads = check_loads(block.loads if request.loads is None else request.loads)
    base = source.resolve(general, request.seed)
    builder = _OptionBuilder(base, block, own)
    sweep_request = SweepRequest(overrides=general, seed=request.seed)
    varied_scenario = VariedScenario(
        source,
        sweep_request,
        Design("grid", {}),
        request.replications or block.replications,
        rewrite=builder.rewrite,
    )
    options, points, warnings = [], list[Point](), dict.fromkeys(base.warnings)
    for number, name in enumerate(names):
        option, scenarios = _plan_option(varied_scenario, builder, name, loads)
        options.append(option)
        points += [Point(_point_values(name, load, loads), each.digest) for load, each in scenarios.items()]
        warnings.update(dict.fromkeys(line for each in scenarios.values() for line in each.warnings))
        if progress is not None:
            progress((number + 1) / len(names))
    running = [option.name for option in options if not option.why_not]
    if not running:
        label = f"{source.path}:1:1"
        raise ScenarioError(
            [f"{label}: {each.name} cannot run this: {why}" for each in options for why in each.why_not]
        )
    varied = {"option": Choices(tuple(running))}
    if len(loads) > 1:
        varied["load"] = Choices(loads)
    varied_scenario.design = Design("grid", varied)
    return ComparisonPlan(
        SweepPlan(base, varied_scenario, tuple(points), tuple(warnings)), tuple(options), loads
    )


def _point_values(name: str, load: float, loads: Sequence[float]) -> PointValues:
    return (name, load) if len(loads) > 1 else (name,)


class _OptionBuilder:
    """Builds the launch option that the values of a point name.

    `own` has the overrides of single options from the command line.
    """

    def __init__(self, base: Scenario, block: WrittenCompare, own: dict[str, list[str]]) -> None:
        self._base = base
        self._block = block
        self._own = own

    def build(self, values: PointValues) -> LaunchOption:
        """Return the option at a point; its overrides are those of the file, then those of the command line."""
        name, load = values if len(values) > 1 else (*values, 1.0)
        written = self._block.overrides.get(name, {})
        overrides = [f"{path}={json.dumps(value)}" for path, value in written.items()]
        overrides += self._own.get(name, [])
        return LaunchOption(name, load, self._base, self._block.instance_types, overrides)

    def rewrite(self, values: PointValues) -> RewriteDocument:
        """Return the function that rewrites the document for a point."""
        return self.build(values).rewrite


def _split_overrides(overrides: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Separate the overrides of the scenario from those of single options (`ecs-ec2:PATH=VALUE`)."""
    general: list[str] = []
    own: dict[str, list[str]] = {}
    for text in overrides:
        name, colon, rest = text.partition(":")
        try:
            split_assignment(name)
        except PathError:  # the colon precedes the `=`
            if colon and name.strip() in OPTIONS:
                own.setdefault(name.strip(), []).append(rest)
                continue
        general.append(text)
    return general, own


def _plan_option(
    varied_scenario: VariedScenario, builder: _OptionBuilder, name: str, loads: Sequence[float]
) -> tuple[OptionPlan, dict[float, Scenario]]:
    """Return the plan of an option, and its scenarios by load; none if it cannot run at one of the loads."""
    changes: tuple[str, ...] = ()
    scenarios = {}
    known = set(varied_scenario.read_base().warnings)
    for load in loads:
        launch_option = builder.build(_point_values(name, load, loads))
        request = varied_scenario.request
        try:
            scenario = varied_scenario.source.resolve(request.overrides, request.seed, launch_option.rewrite)
        except CannotRun as error:
            return OptionPlan(name, (), tuple(error.problems)), {}
        except ScenarioError as error:
            if any(problem.startswith("--set") for problem in error.problems):
                raise
            return OptionPlan(name, (), tuple(_strip_location(line) for line in error.problems)), {}
        missing = [line for line in scenario.warnings if NOT_SIMULATED in line and line not in known]
        if missing:
            reasons = dict.fromkeys(_strip_location(line).partition(";")[0] for line in missing)
            return OptionPlan(name, (), tuple(reasons)), {}
        if load == 1:
            changes = tuple(launch_option.changes)
        scenarios[load] = scenario
    return OptionPlan(name, changes), scenarios


def _strip_location(line: str) -> str:
    """Remove the location from a problem of a rewritten document: the user's file has no such line."""
    parts = line.split(":", 3)
    return parts[3].strip() if len(parts) == 4 and parts[1].isdecimal() else line
