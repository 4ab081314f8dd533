"""Containers of a task set with lifecycles of their own, written as rows for kernels.

Most tasks have a single lifecycle: one behaviour covers their essential containers. Containers are simulated
separately where the task definition or the behaviour tells them apart: dependencies, restart policies, several health
checks, `behavior.containers`. `world.build.task_set_tables` calls `write_containers` for such a set.
"""

from __future__ import annotations

from graphlib import TopologicalSorter
from typing import Any

import numpy as np

from clustersim.engine.random_streams import stream_key
from clustersim.engine.records import as_table, new_table, new_table_2d
from clustersim.scenario.sections.scenario import (
    Behavior,
    Container,
    ContainerBehavior,
    Distribution,
    TaskDefinition,
)
from clustersim.vocabulary import MS_PER_SECOND, NEVER, DependencyCondition, StoppedReason
from clustersim.world.build.build_world import ENTRIES_PER_TASK
from clustersim.world.build.distribution_table import Distributions
from clustersim.world.build.pull_tables import listed_containers
from clustersim.world.state import task_tables
from clustersim.world.state.world import World

RESTART_PERIOD_MS = 300 * MS_PER_SECOND  # botocore: ContainerRestartPolicy.restartAttemptPeriod
ENTRIES_PER_CONTAINER = 2


def have_own_lifecycles(definition: TaskDefinition | None, behavior: Behavior) -> bool:
    """Return whether the containers of such a task have lifecycles of their own."""
    if definition is None:
        return False
    checked = sum(c.essential and c.health_check is not None for c in definition.containers)
    return (
        checked > 1
        or bool(behavior.containers)
        or any(c.depends_on or (c.restart_policy or {}).get("enabled") for c in definition.containers)
    )


def dependency_order(definition: TaskDefinition) -> list[Container]:
    """Return the containers, each after those it depends on, otherwise in the order of the definition."""
    by_name = {container.name: container for container in definition.containers}
    graph = {name: [needed for needed, _ in c.depends_on] for name, c in by_name.items()}
    return [by_name[name] for name in TopologicalSorter(graph).static_order()]


def main_container(definition: TaskDefinition, balanced: str | None) -> str:
    """Return the container that does the task's work: the one behind the load balancer, else the first essential."""
    if balanced is not None:
        return balanced
    return next(container.name for container in definition.containers if container.essential)


def _main_behavior(behavior: Behavior) -> ContainerBehavior:
    """Return the behaviour of the whole task as that of its main container."""
    return ContainerBehavior(
        startup_time=behavior.startup_time,
        ready_time_ms=behavior.ready_time_ms,
        time_to_failure=behavior.time_to_failure,
        time_to_hang=behavior.time_to_hang,
        start_failure_probability=behavior.start_failure_probability,
        exit_code=behavior.exit_code,
        stop_time=behavior.stop_time,
        stop_exit_code=behavior.stop_exit_code,
    )


def behavior_of(name: str, main: str, behavior: Behavior) -> ContainerBehavior:
    """Return the behaviour of container `name`: its own keys, over the task's for the main container."""
    base = _main_behavior(behavior) if name == main else ContainerBehavior()
    own = dict(behavior.containers).get(name)
    if own is None:
        return base
    return base.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


