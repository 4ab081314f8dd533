"""Service Auto Scaling minute by minute: alarms, policies, cooldowns, bounds, recorded activities."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import pytest

from clustersim.control.events.scaling_activities import Origin
from clustersim.control.scaling.cloudwatch_metrics import CloudWatchMetrics
from clustersim.control.scaling.service_autoscaler import ServiceAutoscaler
from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.errors import ScenarioError
from clustersim.policy.scaling.cloudwatch_metrics import Metric, MetricReference
from clustersim.scenario.sections.scenario import (
    AutoScaling,
    ScheduledAction,
    Service,
    StepScaling,
    TargetTracking,
)

MINUTE = 60_000
CPU = "ECSServiceAverageCPUUtilization"
KEY_OF = partial(stream_key, 7, 0)
QUEUE = {"metricName": "ApproximateNumberOfMessagesVisible"}


def tracking(name: str = "cpu", target: float = 50.0, metric: str = CPU, **fields: Any) -> TargetTracking:
    return TargetTracking(name=name, target=target, metric=metric, **fields)


def stepping(steps: Any, kind: str = "ChangeInCapacity", **fields: Any) -> StepScaling:
    alarm = {"metricName": "CPUUtilization", "threshold": 50, "evaluationPeriods": 1, "alarmName": "busy"}
    known = {"name": "steps", "adjustment_type": kind, "steps": steps, "alarm": alarm}
    return StepScaling(**{**known, **fields})


class FixedMetrics:
    """The metrics of two services, set by hand."""

    def __init__(self) -> None:
        self.values = np.full((len(Metric), 2), math.nan)

    def column(self, named: MetricReference, own: int) -> int:
        if named.owner is None:
            return own
        if named.owner not in ("web", "jobs"):
            raise ValueError(f"the dimension names no service: {named.owner!r}")
        return ("web", "jobs").index(named.owner)


class Cluster:
    """One scaled service with synthetic metrics; its tasks run the instant they are desired."""

    def __init__(
        self, *policies: Any, count: int = 10, bounds: tuple[int, int] = (0, 100), **fields: Any
    ) -> None:
        tick_ms = fields.pop("tick_ms", MINUTE)
        scaling = AutoScaling(min_capacity=bounds[0], max_capacity=bounds[1], policies=policies, **fields)
        web = Service(
            name="web", task_definition="w:1", desired_count=count, zones=("a",), auto_scaling=scaling
        )
        other = Service(name="jobs", task_definition="w:1", desired_count=1, zones=("a",))
        self.metrics = FixedMetrics()
        self.rows: list[tuple[Any, ...]] = []
        self.causes: list[str] = []
        self.desired = np.array([count, 1])
        self.running = self.desired
        self.now_ms = 0
        self.tick_ms = tick_ms
        metrics = cast(CloudWatchMetrics, self.metrics)
        self.scaler = ServiceAutoscaler([web, other], metrics, self.apply_moves, KEY_OF, tick_ms)

    def apply_moves(self, now_ms: int, moves: Array, origins: Sequence[Origin]) -> None:
        for service, before, after, number, value in moves.tolist():
            origin = origins[number]
            assert origin.target == f"service/{('web', 'jobs')[service]}"
            self.desired[service] = after
            self.causes.append(origin.cause)
            self.rows.append((now_ms, *origin[:3], value, before, after, origin.cause))

    def minutes(
        self, *values: float, metric: Metric = Metric.CPU, service: int = 0, deploying: bool = False
    ) -> list[int]:
        """The desired count after each metric period in which the metric had the given value."""
        counts = []
        for value in values:
            self.metrics.values[metric, service] = value
            self.metrics.values[Metric.RUNNING_TASKS, :2] = self.running
            self.now_ms += self.tick_ms
            self.scaler.tick(self.now_ms, self.running, self.desired, np.full(2, deploying, np.int64))
            counts.append(int(self.desired[0]))
        return counts


@pytest.mark.golden(58)
def test_between_low_and_target_nothing_happens_and_below_low_it_scales_in() -> None:
    """Target 50, alarm low at 45: 46 % for an hour holds; 40 % for 15 minutes takes 10 tasks to 8."""
    assert Cluster(tracking()).minutes(*[46.0] * 60) == [10] * 60
    assert Cluster(tracking()).minutes(*[40.0] * 15) == [10] * 14 + [8]


@pytest.mark.golden(59)
def test_two_minutes_above_the_target_do_not_scale_out() -> None:
    """Three datapoints of 60 s are needed, and they must follow each other."""
    assert Cluster(tracking()).minutes(90, 90, 48, 90, 90, 48) == [10] * 6
    assert Cluster(tracking()).minutes(90, 90, 90) == [10, 10, 18]


@pytest.mark.golden(60)
def test_of_two_policies_the_larger_wins_out_and_both_must_want_in() -> None:
    """10 tasks, CPU 60 of 50 wants 12, memory 75 of 50 wants 15. Then CPU 30 wants in, memory 48 holds."""
    both = (tracking(), tracking("memory", metric="ECSServiceAverageMemoryUtilization"))
    cluster = Cluster(*both)
    cluster.metrics.values[Metric.MEMORY] = 75.0
    assert cluster.minutes(60, 60, 60) == [10, 10, 15]
    assert cluster.rows[0][2] == "memory"
    cluster = Cluster(*both)
    cluster.metrics.values[Metric.MEMORY] = 48.0
    assert cluster.minutes(*[30.0] * 40) == [10] * 40
    cluster.metrics.values[Metric.MEMORY] = 40.0
    assert cluster.minutes(*[30.0] * 15)[-1] == 8


def test_an_activity_is_recorded_in_the_words_of_application_auto_scaling() -> None:
    cluster = Cluster(tracking())
    cluster.minutes(90, 90, 90)
    cause = "monitor alarm TargetTracking-service/web-AlarmHigh in state ALARM triggered policy cpu"
    assert cluster.rows == [(3 * MINUTE, "service/web", "cpu", CPU, 90.0, 10, 18, cause)]
    assert cluster.causes == [cause]


def test_an_alarm_that_stays_asks_again_after_the_cooldown() -> None:
    """60 of 50 throughout.

    10 -> 12 at minute 3; +3 exceeds the +2 at once (13); +3 again only after 5 minutes.
    """
    assert Cluster(tracking()).minutes(*[60.0] * 9) == [10, 10, 12, 13, 13, 13, 13, 13, 16]


def test_scale_in_waits_for_its_cooldown() -> None:
    """40 of 50 for long.

    10 -> 8 at minute 15, 7 five minutes later (8 x 0.8 = 6.4), and so on to the minimum.
    """
    counts = Cluster(tracking(), bounds=(6, 100)).minutes(*[40.0] * 40)
    assert counts[13:16] == [10, 8, 8]
    assert counts[18:20] == [8, 7]
    assert counts[24] == 6
    assert counts[-1] == 6


def test_a_scale_out_within_the_scale_in_cooldown_is_immediate() -> None:
    cluster = Cluster(tracking())
    assert cluster.minutes(*[40.0] * 15)[-1] == 8
    assert cluster.minutes(100, 100, 100) == [8, 8, 16]


def test_missing_data_scale_nothing_in() -> None:
    """No running task, no datapoint: the fifteen minutes begin anew."""
    cluster = Cluster(tracking())
    assert cluster.minutes(*[40.0] * 14, math.nan, *[40.0] * 14) == [10] * 29
    assert cluster.minutes(40.0) == [8]


def test_tasks_that_find_no_place_do_not_drive_the_count_up() -> None:
    """10 of them run, whatever is wanted: 18 it is and stays, as the running count is the starting point."""
    cluster = Cluster(tracking())
    cluster.running = np.array([10, 1])
    assert cluster.minutes(*[90.0] * 20)[-1] == 18


def test_the_maximum_holds_and_a_count_outside_the_bounds_is_brought_back_by_its_own_alarm() -> None:
    assert Cluster(tracking(), bounds=(0, 12)).minutes(*[90.0] * 5)[-1] == 12
    assert Cluster(tracking(), count=2, bounds=(5, 12)).minutes(*[51.0] * 3)[-1] == 5
    assert Cluster(tracking(), count=2, bounds=(5, 12)).minutes(*[10.0] * 30)[-1] == 2
    assert Cluster(tracking(), count=20, bounds=(5, 12)).minutes(*[44.0] * 15)[-1] == 12
    assert Cluster(tracking(), count=20, bounds=(5, 12)).minutes(*[90.0] * 5)[-1] == 20


def test_scale_in_waits_for_a_deployment_to_end_and_scale_out_does_not() -> None:
    """ECS Developer Guide: scale-in is off while a deployment is in progress, scale-out goes on."""
    cluster = Cluster(tracking())
    assert cluster.minutes(*[40.0] * 20, deploying=True)[-1] == 10
    assert cluster.minutes(40.0) == [8]
    assert Cluster(tracking()).minutes(90, 90, 90, deploying=True)[-1] == 18


def test_a_policy_without_scale_in_only_scales_out() -> None:
    cluster = Cluster(tracking(disable_scale_in=True))
    assert cluster.minutes(*[10.0] * 30)[-1] == 10
    assert cluster.minutes(60, 60, 60)[-1] == 12


def test_from_zero_one_datapoint_is_enough() -> None:
    """A queue has a metric without tasks, CPU has none (ECS Developer Guide: minimum capacity 0)."""
    cluster = Cluster(tracking("queue", 100.0, "custom", custom_metric=QUEUE), count=0)
    assert cluster.minutes(0, 0, 3, metric=Metric.QUEUE_DEPTH) == [0, 0, 1]
    cluster = Cluster(tracking("queue", 100.0, "custom", custom_metric=QUEUE), count=0, bounds=(2, 9))
    assert cluster.minutes(3, metric=Metric.QUEUE_DEPTH) == [2]
    assert Cluster(tracking(), count=0).minutes(*[math.nan] * 5) == [0] * 5


def test_a_queue_at_rest_scales_in_to_zero() -> None:
    """5 tasks, nothing waiting for 15 minutes: none are needed."""
    cluster = Cluster(tracking("queue", 100.0, "custom", custom_metric=QUEUE), count=5)
    assert cluster.minutes(*[0.0] * 15, metric=Metric.QUEUE_DEPTH)[-1] == 0


def test_metric_math_gives_the_backlog_per_task_of_another_services_queue() -> None:
    """The queue of `jobs`, tasks of web: 300 messages over 10 tasks are 30 each, 15 wanted: 20 tasks."""
    of_jobs = {"dimensions": [{"name": "QueueName", "value": "jobs"}]}
    queries = [
        {"id": "m1", "metricStat": {"metric": {**QUEUE, **of_jobs}, "stat": "Average"}, "returnData": False},
        {"id": "m2", "metricStat": {"metric": {"metricName": "RunningTaskCount"}}, "returnData": False},
        {"id": "e1", "expression": "m1 / m2"},
    ]
    cluster = Cluster(tracking("backlog", 15.0, "custom", custom_metric={"metrics": queries}))
    assert cluster.minutes(300, 300, 300, metric=Metric.QUEUE_DEPTH, service=1) == [10, 10, 20]
    assert cluster.rows[0][3:5] == ("m1 / m2", 30.0)


def test_steps_follow_the_size_of_the_breach() -> None:
    """Threshold 50: up to 20 above +1, beyond +4; a cooldown of one minute."""
    cluster = Cluster(stepping(((0.0, 20.0, 1), (20.0, None, 4)), cooldown_ms=MINUTE))
    assert cluster.minutes(55, 50, 80, 50) == [11, 11, 15, 15]
    assert cluster.rows[1][-1] == "monitor alarm busy in state ALARM triggered policy steps"


def test_a_larger_step_within_the_cooldown_adds_the_difference() -> None:
    """+2, then +3 a minute later: one more, as the User Guide's example has it."""
    cluster = Cluster(stepping(((0.0, 20.0, 2), (20.0, None, 3))))
    assert cluster.minutes(55, 55, 80, 80) == [12, 12, 13, 13]


