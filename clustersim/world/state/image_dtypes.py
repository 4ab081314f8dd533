"""Dtypes of image pulls: image versions, registries, rate limits, container agents, images of a task set.

Declarations only, a part of `world.state.tables`, which documents the conventions of all tables.
`world.build.image_tables` and `world.build.pull_tables` fill these tables, and the kernels of
`world.tasks.image_pulls` change them.
"""

from __future__ import annotations

from clustersim.engine.records import Flag, Float64, Int64, Milliseconds, Record


class ImageVersionRow(Record):
    """A version of an image, numbered as in `policy.images.image_cache`."""

    since: Int64
    """The instant from which the tag refers to it."""
    fault: Int64
    """Why the registry cannot deliver it, a code of `PullFault`; 0: it can."""


class RegistryRow(Record):
    """A row of the table of registrys."""

    latency_ms: Milliseconds
    timeout_ms: Milliseconds
    """How long a pull waits for a registry that does not answer."""
    patience_ms: Milliseconds
    """How long a throttled pull retries."""
    bytes_per_ms: Float64
    """Of one pull."""
    total_bytes_per_ms: Float64
    """Of all pulls together."""
    outage_from: Int64
    """Rows of State.images.outage_begins and State.images.outage_ends."""
    outage_to: Int64
    limit_with_credentials: Int64
    """Row of PULL_LIMIT for pulls with credentials; -1: none."""
    limit_without_credentials: Int64
    """And for the others."""
    layer_limit: Int64
    """And for requests of layers."""
    private: Flag


class PullLimitRow(Record):
    """A row of the table of pull limits."""

    limit: Int64
    per_ms: Milliseconds
    counted_by: Int64
    """What shares the limit: a position in `policy.images.registry_rate_limits.SOURCES`."""


class AgentRow(Record):
    """The container agent of an instance class; the last row stands for Fargate."""

    behavior: Int64
    """ECS_IMAGE_PULL_BEHAVIOR, a code of `policy.images.image_pulls`."""
    cleanup_ms: Milliseconds
    """-1: no cleanup."""
    minimum_age_ms: Milliseconds
    images_per_cycle: Int64
    container_wait_ms: Milliseconds
    pull_timeout_ms: Milliseconds
    timeout_words: Int64
    """Number of the sentence."""
    stop_timeout_ms: Milliseconds
    """Of containers without a stopTimeout of their own."""
    start_timeout_ms: Milliseconds
    disk: Int64
    """Bytes for images and containers."""
    network: Float64
    """Bytes per ms; infinity: unknown."""
    unpack: Float64
    """Bytes per ms."""
    preloaded_from: Int64
    """Rows of State.images.preloaded: the image versions in the machine image."""
    preloaded_to: Int64
    credentials: Flag
    """It has an account at every registry (ECS_ENGINE_AUTH_DATA)."""
    upfront: Flag
    """Images of dependent containers are pulled with the others."""


class PullRow(Record):
    """A container of a task set whose image is listed in the scenario."""

    image: Int64
    first_version: Int64
    last_version: Int64
    """Inclusive."""
    registry: Int64
    version: Int64
    """That the deployment has resolved; -1: none yet."""
    read_write: Int64
    """Bytes of the container's own layer."""
    lazy_share: Float64
    """On Fargate: the share of the image that is loaded before the start."""
    host_words: Int64
    """First of the sentences on an instance, one per PullFault."""
    fargate_words: Int64
    """And on Fargate."""
    pins_version: Flag
    """All tasks of the deployment get one version."""
    waits_for_containers: Flag
    """The container depends on others."""
    credentials: Flag
