"""Laws of pulls, permissions, addresses and memory for the tables of any run.

Like `tests.swarm.checks`, which calls them, they use only the result files and the scenario. Each yields its violations
as sentences.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from clustersim.policy.tasks.subnet_addresses import UNLIMITED
from clustersim.scenario.images.image_references import canonical_reference
from clustersim.scenario.sections.images import UNLISTED, Image
from clustersim.scenario.sections.scenario import TaskDefinition
from tests.harness import Block, FinishedRun
from tests.swarm.service_checks import definition_of

GIB = 2**30


def image_laws(ran: FinishedRun) -> Iterator[str]:
    """Yield the violations of all laws of images."""
    for law in (_stamps, _failures, _warm_hosts, _cold_pulls, _limits, _addresses, _memory):
        for message in law(ran):
            yield f"{law.__name__.strip('_')}: {message}"


def images_of(ran: FinishedRun, definition: TaskDefinition | None) -> list[Image]:
    """The listed images of a task definition's containers."""
    images = ran.scenario.images
    positions = [
        images.find(canonical_reference(container.image or ""), definition.arch)
        for container in (definition.containers if definition else ())
    ]
    return [images.images[position] for position in positions if position != UNLISTED]


def certain(ran: FinishedRun) -> bool:
    """Return whether images, roles and addresses can neither prevent the start of a task nor end it."""
    scenario = ran.scenario
    bounded = any(subnet.addresses < UNLIMITED for subnet in scenario.subnets)
    return not (scenario.images.images or scenario.roles.listed or bounded)


def billed_from(ran: FinishedRun, task: Block) -> int | None:
    """Return the beginning of Fargate's bill of a task: its pull or, without listed images, its placement."""
    settled = task["healthy_at"] == task["created_at"] == -ran.scenario.warm_up_ms
    if settled or not images_of(ran, definition_of(ran, task)):
        return task["placed_at"]
    return task["pull_started_at"]


def _settled(ran: FinishedRun, task: Block) -> bool:
    return ran.scenario.initial_state == "running" and task["created_at"] == -ran.scenario.warm_up_ms


def _stamps(ran: FinishedRun) -> Iterator[str]:
    """A pull begins after the placement and ends before the start; a Fargate task with images has pulled them."""
    for task in ran.tasks():
        label, begun, done = f"task {task['task_id']}", task["pull_started_at"], task["pull_stopped_at"]
        images = images_of(ran, definition_of(ran, task))
        if begun is not None and not images:
            yield f"{label} pulled and has no listed image"
        if done is not None and begun is None:
            yield f"{label} ended a pull that never began"
        if begun is not None and task["started_at"] is not None and done is None:
            yield f"{label} started before its pull was over"
        fargate = task["launch_type"] == "FARGATE" and task["started_at"] is not None
        if fargate and images and begun is None and not _settled(ran, task):
            yield f"{label} started on Fargate without a pull"


def _failures(ran: FinishedRun) -> Iterator[str]:
    """A task with a failed pull, a denied call or no address never ran, and its reason names the cause."""
    for task in ran.tasks():
        reason = task["stopped_reason"] or ""
        kinds = ("CannotPull", "ResourceInitializationError", "Unexpected EC2 error", "Fetching secret")
        if not reason.startswith(
            (*kinds, "ContainerRuntimeTimeoutError", "CannotStartContainerError: Error")
        ):
            continue
        label = f"task {task['task_id']}"
        if task["started_at"] is not None or task["stop_code"] != "TaskFailedToStart":
            yield f"{label} started, and stopped as {reason}"
        if (task["placed_at"] is None) != reason.startswith("Unexpected EC2 error"):
            yield f"{label} stopped as {reason}, placed at {task['placed_at']}"
        if "not found" in reason:
            images = images_of(ran, definition_of(ran, task))
            named = [image for image in images if image.reference in reason]
            if not any(version.missing for image in named for version in image.versions):
                yield f"{label} could not pull an existing image: {reason}"


def _warm_hosts(ran: FinishedRun) -> Iterator[str]:
    """On a host that has pulled the same images a later pull takes only the latency of its registries: nothing is
    downloaded twice without a clean-up, a moved tag or another pull at the same time."""
    scenario = ran.scenario
    if any(registry.outages or registry.anonymous_pulls for registry in scenario.registries[3:]):
        return
    groups = {group.name: group for group in scenario.groups}
    hosts = {row["container_instance_id"]: groups.get(row["auto_scaling_group"]) for row in ran.instances()}
    pulls: dict[int, list[Block]] = defaultdict(list)
    for task in ran.tasks(launch_type="EC2"):
        if task["pull_started_at"] is not None:
            pulls[task["container_instance_id"]].append(task)
    for host, tasks in pulls.items():
        group = hosts[host]
        if group is None or group.agent.cleanup_interval_ms < 1_800_000:
            continue
        done: set[str] = set()
        for task in sorted(tasks, key=lambda task: task["pull_started_at"]):
            definition = definition_of(ran, task)
            images = images_of(ran, definition)
            over = [t["pull_stopped_at"] for t in tasks if t["pull_started_at"] < task["pull_started_at"]]
            alone = all(end is not None and end <= task["pull_started_at"] for end in over)
            together = sum(t["pull_started_at"] == task["pull_started_at"] for t in tasks)
            plain = definition is not None and not any(c.depends_on for c in definition.containers)
            moved = any(len(image.versions) > 1 for image in images)
            plain = plain and not moved and alone and together == 1 and task["pull_stopped_at"] is not None
            if plain and all(image.reference in done for image in images):
                latest = max(scenario.registries[image.registry].latency_ms for image in images)
                took = task["pull_stopped_at"] - task["pull_started_at"]
                if took > latest + 2 * 1_000 * len(images):
                    yield f"task {task['task_id']} pulled for {took} ms what instance {host} has"
            if task["pull_stopped_at"] is not None and task["pull_started_at"] < 1_800_000:
                done |= {image.reference for image in images}


