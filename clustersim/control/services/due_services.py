"""The services that the scheduler must reconcile: now, at a later instant, or because compiled code reported them.

Every controller of services asks for reconciliations here; the scheduler takes those that are due. Decides nothing.
"""

from __future__ import annotations

from clustersim.control.agendas import Agendas
from clustersim.engine.compiled import Array
from clustersim.world.state.counters import WAKE_SCHEDULER
from clustersim.world.state.world import World


class DueServices:
    """The services to reconcile, by instant."""

    def __init__(self, world: World, agendas: Agendas) -> None:
        self._world = world
        self._agenda = agendas.scheduler
        self._marked: set[int] = set()
        self._at: dict[int, set[int]] = {}

    def mark(self, services: Array) -> None:
        """Reconcile these services at the present instant; steady ones stay with compiled code."""
        self._marked.update(services.tolist())
        self._agenda.wake_now()

    def mark_dirty(self, service: int) -> None:
        """Reconcile a service at the present instant, by the scheduler and not by compiled code."""
        self._world.state.services.rows[service]["steady"] = 0
        self._marked.add(service)
        self._agenda.wake_now()

    def unmark(self, service: int) -> None:
        """Take back a mark for the present instant."""
        self._marked.discard(service)

    def reconcile_at(self, service: int, at_ms: int) -> None:
        """Reconcile a service at `at_ms`."""
        self._at.setdefault(at_ms, set()).add(service)
        self._agenda.wake_at(at_ms)

    def take(self, now: int) -> set[int]:
        """Return the services that are due now, and forget them."""
        state = self._world.state
        counters = state.counters
        reported = {int(service) for service in state.services.dirty[: counters.dirty_services]}
        for service in reported:
            state.services.rows[service]["dirty"] = 0
        counters.dirty_services = 0
        counters.controllers_to_wake &= ~WAKE_SCHEDULER
        due = reported | self._marked | self._at.pop(now, set())
        self._marked.clear()
        return due
