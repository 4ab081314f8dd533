"""Misconfigurations that crash a container right after it starts: IAM denials and memory limits.

It determines the end of a task set's main container where the scenario alone decides it, and the limit on its memory.
Memory that grows with load is computed by `policy.load.fluid_model`, and `control.load.oom_kills` kills for it.
Called by `world.build.task_set_tables`.
"""

from __future__ import annotations

from typing import NamedTuple

from clustersim.policy.tasks.iam_evaluation import evaluate_calls
from clustersim.scenario.sections.scenario import Behavior, Distribution, Scenario, TaskDefinition
from clustersim.vocabulary import StoppedReason
from clustersim.world.build.container_tables import main_container
from clustersim.world.tasks.lifecycle import EXIT_KILLED


class StartupCrash(NamedTuple):
    """A crash of the main container: the time from RUNNING until then, its exit code and stopped reason."""

    time_to_crash: Distribution
    exit_code: int
    reason: StoppedReason


def startup_crash(
    scenario: Scenario, definition: TaskDefinition, behavior: Behavior, balanced: str | None, base_mib: float
) -> StartupCrash | None:
    """Return the crash of the main container at the time it would be ready; None: it does not crash.

    `base_mib` is the memory that the application has once it is up.
    """
    time_to_crash = Distribution(a=float(max(1, behavior.ready_time_ms or 0)))
    limit = memory_limit_mib(definition, balanced)
    if limit is not None and base_mib > limit:
        return StartupCrash(time_to_crash, EXIT_KILLED, StoppedReason.OUT_OF_MEMORY)
    role = scenario.roles.statements(definition.access.task_role)
    if evaluate_calls(behavior.calls, role).fatal is not None:
        return StartupCrash(time_to_crash, behavior.exit_code, StoppedReason.ESSENTIAL_CONTAINER_EXITED)
    return None


def memory_limit_mib(definition: TaskDefinition, balanced: str | None) -> int | None:
    """Return the memory above which the main container is killed: its own hard limit, else the task's; None: neither.

    ECS API: ContainerDefinition.memory, TaskDefinition.memory.
    """
    if not definition.containers:
        return definition.task_memory_mib
    main = main_container(definition, balanced)
    own = next(container.memory_mib for container in definition.containers if container.name == main)
    return definition.task_memory_mib if own is None else own
