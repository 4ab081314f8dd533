"""Images, registries, agents and subnets of a scenario, as tables for kernels.

Numbers replace names here. `pull_tables` writes the pulls and IAM denials of a task set later, as task sets come with
deployments. Called by `build_world`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.records import Table, as_table, new_table
from clustersim.policy.images.image_cache import new_image_cache
from clustersim.policy.images.image_pulls import ALWAYS, network_bytes_per_ms
from clustersim.policy.images.pull_error_messages import PulledImage, PullFault, pull_error_message
from clustersim.policy.images.registry_rate_limits import SOURCES, new_windows
from clustersim.scenario.sections.capacity import InstancePool, InstanceType
from clustersim.scenario.sections.ecs_agent import AgentSettings
from clustersim.scenario.sections.images import UNLISTED, PullLimit
from clustersim.scenario.sections.resolved_section import Architecture
from clustersim.scenario.sections.scenario import Registry, Scenario
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND, NEVER
from clustersim.world.state import image_dtypes
from clustersim.world.state.tables import ImageTables
from clustersim.world.state.world import Names

BYTES_PER_GIB = 2**30
FARGATE_STOP_TIMEOUT_MS = 30 * MS_PER_SECOND  # botocore: ContainerDefinition.stopTimeout
FARGATE_START_TIMEOUT_MS = 3 * MS_PER_MINUTE
_FAULTS = {"": PullFault.NONE, "manifest": PullFault.NO_IMAGE, "platform": PullFault.NO_PLATFORM}

Kinds = list[tuple[InstancePool, InstanceType]]
"""The pool and type of each instance class."""


def image_tables(scenario: Scenario, names: Names, kinds: Kinds, slots: int) -> ImageTables:
    """Return the part of `State` about images, for `slots` instances of these classes."""
    layers = scenario.images.image_layers()
    limits: list[PullLimit] = []
    registries, begins, ends = _registries(scenario, limits)
    agents, baked = _agents(scenario, names, kinds)
    table = new_table(image_dtypes.PullLimitRow, len(limits))
    for row, limit in zip(table, limits, strict=True):
        row["limit"], row["per_ms"], row["counted_by"] = limit.limit, limit.per_ms, SOURCES.index(limit.by)
    return ImageTables(
        layers=layers,
        cache=new_image_cache(slots, len(scenario.images.images), layers),
        versions=_versions(scenario),
        registries=registries,
        limits=table,
        windows=windows_for(len(limits), max(len(scenario.zones), slots)),
        outage_begins=begins,
        outage_ends=ends,
        registry_busy_until=np.zeros(registries.size),
        agents=agents,
        preloaded=np.array(baked, np.int64),
        pulls=new_table(image_dtypes.PullRow, 0),
        pull_denials=np.zeros((0, agents.size), np.int64),
        layer_scratch=np.full(layers.compressed.size, NEVER, np.int64),
    )


def windows_for(limits: int, sources: int) -> Array:
    """Return a window of each limit for each source that it may count."""
    return np.stack([new_windows(sources)] * limits) if limits else np.zeros((0, sources, 2), np.int64)


def _versions(scenario: Scenario) -> Table[image_dtypes.ImageVersionRow]:
    """Return the versions of all images; the first of a tag is valid from the first instant on."""
    rows = [
        (0 if number == 0 else version.from_ms + scenario.warm_up_ms, int(_FAULTS[version.missing]))
        for image in scenario.images.images
        for number, version in enumerate(image.versions)
    ]
    return as_table(image_dtypes.ImageVersionRow, rows)


def _registries(
    scenario: Scenario, limits: list[PullLimit]
) -> tuple[Table[image_dtypes.RegistryRow], Array, Array]:
    """Return the registries and the begins and ends of their outages; `limits` collects their limits."""
    table = new_table(image_dtypes.RegistryRow, len(scenario.registries))
    outages: list[tuple[int, int]] = []
    origin = scenario.warm_up_ms
    for row, registry in zip(table, scenario.registries, strict=True):
        row["latency_ms"], row["timeout_ms"] = registry.latency_ms, registry.timeout_ms
        row["patience_ms"] = scenario.cluster.image_pulls.retry_for_ms
        row["bytes_per_ms"], row["total_bytes_per_ms"] = registry.bandwidth, registry.total_bandwidth
        row["private"] = registry.private
        row["outage_from"] = len(outages)
        outages += [(origin + begin, origin + end) for begin, end in registry.outages]
        row["outage_to"] = len(outages)
        _write_limits(row, registry, limits)
    times = np.array(outages, np.int64).reshape(-1, 2)
    return table, np.ascontiguousarray(times[:, 0]), np.ascontiguousarray(times[:, 1])


def _write_limits(row: Any, registry: Registry, limits: list[PullLimit]) -> None:
    """Write the limits for pulls with credentials, other pulls, and layers; equal limits of one kind are one."""
    of_pulls = {
        id(each): each for each in (registry.pull_limit(True), registry.pull_limit(False)) if each is not None
    }
    numbers = {}
    for key, limit in of_pulls.items():
        numbers[key] = len(limits)
        limits.append(limit)
    row["limit_with_credentials"] = numbers.get(id(registry.pull_limit(True)), NEVER)
    row["limit_without_credentials"] = numbers.get(id(registry.pull_limit(False)), NEVER)
    row["layer_limit"] = NEVER
    if registry.layer_requests is not None:
        row["layer_limit"] = len(limits)
        limits.append(registry.layer_requests)


# --- agents ------------------------------------------------------------------------------------------------


def _agents(scenario: Scenario, names: Names, kinds: Kinds) -> tuple[Table[image_dtypes.AgentRow], list[int]]:
    """Return the agent of each class, Fargate's last, and the image versions that machine images contain."""
    table = new_table(image_dtypes.AgentRow, max(1, len(kinds)) + 1)
    table["cleanup_ms"] = NEVER
    baked: list[int] = []
    for row, (pool, kind) in zip(table, kinds, strict=False):
        agent = pool.agent
        _write_agent(row, agent, names)
        row["disk"] = (pool.root_volume_gib - agent.system_disk_gib) * BYTES_PER_GIB
        row["network"] = network_bytes_per_ms(kind.network_gbps)
        row["unpack"] = scenario.cluster.image_pulls.unpack_speed
        row["preloaded_from"] = len(baked)
        baked += _preloaded(scenario, agent, kind.arch)
        row["preloaded_to"] = len(baked)
    fargate, pulls = table[-1], scenario.cluster.image_pulls
    fargate["behavior"] = ALWAYS
    fargate["network"], fargate["unpack"] = pulls.fargate_bandwidth, pulls.fargate_unpack_speed
    fargate["upfront"] = 1
    fargate["stop_timeout_ms"] = FARGATE_STOP_TIMEOUT_MS
    fargate["start_timeout_ms"] = FARGATE_START_TIMEOUT_MS
    return table, baked