def write_containers(
    world: World,
    row: int,
    definition: TaskDefinition,
    behavior: Behavior,
    balanced: str | None,
    distributions: Distributions,
    stream: tuple[int, int, str],
) -> None:
    """Write the containers of task set `row`; `stream` is (seed, replication, name) of their random stream."""
    containers = dependency_order(definition)
    names = [container.name for container in containers]
    main = main_container(definition, balanced)
    pulls = [container.name for container, _ in listed_containers(world.scenario, definition)]
    state = world.state
    rows = new_table(task_tables.ContainerRow, len(containers))
    needs: list[tuple[int, int]] = []
    codes: list[int] = []
    for number, container in enumerate(containers):
        seed, replication, name = stream
        rows[number]["key"] = stream_key(seed, replication, f"{name}/container/{container.name}")
        _fill_container(rows[number], container, behavior_of(container.name, main, behavior), distributions)
        rows[number]["pull"] = pulls.index(container.name) if container.name in pulls else NEVER
        _fill_restarts(rows[number], container, codes, state.sets.exit_codes.size)
        rows[number]["needs_from"] = state.sets.dependencies.shape[0] + len(needs)
        needs += [
            (names.index(other), int(DependencyCondition[word])) for other, word in container.depends_on
        ]
        rows[number]["needs_to"] = state.sets.dependencies.shape[0] + len(needs)
    set_row = state.sets.rows[row]
    set_row["first_container"], set_row["containers"] = state.sets.containers.size, len(containers)
    set_row["main_container"] = names.index(main)
    width = max(state.tasks.container_states.shape[1], len(containers))
    states = new_table_2d(task_tables.ContainerStateRow, state.tasks.container_states.shape[0], width)
    states[:, : state.tasks.container_states.shape[1]] = state.tasks.container_states
    state.counters.entries_per_task = ENTRIES_PER_TASK + ENTRIES_PER_CONTAINER * width
    sets = state.sets._replace(
        containers=as_table(task_tables.ContainerRow, np.concatenate([state.sets.containers, rows])),
        dependencies=np.concatenate([state.sets.dependencies, np.array(needs, np.int64).reshape(-1, 2)]),
        exit_codes=np.concatenate([state.sets.exit_codes, np.array(codes, np.int64)]),
    )
    world.state = state._replace(sets=sets, tasks=state.tasks._replace(container_states=states))


def _fill_container(
    row: Any, container: Container, behavior: ContainerBehavior, distributions: Distributions
) -> None:
    """Write the definition and behaviour of a container."""
    check = container.health_check
    trivial = behavior.startup_time == Distribution()
    row["essential"] = container.essential
    row["exit_code"] = behavior.exit_code
    row["complete_code"] = (
        behavior.exit_code if "exit_code" in behavior.model_fields_set and behavior.duration else 0
    )
    row["startup"] = NEVER if trivial else distributions.row(behavior.startup_time)
    row["duration"] = distributions.row(behavior.duration)
    row["failure"] = distributions.row(behavior.time_to_failure)
    row["hang"] = distributions.row(behavior.time_to_hang)
    row["stop"] = distributions.row(behavior.stop_time)
    row["ready_ms"] = NEVER if behavior.ready_time_ms is None else behavior.ready_time_ms
    row["check_ms"] = check.interval_ms if check else NEVER
    row["check_retries"] = check.retries if check else 0
    row["check_start_ms"] = check.start_period_ms if check else 0
    row["start_timeout_ms"] = NEVER if container.start_timeout_ms is None else container.start_timeout_ms
    row["stop_timeout_ms"] = NEVER if container.stop_timeout_ms is None else container.stop_timeout_ms
    row["failure_reason"] = StoppedReason.ESSENTIAL_CONTAINER_EXITED
    row["stop_exit_code"] = behavior.stop_exit_code
    row["start_failure"] = behavior.start_failure_probability


def _fill_restarts(row: Any, container: Container, codes: list[int], known: int) -> None:
    """Write a restart policy; `codes` collects the exit codes that policies ignore, after `known` others."""
    policy = container.restart_policy or {}
    row["restarts"] = int(bool(policy.get("enabled")))
    row["restart_period_ms"] = (
        policy["restartAttemptPeriod"] * MS_PER_SECOND
        if "restartAttemptPeriod" in policy
        else RESTART_PERIOD_MS
    )
    row["ignored_from"] = known + len(codes)
    codes += [int(code) for code in policy.get("ignoredExitCodes") or ()]
    row["ignored_to"] = known + len(codes)
