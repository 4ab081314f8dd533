"""Random images, registries, roles, subnets and agent settings for the swarm, added to an otherwise complete scenario.

`add_images` adds them to a drawn scenario, as features are switched on. `tests.swarm.scenarios` calls it; the laws are
in `tests.swarm.image_checks`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Protocol

from tests.harness import Block

IMAGE_FEATURES = (
    *("images", "shared_bases", "moving_tags", "loose_versions", "missing_images", "large_images", "soci"),
    *("pull_behaviors", "small_disks", "quick_cleanup", "preloaded_images", "upfront_pulls", "slow_registry"),
    *("pull_limits", "registry_outages", "private_registry", "roles", "denied_calls", "small_subnets"),
    *("agent_settings", "hungry_tasks"),
)
BASES = {"alpine": 8, "debian": 120, "python": 900}
"""Layers that images share, MiB."""


class Drawing(Protocol):
    """The scenario that is being drawn."""

    rng: random.Random
    minutes: int

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Whether a feature goes in here."""
        ...


def add_images(drawing: Drawing, written: Block) -> None:
    """Add the features that are switched on to a scenario."""
    if drawing.pick("images"):
        _add_registries(drawing, written)
        _add_images(drawing, written)
        for group in _groups(written):
            _add_agent_settings(drawing, group, list(written["images"]))
        for container in _containers(written):
            if drawing.pick("loose_versions", 0.3):
                container["versionConsistency"] = "disabled"
    if drawing.pick("roles"):
        _add_roles(drawing, written)
    if drawing.pick("small_subnets"):
        _add_subnets(drawing, written)
    for group in _groups(written):
        if drawing.pick("agent_settings", 0.6):
            config = group.setdefault("ecsConfig", {})
            config["ECS_CONTAINER_STOP_TIMEOUT"] = drawing.rng.choice(("5s", "45s"))
            config["ECS_CONTAINER_START_TIMEOUT"] = drawing.rng.choice(("50s", "4m"))
            config["ECS_RESERVED_MEMORY"] = drawing.rng.choice((0, 100, 500))
            config["ECS_RESERVED_PORTS"] = drawing.rng.choice(("[22, 80]", "[81]", "[22, 2375]"))
    for service in written["services"]:
        if "load" in service and drawing.pick("hungry_tasks", 0.6):
            per_request = f"{drawing.rng.choice((1, 20, 200))} MiB"
            service["load"]["memoryPerTask"] = {"base": "100 MiB", "perConcurrentRequest": per_request}


def _containers(written: Block) -> Iterator[Block]:
    for definition in written["taskDefinitions"]:
        yield from definition["containerDefinitions"]


def _groups(written: Block) -> Iterator[Block]:
    """All Auto Scaling groups."""
    yield from written["autoScalingGroups"]
    for each in written["capacityProviders"]:
        if "autoScalingGroupProvider" in each:
            yield each["autoScalingGroupProvider"]["autoScalingGroup"]


# --- images ----------------------------------------------------------------------------------------------


