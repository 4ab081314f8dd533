"""Agendas: concerns act in a written order, once an instant, and cannot ring each other for ever."""

from __future__ import annotations

import pytest
import simpy

from clustersim.engine.agenda import ROUNDS_PER_INSTANT, Agenda, next_instant
from clustersim.errors import NoFixedPoint


class Stage:
    """An environment with agendas that note when they act."""

    def __init__(self, *names: str) -> None:
        self.env = simpy.Environment()
        self.acts: list[tuple[str, int]] = []
        self.agendas = {
            name: Agenda(self.env, 10 + rank, name, self._noting(name)) for rank, name in enumerate(names)
        }

    def _noting(self, name: str):
        return lambda now: self.acts.append((name, now))


def test_concerns_due_at_one_instant_act_in_order_of_rank() -> None:
    """Whatever the order in which they were woken."""
    stage = Stage("first", "second", "third")
    for name in ("third", "first", "second"):
        stage.agendas[name].wake_at(5)
    stage.env.run(until=10)
    assert stage.acts == [("first", 5), ("second", 5), ("third", 5)]


def test_asked_twice_for_one_instant_a_concern_acts_once() -> None:
    """Ten rings at an instant are one look at the world."""
    stage = Stage("first")
    for _ in range(10):
        stage.agendas["first"].wake_at(5)
        stage.agendas["first"].wake_at(7)
    stage.env.run(until=10)
    assert stage.acts == [("first", 5), ("first", 7)]
    assert stage.agendas["first"].acts == 2


def test_a_later_concern_may_ring_an_earlier_one_again_in_the_same_instant() -> None:
    """The scheduler stops a task, and the calendar must look at what that set free."""
    stage = Stage("calendar")
    calendar = stage.agendas["calendar"]
    scheduler = Agenda(
        stage.env, 11, "scheduler", lambda now: (stage.acts.append(("scheduler", now)), calendar.ring())
    )
    calendar.wake_at(3)
    scheduler.wake_at(3)
    stage.env.run(until=10)
    assert stage.acts == [("calendar", 3), ("scheduler", 3), ("calendar", 3)]


def test_a_ring_while_acting_is_a_second_round() -> None:
    """What a concern asks of itself while it acts is not lost."""
    stage = Stage()
    rounds: list[int] = []
    agenda: Agenda

    def act(now: int) -> None:
        rounds.append(now)
        if len(rounds) < 3:
            agenda.ring()

    agenda = Agenda(stage.env, 10, "self", act)
    agenda.wake_at(4)
    stage.env.run(until=10)
    assert rounds == [4, 4, 4]


def test_concerns_that_ring_for_ever_are_stopped() -> None:
    """Without a bound the clock would stand still and the program with it."""
    stage = Stage()
    agenda = Agenda(stage.env, 10, "restless", lambda now: agenda.ring())
    agenda.wake_at(1)
    with pytest.raises(NoFixedPoint, match=f"restless was woken {ROUNDS_PER_INSTANT + 1} times at 1 ms"):
        stage.env.run(until=10)


def test_rounds_are_counted_for_each_instant() -> None:
    """Acting at ten thousand instants is no restlessness."""
    stage = Stage()
    agenda = Agenda(stage.env, 10, "clock", lambda now: agenda.wake_at(now + 1))
    agenda.wake_at(0)
    stage.env.run(until=ROUNDS_PER_INSTANT * 3)
    assert agenda.acts == ROUNDS_PER_INSTANT * 3


def test_nobody_wakes_in_the_past() -> None:
    """A time before now is a defect and is said at once."""
    stage = Stage("first")
    stage.env.run(until=5)
    with pytest.raises(ValueError, match="first would be woken at 4 ms, 1 ms ago"):
        stage.agendas["first"].wake_at(4)


def test_the_next_instant_is_that_of_the_next_alarm_at_most_the_end() -> None:
    """Compiled code may run on so far, since no Python can look at the clock before."""
    stage = Stage("first")
    assert next_instant(stage.env, 100) == 100
    stage.agendas["first"].wake_at(40)
    assert next_instant(stage.env, 100) == 40
    assert next_instant(stage.env, 30) == 30
