"""What a task set pulls, and what IAM refuses it, written as rows for kernels.

A container whose image is listed gets a row of PULL, with the sentences that ECS would say of each way to fail.
Rights are asked for once here, for each place where tasks of a lane may run; kernels only look the answer up
(`policy.tasks.startup_authorization`). `world.build.task_set_tables` calls `write_pulls` for a set and `write_lane`
for each of its lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.policy.images.pull_error_messages import Pulled, PullFault, pull_words
from clustersim.policy.tasks.startup_authorization import Need, first_refusal
from clustersim.policy.tasks.subnet_addresses import addresses_of_task, task_words
from clustersim.scenario.images.image_references import ImageName, in_full, parse
from clustersim.scenario.images.registries import DOCKER_HUB, ECR
from clustersim.scenario.sections.capacity import InstancePool
from clustersim.scenario.sections.images import NOT_LISTED
from clustersim.scenario.sections.scenario import Container, Registry, Scenario, TaskDefinition
from clustersim.vocabulary import NEVER
from clustersim.world.build.image_tables import BYTES_PER_GIB, allowed_subnets
from clustersim.world.state import image_dtypes as image_records
from clustersim.world.state.world import World

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64/v8"}
_OF_LOGS = ("log group", "log stream")


def listed(scenario: Scenario, definition: TaskDefinition) -> list[tuple[Container, int]]:
    """The containers whose images are listed, with the positions of these."""
    found = [
        (container, scenario.images.find(in_full(container.image or ""), definition.arch))
        for container in definition.containers
    ]
    return [(container, image) for container, image in found if image != NOT_LISTED]


def write_pulls(world: World, row: int, definition: TaskDefinition, of_service: bool) -> None:
    """Write the pulls of task set `row`; `of_service` tasks get one version all, those of RunTask what there is."""
    scenario, state = world.scenario, world.state
    containers = listed(scenario, definition)
    s = state.sets[row]
    s["ephemeral"] = definition.ephemeral_gib * BYTES_PER_GIB
    s["first_pull"], s["pulls"] = state.pulls.size, len(containers)
    if not containers:
        return
    rows = np.zeros(len(containers), image_records.PULL)
    denials = np.zeros((len(containers), state.agents.size), np.int64)
    for number, (container, image) in enumerate(containers):
        _fill(world, rows[number], container, image)
        pulled = _pulled(world.scenario, definition, container, image)
        rows[number]["host_words"] = _sentences(world, pulled, fargate=False)
        rows[number]["fargate_words"] = _sentences(world, pulled, fargate=True)
        rows[number]["pins"] = of_service and container.version_consistency
        denials[number] = _pull_denials(world, definition, container)
    width = max(state.holds.shape[1], len(containers))
    holds = np.full((state.tasks.size, width), NEVER, np.int64)
    holds[:, : state.holds.shape[1]] = state.holds
    world.state = state._replace(
        pulls=np.concatenate([state.pulls, rows]),
        pull_denials=np.concatenate([state.pull_denials, denials]),
        holds=holds,
    )


def _fill(world: World, row: Any, container: Container, number: int) -> None:
    """What a container pulls."""
    images = world.scenario.images
    image = images.images[number]
    registry = world.scenario.registries[image.registry]
    row["image"], row["registry"] = number, image.registry
    row["first_version"] = images.first_version(number)
    row["last_version"] = row["first_version"] + len(image.versions) - 1
    row["version"] = NEVER
    row["read_write"] = image.read_write_bytes
    lazy = image.soci and registry.needs_iam  # AWS: SOCI indexes of images in ECR
    row["lazy_share"] = world.scenario.cluster.image_pulls.lazy_share if lazy else 1.0
    row["waits"] = bool(container.depends_on)
    row["credentials"] = container.credentials is not None


def _sentences(world: World, pulled: Pulled, fargate: bool) -> int:
    """Append what is said of each fault, in their order; the number of the first."""
    sentences = world.names.sentences
    words = ["", *(pull_words(fault, pulled, fargate) for fault in list(PullFault)[1:])]
    sentences.extend(words)
    return len(sentences) - len(words)


def _pulled(scenario: Scenario, definition: TaskDefinition, container: Container, number: int) -> Pulled:
    """What the words of a failed pull name."""
    image = scenario.images.images[number]
    registry = scenario.registries[image.registry]
    name = parse(container.image or "") or ImageName("", str(container.image), "latest", "")
    host, repository = _where(scenario, definition, registry, name)
    return Pulled(
        host=host,
        repository=repository,
        tag=name.digest or name.tag,
        platform=PLATFORMS[image.arch],
        docker_hub=registry.name == DOCKER_HUB,
        anonymous=container.credentials is None and registry.authentication != "always",
    )


def _where(
    scenario: Scenario, definition: TaskDefinition, registry: Registry, name: ImageName
) -> tuple[str, str]:
    """The host and repository of an image in full."""
    if registry.name == DOCKER_HUB:
        official = "" if "/" in name.repository else "library/"
        return "registry-1.docker.io", f"{official}{name.repository}"
    if name.host:
        return name.host, name.repository
    if registry.name == ECR:
        return f"{definition.access.account}.dkr.ecr.{scenario.region}.amazonaws.com", name.repository
    return next(iter(registry.hosts), registry.name), name.repository


# --- rights ------------------------------------------------------------------------------------------------


def _pull_denials(world: World, definition: TaskDefinition, container: Container) -> list[int]:
    """For each place, the sentence with which IAM refuses the pull of a container's image."""
    return [
        _refusal(world, definition, _needs_of_pull(definition, container, pool is None), pool, False)
        for pool in places(world)
    ]