def _add_registries(drawing: Drawing, written: Block) -> None:
    """Add a custom registry, `hub`, with random speed, limits and outages."""
    rng = drawing.rng
    hub: Block = {"name": "hub", "host": "hub.example.com", "latency": rng.choice(("0s", "100ms", "2s"))}
    if drawing.pick("slow_registry"):
        hub["bandwidth"] = rng.choice(("2 MiB/s", "20 MiB/s"))
        hub["totalBandwidth"] = rng.choice(("10 MiB/s", "unlimited"))
    if drawing.pick("pull_limits"):
        by = rng.choice(("account", "zone", "host"))
        hub["anonymousPulls"] = {"limit": rng.randint(5, 60), "per": rng.choice(("5s", "20m")), "by": by}
        if rng.random() < 0.5:
            hub["layerRequests"] = {"limit": rng.randint(2, 9), "per": "1s"}
    if drawing.pick("registry_outages"):
        begin = rng.randint(0, drawing.minutes // 2)
        outages = [{"at": f"{begin}m", "duration": rng.choice(("20s", "6m"))}]
        hub["outages"] = [*outages, {"at": f"{begin + 20}m", "duration": "90s"}]
        hub["timeout"] = rng.choice(("15s", "1m"))
    if drawing.pick("private_registry", 0.7):
        hub["private"] = True
    written["registries"] = [hub]
    pulls: Block = {
        "unpackSpeed": rng.choice(("50 MiB/s", "500 MiB/s")),
        "retryFor": rng.choice(("0s", "10s")),
    }
    written["cluster"]["imagePulls"] = pulls


def _add_images(drawing: Drawing, written: Block) -> None:
    """Add most images that containers name, on shared bases, in ECR or in `hub`."""
    rng = drawing.rng
    names = sorted({str(container["image"]) for container in _containers(written)})
    images: Block = {}
    for name in names:
        if rng.random() < 0.2:
            continue  # not listed: no pull
        shared = drawing.pick("shared_bases")
        base = rng.choice(tuple(BASES)) if shared else f"{name}-base"
        size = BASES.get(base, 200)
        large = drawing.pick("large_images", 0.3)
        own = rng.randint(1, 300) if not large else rng.randint(2_000, 4_000)
        first: Block = {"layers": [{"digest": base, "size": f"{size} MiB"}, _own_layer(name, 1, own)]}
        if rng.random() < 0.6:
            first["registry"] = "hub"
        if drawing.pick("missing_images", 0.2):
            first.pop("layers")
            first["missing"] = True
        elif drawing.pick("soci", 0.5):
            first["soci"] = True
        versions = [first]
        if drawing.pick("moving_tags", 0.5):
            push = rng.randint(1, drawing.minutes)
            versions.append(
                {"from": f"{push}m", "layers": [*first.get("layers", []), _own_layer(name, 2, own)]}
            )
        images[name] = versions
    written["images"] = images or {"example/unused:1": {"size": "1 MiB"}}


def _own_layer(name: str, version: int, size: int) -> Block:
    return {"digest": f"{name}-{version}", "size": f"{size} MiB"}


def _add_agent_settings(drawing: Drawing, group: Block, images: list[str]) -> None:
    """Add the image settings of the agent of a group, and its disk."""
    rng = drawing.rng
    config: Block = {}
    if drawing.pick("pull_behaviors", 0.8):
        config["ECS_IMAGE_PULL_BEHAVIOR"] = rng.choice(("default", "always", "once", "prefer-cached"))
    if drawing.pick("quick_cleanup", 0.7):
        config["ECS_IMAGE_CLEANUP_INTERVAL"] = "10m"
        config["ECS_IMAGE_MINIMUM_CLEANUP_AGE"] = "5m"
        config["ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION"] = "1m"
        config["ECS_NUM_IMAGES_DELETE_PER_CYCLE"] = rng.randint(1, 3)
    if drawing.pick("upfront_pulls", 0.7):
        config["ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT"] = True
    if rng.random() < 0.2:
        config["ECS_ENGINE_AUTH_DATA"] = "{}"
    if rng.random() < 0.1:
        config["ECS_IMAGE_PULL_TIMEOUT"] = "1m"
    group["ecsConfig"] = config
    if drawing.pick("small_disks", 0.6):
        group["rootVolume"], group["systemDisk"] = rng.randint(5, 8), "3 GiB"
    if drawing.pick("preloaded_images", 0.5):
        group["preloadedImages"] = rng.sample(images, min(len(images), rng.randint(1, 3)))


# --- roles and addresses ---------------------------------------------------------------------------------


def _add_roles(drawing: Drawing, written: Block) -> None:
    """Add roles with many or few permissions to definitions and groups, and calls that some of them deny."""
    rng = drawing.rng
    ecr = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    rights = {"all": ["*"], "pull": ecr, "token": ecr[:1], "logs": ["logs:*"], "none": ["sts:*"]}
    written["roles"] = [
        {"roleName": name, "policies": [{"policyDocument": {"Statement": [_allow_statement(actions)]}}]}
        for name, actions in rights.items()
    ]
    for definition in written["taskDefinitions"]:
        if rng.random() < 0.4:
            definition["executionRoleArn"] = rng.choice(("all", "all", *rights))
        if rng.random() < 0.3:
            logs = {"awslogs-group": "g", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1"}
            definition["containerDefinitions"][0]["logConfiguration"] = {
                "logDriver": "awslogs",
                "options": logs,
            }
        definition["taskRoleArn"] = rng.choice(("all", "pull", "unlisted"))
    for group in _groups(written):
        if rng.random() < 0.4:
            group["instanceRole"] = rng.choice(("all", "pull", "none"))
    for entry in (*written["services"], *written["runTasks"]):
        if drawing.pick("denied_calls", 0.4):
            call = {"action": "s3:GetObject", "resource": "arn:aws:s3:::swarm/x"}
            when = {"when": "start"} if rng.random() < 0.2 else {"when": "request", "share": 0.3}
            entry.setdefault("behavior", {})["calls"] = [{**call, **when}]


def _allow_statement(actions: list[str]) -> Block:
    return {"Effect": "Allow", "Action": actions, "Resource": "*"}


def _add_subnets(drawing: Drawing, written: Block) -> None:
    """Add one subnet for each zone, some of them small."""
    written["subnets"] = [
        {
            "subnetId": f"subnet-{zone}",
            "availabilityZone": f"us-east-1{zone}",
            "cidrBlock": f"10.0.{number}.0/{drawing.rng.choice((28, 27, 24))}",
        }
        for number, zone in enumerate("abc")
    ]