def _cold_pulls(ran: FinishedRun) -> Iterator[str]:
    """A Fargate pull takes at least the time of unpacking its layers, which fit onto the disk of the task."""
    pulls = ran.scenario.cluster.image_pulls
    layers = ran.scenario.images.layers
    for task in ran.tasks(launch_type="FARGATE"):
        definition = definition_of(ran, task)
        images = images_of(ran, definition)
        if task["pull_stopped_at"] is None or definition is None:
            continue
        least = {
            image.reference: min(
                sum(layers[number].unpacked_bytes for number in version.layers)
                for version in image.versions
                if not version.missing
            )
            * (pulls.lazy_share if image.soci else 1.0)
            for image in images
        }
        took = task["pull_stopped_at"] - task["pull_started_at"]
        if max(least.values()) / pulls.fargate_unpack_speed > took + 1:
            yield f"task {task['task_id']} pulled {max(least.values())} bytes in {took} ms"
        if max(least.values()) > definition.ephemeral_gib * GIB:
            yield f"task {task['task_id']} holds more than its disk"


def _limits(ran: FinishedRun) -> Iterator[str]:
    """Every Fargate pull asks the registry, so no more than twice the limit pass within the length of a window."""
    for registry in ran.scenario.registries:
        limit = registry.anonymous_pulls
        if limit is None or limit.by != "account" or registry.authentication == "always":
            continue
        passed = sorted(
            task["pull_stopped_at"]
            for task in ran.tasks(launch_type="FARGATE")
            if task["pull_stopped_at"] is not None
            and any(
                ran.scenario.registries[image.registry].name == registry.name
                for image in images_of(ran, definition_of(ran, task))
            )
        )
        # A pull requested in a window ends within the window and the longest pull, which shows an ignored limit.
        slack = 600_000 + limit.per_ms
        for first, end in enumerate(passed):
            allowed = limit.limit * (2 + slack // limit.per_ms)
            if first + allowed < len(passed) and passed[first + allowed] - end < limit.per_ms:
                yield f"{registry.name} let more than {allowed} pulls through from {end} ms on"
                break


def _addresses(ran: FinishedRun) -> Iterator[str]:
    """In no zone do awsvpc tasks and instances hold more addresses than its subnets have."""
    scenario = ran.scenario
    capacity: dict[str, int] = defaultdict(int)
    for subnet in scenario.subnets:
        capacity[subnet.zone] += subnet.addresses
    kinds = {kind.name: kind for kind in scenario.instance_types}
    changes: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for task in ran.tasks():
        definition = definition_of(ran, task)
        takes = definition is not None and definition.network_mode == "awsvpc"
        if takes and task["placed_at"] is not None:
            _span(changes[task["availability_zone"]], task["placed_at"], task["stopped_at"], 1)
    for host in ran.instances():
        trunked = scenario.cluster.awsvpc_trunking and kinds[host["instance_type"]].eni_trunk_limit > 0
        zone = changes[host["availability_zone"]]
        _span(zone, host["launched_at"], host["terminated_at"], 2 if trunked else 1)
    for zone, of in changes.items():
        held = most = 0
        for _, change in sorted(of):
            held += change
            most = max(most, held)
        if most > capacity[zone]:
            yield f"{zone} gave {most} addresses and has {capacity[zone]}"


def _span(changes: list[tuple[int, int]], first: int, last: int | None, amount: int) -> None:
    if last is None:
        changes.append((first, amount))
    elif last > first:
        changes += [(first, amount), (last, -amount)]


def _memory(ran: FinishedRun) -> Iterator[str]:
    """A task that is killed for its memory exits with 137, has run, and belongs to a service with load."""
    loaded = {service.name for service in ran.scenario.services if service.load is not None}
    for task in ran.tasks():
        if not (task["stopped_reason"] or "").startswith("OutOfMemoryError"):
            continue
        if task["exit_code"] != 137 or task["started_at"] is None:
            yield f"task {task['task_id']} ran out of memory with exit code {task['exit_code']}"
        if task["service"] not in loaded:
            yield f"task {task['task_id']} ran out of memory without load"
