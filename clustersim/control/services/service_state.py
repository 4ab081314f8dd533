"""What the controllers remember of services: their deployments, and how their launches go.

Records only; several controllers read and change them, none of them owns another. The counts of tasks are the
world's, and so is what compiled code must know too (`world.state.tables.SERVICE`): whether a service is steady, its
launches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.sections.scenario import Service
from clustersim.vocabulary import NEVER

IN_PROGRESS, COMPLETED, FAILED = "IN_PROGRESS", "COMPLETED", "FAILED"


@dataclass
class Rollout:
    """One deployment of a service."""

    row: int  # its task set
    number: int  # of `ecs-svc/N`
    key: str  # the task definition, `web:2`
    created_ms: int
    state: str = IN_PROGRESS
    reason: str = ""
    completed_ms: int | None = None
    first: bool = False  # the service's first, which has nothing to replace
    desired: int = 0  # of the service, when last looked at
    failures: int = 0  # what the circuit breaker counts
    failed_tasks: int = 0
    seen_never_ran: int = 0
    seen_settled: int = 0
    seen_ran: int = 0
    alarms_off: bool = False  # one was in ALARM when the deployment began
    bake_until_ms: int | None = None
    rolling_back: bool = False

    @property
    def name(self) -> str:
        """As ECS writes it."""
        return f"ecs-svc/{self.number}"


@dataclass
class ServiceRecord:
    """What is remembered of one service between two looks."""

    number: int
    settings: Service  # as created, or as updated last
    deployments: list[Rollout] = field(default_factory=list)  # with live tasks, the PRIMARY last
    completed: Rollout | None = None  # the most recent COMPLETED one, what a rollback goes back to
    shift: Any = (
        None  # the state of a deployment that shifts traffic (`control.services.traffic_shifting.Shift`)
    )
    failed_rounds: int = 0
    failures_seen: int = 0
    paused_until_ms: int = 0
    short_since_epoch: int = NEVER  # the capacity epoch in which it found no room; -1: it has room
    refused: int = 0  # why Fargate refused its last task; 0: it did not
    moving_task: int = NEVER  # id of the task that zone rebalancing started and waits for
    moving_from: int = NEVER  # the zone that then gives one up
    rebalanced: bool = True  # the last look at the zones found nothing to do
    look_at_zones: bool = True  # at the next steady state
    told_unwell: set[int] = field(default_factory=set)  # ids of unhealthy targets that an event has named

    @property
    def primary(self) -> Rollout:
        """The PRIMARY deployment."""
        return self.deployments[-1]

    @property
    def on_machines(self) -> bool:
        """Whether each of its copies has a virtual machine of its own."""
        return self.settings.machines is not None

    @property
    def daemon(self) -> bool:
        """Whether it runs one task on every instance."""
        return self.settings.scheduling_strategy == "DAEMON"
