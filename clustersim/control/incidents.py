"""Incidents that compiled code reported, told in `events`.

Takes the chunk of incidents and finds the words for each. Decides nothing; `control.capacity` and the wiring call it.
"""

from __future__ import annotations

from typing import Any

from clustersim.control.event_words import STARTED, STOPPED, EventLog
from clustersim.vocabulary import IncidentKind
from clustersim.world.tables import INCIDENTS
from clustersim.world.world import World

_INSTANCE_WORDS = {
    IncidentKind.SPOT_NOTICE: (
        "SPOT_INTERRUPTION_WARNING",
        "has an EC2 Spot Instance interruption warning: it is reclaimed in two minutes",
    ),
    IncidentKind.AGENT_DISCONNECTED: (
        "AGENT_DISCONNECTED",
        "has a disconnected agent: no new tasks are placed",
    ),
    IncidentKind.AGENT_RECONNECTED: ("AGENT_CONNECTED", "has a connected agent again"),
}
_TASK_WORDS = {
    IncidentKind.FARGATE_SPOT_INTERRUPTION: ("SPOT_INTERRUPTION_WARNING", "Your Spot Task was interrupted"),
    IncidentKind.FARGATE_TASK_RETIREMENT: (
        "TASK_RETIREMENT",
        "ECS is performing maintenance on the underlying infrastructure hosting the task",
    ),
}

_STEADY = int(IncidentKind.STEADY)
_OF_TASKS = {int(IncidentKind.TASKS_STARTED): STARTED, int(IncidentKind.TASKS_STOPPED): STOPPED}


def tell_incidents(world: World, events: EventLog) -> None:
    """Write what has been reported, in its order, and empty the chunk."""
    state = world.state
    count = int(state.clock[INCIDENTS])
    if count == 0:
        return
    rows = state.incidents[:count]
    columns = [rows[name].tolist() for name in ("at", "kind", "service", "task_id", "more")]
    followers = 0
    for position, (at, kind, service, task_id, more) in enumerate(zip(*columns, strict=True)):
        if followers:
            followers -= 1  # told with the one before
        elif kind == _STEADY:
            events.steady(at, service)
        elif kind in _OF_TASKS:
            ids = columns[3][position : position + 1 + more] if more else [task_id]
            events.tasks(at, service, ids, *_OF_TASKS[kind])
            followers = more
        else:
            _tell_mishap(world, events, rows[position], IncidentKind(kind))
    state.clock[INCIDENTS] = 0


def _tell_mishap(world: World, events: EventLog, row: Any, kind: IncidentKind) -> None:
    """Write what befell a task or an instance."""
    at, service, task_id = int(row["at"]), int(row["service"]), int(row["task_id"])
    if kind in _INSTANCE_WORDS:
        events.instance(at, _INSTANCE_WORDS[kind][0], int(row["instance_id"]), _INSTANCE_WORDS[kind][1])
    elif kind == IncidentKind.NO_ADDRESS:
        events.not_placed_for(at, service, task_id, world.names.sentences[row["sentence"]])
    else:
        name, words = _TASK_WORDS[kind]
        events.task(at, name, service, task_id, words)
