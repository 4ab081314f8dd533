"""Rules of AWS operations that span several fields of a block.

Decides which combinations of valid fields AWS rejects: a strategy that mixes Fargate and Auto Scaling groups, a
group whose desired size is above its maximum. It must not know the API models, files or other blocks: it reads
one block in the API's own case. A field of a wrong type is skipped; it has a problem of its own.
`block_validation.validate_block` applies these rules after the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from clustersim.policy.placement.placement_strategies import STRATEGIES
from clustersim.scenario.aws.task_definition_rules import Block, check_task_definition, int_field, iter_items
from clustersim.scenario.text.document import FieldPath, Problem

CrossFieldRule = Callable[[Block], list[Problem]]

_NOT_OF_DAEMONS = {
    "capacityProviderStrategy": "capacity provider strategy",
    "placementStrategy": "placement strategy",
}
_FARGATE = ("FARGATE", "FARGATE_SPOT")
_METRIC_FIELDS = ("PredefinedMetricSpecification", "CustomizedMetricSpecification")


def _check_placement(block: Block) -> list[Problem]:
    """Check the placement fields of CreateService, UpdateService and RunTask."""
    problems: list[Problem] = []
    strategy = [item for _, item in iter_items(block, "capacityProviderStrategy")]
    if "launchType" in block and strategy:
        message = "a launch type and a capacity provider strategy exclude each other"
        problems.append(Problem(("launchType",), message, "one of the two"))
    problems.extend(_check_strategy(strategy))
    for path, rule in iter_items(block, "placementStrategy"):
        kind, field = rule.get("type"), rule.get("field")
        named = STRATEGIES.get(kind) if isinstance(kind, str) else None
        if named is not None and named.spell(field) is None:
            message = f"cannot {kind} by {field or 'nothing'}"
            problems.append(Problem((*path, "field"), message, named.hint))
    for path, rule in iter_items(block, "placementConstraints"):
        problems.extend(_check_constraint(path, rule))
    if block.get("launchType") == "FARGATE":
        # ECS Developer Guide, task placement: strategies and constraints are not for Fargate
        problems.extend(
            Problem((field,), f"Fargate takes no {field}", "none, or launchType: EC2")
            for field in ("placementStrategy", "placementConstraints")
            if block.get(field)
        )
    return problems


def _check_constraint(path: FieldPath, rule: Block) -> Iterator[Problem]:
    kind = rule.get("type")
    if kind == "memberOf" and not rule.get("expression"):
        yield Problem((*path, "expression"), "memberOf without an expression", "a cluster query")
    elif kind == "distinctInstance" and rule.get("expression"):
        yield Problem(
            (*path, "expression"), "distinctInstance takes no expression", "none, or type: memberOf"
        )


def _check_strategy(strategy: list[Block]) -> Iterator[Problem]:
    """Check a strategy (API CapacityProviderStrategyItem; ECS Developer Guide: cluster capacity providers)."""
    path = ("capacityProviderStrategy",)
    if len(strategy) > 1 and all(item.get("weight", 0) == 0 for item in strategy):
        yield Problem(path, "every provider has weight 0", "a weight above 0 for at least one")
    if sum((int_field(item, "base") or 0) > 0 for item in strategy) > 1:
        yield Problem(path, "more than one provider has a base", "a base for one provider only")
    names = [str(item.get("capacityProvider")) for item in strategy]
    if len({name.rsplit("/", 1)[-1] in _FARGATE for name in names}) > 1:
        message = "Fargate and Auto Scaling group providers are mixed"
        yield Problem(path, message, "providers of one kind")
    for index, name in enumerate(names):
        if name in names[:index]:
            yield Problem((*path, index, "capacityProvider"), f"{name} is listed twice", "each provider once")


def _check_service(block: Block) -> list[Problem]:
    """Check the deployment fields of CreateService and UpdateService."""
    problems: list[Problem] = []
    deployment = block.get("deploymentConfiguration")
    deployment = deployment if isinstance(deployment, Mapping) else {}
    maximum = int_field(deployment, "maximumPercent")
    path = ("deploymentConfiguration", "maximumPercent")
    if block.get("availabilityZoneRebalancing") == "ENABLED" and maximum is not None and maximum <= 100:
        message = "Availability Zone rebalancing needs a maximumPercent above 100"
        problems.append(Problem(path, message, "more than 100, or availabilityZoneRebalancing: DISABLED"))
    if block.get("schedulingStrategy") == "DAEMON":
        if maximum is not None and maximum != 100:
            problems.append(Problem(path, "a daemon service takes no maximumPercent but 100", "100"))
        if block.get("launchType") == "FARGATE":
            problems.append(Problem(("schedulingStrategy",), "Fargate has no daemon services", "REPLICA"))
        problems.extend(
            Problem((field,), f"a daemon service takes no {words}", "none, and launchType: EC2")
            for field, words in _NOT_OF_DAEMONS.items()
            if block.get(field)
        )
    problems.extend(_check_lifecycle_hooks(deployment))
    if deployment.get("strategy") == "BLUE_GREEN" and "bakeTimeInMinutes" not in deployment:
        missing = ("deploymentConfiguration", "bakeTimeInMinutes")
        problems.append(Problem(missing, "missing", "BLUE_GREEN needs it"))
    return problems


def _check_lifecycle_hooks(deployment: Block) -> Iterator[Problem]:
    """Check the lifecycle hooks of a deployment (ECS Developer Guide: lifecycle hooks, Lambda hooks, pause hooks)."""
    counts = dict.fromkeys(("PAUSE", "AWS_LAMBDA"), 0)
    for step, hook in iter_items(deployment, "lifecycleHooks"):
        path = ("deploymentConfiguration", *step)
        pause = hook.get("targetType") == "PAUSE"
        counts["PAUSE" if pause else "AWS_LAMBDA"] += 1
        stages = hook.get("lifecycleStages")
        for index, stage in enumerate(stages if isinstance(stages, list) else ()):
            if pause and stage in ("TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"):
                message = f"a deployment cannot pause at {stage}, which a rollback calls too"
                hint = f"PRE_PRODUCTION_TRAFFIC_SHIFT or POST_{stage}"
                yield Problem((*path, "lifecycleStages", index), message, hint)
        timeout = hook.get("timeoutConfiguration")
        minutes = int_field(timeout, "timeoutInMinutes") if isinstance(timeout, Mapping) else None
        if minutes is not None and minutes > 1440 and not pause:
            where = (*path, "timeoutConfiguration", "timeoutInMinutes")
            yield Problem(where, f"{minutes} is out of range for a Lambda function", "at most 1440")
    for kind, count in counts.items():
        if count > 10:
            where = ("deploymentConfiguration", "lifecycleHooks")
            yield Problem(where, f"{count} hooks of type {kind}", "at most 10")


def _check_capacity_provider(block: Block) -> list[Problem]:
    kinds = [kind for kind in ("autoScalingGroupProvider", "managedInstancesProvider") if kind in block]
    if len(kinds) != 1:
        message = "has both kinds of provider" if kinds else "has no kind of provider"
        return [Problem((), message, "either autoScalingGroupProvider or managedInstancesProvider")]
    if block.get("name") in _FARGATE:
        return [Problem(("name",), f"{block['name']} always exists", "a name of its own")]
    provider = block[kinds[0]]
    scaling = provider.get("managedScaling") if isinstance(provider, Mapping) else None
    if not isinstance(scaling, Mapping):
        return []
    minimum, maximum = (
        int_field(scaling, "minimumScalingStepSize"),
        int_field(scaling, "maximumScalingStepSize"),
    )
    if minimum is None or maximum is None or minimum <= maximum:
        return []
    path = ("autoScalingGroupProvider", "managedScaling", "minimumScalingStepSize")
    return [Problem(path, f"{minimum} is above maximumScalingStepSize", f"at most {maximum}")]


def _check_auto_scaling_group(block: Block) -> list[Problem]:
    """Check the sizes of a group: minimum <= desired capacity <= maximum (EC2 Auto Scaling)."""
    minimum, maximum, desired = (
        int_field(block, field) for field in ("MinSize", "MaxSize", "DesiredCapacity")
    )
    if minimum is not None and maximum is not None and minimum > maximum:
        return [Problem(("MinSize",), f"{minimum} is above maxSize {maximum}", f"at most {maximum}")]
    if desired is None or minimum is None or maximum is None or minimum <= desired <= maximum:
        return []
    message = (
        f"Desired capacity:{desired} must be between the specified min size:{minimum} and max size:{maximum}"
    )
    return [Problem(("DesiredCapacity",), message, f"{minimum} to {maximum}")]


def _check_scalable_target(block: Block) -> list[Problem]:
    minimum, maximum = int_field(block, "MinCapacity"), int_field(block, "MaxCapacity")
    if minimum is None or maximum is None or minimum <= maximum:
        return []
    return [Problem(("MinCapacity",), f"{minimum} is above maxCapacity {maximum}", f"at most {maximum}")]


def _check_scheduled_action(block: Block) -> list[Problem]:
    action = block.get("ScalableTargetAction")
    problems = _check_scalable_target(action) if isinstance(action, Mapping) else []
    return [
        Problem(("ScalableTargetAction", *problem.path), problem.message, problem.hint)
        for problem in problems
    ]


def _check_scaling_policy(block: Block) -> list[Problem]:
    """Check that a policy has the configuration of its type, and one metric (Application Auto Scaling)."""
    fields = {
        "TargetTrackingScaling": "TargetTrackingScalingPolicyConfiguration",
        "StepScaling": "StepScalingPolicyConfiguration",
        "PredictiveScaling": "PredictiveScalingPolicyConfiguration",
    }
    configuration = fields.get(str(block.get("PolicyType")))
    if configuration is None:
        return []
    if configuration not in block:
        return [Problem((configuration,), "missing", f"policyType {block['PolicyType']} needs it")]
    problems = [
        Problem((field,), f"not of a {block['PolicyType']} policy", "no such field, or another policyType")
        for field in fields.values()
        if field != configuration and field in block
    ]
    tracking = block.get("TargetTrackingScalingPolicyConfiguration")
    if isinstance(tracking, Mapping):
        metrics = [
            kind
            for kind in ("PredefinedMetricSpecification", "CustomizedMetricSpecification")
            if kind in tracking
        ]
        if len(metrics) != 1:
            message = "two metrics" if metrics else "no metric"
            hint = "either predefinedMetricSpecification or customizedMetricSpecification"
            problems.append(Problem(("TargetTrackingScalingPolicyConfiguration",), message, hint))
        target = tracking.get("TargetValue")
        if isinstance(target, float) and target <= 0:
            path = ("TargetTrackingScalingPolicyConfiguration", "TargetValue")
            problems.append(Problem(path, f"{target:g} is out of range", "above 0"))
    return problems


def _check_target_group(block: Block) -> list[Problem]:
    """Check that a health check times out before the next one begins (ELB)."""
    interval, timeout = (
        int_field(block, "HealthCheckIntervalSeconds"),
        int_field(block, "HealthCheckTimeoutSeconds"),
    )
    if interval is None or timeout is None or timeout <= interval:
        return []
    return [
        Problem(("HealthCheckTimeoutSeconds",), f"{timeout} s is above the interval", f"at most {interval}")
    ]


def _check_alarm(block: Block) -> list[Problem]:
    """Check the period (10, 20, 30 or a multiple of 60 seconds) and M <= N of M-out-of-N alarms (CloudWatch)."""
    problems: list[Problem] = []
    period, datapoints, periods = (
        int_field(block, f) for f in ("Period", "DatapointsToAlarm", "EvaluationPeriods")
    )
    if period is not None and period not in (10, 20, 30) and period % 60:
        problems.append(
            Problem(("Period",), f"{period} is not a period of CloudWatch", "10, 20, 30 or a multiple of 60")
        )
    if datapoints is not None and periods is not None and datapoints > periods:
        problems.append(
            Problem(("DatapointsToAlarm",), f"{datapoints} is above evaluationPeriods", f"at most {periods}")
        )
    return problems


CROSS_FIELD_RULES: dict[str, tuple[CrossFieldRule, ...]] = {
    "ecs.RegisterTaskDefinition": (check_task_definition,),
    "ecs.CreateService": (_check_placement, _check_service),
    "ecs.UpdateService": (_check_placement, _check_service),
    "ecs.RunTask": (_check_placement,),
    "ecs.CreateCapacityProvider": (_check_capacity_provider,),
    "autoscaling.CreateAutoScalingGroup": (_check_auto_scaling_group,),
    "application-autoscaling.RegisterScalableTarget": (_check_scalable_target,),
    "application-autoscaling.PutScheduledAction": (_check_scheduled_action,),
    "application-autoscaling.PutScalingPolicy": (_check_scaling_policy,),
    "elbv2.CreateTargetGroup": (_check_target_group,),
    "cloudwatch.PutMetricAlarm": (_check_alarm,),
}
