"""ECS on Fargate: no instances, each task in a slot of its own.

Decides how a task definition becomes one that Fargate takes (the smallest size that holds it, awsvpc, no host
ports), and what Fargate cannot run. Must not know prices nor other options. `options` calls it.
"""

from __future__ import annotations

from clustersim.scenario.catalog.fargate_sizes import nearest_size
from clustersim.scenario.resolve.context import FARGATE_PROVIDERS
from clustersim.scenario.sections.scenario import Container, TaskDefinition
from clustersim.scenario.variants.document_editor import Data, Entry, Rewriting, serve

ON_DEMAND, SPOT = FARGATE_PROVIDERS
MAX_TIMEOUT_S = 120  # API ContainerDefinition.startTimeout, .stopTimeout on Fargate
_LEFT_OUT = ("placementConstraints", "ipcMode", "proxyConfiguration")


def to_fargate(work: Rewriting, spot: bool) -> None:
    """Every service and entry of `runTasks` on Fargate; by Spot all of them on Fargate Spot."""
    entries = work.entries()
    for block, model in work.definitions(entries):
        _definition(work, block, model)
    for entry in entries:
        _entry(work, entry, spot)
    work.keep_capacity([])


def _entry(work: Rewriting, entry: Entry, spot: bool) -> None:
    if entry.is_daemon:
        work.reasons.append(
            f"{entry.name} is a daemon, one task on each container instance, and Fargate has none: make it a "
            "container of the tasks"
        )
        return
    if not entry.keys:
        work.reasons.append(
            f"{entry.name} has no task definition, and a task on Fargate needs one of Fargate's sizes"
        )
        return
    wanted = SPOT if spot else ON_DEMAND
    allowed = {SPOT} if spot else set(FARGATE_PROVIDERS)
    on_demand = entry.model.launch_type == "FARGATE" and not spot
    if on_demand or (entry.providers and set(entry.providers) <= allowed):
        entry.keep()
        work.say(f"{entry.name}: runs where it is written, {entry.written_where()}")
        return
    placed = [name for name in ("placementStrategy", "placementConstraints") if entry.block.get(name)]
    entry.move(wanted, placed=False)
    work.say(f"{entry.name}: on {wanted}" + (f", without {' and '.join(placed)}" if placed else ""))


def _definition(work: Rewriting, block: Data, model: TaskDefinition) -> None:
    """Makes a task definition one that Fargate takes, or says why it cannot be."""
    reasons = _obstacles(block, model)
    memory = model.task_memory_mib or sum(map(_hard_limit, model.containers))
    size = nearest_size(model.cpu, memory)
    if size is None:
        reasons.append(
            f"{model.cpu / 1024:g} vCPU with {memory / 1024:g} GiB is larger than any Fargate task"
        )
    if reasons or size is None:
        work.reasons.extend(f"{model.key}: {reason}" for reason in reasons)
        return
    if (model.cpu, memory, model.has_task_size) != (*size, True):
        cpu, mib = size
        work.say(f"{model.key}: {model.cpu} CPU units, {memory} MiB become {cpu}, {mib}")
    block["cpu"], block["memory"] = map(str, size)
    if model.network_mode != "awsvpc":
        block["networkMode"] = "awsvpc"
        work.say(f"{model.key}: network mode awsvpc in place of {model.network_mode}")
    if serve(block, "FARGATE"):
        work.say(f"{model.key}: made for Fargate too")
    for field in _LEFT_OUT:
        if block.pop(field, None):
            work.say(f"{model.key}: without {field}")
    for container in block["containerDefinitions"]:
        _container(work, container, model.key)


def _container(work: Rewriting, container: Data, key: str) -> None:
    """Ports and timeouts as Fargate has them."""
    for mapping in container.get("portMappings") or ():
        if mapping.pop("hostPort", None):
            work.say(f"{key}: host ports are the containers' own")
    if container.pop("links", None):
        work.say(f"{key}: without links; containers of a task reach each other by localhost")
    for field in ("startTimeout", "stopTimeout"):
        if container.get(field, 0) > MAX_TIMEOUT_S:
            container[field] = MAX_TIMEOUT_S
            work.say(f"{key}: {field} {MAX_TIMEOUT_S} s, the most on Fargate")


def _hard_limit(container: Container) -> int:
    """What a container may use: a Fargate task holds the hard limits, not the reservations."""
    return container.memory_mib or container.memory_reservation_mib or 0


def _obstacles(block: Data, model: TaskDefinition) -> list[str]:
    """What Fargate does not have (ECS Developer Guide: task definition differences for Fargate)."""
    found = []
    if model.gpus:
        found.append(
            f"{model.gpus} GPUs, and Fargate has none" if model.gpus > 1 else "a GPU, and Fargate has none"
        )
    if block.get("pidMode") == "host" or block.get("ipcMode") == "host":
        found.append("it shares processes or memory with its host")
    if any(container.get("privileged") for container in block["containerDefinitions"]):
        found.append("a privileged container")
    return found + [
        f"the volume {volume.get('name')} of its host"
        for volume in block.get("volumes") or ()
        if (volume.get("host") or {}).get("sourcePath") or volume.get("dockerVolumeConfiguration")
    ]
