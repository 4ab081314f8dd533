"""The JSON Schema of AWS blocks: free objects whose main fields are described for editors.

Decides which fields an editor offers. Must not be used to refuse a block: `aws.block_validation` checks it against
botocore's own models, where the case of a field is free. `scenario_file` uses these types for its lists.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import WithJsonSchema

from clustersim.policy.placement.placement_strategies import STRATEGIES
from clustersim.scenario.sections.scaling import POLICY_TYPES
from clustersim.vocabulary import ScalingProcess

_TEXT = {"type": "string"}
_COUNT = {"type": "integer", "minimum": 0}
_SWITCH = {"enum": ["ENABLED", "DISABLED"]}
_PERCENT = {"type": "integer", "minimum": 0, "maximum": 100}
_STEP = {"type": "integer", "minimum": 1, "maximum": 10_000}


def _object(description: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": description,
        "properties": {name: _described(schema) for name, schema in properties.items()},
        "additionalProperties": True,
    }


def _described(schema: Any) -> Any:
    return {"description": schema} if isinstance(schema, str) else schema


def _item(description: str, own: dict[str, Any] | None = None, **properties: Any) -> WithJsonSchema:
    """Return the schema of an item of a list of AWS blocks: the fields themselves, or a file with keys beside it."""
    file = {**_TEXT, "description": "a describe call's answer or a create call's input, as JSON"}
    return WithJsonSchema(_object(description, file=file, **properties, **(own or {})))


def _list(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


_STRATEGY = _object("CapacityProviderStrategyItem", capacityProvider=_TEXT, weight=_COUNT, base=_COUNT)
_PLACEMENT = _list(
    _object(
        "PlacementStrategy",
        type={"enum": list(STRATEGIES), "description": "custom is own: it asks a function of yours"},
        field=_TEXT,
        policy="own, of type custom: the function to ask, like mypackage.module:function",
        parameters="own, of type custom: what the function gets as `parameters`",
    )
)
_CONSTRAINTS = _list(
    _object("PlacementConstraint", type={"enum": ["distinctInstance", "memberOf"]}, expression=_TEXT)
)
_TASK_PLACEMENT = {
    "launchType": {"enum": ["EC2", "FARGATE"]},
    "capacityProviderStrategy": _list(_STRATEGY),
    "placementStrategy": _PLACEMENT,
    "placementConstraints": _CONSTRAINTS,
    "networkConfiguration": _object("awsvpcConfiguration with subnets"),
}
_BEHAVIOR = {"$model": "WrittenBehavior"}
_DEPLOYMENT = _object(
    "DeploymentConfiguration",
    minimumHealthyPercent=_COUNT,
    maximumPercent=_COUNT,
    deploymentCircuitBreaker=_object(
        "DeploymentCircuitBreaker",
        enable={"type": "boolean"},
        rollback={"type": "boolean"},
        resetOnHealthyTask={
            "type": "boolean",
            "description": "a healthy task resets the count; default true",
        },
        thresholdConfiguration=_object("type and value; default BOUNDED_PERCENT of 50"),
        crashesBeforeHealthy={
            "enum": ["withHealthCheck", "always", "never"],
            "description": "own: which services' crashes after RUNNING, before healthy, are failures",
        },
    ),
    lifecycleHooks=_list(
        _object(
            "DeploymentLifecycleHook",
            targetType={"enum": ["AWS_LAMBDA", "PAUSE"]},
            lifecycleStages=_list(_TEXT),
            result={"$model": "WrittenHookResult"},
        )
    ),
)
_CONTAINER = _object(
    "ContainerDefinition",
    name=_TEXT,
    image=_TEXT,
    essential={"type": "boolean"},
    cpu={**_COUNT, "description": "CPU units; 1024 are one vCPU"},
    memory={**_COUNT, "description": "hard limit, MiB"},
    memoryReservation={**_COUNT, "description": "soft limit, MiB"},
    portMappings=_list(_object("PortMapping", containerPort=_COUNT, hostPort=_COUNT)),
    healthCheck=_object("HealthCheck", interval=_COUNT, timeout=_COUNT, retries=_COUNT, startPeriod=_COUNT),
    stopTimeout={**_COUNT, "description": "seconds from SIGTERM to SIGKILL; default 30"},
)
_POLICY = _object(
    "PutScalingPolicy (Application Auto Scaling)",
    policyName=_TEXT,
    policyType={"enum": list(POLICY_TYPES), "description": "Custom is own: it asks a function of yours"},
    targetTrackingScalingPolicyConfiguration=_object("targetValue and a metric"),
    stepScalingPolicyConfiguration=_object("adjustmentType and stepAdjustments"),
    alarm=_object("own: the alarm of a step scaling policy (PutMetricAlarm)"),
    policy="own, of policyType Custom: the function to ask, like mypackage.module:function",
    parameters="own, of policyType Custom: what the function gets as `parameters`",
    scaleOutCooldown="own, of policyType Custom: a duration; default 0s",
    scaleInCooldown="own, of policyType Custom: a duration; default 0s",
)
_SCHEDULED = _object(
    "PutScheduledAction",
    scheduledActionName=_TEXT,
    schedule="cron(...), rate(...) or at(...)",
    timezone=_TEXT,
    scalableTargetAction=_object("ScalableTargetAction", minCapacity=_COUNT, maxCapacity=_COUNT),
)

_AGENT = {
    "ecsConfig": {"$model": "WrittenEcsConfig"},
    "instanceRole": {
        **_TEXT,
        "description": "own: a role of `roles`; default: may pull from ECR and write logs",
    },
    "preloadedImages": {**_list(_TEXT), "description": "own: images that come with the machine image"},
    "systemDisk": {"description": "own: the part of the root volume that the system takes, like 3 GiB"},
}

_RANGE = _object("a range", min={"type": "number"}, max={"type": "number"})

StrategyItemBlock = Annotated[dict[str, Any], WithJsonSchema(_STRATEGY)]

_GROUP: dict[str, Any] = {
    **dict.fromkeys(("minSize", "maxSize", "desiredCapacity"), _COUNT),
    "mixedInstancesPolicy": _object(
        "MixedInstancesPolicy, in place of instanceTypes",
        instancesDistribution=_object(
            "InstancesDistribution",
            onDemandBaseCapacity=_COUNT,
            onDemandPercentageAboveBaseCapacity=_PERCENT,
            onDemandAllocationStrategy={"enum": ["prioritized", "lowest-price"]},
            spotAllocationStrategy=_TEXT,
        ),
        launchTemplate=_object("overrides with an instanceType each"),
    ),
    "terminationPolicies": _list(_TEXT),
    "newInstancesProtectedFromScaleIn": {"type": "boolean"},
    "instanceTypes": {**_list(_TEXT), "description": "own: EC2 instance types, in order of preference"},
    "purchaseOption": {"enum": ["on-demand", "spot"], "description": "own"},
    "launchTime": "own: from request to registered; a duration or a distribution",
    "attributes": "own: attributes for memberOf; the values of a list are assigned in turn",
    "rootVolume": "own: the root volume of an instance, like 30 GiB",
    "scalingPolicies": "own: PutScalingPolicy (EC2 Auto Scaling)",
    "suspendedProcesses": {
        **_list({"anyOf": [{"enum": [process.value for process in ScalingProcess]}, {"type": "object"}]}),
        "description": "own: processes that are suspended when the run begins",
    },
    **_AGENT,
}
AutoScalingGroupBlock = Annotated[
    dict[str, Any], _item("CreateAutoScalingGroup (EC2 Auto Scaling)", autoScalingGroupName=_TEXT, **_GROUP)
]
_MANAGED_INSTANCES = _object(
    "ManagedInstancesProvider",
    instanceLaunchTemplate=_object(
        "InstanceLaunchTemplate",
        capacityOptionType={"enum": ["ON_DEMAND", "SPOT"]},
        instanceRequirements=_object(
            "InstanceRequirementsRequest; without any, general-purpose types",
            allowedInstanceTypes=_list(_TEXT),
            excludedInstanceTypes=_list(_TEXT),
            vCpuCount=_RANGE,
            memoryMiB=_RANGE,
            cpuManufacturers=_list({"enum": ["intel", "amd", "amazon-web-services"]}),
        ),
        networkConfiguration=_object("subnets"),
        storageConfiguration=_object("ManagedInstancesStorageConfiguration", storageSizeGiB=_COUNT),
    ),
    infrastructureOptimization=_object(
        "InfrastructureOptimization",
        scaleInAfter={"type": "integer", "minimum": -1, "maximum": 3600, "description": "seconds; -1: never"},
    ),
    stopsTasksWhenDraining={
        "type": "boolean",
        "description": "own: standalone tasks stop on day 14, when their instance begins to drain; default false",
    },
    launchTime="own: from request to registered; a duration or a distribution",
)
CapacityProviderBlock = Annotated[
    dict[str, Any],
    _item(
        "CreateCapacityProvider",
        name=_TEXT,
        autoScalingGroupProvider=_object(
            "AutoScalingGroupProvider",
            autoScalingGroup=_object("own: in place of autoScalingGroupArn", **_GROUP),
            managedScaling=_object(
                "ManagedScaling",
                status=_SWITCH,
                targetCapacity={"type": "integer", "minimum": 1, "maximum": 100},
                minimumScalingStepSize=_STEP,
                maximumScalingStepSize=_STEP,
                instanceWarmupPeriod={"type": "integer", "minimum": 0, "maximum": 10_000},
                scaleInInterval="own: from one step of a scale-in to the next; default 2m",
            ),
            managedTerminationProtection=_SWITCH,
            managedDraining=_SWITCH,
            managedDrainingTimeout="own: how long an instance may drain before it is terminated; default 48h",
        ),
        managedInstancesProvider=_MANAGED_INSTANCES,
    ),
]
TaskDefinitionBlock = Annotated[
    dict[str, Any],
    _item(
        "RegisterTaskDefinition; a family's n-th is revision n, unless it says `revision`",
        family=_TEXT,
        revision={"type": "integer", "minimum": 1, "description": "own"},
        networkMode={"enum": ["bridge", "host", "awsvpc", "none"]},
        requiresCompatibilities=_list({"enum": ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"]}),
        cpu={"type": ["string", "integer"], "description": 'CPU units like "512", or "0.5 vCPU"'},
        memory={"type": ["string", "integer"], "description": 'MiB like "1024", or "1 GB"'},
        taskRoleArn={**_TEXT, "description": "a role of `roles`; one that is not listed may do everything"},
        executionRoleArn={
            **_TEXT,
            "description": "a role of `roles`; one that is not listed may do everything",
        },
        containerDefinitions=_list(_CONTAINER),
        placementConstraints=_CONSTRAINTS,
        behavior=_BEHAVIOR,
    ),
]
TargetGroupBlock = Annotated[
    dict[str, Any],
    _item(
        "CreateTargetGroup (Elastic Load Balancing)",
        name=_TEXT,
        healthCheckIntervalSeconds=_COUNT,
        healthyThresholdCount=_COUNT,
        unhealthyThresholdCount=_COUNT,
        deregistrationDelay="own: a duration; default 300s",
        initialHealthChecks="own: checks that make a new target healthy; default 1",
        loadBalancingAlgorithmType={
            "enum": ["round_robin", "least_outstanding_requests"],
            "description": "own: the attribute load_balancing.algorithm.type, for services with load: {model: exact}",
        },
        slowStart="own: the attribute slow_start.duration_seconds, for services with load: {model: exact}",
    ),
]
AlarmBlock = Annotated[dict[str, Any], _item("PutMetricAlarm (CloudWatch)", alarmName=_TEXT)]
ServiceBlock = Annotated[
    dict[str, Any],
    _item(
        "CreateService",
        serviceName=_TEXT,
        taskDefinition="family:revision, or a family: its latest revision",
        desiredCount=_COUNT,
        **_TASK_PLACEMENT,
        deploymentConfiguration=_DEPLOYMENT,
        healthCheckGracePeriodSeconds=_COUNT,
        loadBalancers=_list(
            _object("LoadBalancer", targetGroupArn=_TEXT, containerName=_TEXT, containerPort=_COUNT)
        ),
        autoScaling=_object(
            "own: RegisterScalableTarget, PutScalingPolicy, PutScheduledAction",
            minCapacity=_COUNT,
            maxCapacity=_COUNT,
            policies=_list(_POLICY),
            scheduledActions=_list(_SCHEDULED),
            metricResolution={"description": "own: of the service's metrics: 60s, or 20s"},
        ),
        load={"$model": "WrittenLoad"},
        behavior=_BEHAVIOR,
        virtualMachines={"$model": "WrittenVirtualMachines"},
    ),
]
RunTaskBlock = Annotated[
    dict[str, Any],
    _item(
        "RunTask, with keys of our own for the time",
        name={**_TEXT, "description": "own"},
        taskDefinition="family:revision, or a family: its latest revision",
        count={"type": "integer", "minimum": 1},
        group=_TEXT,
        **_TASK_PLACEMENT,
        at="own: after start, like 2h",
        schedule="own: cron(0 3 * * ? *) or rate(15 minutes)",
        arrivals=_object("own: Poisson arrivals", ratePerHour={"type": "number"}),
        trace="own: a CSV file of tasks",
        duration="own: how long a task runs; a duration or a distribution",
        retries={**_COUNT, "description": "own: after a placement failure, a crash or an interruption"},
        behavior=_BEHAVIOR,
    ),
]
ActionBlock = Annotated[
    dict[str, Any],
    WithJsonSchema(
        _object(
            "an AWS operation with its input, and the time at which it is called", at="after start, like 2d"
        )
    ),
]
