"""The services that are due: marked now, asked for later, reported by compiled code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import simpy

from clustersim.control.agendas import create_agendas
from clustersim.control.services.due_services import DueServices
from clustersim.world.state.counters import WAKE_CAPACITY, WAKE_SCHEDULER


def due_services() -> tuple[DueServices, Any, Any]:
    """Return an empty `DueServices` of four steady services, its state and its agenda."""
    counters = SimpleNamespace(dirty_services=0, controllers_to_wake=0)
    rows = np.zeros(4, [("dirty", "i8"), ("steady", "i8")])
    rows["steady"] = 1
    services = SimpleNamespace(rows=rows, dirty=np.zeros(4, np.int64))
    state = SimpleNamespace(counters=counters, services=services)
    agendas = create_agendas(simpy.Environment())
    return DueServices(cast(Any, SimpleNamespace(state=state)), agendas), state, agendas.scheduler


def test_marked_later_and_reported_services_are_due_once() -> None:
    """Service 0 is marked, 1 is due at 40, 2 was reported; at 40 the set has all three, and then none."""
    due, state, _ = due_services()
    due.mark(np.array([0]))
    due.reconcile_at(1, 40)
    state.services.dirty[0], state.counters.dirty_services, state.services.rows["dirty"][2] = 2, 1, 1
    state.counters.controllers_to_wake = WAKE_SCHEDULER | WAKE_CAPACITY
    assert due.take(40) == {0, 1, 2}
    assert due.take(40) == set()
    assert state.services.rows["dirty"].sum() == 0
    assert state.counters.controllers_to_wake == WAKE_CAPACITY


def test_a_dirty_service_is_taken_from_compiled_code() -> None:
    """A marked service may stay steady, as a new desired count is no news to compiled code; a dirty one may not."""
    due, state, _ = due_services()
    due.mark(np.array([0]))
    due.mark_dirty(1)
    due.unmark(0)
    assert state.services.rows["steady"].tolist() == [1, 0, 1, 1]
    assert due.take(0) == {1}
