"""Laws of pulls, rights, addresses and memory that the tables of any run must show.

Like `tests.swarm.checks`, which calls them: from the result files and the scenario alone. Each yields sentences about
what is wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from clustersim.policy.tasks.subnet_addresses import ENDLESS
from clustersim.scenario.images.image_references import in_full
from clustersim.scenario.sections.images import NOT_LISTED, Image
from clustersim.scenario.sections.scenario import TaskDefinition
from tests.harness import Block, Ran
from tests.swarm.service_checks import definition_of

GIB = 2**30


def image_laws(ran: Ran) -> Iterator[str]:
    """All of them."""
    for law in (_stamps, _failures, _warm_hosts, _cold_pulls, _limits, _addresses, _memory):
        for words in law(ran):
            yield f"{law.__name__.strip('_')}: {words}"


def images_of(ran: Ran, definition: TaskDefinition | None) -> list[Image]:
    """The listed images of a task definition's containers."""
    images = ran.scenario.images
    found = [
        images.find(in_full(container.image or ""), definition.arch)
        for container in (definition.containers if definition else ())
    ]
    return [images.images[position] for position in found if position != NOT_LISTED]


def certain(ran: Ran) -> bool:
    """Whether nothing about images, roles or addresses can keep a task from starting, or end it."""
    scenario = ran.scenario
    bounded = any(subnet.addresses < ENDLESS for subnet in scenario.subnets)
    return not (scenario.images.images or scenario.roles.listed or bounded)


def billed_from(ran: Ran, task: Block) -> int | None:
    """From when Fargate bills a task: the pull, without listed images the placement; None: it is not billed."""
    settled = task["healthy_at"] == task["created_at"] == -ran.scenario.warm_up_ms
    if settled or not images_of(ran, definition_of(ran, task)):
        return task["placed_at"]
    return task["pull_started_at"]


def _settled(ran: Ran, task: Block) -> bool:
    return ran.scenario.initial_state == "running" and task["created_at"] == -ran.scenario.warm_up_ms


def _stamps(ran: Ran) -> Iterator[str]:
    """A pull begins after the placement and ends before the start; on Fargate who has images has pulled."""
    for task in ran.tasks():
        who, begun, done = f"task {task['task_id']}", task["pull_started_at"], task["pull_stopped_at"]
        images = images_of(ran, definition_of(ran, task))
        if begun is not None and not images:
            yield f"{who} pulled and has no listed image"
        if done is not None and begun is None:
            yield f"{who} ended a pull that never began"
        if begun is not None and task["started_at"] is not None and done is None:
            yield f"{who} started before its pull was over"
        fargate = task["launch_type"] == "FARGATE" and task["started_at"] is not None
        if fargate and images and begun is None and not _settled(ran, task):
            yield f"{who} started on Fargate without a pull"


def _failures(ran: Ran) -> Iterator[str]:
    """What cannot be pulled, is denied or has no address never ran, and says of what it speaks."""
    for task in ran.tasks():
        reason = task["stopped_reason"] or ""
        kinds = ("CannotPull", "ResourceInitializationError", "Unexpected EC2 error", "Fetching secret")
        if not reason.startswith(
            (*kinds, "ContainerRuntimeTimeoutError", "CannotStartContainerError: Error")
        ):
            continue
        who = f"task {task['task_id']}"
        if task["started_at"] is not None or task["stop_code"] != "TaskFailedToStart":
            yield f"{who} started, and stopped as {reason}"
        if (task["placed_at"] is None) != reason.startswith("Unexpected EC2 error"):
            yield f"{who} stopped as {reason}, placed at {task['placed_at']}"
        if "not found" in reason:
            images = images_of(ran, definition_of(ran, task))
            named = [image for image in images if image.reference in reason]
            if not any(version.missing for image in named for version in image.versions):
                yield f"{who} could not pull what is there: {reason}"


def _warm_hosts(ran: Ran) -> Iterator[str]:
    """On a host where a task has pulled the same images, a later pull lasts as long as its registries answer: nothing
    is moved twice while nobody cleans up, nothing has moved and no other pull is under way."""
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


def _cold_pulls(ran: Ran) -> Iterator[str]:
    """A Fargate pull takes at least the unpacking of what it moves, and fits onto the task's disk."""
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


def _limits(ran: Ran) -> Iterator[str]:
    """Fargate asks a registry for every pull, so no more than twice the limit come through in any window's length."""
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
        # Who asked within one window has ended within it and the longest pull; that is enough to see a limit ignored.
        slack = 600_000 + limit.per_ms
        for first, end in enumerate(passed):
            allowed = limit.limit * (2 + slack // limit.per_ms)
            if first + allowed < len(passed) and passed[first + allowed] - end < limit.per_ms:
                yield f"{registry.name} let more than {allowed} pulls through from {end} ms on"
                break


def _addresses(ran: Ran) -> Iterator[str]:
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


def _memory(ran: Ran) -> Iterator[str]:
    """Who is killed for memory is killed with 137, after it ran, in a service that is called."""
    loaded = {service.name for service in ran.scenario.services if service.load is not None}
    for task in ran.tasks():
        if not (task["stopped_reason"] or "").startswith("OutOfMemoryError"):
            continue
        if task["exit_code"] != 137 or task["started_at"] is None:
            yield f"task {task['task_id']} ran out of memory with exit code {task['exit_code']}"
        if task["service"] not in loaded:
            yield f"task {task['task_id']} ran out of memory without load"
