"""The written sections `images` and `registries`, and `cluster.imagePulls`: what is pulled, whence, how fast.

Decides their shape and what a single entry must and must not say. Must not know files, digests or which
tasks use an image; the defaults of the registries that always exist are in `registries`. `resolve_images`
turns them into the resolved models.

The resolved scenario's images and registries, and what container instances do with images.

Sizes are bytes, rates bytes per ms (infinity: no limit), instants ms since `start`. Decides nothing;
`resolve_images` and `resolve_capacity` make these models. Must not know tasks or services. `model` gives
their names on.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.policy.images.image_cache import Stacks, stacks_of
from clustersim.scenario.sections.resolved_section import Resolved
from clustersim.scenario.sections.written_section import Written
from clustersim.scenario.text.units import (
    AtLeastOne,
    BytesPerMs,
    DurationMs,
    PositiveDurationMs,
    Share,
    SizeBytes,
    bytes_per_ms,
    wrong,
)
from clustersim.vocabulary import MS_PER_SECOND

MIB = 2**20
_SOURCES = ("layers", "size", "manifest", "history", "missing")


class WrittenLayer(Written):
    """A layer of an image, shared with all images that name its digest; one of its two sizes may be left out."""

    digest: Annotated[str, Field(min_length=1)]
    size: SizeBytes | None = None
    compressed_size: SizeBytes | None = None

    @model_validator(mode="after")
    def _has_a_size(self) -> WrittenLayer:
        if self.size is None and self.compressed_size is None:
            raise wrong("has no size", "add size: 50 MiB (unpacked), or compressedSize")
        return self


class WrittenImage(Written):
    """What a registry holds under an image's name, from an instant on."""

    from_: DurationMs = Field(default=0, alias="from", description="after start; a push")
    registry: str | None = None
    layers: Annotated[list[WrittenLayer], Field(min_length=1)] | None = None
    size: SizeBytes | None = None
    compressed_size: SizeBytes | None = None
    manifest: str | None = Field(default=None, description="a JSON file: OCI or Docker manifest or index")
    history: str | None = Field(
        default=None, description="a file: docker history --no-trunc --format json IMAGE"
    )
    missing: bool = False
    soci: bool = False
    read_write_layer: SizeBytes | None = None

    @model_validator(mode="after")
    def _one_source(self) -> WrittenImage:
        given = [name for name in _SOURCES if getattr(self, name) not in (None, False)]
        if not given:
            raise wrong("has no layers", "add layers, size, manifest, history, or missing: true")
        if len(given) > 1 and given != ["manifest", "history"]:
            raise wrong(
                f"{' and '.join(given)} both say what it is made of", "one of them, or manifest with history"
            )
        if self.compressed_size is not None and self.size is None:
            raise wrong("compressedSize stands beside no size", "add size, the unpacked one")
        return self


def _versions(value: Any) -> Any:
    """One version, or several of a tag that is pushed anew."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise wrong("an empty list", "write {layers: [...]}, or [{from: 0s, ...}, {from: 2d, ...}]")
    return items


_IMAGE = {"$model": "WrittenImage"}
WrittenVersions = Annotated[
    list[WrittenImage],
    BeforeValidator(_versions),
    WithJsonSchema({"anyOf": [_IMAGE, {"type": "array", "items": _IMAGE, "minItems": 1}]}),
]


def _or_unlimited(value: Any) -> Any:
    return math.inf if value == "unlimited" else bytes_per_ms(value)


RateOrUnlimited = Annotated[
    float,
    BeforeValidator(_or_unlimited),
    WithJsonSchema({"type": ["string", "number"], "description": "400 Mbps, 50 MiB/s, or unlimited"}),
]


class WrittenPullLimit(Written):
    """So many requests in so much time, counted together for an account, for a zone, or for each host."""

    limit: AtLeastOne
    per: PositiveDurationMs
    by: Literal["account", "zone", "host"] = "account"


def _limit_or_unlimited(value: Any) -> Any:
    return None if value == "unlimited" else value


LimitOrUnlimited = Annotated[
    WrittenPullLimit | None,
    BeforeValidator(_limit_or_unlimited),
    WithJsonSchema({"anyOf": [{"$model": "WrittenPullLimit"}, {"const": "unlimited"}]}),
]


class WrittenOutage(Written):
    """A while in which a registry does not answer."""

    at: DurationMs
    duration: PositiveDurationMs


class WrittenRegistry(Written):
    """A registry; `ecr`, `ecr-public` and `docker-hub` always exist, and an entry changes what it names."""

    name: Annotated[str, Field(min_length=1)]
    host: str | None = None
    private: bool | None = None
    bandwidth: RateOrUnlimited | None = None
    total_bandwidth: RateOrUnlimited | None = None
    latency: DurationMs | None = None
    timeout: PositiveDurationMs | None = None
    anonymous_pulls: LimitOrUnlimited = None
    authenticated_pulls: LimitOrUnlimited = None
    layer_requests: LimitOrUnlimited = None
    authentication: Literal["always", "never", "credentials"] | None = None
    outages: list[WrittenOutage] = Field(default_factory=list)


class WrittenFargatePulls(Written):
    """How fast Fargate pulls, and what it moves of an image with a SOCI index before the container starts.

    All three are unconfirmed; MODEL.md says from which measurements they come.
    """

    bandwidth: BytesPerMs = 1e9 / 8 / MS_PER_SECOND
    unpack_speed: BytesPerMs = 30.0 * MIB / MS_PER_SECOND
    lazy_share: Share = 0.36


def _compression(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        raise wrong("0 compresses everything to nothing", "a number above 0 and up to 1, like 0.4")
    return value


class WrittenImagePulls(Written):
    """`imagePulls`: how fast images are unpacked, and what stands in for what a scenario does not say.

    `compression` is compressed bytes per unpacked byte of a layer of which only one size is known. All but
    `retryFor` (the agent and Fargate try some five times) are unconfirmed; see MODEL.md.
    """

    compression: Annotated[Share, BeforeValidator(_compression)] = 0.4
    unpack_speed: BytesPerMs = 100.0 * MIB / MS_PER_SECOND
    read_write_layer: SizeBytes = 10 * MIB
    retry_for: DurationMs = 10 * MS_PER_SECOND
    fargate: WrittenFargatePulls = WrittenFargatePulls()


NOT_LISTED = -1

Arch = Literal["x86_64", "arm64"]


class Layer(Resolved):
    """A layer: what a pull moves, what lies on the disk, and the Dockerfile's line, where it is known."""

    digest: str
    compressed_bytes: int
    unpacked_bytes: int
    created_by: str = ""


