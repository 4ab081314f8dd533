"""What a task waits for before it is RUNNING: its pull on a cold host, a warm one and Fargate, and how that fails.

Unless a test says otherwise a registry answers after 500 ms, a host unpacks 100 MiB/s and its network is no limit, so
that 1 GiB takes 10.24 s.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from tests.harness import (
    MINUTE,
    SECOND,
    Block,
    FinishedRun,
    definition,
    fargate_definition,
    job,
    provider,
    run,
    service,
    world,
)

ASKED = 500  # ms until the registry has answered
GIB_MS = 10_240
BASE = {"digest": "base", "size": "1 GiB"}
IMAGES: Block = {
    "app": {"layers": [BASE, {"digest": "app-1", "size": "100 MiB"}]},
    "worker": {"layers": [BASE, {"digest": "worker-1", "size": "50 MiB"}]},
}
APP_MS, WORKER_MS = GIB_MS + 1_000, 500  # of the worker, on top of the app's base
FARGATE = {"fargateStartTime": "20s", "serviceLaunchRatePerMinute": 60_000}
ECR = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


def pulled(task: Block) -> tuple[Any, Any, Any]:
    return task["pull_started_at"], task["pull_stopped_at"], task["started_at"]


def ends(ran: FinishedRun) -> list[tuple[int, str]]:
    """(instant, reason) of every task that stopped."""
    return [(t["stopped_at"], t["stopped_reason"]) for t in ran.tasks() if t["stopped_at"] is not None]


def nodes(count: int = 1, behavior: str = "default", **group: Any) -> list[Block]:
    config = {"ECS_IMAGE_PULL_BEHAVIOR": behavior, **group.pop("config", {})}
    return [provider(count=count, ecsConfig=config, **group)]


def two_jobs(*first: Block) -> list[Block]:
    """Entries of 10 s each, by what they add to an entry."""
    return [job(f"job-{n}", duration="10s", **keys) for n, keys in enumerate(first)]


# --- where layers are ------------------------------------------------------------------------------------


def test_a_cold_host_moves_all_layers_and_a_warm_one_only_asks(tmp_path: Path) -> None:
    """1 GiB and 100 MiB: 0.5 + 10.24 + 1 s at first, half a second the second time."""
    ran = run(world(images=IMAGES, runTasks=two_jobs({"at": "1m"}, {"at": "5m"})), tmp_path)
    cold, warm = ran.tasks()
    assert pulled(cold) == (60_000, 60_000 + ASKED + APP_MS, 60_000 + ASKED + APP_MS)
    assert pulled(warm) == (300_000, 300_000 + ASKED, 300_000 + ASKED)


def test_two_images_that_share_a_base_pull_it_once_per_host(tmp_path: Path) -> None:
    """The worker finds the app's base on its host and moves 50 MiB; on a host of its own it moves all."""
    tasks = [definition(), definition("worker")]
    later = two_jobs({"at": "0s"}, {"at": "5m", "taskDefinition": "worker"})
    shared = run(world(images=IMAGES, taskDefinitions=tasks, runTasks=later), tmp_path / "one")
    assert pulled(shared.tasks()[1])[1] == 5 * MINUTE + ASKED + WORKER_MS
    at_once = two_jobs({"at": "0s"}, {"at": "0s", "taskDefinition": "worker"})
    together = run(world(images=IMAGES, taskDefinitions=tasks, runTasks=at_once), tmp_path / "together")
    assert [pulled(task)[1] for task in together.tasks()] == [ASKED + APP_MS, ASKED + APP_MS + WORKER_MS], (
        "the base is waited for, and the disk unpacks the worker after the app"
    )
    alone = run(
        world(images=IMAGES, taskDefinitions=tasks, runTasks=two_jobs({"taskDefinition": "worker"})),
        tmp_path / "alone",
    )
    assert pulled(alone.tasks()[0])[1] == ASKED + GIB_MS + WORKER_MS


