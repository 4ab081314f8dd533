"""Image pulls and IAM denials of a task set, written as rows for kernels.

A container whose image is listed gets a row of PULL, with the message that ECS gives for each way to fail.
Permissions are evaluated once here, for each place where tasks of a strategy item may run; kernels only look up the
result (`policy.tasks.startup_authorization`). `world.build.task_set_tables` calls `write_pulls` for a set and
`write_network_and_denials` for each of its strategy items.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.records import as_table, new_table
from clustersim.policy.images.pull_error_messages import PulledImage, PullFault, pull_error_message
from clustersim.policy.tasks.startup_authorization import RequiredAccess, first_denial
from clustersim.policy.tasks.subnet_addresses import addresses_of_task, task_address_error
from clustersim.scenario.images.image_references import ImageReference, canonical_reference, parse_reference
from clustersim.scenario.images.registries import DOCKER_HUB, ECR
from clustersim.scenario.sections.capacity import InstancePool
from clustersim.scenario.sections.images import UNLISTED
from clustersim.scenario.sections.scenario import Container, Registry, Scenario, TaskDefinition
from clustersim.vocabulary import NEVER
from clustersim.world.build.image_tables import BYTES_PER_GIB, allowed_subnets
from clustersim.world.state import image_dtypes
from clustersim.world.state.world import World

PLATFORMS = {"x86_64": "linux/amd64", "arm64": "linux/arm64/v8"}
_OF_LOGS = ("log group", "log stream")


def listed_containers(scenario: Scenario, definition: TaskDefinition) -> list[tuple[Container, int]]:
    """Return the containers whose images are listed, and the positions of these images."""
    images = [
        (container, scenario.images.find(canonical_reference(container.image or ""), definition.arch))
        for container in definition.containers
    ]
    return [(container, image) for container, image in images if image != UNLISTED]


def write_pulls(world: World, row: int, definition: TaskDefinition, of_service: bool) -> None:
    """Write the pulls of task set `row`; tasks of a service (`of_service`) may share one image version."""
    scenario, state = world.scenario, world.state
    containers = listed_containers(scenario, definition)
    s = state.sets.rows[row]
    s["ephemeral_bytes"] = definition.ephemeral_gib * BYTES_PER_GIB
    s["first_pull"], s["pulls"] = state.images.pulls.size, len(containers)
    if not containers:
        return
    rows = new_table(image_dtypes.PullRow, len(containers))
    denials = np.zeros((len(containers), state.images.agents.size), np.int64)
    for number, (container, image) in enumerate(containers):
        _fill_pull(world, rows[number], container, image)
        pulled = _pulled_image(world.scenario, definition, container, image)
        rows[number]["host_words"] = _append_sentences(world, pulled, fargate=False)
        rows[number]["fargate_words"] = _append_sentences(world, pulled, fargate=True)
        rows[number]["pins_version"] = of_service and container.version_consistency
        denials[number] = _pull_denials(world, definition, container)
    width = max(state.tasks.pulled_versions.shape[1], len(containers))
    versions = np.full((state.tasks.rows.size, width), NEVER, np.int64)
    versions[:, : state.tasks.pulled_versions.shape[1]] = state.tasks.pulled_versions
    images = state.images._replace(
        pulls=as_table(image_dtypes.PullRow, np.concatenate([state.images.pulls, rows])),
        pull_denials=np.concatenate([state.images.pull_denials, denials]),
    )
    world.state = state._replace(images=images, tasks=state.tasks._replace(pulled_versions=versions))


def _fill_pull(world: World, row: Any, container: Container, number: int) -> None:
    """Write what a container pulls."""
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
    row["waits_for_containers"] = bool(container.depends_on)
    row["credentials"] = container.credentials is not None


def _append_sentences(world: World, pulled: PulledImage, fargate: bool) -> int:
    """Append the message of each fault, in their order; return the number of the first."""
    sentences = world.names.sentences
    messages = ["", *(pull_error_message(fault, pulled, fargate) for fault in list(PullFault)[1:])]
    sentences.extend(messages)
    return len(sentences) - len(messages)


def _pulled_image(
    scenario: Scenario, definition: TaskDefinition, container: Container, number: int
) -> PulledImage:
    """Return the names that the message of a failed pull contains."""
    image = scenario.images.images[number]
    registry = scenario.registries[image.registry]
    name = parse_reference(container.image or "") or ImageReference("", str(container.image), "latest", "")
    host, repository = _registry_and_repository(scenario, definition, registry, name)
    return PulledImage(
        host=host,
        repository=repository,
        tag=name.digest or name.tag,
        platform=PLATFORMS[image.arch],
        docker_hub=registry.name == DOCKER_HUB,
        anonymous=container.credentials is None and registry.authentication != "always",
    )


def _registry_and_repository(
    scenario: Scenario, definition: TaskDefinition, registry: Registry, name: ImageReference
) -> tuple[str, str]:
    """Return the host and repository of an image in full."""
    if registry.name == DOCKER_HUB:
        official = "" if "/" in name.repository else "library/"
        return "registry-1.docker.io", f"{official}{name.repository}"
    if name.host:
        return name.host, name.repository
    if registry.name == ECR:
        return f"{definition.access.account}.dkr.ecr.{scenario.region}.amazonaws.com", name.repository
    return next(iter(registry.hosts), registry.name), name.repository


# --- permissions - -----------------------------------------------------------------------------------------------


def _pull_denials(world: World, definition: TaskDefinition, container: Container) -> list[int]:
    """Return, for each place, the message with which IAM denies the pull of a container's image."""
    return [
        _denial_sentence(world, definition, _needs_of_pull(definition, container, pool is None), pool, False)
        for pool in denial_places(world)
    ]