def test_a_low_alarm_steps_in() -> None:
    alarm = {
        "metricName": "CPUUtilization",
        "threshold": 20,
        "comparisonOperator": "LessThanThreshold",
        "evaluationPeriods": 2,
        "period": 120,
        "statistic": "Average",
    }
    policy = stepping(((None, 0.0, -25),), "PercentChangeInCapacity", alarm=alarm)
    assert Cluster(policy).minutes(30, 5, 10, 10, 10, 10) == [10, 10, 10, 8, 8, 8]


def test_twenty_second_metrics_scale_out_after_a_minute() -> None:
    """Three datapoints of 20 s; scale-in still takes 15 minutes."""
    cluster = Cluster(tracking(), tick_ms=20_000, metric_resolution_ms=20_000)
    assert cluster.minutes(90, 90, 90) == [10, 10, 18]
    cluster = Cluster(tracking(), tick_ms=20_000, metric_resolution_ms=20_000)
    assert cluster.minutes(*[40.0] * 45)[-2:] == [10, 8]


def test_sixty_second_metrics_are_means_of_faster_ticks() -> None:
    """Ticks of 20 s, a policy of 60 s: nine ticks of 90 make three datapoints; counts are summed."""
    assert Cluster(tracking(), tick_ms=20_000).minutes(*[90.0] * 9)[-2:] == [10, 18]
    per_target = tracking("rate", 300.0, "ALBRequestCountPerTarget")
    assert (
        Cluster(per_target, tick_ms=20_000).minutes(*[200.0] * 9, metric=Metric.REQUESTS_PER_TARGET)[-1] == 20
    )