def test_a_hosts_network_is_shared_by_the_pulls_on_it(tmp_path: Path) -> None:
    """1 Gbps moves 0.4 GiB in 3.44 s; unpacking at 1 GiB/s is fast, so the second image comes at twice that."""
    images = {name: {"layers": [{"digest": name, "size": "1 GiB"}]} for name in ("app", "worker")}
    kind = {"name": "test.node", "vcpus": 4, "memoryMiB": 8192, "registeredMemoryMiB": 8192, "maxEnis": 16}
    ran = run(
        world(
            instanceTypes=[{**kind, "usdPerHour": 0.36, "networkGbps": 1}],
            cluster={"imagePulls": {"unpackSpeed": "1 GiB/s"}},
            images=images,
            taskDefinitions=[definition(), definition("worker")],
            runTasks=two_jobs({}, {"taskDefinition": "worker"}),
        ),
        tmp_path,
    )
    moved = round(1024**3 * 0.4) / 125_000  # ms
    done = [pulled(task)[1] - ASKED for task in ran.tasks()]
    assert done == pytest.approx([moved + 1_000, 2 * moved + 1_000], abs=2)


def test_a_new_instance_has_an_empty_cache(tmp_path: Path) -> None:
    """The instance that replaces a terminated one in its slot is cold again."""
    ran = run(
        world(
            capacityProviders=nodes(launchTime="30s"),
            images=IMAGES,
            runTasks=two_jobs({"at": "0s"}, {"at": "5m"}),
            actions=[{"at": "2m", "terminateInstances": {"instanceIds": ["1"]}}],
        ),
        tmp_path,
    )
    again = ran.tasks()[1]
    assert again["container_instance_id"] == 2
    assert pulled(again)[1] == 5 * MINUTE + ASKED + APP_MS


def test_preloaded_images_come_with_the_machine_image(tmp_path: Path) -> None:
    """`prefer-cached` then asks no registry, so there is no pull; `once` asks, as no task has pulled the image yet."""
    for behavior, expected in (("prefer-cached", (None, None, 0)), ("once", (0, ASKED, ASKED))):
        groups = nodes(behavior=behavior, preloadedImages=["app"])
        written = world(capacityProviders=groups, images=IMAGES, runTasks=two_jobs({}))
        assert pulled(run(written, tmp_path / behavior).tasks()[0]) == expected


def test_tasks_that_have_run_for_long_have_pulled_long_ago(tmp_path: Path) -> None:
    """`initialState: running`: no pull, and a later task on the same host finds the layers."""
    services = [service("web", 2, behavior={"timeToFailure": "10m"})]
    ran = run(world(images=IMAGES, services=services, initialState="running", duration="11m"), tmp_path)
    assert [pulled(task) for task in ran.tasks()[:2]] == [(None, None, 0)] * 2
    assert pulled(ran.tasks()[2]) == (10 * MINUTE, 10 * MINUTE + ASKED, 10 * MINUTE + ASKED)


def test_an_image_that_is_not_listed_needs_no_pull(tmp_path: Path) -> None:
    """So a scenario without images is as fast as before; where others are listed the reader warns."""
    ran = run(world(images={"other": {"size": "1 GiB"}}, runTasks=two_jobs({})), tmp_path)
    assert pulled(ran.tasks()[0]) == (None, None, 0)
    assert any("not listed, so without a pull: app" in line for line in ran.scenario.warnings)


# --- from placement to RUNNING ---------------------------------------------------------------------------------


def test_network_then_images_then_containers(tmp_path: Path) -> None:
    """awsvpc on EC2: 5 s for the interface, 11.74 s for the image, 3 s for the application."""
    ran = run(
        world(
            images=IMAGES,
            taskDefinitions=[definition(networkMode="awsvpc")],
            services=[service("web", 1, behavior={"startupTime": "3s"})],
        ),
        tmp_path,
    )
    begin, pulled_at = 5 * SECOND, 5 * SECOND + ASKED + APP_MS
    assert pulled(ran.tasks()[0]) == (begin, pulled_at, pulled_at + 3 * SECOND)