class ImageVersion(Resolved):
    """What a tag means from an instant on; without layers the registry has nothing to give.

    `missing` says why: there is no such image, or none for the architecture.
    """

    from_ms: int
    layers: tuple[int, ...] = ()
    missing: Literal["", "manifest", "platform"] = ""


class Image(Resolved):
    """An image for one architecture: its registry (a position in `Scenario.registries`) and its versions."""

    reference: str
    arch: Arch
    registry: int
    versions: tuple[ImageVersion, ...]
    soci: bool = False
    read_write_bytes: int = 0

    def version_at(self, at_ms: int) -> int:
        """The position of the version that the tag means at `at_ms`; before the first one it is that."""
        return max(0, sum(version.from_ms <= at_ms for version in self.versions) - 1)


class Images(Resolved):
    """All images and the table of their layers; layers with one digest are one, in whichever image."""

    layers: tuple[Layer, ...] = ()
    images: tuple[Image, ...] = ()

    def find(self, reference: str, arch: str) -> int:
        """The position of an image by its reference in full (`image_names.in_full`), or NOT_LISTED."""
        for position, image in enumerate(self.images):
            if image.reference == reference and image.arch == arch:
                return position
        return NOT_LISTED

    def first_version(self, image: int) -> int:
        """The number of an image's first version among the versions of all images."""
        return sum(len(each.versions) for each in self.images[:image])

    def stacks(self) -> Stacks:
        """The images as columns for kernels; versions of all images one after the other."""
        versions = [
            (position, version.layers)
            for position, image in enumerate(self.images)
            for version in image.versions
        ]
        return stacks_of(versions, [(layer.compressed_bytes, layer.unpacked_bytes) for layer in self.layers])


class PullLimit(Resolved):
    """So many requests in so many ms, counted for each account, zone or host."""

    limit: int
    per_ms: int
    by: Literal["account", "zone", "host"] = "account"


class Registry(Resolved):
    """A registry; limits are None where there are none.

    `bandwidth` is what one pull gets, `total_bandwidth` what all pulls get together. `needs_iam`: it is ECR and
    asks IAM. `private`: a pull needs `repositoryCredentials`. `authentication` says which pulls count as
    authenticated: all, none, or those with credentials.
    """

    name: str
    hosts: tuple[str, ...] = ()
    needs_iam: bool = False
    private: bool = False
    bandwidth: float
    total_bandwidth: float
    latency_ms: int
    timeout_ms: int
    anonymous_pulls: PullLimit | None = None
    authenticated_pulls: PullLimit | None = None
    layer_requests: PullLimit | None = None
    authentication: Literal["always", "never", "credentials"] = "credentials"
    outages: tuple[tuple[int, int], ...] = ()

    def pulls(self, credentials: bool) -> PullLimit | None:
        """The limit that holds for pulls with or without `repositoryCredentials`."""
        known = self.authentication == "always" or (self.authentication == "credentials" and credentials)
        return self.authenticated_pulls if known else self.anonymous_pulls


class ImagePulls(Resolved):
    """How fast images are unpacked, and how long a refused pull tries again."""

    unpack_speed: float = 100.0 * 2**20 / 1_000
    retry_for_ms: int = 10_000
    fargate_bandwidth: float = 1e9 / 8 / 1_000
    fargate_unpack_speed: float = 30.0 * 2**20 / 1_000
    lazy_share: float = 0.36


class AgentSettings(Resolved):
    """The settings of the container agent of a group's instances; the behaviour is a code of
    `policy.images.image_pulls`.

    `preloaded` are positions of images that come with the machine image.
    """

    pull_behavior: int = 0
    cleanup: bool = True
    cleanup_interval_ms: int = 1_800_000
    minimum_age_ms: int = 3_600_000
    images_per_cycle: int = 5
    container_wait_ms: int = 10_800_000
    pull_timeout_ms: int = 7_200_000
    logs_by_execution_role: bool = True
    registry_credentials: bool = False
    system_disk_gib: int = 3
    preloaded: tuple[str, ...] = ()
    pulls_upfront: bool = False
    stop_timeout_ms: int = 30_000
    start_timeout_ms: int = 180_000
    reserved_memory_mib: int = 0
    reserved_ports: tuple[int, ...] = (22, 2375, 2376, 51678, 51679)
