"""The resolved scenario's images and registries, and what container instances do with images.

Sizes are bytes, rates bytes per ms (infinity: no limit), instants ms since `start`. Decides nothing;
`resolve_images` and `resolve_capacity` make these models. Must not know tasks or services. `model` gives
their names on.
"""

from __future__ import annotations

from typing import Literal

from clustersim.policy.shelves import Stacks, stacks_of
from clustersim.scenario.model_base import Resolved

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
    """The settings of the container agent of a group's instances; the behaviour is a code of `policy.pulls`.

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
