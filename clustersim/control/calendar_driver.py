"""Runs compiled calendar entries up to the next SimPy event, then wakes the controllers they requested.

No Python code can observe the clock between two SimPy events, so the compiled calendar may run ahead that far. Where it
stops early, this module schedules a SimPy event at that instant and wakes the requested controllers. It decides nothing
about tasks. `simulation` constructs it; its agenda calls `act`.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from clustersim.control.agendas import Agendas
from clustersim.control.standalone_tasks.task_arrivals import TaskArrivals
from clustersim.engine.agenda import next_instant
from clustersim.world.calendar import CONTROLLER_DUE, FOREVER, NEEDS_ARRIVALS, NEEDS_ROOM, advance
from clustersim.world.scheduling.provisioning import has_room
from clustersim.world.state.counters import WAKE_CAPACITY, WAKE_SCHEDULER
from clustersim.world.state.world import World

MIN_FREE_ROWS = 8_192


class CalendarDriver:
    """The SimPy side of the compiled calendar, one per run.

    `stepwise` stops after every instant, so that tests can inspect each one.
    """

    def __init__(
        self,
        world: World,
        env: simpy.Environment,
        end_ms: int,
        arrivals: TaskArrivals,
        recorders: tuple[Callable[[], None], Callable[[], None]],
        agendas: Agendas,
        stepwise: bool,
    ) -> None:
        self.world = world
        self.env = env
        self.end_ms = end_ms
        self.flush_ended, self.flush_events = recorders
        self.stepwise = stepwise
        self.arrivals = arrivals
        self._agendas = agendas

    def act(self, now: int) -> None:
        """Process all entries due before the next SimPy event."""
        limit = next_instant(self.env, self.end_ms)
        if self.stepwise:
            limit = min(limit, now + 1)
        while True:
            self.world.state.counters.kernel_calls += 1
            outcome = advance(self.world.core, now, limit)
            if outcome == NEEDS_ARRIVALS:
                self.arrivals.load_next_block(self.world)
            elif outcome == NEEDS_ROOM:
                self._make_room()
            else:
                break
        clock = self.world.state.clock
        counters = self.world.state.counters
        if counters.events > self.world.state.outputs.events.size // 2:
            self.flush_events()
        reached = int(clock.reached)
        if outcome == CONTROLLER_DUE and reached <= now:
            requested = int(counters.controllers_to_wake)
            if requested & WAKE_CAPACITY:
                self._agendas.capacity.wake_now()
            if requested & WAKE_SCHEDULER:
                self._agendas.scheduler.wake_now()
        elif reached < min(self.end_ms, FOREVER):
            self._agendas.calendar.wake_at(reached)

    def _make_room(self) -> None:
        """Write out the buffers of ended tasks and instances if they are full, then grow the other tables that are."""
        state = self.world.state
        self.flush_ended()
        if (
            not has_room(self.world.core, MIN_FREE_ROWS)
            or state.outputs.terminated_instances.size - state.counters.terminated_instances < 1
        ):
            self.world.make_room(MIN_FREE_ROWS, 64)
