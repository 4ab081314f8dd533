"""How far the fluid model's response times are from exact requests: the table in MODEL.md, measured anew.

The fluid model has one queue for all tasks of a service (M/M/c). A load balancer deals requests out as they come,
and each task has a queue of its own; so the fluid answers sooner, the more so the more tasks there are.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from clustersim.control.load.traffic import Traffic
from clustersim.policy.load.exact_tables import REGISTERED, TargetChangeRow
from clustersim.scenario.sections.scenario import Routing, Series, Service, TargetGroup, TaskDefinition
from tests.harness import resolved_load

MODEL = Path(__file__).parents[3] / "MODEL.md"
CPU_TIME_S = 0.025
REQUESTS = 2e6
MINUTE = 60_000
POINTS = 1.0  # of a percent: the table is rounded to whole ones
TASK = TaskDefinition(
    family="web", revision=1, key="web:1", cpu=1_024, memory_mib=1_024, has_task_size=True, ephemeral_gib=20
)


class Times(NamedTuple):
    """Mean and 99th percentile of the response time, s."""

    mean: float
    p99: float


def measured(tasks: int, utilization: float, model: str, routing: Routing = "round_robin") -> Times:
    """A service at a constant rate, in metric periods of a minute and one sample."""
    rate = utilization * tasks / CPU_TIME_S
    asked = resolved_load(
        model=model,
        series=Series(times_ms=np.zeros(1, np.int64), rates=np.array([rate])),
        cpu_time_ms=CPU_TIME_S * 1_000,
        concurrency_per_task=0,
    )
    service = Service(
        name="web",
        task_definition="web:1",
        desired_count=tasks,
        zones=("a",),
        load=asked,
        target_groups=("web",),
    )
    group = TargetGroup(
        name="web", routing=routing, deregistration_delay_ms=0, initial_health_checks=1, slow_start_ms=0
    )
    traffic = Traffic([service], [TASK], target_groups=[group])
    traffic.open_backend(0, 0, "web:1")
    log = np.zeros(tasks, TargetChangeRow.dtype)
    log["kind"], log["slot"] = REGISTERED, np.arange(tasks)
    served = total_s = 0.0
    minutes = 60 if model == "fluid" else round(REQUESTS / rate / 60) + 1
    for minute in range(1, minutes + 1):
        area = tasks * minute * MINUTE
        traffic.tick(minute * MINUTE, np.array([[area], [area], [0]]), log)
        log = log[:0]
        flow = traffic.flows[0]
        served += float(flow["served"])
        total_s += float(flow["served"] * flow["response_s"])
    return Times(total_s / served, float(traffic.sample()["response_time_p99_s"][0]))


def stated() -> list[tuple[int, float, list[float]]]:
    """(tasks, utilisation, the four errors in percent) of each row of the table."""
    rows = re.findall(
        r"^\| (\d+) \| (\d+) % \|(( [+-]?\d+ % \|){4})$", MODEL.read_text("utf-8"), re.MULTILINE
    )
    return [
        (int(tasks), int(utilization) / 100, [float(each) for each in re.findall(r"([+-]?\d+) %", errors)])
        for tasks, utilization, errors, _ in rows
    ]


def errors(tasks: int, utilization: float) -> list[float]:
    """Percent by which the fluid differs from round robin (mean, p99) and from least outstanding requests."""
    fluid = measured(tasks, utilization, "fluid")
    routings: tuple[Routing, ...] = ("round_robin", "least_outstanding_requests")
    return [
        100.0 * (ours / theirs - 1.0)
        for routing in routings
        for ours, theirs in zip(fluid, measured(tasks, utilization, "exact", routing), strict=True)
    ]


def test_the_table_has_all_its_rows() -> None:
    assert [(tasks, utilization) for tasks, utilization, _ in stated()] == [
        (tasks, utilization) for tasks in (1, 4, 16) for utilization in (0.5, 0.7, 0.9)
    ]


@pytest.mark.parametrize("row", range(9))
def test_the_error_of_the_fluid_is_as_stated(row: int) -> None:
    """Whole percents, within one."""
    tasks, utilization, said = stated()[row]
    assert errors(tasks, utilization) == pytest.approx(said, abs=POINTS)