def _write_agent(row: Any, agent: AgentSettings, names: Names) -> None:
    """Write the settings of an agent."""
    row["behavior"] = agent.pull_behavior
    row["cleanup_ms"] = agent.cleanup_interval_ms if agent.cleanup else NEVER
    row["minimum_age_ms"] = agent.minimum_age_ms
    row["images_per_cycle"] = agent.images_per_cycle
    row["container_wait_ms"] = agent.container_wait_ms
    row["pull_timeout_ms"] = agent.pull_timeout_ms
    timed_out = PulledImage("", "", "", timeout=go_duration(agent.pull_timeout_ms))
    row["timeout_words"] = names.sentence(pull_error_message(PullFault.TIMEOUT, timed_out, fargate=False))
    row["credentials"], row["upfront"] = agent.registry_credentials, agent.pulls_upfront
    row["stop_timeout_ms"], row["start_timeout_ms"] = agent.stop_timeout_ms, agent.start_timeout_ms


def _preloaded(scenario: Scenario, agent: AgentSettings, arch: Architecture) -> list[int]:
    """Return the versions that the tags of preloaded images refer to at the first instant."""
    images = scenario.images
    listed = [images.find(reference, arch) for reference in agent.preloaded]
    return [
        images.first_version(image)
        for image in listed
        if image != UNLISTED and not images.images[image].versions[0].missing
    ]


def go_duration(ms: int) -> str:
    """Return a duration as the agent writes it: `2h0m0s`, `1m30s`."""
    hours, rest = divmod(ms, MS_PER_HOUR)
    minutes, rest = divmod(rest, MS_PER_MINUTE)
    seconds = f"{rest / MS_PER_SECOND:g}s"
    if hours:
        return f"{hours}h{minutes}m{seconds}"
    return f"{minutes}m{seconds}" if minutes else seconds


# --- subnets -----------------------------------------------------------------------------------------------


def pool_subnets(scenario: Scenario) -> Array:
    """Return the subnets in which each pool launches instances, uint8[pool, subnet]."""
    pools = np.zeros((max(1, len(scenario.pools)), len(scenario.subnets)), np.uint8)
    for row, pool in zip(pools, scenario.pools, strict=False):
        row[:] = allowed_subnets(scenario, pool.subnets)
    return pools


def allowed_subnets(scenario: Scenario, named: tuple[str, ...]) -> Array:
    """Return which subnets these names stand for, uint8[subnet]; no names stand for all."""
    return np.array([not named or subnet.name in named for subnet in scenario.subnets], np.uint8)
