"""References to images: `shop/web:1`, `123456789012.dkr.ecr.us-east-1.amazonaws.com/web@sha256:...`, `nginx`.

Decides what a reference names in full, so that two spellings of one image are one, and to which registry its
host belongs. Must not know what a registry holds. Follows Docker's reference grammar (distribution/reference): the
part before the first slash is a host if it holds a dot or a colon or is `localhost`; without a tag it means
`latest`; Docker Hub needs no host, and its official images no `library/`.
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


class ImageName(NamedTuple):
    """The parts of a reference; `host` is empty where it names none, `digest` where it is by tag."""

    host: str
    repository: str
    tag: str
    digest: str

    @property
    def in_full(self) -> str:
        """One spelling for all references to the image."""
        host = f"{self.host}/" if self.host else ""
        return f"{host}{self.repository}" + (f"@{self.digest}" if self.digest else f":{self.tag}")


class EcrHost(NamedTuple):
    """Whose registry an ECR host is."""

    account: str
    region: str


def parse(reference: str) -> ImageName | None:
    """The parts of a reference; None if it is none."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return None
    host = named_host(match["path"])
    repository = match["path"].removeprefix(f"{host}/")
    if host in DOCKER_HUB_HOSTS:
        host, repository = "", repository.removeprefix("library/")
    if not repository or repository.endswith("/") or "//" in repository or ":" in repository:
        return None
    digest = match["digest"] or ""
    return ImageName(host, repository, "" if digest else match["tag"] or "latest", digest)


def named_host(reference: str) -> str:
    """The host that a reference names, also that of Docker Hub, which its full spelling leaves out."""
    first, slash, _ = reference.partition("/")
    return first if slash and (first == "localhost" or re.search(r"[.:]", first)) else ""


def in_full(reference: str) -> str:
    """The reference in its one spelling; what cannot be read stays as it is."""
    name = parse(reference)
    return reference if name is None else name.in_full


def ecr_host(host: str) -> EcrHost | None:
    """The account and region of a private ECR registry's host; None for any other."""
    match = _ECR_HOST.fullmatch(host)
    return None if match is None else EcrHost(match["account"], match["region"])
