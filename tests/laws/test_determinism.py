"""Same scenario, same seed: the same bytes. Random numbers depend on the entity, not on the order of draws."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Block, definition, job, on, provider, run, service, world

LIFE = {"distribution": "exponential", "mean": "20m"}
START = {"distribution": "lognormal", "median": "8s", "sigma": 0.4}


def _busy(**keys: Any) -> Block:
    """Services and instances that fail and jobs that arrive at random, so that all random streams are used."""
    behavior = {"startupTime": START, "timeToFailure": LIFE, "startFailureProbability": 0.1}
    return world(
        nodes=6,
        duration="2h",
        services=[service("web", 6, behavior=behavior), service("api", 4, behavior=behavior)],
        runTasks=[
            job(
                "batch",
                arrivals={"ratePerHour": 60},
                duration={"distribution": "lognormal", "median": "5m", "sigma": 1},
            )
        ],
        failures={"containerInstances": {"timeToFailure": {"distribution": "exponential", "mean": "3h"}}},
        **keys,
    )


def _rows(tasks: list[Block]) -> list[Block]:
    """Return rows without serial numbers: ids, and reasons that name a deployment."""
    rows = [dict(row) for row in tasks]
    for row in rows:
        del row["task_id"], row["deployment_id"]
        row["stopped_reason"] = re.sub(r"ecs-svc/\d+", "ecs-svc/N", row["stopped_reason"] or "")
    return rows


@pytest.mark.slow
def test_two_runs_are_the_same_bytes(tmp_path: Path) -> None:
    """Contract, principle 7: every table and the summary."""
    first, second = run(_busy(), tmp_path / "a"), run(_busy(), tmp_path / "b")
    assert first.digests() == second.digests()
    assert first.summary == second.summary
    for name, table in first.run.tables.items():
        assert table.path.read_bytes() == second.run.tables[name].path.read_bytes()


@pytest.mark.slow
def test_checking_changes_nothing(tmp_path: Path) -> None:
    """A checked run stops after every instant, an unchecked one stays in compiled code: the results are the same."""
    assert run(_busy(), tmp_path / "a").digests() == run(_busy(), tmp_path / "b", checked=False).digests()


@pytest.mark.slow
def test_another_seed_and_another_replication_are_other_runs(tmp_path: Path) -> None:
    """Otherwise replications would show no random variation."""
    runs = [
        run(_busy(), tmp_path / "a", seed=1),
        run(_busy(), tmp_path / "b", seed=2),
        run(_busy(), tmp_path / "c", seed=1, replication=1),
    ]
    assert len({ran.digests()["tasks"] for ran in runs}) == 3


@pytest.mark.slow
def test_a_service_without_tasks_changes_no_other_service(tmp_path: Path) -> None:
    """Random streams are named, not numbered by position in the file: the service may be first, in between or last."""
    plain = _busy()
    bare = run(plain, tmp_path / "plain")
    for position in range(3):
        services = list(plain["services"])
        services.insert(position, service("idle", 0))
        more = run({**plain, "services": services}, tmp_path / f"at-{position}")
        assert _rows(more.tasks()) == _rows(bare.tasks())
        for name in ("web", "api"):
            assert more.rows("service_series", service=name) == bare.rows("service_series", service=name)
        assert more.rows("container_instances") == bare.rows("container_instances")


@pytest.mark.slow
def test_the_order_of_services_in_the_file_changes_no_random_number(tmp_path: Path) -> None:
    """With capacity for all on Fargate, the reverse order gives every service the same tasks."""
    behavior = {"startupTime": START, "timeToFailure": LIFE}
    app = definition(cpu=256, memory=512, networkMode="awsvpc", requiresCompatibilities=["FARGATE"])
    services = [service(name, 5, launchType="FARGATE", behavior=behavior) for name in ("a", "b", "c")]
    one = run(world(0, "2h", taskDefinitions=[app], services=services), tmp_path / "one")
    other = run(world(0, "2h", taskDefinitions=[app], services=services[::-1]), tmp_path / "other")
    for name in ("a", "b", "c"):
        assert _rows(one.tasks(service=name)) == _rows(other.tasks(service=name))


@pytest.mark.slow
def test_random_numbers_are_common_under_another_policy(tmp_path: Path) -> None:
    """Placement changes neither arrivals nor durations of tasks, so options can be compared in pairs."""

    def task_times(name: str, **keys: Any) -> list[tuple[int, int, Any]]:
        entry = job(
            "batch", arrivals={"ratePerHour": 60}, duration=START, behavior={"timeToFailure": "9s"}, **keys
        )
        ran = run(world(nodes=8, runTasks=[entry]), tmp_path / name)
        return [(t["created_at"], t["stopped_at"] - t["started_at"], t["exit_code"]) for t in ran.tasks()]

    packed = task_times("packed", placementStrategy=[{"type": "binpack", "field": "memory"}])
    spread = task_times("spread", placementStrategy=[{"type": "spread", "field": "instanceId"}])
    assert packed == spread
    assert {code for _, _, code in packed} == {0, 1}


@pytest.mark.slow
def test_an_instance_fails_at_the_same_time_whatever_runs_on_it(tmp_path: Path) -> None:
    """A group's n-th instance has its time to failure whatever runs on it."""
    breaking = {"containerInstances": {"timeToFailure": {"distribution": "exponential", "mean": "1h"}}}
    groups = {"capacityProviders": [provider(count=3), provider("other", 2)], "failures": breaking}
    idle = run(world(duration="4h", **groups, services=[service("web", 0)]), tmp_path / "idle")
    busy = run(
        world(duration="4h", **groups, services=[service("web", 9, capacityProviderStrategy=[on("other")])]),
        tmp_path / "busy",
    )
    life = ("container_instance_id", "auto_scaling_group", "launched_at", "registered_at", "terminated_at")
    assert [[row[key] for key in life] for row in idle.instances()] == [
        [row[key] for key in life] for row in busy.instances()
    ]
    assert any(row["terminated_at"] is not None for row in idle.instances())
