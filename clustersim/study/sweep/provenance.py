"""The identity of a sweep; `--resume` refuses if it changed.

Decides what identifies a sweep, and describes how two of them differ. Must not know where the identity is stored. It
is the content of `plan.json` while a sweep is unfinished, and most of its manifest at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clustersim.engine.random_streams import GENERATOR
from clustersim.record.publication import library_versions
from clustersim.record.schema import SCHEMA_VERSION
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.sections.sweep import Choices, Varied
from clustersim.study.execution.worker import program_digest
from clustersim.study.sweep.experimental_designs import Design
from clustersim.study.sweep.plan import SweepPlan

MAX_CHANGES = 5

SweepIdentity = dict[str, Any]
"""The identity as JSON."""


def identify_sweep(plan: SweepPlan, widths: Mapping[str, str]) -> SweepIdentity:
    """Return the identity of a sweep. Its replications and widths are recorded, but may change when it is resumed."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "sweep",
        **identify_scenario(plan.base),
        "design": describe_design(plan.design),
        "replications": plan.replications,
        "until_width": dict(widths),
        "points": [{"values": list(point.values), "scenario_digest": point.digest} for point in plan.points],
    }


def identify_scenario(base: Scenario) -> SweepIdentity:
    """Return the scenario, its files, and all else that the results of a run depend on."""
    return {
        "scenario": base.resolved,
        "scenario_digest": base.digest,
        "inputs": [{"path": each.path, "sha256": each.sha256} for each in base.inputs],
        "seed": base.seed,
        "versions": library_versions(GENERATOR),
        "program": program_digest(),
    }


def describe_design(design: Design) -> dict[str, Any]:
    """Return a design as JSON with the keys of the `sweep` block, without the points of a file."""
    vary = {} if design.rows else {path: _describe_varied(varied) for path, varied in design.varied.items()}
    return {
        "design": design.kind,
        "paths": list(design.paths),
        "vary": vary,
        "points": design.points,
        "sensitivity": design.sensitivity,
    }


def _describe_varied(varied: Varied) -> Any:
    if isinstance(varied, Choices):
        return list(varied.values)
    return {"from": varied.low, "to": varied.high, "integer": varied.integer}


def list_changes(before: SweepIdentity, now: SweepIdentity) -> list[str]:
    """Return the differences of `now` from `before`, one phrase each; empty if the sweep can be resumed."""
    now = json.loads(json.dumps(now))  # as if read from a file: tuples become lists
    differences = [
        f"{name} was {before.get('versions', {}).get(name)} and is {number}"
        for name, number in now["versions"].items()
        if before.get("versions", {}).get(name) != number
    ]
    if not differences and before.get("program") != now["program"]:
        differences.append("clustersim's own code has changed")
    old, new = (
        {each["path"]: each["sha256"] for each in identity.get("inputs", [])} for identity in (before, now)
    )
    differences += [
        f"the input file {path} has changed" for path in new if path in old and old[path] != new[path]
    ]
    differences += [f"the input file {path} is new" for path in new if path not in old]
    differences += [f"the input file {path} is no longer used" for path in old if path not in new]
    differences += _field_differences(before.get("scenario", {}), now["scenario"])
    if before.get("design") != now["design"]:
        differences.append(
            f"the design was {_format_design(before.get('design'))} and is {_format_design(now['design'])}"
        )
    elif now["kind"] != "search" and _point_values(before) != _point_values(now):
        differences.append("the points have changed")
    for part in ("search", "comparison"):
        differences += _field_differences(before.get(part, {}), now.get(part, {}))
    if before.get("kind") != now["kind"]:
        differences.insert(0, f"it is a {before.get('kind')}, not a {now['kind']}")
    return differences[:MAX_CHANGES] + (
        [f"{len(differences) - MAX_CHANGES} more"] if len(differences) > MAX_CHANGES else []
    )


def _point_values(identity: SweepIdentity) -> list[Any]:
    return [point["values"] for point in identity.get("points", [])]


def _format_design(design: Any) -> str:
    if not isinstance(design, dict):
        return "unknown"
    named = [f"{path}={json.dumps(design['vary'].get(path, '...'))}" for path in design.get("paths", [])]
    size = f" of {design['points']} points" if design.get("points") else ""
    return f"{design.get('design')}{size} over {', '.join(named) or 'nothing'}"


def _field_differences(before: Any, now: Any) -> list[str]:
    """Return a phrase for each field that differs, by path."""
    old, new = dict(_leaves("", before)), dict(_leaves("", now))
    names = list(dict.fromkeys([*old, *new]))
    return [
        f"{name} was {json.dumps(old.get(name))} and is {json.dumps(new.get(name))}"
        for name in names
        if old.get(name) != new.get(name)
    ]


def _leaves(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, each in value.items():
            yield from _leaves(f"{prefix}.{key}" if prefix else key, each)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for number, each in enumerate(value):
            yield from _leaves(f"{prefix}[{number}]", each)
    else:
        yield prefix, value
