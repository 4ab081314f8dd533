"""Scaling policies of the user's own, as whole runs: what the function is given, and what becomes of its answer."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ScenarioError
from tests.harness import MINUTE, Block, FinishedRun, run, scenario_of, service, world

ROOT = Path(__file__).parents[3]
ANSWER = "def answer(request):\n    return {}\n"


def custom(**more: Any) -> Block:
    return {"policyName": "mine", "policyType": "Custom", "policy": "mine:answer", **more}


def scaled(*policies: Block, bounds: tuple[int, int] = (1, 8), **more: Any) -> Block:
    """Four tasks that run from the start, with policies, for ten minutes."""
    scaling = {"minCapacity": bounds[0], "maxCapacity": bounds[1], "policies": list(policies)}
    web = service(count=4, autoScaling=scaling, **more)
    return world(nodes=4, duration="10m", initialState="running", services=[web])


def save(folder: Path, source: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mine.py").write_text(source)
    return folder


def moves(ran: FinishedRun) -> list[tuple[int, int, int]]:
    return [(row["time"], row["from_count"], row["to_count"]) for row in ran.rows("scaling_activities")]


def test_the_function_is_asked_each_metric_period_and_its_answer_is_the_desired_count(tmp_path: Path) -> None:
    """From 4 to 6 at minute 3 and to 2 at minute 5: at once, without alarms or cooldowns."""
    answers = f"{{{3 * MINUTE}: 6, {5 * MINUTE}: 2}}.get(request.now_ms)"
    ran = run(scaled(custom()), save(tmp_path, ANSWER.format(answers)))
    assert moves(ran) == [(3 * MINUTE, 4, 6), (5 * MINUTE, 6, 2)]
    row = ran.rows("scaling_activities")[0]
    assert (row["target"], row["policy"], row["metric"], row["metric_value"]) == (
        *("service/web", "mine", None),
        None,
    )
    assert row["cause"] == "mine:answer returned this capacity to policy mine"
    assert ran.rows("service_series")[-1]["running_count"] == 2


@pytest.mark.parametrize(("wanted", "count"), [(99, 8), (0, 3)])
def test_the_bounds_of_the_service_hold(tmp_path: Path, wanted: int, count: int) -> None:
    ran = run(scaled(custom(), bounds=(3, 8)), save(tmp_path, ANSWER.format(wanted)))
    assert moves(ran) == [(MINUTE, 4, count)]


def test_what_the_function_is_given(tmp_path: Path) -> None:
    """Counts, bounds, parameters, and CloudWatch's metrics of the period, NaN without data; it changes nothing."""
    source = """
import json, math
def answer(request):
    metrics = {name: None if math.isnan(value) else value for name, value in request.metrics.items()}
    seen = [request.now_ms, request.desired, request.running, request.minimum, request.maximum]
    with open(request.parameters["log"], "a") as log:
        print(json.dumps([seen, metrics]), file=log)
"""
    log = tmp_path / "log"
    load = {"requestsPerSecond": 10, "cpuTimePerRequest": "50ms"}
    run(scaled(custom(parameters={"log": str(log)}), load=load), save(tmp_path, source))
    seen, metrics = json.loads(log.read_text().splitlines()[0])
    assert seen == [MINUTE, 4, 4, 1, 8]
    assert (metrics["RequestCount"], metrics["RequestCountPerTarget"]) == (600.0, 150.0)
    assert metrics["CPUUtilization"] == metrics["ECSServiceAverageCPUUtilization"] == 25.0
    assert metrics["DesiredTaskCount"] == 4.0
    without = [json.loads(line)[1]["CPUUtilization"] for line in log.read_text().splitlines()]
    assert len(without) == 9


def test_without_load_there_are_no_datapoints_of_it(tmp_path: Path) -> None:
    source = ANSWER.format(
        "7 if request.metrics['CPUUtilization'] != request.metrics['CPUUtilization'] else 2"
    )
    assert moves(run(scaled(custom()), save(tmp_path, source))) == [(MINUTE, 4, 7)]


def test_metrics_are_those_of_the_services_own_period(tmp_path: Path) -> None:
    """Another service has metrics every 20 s; this one's are sums over a minute, and it is asked once a minute."""
    written = scaled(custom(), load={"requestsPerSecond": 10, "cpuTimePerRequest": "50ms"})
    other = {"minCapacity": 1, "maxCapacity": 2, "metricResolution": "20s", "policies": []}
    written["services"].append(service("fast", autoScaling=other))
    source = ANSWER.format(
        "5 if request.metrics['RequestCount'] == 600 and request.now_ms % 60000 == 0 else 2"
    )
    assert moves(run(written, save(tmp_path, source))) == [(MINUTE, 4, 5)]


def test_cooldowns_are_those_of_application_auto_scaling(tmp_path: Path) -> None:
    """One fewer each minute, with a scale-in cooldown of three minutes."""
    source = ANSWER.format("request.desired - 1")
    ran = run(scaled(custom(scaleInCooldown="3m")), save(tmp_path, source))
    assert moves(ran) == [(MINUTE, 4, 3), (4 * MINUTE, 3, 2), (7 * MINUTE, 2, 1)]


def test_of_two_policies_the_larger_capacity_wins(tmp_path: Path) -> None:
    source = "def answer(request):\n    return 5\ndef other(request):\n    return 7\n"
    second = custom(policyName="other", policy="mine:other")
    ran = run(scaled(custom(), second), save(tmp_path, source))
    assert [(row["to_count"], row["policy"]) for row in ran.rows("scaling_activities")] == [(7, "other")]


