"""ECS on Fargate: converts task definitions and moves all entries to Fargate.

Decides the Fargate form of a task definition (the smallest size that holds it, awsvpc, no host ports), and what
Fargate cannot run. It must not know prices or other options. `launch_options` calls it.
"""

from __future__ import annotations

from clustersim.scenario.catalog.fargate_sizes import nearest_size
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS
from clustersim.scenario.sections.scenario import Container, TaskDefinition
from clustersim.scenario.variants.document_editor import (
    Data,
    DocumentEditor,
    WorkloadEntry,
    add_compatibility,
)

ON_DEMAND, SPOT = FARGATE_PROVIDERS
MAX_TIMEOUT_S = 120  # API ContainerDefinition.startTimeout, .stopTimeout on Fargate
_UNSUPPORTED_FIELDS = ("placementConstraints", "ipcMode", "proxyConfiguration")


def to_fargate(editor: DocumentEditor, spot: bool) -> None:
    """Move every service and entry of `runTasks` to Fargate; with `spot` all of them to Fargate Spot."""
    entries = editor.list_entries()
    for block, model in editor.iter_task_definitions(entries):
        _convert_task_definition(editor, block, model)
    for entry in entries:
        _move_entry(editor, entry, spot)
    editor.drop_unused_capacity([])


def _move_entry(editor: DocumentEditor, entry: WorkloadEntry, spot: bool) -> None:
    if entry.is_daemon:
        editor.obstacles.append(
            f"{entry.name} is a daemon, one task on each container instance, and Fargate has none: make it a "
            "sidecar container of the tasks"
        )
        return
    if not entry.task_definition_keys:
        editor.obstacles.append(
            f"{entry.name} has no task definition, and a task on Fargate needs one of Fargate's sizes"
        )
        return
    provider = SPOT if spot else ON_DEMAND
    allowed = {SPOT} if spot else set(FARGATE_PROVIDERS)
    on_demand = entry.model.launch_type == "FARGATE" and not spot
    if on_demand or (entry.providers and set(entry.providers) <= allowed):
        entry.pin_capacity()
        editor.record_changes(f"{entry.name}: runs where it is written, {entry.describe_capacity()}")
        return
    placement_keys = [name for name in ("placementStrategy", "placementConstraints") if entry.block.get(name)]
    entry.move_to(provider, keep_placement=False)
    editor.record_changes(
        f"{entry.name}: on {provider}"
        + (f", without {' and '.join(placement_keys)}" if placement_keys else "")
    )


def _convert_task_definition(editor: DocumentEditor, block: Data, model: TaskDefinition) -> None:
    """Convert a task definition to one that Fargate accepts, or report why that is impossible."""
    obstacles = _find_obstacles(block, model)
    memory = model.task_memory_mib or sum(map(_hard_limit, model.containers))
    size = nearest_size(model.cpu, memory)
    if size is None:
        obstacles.append(
            f"{model.cpu / 1024:g} vCPU with {memory / 1024:g} GiB is larger than any Fargate task"
        )
    if obstacles or size is None:
        editor.obstacles.extend(f"{model.key}: {obstacle}" for obstacle in obstacles)
        return
    if (model.cpu, memory, model.has_task_size) != (*size, True):
        cpu, mib = size
        editor.record_changes(f"{model.key}: {model.cpu} CPU units, {memory} MiB become {cpu}, {mib}")
    block["cpu"], block["memory"] = map(str, size)
    if model.network_mode != "awsvpc":
        block["networkMode"] = "awsvpc"
        editor.record_changes(f"{model.key}: network mode awsvpc in place of {model.network_mode}")
    if add_compatibility(block, "FARGATE"):
        editor.record_changes(f"{model.key}: made for Fargate too")
    for field in _UNSUPPORTED_FIELDS:
        if block.pop(field, None):
            editor.record_changes(f"{model.key}: without {field}")
    for container in block["containerDefinitions"]:
        _convert_container(editor, container, model.key)


def _convert_container(editor: DocumentEditor, container: Data, key: str) -> None:
    """Adapt the ports, links and timeouts of a container to Fargate."""
    for mapping in container.get("portMappings") or ():
        if mapping.pop("hostPort", None):
            editor.record_changes(f"{key}: host ports equal the container ports")
    if container.pop("links", None):
        editor.record_changes(f"{key}: without links; containers of a task reach each other by localhost")
    for field in ("startTimeout", "stopTimeout"):
        if container.get(field, 0) > MAX_TIMEOUT_S:
            container[field] = MAX_TIMEOUT_S
            editor.record_changes(f"{key}: {field} {MAX_TIMEOUT_S} s, the most on Fargate")


def _hard_limit(container: Container) -> int:
    """Return the MiB that a container may use: a Fargate task must hold the hard limits, not the reservations."""
    return container.memory_mib or container.memory_reservation_mib or 0


def _find_obstacles(block: Data, model: TaskDefinition) -> list[str]:
    """Return the features that Fargate lacks (ECS Developer Guide: task definition differences for Fargate)."""
    obstacles = []
    if model.gpus:
        obstacles.append(
            f"{model.gpus} GPUs, and Fargate has none" if model.gpus > 1 else "a GPU, and Fargate has none"
        )
    if block.get("pidMode") == "host" or block.get("ipcMode") == "host":
        obstacles.append("it shares processes or memory with its host")
    if any(container.get("privileged") for container in block["containerDefinitions"]):
        obstacles.append("a privileged container")
    return obstacles + [
        f"the volume {volume.get('name')} of its host"
        for volume in block.get("volumes") or ()
        if (volume.get("host") or {}).get("sourcePath") or volume.get("dockerVolumeConfiguration")
    ]
