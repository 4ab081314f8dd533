"""Builders of small scenarios, and a reader of the tables of their runs.

    ran = run(world(nodes=2, services=[service("web", 4)]), tmp_path)
    assert ran.states() == {"RUNNING": 4}

Scenarios are mappings as in a scenario file and read by `read_scenario`, so a test cannot use what a file cannot
express. By default the invariants are checked at every instant of a run. Times in a `FinishedRun` are ms since `start`,
and null is None. It has no helpers for single features; all tests that run a whole scenario use it.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from clustersim.scenario.reader import read_scenario
from clustersim.scenario.sections.load import Load, Series, WrittenLoad
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.single_run.run import run_scenario
from clustersim.study.single_run.run_result import Run

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)  # the default `start`

Block = dict[str, Any]

NODE: Block = {
    "name": "test.node",
    "vcpus": 4,
    "memoryMiB": 8192,
    "registeredMemoryMiB": 8192,
    "maxEnis": 16,
    "usdPerHour": 0.36,
}
"""An instance type with round numbers: 4 vCPU, 8 GiB all registered, 15 ENIs for tasks, 0.01 cents a second."""


# --- resolved sections ------------------------------------------------------------------------------------


def resolved_load(series: Series, **fields: Any) -> Load:
    """A resolved load of requests, with the default of the written key for each field that is not given."""
    written = WrittenLoad.model_validate({"requestsPerSecond": 1})
    values = {
        "kind": "requests",
        "cpu_time_ms": written.cpu_time_per_request,
        "memory_base_mib": written.memory_per_task.base,
        "memory_per_request_mib": written.memory_per_task.per_concurrent_request,
        "timeout_ms": written.timeout,
        "processing_time_ms": written.processing_time,
        "concurrency_per_task": written.concurrency_per_task,
        "model": written.model,
        "service_time": written.service_time,
    }
    return Load(series=series, **{**values, **fields})


# --- writing a scenario ------------------------------------------------------------------------------------


def provider(
    name: str = "nodes", count: int = 1, kind: str = "test.node", most: int | None = None, **group: Any
) -> Block:
    """A capacity provider whose group starts with `count` instances; `group` holds further keys of the group.

    The group has that size for good, and tasks without room wait for it; where `most` gives it a greatest size, the
    provider has no managed scaling, and tasks without room are refused.
    """
    least, greatest = (count, count) if most is None else (0, most)
    of = {
        "instanceTypes": [kind],
        "minSize": least,
        "maxSize": greatest,
        "desiredCapacity": count,
        **group,
    }
    scaling = {"managedScaling": {"status": "ENABLED" if most is None else "DISABLED"}}
    return {"name": name, "autoScalingGroupProvider": {"autoScalingGroup": of, **scaling}}


def definition(family: str = "app", cpu: int = 512, memory: int = 1024, **more: Any) -> Block:
    """A task definition with one essential container."""
    container = {"name": "main", "image": family, **more.pop("container", {})}
    return {
        "family": family,
        "cpu": str(cpu),
        "memory": str(memory),
        "containerDefinitions": [container],
        **more,
    }


def fargate_definition(family: str = "app", cpu: int = 256, memory: int = 512, **more: Any) -> Block:
    """A task definition that is valid on Fargate too."""
    fargate = {"networkMode": "awsvpc", "requiresCompatibilities": ["EC2", "FARGATE"]}
    return definition(family, cpu, memory, **{**fargate, **more})


def on(name: str = "nodes", weight: int = 1, base: int = 0) -> Block:
    """One item of a capacity provider strategy."""
    return {"capacityProvider": name, "weight": weight, "base": base}


def service(name: str = "web", count: int = 1, **more: Any) -> Block:
    """A service of the task definition `app` on the provider `nodes`; `more` adds or replaces keys."""
    where = {} if "launchType" in more else {"capacityProviderStrategy": [on()]}
    return {"serviceName": name, "taskDefinition": "app", "desiredCount": count, **where, **more}


def job(name: str = "job", count: int = 1, **more: Any) -> Block:
    """An entry of runTasks, like `service`."""
    where = {} if "launchType" in more else {"capacityProviderStrategy": [on()]}
    return {"name": name, "taskDefinition": "app", "count": count, **where, **more}


def world(nodes: int = 1, duration: str = "1h", **keys: Any) -> Block:
    """A scenario with `nodes` instances of `test.node` and the task definition `app`; `keys` adds or replaces keys."""
    return {
        "name": "test",
        "duration": duration,
        "instanceTypes": [NODE],
        "capacityProviders": [provider(count=nodes)],
        "taskDefinitions": [definition()],
        **keys,
    }


def scenario_of(written: Block | str, directory: Path, *overrides: str, seed: int | None = None) -> Scenario:
    """Write a mapping or YAML text to a file in `directory` and return the resolved scenario."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "scenario.yaml"
    path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
    return read_scenario(path, overrides, seed)