def test_a_scheduled_action_sets_bounds_and_ignores_cooldowns() -> None:
    cluster = Cluster(tracking(), count=4, bounds=(2, 10))
    action = ScheduledAction(name="morning", schedule="cron(0 8 * * ? *)", min_capacity=6)
    cluster.scaler.apply_scheduled_action(5, 0, action, 4)
    assert cluster.rows[0][:4] == (5, "service/web", "morning", None)
    assert cluster.rows[0][5:] == (4, 6, "minimum capacity was set to 6")
    assert (cluster.scaler.bounds(0).minimum, cluster.scaler.bounds(0).maximum) == (6, 10)
    night = ScheduledAction(name="night", schedule="cron(0 20 * * ? *)", min_capacity=1, max_capacity=3)
    cluster.scaler.apply_scheduled_action(9, 0, night, 6)
    assert cluster.rows[1][5:] == (6, 3, "maximum capacity was set to 3")
    cluster.scaler.apply_scheduled_action(10, 0, night, 3)
    assert len(cluster.rows) == 2


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (tracking(metric="Mystery"), "metric 'Mystery' is not simulated"),
        (tracking(custom_metric={"metrics": [{"id": "e", "expression": "m9"}]}), "'m9' is not the id"),
        (
            tracking(custom_metric={**QUEUE, "dimensions": [{"name": "QueueName", "value": "x"}]}),
            "names no service: 'x'",
        ),
        (stepping((), alarm={**QUEUE, "evaluationPeriods": 99}), "evaluationPeriods must be 1 to 64"),
        (stepping((), alarm={**QUEUE, "statistic": "p99"}), "statistic 'p99' is not simulated"),
        (stepping((), alarm={**QUEUE, "period": 90}), "no multiple of the metric period"),
    ],
)
def test_what_is_not_simulated_is_an_error_that_names_the_policy(policy: Any, message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as caught:
        Cluster(policy)
    assert caught.value.problems[0].startswith(f"services.web.autoScaling.policies.{policy.name}: ")


def test_a_step_policy_without_an_alarm_never_acts() -> None:
    assert Cluster(stepping(((0.0, None, 1),), alarm=None)).minutes(*[99.0] * 5)[-1] == 10
