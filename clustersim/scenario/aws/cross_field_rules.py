"""What AWS refuses although every field of a block is well formed: rules between fields, per operation.

Decides which combinations are refused: a strategy that mixes kinds of capacity, a group whose desired size is
beyond its greatest. It must not know the models, files or other blocks: it reads one block in the API's own
case, where a field may still be of a wrong type (that has its own problem and is passed over here).
`aws.check_block` runs these after its walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from clustersim.scenario.aws.task_definition_rules import Block, ecs_rules, items, number
from clustersim.scenario.text.document import Problem, Steps

Refusal = Callable[[Block], list[Problem]]

_FARGATE = ("FARGATE", "FARGATE_SPOT")
_METRIC_FIELDS = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")


def _placement(block: Block) -> list[Problem]:
    """What CreateService, UpdateService and RunTask refuse about where tasks go."""
    found: list[Problem] = []
    strategy = [item for _, item in items(block, "capacityProviderStrategy")]
    if "launchType" in block and strategy:
        what = "a launch type and a capacity provider strategy exclude each other"
        found.append(Problem(("launchType",), what, "one of the two"))
    found.extend(_capacity_provider_strategy(strategy))
    for path, rule in items(block, "placementStrategy"):
        kind, field = rule.get("type"), rule.get("field")
        if kind == "binpack" and str(field).lower() not in ("cpu", "memory"):
            found.append(Problem((*path, "field"), f"binpack by {field or 'nothing'}", "cpu or memory"))
        elif kind == "spread" and not field:
            found.append(Problem((*path, "field"), "spread by nothing", "instanceId or attribute:NAME"))
    for path, rule in items(block, "placementConstraints"):
        found.extend(_constraint(path, rule))
    if block.get("launchType") == "FARGATE":
        # ECS Developer Guide, task placement: strategies and constraints are not for Fargate
        found.extend(
            Problem((field,), f"Fargate takes no {field}", "none, or launchType: EC2")
            for field in ("placementStrategy", "placementConstraints")
            if block.get(field)
        )
    return found


def _constraint(path: Steps, rule: Block) -> Iterator[Problem]:
    kind = rule.get("type")
    if kind == "memberOf" and not rule.get("expression"):
        yield Problem((*path, "expression"), "memberOf without an expression", "a cluster query")
    elif kind == "distinctInstance" and rule.get("expression"):
        yield Problem(
            (*path, "expression"), "distinctInstance takes no expression", "none, or type: memberOf"
        )


def _capacity_provider_strategy(strategy: list[Block]) -> Iterator[Problem]:
    """API CapacityProviderStrategyItem, and the ECS Developer Guide on cluster capacity providers."""
    path = ("capacityProviderStrategy",)
    if len(strategy) > 1 and all(item.get("weight", 0) == 0 for item in strategy):
        yield Problem(path, "every provider has weight 0", "a weight above 0 for at least one")
    if sum((number(item, "base") or 0) > 0 for item in strategy) > 1:
        yield Problem(path, "more than one provider has a base", "a base for one provider only")
    names = [str(item.get("capacityProvider")) for item in strategy]
    if len({name.rsplit("/", 1)[-1] in _FARGATE for name in names}) > 1:
        what = "Fargate and Auto Scaling group providers are mixed"
        yield Problem(path, what, "providers of one kind")
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem(
                (*path, index, "capacityProvider"), f"{name} for the second time", "each provider once"
            )


def _service(block: Block) -> list[Problem]:
    """What CreateService and UpdateService refuse about deployments."""
    found: list[Problem] = []
    deployment = block.get("deploymentConfiguration")
    deployment = deployment if isinstance(deployment, Mapping) else {}
    maximum = number(deployment, "maximumPercent")
    path = ("deploymentConfiguration", "maximumPercent")
    if block.get("availabilityZoneRebalancing") == "ENABLED" and maximum is not None and maximum <= 100:
        what = "Availability Zone rebalancing needs a maximumPercent above 100"
        found.append(Problem(path, what, "more than 100, or availabilityZoneRebalancing: DISABLED"))
    if block.get("schedulingStrategy") == "DAEMON":
        if maximum is not None and maximum != 100:
            found.append(Problem(path, "a daemon service takes no maximumPercent but 100", "100"))
        if block.get("launchType") == "FARGATE":
            found.append(Problem(("schedulingStrategy",), "Fargate has no daemon services", "REPLICA"))
    if deployment.get("strategy") == "BLUE_GREEN" and "bakeTimeInMinutes" not in deployment:
        missing = ("deploymentConfiguration", "bakeTimeInMinutes")
        found.append(Problem(missing, "missing", "BLUE_GREEN needs it"))
    return found


def _capacity_provider(block: Block) -> list[Problem]:
    kinds = [kind for kind in ("autoScalingGroupProvider", "managedInstancesProvider") if kind in block]
    if len(kinds) != 1:
        what = "both kinds of provider" if kinds else "no kind of provider"
        return [Problem((), what, "either autoScalingGroupProvider or managedInstancesProvider")]
    if block.get("name") in _FARGATE:
        return [Problem(("name",), f"{block['name']} always exists", "a name of its own")]
    provider = block[kinds[0]]
    scaling = provider.get("managedScaling") if isinstance(provider, Mapping) else None
    if not isinstance(scaling, Mapping):
        return []
    least, most = number(scaling, "minimumScalingStepSize"), number(scaling, "maximumScalingStepSize")
    if least is None or most is None or least <= most:
        return []
    path = ("autoScalingGroupProvider", "managedScaling", "minimumScalingStepSize")
    return [Problem(path, f"{least} is above maximumScalingStepSize", f"at most {most}")]


def _group(block: Block) -> list[Problem]:
    """EC2 Auto Scaling: the desired capacity lies between the least and the greatest size."""
    least, most, desired = (number(block, field) for field in ("MinSize", "MaxSize", "DesiredCapacity"))
    if least is not None and most is not None and least > most:
        return [Problem(("MinSize",), f"{least} is above maxSize {most}", f"at most {most}")]
    if desired is None or least is None or most is None or least <= desired <= most:
        return []
    what = f"Desired capacity:{desired} must be between the specified min size:{least} and max size:{most}"
    return [Problem(("DesiredCapacity",), what, f"{least} to {most}")]


def _scalable_target(block: Block) -> list[Problem]:
    least, most = number(block, "MinCapacity"), number(block, "MaxCapacity")
    if least is None or most is None or least <= most:
        return []
    return [Problem(("MinCapacity",), f"{least} is above maxCapacity {most}", f"at most {most}")]


def _scheduled_action(block: Block) -> list[Problem]:
    action = block.get("ScalableTargetAction")
    inner = _scalable_target(action) if isinstance(action, Mapping) else []
    return [
        Problem(("ScalableTargetAction", *problem.path), problem.what, problem.right) for problem in inner
    ]


def _scaling_policy(block: Block) -> list[Problem]:
    """Application Auto Scaling: a policy has the configuration of its type, and one metric."""
    fields = {
        "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
        "StepScaling": "StepScalingPolicyConfiguration",
        "PredictiveScaling": "PredictiveScalingPolicyConfiguration",
    }
    wanted = fields.get(str(block.get("PolicyType")))
    if wanted is None:
        return []
    if wanted not in block:
        return [Problem((wanted,), "missing", f"policyType {block['PolicyType']} needs it")]
    found = [
        Problem((field,), f"not of a {block['PolicyType']} policy", "no such field, or another policyType")
        for field in fields.values()
        if field != wanted and field in block
    ]
    tracking = block.get("TargetTrackingScalingPolicyConfiguration")
    if isinstance(tracking, Mapping):
        metrics = [
            kind
            for kind in ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
            if kind in tracking
        ]
        if len(metrics) != 1:
            what = "two metrics" if metrics else "no metric"
            right = "either predefinedMetricSpecification or customizedMetricSpecification"
            found.append(Problem(("TargetTrackingScalingPolicyConfiguration",), what, right))
        target = tracking.get("TargetValue")
        if isinstance(target, float) and target <= 0:
            path = ("TargetTrackingScalingPolicyConfiguration", "TargetValue")
            found.append(Problem(path, f"{target:g} is out of range", "above 0"))
    return found


def _target_group(block: Block) -> list[Problem]:
    """ELB: a health check is over before the next one begins."""
    interval, timeout = (
        number(block, "HealthCheckIntervalSeconds"),
        number(block, "HealthCheckTimeoutSeconds"),
    )
    if interval is None or timeout is None or timeout <= interval:
        return []
    return [
        Problem(("HealthCheckTimeoutSeconds",), f"{timeout} s is above the interval", f"at most {interval}")
    ]


def _alarm(block: Block) -> list[Problem]:
    """CloudWatch: periods of 10, 20, 30 or a multiple of 60 seconds; M out of N datapoints, M at most N."""
    found: list[Problem] = []
    period, needed, looked_at = (
        number(block, f) for f in ("Period", "DatapointsToAlarm", "EvaluationPeriods")
    )
    if period is not None and period not in (10, 20, 30) and period % 60:
        found.append(
            Problem(("Period",), f"{period} is no period of CloudWatch", "10, 20, 30 or a multiple of 60")
        )
    if needed is not None and looked_at is not None and needed > looked_at:
        found.append(
            Problem(("DatapointsToAlarm",), f"{needed} is above evaluationPeriods", f"at most {looked_at}")
        )
    return found


REFUSALS: dict[str, tuple[Refusal, ...]] = {
    "ecs.RegisterTaskDefinition": (ecs_rules,),
    "ecs.CreateService": (_placement, _service),
    "ecs.UpdateService": (_placement, _service),
    "ecs.RunTask": (_placement,),
    "ecs.CreateCapacityProvider": (_capacity_provider,),
    "autoscaling.CreateAutoScalingGroup": (_group,),
    "application-autoscaling.RegisterScalableTarget": (_scalable_target,),
    "application-autoscaling.PutScheduledAction": (_scheduled_action,),
    "application-autoscaling.PutScalingPolicy": (_scaling_policy,),
    "elbv2.CreateTargetGroup": (_target_group,),
    "cloudwatch.PutMetricAlarm": (_alarm,),
}