def test_fargate_keeps_nothing_and_bills_from_the_pull(tmp_path: Path) -> None:
    """20 s of Fargate's own, then 1,124 MiB at 30 MiB/s = 37.47 s, for each task; 256 units, 512 MiB, 90 s billed."""
    ran = run(
        world(
            nodes=0,
            cluster={**FARGATE, "imagePulls": {"fargate": {"bandwidth": "100 Gbps"}}},
            images=IMAGES,
            taskDefinitions=[fargate_definition()],
            runTasks=[
                {**job("first", duration="52s", launchType="FARGATE")},
                {**job("second", duration="52s", launchType="FARGATE", at="5m")},
            ],
        ),
        tmp_path,
    )
    for task, at in zip(ran.tasks(), (0, 5 * MINUTE), strict=True):
        begun, pulled_at, started = pulled(task)
        assert (begun - at, started) == (20 * SECOND, pulled_at)
        assert pulled_at - begun == pytest.approx(ASKED + 1_124 / 30 * SECOND, abs=40)
        assert task["stopped_at"] - begun == pytest.approx(90_000, abs=100)
        hour = 0.25 * 0.04048 + 0.5 * 0.004445
        assert task["cost_usd"] == pytest.approx(hour * 90 / 3600, rel=0.02)
    assert ran.summary["fargate_vcpu_hours"] == pytest.approx(2 * 0.25 * 90 / 3600, rel=0.02)


def test_a_task_stopped_during_a_pull_has_not_ended_it(tmp_path: Path) -> None:
    """The agent finishes what it began: the next task finds the layers."""
    ran = run(
        world(
            images=IMAGES,
            runTasks=two_jobs({}, {"at": "1m"}),
            actions=[{"at": "3s", "stopTask": {"task": "1"}}],
        ),
        tmp_path,
    )
    stopped, after = ran.tasks()
    assert (pulled(stopped), stopped["stopped_at"]) == ((0, None, None), 3_000)
    assert pulled(after)[1] == MINUTE + ASKED


def dependent(condition: str = "SUCCESS") -> Block:
    """`main` of the app waits for `init` of the worker, which works for 30 s."""
    waits = [{"containerName": "init", "condition": condition}]
    containers = [
        {"name": "main", "image": "app", "memory": 100, "dependsOn": waits},
        {"name": "init", "image": "worker", "memory": 100, "essential": False},
    ]
    return {**definition(), "containerDefinitions": containers}


@pytest.mark.parametrize("upfront", [False, True])
def test_a_dependent_container_pulls_when_its_dependencies_are_met(upfront: bool, tmp_path: Path) -> None:
    """init: 10.74 + 0.5 s, 30 s of work; main then pulls 100 MiB in 1.5 s; or all first, as the agent is configured."""
    config = {"ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT": upfront}
    ran = run(
        world(
            capacityProviders=nodes(config=config),
            images=IMAGES,
            taskDefinitions=[dependent()],
            runTasks=[job(duration="10s", behavior={"containers": {"init": {"duration": "30s"}}})],
        ),
        tmp_path,
    )
    init = ASKED + GIB_MS + 500
    worked = init + 30 * SECOND
    both = ASKED + GIB_MS + 1_500  # the disk unpacks one after the other
    expected = (0, both, both + 30 * SECOND) if upfront else (0, worked + 1_500, worked + 1_500)
    assert pulled(ran.tasks()[0]) == expected


def test_a_dependent_container_whose_image_is_missing_stops_the_task_then(tmp_path: Path) -> None:
    """Not before: the agent asks for it when init has done its work."""
    images = {**IMAGES, "app": {"missing": True}}
    keys = {"behavior": {"containers": {"init": {"duration": "30s"}}}}
    ran = run(world(images=images, taskDefinitions=[dependent()], runTasks=[job(**keys)]), tmp_path)
    (at, reason), *_ = ends(ran)
    assert at == ASKED + GIB_MS + 500 + 30 * SECOND + ASKED
    assert reason.startswith("CannotPullContainerError") and f"{ECR}/app:latest" in reason


# --- how a pull fails ------------------------------------------------------------------------------------


def refused(
    images: Block, registries: list[Block], fargate: bool, tmp_path: Path, **keys: Any
) -> FinishedRun:
    """One standalone task that cannot pull; Fargate takes 20 s first."""
    tasks = [fargate_definition() if fargate else definition()]
    where = {"launchType": "FARGATE"} if fargate else {}
    written = world(cluster=FARGATE, images=images, registries=registries, taskDefinitions=tasks, **keys)
    return run({**written, "runTasks": [job(**where)]}, tmp_path)


