"""Tests that the scenarios about images, roles and addresses behave as their comments say; two published curves."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

from clustersim.scenario.reader import read_scenario
from clustersim.study.single_run.run import run_scenario
from tests.harness import HOUR, MINUTE, SECOND, Block, FinishedRun

ROOT = Path(__file__).parents[2] / "scenarios"
FOLDERS = ("images", "trouble", "validation")
SCENARIOS = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.yaml"))
STARTS = {  # ms; of the specification's section 11
    "warm-host": (5 * SECOND, 10 * SECOND),  # network interface: several seconds, under 10 observed
    "cold-host": (5 * SECOND + 10 * SECOND, 10 * SECOND + 20 * SECOND),  # and a large image: 10 to 20 s
    "fargate-soci": (30 * SECOND, 60 * SECOND),  # below a large image's 60 s
    "fargate": (50 * SECOND, 129 * SECOND),  # a PHP image of 0.4 GB: 57 s; PyTorch: 129 s
}


def ran(
    name: str, directory: Path, *overrides: str, replication: int = 0, checked: bool = True
) -> FinishedRun:
    scenario = read_scenario(ROOT / f"{name}.yaml", overrides)
    return FinishedRun(run_scenario(scenario, directory, replication=replication, checked=checked), scenario)


def pull_ms(task: Block) -> int:
    return int(task["pull_stopped_at"] - task["pull_started_at"])


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario_says_how_to_run_it_and_uses_only_what_is_simulated(path: Path) -> None:
    """As those that stand above them."""
    head = path.read_text(encoding="utf-8").split("\nname:")[0]
    assert f"clustersim run scenarios/{path.parent.name}/{path.name}" in head
    assert read_scenario(path).warnings == ()


def test_warm_host_cold_host_soci_and_fargate_in_this_order(tmp_path: Path) -> None:
    """The same image four times, each start within its published range."""
    run = ran("images/start-latency", tmp_path)
    took = {task["service"]: task["started_at"] - task["created_at"] for task in run.tasks()}
    assert sorted(took, key=lambda name: took[name]) == list(STARTS)
    for name, (low, high) in STARTS.items():
        assert low <= took[name] <= high, name
    pulls = {task["service"]: pull_ms(task) for task in run.tasks()}
    assert pulls["warm-host"] == 500, "it asks which version the tag means, and has it"
    assert 10 * SECOND <= pulls["cold-host"] <= 20 * SECOND


def test_a_second_image_on_the_same_base_pulls_only_its_own(tmp_path: Path) -> None:
    """40 MiB where 940 MiB have to come to another host."""
    run = ran("images/shared-base", tmp_path)
    (web,), (worker,), (alone,) = (run.tasks(service=name) for name in ("web", "worker", "worker-alone"))
    assert web["container_instance_id"] == worker["container_instance_id"] != alone["container_instance_id"]
    assert pull_ms(worker) < 1_500
    assert pull_ms(alone) > 10 * SECOND


def test_a_moved_tag_reaches_tasks_with_a_deployment_only(tmp_path: Path) -> None:
    """Before it: v1, pulled once for each host and then there; after it: 700 MiB that no host has."""
    run = ran("images/moving-tag", tmp_path)
    old, new = run.tasks(deployment_id="ecs-svc/1"), run.tasks(deployment_id="ecs-svc/2")
    late = [task for task in old if task["created_at"] == 20 * MINUTE]
    assert [pull_ms(task) for task in late] == [500, 500], (
        "started after the push, of the deployment's version"
    )
    assert all(pull_ms(task) > 7 * SECOND for task in new)
    assert len(new) == 4
    assert run.states(deployment_id="ecs-svc/2") == {"RUNNING": 4}
    assert run.running_at(29 * MINUTE) == 4


def test_a_missing_image_fails_one_service_and_throttles_another(tmp_path: Path) -> None:
    """Words, circuit breaker, throttle; and the old tasks serve on."""
    run = ran("trouble/missing-image", tmp_path)
    failed = [task for task in run.tasks() if task["stop_code"] == "TaskFailedToStart"]
    assert {task["stopped_reason"] for task in failed} == {
        "CannotPullContainerError: Error response from daemon: manifest for "
        "123456789012.dkr.ecr.us-east-1.amazonaws.com/shop/web:2 not found: manifest unknown: Requested image not found"
    }
    states = {
        (row["service"], row["task_definition"]): row["rollout_state"] for row in run.rows("deployments")
    }
    assert states["careful", "web:2"] == "FAILED"
    assert states["stubborn", "web:2"] == "IN_PROGRESS"
    assert any("rolling back to deployment" in message for message in run.messages())
    instants = sorted({task["created_at"] for task in failed if task["service"] == "stubborn"})
    gaps = [later - earlier - 500 for earlier, later in pairwise(instants)]
    assert gaps[:4] == [10_000, 20_000, 40_000, 80_000]
    assert gaps[-1] == 27 * MINUTE
    assert len(run.messages("SERVICE_TASK_START_IMPAIRED")) == 1
    assert [run.running_at(2 * HOUR, service=name) for name in ("careful", "stubborn")] == [2, 2]


def test_a_denied_role_stops_tasks_or_their_application(tmp_path: Path) -> None:
    """Before the pull, at it, at the application's start, and in a tenth of the requests."""
    run = ran("trouble/denied-role", tmp_path)
    secrets, pulls = run.tasks(service="no-secret"), run.tasks(service="no-pull")
    assert all("failed to fetch secret" in task["stopped_reason"] for task in secrets)
    assert all("403 Forbidden" in task["stopped_reason"] for task in pulls)
    assert {task["pull_started_at"] is None for task in secrets} == {True}
    assert {task["pull_started_at"] is None for task in pulls} == {False}
    assert (run.summary["services"]["no-secret"]["cost_usd"], len(secrets) < 12) == (0.0, True)
    settings = [task for task in run.tasks(service="settings") if task["stopped_at"] is not None]
    assert {(task["stopped_at"] - task["started_at"], task["exit_code"]) for task in settings} == {(5_000, 1)}
    assert len(settings) > 90, "replaced at once, for an hour: no throttle for what has run"
    uploads = run.summary["services"]["uploads"]
    assert uploads["requests_failed"] / uploads["requests"] == pytest.approx(0.1, abs=0.005)


