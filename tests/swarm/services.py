"""Random services for the swarm: containers with their own behavior, health, deployments, daemons, protection.

Each function adds the features that are switched on to a service, a task definition or a scenario.
`tests.swarm.scenarios` calls them; their laws are in `tests.swarm.service_checks`.
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
    """The scenario that is being drawn."""

    rng: random.Random
    definitions: list[Block]
    services: list[Block]

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Whether a feature goes in here."""
        ...


def draw_side_containers(drawing: Drawing, main: Block) -> tuple[list[Block], Block]:
    """Draw containers beside `main` (which may depend on them), and the behavior of each."""
    rng = drawing.rng
    behaviors: Block = {}
    if not drawing.pick("containers", 0.5):
        return [], behaviors
    beside: list[Block] = []
    for number in range(rng.randint(1, 2)):
        name = f"side{number}"
        container: Block = {"name": name, "image": "side", "essential": rng.random() < 0.4}
        behavior: Block = {"startupTime": f"{rng.randint(0, 20)}s"}
        if rng.random() < 0.4:
            container["essential"] = False
            behavior["duration"] = {"distribution": "uniform", "low": "1s", "high": "40s"}
            behavior["exitCode"] = rng.choice((0, 0, 0, 2))
        if rng.random() < 0.4:
            container["healthCheck"] = {"command": ["CMD", "true"], "interval": rng.randint(5, 30)}
            behavior["readyTime"] = f"{rng.randint(0, 40)}s"
        if drawing.pick("container_crash", 0.5):
            behavior["timeToFailure"] = {"distribution": "exponential", "mean": f"{rng.randint(5, 60)}m"}
        if drawing.pick("slow_container", 0.5):
            container["stopTimeout"] = rng.choice((2, 20, 60))
            behavior["stopTime"] = rng.choice(
                ("never", "5s", {"distribution": "uniform", "low": "0s", "high": "40s"})
            )
        if drawing.pick("restart_policy", 0.6):
            container["restartPolicy"] = {
                "enabled": True,
                "ignoredExitCodes": rng.choice(([], [0], [2])),
                "restartAttemptPeriod": rng.choice((60, 120)),
            }
        beside.append(container)
        behaviors[name] = behavior
    if drawing.pick("dependencies", 0.7):
        main["dependsOn"] = [_draw_dependency(rng, container) for container in beside]
        if rng.random() < 0.5:
            main["startTimeout"] = rng.choice((5, 60, 120))
    return beside, behaviors


def _draw_dependency(rng: random.Random, container: Block) -> Block:
    """Draw a condition that ECS accepts for this container."""
    conditions = ["START"]
    if not container["essential"]:
        conditions += ["COMPLETE", "SUCCESS"]
    if "healthCheck" in container:
        conditions.append("HEALTHY")
    return {"containerName": container["name"], "condition": rng.choice(conditions)}


def draw_service_behavior(drawing: Drawing) -> Block:
    """Draw failures of running tasks, and their protection from scale-in."""
    rng = drawing.rng
    of: Block = {}
    if drawing.pick("never_ready", 0.2):
        of["readyTime"] = "never"
    if drawing.pick("hang", 0.4):
        of["timeToHang"] = {"distribution": "exponential", "mean": f"{rng.randint(10, 90)}m"}
    if drawing.pick("protection", 0.4):
        of["taskProtection"] = {"expiresInMinutes": rng.randint(1, 45)}
    return of


def draw_deployment(drawing: Drawing, percents: Block, balanced: bool) -> Block:
    """Draw the deployment keys of a service; `percents` are already drawn."""
    rng = drawing.rng
    keys: Block = {}
    of: Block = dict(percents)
    shifts = [
        name for name in ("blue_green", "linear", "canary") if rng.random() < 0.3 and drawing.pick(name)
    ]
    if shifts:
        of |= _draw_traffic_shift(rng, shifts[0])
        if drawing.pick("hooks", 0.6):
            of["lifecycleHooks"] = [_draw_hook(rng)]
    else:
        if rng.random() < 0.3:
            of["bakeTimeInMinutes"] = rng.randint(0, 6)
        if drawing.pick("early_success", 0.4):
            of["earlySuccessCriteria"] = {
                "enable": True,
                "healthyPercent": rng.choice((10, 50, 100)),
                "sourceServiceRevisionCleanup": rng.choice(("BLOCKING", "DEFERRED")),
            }
    if drawing.pick("circuit_breaker", 0.5):
        of["deploymentCircuitBreaker"] = _draw_circuit_breaker(rng)
    if drawing.pick("deployment_alarms", 0.4):
        of["alarms"] = {"alarmNames": ["busy"], "enable": True, "rollback": rng.random() < 0.7}
    if of:
        keys["deploymentConfiguration"] = of
    if of.get("maximumPercent", 200) <= 100 or drawing.pick("no_rebalancing", 0.4):
        keys["availabilityZoneRebalancing"] = "DISABLED"
    if balanced and drawing.pick("grace", 0.5):
        keys["healthCheckGracePeriodSeconds"] = rng.randint(10, 400)
    return keys


