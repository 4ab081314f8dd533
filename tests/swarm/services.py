"""What the swarm draws of services: containers with lives of their own, health, deployments, daemons, protection.

Each function takes the drawing under way and adds to a service, a task definition or a scenario what features are
switched on. `tests.swarm.scenarios` calls them; their laws are in `tests.swarm.service_checks`.
"""

from __future__ import annotations

import random
from typing import Protocol

from tests.harness import Block, definition

SERVICE_FEATURES = (
    *(
        "containers",
        "dependencies",
        "restart_policy",
        "never_ready",
        "hang",
        "container_crash",
        "slow_container",
    ),
    *(
        "protection",
        "daemon",
        "circuit_breaker",
        "deployment_alarms",
        "blue_green",
        "linear",
        "canary",
        "hooks",
    ),
    *("grace", "early_success", "no_rebalancing", "group_scaling", "fine_metrics"),
)

CONDITIONS = ("START", "COMPLETE", "SUCCESS", "HEALTHY")


class Drawing(Protocol):
    """What is needed of a scenario in the making."""

    luck: random.Random
    definitions: list[Block]
    services: list[Block]

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Whether a feature goes in here."""
        ...


def companions(drawing: Drawing, main: Block) -> tuple[list[Block], Block]:
    """Containers beside `main` (which may come to depend on them), and how all of them behave."""
    luck = drawing.luck
    lives: Block = {}
    if not drawing.pick("containers", 0.5):
        return [], lives
    beside: list[Block] = []
    for number in range(luck.randint(1, 2)):
        name = f"side{number}"
        container: Block = {"name": name, "image": "side", "essential": luck.random() < 0.4}
        life: Block = {"startupTime": f"{luck.randint(0, 20)}s"}
        if luck.random() < 0.4:
            container["essential"] = False
            life["duration"] = {"distribution": "uniform", "low": "1s", "high": "40s"}
            life["exitCode"] = luck.choice((0, 0, 0, 2))
        if luck.random() < 0.4:
            container["healthCheck"] = {"command": ["CMD", "true"], "interval": luck.randint(5, 30)}
            life["readyTime"] = f"{luck.randint(0, 40)}s"
        if drawing.pick("container_crash", 0.5):
            life["timeToFailure"] = {"distribution": "exponential", "mean": f"{luck.randint(5, 60)}m"}
        if drawing.pick("slow_container", 0.5):
            container["stopTimeout"] = luck.choice((2, 20, 60))
            life["stopTime"] = luck.choice(
                ("never", "5s", {"distribution": "uniform", "low": "0s", "high": "40s"})
            )
        if drawing.pick("restart_policy", 0.6):
            container["restartPolicy"] = {
                "enabled": True,
                "ignoredExitCodes": luck.choice(([], [0], [2])),
                "restartAttemptPeriod": luck.choice((60, 120)),
            }
        beside.append(container)
        lives[name] = life
    if drawing.pick("dependencies", 0.7):
        main["dependsOn"] = [_dependency(luck, container) for container in beside]
        if luck.random() < 0.5:
            main["startTimeout"] = luck.choice((5, 60, 120))
    return beside, lives


def _dependency(luck: random.Random, container: Block) -> Block:
    """A condition that ECS takes for this container."""
    conditions = ["START"]
    if not container["essential"]:
        conditions += ["COMPLETE", "SUCCESS"]
    if "healthCheck" in container:
        conditions.append("HEALTHY")
    return {"containerName": container["name"], "condition": luck.choice(conditions)}


def behavior_of_service(drawing: Drawing) -> Block:
    """What goes wrong with tasks that run, and who protects them."""
    luck = drawing.luck
    of: Block = {}
    if drawing.pick("never_ready", 0.2):
        of["readyTime"] = "never"
    if drawing.pick("hang", 0.4):
        of["timeToHang"] = {"distribution": "exponential", "mean": f"{luck.randint(10, 90)}m"}
    if drawing.pick("protection", 0.4):
        of["taskProtection"] = {"expiresInMinutes": luck.randint(1, 45)}
    return of


def deployment(drawing: Drawing, percents: Block, balanced: bool) -> Block:
    """Keys of a service that say how it is deployed; `percents` are those already drawn."""
    luck = drawing.luck
    keys: Block = {}
    of: Block = dict(percents)
    shifts = [
        name for name in ("blue_green", "linear", "canary") if luck.random() < 0.3 and drawing.pick(name)
    ]
    if shifts:
        of |= _shift(luck, shifts[0])
        if drawing.pick("hooks", 0.6):
            of["lifecycleHooks"] = [_hook(luck)]
    else:
        if drawing.pick("circuit_breaker", 0.5):
            of["deploymentCircuitBreaker"] = {"enable": True, "rollback": luck.random() < 0.7}
        if drawing.pick("early_success", 0.4):
            of["earlySuccessCriteria"] = {
                "enable": True,
                "healthyPercent": luck.choice((10, 50, 100)),
                "sourceServiceRevisionCleanup": luck.choice(("BLOCKING", "DEFERRED")),
            }
    if drawing.pick("deployment_alarms", 0.4):
        of["alarms"] = {"alarmNames": ["busy"], "enable": True, "rollback": luck.random() < 0.7}
    if of:
        keys["deploymentConfiguration"] = of
    if of.get("maximumPercent", 200) <= 100 or drawing.pick("no_rebalancing", 0.4):
        keys["availabilityZoneRebalancing"] = "DISABLED"
    if balanced and drawing.pick("grace", 0.5):
        keys["healthCheckGracePeriodSeconds"] = luck.randint(10, 400)
    return keys


def _shift(luck: random.Random, kind: str) -> Block:
    bake = {"bakeTimeInMinutes": luck.randint(0, 6)}
    if kind == "linear":
        step = {"stepPercent": luck.choice((10.0, 33.0, 50.0)), "stepBakeTimeInMinutes": luck.randint(0, 3)}
        return {"strategy": "LINEAR", "linearConfiguration": step, **bake}
    if kind == "canary":
        step = {"canaryPercent": luck.choice((5.0, 20.0)), "canaryBakeTimeInMinutes": luck.randint(0, 5)}
        return {"strategy": "CANARY", "canaryConfiguration": step, **bake}
    return {"strategy": "BLUE_GREEN", **bake}


def _hook(luck: random.Random) -> Block:
    stages = ("PRE_SCALE_UP", "POST_SCALE_UP", "TEST_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT")
    return {
        "hookTargetArn": "arn:aws:lambda:us-east-1:1:function:check",
        "roleArn": "arn:aws:iam::1:role/hooks",
        "lifecycleStages": luck.sample(stages, luck.randint(1, 2)),
        "result": {
            "after": f"{luck.randint(0, 200)}s",
            "status": luck.choice(("SUCCEEDED", "SUCCEEDED", "FAILED")),
        },
    }


def daemon(drawing: Drawing) -> None:
    """A DAEMON service on all instances of the provider `nodes`, or of the launch type EC2."""
    luck = drawing.luck
    if not drawing.pick("daemon", 0.7):
        return
    for _ in range(2):
        drawing.definitions.append(definition("agent", cpu=128, memory=luck.choice((64, 128, 256))))
    where = luck.choice(
        ({"launchType": "EC2"}, {"capacityProviderStrategy": [{"capacityProvider": "nodes"}]})
    )
    written = {
        "serviceName": "agent",
        "taskDefinition": "agent:1",
        "schedulingStrategy": "DAEMON",
        "behavior": {"startupTime": f"{luck.randint(0, 20)}s"},
        **where,
    }
    if luck.random() < 0.5:
        written["deploymentConfiguration"] = {"minimumHealthyPercent": luck.choice((0, 50, 90))}
    drawing.services.append(written)


def alarms(drawing: Drawing) -> list[Block]:
    """The alarm that deployments look at, on the CPU of the first service."""
    return [
        {
            "alarmName": "busy",
            "namespace": "AWS/ECS",
            "metricName": "CPUUtilization",
            "dimensions": [{"name": "ServiceName", "value": drawing.services[0]["serviceName"]}],
            "threshold": drawing.luck.choice((5, 60, 101)),
            "comparisonOperator": "GreaterThanThreshold",
            "evaluationPeriods": drawing.luck.randint(1, 3),
            "period": 60,
            "statistic": "Average",
        }
    ]


def group_policy(drawing: Drawing) -> list[Block]:
    """A scaling policy of a group of its own."""
    if not drawing.pick("group_scaling", 0.7):
        return []
    metric = {"predefinedMetricType": "ASGAverageCPUUtilization"}
    return [
        {
            "policyName": "cpu",
            "policyType": "TargetTrackingScaling",
            "estimatedInstanceWarmup": drawing.luck.choice((0, 60, 300)),
            "targetTrackingConfiguration": {
                "targetValue": drawing.luck.choice((20, 50)),
                "predefinedMetricSpecification": metric,
            },
        }
    ]
