"""Plans: what a controller of services wants done with tasks and machines, step by step.

The controllers of services (`replicas`, `daemons`, `virtual_machines`, `zone_rebalancing`, `traffic_shifting`) read the
world and return plans; `plan_applier` carries them out. A plan says how many tasks of which kind start or stop.
Which of them stop, and how many may start now, is decided where it is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clustersim.control.services.service_state import DeploymentRecord
from clustersim.engine.compiled import Array
from clustersim.vocabulary import TerminationReason


@dataclass(frozen=True, slots=True)
class StartTasks:
    """Start `count` tasks of a deployment, as the launch rate and the service throttle allow."""

    deployment: DeploymentRecord
    count: int


@dataclass(frozen=True, slots=True)
class FillHosts:
    """Start a task of a deployment on each of these instances, as the launch rate and the service throttle allow."""

    deployment: DeploymentRecord
    hosts: Array


@dataclass(frozen=True, slots=True)
class RestartOnHosts:
    """Start a task of a deployment on each of these virtual machines at once."""

    deployment: DeploymentRecord
    hosts: Array


@dataclass(frozen=True, slots=True)
class MoveToZone:
    """Start a task of the PRIMARY deployment in `zone`; one in `fullest` stops once it is healthy."""

    zone: int
    fullest: int


@dataclass(frozen=True, slots=True)
class StopSurplus:
    """Stop `count` tasks of a deployment that are neither leaving nor unhealthy, except protected ones."""

    deployment: DeploymentRecord
    count: int


@dataclass(frozen=True, slots=True)
class StopOlder:
    """Stop `count` tasks of the deployments before the PRIMARY one, except protected ones."""

    count: int


@dataclass(frozen=True, slots=True)
class StopUnhealthy:
    """Stop `count` unhealthy tasks of a deployment, longest running first; `counted` as its failed tasks."""

    deployment: DeploymentRecord
    count: int
    counted: bool = True


@dataclass(frozen=True, slots=True)
class StopLeaving:
    """Stop `count` tasks of a deployment that are on draining instances or about to be retired, oldest first."""

    deployment: DeploymentRecord
    count: int


@dataclass(frozen=True, slots=True)
class StopTasks:
    """Stop these tasks."""

    slots: Array


@dataclass(frozen=True, slots=True)
class StopInZone:
    """Stop a task of the PRIMARY deployment in `zone` other than the one with id `kept_id`."""

    zone: int
    kept_id: int


@dataclass(frozen=True, slots=True)
class ReplaceMachines:
    """Terminate these virtual machines, so that their group launches others."""

    hosts: Array
    reason: TerminationReason


@dataclass(frozen=True, slots=True)
class SetRefreshExtra:
    """Have the group of a service's virtual machines run `count` more than its desired capacity."""

    count: int


@dataclass(frozen=True, slots=True)
class ReportBlocked:
    """Report that the healthy percents block a deployment, if the plan has stopped nothing."""


@dataclass(frozen=True, slots=True)
class ReportRebalancing:
    """Report that zone rebalancing STARTED, COMPLETED or STOPPED."""

    state: str


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Reconcile the service again at `at_ms`."""

    at_ms: int


Step = (
    StartTasks
    | FillHosts
    | RestartOnHosts
    | MoveToZone
    | StopSurplus
    | StopOlder
    | StopUnhealthy
    | StopLeaving
    | StopTasks
    | StopInZone
    | ReplaceMachines
    | SetRefreshExtra
    | ReportBlocked
    | ReportRebalancing
    | LookAgain
)
Plan = Sequence[Step]
"""Steps, carried out in their order."""
