"""Managed scaling beyond the worked examples, as whole runs: limits, warm-up, protection, invisible demand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.golden.test_golden_capacity import ALONE, activities, managed, reservation
from tests.harness import HOUR, MINUTE, NODE, Block, definition, job, on, provider, run, service, world


def alone(count: int, **keys: Any) -> Block:
    """An entry of `count` tasks, each on an instance of its own."""
    return job(count=count, placementConstraints=ALONE, **keys)


def test_status_is_on_in_a_block_that_does_not_say(tmp_path: Path) -> None:
    """Without `managedScaling` nothing scales; DISABLED neither; a block with settings alone means ENABLED."""
    for number, (block, count) in enumerate(
        [(None, 0), ({"status": "DISABLED"}, 0), ({"targetCapacity": 100}, 2), ({"status": "ENABLED"}, 2)]
    ):
        of = provider(count=0, most=100)
        of["autoScalingGroupProvider"]["managedScaling"] = block
        ran = run(world(capacityProviders=[of], duration="10m", services=[service()]), tmp_path / str(number))
        assert len(ran.instances()) == count


def test_steps_are_held_between_minimum_and_maximum(tmp_path: Path) -> None:
    """One instance, busy; five more tasks wait. At most two at a time: 3, and when these have warmed up 5, then 6.
    A minimum of four takes four for one waiting task."""
    keys = {"capacityProviders": [managed(1, maximumScalingStepSize=2)], "duration": "20m"}
    ran = run(world(runTasks=[alone(6)], **keys), tmp_path / "most")
    assert activities(ran) == [(MINUTE, 1, 3), (6 * MINUTE, 3, 5), (11 * MINUTE, 5, 6)]
    keys = {"capacityProviders": [managed(1, minimumScalingStepSize=4)], "duration": "10m"}
    assert activities(run(world(runTasks=[alone(2)], **keys), tmp_path / "least")) == [(MINUTE, 1, 5)]


def test_scale_out_waits_until_every_instance_has_warmed_up(tmp_path: Path) -> None:
    """Tasks that come at minute 3 find instances launched at minute 1: with a warm-up of 7 minutes they are asked for
    at minute 8, not at 4."""
    late = alone(3, at="3m", name="late")
    keys = {"capacityProviders": [managed(1, instanceWarmupPeriod=420)], "duration": "20m"}
    ran = run(world(runTasks=[alone(2), late], **keys), tmp_path)
    assert [row[:1] for row in activities(ran)] == [(MINUTE,), (8 * MINUTE,)]


def test_at_the_greatest_size_tasks_keep_waiting_and_bounds_stay(tmp_path: Path) -> None:
    """MaxSize 3 with five tasks: three run, two stay in PROVISIONING, and no decision goes beyond 3."""
    keys = {"capacityProviders": [managed(1, most=3)], "duration": "20m"}
    ran = run(world(runTasks=[alone(5)], **keys), tmp_path)
    assert ran.states() == {"RUNNING": 3, "PROVISIONING": 2}
    assert activities(ran) == [(MINUTE, 1, 3)]


def test_a_scale_out_stops_a_scale_in_and_its_fifteen_minutes_begin_anew(tmp_path: Path) -> None:
    """Ten instances for two tasks go down from minute 15 on. Of eight others of their family, one task group, two find
    an instance without one at 17:30; six wait and are seen at minute 18: four and six make ten at minute 19. The next
    step down is 15 datapoints later."""
    burst = alone(8, at="1050s", duration="2m", name="burst")
    keys = {"capacityProviders": [managed(10)], "duration": "50m"}
    decisions = activities(run(world(runTasks=[alone(2), burst], **keys), tmp_path))
    (first, second, up, *later) = decisions
    assert (first, second) == ((15 * MINUTE, 10, 6), (17 * MINUTE, 6, 4))
    assert (up[0], up[2]) == (19 * MINUTE, 10)
    assert later[0][0] >= up[0] + 15 * MINUTE
    assert later[-1][2] == 2


def test_managed_termination_protection_spares_the_busy(tmp_path: Path) -> None:
    """Four instances, two of them with an endless task: protected, only the empty ones go. Unprotected and without
    draining, the termination policy takes busy ones too."""
    killed = {}
    for protection in ("ENABLED", "DISABLED"):
        of = managed(4)
        of["autoScalingGroupProvider"] |= {
            "managedTerminationProtection": protection,
            "managedDraining": "DISABLED",
        }
        written = world(runTasks=[alone(2, retries=9)], capacityProviders=[of], seed=4)
        ran = run(written, tmp_path / protection)
        killed[protection] = sum(task["stopped_at"] is not None for task in ran.tasks())
        assert sum(each["terminated_at"] is not None for each in ran.instances()) >= 2
    assert killed["ENABLED"] == 0
    assert killed["DISABLED"] > 0


def test_a_launch_type_is_invisible(tmp_path: Path) -> None:
    """Tasks with launch type EC2 are refused, not waited for: nothing scales out for them."""
    keys = {"capacityProviders": [managed(0)], "duration": "10m"}
    ran = run(world(services=[service(count=2, launchType="EC2")], **keys), tmp_path)
    assert ran.instances() == []
    assert reservation(ran, 5) == 100


def test_a_target_of_90_keeps_one_instance_in_ten_empty(tmp_path: Path) -> None:
    """Nine busy of nine is 100 %: above 90, so ceil(9 x 100 / 90) = 10, of which one stays empty."""
    keys = {"capacityProviders": [managed(9, target=90)], "duration": "1h"}
    ran = run(world(runTasks=[alone(9)], **keys), tmp_path)
    assert activities(ran) == [(MINUTE, 9, 10)]
    assert reservation(ran, 59) == 90
    assert [each["tasks_started"] for each in ran.instances()].count(0) == 1


def test_waiting_tasks_are_packed_on_the_largest_type(tmp_path: Path) -> None:
    """Twelve tasks of 1 vCPU: three to an instance of 3 vCPU, but measured by the 6 vCPU of the other type: two
    instances of the first type are launched, where four were needed; the rest comes after the warm-up."""
    types = [{**NODE, "name": "three", "vcpus": 3}, {**NODE, "name": "six", "vcpus": 6}]
    keys: Block = {
        "instanceTypes": types,
        "capacityProviders": [managed(1, group={"instanceTypes": ["three", "six"]})],
        "taskDefinitions": [definition(cpu=1024, memory=256)],
        "duration": "30m",
    }
    ran = run(world(runTasks=[job(count=15)], **keys), tmp_path)
    assert activities(ran)[0] == (MINUTE, 1, 3)
    assert ran.running_at(4 * MINUTE) == 9
    assert ran.states() == {"RUNNING": 15}


def test_of_several_kinds_of_waiting_tasks_the_most_demanding_decides(tmp_path: Path) -> None:
    """Three tasks that fill an instance and two of another size that do: three are asked for, then two."""
    sizes = [definition("app", cpu=4096, memory=512), definition("other", cpu=4095, memory=512)]
    other = job("other", 2, taskDefinition="other")
    keys = {"capacityProviders": [managed(1)], "taskDefinitions": sizes, "duration": "20m"}
    ran = run(world(runTasks=[job(count=4), other], **keys), tmp_path)
    assert [after - before for _, before, after in activities(ran)] == [3, 2]
    assert ran.states() == {"RUNNING": 6}


def test_two_providers_scale_each_by_its_own_tasks(tmp_path: Path) -> None:
    """One task on each of two empty providers: two instances each, of which one each goes again."""
    both = [managed(0, name="nodes"), managed(0, name="more")]
    entry = job(count=2, capacityProviderStrategy=[on("nodes"), on("more")])
    ran = run(world(capacityProviders=both, runTasks=[entry]), tmp_path)
    steps = [(row["target"], row["to_count"]) for row in ran.rows("scaling_activities")]
    assert sorted(steps) == [
        ("capacityProvider/more", 1),
        ("capacityProvider/more", 2),
        ("capacityProvider/nodes", 1),
        ("capacityProvider/nodes", 2),
    ]
    assert ran.running_at(HOUR - 1) == 2


def test_protection_of_a_group_of_its_own_has_to_be_there(tmp_path: Path) -> None:
    """AWS refuses managed termination protection over a group that does not protect its instances."""
    from clustersim.errors import ScenarioError
    from tests.harness import scenario_of

    group = {"autoScalingGroupName": "g", "instanceTypes": ["test.node"], "minSize": 0, "maxSize": 3}
    of = {"autoScalingGroupArn": "g", "managedTerminationProtection": "ENABLED", "managedScaling": {}}
    keys = {"capacityProviders": [{"name": "nodes", "autoScalingGroupProvider": of}], "services": [service()]}
    with pytest.raises(ScenarioError, match="must have instance protection from scale in"):
        scenario_of(world(autoScalingGroups=[group], **keys), tmp_path)
    scenario_of(
        world(autoScalingGroups=[{**group, "newInstancesProtectedFromScaleIn": True}], **keys), tmp_path
    )
