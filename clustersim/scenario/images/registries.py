"""The predefined registries with their published limits, and the defaults of other registries.

Decides the defaults of `registries`; `scenario.resolve.images` updates them with a scenario's entries. It must not
know the contents of images.

Published, of 2026:
- Docker Hub: 100 pulls in 6 hours without, 200 with an account (personal), counted by IPv4 address (Docker
  documentation: pull usage and limits; the answers carry `ratelimit-limit: 100;w=21600`).
- ECR: BatchGetImage 2,000, GetDownloadUrlForLayer 3,000 requests a second for an account in a region (Amazon ECR
  service quotas, user guide of 2026; a manifest is one request, each layer one).
- ECR Public: 1 image a second without, 10 with authentication or to AWS resources (Amazon ECR Public service
  quotas: "Rate of image pulls to AWS resources", which includes tasks and instances).
Not published: bandwidths and latencies (MODEL.md: figures that no source confirms).
"""

from __future__ import annotations

import math

from clustersim.scenario.images.image_references import DOCKER_HUB_HOSTS, ECR_PUBLIC_HOSTS
from clustersim.scenario.sections.images import PullLimit, Registry
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

ECR = "ecr"
DOCKER_HUB = "docker-hub"
ECR_PUBLIC = "ecr-public"

_HUB_WINDOW_MS = 6 * MS_PER_HOUR
# Unconfirmed: no published source.
_LATENCY_MS = 500
_TIMEOUT_MS = MS_PER_MINUTE
_HUB_BANDWIDTH = 400e6 / 8 / MS_PER_SECOND


def make_registry(name: str, hosts: tuple[str, ...] = ()) -> Registry:
    """Return a registry without limits."""
    return Registry(
        name=name,
        hosts=hosts,
        bandwidth=math.inf,
        total_bandwidth=math.inf,
        latency_ms=_LATENCY_MS,
        timeout_ms=_TIMEOUT_MS,
    )


def builtin_registries() -> dict[str, Registry]:
    """Return the registries that exist without being declared, by name: ECR, ECR Public, Docker Hub."""
    ecr = make_registry(ECR).model_copy(
        update={
            "needs_iam": True,
            "authentication": "always",
            "authenticated_pulls": PullLimit(limit=2_000, per_ms=MS_PER_SECOND),
            "layer_requests": PullLimit(limit=3_000, per_ms=MS_PER_SECOND),
        }
    )
    public = make_registry(ECR_PUBLIC, ECR_PUBLIC_HOSTS).model_copy(
        update={
            "authentication": "always",
            "anonymous_pulls": PullLimit(limit=1, per_ms=MS_PER_SECOND, by="zone"),
            "authenticated_pulls": PullLimit(limit=10, per_ms=MS_PER_SECOND),
        }
    )
    hub = make_registry(DOCKER_HUB, DOCKER_HUB_HOSTS).model_copy(
        update={
            "bandwidth": _HUB_BANDWIDTH,
            "anonymous_pulls": PullLimit(limit=100, per_ms=_HUB_WINDOW_MS, by="zone"),
            "authenticated_pulls": PullLimit(limit=200, per_ms=_HUB_WINDOW_MS),
        }
    )
    return {registry.name: registry for registry in (ecr, public, hub)}
