"""`- file: x.json` in lists of AWS blocks: replaces the item by the file's blocks, updated with its other keys.

Decides which lists accept files and for which operation, and records the origin of every item. It must not
validate the blocks. The reader calls `include_files` before overrides, so that overrides apply to included blocks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clustersim.scenario.aws.describe_outputs import ImportedBlocks, filter_by_service, import_blocks, overlay
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import Document, FieldPath

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
"""For each list: the operation whose input its items are."""


def include_files(diagnostics: Diagnostics, scenario: Path, inputs: dict[str, str]) -> None:
    """Put the blocks of all included files into `diagnostics.data`, and the files' SHA-256 into `inputs`."""
    includer = _Includer(diagnostics, scenario, inputs)
    data = diagnostics.data
    for section, operation in OPERATIONS.items():
        if isinstance(data.get(section), list):
            data[section] = includer.expand(data[section], (section,), operation)
    for path, owner, inner, service in _iter_inner_lists(data):
        owner[inner] = includer.expand(owner[inner], (*path, inner), OPERATIONS[inner], service)


def _iter_inner_lists(data: dict[str, Any]) -> Iterator[tuple[FieldPath, dict[str, Any], str, str | None]]:
    """Yield the lists of AWS blocks inside blocks: path of the owner, owner, key, name of the service if any."""
    for index, service in enumerate(_list_items(data, "services")):
        scaling = service.get("autoScaling") if isinstance(service, dict) else None
        for inner in ("policies", "scheduledActions"):
            if isinstance(scaling, dict) and isinstance(scaling.get(inner), list):
                name = next((str(v) for k, v in service.items() if k.lower() == "servicename"), None)
                yield ("services", index, "autoScaling"), scaling, inner, name
    for index, group in enumerate(_list_items(data, "autoScalingGroups")):
        if isinstance(group, dict) and isinstance(group.get("scalingPolicies"), list):
            yield ("autoScalingGroups", index), group, "scalingPolicies", None


def _list_items(data: dict[str, Any], section: str) -> list[Any]:
    value = data.get(section)
    return value if isinstance(value, list) else []


class _Includer:
    """Reads each file once per operation and inserts its blocks into lists."""

    def __init__(self, diagnostics: Diagnostics, scenario: Path, inputs: dict[str, str]) -> None:
        self.diagnostics = diagnostics
        self.scenario = scenario
        self.inputs = inputs
        self._imported: dict[tuple[str, str], ImportedBlocks] = {}

    def expand(
        self, items: list[Any], path: FieldPath, operation: str, service: str | None = None
    ) -> list[Any]:
        """Return `items` with each item that names a file replaced by the file's blocks."""
        if not any(isinstance(item, dict) and "file" in item for item in items):
            return items
        result: list[Any] = []
        origins: list[int] = []
        self.diagnostics.origins[path] = origins
        for index, item in enumerate(items):
            blocks: list[tuple[Any, Document | None]] = [(item, None)]
            if isinstance(item, dict) and "file" in item:
                origins.append(index)  # for problems with the file itself
                blocks = self.read_blocks_of_item(item, (*path, len(result)), operation, service)
                origins.pop()
            for value, source in blocks:
                if source is not None:
                    self.diagnostics.included[(*path, len(result))] = source
                origins.append(index)
                result.append(value)
        return result

    def read_blocks_of_item(
        self, item: dict[str, Any], path: FieldPath, operation: str, service: str | None
    ) -> list[tuple[Any, Document | None]]:
        """Return the blocks of the file that `item` names, each updated with the other keys of `item`."""
        name = item["file"]
        if not isinstance(name, str) or not name:
            self.diagnostics.add_problem((*path, "file"), f"{name!r} is not a path", "write file: NAME.json")
            return []
        target = self.scenario.parent / name
        if target.resolve() == self.scenario.resolve():
            self.diagnostics.add_problem((*path, "file"), "the scenario includes itself", "name another file")
            return []
        imported = self._imported.get((name, operation))
        if imported is None:
            imported = self._imported[name, operation] = import_blocks(target, operation, str(target))
            self.report_file(imported, (*path, "file"))
            if imported.document.sha256:
                self.inputs[name] = imported.document.sha256
        blocks = imported.blocks if service is None else filter_by_service(service, imported.blocks)
        own_keys = {key: value for key, value in item.items() if key != "file"}
        return [(overlay(block.value, own_keys), block) for block in blocks]

    def report_file(self, imported: ImportedBlocks, path: FieldPath) -> None:
        """Report the problems and warnings of a file, at locations in that file."""
        document, diagnostics = imported.document, self.diagnostics
        if document.errors:
            diagnostics.add_text_errors(document, path)
        for problem in imported.problems:
            line, _, _ = document.locate(problem.path)
            text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
            diagnostics.add_line_problem(path, document.label, line, text)
        for warning in imported.warnings:
            text = f"{warning.message}; {warning.hint}" if warning.hint else warning.message
            diagnostics.warn_in_file(path, document, warning.path, text)