# --- running it --------------------------------------------------------------------------------------------


def run(
    written: Block | str,
    directory: Path,
    *overrides: str,
    seed: int | None = None,
    replication: int = 0,
    checked: bool = True,
) -> FinishedRun:
    """Run a scenario in `directory`, by default with the invariants checked at every instant, and open the result."""
    scenario = scenario_of(written, directory, *overrides, seed=seed)
    result = run_scenario(scenario, directory / "out", replication=replication, checked=checked)
    return FinishedRun(result, scenario)


class FinishedRun:
    """A finished run, as plain Python values."""

    def __init__(self, run: Run, scenario: Scenario) -> None:
        self.run = run
        self.scenario = scenario
        self.summary: dict[str, Any] = run.summary
        self._tables: dict[str, dict[str, list[Any]]] = {}
        self._rows: dict[str, list[dict[str, Any]]] = {}

    def table(self, name: str) -> dict[str, list[Any]]:
        """The columns of a table as lists; instants are ms since `start`."""
        if name not in self._tables:
            table = self.run.tables[name].to_arrow()
            self._tables[name] = {column: self._plain(table.column(column)) for column in table.column_names}
        return self._tables[name]

    def _plain(self, column: pa.ChunkedArray) -> list[Any]:
        if pa.types.is_timestamp(column.type):
            start = self.scenario.start_ms
            return [None if ms is None else ms - start for ms in column.cast(pa.int64()).to_pylist()]
        return column.to_pylist()

    def rows(self, name: str, **where: Any) -> list[dict[str, Any]]:
        """The rows of a table whose columns have the values in `where`; they are shared and must not be changed."""
        if name not in self._rows:
            columns = self.table(name)
            self._rows[name] = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
        return [row for row in self._rows[name] if all(row[key] == value for key, value in where.items())]

    def tasks(self, **where: Any) -> list[dict[str, Any]]:
        """Rows of `tasks`, by task id."""
        return sorted(self.rows("tasks", **where), key=lambda row: row["task_id"])

    def instances(self, **where: Any) -> list[dict[str, Any]]:
        """Rows of `container_instances`, by id."""
        return sorted(self.rows("container_instances", **where), key=lambda row: row["container_instance_id"])

    def states(self, **where: Any) -> dict[str, int]:
        """The number of tasks by last status."""
        return dict(Counter(row["last_status"] for row in self.tasks(**where)))

    def messages(self, kind: str | None = None) -> list[str]:
        """The messages of all events, or of those of one kind, in order of time."""
        chosen = self.rows("events") if kind is None else self.rows("events", kind=kind)
        return [row["message"] for row in sorted(chosen, key=lambda row: row["time"])]

    def series(self, column: str, service: str = "web") -> list[tuple[int, Any]]:
        """(instant, value) of a column of `service_series`."""
        return sorted((row["time"], row[column]) for row in self.rows("service_series", service=service))

    def running_at(self, instant: int, **where: Any) -> int:
        """The number of tasks that run at an instant, counted from `started_at` and `stopping_at`."""
        return sum(
            row["started_at"] is not None
            and row["started_at"] <= instant
            and (row["stopping_at"] is None or row["stopping_at"] > instant)
            for row in self.tasks(**where)
        )

    def digests(self) -> dict[str, str]:
        """The SHA-256 of every table."""
        return {name: table.sha256 for name, table in self.run.tables.items()}


def same_rows(first: list[dict[str, Any]], second: list[dict[str, Any]], *ignored: str) -> bool:
    """Return whether two lists of rows are equal apart from the columns `ignored` (such as serial numbers)."""
    return [_without(row, ignored) for row in first] == [_without(row, ignored) for row in second]


def _without(row: dict[str, Any], ignored: tuple[str, ...]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in ignored}
