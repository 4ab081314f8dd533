"""State that the controllers keep of services: their deployments and the course of their launches.

Plain records; several controllers read and change them, none owns them. Task counts are in the world, and so is state
that compiled code needs too (`world.state.tables.SERVICE`): whether a service is steady, and its launch allowance.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.sections.scenario import Service
from clustersim.vocabulary import NEVER

IN_PROGRESS, COMPLETED, FAILED = "IN_PROGRESS", "COMPLETED", "FAILED"


@dataclass
class DeploymentRecord:
    """One deployment of a service."""

    task_set: int  # row of its task set
    number: int  # N of `ecs-svc/N`
    definition_key: str  # the task definition, `web:2`
    created_ms: int
    state: str = IN_PROGRESS
    reason: str = ""
    completed_ms: int | None = None
    is_first: bool = False  # the service's first deployment replaces nothing
    desired: int = 0  # of the service, at the last reconciliation
    failures: int = 0  # counted by the circuit breaker
    failed_tasks: int = 0
    last_failure: str = ""  # what its tasks did: "failed to start", "failed health checks"
    seen_never_ran: int = 0
    seen_crashed: int = 0
    seen_became_healthy: int = 0
    seen_ran: int = 0
    alarms_ignored: bool = False  # an alarm was in ALARM when the deployment began
    bake_until_ms: int | None = None
    rolling_back: bool = False

    @property
    def name(self) -> str:
        """The deployment id in the form ECS uses."""
        return f"ecs-svc/{self.number}"


@dataclass
class ServiceRecord:
    """The state of one service between two reconciliations."""

    number: int
    settings: Service  # as created, or as updated last
    deployments: list[DeploymentRecord] = field(
        default_factory=list
    )  # those with live tasks, the PRIMARY last
    completed: DeploymentRecord | None = None  # the most recent COMPLETED one, the target of a rollback
    shift: Any = None  # a `control.services.traffic_shifting.TrafficShift` in progress
    on_alternate: bool = False  # the alternate target group has the production traffic
    failed_rounds: int = 0
    failures_seen: int = 0
    paused_until_ms: int = 0
    no_room_epoch: int = NEVER  # capacity epoch in which a task found no room; -1: there was room
    refusal: int = 0  # why Fargate refused its last task; 0: it did not
    moving_task: int = NEVER  # id of the task that zone rebalancing started and waits for
    moving_from: int = NEVER  # the zone in which a task then stops
    rebalanced: bool = True  # the last check of the zones found them in balance
    check_zones: bool = True  # check the zones at the next steady state
    reported_unhealthy: set[int] = field(
        default_factory=set
    )  # ids of tasks already reported as unhealthy targets

    @property
    def primary(self) -> DeploymentRecord:
        """The PRIMARY deployment."""
        return self.deployments[-1]

    @property
    def on_virtual_machines(self) -> bool:
        """True if each copy of the service has a virtual machine of its own."""
        return self.settings.machines is not None

    @property
    def is_daemon(self) -> bool:
        """True if the service runs one task on every instance."""
        return self.settings.scheduling_strategy == "DAEMON"
