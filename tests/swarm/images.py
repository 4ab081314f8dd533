"""What the swarm draws of images, registries, roles, subnets and agents, over a scenario that is otherwise done.

`dress` adds them to the sections of a drawn scenario, as features are switched on. `tests.swarm.scenarios` calls it;
the laws are in `tests.swarm.image_checks`.
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
    """What is needed of a scenario in the making."""

    luck: random.Random
    minutes: int

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Whether a feature goes in here."""
        ...


def dress(drawing: Drawing, written: Block) -> None:
    """Add what is switched on to a scenario."""
    if drawing.pick("images"):
        _registries(drawing, written)
        _images(drawing, written)
        for group in _groups(written):
            _agent(drawing, group, list(written["images"]))
        for container in _containers(written):
            if drawing.pick("loose_versions", 0.3):
                container["versionConsistency"] = "disabled"
    if drawing.pick("roles"):
        _roles(drawing, written)
    if drawing.pick("small_subnets"):
        _subnets(drawing, written)
    for group in _groups(written):
        if drawing.pick("agent_settings", 0.6):
            config = group.setdefault("ecsConfig", {})
            config["ECS_CONTAINER_STOP_TIMEOUT"] = drawing.luck.choice(("5s", "45s"))
            config["ECS_CONTAINER_START_TIMEOUT"] = drawing.luck.choice(("50s", "4m"))
            config["ECS_RESERVED_MEMORY"] = drawing.luck.choice((0, 100, 500))
            config["ECS_RESERVED_PORTS"] = drawing.luck.choice(("[22, 80]", "[81]", "[22, 2375]"))
    for service in written["services"]:
        if "load" in service and drawing.pick("hungry_tasks", 0.6):
            per_request = f"{drawing.luck.choice((1, 20, 200))} MiB"
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