def _draw_circuit_breaker(rng: random.Random) -> Block:
    of: Block = {"enable": True, "rollback": rng.random() < 0.7, "resetOnHealthyTask": rng.random() < 0.7}
    if rng.random() < 0.4:
        kind = rng.choice(("COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT"))
        of["thresholdConfiguration"] = {"type": kind, "value": rng.choice((1, 5, 50))}
    if rng.random() < 0.3:
        of["crashesBeforeHealthy"] = rng.choice(("withHealthCheck", "always", "never"))
    return of


def _draw_traffic_shift(rng: random.Random, kind: str) -> Block:
    bake = {"bakeTimeInMinutes": rng.randint(0, 6)}
    if kind == "linear":
        step = {"stepPercent": rng.choice((10.0, 33.0, 50.0)), "stepBakeTimeInMinutes": rng.randint(0, 3)}
        return {"strategy": "LINEAR", "linearConfiguration": step, **bake}
    if kind == "canary":
        step = {"canaryPercent": rng.choice((5.0, 20.0)), "canaryBakeTimeInMinutes": rng.randint(0, 5)}
        return {"strategy": "CANARY", "canaryConfiguration": step, **bake}
    return {"strategy": "BLUE_GREEN", **bake}


def _draw_hook(rng: random.Random) -> Block:
    stages = [
        "PRE_SCALE_UP",
        "POST_SCALE_UP",
        "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "POST_PRODUCTION_TRAFFIC_SHIFT",
    ]
    result = {
        "after": f"{rng.randint(0, 200)}s",
        "status": rng.choice(("SUCCEEDED", "SUCCEEDED", "FAILED")),
    }
    if rng.random() < 0.3:
        pause: Block = {"targetType": "PAUSE", "lifecycleStages": rng.sample(stages, 1), "result": result}
        if rng.random() < 0.5:
            action = rng.choice(("CONTINUE", "ROLLBACK"))
            pause["timeoutConfiguration"] = {"timeoutInMinutes": rng.randint(1, 3), "action": action}
        return pause
    stages += ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"]
    if rng.random() < 0.5:
        result["callBackDelay"] = f"{rng.randint(1, 60)}s"
    return {
        "hookTargetArn": "arn:aws:lambda:us-east-1:1:function:check",
        "roleArn": "arn:aws:iam::1:role/hooks",
        "lifecycleStages": rng.sample(stages, rng.randint(1, 3)),
        "result": result,
    }


def add_daemon(drawing: Drawing) -> None:
    """Add a DAEMON service on all container instances."""
    rng = drawing.rng
    if not drawing.pick("daemon", 0.7):
        return
    for _ in range(2):
        drawing.definitions.append(definition("agent", cpu=128, memory=rng.choice((64, 128, 256))))
    written = {
        "serviceName": "agent",
        "taskDefinition": "agent:1",
        "schedulingStrategy": "DAEMON",
        "behavior": {"startupTime": f"{rng.randint(0, 20)}s"},
        "launchType": "EC2",
    }
    if rng.random() < 0.5:
        written["deploymentConfiguration"] = {"minimumHealthyPercent": rng.choice((0, 50, 90))}
    drawing.services.append(written)


def draw_alarms(drawing: Drawing) -> list[Block]:
    """Draw the alarm of deployments, on the CPU of the first service."""
    return [
        {
            "alarmName": "busy",
            "namespace": "AWS/ECS",
            "metricName": "CPUUtilization",
            "dimensions": [{"name": "ServiceName", "value": drawing.services[0]["serviceName"]}],
            "threshold": drawing.rng.choice((5, 60, 101)),
            "comparisonOperator": "GreaterThanThreshold",
            "evaluationPeriods": drawing.rng.randint(1, 3),
            "period": 60,
            "statistic": "Average",
        }
    ]


def draw_group_policies(drawing: Drawing) -> list[Block]:
    """Draw the scaling policies of a group without a capacity provider."""
    if not drawing.pick("group_scaling", 0.7):
        return []
    metric = {"predefinedMetricType": "ASGAverageCPUUtilization"}
    return [
        {
            "policyName": "cpu",
            "policyType": "TargetTrackingScaling",
            "estimatedInstanceWarmup": drawing.rng.choice((0, 60, 300)),
            "targetTrackingConfiguration": {
                "targetValue": drawing.rng.choice((20, 50)),
                "predefinedMetricSpecification": metric,
            },
        }
    ]
