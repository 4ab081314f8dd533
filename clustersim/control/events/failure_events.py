"""What befalls tasks and instances, in words.

Finds the name and the sentence of each event of this kind. Decides nothing; `control.events.event_buffer` calls it
for what compiled code has reported, `control.events.service_events` for the rest.
"""

from __future__ import annotations

from typing import Any

from clustersim.vocabulary import EventKind, instance_name
from clustersim.world.state.world import Names

PLACEMENT_FAILURE = "SERVICE_TASK_PLACEMENT_FAILURE"

_INSTANCE_WORDS = {
    EventKind.SPOT_NOTICE: (
        "SPOT_INTERRUPTION_WARNING",
        "has an EC2 Spot Instance interruption warning: it is reclaimed in two minutes",
    ),
    EventKind.AGENT_DISCONNECTED: (
        "AGENT_DISCONNECTED",
        "has a disconnected agent: no new tasks are placed",
    ),
    EventKind.AGENT_RECONNECTED: ("AGENT_CONNECTED", "has a connected agent again"),
}
_TASK_WORDS = {
    EventKind.FARGATE_SPOT_INTERRUPTION: ("SPOT_INTERRUPTION_WARNING", "Your Spot Task was interrupted"),
    EventKind.FARGATE_TASK_RETIREMENT: (
        "TASK_RETIREMENT",
        "ECS is performing maintenance on the underlying infrastructure hosting the task",
    ),
}


def about_instance(instance_id: int, words: str) -> str:
    """The sentence of something that happened to a container instance."""
    return f"(container-instance {instance_name(instance_id)}) {words}."


def about_task(service: str | None, task_id: int, words: str) -> str:
    """The sentence of something that happened to a task."""
    return f"{_of(service)}(task {task_id}) {words}."


def not_placed_for(service: str | None, reason: str) -> str:
    """The sentence of a task that found its place and then no network there."""
    return f"{_of(service)}was unable to place a task. Reason: {reason}."


def mishap_words(names: Names, row: Any) -> tuple[str, str]:
    """The name and the sentence of what befell a task or an instance in compiled code."""
    kind = EventKind(row["kind"])
    service = names.services[row["service"]] if row["service"] >= 0 else None
    if kind in _INSTANCE_WORDS:
        name, words = _INSTANCE_WORDS[kind]
        return name, about_instance(int(row["instance_id"]), words)
    if kind == EventKind.NO_ADDRESS:
        return PLACEMENT_FAILURE, not_placed_for(service, names.sentences[row["sentence"]])
    name, words = _TASK_WORDS[kind]
    return name, about_task(service, int(row["task_id"]), words)


def _of(service: str | None) -> str:
    return "" if service is None else f"(service {service}) "
