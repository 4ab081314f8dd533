"""`- file: x.json` in lists of AWS blocks: the file's blocks in its place, the keys beside it laid over.

Decides which lists take files and of which operation, and remembers where every item came from. Must not
judge the blocks. The reader calls `include_files` before overrides, so that those reach included blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.describe_outputs import Imported, lay_over, load_import, policies_of
from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.document import Document, Steps

OPERATIONS = {
    "autoScalingGroups": "autoscaling.CreateAutoScalingGroup",
    "capacityProviders": "ecs.CreateCapacityProvider",
    "taskDefinitions": "ecs.RegisterTaskDefinition",
    "targetGroups": "elbv2.CreateTargetGroup",
    "alarms": "cloudwatch.PutMetricAlarm",
    "services": "ecs.CreateService",
    "runTasks": "ecs.RunTask",
    "policies": "application-autoscaling.PutScalingPolicy",
    "scheduledActions": "application-autoscaling.PutScheduledAction",
    "scalingPolicies": "autoscaling.PutScalingPolicy",
}
"""The operation whose input an item of each list is."""


def include_files(findings: Findings, scenario: Path, inputs: dict[str, str]) -> None:
    """Put the blocks of all included files into `findings.data`; their digests into `inputs`."""
    includer = _Includer(findings, scenario, inputs)
    data = findings.data
    for section, operation in OPERATIONS.items():
        if isinstance(data.get(section), list):
            data[section] = includer.expand(data[section], (section,), operation)
    for path, owner, inner, service in _inner_lists(data):
        owner[inner] = includer.expand(owner[inner], (*path, inner), OPERATIONS[inner], service)


def _inner_lists(data: dict[str, Any]) -> Iterator[tuple[Steps, dict[str, Any], str, str | None]]:
    """Lists of AWS blocks inside blocks: where the owner stands, the owner, the key, the service's name."""
    for index, service in enumerate(_items(data, "services")):
        scaling = service.get("autoScaling") if isinstance(service, dict) else None
        for inner in ("policies", "scheduledActions"):
            if isinstance(scaling, dict) and isinstance(scaling.get(inner), list):
                name = next((str(v) for k, v in service.items() if k.lower() == "servicename"), None)
                yield ("services", index, "autoScaling"), scaling, inner, name
    for index, group in enumerate(_items(data, "autoScalingGroups")):
        if isinstance(group, dict) and isinstance(group.get("scalingPolicies"), list):
            yield ("autoScalingGroups", index), group, "scalingPolicies", None


def _items(data: dict[str, Any], section: str) -> list[Any]:
    value = data.get(section)
    return value if isinstance(value, list) else []


class _Includer:
    """Reads each file once per operation, and puts its blocks into lists."""

    def __init__(self, findings: Findings, scenario: Path, inputs: dict[str, str]) -> None:
        self.findings = findings
        self.scenario = scenario
        self.inputs = inputs
        self.read: dict[tuple[str, str], Imported] = {}

    def expand(self, items: list[Any], path: Steps, operation: str, service: str | None = None) -> list[Any]:
        """`items` with the blocks of files in place of the items that name one."""
        if not any(isinstance(item, dict) and "file" in item for item in items):
            return items
        result: list[Any] = []
        origins: list[int] = []
        self.findings.origins[path] = origins
        for index, item in enumerate(items):
            blocks: list[tuple[Any, Document | None]] = [(item, None)]
            if isinstance(item, dict) and "file" in item:
                origins.append(index)  # for problems with the file itself
                blocks = self.blocks(item, (*path, len(result)), operation, service)
                origins.pop()
            for value, source in blocks:
                if source is not None:
                    self.findings.included[(*path, len(result))] = source
                origins.append(index)
                result.append(value)
        return result

    def blocks(
        self, item: dict[str, Any], path: Steps, operation: str, service: str | None
    ) -> list[tuple[Any, Document | None]]:
        """The blocks of the file that `item` names, with its other keys laid over each."""
        name = item["file"]
        if not isinstance(name, str) or not name:
            self.findings.add((*path, "file"), f"{name!r} is no path", "write file: NAME.json")
            return []
        target = self.scenario.parent / name
        if target.resolve() == self.scenario.resolve():
            self.findings.add((*path, "file"), "the scenario includes itself", "name another file")
            return []
        imported = self.read.get((name, operation))
        if imported is None:
            imported = self.read[name, operation] = load_import(target, operation, str(target))
            self.report(imported, (*path, "file"))
            if imported.document.sha256:
                self.inputs[name] = imported.document.sha256
        found = imported.blocks if service is None else policies_of(service, imported.blocks)
        over = {key: value for key, value in item.items() if key != "file"}
        return [(lay_over(block.value, over), block) for block in found]

    def report(self, imported: Imported, path: Steps) -> None:
        """What is wrong with a file as a whole; places are the file's own."""
        document, findings = imported.document, self.findings
        if document.faults:
            findings.add_text(document, path)
        for problem in imported.problems:
            line, _, _ = document.place(problem.path)
            text = f"{problem.what}; {problem.right}" if problem.right else problem.what
            findings.add_line(path, document.label, line, text)
        for warning in imported.warnings:
            text = f"{warning.what}; {warning.right}" if warning.right else warning.what
            findings.warn_line(path, document, warning.path, text)
