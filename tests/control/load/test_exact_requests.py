"""Exact requests in the traffic and in whole runs: weights, metrics, table growth, task lifecycles, determinism."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clustersim.control.load.traffic import Traffic
from clustersim.control.scaling.metric_periods import MetricPeriods
from clustersim.policy.load.exact_tables import DEREGISTERED, ENDED, REGISTERED, TargetChangeRow
from clustersim.scenario.sections.scenario import Load, Series, Service, TaskDefinition
from clustersim.vocabulary import TaskState
from tests.harness import MINUTE, Block, FinishedRun, definition, resolved_load, run, service, world

ONE = TaskDefinition(
    family="web", revision=1, key="web:1", cpu=1_024, memory_mib=1_000, has_task_size=True, ephemeral_gib=20
)
TWO = TaskDefinition(
    family="web", revision=2, key="web:2", cpu=2_048, memory_mib=1_000, has_task_size=True, ephemeral_gib=20
)


def exact(per_second: float, **fields: Any) -> Load:
    known = {"cpu_time_ms": 25.0, "concurrency_per_task": 0, **fields}
    series = Series(times_ms=np.array([0]), rates=np.array([per_second]))
    return resolved_load(series, model="exact", **known)


class DrivenTraffic:
    """The traffic of one exact service; tasks are opened and closed by hand, their times are kept."""

    def __init__(self, requests: Load) -> None:
        web = Service(name="web", task_definition="web:1", desired_count=1, zones=("a",), load=requests)
        self.traffic = Traffic([web], [ONE, TWO])
        self.traffic.open_backend(0, 0, "web:1")
        self.log: list[tuple[int, int, int, int, float]] = []
        self.ready = [0, 0]
        self.areas = np.zeros(2, np.int64)
        self.now_ms = 0

    def open(self, *slots: int, row: int = 0) -> None:
        """Let these tasks of task set `row` get requests from now on."""
        self.log += [(self.now_ms, REGISTERED, slot, row, -1.0) for slot in slots]
        self.ready[row] += len(slots)

    def close(self, *slots: int, row: int = 0, kind: int = DEREGISTERED) -> None:
        """Let these tasks get no more requests; with GONE they have ended."""
        self.log += [(self.now_ms, kind, slot, row, -1.0) for slot in slots]
        self.ready[row] -= len(slots)

    def advance(self, minutes: int = 1) -> Any:
        """Carry the load; the flow after the last metric period."""
        for _ in range(minutes):
            self.now_ms += MINUTE
            self.areas += np.array(self.ready) * MINUTE
            times = np.stack([self.areas, self.areas, np.zeros(2, np.int64)])
            self.traffic.tick(self.now_ms, times, np.array(self.log, TargetChangeRow.dtype))
            self.log = []
        return self.traffic.flows[0]


def test_metrics_of_a_period_are_those_of_its_requests() -> None:
    """80/s of 25 ms on 4 tasks of one vCPU: 50 % of the CPU, 1,200 a minute and target, within chance."""
    driven = DrivenTraffic(exact(80.0, memory_base_mib=100.0, memory_per_request_mib=100.0))
    driven.open(0, 1, 2, 3)
    flow = driven.advance(10)
    assert flow["requests"] == pytest.approx(4_800, abs=4 * 4_800**0.5)
    assert flow["per_target"] == flow["requests"] / 4
    assert flow["cpu_utilization"] == pytest.approx(50.0, rel=0.1)
    assert flow["failed"] == 0.0
    inside = flow["response_s"] * 80.0 / 4  # Little's law, per task
    assert flow["memory_utilization"] == pytest.approx(10.0 + 10.0 * inside, rel=0.1)


def test_nothing_is_lost_between_periods_and_rings_grow() -> None:
    """400/s on a task that answers 40/s, timeout 10 s: every request is accounted for, and 4,000 less a few are inside.

    CPU times are exponential, so each second on the CPU ends 40 requests, whatever they have had.
    """
    driven = DrivenTraffic(exact(400.0, timeout_ms=10_000))
    driven.open(0)
    requests = served = failed = 0.0
    for _ in range(5):
        flow = driven.advance()
        requests, served, failed = (
            requests + flow["requests"],
            served + flow["served"],
            failed + flow["failed"],
        )
    assert requests == served + failed + flow["backlog"]
    assert flow["backlog"] == pytest.approx(3_800, rel=0.1)
    assert flow["cpu_utilization"] == pytest.approx(100.0)
    assert served == pytest.approx(40 * 300, rel=0.05)


def test_without_a_task_every_request_fails() -> None:
    """Without a target all requests fail, and there is no utilisation."""
    flow = DrivenTraffic(exact(10.0)).advance()
    assert flow["failed"] == flow["requests"] > 0
    assert np.isnan(flow["cpu_utilization"])


def test_two_revisions_take_turns_without_weights() -> None:
    """A rolling update: three old tasks and a new one take turns; a request costs the larger one no more."""
    driven = DrivenTraffic(exact(100.0))
    driven.traffic.open_backend(0, 1, "web:2")
    driven.open(0, 1, 2)
    driven.open(3, row=1)
    driven.advance()
    old, new = driven.traffic.backends["requests"][:2]
    assert abs(old - 3 * new) <= 3


def test_weights_split_the_requests_from_their_instant_on() -> None:
    """Blue has all in the first quarter of the minute, half in the rest: 5/8 of the requests, within chance."""
    driven = DrivenTraffic(exact(200.0))
    driven.traffic.open_backend(0, 1, "web:2")
    driven.open(0, 1, 2, 3, 4, 5)
    driven.open(6, 7, 8, 9, row=1)
    driven.traffic.set_weights(0, {0: 1.0, 1: 0.0})
    driven.traffic.set_weights(MINUTE // 4, {0: 0.5, 1: 0.5})
    flow = driven.advance()
    blue, green = driven.traffic.backends["requests"][:2]
    assert blue + green == flow["requests"]
    assert blue / flow["requests"] == pytest.approx(5 / 8, abs=4 * (0.25 / flow["requests"]) ** 0.5)


def test_a_task_set_is_forgotten_when_its_last_request_is_answered() -> None:
    """Its row is used again by the next, whose tasks are of another size."""
    driven = DrivenTraffic(exact(50.0))
    driven.open(0, 1)
    driven.advance()
    driven.traffic.open_backend(0, 1, "web:2")
    driven.open(2, 3, row=1)
    driven.close(0, 1)
    driven.traffic.close_backend(0)
    driven.advance()
    driven.traffic.open_backend(0, 0, "web:1")
    driven.close(0, 1, kind=ENDED)
    driven.ready[0] = 0
    driven.open(0, row=0)  # a new task in the slot of one that has ended
    flow = driven.advance()
    assert flow["failed"] == 0.0
    assert driven.traffic.backends["requests"][:2].sum() == flow["requests"]
    assert (driven.traffic.backends["requests"][:2] > 0).all()


def test_a_service_time_holds_the_request_and_uses_its_cpu_time() -> None:
    """40/s, 10 ms of CPU in 100 ms each: 40 % of the vCPU; the CPU part takes 10 / 0.6 ms on average (M/D/1)."""
    held = {"code": 0, "a": 100.0}
    driven = DrivenTraffic(exact(40.0, cpu_time_ms=10.0, service_time=held))
    driven.open(0)
    flow = driven.advance(10)
    assert flow["cpu_utilization"] == pytest.approx(40.0, rel=0.1)
    mean_s = driven.traffic.sample()["response_time_p50_s"][0]
    assert flow["response_s"] == pytest.approx(0.09 + 0.010 / 0.6, rel=0.02)
    assert 0.1 <= mean_s < 0.11


# --- whole runs --------------------------------------------------------------------------------------------

PORT = {"portMappings": [{"containerPort": 80}]}
BALANCED = {"loadBalancers": [{"targetGroupArn": "web", "containerName": "main", "containerPort": 80}]}
LOAD = {"model": "exact", "requestsPerSecond": 40, "cpuTimePerRequest": "10ms"}


def balanced(count: int = 4, target: Block | None = None, load: Block | None = None, **keys: Any) -> Block:
    """A service behind a load balancer on a node, from its first instant."""
    known: Block = {
        "initialState": "running",
        "taskDefinitions": [definition(container=PORT), definition(container=PORT)],
        "targetGroups": [
            {"name": "web", "healthCheckIntervalSeconds": 10, "deregistrationDelay": "30s", **(target or {})}
        ],
        "services": [service(count=count, taskDefinition="app:1", load=load or LOAD, **BALANCED)],
        "sampling": {"interval": "60s"},
    }
    return world(2, "1h", **{**known, **keys})


def requests_and_failures(ran: FinishedRun) -> tuple[int, int]:
    summary = ran.summary["services"]["web"]
    return summary["requests"], summary["requests_failed"]


def test_every_request_of_a_run_is_counted(tmp_path: Path) -> None:
    """An hour at 40/s, whole numbers of requests, the same in the series as in the summary; none fails."""
    ran = run(balanced(), tmp_path)
    counts = [count for _, count in ran.series("request_count")]
    requests, failed = requests_and_failures(ran)
    assert failed == 0
    assert sum(counts) == requests == pytest.approx(144_000, abs=4 * 144_000**0.5)
    assert all(count == int(count) for count in counts)
    assert ran.summary["services"]["web"]["response_time_p99_s"] > 0.020


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_requests(tmp_path: Path) -> None:
    first, second = (run(balanced(), tmp_path / name) for name in ("a", "b"))
    assert first.digests() == second.digests()
    assert requests_and_failures(run(balanced(), tmp_path / "c", seed=1)) != requests_and_failures(first)


def test_scaling_in_loses_no_request(tmp_path: Path) -> None:
    """Deregistered tasks finish what they have in the deregistration delay, though each request takes seconds."""
    slow = {**LOAD, "requestsPerSecond": 10, "serviceTime": "5s", "concurrencyPerTask": 100}
    actions = [{"at": "10m", "updateService": {"service": "web", "desiredCount": 1}}]
    requests, failed = requests_and_failures(run(balanced(load=slow, actions=actions), tmp_path))
    assert requests > 30_000
    assert failed == 0


def test_without_a_deregistration_delay_what_takes_longer_than_the_stop_is_lost(tmp_path: Path) -> None:
    """Three of four tasks stop within a second (stopTime): of 10/s for 5 s each, about 4 s x 7.5/s are lost."""
    slow = {**LOAD, "requestsPerSecond": 10, "serviceTime": "5s", "concurrencyPerTask": 100}
    actions = [{"at": "10m", "updateService": {"service": "web", "desiredCount": 1}}]
    written = balanced(load=slow, actions=actions, target={"deregistrationDelay": "0s"})
    _, failed = requests_and_failures(run(written, tmp_path))
    assert failed == pytest.approx(30, abs=4 * 30**0.5)


def test_a_task_that_fails_loses_what_it_has(tmp_path: Path) -> None:
    """A rolling update loses nothing; tasks that exit lose the requests in them."""
    slow = {**LOAD, "requestsPerSecond": 20, "serviceTime": "1s", "concurrencyPerTask": 100}
    failing = {"behavior": {"timeToFailure": {"distribution": "exponential", "mean": "10m"}}}
    web = service(count=4, taskDefinition="app:1", load=slow, **BALANCED, **failing)
    ran = run(balanced(services=[web]), tmp_path / "failing")
    ended = [task for task in ran.tasks() if task["exit_code"] == 1]
    _, failed = requests_and_failures(ran)
    assert len(ended) > 10
    assert 2 * len(ended) < failed < 12 * len(ended)  # 20/s x 1 s over two to four tasks
    update = [{"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}]
    _, failed = requests_and_failures(run(balanced(load=slow, actions=update), tmp_path / "update"))
    assert failed == 0


def test_hung_tasks_fail_their_turns_and_least_outstanding_avoids_them(tmp_path: Path) -> None:
    """A hung task has requests outstanding, so others are chosen; in turns it gets its share until found unhealthy."""
    lost = {}
    for routing in ("round_robin", "least_outstanding_requests"):
        hangs = {"behavior": {"timeToHang": {"distribution": "exponential", "mean": "20m"}}}
        web = service(count=4, taskDefinition="app:1", load=LOAD, **BALANCED, **hangs)
        target = {"loadBalancingAlgorithmType": routing}
        _, lost[routing] = requests_and_failures(
            run(balanced(target=target, services=[web]), tmp_path / routing)
        )
    assert 0 < lost["least_outstanding_requests"] < lost["round_robin"] / 5


def test_target_tracking_follows_exact_requests(tmp_path: Path) -> None:
    """160/s of 10 ms are 1.6 vCPU: at a target of 40 % of half a vCPU each, eight tasks."""
    tracking = {
        "policyName": "cpu",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 40,
            "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
        },
    }
    scaling = {"autoScaling": {"minCapacity": 2, "maxCapacity": 16, "policies": [tracking]}}
    load = {**LOAD, "requestsPerSecond": 160}
    web = service(count=4, taskDefinition="app:1", load=load, **BALANCED, **scaling)
    ran = run(balanced(services=[web]), tmp_path)
    assert ran.running_at(55 * MINUTE) in (8, 9, 10)
    percent = [value for at, value in ran.series("cpu_utilization") if at >= 30 * MINUTE]
    assert 30.0 < np.mean(percent) <= 44.0


def test_a_canary_gets_its_share_one_by_one(tmp_path: Path) -> None:
    """Revision 2 takes 12 times as long (60 % of its CPU): one in ten is slow while the canary has 10 %."""
    canary = {
        "strategy": "CANARY",
        "bakeTimeInMinutes": 5,
        "canaryConfiguration": {"canaryPercent": 10, "canaryBakeTimeInMinutes": 20},
    }
    slow = definition(container=PORT, cpu=1024, behavior={"cpuTimePerRequest": "120ms"})
    web = service(
        count=2,
        taskDefinition="app:1",
        load={**LOAD, "requestsPerSecond": 10},
        deploymentConfiguration=canary,
        **BALANCED,
    )
    actions = [{"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}}]
    written = balanced(taskDefinitions=[definition(container=PORT), slow], services=[web], actions=actions)
    ran = run(written, tmp_path)
    p50, p99 = dict(ran.series("response_time_p50_s")), dict(ran.series("response_time_p99_s"))
    assert p99[5 * MINUTE] < 0.15 < p99[20 * MINUTE]
    assert p50[20 * MINUTE] < 0.03
    assert p50[45 * MINUTE] > 0.1
    assert requests_and_failures(ran)[1] == 0


def test_the_targets_are_the_ready_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After every metric period the circles hold the ready and the hung tasks of the world, under any turbulence."""
    compared = []
    right = MetricPeriods.advance_load

    def wrapped(self: MetricPeriods, now: int) -> None:
        right(self, now)
        sets, state = self._world.state.sets.rows, self._traffic._exact._state
        assert state.pools["count"].sum() == (sets["ready"] + sets["hung"]).sum()
        alive = self._world.state.tasks.rows["state"][np.flatnonzero(state.target_of >= 0)]
        assert (alive >= TaskState.RUNNING).all()
        compared.append(int(state.pools["count"].sum()))

    monkeypatch.setattr(MetricPeriods, "advance_load", wrapped)
    turbulence = {
        "timeToFailure": {"distribution": "exponential", "mean": "15m"},
        "timeToHang": {"distribution": "exponential", "mean": "20m"},
        "readyTime": "7s",
    }
    web = service(count=5, taskDefinition="app:1", load=LOAD, behavior=turbulence, **BALANCED)
    bare = service("bare", count=3, taskDefinition="app:2", load=LOAD, behavior=turbulence)
    actions = [
        {"at": "10m", "updateService": {"service": "web", "taskDefinition": "app:2"}},
        {"at": "30m", "updateService": {"service": "web", "desiredCount": 2}},
        {"at": "40m", "updateService": {"service": "bare", "desiredCount": 6}},
    ]
    run(balanced(services=[web, bare], actions=actions), tmp_path)
    assert len(compared) == 60
    assert len(set(compared)) > 2


def test_another_services_rows_do_not_change_when_one_becomes_exact(tmp_path: Path) -> None:
    """Random draws are addressed by name: the tasks of both services and the other's load are the same."""
    other = service("other", 2, load={"requestsPerSecond": 30, "cpuTimePerRequest": "20ms"})
    fluid = {name: value for name, value in LOAD.items() if name != "model"}
    both = [
        run(balanced(services=[service(count=2, load=load), other]), tmp_path / name)
        for name, load in (("exact", LOAD), ("fluid", fluid))
    ]
    assert both[0].rows("service_series", service="other") == both[1].rows("service_series", service="other")
    assert both[0].tasks() == both[1].tasks()


def test_sampling_and_warm_up_leave_out_what_was_before(tmp_path: Path) -> None:
    """Ten minutes of warm-up: the summary has the hour's requests only."""
    ran = run(balanced(warmUp="10m"), tmp_path)
    requests, _ = requests_and_failures(ran)
    assert requests == pytest.approx(144_000, abs=4 * 144_000**0.5)
    assert sum(count for at, count in ran.series("request_count") if at >= 0) == requests
