"""Queries of the tasks that the controllers of services decide about."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clustersim.control.services.live_tasks import (
    count_live,
    healthy_tasks,
    live_tasks,
    stoppable_in_zone,
    unprotected,
)
from clustersim.control.services.service_state import DeploymentRecord, ServiceRecord
from clustersim.vocabulary import NEVER, StopCode, StoppedReason
from clustersim.world.scheduling.commands import stop_tasks
from tests.back_ends import kernels_in_python
from tests.world.small import WEB, settle, small_world, start_service

__all__ = ["kernels_in_python"]


def test_a_stopping_task_is_not_live_and_a_protected_one_may_not_be_stopped(tmp_path: Path) -> None:
    """Of four healthy tasks one stops and one is protected: three are live, newest first, and two may be stopped."""
    cluster = small_world(tmp_path)
    record = ServiceRecord(0, cluster.scenario.services[0])
    record.deployments = [DeploymentRecord(WEB, 1, "app:1", 0)]
    slots = start_service(cluster, 4)
    settle(cluster, 60_000)
    stop_tasks(
        cluster.core,
        slots[:1],
        60_000,
        int(StopCode.UserInitiated),
        int(StoppedReason.STOPPED_BY_USER),
    )
    cluster.state.tasks.rows["protected_until"][slots[1]] = 90_000
    live = live_tasks(cluster, record, record.deployments)
    assert live.tolist() == [slots[3], slots[2], slots[1]]
    assert count_live(cluster, record.primary) == 3
    assert unprotected(cluster, live, 60_000).tolist() == [slots[3], slots[2]]
    assert healthy_tasks(cluster, np.concatenate([slots[:1], live])).tolist() == [False, True, True, True]
    kept = int(cluster.state.tasks.rows["task_id"][slots[3]])
    zone = int(cluster.state.tasks.rows["zone"][slots[3]])
    assert slots[3] not in stoppable_in_zone(cluster, record, zone, kept, 60_000)
    assert slots[3] in stoppable_in_zone(cluster, record, zone, NEVER, 60_000)
