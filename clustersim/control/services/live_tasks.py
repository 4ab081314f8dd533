"""Queries of a service's tasks that are not stopping, for the controllers that decide about them."""

from __future__ import annotations

import numpy as np

from clustersim.control.services.service_state import DeploymentRecord, ServiceRecord
from clustersim.engine.compiled import Array
from clustersim.vocabulary import TaskState
from clustersim.world.scheduling.commands import list_tasks_of_group
from clustersim.world.state.world import World


def live_tasks(world: World, record: ServiceRecord, deployments: list[DeploymentRecord]) -> Array:
    """Return the slots of the tasks of these deployments that are not stopping, newest first."""
    state = world.state
    live = state.services.rows[record.number]
    out = np.zeros(int(live["provisioning"] + live["pending"] + live["running"]), np.int64)
    slots = out[: list_tasks_of_group(world.core, record.number, out)]
    return slots[np.isin(state.tasks.rows["set"][slots], [deployment.task_set for deployment in deployments])]


def count_live(world: World, deployment: DeploymentRecord) -> int:
    """Return the number of tasks of a deployment that are not stopping."""
    s = world.state.sets.rows[deployment.task_set]
    return int(s["provisioning"] + s["pending"] + s["running"])


def unprotected(world: World, slots: Array, now: int) -> Array:
    """Return those of `slots` that scale-in or a deployment may stop."""
    return slots[world.state.tasks.rows["protected_until"][slots] <= now]


def stoppable_in_zone(world: World, record: ServiceRecord, zone: int, kept_id: int, now: int) -> Array:
    """Return the slots of running tasks in a zone that may be stopped, without the one with id `kept_id`."""
    slots = unprotected(world, live_tasks(world, record, [record.primary]), now)
    tasks = world.state.tasks.rows[slots]
    selected = (tasks["zone"] == zone) & (tasks["task_id"] != kept_id) & (tasks["state"] == TaskState.RUNNING)
    return np.ascontiguousarray(slots[selected])


def healthy_tasks(world: World, slots: Array) -> Array:
    """Return a mask of those of `slots` that run, were found healthy, and are not unhealthy."""
    tasks = world.state.tasks.rows[slots]
    mask: Array = (tasks["state"] == TaskState.RUNNING) & (tasks["healthy"] >= 0) & (tasks["unhealthy"] == 0)
    return mask