@pytest.mark.parametrize("fargate", [False, True])
@pytest.mark.parametrize(
    ("image", "registry", "after", "words"),
    [
        ({"missing": True}, {}, ASKED, "app:latest"),
        ({"size": "1 MiB"}, {"private": True}, ASKED, "pull access denied"),
        ({"size": "1 MiB"}, {"outages": [{"at": "0s", "duration": "10m"}]}, 60_000, "timeout"),
        ({"size": "1 MiB"}, {"anonymousPulls": {"limit": 1, "per": "1h"}}, None, ""),
        ({"size": "100 GiB"}, {}, ASKED, "no space left on device"),
    ],
)
def test_a_pull_fails_with_the_message_of_ecs(
    image: Block, registry: Block, after: int | None, words: str, fargate: bool, tmp_path: Path
) -> None:
    """CannotPullContainerError, TaskFailedToStart, no start; the message names the image or the registry."""
    hub = {"name": "hub", "host": "hub.example.com", **registry}
    ran = refused({"app": {**image, "registry": "hub"}}, [hub], fargate, tmp_path)
    task = ran.tasks()[0]
    if after is None:
        assert task["started_at"] is not None, "the first pull of an hour passes"
        return
    begin = 20 * SECOND if fargate else 0
    assert pulled(task) == (begin, None, None)
    assert (task["stopped_at"], task["stop_code"]) == (begin + after, "TaskFailedToStart")
    assert task["stopped_reason"].startswith("CannotPullContainerError: ")
    assert words.lower() in task["stopped_reason"].lower().replace("time out", "timeout")
    assert ran.summary["tasks_failed"] == 1


def test_beyond_its_limit_a_registry_refuses(tmp_path: Path) -> None:
    """Two pulls an hour for each zone: on two hosts of one zone two tasks run, two try for 10 s and fail."""
    hub = {"name": "hub", "anonymousPulls": {"limit": 2, "per": "1h", "by": "zone"}}
    ran = run(
        world(
            capacityProviders=nodes(2, behavior="always", availabilityZones=["us-east-1a"]),
            images={"app": {"registry": "hub", "size": "100 MiB"}},
            registries=[hub],
            runTasks=[job("many", 4, duration="1m")],
        ),
        tmp_path,
    )
    assert [task["started_at"] for task in ran.tasks()] == [1_500, 1_500, None, None]
    assert ends(ran)[-1] == (
        10_000,
        "CannotPullContainerError: Error response from daemon: toomanyrequests: Rate exceeded",
    )


def test_each_host_has_a_limit_of_its_own_where_registries_see_addresses(tmp_path: Path) -> None:
    """One pull an hour for each host; an account at the registry lifts it."""
    hub = {"name": "hub", "anonymousPulls": {"limit": 1, "per": "1h", "by": "host"}}
    for config, started in (({}, 2), ({"ECS_ENGINE_AUTH_DATA": "{}"}, 4)):
        ran = run(
            world(
                capacityProviders=nodes(2, behavior="always", config=config),
                images={"app": {"registry": "hub", "size": "100 MiB"}},
                registries=[hub],
                runTasks=[
                    job("many", 4, duration="1m", placementStrategy=[{"type": "spread", "field": "host"}])
                ],
            ),
            tmp_path / str(started),
        )
        assert ran.summary["tasks_started"] == started


@pytest.mark.parametrize(("behavior", "started"), [("default", True), ("always", False)])
def test_only_the_default_behavior_survives_an_outage_on_the_cache(
    behavior: str, started: bool, tmp_path: Path
) -> None:
    """The agent asks for a minute; `default` then takes what it has, `always` gives up."""
    out = {"name": "hub", "outages": [{"at": "1m", "duration": "30m"}]}
    ran = run(
        world(
            capacityProviders=nodes(behavior=behavior),
            images={"app": {"registry": "hub", "size": "100 MiB"}},
            registries=[out],
            runTasks=two_jobs({}, {"at": "2m"}),
        ),
        tmp_path,
    )
    during = ran.tasks()[1]
    assert (during["started_at"] == 3 * MINUTE) == started
    assert (during["stopped_at"] == 3 * MINUTE) == (not started)
    assert [row["kind"] for row in ran.rows("events") if "REGISTRY" in row["kind"]] == [
        "REGISTRY_OUTAGE_STARTED",
        "REGISTRY_OUTAGE_ENDED",
    ]


def test_a_short_outage_is_waited_out(tmp_path: Path) -> None:
    """It ends 30 s after the pull began, within the registry's timeout: the pull goes on then."""
    out = {"name": "hub", "outages": [{"at": "0s", "duration": "30s"}]}
    ran = refused({"app": {"registry": "hub", "size": "100 MiB"}}, [out], False, tmp_path)
    assert pulled(ran.tasks()[0]) == (0, 30 * SECOND + ASKED + 1_000, 30 * SECOND + ASKED + 1_000)


