"""The sections `images` and `registries`, and `cluster.imagePulls`: images, the registries that hold them, pull speeds.

Decides their shape and the rules of a single entry; the registries that always exist are in `images.registries`.
Sizes of the resolved form are bytes, rates bytes per ms (infinity: no limit), instants ms since `start`. Must not know
files, digests or which tasks use an image. `resolve.images` turns the written form into the resolved one.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.policy.images.image_cache import ImageLayers, build_image_layers
from clustersim.scenario.sections.resolved_section import Architecture, ResolvedSection
from clustersim.scenario.sections.written_section import WrittenSection
from clustersim.scenario.text.assumptions import assume
from clustersim.scenario.text.units import (
    AtLeastOne,
    BytesPerMs,
    DurationMs,
    PositiveDurationMs,
    Share,
    SizeBytes,
    parse_bytes_per_ms,
    value_error,
)
from clustersim.vocabulary import MS_PER_SECOND

MIB = 2**20

UNLISTED = -1
"""The position of an image that `images` does not list."""

Authentication = Literal["always", "never", "credentials"]

LimitScope = Literal["account", "zone", "host"]

DEFAULT_LIMIT_SCOPE: LimitScope = "account"

_SOURCES = ("layers", "size", "manifest", "history", "missing")


# --- images -------------------------------------------------------------------------------------------------


class WrittenLayer(WrittenSection):
    """A layer of an image, shared with all images that name its digest; one of its two sizes may be left out."""

    digest: Annotated[str, Field(min_length=1)]
    size: SizeBytes | None = None
    compressed_size: SizeBytes | None = None

    @model_validator(mode="after")
    def _check_size(self) -> WrittenLayer:
        if self.size is None and self.compressed_size is None:
            raise value_error("has no size", "add size: 50 MiB (unpacked), or compressedSize")
        return self


class Layer(ResolvedSection):
    """A layer: the bytes that a pull moves, the bytes on the disk, and the Dockerfile's line, if it is known."""

    digest: str
    compressed_bytes: int
    unpacked_bytes: int
    created_by: str = ""


class WrittenImage(WrittenSection):
    """The content of a registry under an image's name, from an instant on."""

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
    def _check_source(self) -> WrittenImage:
        sources = [name for name in _SOURCES if getattr(self, name) not in (None, False)]
        if not sources:
            raise value_error("has no layers", "add layers, size, manifest, history, or missing: true")
        if len(sources) > 1 and sources != ["manifest", "history"]:
            raise value_error(
                f"{' and '.join(sources)} both define its layers", "one of them, or manifest with history"
            )
        if self.compressed_size is not None and self.size is None:
            raise value_error("compressedSize needs size", "add size, the unpacked one")
        return self


def _parse_versions(value: Any) -> Any:
    """Return a list of versions: one, or several of a tag that is pushed anew."""
    items = value if isinstance(value, list) else [value]
    if not items:
        raise value_error("an empty list", "write {layers: [...]}, or [{from: 0s, ...}, {from: 2d, ...}]")
    return items


_IMAGE = {"$model": "WrittenImage"}

WrittenVersions = Annotated[
    list[WrittenImage],
    BeforeValidator(_parse_versions),
    WithJsonSchema({"anyOf": [_IMAGE, {"type": "array", "items": _IMAGE, "minItems": 1}]}),
]


class ImageVersion(ResolvedSection):
    """The image that a tag means from an instant on; without layers it cannot be pulled.

    `missing` is the reason: no such image (manifest), or none for the architecture (platform).
    """

    from_ms: int
    layers: tuple[int, ...] = ()
    missing: Literal["", "manifest", "platform"] = ""


class Image(ResolvedSection):
    """An image for one architecture: its registry (a position in `Scenario.registries`) and its versions."""

    reference: str
    arch: Architecture
    registry: int
    versions: tuple[ImageVersion, ...]
    soci: bool
    read_write_bytes: int

    def version_at(self, at_ms: int) -> int:
        """Return the position of the version that the tag means at `at_ms`; before the first version, the first."""
        return max(0, sum(version.from_ms <= at_ms for version in self.versions) - 1)


class Images(ResolvedSection):
    """All images and the table of their layers; layers with one digest are one, in whichever image."""

    layers: tuple[Layer, ...] = ()
    images: tuple[Image, ...] = ()

    def find(self, reference: str, arch: str) -> int:
        """Return the position of an image by its reference in full, or UNLISTED."""
        for position, image in enumerate(self.images):
            if image.reference == reference and image.arch == arch:
                return position
        return UNLISTED

    def first_version(self, image: int) -> int:
        """Return the index of an image's first version among the versions of all images."""
        return sum(len(each.versions) for each in self.images[:image])

    def image_layers(self) -> ImageLayers:
        """Return the images as columns for kernels; versions of all images one after the other."""
        versions = [
            (position, version.layers)
            for position, image in enumerate(self.images)
            for version in image.versions
        ]
        return build_image_layers(
            versions, [(layer.compressed_bytes, layer.unpacked_bytes) for layer in self.layers]
        )


