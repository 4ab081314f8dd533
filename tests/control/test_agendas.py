"""The order of concerns at one instant."""

from __future__ import annotations

import simpy

from clustersim.control.agendas import Agendas, create_agendas


def test_concerns_act_in_their_order_whatever_wakes_them_first() -> None:
    """Influences, lifecycles, observations, decisions, results: woken in the reverse order, they act in their own."""
    env = simpy.Environment()
    agendas = create_agendas(env)
    acted: list[str] = []
    for agenda in reversed(agendas):
        agenda.bind(lambda now, name=agenda.name: acted.append(name))
        agenda.wake_at(5)
    env.run(until=6)
    assert tuple(acted) == Agendas._fields
    assert acted[:3] == ["failures", "actions", "calendar"]
    assert acted[-1] == "series"