def _needs_of_pull(definition: TaskDefinition, container: Container, fargate: bool) -> list[RequiredAccess]:
    """Return the permissions for the pull of one image in ECR; Fargate gets the token before any pull."""
    name = parse_reference(container.image or "")
    if name is None:
        return []
    of_image = [
        need for need in definition.access.needs if need.kind == "image" and _is_about_image(need, name)
    ]
    tokens = [need for need in definition.access.needs if need.kind == "registry token" and not fargate]
    return [*tokens, *of_image] if of_image else []


def _is_about_image(need: RequiredAccess, name: ImageReference) -> bool:
    """Return whether a permission is about this image, whose host it may contain."""
    whole = need.subject if name.host else need.subject.partition("/")[2]
    return whole == name.canonical


def denial_places(world: World) -> list[InstancePool | None]:
    """Return the pool of each instance class, and None for Fargate, in the order of `State.images.agents`."""
    pools = world.scenario.pools
    pool_of_class: list[InstancePool | None] = (
        [pools[group] for group in world.state.capacity.classes["pool"]] if pools else []
    )
    return [*(pool_of_class or [None]), None]


def _denial_sentence(
    world: World,
    definition: TaskDefinition,
    needs: list[RequiredAccess],
    pool: InstancePool | None,
    logs: bool,
) -> int:
    """Return the number of the message for the first permission missing in a place; 0: none is missing."""
    if not needs:
        return 0
    roles, access = world.scenario.roles, definition.access
    execution = roles.role(access.execution_role)
    if logs and pool is not None and not pool.agent.logs_by_execution_role:
        execution = None
    instance = None if pool is None else roles.instance_role(pool.instance_role)
    denial = first_denial(needs, pool is None, execution, instance, access.account)
    return 0 if denial is None else world.names.sentence(denial.reason)


def write_network_and_denials(
    world: World, item_row: int, definition: TaskDefinition | None, fargate: bool, network: tuple[Any, ...]
) -> None:
    """Write the denials of a strategy item's tasks and the source of their addresses.

    `network` is the names of subnets and whether addresses are public.
    """
    state, scenario = world.state, world.scenario
    named, public = network
    state.sets.strategy_items[item_row]["addresses"] = (
        0 if definition is None else addresses_of_task(definition.network_mode)
    )
    state.placement.item_subnets[item_row] = allowed = allowed_subnets(scenario, named)
    for zone, name in enumerate(scenario.zones):
        usable = [s.name for s, use in zip(scenario.subnets, allowed, strict=True) if use and s.zone == name]
        subnet = usable[0] if usable else f"of {name}"
        state.sets.address_words[item_row, zone] = world.names.sentence(task_address_error(subnet, public))
    if definition is None or not definition.access.needs:
        return
    before = _needs_before(scenario, definition, fargate)
    after = [need for need in definition.access.needs if need.kind in _OF_LOGS]
    for place, pool in enumerate(denial_places(world)):
        if fargate != (pool is None):
            continue
        state.sets.denials[item_row, place, 0] = _denial_sentence(world, definition, before, pool, False)
        state.sets.denials[item_row, place, 1] = _denial_sentence(world, definition, after, pool, True)


def _needs_before(scenario: Scenario, definition: TaskDefinition, fargate: bool) -> list[RequiredAccess]:
    """Return the permissions needed before any pull: secrets, credentials, and those of images that are not listed."""
    own = [parse_reference(container.image or "") for container, _ in listed_containers(scenario, definition)]
    needed = []
    unlisted = False
    for need in definition.access.needs:
        if need.kind == "image" and any(name is not None and _is_about_image(need, name) for name in own):
            continue
        unlisted = unlisted or need.kind == "image"
        if need.kind not in _OF_LOGS and need.kind != "registry token":
            needed.append(need)
    if fargate or unlisted:
        needed += [need for need in definition.access.needs if need.kind == "registry token"]
    return needed


def needs_checks_at_start(world: World, row: int) -> bool:
    """Return whether the start of a set's tasks includes anything that may take time or be denied."""
    state = world.state
    s = state.sets.rows[row]
    items = slice(int(s["first_item"]), int(s["first_item"] + s["item_count"]))
    return bool(s["pulls"] > 0 or np.any(state.sets.denials[items] > 0))
