"""Incidents that compiled code reported, told in `events`.

Takes the chunk of incidents and finds the words for each. Decides nothing; `control.capacity` and the wiring call it.
"""

from __future__ import annotations

from clustersim.control.event_words import EventLog
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


def tell_incidents(world: World, events: EventLog) -> None:
    """Write what has been reported, and empty the chunk."""
    state = world.state
    count = int(state.clock[INCIDENTS])
    if count == 0:
        return
    rows = state.incidents[:count]
    told = 0
    for position, (kind, more) in enumerate(zip(rows["kind"].tolist(), rows["more"].tolist(), strict=True)):
        if position < told:
            continue
        told = position + 1 + more
        row = rows[position]
        if kind == IncidentKind.STEADY:
            events.steady(int(row["at"]), int(row["service"]))
        elif kind == IncidentKind.TASKS_STARTED:
            events.started(int(row["at"]), int(row["service"]), rows["task_id"][position:told])
        elif kind == IncidentKind.TASKS_STOPPED:
            events.stopped(int(row["at"]), int(row["service"]), rows["task_id"][position:told])
        elif kind in _INSTANCE_WORDS:
            events.instance(
                int(row["at"]), _INSTANCE_WORDS[kind][0], int(row["instance_id"]), _INSTANCE_WORDS[kind][1]
            )
        elif kind == IncidentKind.NO_ADDRESS:
            words = world.names.sentences[row["sentence"]]
            events.not_placed_for(int(row["at"]), int(row["service"]), int(row["task_id"]), words)
        else:
            name, words = _TASK_WORDS[kind]
            events.task(int(row["at"]), name, int(row["service"]), int(row["task_id"]), words)
    state.clock[INCIDENTS] = 0
