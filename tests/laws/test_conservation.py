"""Tasks, capacity and cost are conserved, and a cluster without changes becomes steady."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import (
    HOUR,
    MINUTE,
    SECOND,
    definition,
    fargate_definition,
    job,
    on,
    provider,
    run,
    service,
    world,
)
from tests.swarm.checks import violations


@pytest.mark.slow
def test_counts_room_and_costs_close_in_an_overloaded_cluster(tmp_path: Path) -> None:
    """Queues, refusals, retries, Fargate and failed instances together; every table is recomputed."""
    ran = run(
        world(
            nodes=3,
            duration="3h",
            cluster={"provisioning": {"limit": 20, "timeout": "5m"}, "fargateQuotaVcpu": 2},
            taskDefinitions=[definition(), fargate_definition("small")],
            services=[
                service("web", 12, behavior={"timeToFailure": "25m"}),
                service("edge", 9, taskDefinition="small", launchType="FARGATE"),
            ],
            runTasks=[job("batch", 10, schedule="rate(4 minutes)", duration="6m", retries=2)],
            failures={"containerInstances": {"timeToFailure": {"distribution": "exponential", "mean": "1h"}}},
        ),
        tmp_path,
    )
    assert violations(ran) == []
    assert ran.summary["tasks_never_placed"] > 0
    assert ran.summary["cost_usd_idle"] > 0


def test_every_requested_task_is_a_row_even_without_any_capacity(tmp_path: Path) -> None:
    """Contract, principle 8: refused at once for a launch type, waiting for a provider."""
    ran = run(
        world(
            nodes=0,
            runTasks=[job("refused", 7, launchType="EC2", duration="1m"), job("waiting", 5, duration="1m")],
        ),
        tmp_path,
    )
    assert ran.states(group="refused") == {"STOPPED": 7}
    assert {row["stop_code"] for row in ran.tasks(group="refused")} == {"TaskFailedToStart"}
    reasons = {row["stopped_reason"] for row in ran.tasks()}
    assert reasons == {"TaskFailedToStart: NO ACTIVE INSTANCES"}
    assert ran.summary["tasks_never_placed"] == 12
    assert {row["stopped_at"] for row in ran.tasks(group="waiting")} == {30 * MINUTE}
    assert ran.summary["cost_usd"] == 0


@pytest.mark.slow
def test_a_cluster_without_failures_becomes_steady(tmp_path: Path) -> None:
    """Constant demand that fits: after the first minutes there are no starts, stops or events."""
    ran = run(world(nodes=4, duration="1d", services=[service("web", 10), service("api", 5)]), tmp_path)
    stamps = ("created_at", "placed_at", "started_at", "healthy_at")
    last = max(row[name] for row in ran.tasks() for name in stamps)
    assert last < 2 * MINUTE
    assert ran.states() == {"RUNNING": 15}
    assert max(row["time"] for row in ran.rows("events")) == last
    late = [row for row in ran.rows("service_series") if row["time"] >= 2 * MINUTE]
    assert {row["service"]: (row["running_count"], row["pending_count"]) for row in late} == {
        "web": (10, 0),
        "api": (5, 0),
    }
    assert len({(row["service"], row["running_count"], row["healthy_count"]) for row in late}) == 2


def test_two_instances_for_an_hour_cost_two_hours(tmp_path: Path) -> None:
    """2 x (0.36 + 30 GiB x 0.08 / 730 h) USD; half of the CPU and of the memory of both is idle."""
    hourly = 0.36 + 30 * 0.08 / 730
    ran = run(world(nodes=2, services=[service("web", 8)], initialState="running"), tmp_path)
    assert ran.summary["cost_usd"] == pytest.approx(2 * hourly)
    assert ran.summary["cost_usd_idle"] == pytest.approx(hourly)
    assert [row["cost_usd"] for row in ran.tasks()] == pytest.approx([hourly / 8] * 8)


@pytest.mark.slow
def test_availability_is_mttf_over_mttf_and_mttr(tmp_path: Path) -> None:
    """Tasks run an exponential time of mean m and take r to restart, so they run a share m / (m + r) of the time.

    The share over a time T of n alternating renewal processes with constant r has the variance
    r^2 m^2 / ((m + r)^3 T n) (Cox, Renewal Theory, section 7.4); four standard errors are allowed.
    """
    n, m, r, hours = 40, 30 * MINUTE, 3 * MINUTE, 40
    behavior = {"timeToFailure": {"distribution": "exponential", "mean": "30m"}, "startupTime": "3m"}
    ran = run(
        world(
            duration=f"{hours}h",
            warmUp="5h",
            capacityProviders=[provider(count=10)],
            services=[service("web", n, behavior=behavior, capacityProviderStrategy=[on()])],
        ),
        tmp_path,
        checked=False,
    )
    error = (r**2 * m**2 / ((m + r) ** 3 * hours * HOUR * n)) ** 0.5
    share = ran.summary["services"]["web"]["running_mean"] / n
    assert abs(share - m / (m + r)) < 4 * error
    run_times = [t["stopping_at"] - t["started_at"] for t in ran.tasks() if t["stopping_at"] is not None]
    assert abs(sum(run_times) / len(run_times) - m) < 4 * m / len(run_times) ** 0.5
    waits = {t["started_at"] - t["created_at"] for t in ran.tasks() if t["started_at"] is not None}
    assert waits == {180 * SECOND}
