"""Worked examples of deployments, as whole runs: healthy percents, the circuit breaker, traffic shifts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from clustersim.policy.tasks.deployment import breaker_threshold, healthy_bounds
from clustersim.policy.tasks.traffic_shift import traffic_steps
from tests.harness import (
    HOUR,
    MINUTE,
    SECOND,
    Block,
    FinishedRun,
    definition,
    fargate_definition,
    run,
    service,
    world,
)

AT = 10 * MINUTE
BALANCED = {"loadBalancers": [{"targetGroupArn": "web", "containerName": "main", "containerPort": 80}]}
LOAD = {"load": {"requestsPerSecond": 20, "cpuTimePerRequest": "10ms"}}
PORT = {"portMappings": [{"containerPort": 80}]}
UPDATE: Block = {"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}


def rolled(desired: int, least: int, most: int, nodes: int = 8, **more: Any) -> Block:
    """A running service of revision 1, and an update to revision 2 at minute 10."""
    limits = {"minimumHealthyPercent": least, "maximumPercent": most}
    return world(
        nodes,
        initialState="running",
        taskDefinitions=[definition(), definition()],
        services=[
            service(
                count=desired,
                taskDefinition="app:1",
                deploymentConfiguration=limits,
                availabilityZoneRebalancing="DISABLED",
                **more,
            )
        ],
        actions=[UPDATE],
    )


def moves(ran: FinishedRun) -> list[tuple[int, int, int]]:
    """(seconds since the update, new tasks started, old tasks stopped), for each instant with a start or a stop."""
    begun = Counter(task["created_at"] for task in ran.tasks(revision=2))
    stopped = Counter(task["stopping_at"] for task in ran.tasks(revision=1))
    instants = sorted(set(begun) | {at for at in stopped if at is not None})
    return [((at - AT) // SECOND, begun[at], stopped[at]) for at in instants]


# --- the healthy percents --------------------------------------------------------------------------------------


@pytest.mark.golden(1)
def test_half_of_four_may_stop_before_any_starts(tmp_path: Path) -> None:
    """Desired 4, minimum 50 %, maximum 100 %: two old tasks stop at once; two new start when these have stopped."""
    first, second, *_ = moves(run(rolled(4, 50, 100), tmp_path))
    assert (first, second) == ((0, 0, 2), (1, 2, 0))


@pytest.mark.golden(2)
def test_the_minimum_is_rounded_up(tmp_path: Path) -> None:
    """Desired 2, minimum 75 %: the lower bound is 2, so no old task stops before a new one is healthy (40 s)."""
    ran = run(rolled(2, 75, 200), tmp_path)
    assert moves(ran)[0] == (0, 2, 0)
    assert min(task["stopping_at"] for task in ran.tasks(revision=1)) == AT + 40 * SECOND


@pytest.mark.golden(3)
def test_at_200_percent_four_tasks_start_before_any_stops(tmp_path: Path) -> None:
    """Desired 4, maximum 200 %: four new start (the launch rate spreads them over a second), then old ones stop."""
    ran = run(rolled(4, 100, 200), tmp_path)
    assert max(task["created_at"] for task in ran.tasks(revision=2)) <= AT + SECOND
    assert min(task["stopping_at"] for task in ran.tasks(revision=1)) == AT + 40 * SECOND


@pytest.mark.golden(4)
def test_the_maximum_is_rounded_down(tmp_path: Path) -> None:
    """Desired 3, maximum 125 %: the upper bound is 3; only with a minimum below 100 % can a task stop."""
    first, *_ = moves(run(rolled(3, 50, 125), tmp_path))
    assert first == (0, 0, 1)
    stuck = run(rolled(3, 100, 125), tmp_path)
    assert moves(stuck) == []
    assert len(stuck.messages("SERVICE_TASK_CONFIGURATION_FAILURE")) == 1


@pytest.mark.golden(7)
def test_six_tasks_with_room_for_eight_go_in_three_rounds(tmp_path: Path) -> None:
    """Minimum 100 %, maximum 200 %, launch type EC2: +2, -2, +2, -2, +2, -2; never under 6 healthy or over 8."""
    written = rolled(6, 100, 200, nodes=1, launchType="EC2")
    written["taskDefinitions"] = [definition(cpu=512, memory=1024)] * 2  # eight on a node of 4 vCPU
    ran = run(written, tmp_path)
    rounds = [(new, old) for _, new, old in moves(ran)]
    assert sum(new for new, _ in rounds) == sum(old for _, old in rounds) == 6
    running = 6
    for new, old in rounds:
        running += new - old
        assert 6 <= running <= 8
    stops = sorted(task["stopping_at"] for task in ran.tasks(revision=1))
    assert [stops.count(at) for at in sorted(set(stops))] == [2, 2, 2]
    (full,) = set(ran.messages("SERVICE_TASK_PLACEMENT_FAILURE"))
    assert "was unable to place a task because no container instance met all of its requirements" in full


@pytest.mark.golden(9)
def test_with_room_half_of_the_old_tasks_stop_first(tmp_path: Path) -> None:
    """Desired 6, minimum 50 %: three old stop at once, six new start, then the last three old stop."""
    ran = run(rolled(6, 50, 200), tmp_path)
    stops = sorted(task["stopping_at"] - AT for task in ran.tasks(revision=1))
    assert stops[:3] == [0, 0, 0]
    started = [task["created_at"] - AT for task in ran.tasks(revision=2)]
    assert len(started) == 6 and max(started) <= SECOND
    assert min(stops[3:]) >= 40 * SECOND


@pytest.mark.golden(10)
def test_one_task_and_three_ways_to_replace_it(tmp_path: Path) -> None:
    """100 to 200 %: one more, then stop; 50 to 100 %: ceil(0.5) = 1 to 1, stuck; 0 to 100 %: stop, then start."""
    assert moves(run(rolled(1, 100, 200), tmp_path)) == [(0, 1, 0), (40, 0, 1)]
    stuck = run(rolled(1, 50, 100), tmp_path)
    assert moves(stuck) == []
    assert len(stuck.messages("SERVICE_TASK_CONFIGURATION_FAILURE")) == 1
    assert moves(run(rolled(1, 0, 100), tmp_path)) == [(0, 0, 1), (1, 1, 0)]


@pytest.mark.golden(14)
def test_host_network_on_one_instance_cannot_have_a_second_task(tmp_path: Path) -> None:
    """Its port is taken: with 200 % the new task is never placed; with 0 to 100 % it replaces the old one.

    ECS refuses zone rebalancing with a maximum of 100 %, so it is off by default there.
    """
    app = definition(networkMode="host", container={"portMappings": [{"containerPort": 80}]})
    hanging = rolled(1, 100, 200, nodes=1)
    hanging["taskDefinitions"] = [app, app]
    ran = run(hanging, tmp_path)
    assert [task["revision"] for task in ran.tasks(last_status="RUNNING")] == [1]
    assert {task["wait_reason"] for task in ran.tasks(revision=2)} == {"RESOURCE:PORTS"}
    assert ran.rows("deployments")[-1]["rollout_state"] == "IN_PROGRESS"
    moving = rolled(1, 0, 100, nodes=1)
    moving["taskDefinitions"] = [app, app]
    del moving["services"][0]["availabilityZoneRebalancing"]
    ran = run(moving, tmp_path)
    assert [task["revision"] for task in ran.tasks(last_status="RUNNING")] == [2]
    assert ran.messages("SERVICE_REBALANCING_STARTED") == []


# --- the circuit breaker ---------------------------------------------------------------------------------------


def broken(desired: int, breaker: Block | None = None, nodes: int = 1, **more: Any) -> Block:
    """A service whose first revision runs, and an update at minute 10 to a revision whose tasks never start."""
    configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": True, **(breaker or {})}}
    return world(
        nodes,
        initialState="running",
        capacityProviders=[],
        taskDefinitions=[
            fargate_definition(),
            fargate_definition(behavior={"startFailureProbability": 1}),
        ],
        services=[
            service(
                count=desired,
                taskDefinition="app:1",
                launchType="FARGATE",
                deploymentConfiguration=configuration,
                **more,
            )
        ],
        actions=[UPDATE],
        cluster={
            "fargateStartTime": "20s",
            "serviceLaunchRatePerMinute": 60_000,
            "fargateLaunchRate": {"burst": 1000},
        },
    )


@pytest.mark.golden(15)
@pytest.mark.golden(16)
@pytest.mark.parametrize(
    ("desired", "threshold"),
    [(1, 3), (25, 13), (400, 200), (800, 200), (5, 3), (6, 3), (7, 4), (399, 200), (401, 200)],
)
def test_half_of_the_desired_count_must_fail_within_bounds(
    desired: int, threshold: int, tmp_path: Path
) -> None:
    """ceil(0.5 x desired), at least 3, at most 200: a deployment fails with exactly so many failed tasks."""
    assert breaker_threshold(desired) == threshold
    ran = run(broken(desired), tmp_path, checked=False)
    failed = ran.rows("deployments")[-1]
    assert failed["rollout_state"] == "FAILED"
    fallen = sorted(
        task["stopped_at"] for task in ran.tasks(revision=2) if task["stop_code"] == "TaskFailedToStart"
    )
    assert fallen[threshold - 1] == failed["completed_at"]
    assert ran.states(revision=1)["RUNNING"] == desired


@pytest.mark.golden(17)
def test_the_third_failure_in_a_row_fails_the_deployment(tmp_path: Path) -> None:
    """Threshold 3: FAILED at the instant the third task has stopped; it starts no further task."""
    ran = run(broken(1), tmp_path)
    failed = ran.rows("deployments")[1]
    tasks = ran.tasks(revision=2)
    assert len(tasks) == 3
    assert failed["completed_at"] == max(task["stopped_at"] for task in tasks)
    assert (failed["rollout_state"], failed["failed_tasks"]) == ("FAILED", 3)
    assert failed["rollout_state_reason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert "(service web) (deployment ecs-svc/2) deployment failed: tasks failed to start." in ran.messages()
    assert "(service web) rolling back to deployment ecs-svc/1." in ran.messages()


@pytest.mark.golden(19)
@pytest.mark.parametrize(
    ("desired", "kind", "value", "threshold"),
    [(1000, "COUNT", 5, 5), (2, "BOUNDED_PERCENT", 50, 3), (2, "UNBOUNDED_PERCENT", 50, 1)],
)
def test_a_configured_threshold(desired: int, kind: str, value: int, threshold: int, tmp_path: Path) -> None:
    """The settings of 2026: a count applies as it is, only a bounded percent is limited to 3 to 200."""
    assert breaker_threshold(desired, kind, value) == threshold
    ran = run(
        broken(desired, {"thresholdConfiguration": {"type": kind, "value": value}}), tmp_path, checked=False
    )
    failed = ran.rows("deployments")[-1]
    assert failed["rollout_state"] == "FAILED"
    fallen = sorted(
        task["stopped_at"] for task in ran.tasks(revision=2) if task["stop_code"] == "TaskFailedToStart"
    )
    assert fallen[threshold - 1] == failed["completed_at"]


@pytest.mark.golden(20)
def test_a_failure_during_a_rollback_is_not_rolled_back(tmp_path: Path) -> None:
    """1 is COMPLETED, 2 rolls back to 1, which is IN_PROGRESS when 3 begins and fails: no rollback, no launches."""
    written = broken(1)
    bad = fargate_definition(behavior={"startFailureProbability": 1})
    written["taskDefinitions"] = [fargate_definition(), bad, bad]
    # The rollback to 1 starts a task of 1, which is healthy a minute later; 3 begins before that.
    written["services"][0]["deploymentConfiguration"] |= {"minimumHealthyPercent": 0, "maximumPercent": 100}
    written["actions"].append({"at": "12m", "updateService": {"service": "web", "taskDefinition": "app:3"}})
    ran = run(written, tmp_path)
    first, second, third = ran.rows("deployments")
    assert second["rollout_state"] == third["rollout_state"] == "FAILED"
    assert second["completed_at"] < 12 * MINUTE < third["completed_at"]
    assert first["rollout_state"] == "IN_PROGRESS"
    assert ran.messages().count("(service web) rolling back to deployment ecs-svc/1.") == 1
    last = third["completed_at"]
    assert not [task for task in ran.tasks() if task["created_at"] > last]


@pytest.mark.golden(87)
def test_a_crash_before_the_first_passed_check_is_a_failure_of_the_deployment(tmp_path: Path) -> None:
    """Desired 2 behind a load balancer that checks every 30 s; tasks of revision 2 exit 10 s after RUNNING.

    None of them is ever healthy, so the third exit is the third failure: FAILED, and rolled back to revision 1.
    """
    written = broken(2, **BALANCED)
    written["targetGroups"] = [{"name": "web", "healthCheckIntervalSeconds": 30, "deregistrationDelay": "0s"}]
    del written["cluster"]["fargateStartTime"]  # the default is random: no two tasks exit at one instant
    written["taskDefinitions"] = [
        fargate_definition(container=PORT),
        fargate_definition(container=PORT, behavior={"timeToFailure": "10s"}),
    ]
    ran = run(written, tmp_path)
    first, failed = ran.rows("deployments")
    exits = sorted(task["stopped_at"] for task in ran.tasks(revision=2, exit_code=1))
    assert all(task["healthy_at"] is None for task in ran.tasks(revision=2))
    assert (failed["rollout_state"], failed["failed_tasks"]) == ("FAILED", 3)
    assert failed["completed_at"] == exits[2]
    assert failed["rollout_state_reason"] == "ECS deployment circuit breaker: tasks failed to start."
    assert first["rollout_state"] == "COMPLETED"
    assert ran.states(revision=1)["RUNNING"] == 2


@pytest.mark.parametrize(
    ("counting", "checked", "state"),
    [("never", True, "IN_PROGRESS"), ("always", False, "FAILED"), ("withHealthCheck", False, "IN_PROGRESS")],
)
def test_crashes_that_count_can_be_set(counting: str, checked: bool, state: str, tmp_path: Path) -> None:
    """`crashesBeforeHealthy`: whether a service needs a health check for its crashes to count, or none count."""
    check = {"healthCheck": {"command": ["CMD", "true"], "interval": 30}} if checked else {}
    written = broken(2, {"crashesBeforeHealthy": counting})
    written["taskDefinitions"][1] = fargate_definition(container=check, behavior={"timeToFailure": "10s"})
    assert run(written, tmp_path).rows("deployments")[-1]["rollout_state"] == state


def test_a_crash_of_a_task_that_was_healthy_is_no_failure(tmp_path: Path) -> None:
    """Healthy at 10 s, gone at 15 s: the crash is the application's, not the deployment's."""
    check = {"healthCheck": {"command": ["CMD", "true"], "interval": 10}}
    written = broken(2)
    written["taskDefinitions"][1] = fargate_definition(container=check, behavior={"timeToFailure": "15s"})
    ran = run(written, tmp_path)
    crashing = ran.rows("deployments")[-1]
    assert len(ran.tasks(revision=2, exit_code=1)) > 20
    assert (crashing["rollout_state"], crashing["failed_tasks"]) == ("COMPLETED", 0)


def half_broken(reset: bool, probability: float, desired: int = 10) -> Block:
    """An update to a revision of which a share of the starts fails; the others are healthy 10 s after RUNNING."""
    check = {"healthCheck": {"command": ["CMD", "true"], "interval": 10}}
    threshold = {"type": "COUNT", "value": 5}
    written = broken(desired, {"resetOnHealthyTask": reset, "thresholdConfiguration": threshold})
    written["taskDefinitions"][1] = fargate_definition(
        container=check, behavior={"startFailureProbability": probability}
    )
    written["cluster"] = {"fargateStartTime": "1s", "serviceLaunchRatePerMinute": 4}
    return written


def starts_of(ran: FinishedRun) -> list[bool]:
    """Whether each start of revision 2 succeeded, in order of creation."""
    return [task["started_at"] is not None for task in ran.tasks(revision=2)]


@pytest.mark.golden(103)
def test_failures_accumulate_through_the_deployment_where_a_healthy_task_does_not_reset_them(
    tmp_path: Path,
) -> None:
    """Desired 10, COUNT 5, cumulative: of the first ten starts five fail, with healthy tasks between: FAILED at the
    fifth.

    Seed 15 draws it so. With `resetOnHealthyTask` the same starts are never five failures in a row: not FAILED by then.
    """
    ran = run(half_broken(False, 0.5), tmp_path, seed=15)
    outcome = starts_of(ran)
    assert len(outcome) == 10 and outcome.count(False) == 5 and not outcome[-1]
    failed = ran.rows("deployments")[-1]
    fallen = [task["stopped_at"] for task in ran.tasks(revision=2) if task["started_at"] is None]
    assert (failed["rollout_state"], failed["failed_tasks"]) == ("FAILED", 5)
    assert failed["completed_at"] == max(fallen)
    assert any(task["healthy_at"] is not None for task in ran.tasks(revision=2))
    reset = run(half_broken(True, 0.5), tmp_path / "reset", seed=15).rows("deployments")[-1]
    assert reset["rollout_state"] == "COMPLETED" or reset["completed_at"] > failed["completed_at"]


def test_a_full_threshold_of_failures_trips_again_after_a_healthy_task(tmp_path: Path) -> None:
    """`resetOnHealthyTask: true`: the count is of failures in a row, before and after the first healthy task.

    Nine of ten starts fail; with seed 4 three, one task healthy, three, another, then five in a row.
    """
    ran = run(half_broken(True, 0.9), tmp_path, seed=4)
    outcome = starts_of(ran)
    assert True in outcome and outcome[-5:] == [False] * 5
    failed = ran.rows("deployments")[-1]
    assert failed["rollout_state"] == "FAILED"
    assert failed["rollout_state_reason"] == "ECS deployment circuit breaker: tasks failed to start."


def test_a_crash_loop_after_running_is_no_failure_without_a_health_check(tmp_path: Path) -> None:
    """Tasks that run and exit again and again leave the deployment IN_PROGRESS for ever."""
    written = broken(2)
    written["taskDefinitions"][1] = fargate_definition(behavior={"timeToFailure": "15s"})
    ran = run(written, tmp_path)
    crashing = ran.rows("deployments")[-1]
    assert (crashing["rollout_state"], crashing["failed_tasks"]) == ("IN_PROGRESS", 0)
    assert len(ran.tasks(revision=2, exit_code=1)) > 20
    assert ran.states(revision=1)["RUNNING"] == 2


def test_without_rollback_a_failed_deployment_stays_and_starts_nothing(tmp_path: Path) -> None:
    """It launches no more tasks; the old tasks, which the minimum requires, continue."""
    ran = run(broken(1, {"rollback": False}), tmp_path)
    assert ran.rows("deployments")[-1]["rollout_state"] == "FAILED"
    assert len(ran.tasks(revision=2)) == 3
    assert ran.states(revision=1) == {"RUNNING": 1}


@pytest.mark.compiled
@pytest.mark.parametrize(("reset", "state"), [(True, "IN_PROGRESS"), (False, "FAILED")])
def test_a_task_that_becomes_healthy_resets_the_failure_count_unless_disabled(
    reset: bool, state: str, tmp_path: Path
) -> None:
    """Tasks of revision 2 are healthy after 10 s, hang 5 s later and are found unhealthy at 20 s; one starts every
    10 s, so there are never three healthy ones. Each replacement is a failure, but one task becomes healthy in between.
    """
    check = {"healthCheck": {"command": ["CMD", "true"], "interval": 10, "retries": 1}}
    written = broken(3, {"resetOnHealthyTask": reset})
    written["taskDefinitions"][1] = fargate_definition(container=check, behavior={"timeToHang": "15s"})
    written["cluster"] = {"fargateStartTime": "1s", "serviceLaunchRatePerMinute": 6}
    ran = run(written, tmp_path)
    assert ran.rows("deployments")[-1]["rollout_state"] == state
    unhealthy = ran.tasks(revision=2, health_status="UNHEALTHY", last_status="STOPPED")
    replaced = [task for task in unhealthy if task["stopped_reason"] == "Task failed container health checks"]
    assert len(replaced) >= 3
    if reset:
        assert len(replaced) == len(unhealthy)
    else:
        assert "ECS deployment circuit breaker: tasks failed health checks." in {
            row["rollout_state_reason"] for row in ran.rows("deployments")
        }


# --- traffic shifts --------------------------------------------------------------------------------------------


def shifted(configuration: Block, duration: str = "4h", second: Block | None = None, **more: Any) -> Block:
    """Two tasks behind a load balancer, healthy 10 s after RUNNING, and an update at minute 10."""
    return world(
        2,
        duration,
        initialState="running",
        taskDefinitions=[definition(container=PORT), definition(container=PORT, **(second or {}))],
        targetGroups=[{"name": "web", "healthCheckIntervalSeconds": 10, "deregistrationDelay": "0s"}],
        services=[
            service(
                count=2,
                taskDefinition="app:1",
                deploymentConfiguration=configuration,
                availabilityZoneRebalancing="DISABLED",
                **BALANCED,
                **LOAD,
                **more,
            )
        ],
        actions=[UPDATE],
        sampling={"interval": "60s"},
    )


def green(ran: FinishedRun) -> dict[int, float]:
    """Percent of traffic on the second deployment, by minutes since the update."""
    rows = ran.rows("deployment_series", deployment_id="ecs-svc/2")
    return {(row["time"] - AT) // MINUTE: row["traffic_percent"] for row in rows}


@pytest.mark.golden(73)
def test_linear_by_default_takes_nine_bakes_of_six_minutes(tmp_path: Path) -> None:
    """Ten shifts of 10 %, nine bakes: 54 minutes from the first to the last, then bakeTimeInMinutes."""
    steps = traffic_steps("LINEAR", 10.0, 360_000)
    assert len(steps) == 10 and sum(step.then_ms for step in steps) == 54 * MINUTE
    ran = run(shifted({"strategy": "LINEAR", "bakeTimeInMinutes": 5}), tmp_path)
    percents = green(ran)
    assert [percents[1 + 6 * n] for n in range(10)] == [10.0 * (n + 1) for n in range(10)]
    done = ran.rows("deployments")[-1]
    assert done["rollout_state"] == "COMPLETED"
    # Green is healthy at its first check, 10 s after the update; blue has stopped a second after its SIGTERM.
    assert done["completed_at"] - AT - 10 * SECOND in (59 * MINUTE, 59 * MINUTE + SECOND)


@pytest.mark.golden(74)
def test_linear_by_quarters_shifts_at_0_10_20_and_30_minutes(tmp_path: Path) -> None:
    """25 % and 10 minutes; only multiples of 0.1 of at least 3 % are accepted."""
    linear = {"stepPercent": 25.0, "stepBakeTimeInMinutes": 10}
    percents = green(
        run(shifted({"strategy": "LINEAR", "linearConfiguration": linear, "bakeTimeInMinutes": 5}), tmp_path)
    )
    assert [percents[minute] for minute in (1, 9, 11, 19, 21, 29, 31)] == [25, 25, 50, 50, 75, 75, 100]


@pytest.mark.golden(75)
def test_canary_shifts_a_small_share_first_and_then_all_traffic(tmp_path: Path) -> None:
    """5 % for 10 minutes, then 100 %; with 10 % blue keeps 90 %."""
    percents = green(run(shifted({"strategy": "CANARY", "bakeTimeInMinutes": 5}), tmp_path))
    assert [percents[minute] for minute in (1, 9, 11)] == [5.0, 5.0, 100.0]
    canary = {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 10}, "bakeTimeInMinutes": 5}
    ran = run(shifted(canary), tmp_path)
    shares = {
        row["deployment_id"]: row["traffic_percent"]
        for row in ran.rows("deployment_series", time=AT + 2 * MINUTE)
    }
    assert shares == {"ecs-svc/1": 90.0, "ecs-svc/2": 10.0}


def test_blue_green_moves_all_traffic_at_once_and_keeps_blue_until_it_has_baked(tmp_path: Path) -> None:
    """Green has its full count before traffic moves (twice the tasks); blue stops when the bake time is over."""
    ran = run(shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 15}), tmp_path)
    blue, new = ran.tasks(revision=1), ran.tasks(revision=2)
    ready = max(task["healthy_at"] for task in new)
    assert {task["stopping_at"] for task in blue} == {ready + 15 * MINUTE}
    assert ran.running_at(AT + 5 * MINUTE) == 4
    assert green(ran)[1] == 100.0
    failed = ran.summary["services"]["web"]["requests_failed"]
    assert failed == 0
    assert ran.rows("deployments")[-1]["rollout_state"] == "COMPLETED"


def test_a_release_that_never_starts_lasts_a_day_under_blue_green_and_fails_no_request(
    tmp_path: Path,
) -> None:
    """Green never has its tasks; a stage lasts 24 hours at most, then the deployment is rolled back."""
    never = {"behavior": {"startFailureProbability": 1}}
    written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}, "26h", never)
    ran = run(written, tmp_path, checked=False)
    failed = ran.rows("deployments")[-1]
    assert (failed["rollout_state"], failed["completed_at"]) == ("FAILED", AT + 24 * HOUR)
    assert ran.summary["services"]["web"]["requests_failed"] == 0
    assert ran.states(revision=1) == {"RUNNING": 2}


def test_a_failing_hook_shifts_back_and_a_slow_one_delays(tmp_path: Path) -> None:
    """The hook of POST_TEST_TRAFFIC_SHIFT answers after 2 minutes; FAILED shifts back before green has any request."""
    for status, state in (("SUCCEEDED", "COMPLETED"), ("FAILED", "FAILED")):
        hook = {
            "hookTargetArn": "arn:aws:lambda:us-east-1:1:function:test",
            "roleArn": "arn:aws:iam::1:role/x",
            "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"],
            "result": {"after": "2m", "status": status},
        }
        ran = run(
            shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, "lifecycleHooks": [hook]}), tmp_path
        )
        ready = max(task["healthy_at"] for task in ran.tasks(revision=2))
        row = ran.rows("deployments")[-1]
        assert row["rollout_state"] == state
        assert green(ran)[1] == 0.0
        late = 5 * MINUTE if state == "COMPLETED" else 0
        assert 0 <= row["completed_at"] - (ready + 2 * MINUTE + late) <= 2 * SECOND
        assert ran.states(revision=2 if state == "COMPLETED" else 1)["RUNNING"] == 2


def test_a_hook_that_never_answers_times_out_with_its_action(tmp_path: Path) -> None:
    """Ten minutes, then CONTINUE or ROLLBACK."""
    for action, state in (("CONTINUE", "COMPLETED"), ("ROLLBACK", "FAILED")):
        hook = {
            "targetType": "PAUSE",
            "lifecycleStages": ["PRE_SCALE_UP"],
            "timeoutConfiguration": {"timeoutInMinutes": 10, "action": action},
            "result": {"status": "IN_PROGRESS"},
        }
        written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, "lifecycleHooks": [hook]})
        ran = run(written, tmp_path)
        assert ran.rows("deployments")[-1]["rollout_state"] == state
        if state == "COMPLETED":
            assert min(task["created_at"] for task in ran.tasks(revision=2)) == AT + 10 * MINUTE
        else:
            assert ran.rows("deployments")[-1]["completed_at"] == AT + 10 * MINUTE
            assert ran.tasks(revision=2) == []


def hook_kinds(ran: FinishedRun, stage: str) -> list[tuple[int, str]]:
    """(seconds since the update, kind) of the events of the hooks of a stage."""
    rows = [row for row in ran.rows("events") if row["kind"].startswith("HOOK_")]
    return [
        ((row["time"] - AT) // SECOND, row["kind"][5:]) for row in rows if f"of {stage}:" in row["message"]
    ]


@pytest.mark.golden(89)
@pytest.mark.parametrize(("protocol", "minutes"), [("HTTP", 50), ("TCP", 90)])
def test_a_pause_before_each_of_four_steps_and_ten_minutes_more_on_a_network_balancer(
    protocol: str, minutes: int, tmp_path: Path
) -> None:
    """LINEAR 25 %, 10 min, a pause of 5 min at PRE_PRODUCTION_TRAFFIC_SHIFT: it is called four times.

    All traffic is on green 3 x 10 + 4 x 5 = 50 min after the phase begins; a Network Load Balancer adds 10 min to each
    PRODUCTION_TRAFFIC_SHIFT, and to TEST_TRAFFIC_SHIFT before the phase.
    """
    hook = {
        "targetType": "PAUSE",
        "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
        "result": {"after": "5m"},
    }
    linear = {"stepPercent": 25.0, "stepBakeTimeInMinutes": 10}
    configuration = {"strategy": "LINEAR", "linearConfiguration": linear, "lifecycleHooks": [hook]}
    written = shifted({**configuration, "bakeTimeInMinutes": 5})
    written["targetGroups"][0]["protocol"] = protocol
    ran = run(written, tmp_path)
    seen = hook_kinds(ran, "PRE_PRODUCTION_TRAFFIC_SHIFT")
    assert [kind for _, kind in seen] == ["AWAITING_ACTION", "SUCCEEDED"] * 4
    begin = seen[0][0]
    ready = max(task["healthy_at"] for task in ran.tasks(revision=2))
    assert begin * SECOND == ready - AT + (10 * MINUTE if protocol == "TCP" else 0)
    percents = green(ran)
    full = begin // 60 + minutes  # the phase begins within a minute of the series
    assert percents[full] == 75.0 and percents[full + 1] == 100.0
    assert ran.rows("deployments")[-1]["rollout_state"] == "COMPLETED"


@pytest.mark.parametrize("stage", ["PRODUCTION_TRAFFIC_SHIFT", "TEST_TRAFFIC_SHIFT", "POST_SCALE_UP"])
def test_a_rollback_calls_the_functions_of_the_traffic_shifts_again(stage: str, tmp_path: Path) -> None:
    """Developer Guide, Lambda hooks: on a rollback those of TEST_ and PRODUCTION_TRAFFIC_SHIFT are called again.

    A hook of POST_PRODUCTION_TRAFFIC_SHIFT fails after 30 s. Traffic is on blue at once; green stays until the function
    has answered a minute later, while its deployment is FAILED.
    """
    function = {
        "hookTargetArn": "arn:aws:lambda:us-east-1:1:function:test",
        "roleArn": "arn:aws:iam::1:role/x",
    }
    asked = {**function, "lifecycleStages": [stage], "result": {"after": "60s"}}
    failing = {
        **function,
        "lifecycleStages": ["POST_PRODUCTION_TRAFFIC_SHIFT"],
        "result": {"after": "30s", "status": "FAILED"},
    }
    hooks = [asked, failing]
    ran = run(shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, "lifecycleHooks": hooks}), tmp_path)
    again = stage != "POST_SCALE_UP"
    assert [kind for _, kind in hook_kinds(ran, stage)] == ["IN_PROGRESS", "SUCCEEDED"] * (2 if again else 1)
    failed = ran.rows("deployments")[-1]
    assert failed["rollout_state_reason"] == (
        "ECS deployment failed: a lifecycle hook of stage POST_PRODUCTION_TRAFFIC_SHIFT failed."
    )
    gone = min(task["stopping_at"] for task in ran.tasks(revision=2))
    assert gone == failed["completed_at"] + (MINUTE if again else 0)
    assert green(ran).get((failed["completed_at"] - AT) // MINUTE + 1, 0.0) == 0.0
    assert ran.states(revision=1) == {"RUNNING": 2}


def test_a_pause_may_last_longer_than_a_stage(tmp_path: Path) -> None:
    """Developer Guide, pause hooks: up to 14 days, where any other stage fails after 24 hours."""
    hook = {
        "targetType": "PAUSE",
        "lifecycleStages": ["POST_SCALE_UP"],
        "timeoutConfiguration": {"timeoutInMinutes": 20_160},
        "result": {"after": "30h"},
    }
    written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, "lifecycleHooks": [hook]}, "40h")
    assert run(written, tmp_path, checked=False).rows("deployments")[-1]["rollout_state"] == "COMPLETED"


def test_without_a_load_balancer_blue_green_moves_no_traffic(tmp_path: Path) -> None:
    """Developer Guide, blue/green: for headless services the tasks are replaced, and each serves while it runs."""
    written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5})
    del written["services"][0]["loadBalancers"]
    ran = run(written, tmp_path)
    assert green(ran)[3] == 50.0
    assert ran.rows("deployments")[-1]["rollout_state"] == "COMPLETED"


def test_a_policy_on_requests_per_target_is_blind_while_the_other_group_has_the_traffic(
    tmp_path: Path,
) -> None:
    """Load for four tasks, and two; a blue/green deployment within the first minute moves the traffic away.

    Without the deployment the policy scales out; after it, it has no data, and after a second one it has data again.
    """
    tracking = {
        "policyName": "requests",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 600,
            "predefinedMetricSpecification": {"predefinedMetricType": "ALBRequestCountPerTarget"},
        },
    }
    scaling = {"minCapacity": 2, "maxCapacity": 8, "policies": [tracking]}
    scaled = []
    for deployments in range(3):
        written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5}, autoScaling=scaling)
        written["services"][0]["load"] = {"requestsPerSecond": 40, "cpuTimePerRequest": "10ms"}
        force = {"updateService": {"service": "web", "forceNewDeployment": True}}
        written["actions"] = [{**UPDATE, "at": "30s"}, {"at": "20m", **force}][:deployments]
        ran = run(written, tmp_path / str(deployments))
        scaled.append(ran.running_at(3 * HOUR) > 2)
    assert scaled == [True, False, True]


def alarmed(name: str, metric: str, threshold: float, periods: int = 2) -> Block:
    """An alarm on a metric of the service over `periods` minutes."""
    return {
        "alarmName": name,
        "namespace": "AWS/ApplicationELB",
        "metricName": metric,
        "dimensions": [{"name": "ServiceName", "value": "web"}],
        "threshold": threshold,
        "comparisonOperator": "GreaterThanThreshold",
        "evaluationPeriods": periods,
        "period": 60,
        "statistic": "Sum",
    }


def test_an_alarm_during_the_bake_time_shifts_traffic_back(tmp_path: Path) -> None:
    """Revision 2 needs so much CPU that requests time out: errors for two minutes, then blue has all traffic again."""
    slow = {"behavior": {"cpuTimePerRequest": "2s"}}
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 30, "alarms": alarms}, second=slow)
    written["alarms"] = [alarmed("errors", "HTTPCode_ELB_5XX_Count", 10)]
    ran = run(written, tmp_path)
    failed = ran.rows("deployments")[-1]
    assert failed["rollout_state"] == "FAILED"
    assert failed["rollout_state_reason"] == "ECS deployment alarms: alarm errors is in state ALARM."
    assert 2 * MINUTE <= failed["completed_at"] - AT <= 4 * MINUTE
    errors = [
        count for at, count in ran.series("failed_request_count") if at > failed["completed_at"] + MINUTE
    ]
    assert max(errors) == 0
    assert ran.states(revision=1)["RUNNING"] == 2


def test_an_alarm_fails_a_rolling_deployment_and_one_already_on_is_ignored(tmp_path: Path) -> None:
    """ECS Developer Guide, deployment alarms: an alarm in ALARM at the beginning is ignored for that deployment."""
    alarms = {"alarmNames": ["busy"], "enable": True, "rollback": True}
    for threshold, state in ((5_000.0, "COMPLETED"), (10.0, "COMPLETED")):
        written = shifted({"alarms": alarms}, "2h")
        written["alarms"] = [alarmed("busy", "RequestCount", threshold)]
        assert run(written, tmp_path).rows("deployments")[-1]["rollout_state"] == state
    slow = {"behavior": {"cpuTimePerRequest": "2s"}}
    written = shifted({"alarms": alarms}, "2h", slow)
    written["alarms"] = [alarmed("busy", "HTTPCode_ELB_5XX_Count", 10)]
    ran = run(written, tmp_path)
    assert ran.rows("deployments")[-1]["rollout_state"] == "FAILED"
    assert ran.states(revision=1)["RUNNING"] == 2


def test_a_rollback_names_the_alarms_that_caused_it(tmp_path: Path) -> None:
    """Half of the old tasks stopped before the alarm, so that the rollback is in progress 5 s after it."""
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    slow = {"behavior": {"cpuTimePerRequest": "2s"}}
    written = shifted({"alarms": alarms, "minimumHealthyPercent": 50, "maximumPercent": 100}, "2h", slow)
    written["alarms"] = [alarmed("errors", "HTTPCode_ELB_5XX_Count", 10)]
    failed = run(written, tmp_path).rows("deployments")[-1]
    assert failed["rollout_state"] == "FAILED"
    written["duration"] = f"{failed['completed_at'] // SECOND + 5}s"
    row = run(written, tmp_path / "cut").rows("deployments")[0]
    assert row["rollout_state_reason"] == "ECS deployment alarms: rolling back to deploymentId ecs-svc/1."


def test_a_rolling_deployment_with_alarms_bakes_for_their_evaluation_periods(tmp_path: Path) -> None:
    """Two periods of 60 s after the last old task has stopped."""
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    written = shifted({"alarms": alarms}, "2h")
    written["alarms"] = [alarmed("errors", "HTTPCode_ELB_5XX_Count", 10)]
    ran = run(written, tmp_path)
    last = max(task["stopped_at"] for task in ran.tasks(revision=1))
    assert ran.rows("deployments")[-1]["completed_at"] == last + 2 * MINUTE


@pytest.mark.parametrize(("minutes", "rollback", "bake"), [(7, True, 7), (0, True, 0), (7, False, 0)])
def test_a_written_bake_time_replaces_the_evaluation_time_of_the_alarms(
    minutes: int, rollback: bool, bake: int, tmp_path: Path
) -> None:
    """Developer Guide, deployment alarms: a bake time is part of the rollback option, and has no floor if it is set."""
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": rollback}
    written = shifted({"alarms": alarms, "bakeTimeInMinutes": minutes}, "2h")
    written["alarms"] = [alarmed("errors", "HTTPCode_ELB_5XX_Count", 10)]
    ran = run(written, tmp_path)
    last = max(task["stopped_at"] for task in ran.tasks(revision=1))
    assert ran.rows("deployments")[-1]["completed_at"] == last + bake * MINUTE


def test_the_circuit_breaker_fails_a_blue_green_deployment_too(tmp_path: Path) -> None:
    """Green never has a task; the third failed start fails the deployment, in place of the 24 hours of its stage."""
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    never = {"behavior": {"startFailureProbability": 1}}
    written = shifted({"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5, **breaker}, second=never)
    ran = run(written, tmp_path)
    failed = ran.rows("deployments")[-1]
    assert (failed["rollout_state"], failed["rollout_state_reason"]) == (
        "FAILED",
        "ECS deployment circuit breaker: tasks failed to start.",
    )
    assert ran.summary["services"]["web"]["requests_failed"] == 0
    assert ran.states(revision=1) == {"RUNNING": 2}


@pytest.mark.parametrize("cleanup", ["BLOCKING", "DEFERRED"])
def test_early_success_completes_before_all_are_healthy(cleanup: str, tmp_path: Path) -> None:
    """100 to 150 % of four: two new tasks are healthy after 40 s, two more after 80 s, when the last old ones go.

    With 50 % the deployment is COMPLETED at 40 s, or, if the old tasks must have stopped, at 80 s.
    """
    early = {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": cleanup}
    written = rolled(4, 100, 150)
    written["services"][0]["deploymentConfiguration"] |= {"earlySuccessCriteria": early}
    ran = run(written, tmp_path)
    done = ran.rows("deployments")[-1]["completed_at"]
    healthy = sorted(task["healthy_at"] for task in ran.tasks(revision=2))
    gone = max(task["stopped_at"] for task in ran.tasks(revision=1))
    assert healthy[1] < gone
    assert done == (healthy[1] if cleanup == "DEFERRED" else gone)
    assert ran.states(last_status="RUNNING") == {"RUNNING": 4}


@pytest.mark.golden(11)
def test_bounds_are_rounded_towards_the_desired_count() -> None:
    """The minimum up, the maximum down; the whole runs are in tests/laws/test_deployment_bounds.py."""
    assert healthy_bounds(10, 90, 110) == (9, 11)
    assert healthy_bounds(5, 100, 150) == (5, 7)
    assert healthy_bounds(7, 33, 133) == (3, 9)
    assert healthy_bounds(3, 50, 150) == (2, 4)
