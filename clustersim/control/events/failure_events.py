"""Names and messages of events about failures of tasks and instances.

Decides nothing; `control.events.event_buffer` calls it for what compiled code has reported,
`control.events.service_events` for the rest.
"""

from __future__ import annotations

from typing import Any

from clustersim.vocabulary import INSTANCE_EVENT_TEXTS, TASK_EVENT_TEXTS, EventKind, instance_name
from clustersim.world.state.world import Names

PLACEMENT_FAILURE = "SERVICE_TASK_PLACEMENT_FAILURE"


def instance_message(instance_id: int, text: str) -> str:
    """Return the message of an event of a container instance."""
    return f"(container-instance {instance_name(instance_id)}) {text}."


def task_message(service: str | None, task_id: int, text: str) -> str:
    """Return the message of an event of a task."""
    return f"{_service_prefix(service)}(task {task_id}) {text}."


def network_failure_message(service: str | None, reason: str) -> str:
    """Return the message for a task that was placed but got no network there."""
    return f"{_service_prefix(service)}was unable to place a task. Reason: {reason}."


def failure_message(names: Names, row: Any) -> tuple[str, str]:
    """Return the name and the message of a failure that compiled code has reported."""
    kind = EventKind(row["kind"])
    service = names.services[row["service"]] if row["service"] >= 0 else None
    if kind in INSTANCE_EVENT_TEXTS:
        name, text = INSTANCE_EVENT_TEXTS[kind]
        return name, instance_message(int(row["instance_id"]), text)
    if kind == EventKind.NO_ADDRESS:
        return PLACEMENT_FAILURE, network_failure_message(service, names.sentences[row["sentence"]])
    name, text = TASK_EVENT_TEXTS[kind]
    return name, task_message(service, int(row["task_id"]), text)


def _service_prefix(service: str | None) -> str:
    return "" if service is None else f"(service {service}) "