def test_docker_hub_lets_a_hundred_pulls_of_a_zone_through_in_six_hours(tmp_path: Path) -> None:
    """Of 500 tasks 300 start; an hour later none; after six hours all."""
    run = ran("trouble/rate-limited", tmp_path, checked=False)
    started = {
        group: sum(task["started_at"] is not None for task in run.tasks(group=group))
        for group in ("first", "an-hour-later", "six-hours-later")
    }
    assert started == {"first": 300, "an-hour-later": 0, "six-hours-later": 250}
    refused = run.tasks(stop_code="TaskFailedToStart")
    assert all("429 Too Many Requests" in task["stopped_reason"] for task in refused)
    assert {task["stopped_at"] - task["pull_started_at"] for task in refused} == {10 * SECOND}
    mirrored = ran(
        "trouble/rate-limited", tmp_path / "ecr", 'images."python:3.12".registry=ecr', checked=False
    )
    assert mirrored.summary["tasks_failed"] == 0


def test_a_service_fills_its_subnets_and_no_more(tmp_path: Path) -> None:
    """/27, /27 and /26 give 27 + 27 + 59 addresses; the group beside it finds none."""
    run = ran("trouble/exhausted-subnet", tmp_path, checked=False)
    zones = {zone: run.running_at(2 * HOUR - 1, availability_zone=f"us-east-1{zone}") for zone in "abc"}
    assert zones == {"a": 27, "b": 27, "c": 59}
    failed = run.tasks(stop_code="TaskFailedToStart")
    assert {task["wait_reason"] for task in failed} == {"InsufficientFreeAddressesInSubnet"}
    assert run.summary["placement_failures"] == {"InsufficientFreeAddressesInSubnet": len(failed)}
    assert any(
        "InsufficientFreeAddressesInSubnet" in m for m in run.messages("SERVICE_TASK_PLACEMENT_FAILURE")
    )
    assert run.instances() == []
    assert "not enough free addresses in subnet 'subnet-a'" in run.messages("INSTANCE_LAUNCH_FAILED")[0]


@pytest.mark.parametrize(
    ("name", "first_s", "all_s"),
    [("scale-3500-fargate", 30, 270), ("scale-3500-ecs-on-ec2", 150, 600)],
)
def test_from_zero_to_3500_tasks_within_a_fifth_of_the_published_curve(
    name: str, first_s: float, all_s: float, tmp_path: Path
) -> None:
    """Medians of five replications of the first start and of the 3,500th, s."""
    starts = []
    for replication in range(5):
        run = ran(f"validation/{name}", tmp_path / str(replication), replication=replication, checked=False)
        starts.append(sorted(at for at in run.table("tasks")["started_at"] if at is not None))
    assert median(each[0] for each in starts) / 1_000 == pytest.approx(first_s, rel=0.2)
    assert median(each[3_499] for each in starts) / 1_000 == pytest.approx(all_s, rel=0.2)


def test_at_the_documented_launch_rate_fargate_is_a_minute_earlier(tmp_path: Path) -> None:
    """20 a second instead of the curve's 15: 3,400 tasks beyond the burst take 170 s instead of 227."""
    last = []
    for rate in ("15", "20"):
        override = f"cluster.fargateLaunchRate.perSecond={rate}"
        run = ran("validation/scale-3500-fargate", tmp_path / rate, override, checked=False)
        last.append(max(run.table("tasks")["started_at"]))
    assert last[0] - last[1] == pytest.approx(3_400 * SECOND * (1 / 15 - 1 / 20), abs=5 * SECOND)
