"""What a sweep was agreed to be: the terms by which an interrupted one may be taken up again.

Decides what identifies a sweep, and says in words how two of them differ. Must not know where the terms are
kept. They become `plan.json` while a sweep grows, and the greater part of its manifest at the end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clustersim.engine.random_streams import GENERATOR
from clustersim.record.publication import versions
from clustersim.record.schema import SCHEMA_VERSION
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.sections.sweep import Choices, Varied
from clustersim.study.execution.worker import program_digest
from clustersim.study.sweep.experimental_designs import Design
from clustersim.study.sweep.plan import Plan

MAX_CHANGES = 5

Terms = dict[str, Any]


def terms_of(plan: Plan, widths: Mapping[str, str]) -> Terms:
    """The terms of a sweep; how far it goes on (replications, widths) is said, but may change when it is resumed."""
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": "sweep",
        **scenario_terms(plan.base),
        "design": design_terms(plan.design),
        "replications": plan.replications,
        "until_width": dict(widths),
        "points": [{"values": list(point.values), "scenario_digest": point.digest} for point in plan.points],
    }


def scenario_terms(base: Scenario) -> Terms:
    """The scenario, its files, and what the bytes of a run depend on beside them."""
    return {
        "scenario": base.resolved,
        "scenario_digest": base.digest,
        "inputs": [{"path": each.path, "sha256": each.sha256} for each in base.inputs],
        "seed": base.seed,
        "versions": versions(GENERATOR),
        "program": program_digest(),
    }


def design_terms(design: Design) -> dict[str, Any]:
    """A design as JSON, in the words of the `sweep` block; the points of a file are told elsewhere."""
    vary = {} if design.rows else {path: _plain(varied) for path, varied in design.varied.items()}
    return {
        "design": design.kind,
        "paths": list(design.paths),
        "vary": vary,
        "points": design.points,
        "sensitivity": design.sensitivity,
    }


def _plain(varied: Varied) -> Any:
    if isinstance(varied, Choices):
        return list(varied.values)
    return {"from": varied.low, "to": varied.high, "integer": varied.integer}


def changes(before: Terms, now: Terms) -> list[str]:
    """How `now` differs from `before`, one phrase each; nothing where a sweep may go on."""
    now = json.loads(json.dumps(now))  # as it was read: tuples are lists
    found = [
        f"{name} was {before.get('versions', {}).get(name)} and is {number}"
        for name, number in now["versions"].items()
        if before.get("versions", {}).get(name) != number
    ]
    if not found and before.get("program") != now["program"]:
        found.append("clustersim's own code has changed")
    old, new = ({each["path"]: each["sha256"] for each in terms.get("inputs", [])} for terms in (before, now))
    found += [f"the input file {path} has changed" for path in new if path in old and old[path] != new[path]]
    found += [f"the input file {path} was not there" for path in new if path not in old]
    found += [f"the input file {path} is no longer used" for path in old if path not in new]
    found += _differences(before.get("scenario", {}), now["scenario"])
    if before.get("design") != now["design"]:
        found.append(f"the design was {_told(before.get('design'))} and is {_told(now['design'])}")
    elif now["kind"] != "search" and _values(before) != _values(now):
        found.append("the points have changed")
    for part in ("search", "comparison"):
        found += _differences(before.get(part, {}), now.get(part, {}))
    if before.get("kind") != now["kind"]:
        found.insert(0, f"it is a {before.get('kind')}, not a {now['kind']}")
    return found[:MAX_CHANGES] + ([f"{len(found) - MAX_CHANGES} more"] if len(found) > MAX_CHANGES else [])


def _values(terms: Terms) -> list[Any]:
    return [point["values"] for point in terms.get("points", [])]


def _told(design: Any) -> str:
    if not isinstance(design, dict):
        return "unknown"
    named = [f"{path}={json.dumps(design['vary'].get(path, '...'))}" for path in design.get("paths", [])]
    size = f" of {design['points']} points" if design.get("points") else ""
    return f"{design.get('design')}{size} over {', '.join(named) or 'nothing'}"


def _differences(before: Any, now: Any) -> list[str]:
    """Fields that differ, by their paths."""
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