def _registries(drawing: Drawing, written: Block) -> None:
    """One of the scenario's own, `hub`, as slow and as fussy as it is drawn."""
    luck = drawing.luck
    hub: Block = {"name": "hub", "host": "hub.example.com", "latency": luck.choice(("0s", "100ms", "2s"))}
    if drawing.pick("slow_registry"):
        hub["bandwidth"] = luck.choice(("2 MiB/s", "20 MiB/s"))
        hub["totalBandwidth"] = luck.choice(("10 MiB/s", "unlimited"))
    if drawing.pick("pull_limits"):
        by = luck.choice(("account", "zone", "host"))
        hub["anonymousPulls"] = {"limit": luck.randint(5, 60), "per": luck.choice(("5s", "20m")), "by": by}
        if luck.random() < 0.5:
            hub["layerRequests"] = {"limit": luck.randint(2, 9), "per": "1s"}
    if drawing.pick("registry_outages"):
        begin = luck.randint(0, drawing.minutes // 2)
        outages = [{"at": f"{begin}m", "duration": luck.choice(("20s", "6m"))}]
        hub["outages"] = [*outages, {"at": f"{begin + 20}m", "duration": "90s"}]
        hub["timeout"] = luck.choice(("15s", "1m"))
    if drawing.pick("private_registry", 0.7):
        hub["private"] = True
    written["registries"] = [hub]
    pulls: Block = {
        "unpackSpeed": luck.choice(("50 MiB/s", "500 MiB/s")),
        "retryFor": luck.choice(("0s", "10s")),
    }
    written["cluster"]["imagePulls"] = pulls


def _images(drawing: Drawing, written: Block) -> None:
    """Most images that containers name, on bases that they share, in ECR or in `hub`."""
    luck = drawing.luck
    names = sorted({str(container["image"]) for container in _containers(written)})
    images: Block = {}
    for name in names:
        if luck.random() < 0.2:
            continue  # not listed: no pull
        shared = drawing.pick("shared_bases")
        base = luck.choice(tuple(BASES)) if shared else f"{name}-base"
        size = BASES.get(base, 200)
        large = drawing.pick("large_images", 0.3)
        own = luck.randint(1, 300) if not large else luck.randint(2_000, 4_000)
        first: Block = {"layers": [{"digest": base, "size": f"{size} MiB"}, _own(name, 1, own)]}
        if luck.random() < 0.6:
            first["registry"] = "hub"
        if drawing.pick("missing_images", 0.2):
            first.pop("layers")
            first["missing"] = True
        elif drawing.pick("soci", 0.5):
            first["soci"] = True
        versions = [first]
        if drawing.pick("moving_tags", 0.5):
            push = luck.randint(1, drawing.minutes)
            versions.append({"from": f"{push}m", "layers": [*first.get("layers", []), _own(name, 2, own)]})
        images[name] = versions
    written["images"] = images or {"nobody/asks:1": {"size": "1 MiB"}}


def _own(name: str, version: int, size: int) -> Block:
    return {"digest": f"{name}-{version}", "size": f"{size} MiB"}


def _agent(drawing: Drawing, group: Block, images: list[str]) -> None:
    """What a group's agent does with images, and its disk."""
    luck = drawing.luck
    config: Block = {}
    if drawing.pick("pull_behaviors", 0.8):
        config["ECS_IMAGE_PULL_BEHAVIOR"] = luck.choice(("default", "always", "once", "prefer-cached"))
    if drawing.pick("quick_cleanup", 0.7):
        config["ECS_IMAGE_CLEANUP_INTERVAL"] = "10m"
        config["ECS_IMAGE_MINIMUM_CLEANUP_AGE"] = "5m"
        config["ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION"] = "1m"
        config["ECS_NUM_IMAGES_DELETE_PER_CYCLE"] = luck.randint(1, 3)
    if drawing.pick("upfront_pulls", 0.7):
        config["ECS_PULL_DEPENDENT_CONTAINERS_UPFRONT"] = True
    if luck.random() < 0.2:
        config["ECS_ENGINE_AUTH_DATA"] = "{}"
    if luck.random() < 0.1:
        config["ECS_IMAGE_PULL_TIMEOUT"] = "1m"
    group["ecsConfig"] = config
    if drawing.pick("small_disks", 0.6):
        group["rootVolume"], group["systemDisk"] = luck.randint(5, 8), "3 GiB"
    if drawing.pick("preloaded_images", 0.5):
        group["preloadedImages"] = luck.sample(images, min(len(images), luck.randint(1, 3)))


# --- roles and addresses ---------------------------------------------------------------------------------


def _roles(drawing: Drawing, written: Block) -> None:
    """Roles that may much or little, for definitions and groups; calls that some of them deny."""
    luck = drawing.luck
    ecr = ["ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    rights = {"all": ["*"], "pull": ecr, "token": ecr[:1], "logs": ["logs:*"], "none": ["sts:*"]}
    written["roles"] = [
        {"roleName": name, "policies": [{"policyDocument": {"Statement": [_allow(actions)]}}]}
        for name, actions in rights.items()
    ]
    for definition in written["taskDefinitions"]:
        if luck.random() < 0.4:
            definition["executionRoleArn"] = luck.choice(("all", "all", *rights))
        if luck.random() < 0.3:
            logs = {"awslogs-group": "g", "awslogs-stream-prefix": "p", "awslogs-region": "us-east-1"}
            definition["containerDefinitions"][0]["logConfiguration"] = {
                "logDriver": "awslogs",
                "options": logs,
            }
        definition["taskRoleArn"] = luck.choice(("all", "pull", "unlisted"))
    for group in _groups(written):
        if luck.random() < 0.4:
            group["instanceRole"] = luck.choice(("all", "pull", "none"))
    for entry in (*written["services"], *written["runTasks"]):
        if drawing.pick("denied_calls", 0.4):
            call = {"action": "s3:GetObject", "resource": "arn:aws:s3:::swarm/x"}
            when = {"when": "start"} if luck.random() < 0.2 else {"when": "request", "share": 0.3}
            entry.setdefault("behavior", {})["calls"] = [{**call, **when}]


def _allow(actions: list[str]) -> Block:
    return {"Effect": "Allow", "Action": actions, "Resource": "*"}


def _subnets(drawing: Drawing, written: Block) -> None:
    """One subnet for each zone, some of them small."""
    written["subnets"] = [
        {
            "subnetId": f"subnet-{zone}",
            "availabilityZone": f"us-east-1{zone}",
            "cidrBlock": f"10.0.{number}.0/{drawing.luck.choice((28, 27, 24))}",
        }
        for number, zone in enumerate("abc")
    ]