# --- registries ---------------------------------------------------------------------------------------------


def _parse_rate_or_unlimited(value: Any) -> Any:
    return math.inf if value == "unlimited" else parse_bytes_per_ms(value)


RateOrUnlimited = Annotated[
    float,
    BeforeValidator(_parse_rate_or_unlimited),
    WithJsonSchema({"type": ["string", "number"], "description": "400 Mbps, 50 MiB/s, or unlimited"}),
]


class WrittenPullLimit(WrittenSection):
    """A limit of requests in a period, counted together for an account, for a zone, or for each host."""

    limit: AtLeastOne
    per: PositiveDurationMs
    by: LimitScope = DEFAULT_LIMIT_SCOPE


class PullLimit(ResolvedSection):
    """A limit of requests in a period of `per_ms`, counted for each account, zone or host."""

    limit: int
    per_ms: int
    by: LimitScope = DEFAULT_LIMIT_SCOPE


def _parse_limit_or_unlimited(value: Any) -> Any:
    return None if value == "unlimited" else value


LimitOrUnlimited = Annotated[
    WrittenPullLimit | None,
    BeforeValidator(_parse_limit_or_unlimited),
    WithJsonSchema({"anyOf": [{"$model": "WrittenPullLimit"}, {"const": "unlimited"}]}),
]


class WrittenRegistryOutage(WrittenSection):
    """A period in which a registry does not answer."""

    at: DurationMs
    duration: PositiveDurationMs


class WrittenRegistry(WrittenSection):
    """A registry; `ecr`, `ecr-public` and `docker-hub` always exist, and an entry changes the keys that it sets."""

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
    authentication: Authentication | None = None
    outages: list[WrittenRegistryOutage] = Field(default_factory=list)


class Registry(ResolvedSection):
    """A registry; limits are None where there are none.

    `bandwidth` is the rate of one pull, `total_bandwidth` of all pulls together. `needs_iam`: it is ECR and asks
    IAM. `private`: a pull needs `repositoryCredentials`. `authentication` says which pulls count as authenticated:
    all, none, or those with credentials. `outages` are (begin, end).
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
    authentication: Authentication = "credentials"
    outages: tuple[tuple[int, int], ...] = ()

    def pull_limit(self, credentials: bool) -> PullLimit | None:
        """Return the limit of pulls with or without `repositoryCredentials`; None: no limit."""
        authenticated = self.authentication == "always" or (
            self.authentication == "credentials" and credentials
        )
        return self.authenticated_pulls if authenticated else self.anonymous_pulls


# --- image pulls --------------------------------------------------------------------------------------------


class WrittenFargatePulls(WrittenSection):
    """Fargate's speed of pulls, and the share of an image with a SOCI index that it pulls before the container starts.

    All three are unconfirmed; MODEL.md says from which measurements they come.
    """

    bandwidth: BytesPerMs = 1e9 / 8 / MS_PER_SECOND
    unpack_speed: BytesPerMs = 30.0 * MIB / MS_PER_SECOND
    lazy_share: Share = 0.36


def _check_compression(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and value == 0:
        raise value_error("compression must be above 0", "a number above 0 and up to 1, like 0.4")
    return value


class WrittenImagePulls(WrittenSection):
    """`imagePulls`: how fast images are unpacked, and values for what a scenario leaves out.

    `compression` is compressed bytes per unpacked byte of a layer with only one known size. All but
    `retryFor` (the agent and Fargate try some five times) are unconfirmed; see MODEL.md.
    """

    compression: Annotated[Share, BeforeValidator(_check_compression)] = 0.4
    unpack_speed: BytesPerMs = 100.0 * MIB / MS_PER_SECOND
    read_write_layer: SizeBytes = 10 * MIB
    retry_for: DurationMs = 10 * MS_PER_SECOND
    fargate: WrittenFargatePulls = WrittenFargatePulls()


class ImagePulls(ResolvedSection):
    """The speeds at which images are pulled and unpacked, and the time for which a refused pull is retried."""

    unpack_speed: float
    retry_for_ms: int
    fargate_bandwidth: float
    fargate_unpack_speed: float
    lazy_share: float


assume(
    "unlisted-images",
    "images that `images` does not list are pulled in no time",
    lambda scenario: not scenario.images.images,
    setting="images",
)
assume(
    "unpack-speed",
    "100 MiB/s on container instances",
    lambda scenario: bool(scenario.images.images) and bool(scenario.pools),
    setting="cluster.imagePulls.unpackSpeed",
    source="1 to 1.5 GiB then take the 10 to 20 s of the ECS Best Practices Guide",
)
