"""The resolved scenario's failures: what breaks, what is taken back, and what cannot be had for a while.

Decides nothing; `resolve_failures` makes these models. Must not know how a failure is carried out. `model` gives
their names on. Instants are ms since `start`.
"""

from __future__ import annotations

from clustersim.scenario.model_base import Distribution, Resolved
from clustersim.scenario.model_capacity import PurchaseOption


class Interruptions(Resolved):
    """How Spot capacity is taken back: by a time of its own, or by the share lost in a month.

    With `time_to_interruption` each instance or task has its own time. Else `monthly_share` of them are
    reclaimed in a month (None: as the catalogue says of each type); `pool_share` of these interruptions are
    events of a whole pool, each of which takes an instance with probability `pool_fraction`.
    """

    time_to_interruption: Distribution | None = None
    monthly_share: float | None = None
    pool_share: float = 0.0
    pool_fraction: float = 1.0


class Outage(Resolved):
    """A zone that is gone from `at_ms` until `until_ms`."""

    zone: str
    at_ms: int
    until_ms: int


class Shortage(Resolved):
    """Capacity that cannot be had from `at_ms` until `until_ms`; None stands for any."""

    provider: str | None = None
    instance_type: str | None = None
    purchase_option: PurchaseOption | None = None
    zone: str | None = None
    at_ms: int
    until_ms: int
    reclaim: bool = False
    """Whether Spot capacity that runs there is taken back when it begins."""


class AgentDisconnects(Resolved):
    """When an instance's agent loses its connection, counted from registration or the last time, and for how long."""

    time_to_disconnect: Distribution
    duration: Distribution


class Failures(Resolved):
    """What breaks."""

    container_instances: Distribution | None = None
    agent_disconnects: AgentDisconnects | None = None
    spot: Interruptions | None = Interruptions()
    fargate_spot: Interruptions | None = None
    fargate_task_retirement: Distribution | None = None
    zone_outages: tuple[Outage, ...] = ()
    capacity_shortages: tuple[Shortage, ...] = ()