def test_a_slow_pull_runs_into_the_agents_timeout(tmp_path: Path) -> None:
    """100 MiB at 40 MiB compressed and 0.1 MiB/s take 400 s; the agent waits a minute, Docker goes on."""
    slow = {"name": "hub", "bandwidth": "0.1 MiB/s"}
    ran = run(
        world(
            capacityProviders=nodes(config={"ECS_IMAGE_PULL_TIMEOUT": "1m"}),
            images={"app": {"registry": "hub", "size": "100 MiB"}},
            registries=[slow],
            runTasks=two_jobs({}, {"at": "10m"}),
        ),
        tmp_path,
    )
    words = "ContainerRuntimeTimeoutError: Could not transition to pulled; timed out after waiting 1m0s"
    assert ends(ran)[0] == (MINUTE + ASKED, words)
    assert pulled(ran.tasks()[1])[1] == 10 * MINUTE + ASKED


def test_a_missing_image_throttles_a_service_and_trips_the_breaker(tmp_path: Path) -> None:
    """The third failure to start fails the deployment, and the service goes back to the one that worked."""
    images = {"good": {"size": "100 MiB"}, "app": {"missing": True}}
    tasks = [definition("web", container={"image": "good"}), definition("web", container={"image": "app"})]
    breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    ran = run(
        world(
            images=images,
            taskDefinitions=tasks,
            services=[service(taskDefinition="web:1", deploymentConfiguration=breaker)],
            actions=[{"at": "5m", "updateService": {"service": "web", "taskDefinition": "web:2"}}],
        ),
        tmp_path,
    )
    assert [row["rollout_state"] for row in ran.rows("deployments")] == ["COMPLETED", "FAILED"]
    assert ran.running_at(30 * MINUTE) == 1
    failed = ran.tasks(deployment_id="ecs-svc/2")
    assert len(failed) == 3
    pauses = [b["created_at"] - a["stopped_at"] for a, b in itertools.pairwise(failed)]
    assert pauses == [10_000, 20_000], "the service throttle, as for any failure to start"


# --- disk and clean-up -----------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("config", "took"),
    [
        ({}, ASKED + APP_MS),
        ({"ECS_DISABLE_IMAGE_CLEANUP": True}, ASKED),
        ({"ECS_IMAGE_PULL_BEHAVIOR": "prefer-cached"}, None),
    ],
)
def test_the_agent_removes_images_unused_for_long(config: Block, took: int | None, tmp_path: Path) -> None:
    """Pulled at 0, its container gone at 21.74 s: held for 3 h more, then the cycle at 3.5 h takes it."""
    written = world(
        duration="5h",
        capacityProviders=nodes(config=config),
        images=IMAGES,
        runTasks=two_jobs({}, {"at": "4h"}),
    )
    last = run(written, tmp_path).tasks()[-1]
    assert (last["pull_stopped_at"] is None) == (took is None)
    assert took is None or last["pull_stopped_at"] - last["pull_started_at"] == took


@pytest.mark.slow
def test_a_layer_stays_for_another_image_that_is_used(tmp_path: Path) -> None:
    """The app is gone at 4 h; its base stays for the worker that still runs."""
    ran = run(
        world(
            duration="5h",
            images=IMAGES,
            taskDefinitions=[definition(), definition("worker")],
            services=[service("steady", 1, taskDefinition="worker")],
            runTasks=two_jobs({"at": "1m"}, {"at": "4h"}),
        ),
        tmp_path,
    )
    first, again = ran.tasks(service=None)
    assert first["pull_stopped_at"] == MINUTE + ASKED + 1_000, "the base is the worker's"
    assert again["pull_stopped_at"] == 240 * MINUTE + ASKED + 1_000


