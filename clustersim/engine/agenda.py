"""Agendas: the instants at which each concern acts, as SimPy events in a fixed order.

Every concern has one agenda. `wake_now` schedules it at the current instant, `wake_at` at a later one; scheduled
twice for one instant, it acts once. The rank is the SimPy priority of its events, so concerns due at the same
instant act in the order of their ranks. A concern may wake an earlier one within an instant; the number of
rounds per instant is limited. An agenda exists before the controller it calls, so that controllers which wake each
other are constructed whole. This module has no dependency on ECS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import simpy

from clustersim.errors import NoFixedPoint

ROUNDS_PER_INSTANT = 1_000


class _Alarm:
    """An entry of SimPy's queue: the smallest object that its `step` accepts as an event."""

    __slots__ = ("_ok", "_value", "callbacks", "defused")

    def __init__(self, callback: Callable[[Any], None]) -> None:
        self.callbacks: list[Callable[[Any], None]] | None = [callback]
        self._ok = True
        self._value = None
        self.defused = False


class Agenda:
    """The due instants of one concern, and the function that is called at them, which is bound once."""

    def __init__(self, env: simpy.Environment, rank: int, name: str) -> None:
        self.env = env
        self.rank = rank
        self.name = name
        self.acts = 0
        self._act: Callable[[int], object] | None = None
        self._due: set[int] = set()
        self._instant = -1
        self._rounds = 0

    def bind(self, act: Callable[[int], object]) -> None:
        """Call `act` at the due instants."""
        if self._act is not None:
            raise ValueError(f"{self.name} is bound already")
        self._act = act

    def wake_now(self) -> None:
        """Act once at the current instant, in the order of ranks."""
        self.wake_at(int(self.env.now))

    def wake_at(self, at_ms: int) -> None:
        """Act at `at_ms`, which must not be in the past; a second call for the same instant has no effect."""
        if at_ms in self._due:
            return
        delay = at_ms - int(self.env.now)
        if delay < 0:
            raise ValueError(f"{self.name} would be woken at {at_ms} ms, {-delay} ms ago")
        self._due.add(at_ms)
        self.env.schedule(cast(simpy.Event, _Alarm(self._fire)), cast(Any, self.rank), delay)

    def _fire(self, _: object) -> None:
        now = int(self.env.now)
        self._due.discard(now)
        if now != self._instant:
            self._instant = now
            self._rounds = 0
        self._rounds += 1
        if self._rounds > ROUNDS_PER_INSTANT:
            raise NoFixedPoint(f"{self.name} was woken {self._rounds} times at {now} ms")
        self.acts += 1
        if self._act is None:
            raise ValueError(f"{self.name} is due and calls nothing")
        self._act(now)


def next_instant(env: simpy.Environment, end_ms: int) -> int:
    """Return the instant of the next SimPy event, at most `end_ms`: no Python code can read the clock before it."""
    ahead = env.peek()
    return end_ms if math.isinf(ahead) else min(int(ahead), end_ms)
