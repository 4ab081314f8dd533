"""What kills an application by its own fault as soon as it is up: a call that its role does not allow, or memory.

Decides the end of a task set's main container that is known from the scenario alone, and the limit on its memory.
What load makes of memory is `policy.load.fluid_model`'s, and killing for it `control.load.oom_kills`'s.
`world.build.task_set_tables` asks.
"""

from __future__ import annotations

from typing import NamedTuple

from clustersim.policy.tasks.iam_evaluation import outcome
from clustersim.scenario.sections.scenario import Behavior, Distribution, Scenario, TaskDefinition
from clustersim.vocabulary import StoppedReason
from clustersim.world.build.container_tables import main_container
from clustersim.world.tasks.lifecycle import EXIT_KILLED


class Doom(NamedTuple):
    """How long the application lives from RUNNING on, and what its end looks like."""

    life: Distribution
    exit_code: int
    reason: StoppedReason


def doom_of(
    scenario: Scenario, definition: TaskDefinition, behavior: Behavior, balanced: str | None, base_mib: float
) -> Doom | None:
    """The end of the main container when it would be ready, if it cannot live; `base_mib` is the memory it then has."""
    life = Distribution(a=float(max(1, behavior.ready_time_ms or 0)))
    limit = memory_limit_mib(definition, balanced)
    if limit is not None and base_mib > limit:
        return Doom(life, EXIT_KILLED, StoppedReason.OUT_OF_MEMORY)
    role = scenario.roles.statements(definition.access.task_role)
    if outcome(behavior.calls, role).fatal is not None:
        return Doom(life, behavior.exit_code, StoppedReason.ESSENTIAL_CONTAINER_EXITED)
    return None


def memory_limit_mib(definition: TaskDefinition, balanced: str | None) -> int | None:
    """The memory above which the main container is killed: its own hard limit, else the task's; None: neither.

    ECS API: ContainerDefinition.memory, TaskDefinition.memory.
    """
    if not definition.containers:
        return definition.task_memory_mib
    main = main_container(definition, balanced)
    own = next(container.memory_mib for container in definition.containers if container.name == main)
    return definition.task_memory_mib if own is None else own
