"""Agendas: controllers act in a fixed order, once per instant, and cannot wake each other for ever."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import simpy

from clustersim.engine.agenda import ROUNDS_PER_INSTANT, Agenda, next_instant
from clustersim.errors import NoFixedPoint


def bound_agenda(env: simpy.Environment, rank: int, name: str, act: Callable[[int], object]) -> Agenda:
    agenda = Agenda(env, rank, name)
    agenda.bind(act)
    return agenda


class RecordingEnvironment:
    """An environment with agendas that record when they act."""

    def __init__(self, *names: str) -> None:
        self.env = simpy.Environment()
        self.acts: list[tuple[str, int]] = []
        self.agendas = {
            name: bound_agenda(self.env, 10 + rank, name, self._record(name))
            for rank, name in enumerate(names)
        }

    def _record(self, name: str) -> Callable[[int], None]:
        return lambda now: self.acts.append((name, now))


def test_controllers_of_one_instant_act_in_order_of_rank() -> None:
    """For any order of waking them."""
    environment = RecordingEnvironment("first", "second", "third")
    for name in ("third", "first", "second"):
        environment.agendas[name].wake_at(5)
    environment.env.run(until=10)
    assert environment.acts == [("first", 5), ("second", 5), ("third", 5)]


def test_a_controller_woken_twice_for_one_instant_acts_once() -> None:
    """Waking it ten times for an instant is one act."""
    environment = RecordingEnvironment("first")
    for _ in range(10):
        environment.agendas["first"].wake_at(5)
        environment.agendas["first"].wake_at(7)
    environment.env.run(until=10)
    assert environment.acts == [("first", 5), ("first", 7)]
    assert environment.agendas["first"].acts == 2


def test_a_later_controller_may_wake_an_earlier_one_in_the_same_instant() -> None:
    """The scheduler stops a task, and the calendar must process the freed resources."""
    environment = RecordingEnvironment("calendar")
    calendar = environment.agendas["calendar"]
    scheduler = bound_agenda(
        environment.env,
        11,
        "scheduler",
        lambda now: (environment.acts.append(("scheduler", now)), calendar.wake_now()),
    )
    calendar.wake_at(3)
    scheduler.wake_at(3)
    environment.env.run(until=10)
    assert environment.acts == [("calendar", 3), ("scheduler", 3), ("calendar", 3)]


def test_a_wake_while_acting_is_a_second_round() -> None:
    """A controller that wakes itself while it acts is not ignored."""
    environment = RecordingEnvironment()
    rounds: list[int] = []
    agenda: Agenda

    def act(now: int) -> None:
        rounds.append(now)
        if len(rounds) < 3:
            agenda.wake_now()

    agenda = bound_agenda(environment.env, 10, "self", act)
    agenda.wake_at(4)
    environment.env.run(until=10)
    assert rounds == [4, 4, 4]


def test_controllers_that_wake_each_other_for_ever_are_stopped() -> None:
    """Without a bound the clock and the program would stand still."""
    environment = RecordingEnvironment()
    agenda = bound_agenda(environment.env, 10, "restless", lambda now: agenda.wake_now())
    agenda.wake_at(1)
    with pytest.raises(NoFixedPoint, match=f"restless was woken {ROUNDS_PER_INSTANT + 1} times at 1 ms"):
        environment.env.run(until=10)


def test_rounds_are_counted_for_each_instant() -> None:
    """Acting at ten thousand instants is not an endless loop."""
    environment = RecordingEnvironment()
    agenda = bound_agenda(environment.env, 10, "clock", lambda now: agenda.wake_at(now + 1))
    agenda.wake_at(0)
    environment.env.run(until=ROUNDS_PER_INSTANT * 3)
    assert agenda.acts == ROUNDS_PER_INSTANT * 3


def test_an_agenda_cannot_be_woken_in_the_past() -> None:
    """A time before now is a defect, and raises at once."""
    environment = RecordingEnvironment("first")
    environment.env.run(until=5)
    with pytest.raises(ValueError, match="first would be woken at 4 ms, 1 ms ago"):
        environment.agendas["first"].wake_at(4)


def test_the_next_instant_is_that_of_the_next_event_or_the_end() -> None:
    """Compiled code may run until then, as no Python code reads the clock before."""
    environment = RecordingEnvironment("first")
    assert next_instant(environment.env, 100) == 100
    environment.agendas["first"].wake_at(40)
    assert next_instant(environment.env, 100) == 40
    assert next_instant(environment.env, 30) == 30


def test_an_agenda_is_bound_once() -> None:
    """It exists before the controller that it calls; a second controller would silently replace the first."""
    environment = RecordingEnvironment("first")
    with pytest.raises(ValueError, match="first is bound already"):
        environment.agendas["first"].bind(lambda now: None)


def test_an_agenda_that_is_due_must_be_bound() -> None:
    """A concern left out of the wiring is a defect, and raises at its first instant."""
    environment = RecordingEnvironment()
    Agenda(environment.env, 10, "forgotten").wake_at(3)
    with pytest.raises(ValueError, match="forgotten is due and calls nothing"):
        environment.env.run(until=10)
