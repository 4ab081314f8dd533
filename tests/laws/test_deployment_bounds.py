"""A rolling update never leaves its bounds: enough healthy tasks, not too many in all, at every instant."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.harness import HOUR, MINUTE, SECOND, Block, definition, run, service, world

DEPLOYED = 10 * MINUTE


@pytest.mark.golden(11)
@pytest.mark.parametrize(
    ("desired", "least", "most"),
    [(10, 100, 200), (10, 90, 110), (7, 33, 133), (5, 100, 150), (4, 50, 100), (1, 0, 100), (3, 50, 150)],
)
@pytest.mark.parametrize("how", ["deploy", "drain"])
def test_between_the_healthy_percents(desired: int, least: int, most: int, how: str, tmp_path: Path) -> None:
    """ceil and floor of the percents (botocore: DeploymentConfiguration); draining obeys them too."""
    update: Block = {"updateService": {"service": "web", "taskDefinition": "app:2"}}
    drained = {"containerInstances": ["1", "2"], "status": "DRAINING"}
    ran = run(
        world(
            nodes=4,
            initialState="running",
            taskDefinitions=[definition(), definition()],
            services=[
                service(
                    "web",
                    desired,
                    taskDefinition="app:1",
                    deploymentConfiguration={"minimumHealthyPercent": least, "maximumPercent": most},
                    availabilityZoneRebalancing="DISABLED",
                    behavior={"startupTime": "9s"},
                )
            ],
            actions=[
                {"at": "10m", **(update if how == "deploy" else {"updateContainerInstancesState": drained})}
            ],
        ),
        tmp_path,
    )
    lower, upper = math.ceil(desired * least / 100), math.floor(desired * most / 100)
    tasks = ran.tasks()
    instants = sorted(
        {t[name] for t in tasks for name in ("created_at", "healthy_at", "stopping_at") if t[name]}
    )
    for now in instants:
        alive = [
            t
            for t in tasks
            if t["created_at"] <= now and (t["stopping_at"] is None or t["stopping_at"] > now)
        ]
        assert len(alive) <= max(upper, desired), now
        assert sum(t["healthy_at"] is not None and t["healthy_at"] <= now for t in alive) >= lower, now
    left = [t for t in tasks if t["stopping_at"] is None]
    assert len(left) == desired
    if how == "deploy":
        assert {t["revision"] for t in left} == {2}
    else:
        assert not {t["container_instance_id"] for t in left} & {1, 2}
    assert max(t["started_at"] for t in left) < HOUR - 5 * MINUTE
    assert min(t["created_at"] for t in tasks if t["created_at"] > 0) - DEPLOYED <= 2 * SECOND
