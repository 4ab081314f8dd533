"""Error messages of failed image pulls, on Fargate and on container instances.

Decides the text of `stoppedReason` for each fault. It must not know when a pull fails: the world records the
fault, and asks for the message when a row is written. Messages of IAM denials are in
`policy.tasks.startup_authorization`.

Source: ECS Developer Guide, CannotPullContainer task errors, and publicly quoted stopped tasks.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class PullFault(IntEnum):
    """The cause of a failed pull; NONE if it did not fail."""

    NONE = 0
    NO_IMAGE = 1
    NO_PLATFORM = 2
    TOO_MANY_REQUESTS = 3
    OUTAGE = 4
    NO_CREDENTIALS = 5
    NO_SPACE = 6
    TIMEOUT = 7


class PulledImage(NamedTuple):
    """The fields of a message: host, repository and tag (or digest) of the image, and how it was pulled."""

    host: str
    repository: str
    tag: str
    platform: str = "linux/amd64"
    docker_hub: bool = False
    anonymous: bool = True
    timeout: str = "2h0m0s"


_ERROR = "CannotPullContainerError: "
_DAEMON = f"{_ERROR}Error response from daemon: "
_RETRIED = f"{_ERROR}pull image manifest has been retried {{times}} time(s): "
_HUB_LIMIT = "https://www.docker.com/increase-rate-limit"

_FARGATE = {
    PullFault.NO_IMAGE: f"{_RETRIED}failed to resolve ref {{reference}}: not found",
    PullFault.NO_PLATFORM: f"{_RETRIED}image Manifest does not contain descriptor matching platform '{{platform}}'",
    PullFault.TOO_MANY_REQUESTS: f"{_RETRIED}httpReadSeeker: failed open: unexpected status code "
    "https://{host}/v2/{repository}/manifests/{tag}: 429 Too Many Requests - Server message: {limit}",
    PullFault.OUTAGE: f"{_RETRIED}failed to resolve ref {{reference}}: failed to do request: Head "
    '"https://{host}/v2/{repository}/manifests/{tag}": dial tcp: i/o timeout',
    PullFault.NO_CREDENTIALS: f"{_RETRIED}failed to resolve ref {{reference}}: pull access denied, repository does "
    "not exist or may require authorization: server message: insufficient_scope: authorization failed",
    PullFault.NO_SPACE: f"{_ERROR}ref pull has been retried 1 time(s): failed to extract layer: "
    "no space left on device",
    PullFault.TIMEOUT: f"{_RETRIED}context deadline exceeded",
}
_EC2 = {
    PullFault.NO_IMAGE: f"{_DAEMON}manifest for {{reference}} not found: manifest unknown: Requested image not found",
    PullFault.NO_PLATFORM: f"{_ERROR}no matching manifest for {{platform}} in the manifest list entries",
    PullFault.TOO_MANY_REQUESTS: f"{_DAEMON}{{limit}}",
    PullFault.OUTAGE: f'{_DAEMON}Get "https://{{host}}/v2/": net/http: request canceled while waiting for '
    "connection (Client.Timeout exceeded while awaiting headers)",
    PullFault.NO_CREDENTIALS: f"{_DAEMON}pull access denied for {{repository}}, repository does not exist or may "
    "require 'docker login'",
    PullFault.NO_SPACE: f"{_ERROR}write /var/lib/docker/tmp/GetImageBlob: no space left on device",
    PullFault.TIMEOUT: "ContainerRuntimeTimeoutError: Could not transition to pulled; timed out after waiting "
    "{timeout}",
}
_TIMES = {
    PullFault.NO_IMAGE: 7,
    PullFault.NO_PLATFORM: 7,
    PullFault.TOO_MANY_REQUESTS: 5,
    PullFault.OUTAGE: 5,
}


def pull_error_message(fault: PullFault, image: PulledImage, fargate: bool) -> str:
    """Return the `stoppedReason` of a task with a failed pull."""
    template = (_FARGATE if fargate else _EC2)[fault]
    separator = "@" if ":" in image.tag else ":"
    return template.format(
        times=_TIMES.get(fault, 1),
        reference=f"{image.host}/{image.repository}{separator}{image.tag}",
        limit=_rate_limit_message(image),
        **image._asdict(),
    )


def _rate_limit_message(image: PulledImage) -> str:
    """Return the registry's answer to a request above its rate limit."""
    if not image.docker_hub:
        return "toomanyrequests: Rate exceeded"
    if image.anonymous:
        return f"toomanyrequests: You have reached your unauthenticated pull rate limit. {_HUB_LIMIT}"
    return (
        "toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating "
        f"and upgrading: {_HUB_LIMIT}"
    )