def test_a_full_disk_has_room_again_after_a_clean_up(tmp_path: Path) -> None:
    """2 GiB of disk hold one image of 1.5 GiB: the other has no space until the first is gone."""
    images = {name: {"layers": [{"digest": name, "size": "1.5 GiB"}]} for name in ("app", "worker")}
    config = {"ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION": "1m", "ECS_IMAGE_MINIMUM_CLEANUP_AGE": "20m"}
    ran = run(
        world(
            capacityProviders=nodes(config=config, rootVolume=5, systemDisk="3 GiB"),
            images=images,
            taskDefinitions=[definition(), definition("worker")],
            runTasks=two_jobs(
                {}, {"at": "20m", "taskDefinition": "worker"}, {"at": "40m", "taskDefinition": "worker"}
            ),
        ),
        tmp_path,
    )
    first, full, after = ran.tasks()
    assert first["started_at"] == after["started_at"] - 40 * MINUTE == ASKED + 15_360
    assert full["stopped_at"] == 20 * MINUTE + ASKED
    assert "no space left on device" in full["stopped_reason"]


# --- tags that move --------------------------------------------------------------------------------------

PUSHED: Block = {
    "app": [
        {"layers": [{"digest": "v1", "size": "1 GiB"}]},
        {"from": "10m", "layers": [{"digest": "v2", "size": "2 GiB"}]},
    ]
}


def test_a_deployment_keeps_the_version_of_its_first_task(tmp_path: Path) -> None:
    """A push at 10 min: a task started at 20 min still runs v1, which is here; forceNewDeployment brings v2."""
    ran = run(
        world(
            images=PUSHED,
            services=[service("web", 1)],
            actions=[
                {"at": "20m", "updateService": {"service": "web", "desiredCount": 2}},
                {"at": "30m", "updateService": {"service": "web", "forceNewDeployment": True}},
            ],
        ),
        tmp_path,
    )
    took = [task["pull_stopped_at"] - task["pull_started_at"] - ASKED for task in ran.tasks()]
    assert took == [GIB_MS, 0, 2 * GIB_MS, 2 * GIB_MS]
    assert [row["last_status"] for row in ran.tasks()] == ["STOPPED", "STOPPED", "RUNNING", "RUNNING"]
    assert ran.messages("SERVICE_DEPLOYMENT_COMPLETED")[-1].endswith("deployment completed.")


def test_without_version_consistency_and_with_run_task_a_tag_is_resolved_anew(tmp_path: Path) -> None:
    """The service's second task and the standalone one pull v2, each where it is not yet."""
    loose = definition(container={"versionConsistency": "disabled"})
    ran = run(
        world(
            images=PUSHED,
            taskDefinitions=[loose],
            services=[service("web", 1)],
            actions=[{"at": "20m", "updateService": {"service": "web", "desiredCount": 2}}],
        ),
        tmp_path / "loose",
    )
    assert [t["pull_stopped_at"] - t["pull_started_at"] - ASKED for t in ran.tasks()] == [GIB_MS, 2 * GIB_MS]
    ran = run(world(images=PUSHED, runTasks=two_jobs({}, {"at": "20m"})), tmp_path / "jobs")
    assert [t["pull_stopped_at"] - t["pull_started_at"] - ASKED for t in ran.tasks()] == [GIB_MS, 2 * GIB_MS]


@pytest.mark.parametrize(
    ("behavior", "asked"), [("default", True), ("always", True), ("once", False), ("prefer-cached", False)]
)
def test_once_and_prefer_cached_run_the_version_they_have(behavior: str, asked: bool, tmp_path: Path) -> None:
    """The tag has moved: only an agent that asks the registry resolves it anew."""
    ran = run(
        world(
            capacityProviders=nodes(behavior=behavior),
            images=PUSHED,
            runTasks=two_jobs({}, {"at": "20m"}),
        ),
        tmp_path,
    )
    expected = (20 * MINUTE, 20 * MINUTE + ASKED + 2 * GIB_MS) if asked else (None, None)
    assert pulled(ran.tasks()[1])[:2] == expected


def test_a_deployment_that_began_before_the_push_takes_the_first_version_it_gets(tmp_path: Path) -> None:
    """There is nothing to pull until 5 min; the throttled service then resolves the first version it gets."""
    images = {"app": [{"from": "5m", "size": "1 GiB"}, {"from": "30m", "size": "2 GiB"}]}
    ran = run(
        world(
            images=images,
            services=[service("web", 1)],
            actions=[{"at": "40m", "updateService": {"service": "web", "desiredCount": 2}}],
        ),
        tmp_path,
    )
    started = [task for task in ran.tasks() if task["started_at"] is not None]
    assert [t["pull_stopped_at"] - t["pull_started_at"] - ASKED for t in started] == [GIB_MS, 0]
    assert started[0]["created_at"] > 5 * MINUTE
