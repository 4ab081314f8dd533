"""The agendas of a run: one for each concern, in the order in which concerns act at an instant.

First external influences on the cluster, then routine task lifecycles, then observations, then decisions from the
broadest to the narrowest; last the results, which read the settled instant. Controllers get their agendas when they are
constructed; `simulation` binds each agenda to the controller that it calls.
"""

from __future__ import annotations

from typing import NamedTuple

import simpy

from clustersim.engine.agenda import Agenda

FIRST_RANK = 10  # SimPy reserves priorities 0 and 1


class Agendas(NamedTuple):
    """The agendas of all concerns, in their order at one instant."""

    failures: Agenda
    actions: Agenda
    calendar: Agenda
    metrics: Agenda
    schedules: Agenda
    scheduler: Agenda
    capacity: Agenda
    costs: Agenda
    series: Agenda


def create_agendas(env: simpy.Environment) -> Agendas:
    """Create the agendas of a run."""
    return Agendas(*(Agenda(env, FIRST_RANK + rank, name) for rank, name in enumerate(Agendas._fields)))