def test_an_answer_of_none_neither_asks_nor_vetoes(tmp_path: Path) -> None:
    source = "def answer(request):\n    return 2\ndef other(request):\n    return None\n"
    second = custom(policyName="other", policy="mine:other")
    assert moves(run(scaled(custom(), second), save(tmp_path, source))) == [(MINUTE, 4, 2)]


def test_a_scale_in_waits_for_target_tracking_to_agree(tmp_path: Path) -> None:
    """CPU is at 50 of 50: one policy wants two tasks, the other as many as there are."""
    tracking = {
        "policyName": "cpu",
        "policyType": "TargetTrackingScaling",
        "targetTrackingScalingPolicyConfiguration": {
            "targetValue": 50,
            "predefinedMetricSpecification": {"predefinedMetricType": "ECSServiceAverageCPUUtilization"},
        },
    }
    load = {"requestsPerSecond": 20, "cpuTimePerRequest": "50ms"}
    written = scaled(custom(), tracking, load=load)
    assert moves(run(written, save(tmp_path, ANSWER.format(2)))) == []
    assert moves(run(written, save(tmp_path, ANSWER.format(6))))[0] == (MINUTE, 4, 6)


def test_random_numbers_are_drawn_by_address(tmp_path: Path) -> None:
    """The same for the same seed, instant and ordinal, however many are drawn; others for another replication."""
    once = "int(1 + 8 * request.draw(1))"
    many = "[int(1 + 8 * request.draw(n)) for n in (0, 5, 1, 1)][-1]"
    runs = [
        moves(
            run(scaled(custom(), bounds=(1, 9)), save(tmp_path / name, ANSWER.format(source)), replication=at)
        )
        for name, source, at in (("a", once, 0), ("b", many, 0), ("c", once, 1))
    ]
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) > 3


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("2.0", "returned 2.0 of type float; return a whole number of tasks or None"),
        ("True", "returned True; return a whole number of tasks or None"),
        ("'many'", "returned 'many' of type str"),
        ("-1", "returned -1; return 0 to 2147483647 tasks or None"),
        ("2**70", "return 0 to 2147483647 tasks or None"),
        ("1 / 0", "raised ZeroDivisionError: division by zero"),
        ("request.metrics['Mood']", "raised KeyError: 'Mood'"),
        ("request.draw(-1)", "raised ValueError: draw\\(-1\\): ordinals count from 0"),
    ],
)
def test_a_wrong_answer_ends_the_run_with_place_function_and_instant(
    tmp_path: Path, source: str, words: str
) -> None:
    with pytest.raises(ScenarioError, match=words) as caught:
        run(scaled(custom()), save(tmp_path, ANSWER.format(source)))
    (line,) = caught.value.problems
    assert "scenario.yaml:1:" in line
    assert "services.web.autoScaling.policies.mine.policy: at 60000 ms mine:answer " in line
    assert not (tmp_path / "out" / "test").exists()


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (custom(policy="mine:question"), "policies.mine.policy: the module mine has no question"),
        (custom(policy="theirs:answer"), "policies.mine.policy: no module theirs in"),
        (
            custom(policyType="custom"),
            "policyType: 'custom' is not one of its values; did you mean Custom?",
        ),
        (custom(cooldown=3), "policies.mine.cooldown: unknown field"),
        (custom(scaleInCooldown="soon"), "policies.mine.scaleInCooldown: "),
        ({"policyName": "mine", "policyType": "Custom"}, "policies.mine.policy: is missing"),
    ],
)
def test_a_policy_that_cannot_be_asked_is_a_problem_with_a_place(
    tmp_path: Path, policy: Block, words: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(scaled(policy), save(tmp_path, ANSWER.format(2)))
    (line,) = caught.value.problems
    assert words in line
    assert "scenario.yaml:1:" in line


def test_the_case_of_the_fields_of_aws_is_free(tmp_path: Path) -> None:
    policy = {"PolicyName": "mine", "PolicyType": "Custom", "policy": "mine:answer"}
    assert moves(run(scaled(policy), save(tmp_path, ANSWER.format(5)))) == [(MINUTE, 4, 5)]


def test_virtual_machines_have_no_such_policy(tmp_path: Path) -> None:
    written = scaled(custom(), virtualMachines={"instanceType": "m6i.large"})
    del written["services"][0]["capacityProviderStrategy"]
    with pytest.raises(ScenarioError, match="EC2 Auto Scaling, which scales virtual machines, has no such"):
        scenario_of(written, save(tmp_path, ANSWER.format(2)))


def test_the_source_is_an_input_and_changes_the_digest(tmp_path: Path) -> None:
    first = scenario_of(scaled(custom()), save(tmp_path, ANSWER.format(2)))
    second = scenario_of(scaled(custom()), save(tmp_path, ANSWER.format(3)))
    assert [each.path for each in first.inputs] == ["scenario.yaml", "mine.py"]
    assert first.inputs[0] == second.inputs[0]
    assert first.inputs[1] != second.inputs[1]
    assert first.digest != second.digest


def test_a_worker_in_another_folder_finds_the_function(tmp_path: Path) -> None:
    """Sweeps send scenarios to their workers as they are."""
    scenario = scenario_of(scaled(custom()), save(tmp_path / "in", ANSWER.format(5)))
    (tmp_path / "scenario.pickle").write_bytes(pickle.dumps(scenario))
    program = """
import pickle, sys
from pathlib import Path
from clustersim.study.single_run.run import run_scenario
scenario = pickle.loads(Path("scenario.pickle").read_bytes())
print(run_scenario(scenario, Path("out")).summary["services"]["web"]["running_mean"])
"""
    done = subprocess.run(
        [sys.executable, "-P", "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        capture_output=True,
        check=True,
    )
    assert 4.0 < float(done.stdout) < 5.0
