"""References to images: `shop/web:1`, `123456789012.dkr.ecr.us-east-1.amazonaws.com/web@sha256:...`, `nginx`.

Decides the canonical form of a reference, so that different spellings of one image are equal, and the registry of its
host. It must not know the contents of a registry. Follows Docker's reference grammar (distribution/reference): the
part before the first slash is a host if it contains a dot or a colon or is `localhost`; a missing tag means `latest`;
Docker Hub needs no host, and its official images no `library/`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

DOCKER_HUB_HOSTS = ("docker.io", "index.docker.io", "registry-1.docker.io")
ECR_PUBLIC_HOSTS = ("public.ecr.aws",)

_REFERENCE = re.compile(
    r"(?P<path>[A-Za-z0-9][A-Za-z0-9._:/-]*?)(?::(?P<tag>[A-Za-z0-9_][\w.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[a-f0-9]+))?"
)
_ECR_HOST = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?"
)


class ImageReference(NamedTuple):
    """The parts of a reference; `host` is empty for Docker Hub, `digest` is empty for a reference by tag."""

    host: str
    repository: str
    tag: str
    digest: str

    @property
    def canonical(self) -> str:
        """The canonical form, the same for all references to the image."""
        host = f"{self.host}/" if self.host else ""
        return f"{host}{self.repository}" + (f"@{self.digest}" if self.digest else f":{self.tag}")


class EcrHost(NamedTuple):
    """The account and region of a private ECR registry."""

    account: str
    region: str


def parse_reference(reference: str) -> ImageReference | None:
    """Return the parts of a reference; None if it is invalid."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    host = registry_host(match["path"])
    repository = match["path"].removeprefix(f"{host}/")
    if host in DOCKER_HUB_HOSTS:
        host, repository = "", repository.removeprefix("library/")
    if not repository or repository.endswith("/") or "//" in repository or ":" in repository:
        return None
    digest = match["digest"] or ""
    return ImageReference(host, repository, "" if digest else match["tag"] or "latest", digest)


def registry_host(reference: str) -> str:
    """Return the host that a reference names, including Docker Hub's, which the canonical form omits; empty without."""
    first, slash, _ = reference.partition("/")
    return first if slash and (first == "localhost" or re.search(r"[.:]", first)) else ""


def canonical_reference(reference: str) -> str:
    """Return the canonical form of a reference; an invalid one is returned unchanged."""
    name = parse_reference(reference)
    return reference if name is None else name.canonical


def parse_ecr_host(host: str) -> EcrHost | None:
    """Return the account and region of a private ECR registry's host; None for other hosts."""
    match = _ECR_HOST.fullmatch(host)
    return None if match is None else EcrHost(match["account"], match["region"])
