"""Tests that the scenarios of scenarios/pains about capacity run and show the problem they describe."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from clustersim.scenario.reader import read_scenario
from tests.harness import HOUR, MINUTE, FinishedRun, run, scenario_of

PAINS = Path(__file__).parents[2] / "scenarios" / "pains"
PACKED = "services.web.placementStrategy=[{type: binpack, field: memory}]"
MINE = (
    *("two-providers-breathe", "first-step-of-two", "idle-after-a-job", "spot-does-not-fall-back"),
    "spread-keeps-instances",
)


def page(name: str, directory: Path, *overrides: str) -> FinishedRun:
    """A page, run as its comments say."""
    return run((PAINS / f"{name}.yaml").read_text(encoding="utf-8"), directory, *overrides, checked=False)


def instances(ran: FinishedRun, provider: str) -> list[tuple[int, int]]:
    """(instant, running instances) of a provider, minute by minute."""
    rows = ran.rows("capacity_provider_series", capacity_provider=provider)
    return sorted((row["time"], row["running_instances"]) for row in rows)


@pytest.mark.parametrize("name", MINE)
def test_a_page_is_simulated_whole_and_says_how_to_run_it(name: str, tmp_path: Path) -> None:
    """No part of it is left out with a warning, and its own command stands in its comments."""
    path = PAINS / f"{name}.yaml"
    assert [line for line in read_scenario(path).warnings if "not simulated yet" in line] == []
    text = path.read_text(encoding="utf-8")
    assert f"clustersim run scenarios/pains/{name}.yaml" in text.split("\nname:")[0]
    assert scenario_of(text, tmp_path).name == name


def test_two_instances_come_and_go_on_each_of_two_providers(tmp_path: Path) -> None:
    """Every 25 minutes, for a task of a minute: two instances for a quarter of an hour and more, then none."""
    ran = page("two-providers-breathe", tmp_path)
    for provider in ("blue", "green"):
        counts = [count for _, count in instances(ran, provider)]
        assert set(counts) == {0, 1, 2}
        assert sum(before == 0 < after for before, after in pairwise(counts)) >= 12
        assert sum(count > 0 for count in counts) > 0.6 * len(counts)
        lives = [
            each["terminated_at"] - each["launched_at"]
            for each in ran.instances(capacity_provider=provider)
            if each["terminated_at"] is not None
        ]
        assert all(15 * MINUTE < life < 22 * MINUTE for life in lives)
    assert ran.summary["cost_usd_idle"] > 0.95 * ran.summary["cost_usd"]


@pytest.mark.parametrize("count", [1, 100])
def test_the_first_step_is_two_instances_whatever_waits(tmp_path: Path, count: int) -> None:
    """One of them never has a task; for a hundred tasks the next step waits for the warm-up of five minutes."""
    ran = page("first-step-of-two", tmp_path, f"services.report.desiredCount={count}")
    launched = Counter(each["launched_at"] for each in ran.instances())
    first, *later = sorted(launched)
    assert (first, launched[first]) == (MINUTE, 2)
    if count == 1:
        assert later == []
        idle = [each for each in ran.instances() if each["tasks_started"] == 0]
        assert len(idle) == 1
        assert idle[0]["terminated_at"] - idle[0]["registered_at"] >= 15 * MINUTE
    else:
        assert later[0] >= first + 5 * MINUTE
        assert launched[later[0]] > 10


def test_most_of_a_short_job_is_paid_for_idling(tmp_path: Path) -> None:
    """Instances outlive their last task by ten minutes and more on average; Managed Instances cost half of it."""
    ran = page("idle-after-a-job", tmp_path / "group")
    assert ran.summary["cost_usd_idle"] > 0.7 * ran.summary["cost_usd"]
    last: dict[int, int] = {}
    for task in ran.tasks():
        host = task["container_instance_id"]
        last[host] = max(task["stopped_at"], last.get(host, 0))
    ended = {each["container_instance_id"]: each["terminated_at"] for each in ran.instances()}
    tails = [ended[host] - instant for host, instant in last.items() if ended[host] is not None]
    assert sum(tails) / len(tails) > 10 * MINUTE
    strategy = "runTasks.convert.capacityProviderStrategy=[{capacityProvider: own, weight: 1}]"
    managed = page("idle-after-a-job", tmp_path / "own", strategy)
    assert managed.summary["cost_usd"] < 0.6 * ran.summary["cost_usd"]
    assert managed.summary["run_tasks"]["convert"]["completed"] == 360


def test_a_strategy_does_not_fall_back_from_spot(tmp_path: Path) -> None:
    """For two hours six of sixteen tasks run, beside an on-demand group that could be twenty times as large."""
    ran = page("spot-does-not-fall-back", tmp_path)
    assert ran.running_at(HOUR) == 16
    for instant in range(2 * HOUR + 10 * MINUTE, 4 * HOUR, 10 * MINUTE):
        assert ran.running_at(instant) == 6
        assert ran.running_at(instant, capacity_provider="spot") == 0
    assert ran.running_at(5 * HOUR) == 16
    placed = [task for task in ran.tasks() if task["created_at"] > HOUR and task["placed_at"] is not None]
    waited = [task for task in placed if task["placed_at"] > 3 * HOUR]
    assert {task["capacity_provider"] for task in waited} == {"spot"}
    assert len(waited) == len(placed) - 2  # two were meant for on-demand, which launched an instance for them
    assert max(count for _, count in instances(ran, "on-demand")) <= 2
    assert "There is no Spot capacity available" in ran.messages("INSTANCE_LAUNCH_FAILED")[0]


def test_spread_ends_near_one_task_an_instance_and_binpack_does_not(tmp_path: Path) -> None:
    """At two in the second night: as many instances as tasks, or nearly, against all tasks on one; a third dearer."""
    night = 26 * HOUR
    spread = page("spread-keeps-instances", tmp_path / "spread")
    packed = page("spread-keeps-instances", tmp_path / "packed", PACKED)
    tasks = spread.running_at(night)
    assert tasks == packed.running_at(night)
    assert dict(instances(spread, "general"))[night] >= 0.6 * tasks
    assert dict(instances(packed, "general"))[night] <= 2
    assert spread.summary["cost_usd"] > 1.3 * packed.summary["cost_usd"]
