"""The written sections `images` and `registries`, and `cluster.imagePulls`: what is pulled, whence, how fast.

Decides their shape and what a single entry must and must not say. Must not know files, digests or which
tasks use an image; the defaults of the registries that always exist are in `registries`. `resolve_images`
turns them into the resolved models.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from clustersim.scenario.raw import Written
from clustersim.scenario.units import (
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