def _needs_of_pull(definition: TaskDefinition, container: Container, fargate: bool) -> list[Need]:
    """What the pull of one image in ECR asks for; Fargate gets the token before any pull."""
    name = parse(container.image or "")
    if name is None:
        return []
    mine = [need for need in definition.access.needs if need.kind == "image" and _names(need, name)]
    tokens = [need for need in definition.access.needs if need.kind == "registry token" and not fargate]
    return [*tokens, *mine] if mine else []


def _names(need: Need, name: ImageName) -> bool:
    """Whether a need is that of this image, whose host it may have in full."""
    whole = need.subject if name.host else need.subject.partition("/")[2]
    return whole == name.in_full


def places(world: World) -> list[InstancePool | None]:
    """The pool of each class of instances, and None for Fargate, in the order of `State.agents`."""
    pools = world.scenario.pools
    found: list[InstancePool | None] = (
        [pools[group] for group in world.state.classes["group"]] if pools else []
    )
    return [*(found or [None]), None]


def _refusal(
    world: World, definition: TaskDefinition, needs: list[Need], pool: InstancePool | None, logs: bool
) -> int:
    """The sentence of the first right that is missing in a place; 0: none is."""
    if not needs:
        return 0
    roles, access = world.scenario.roles, definition.access
    execution = roles.role(access.execution_role)
    if logs and pool is not None and not pool.agent.logs_by_execution_role:
        execution = None
    instance = None if pool is None else roles.instance_role(pool.instance_role)
    refusal = first_refusal(needs, pool is None, execution, instance, access.account)
    return 0 if refusal is None else world.names.sentence(refusal.reason)


def write_lane(
    world: World, lane: int, definition: TaskDefinition | None, fargate: bool, network: tuple[Any, ...]
) -> None:
    """Write what a lane's tasks are refused, and whence they take addresses: `network` is the names of subnets and
    whether addresses are public."""
    state, scenario = world.state, world.scenario
    named, public = network
    state.lanes[lane]["addresses"] = 0 if definition is None else addresses_of_task(definition.network_mode)
    state.lane_subnets[lane] = allowed = allowed_subnets(scenario, named)
    for zone, name in enumerate(scenario.zones):
        there = [s.name for s, use in zip(scenario.subnets, allowed, strict=True) if use and s.zone == name]
        subnet = there[0] if there else f"of {name}"
        state.address_words[lane, zone] = world.names.sentence(task_words(subnet, public))
    if definition is None or not definition.access.needs:
        return
    before = _needs_before(scenario, definition, fargate)
    after = [need for need in definition.access.needs if need.kind in _OF_LOGS]
    for place, pool in enumerate(places(world)):
        if fargate != (pool is None):
            continue
        state.denials[lane, place, 0] = _refusal(world, definition, before, pool, False)
        state.denials[lane, place, 1] = _refusal(world, definition, after, pool, True)


def _needs_before(scenario: Scenario, definition: TaskDefinition, fargate: bool) -> list[Need]:
    """What is asked for before any pull: secrets, credentials, and what images that are not listed would need."""
    own = [parse(container.image or "") for container, _ in listed(scenario, definition)]
    found = []
    unlisted = False
    for need in definition.access.needs:
        if need.kind == "image" and any(name is not None and _names(need, name) for name in own):
            continue
        unlisted = unlisted or need.kind == "image"
        if need.kind not in _OF_LOGS and need.kind != "registry token":
            found.append(need)
    if fargate or unlisted:
        found += [need for need in definition.access.needs if need.kind == "registry token"]
    return found


def asks(world: World, row: int) -> bool:
    """Whether the start of a set's tasks asks for anything that may take time or be refused."""
    state = world.state
    s = state.sets[row]
    lanes = slice(int(s["first_lane"]), int(s["first_lane"] + s["lanes"]))
    return bool(s["pulls"] > 0 or np.any(state.denials[lanes] > 0))
