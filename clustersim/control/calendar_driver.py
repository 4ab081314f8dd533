"""Wakes the compiled calendar, and rings those it wants answered.

The calendar may run on to the next SimPy event, since no Python code can observe the clock in between. Where
it stops early, this module brings the SimPy clock to that instant and rings the controllers it names. Decides
nothing about tasks.
"""

from __future__ import annotations

from collections.abc import Callable

import simpy

from clustersim.control.standalone_tasks.task_arrivals import Arrivals
from clustersim.engine.agenda import Agenda, next_instant
from clustersim.world.calendar import ARRIVALS, BELL, FOREVER, ROOM, advance
from clustersim.world.scheduling.provisioning import has_room
from clustersim.world.state.tables import (
    BELL_CAPACITY,
    BELL_SCHEDULER,
    BELLS,
    EVENTS,
    KERNEL_CALLS,
    LOST,
    REACHED,
)
from clustersim.world.state.world import World

LIVES_AT_ONCE = 8_192


class Routine:
    """One for the run; `stepwise` stops after every instant, so that tests can look at each."""

    def __init__(
        self,
        world: World,
        env: simpy.Environment,
        end_ms: int,
        recorders: tuple[Callable[[], None], Callable[[], None]],
        stepwise: bool,
    ) -> None:
        self.world = world
        self.env = env
        self.end_ms = end_ms
        self.take_chunks, self.tell_events = recorders
        self.stepwise = stepwise
        self.arrivals: Arrivals
        self.agenda: Agenda
        self.scheduler: Agenda
        self.capacity: Agenda

    def act(self, now: int) -> None:
        """Carry out what is due, and as much beyond as nobody can observe."""
        limit = next_instant(self.env, self.end_ms)
        if self.stepwise:
            limit = min(limit, now + 1)
        while True:
            self.world.state.clock[KERNEL_CALLS] += 1
            outcome = advance(self.world.core, now, limit)
            if outcome == ARRIVALS:
                self.arrivals.load(self.world)
            elif outcome == ROOM:
                self._make_room()
            else:
                break
        clock = self.world.state.clock
        if clock[EVENTS] > self.world.state.events.size // 2:
            self.tell_events()
        reached = int(clock[REACHED])
        if outcome == BELL and reached <= now:
            bells = int(clock[BELLS])
            if bells & BELL_CAPACITY:
                self.capacity.ring()
            if bells & BELL_SCHEDULER:
                self.scheduler.ring()
        elif reached < min(self.end_ms, FOREVER):
            self.agenda.wake_at(reached)

    def _make_room(self) -> None:
        """Empty the chunks if they are what is full, then grow what else is."""
        state = self.world.state
        self.take_chunks()
        if not has_room(self.world.core, LIVES_AT_ONCE) or state.lost.size - state.clock[LOST] < 1:
            self.world.make_room(LIVES_AT_ONCE, 64)
