"""The health of tasks behind a load balancer, from when the application answers to when a replacement starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness import SECOND, definition, run, service, world

ON_PORT_80 = {"portMappings": [{"containerPort": 80}]}
BALANCED = {"loadBalancers": [{"targetGroupArn": "web", "containerName": "main", "containerPort": 80}]}


@pytest.mark.parametrize(
    ("grace_seconds", "unhealthy_at"),
    [(0, 20), (19, 20), (50, 50), (99, 99), (100, None), (200, None)],
)
def test_the_grace_period_hides_an_unhealthy_target_until_it_ends(
    grace_seconds: int, unhealthy_at: int | None, tmp_path: Path
) -> None:
    """ECS CreateService, healthCheckGracePeriodSeconds: "ignores unhealthy Elastic Load Balancing, ... health checks".

    The application answers after 75 s. Two checks in a row, 10 s apart, fail by 20 s; three pass at 80, 90 and 100 s.
    """
    group = {"healthCheckIntervalSeconds": 10, "unhealthyThresholdCount": 2, "healthyThresholdCount": 3}
    web = service(**BALANCED, healthCheckGracePeriodSeconds=grace_seconds, behavior={"readyTime": "75s"})
    written = world(
        duration="3m",
        taskDefinitions=[definition(container=ON_PORT_80)],
        targetGroups=[{"name": "web", **group}],
        services=[web],
    )
    first, *later = run(written, tmp_path).tasks()
    if unhealthy_at is None:
        assert later == []
    else:
        assert later[0]["created_at"] - first["started_at"] == unhealthy_at * SECOND
