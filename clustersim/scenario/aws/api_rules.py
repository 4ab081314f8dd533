"""Rules of the AWS APIs that botocore's models lack: tables keyed by operation and field path.

Decides which values, ranges and counts are documented but not in botocore's models, which required fields a
scenario may leave out, and which fields are not simulated yet. It holds data only and must not know how a block is
traversed; `block_validation` reads it.

A path names fields in the API's own case, joined by dots; `[]` stands for every item of a list.
Sources are quoted beside the rows; "API" is the ECS, Application Auto Scaling, EC2 Auto Scaling, Elastic Load
Balancing or CloudWatch API reference of the field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from clustersim.policy.placement.placement_strategies import STRATEGIES

Bounds = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Feature:
    """A feature that is not simulated: its name, and the field values that request it.

    Without `trigger_values` every value requests it that is not empty, zero or false.
    """

    name: str
    trigger_values: frozenset[Any] | None = None


def _feature(name: str, *values: Any) -> Feature:
    return Feature(name, frozenset(values) if values else None)


def _prefixed(prefix: str, rows: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{path}": row for path, row in rows.items()}


# --- ranges: the value of a number, the length of a text, the number of items of a list ----------------

_STRATEGY_ROWS: dict[str, Bounds] = {
    "capacityProviderStrategy": (None, 20),  # API CapacityProviderStrategyItem: at most 20 providers
    "placementStrategy": (None, 5),  # API CreateService
    "placementConstraints": (None, 10),  # API CreateService
    "placementConstraints[].expression": (1, 2000),  # API PlacementConstraint
    "networkConfiguration.awsvpcConfiguration.subnets": (None, 16),  # API AwsVpcConfiguration
    "networkConfiguration.awsvpcConfiguration.securityGroups": (None, 5),
}
_DEPLOYMENT_ROWS: dict[str, Bounds] = {
    "minimumHealthyPercent": (0, 100),
    "maximumPercent": (1, None),
    "bakeTimeInMinutes": (0, 1440),  # API DeploymentConfiguration: 24 hours per stage
    "linearConfiguration.stepPercent": (3.0, 100.0),  # API LinearConfiguration
    "linearConfiguration.stepBakeTimeInMinutes": (0, 1440),
    "canaryConfiguration.canaryPercent": (0.1, 100.0),  # API CanaryConfiguration
    "canaryConfiguration.canaryBakeTimeInMinutes": (0, 1440),
    "deploymentCircuitBreaker.thresholdConfiguration.value": (1, None),
}
_SERVICE_ROWS: dict[str, Bounds] = {
    "desiredCount": (0, None),
    "healthCheckGracePeriodSeconds": (0, 2_147_483_647),
    "loadBalancers": (None, 5),  # ECS service quotas: target groups per service
    "loadBalancers[].containerPort": (1, 65535),
    **_STRATEGY_ROWS,
    **_prefixed("deploymentConfiguration", _DEPLOYMENT_ROWS),
}
_CONTAINER_ROWS: dict[str, Bounds] = {
    "cpu": (0, None),
    "memory": (6, None),  # API ContainerDefinition.memory: Docker 20.10 reserves 6 MiB
    "memoryReservation": (6, None),
    "startTimeout": (0, None),
    "stopTimeout": (0, None),
    "portMappings[].containerPort": (1, 65535),
    "portMappings[].hostPort": (0, 65535),
    "healthCheck.interval": (5, 300),  # API HealthCheck
    "healthCheck.timeout": (2, 60),
    "healthCheck.retries": (1, 10),
    "healthCheck.startPeriod": (0, 300),
    "restartPolicy.restartAttemptPeriod": (60, 1800),  # API ContainerRestartPolicy
    "restartPolicy.ignoredExitCodes": (None, 50),
}

_TRACKING = "TargetTrackingScalingPolicyConfiguration"

RANGES: dict[str, dict[str, Bounds]] = {
    "ecs.CreateService": _SERVICE_ROWS,
    "ecs.UpdateService": _SERVICE_ROWS,
    # RunTask starts at most 10 tasks per call; an entry of a scenario may have a higher count: it makes several calls.
    "ecs.RunTask": {"count": (1, None), **_STRATEGY_ROWS},
    "ecs.RegisterTaskDefinition": {
        "containerDefinitions": (None, 10),  # ECS service quotas
        "placementConstraints": (None, 10),
        "placementConstraints[].expression": (1, 2000),
        "ephemeralStorage.sizeInGiB": (21, 200),  # API EphemeralStorage
        **_prefixed("containerDefinitions[]", _CONTAINER_ROWS),
    },
    "ecs.CreateCapacityProvider": {
        # API InfrastructureOptimization: -1 turns it off
        "managedInstancesProvider.infrastructureOptimization.scaleInAfter": (-1, 3600),
    },
    "application-autoscaling.RegisterScalableTarget": {"MinCapacity": (0, None), "MaxCapacity": (0, None)},
    "application-autoscaling.PutScheduledAction": {
        "ScalableTargetAction.MinCapacity": (0, None),
        "ScalableTargetAction.MaxCapacity": (0, None),
    },
    "application-autoscaling.PutScalingPolicy": {
        f"{_TRACKING}.ScaleOutCooldown": (0, None),
        f"{_TRACKING}.ScaleInCooldown": (0, None),
        "StepScalingPolicyConfiguration.Cooldown": (0, None),
        "StepScalingPolicyConfiguration.MinAdjustmentMagnitude": (1, None),
        "StepScalingPolicyConfiguration.StepAdjustments": (1, 20),  # Application Auto Scaling quotas
    },
    "autoscaling.CreateAutoScalingGroup": {
        "MinSize": (0, None),
        "MaxSize": (0, None),
        "DesiredCapacity": (0, None),
        "DefaultCooldown": (0, None),
        "DefaultInstanceWarmup": (-1, None),
        "MixedInstancesPolicy.InstancesDistribution.OnDemandBaseCapacity": (0, None),
        "MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity": (0, 100),
    },
    "autoscaling.PutScalingPolicy": {
        "Cooldown": (0, None),
        "EstimatedInstanceWarmup": (0, None),
        "MinAdjustmentMagnitude": (1, None),
        "StepAdjustments": (1, 20),
    },
}

# Numbers that must be a multiple of a step (API LinearConfiguration, CanaryConfiguration).
MULTIPLES: dict[str, dict[str, float]] = {
    operation: {
        "deploymentConfiguration.linearConfiguration.stepPercent": 0.1,
        "deploymentConfiguration.canaryConfiguration.canaryPercent": 0.1,
    }
    for operation in ("ecs.CreateService", "ecs.UpdateService")
}

# --- values: a subset of the model's, or missing in it --------------------------------------------------

_ECS_METRICS = (
    "ECSServiceAverageCPUUtilization",
    "ECSServiceAverageMemoryUtilization",
    "ALBRequestCountPerTarget",
    "ECSServiceAverageCPUUtilizationHighResolution",
    "ECSServiceAverageMemoryUtilizationHighResolution",
)
_SCALABLE_ECS: dict[str, tuple[str, ...]] = {
    "ServiceNamespace": ("ecs",),
    "ScalableDimension": ("ecs:service:DesiredCount",),
}
_LAUNCH_TYPES: dict[str, tuple[str, ...]] = {
    "launchType": ("EC2", "FARGATE"),
    "placementStrategy[].type": tuple(STRATEGIES),
}

VALUES: dict[str, dict[str, tuple[str, ...]]] = {
    "ecs.CreateService": _LAUNCH_TYPES,
    "ecs.RunTask": _LAUNCH_TYPES,
    "application-autoscaling.RegisterScalableTarget": _SCALABLE_ECS,
    "application-autoscaling.PutScheduledAction": _SCALABLE_ECS,
    "application-autoscaling.PutScalingPolicy": {
        **_SCALABLE_ECS,
        f"{_TRACKING}.PredefinedMetricSpecification.PredefinedMetricType": _ECS_METRICS,
    },
    "autoscaling.PutScalingPolicy": {
        "PolicyType": ("TargetTrackingScaling", "StepScaling", "SimpleScaling", "PredictiveScaling"),
        "AdjustmentType": ("ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"),
        "MetricAggregationType": ("Minimum", "Maximum", "Average"),
    },
    "autoscaling.CreateAutoScalingGroup": {
        "MixedInstancesPolicy.InstancesDistribution.OnDemandAllocationStrategy": (
            "lowest-price",
            "prioritized",
        ),
        "MixedInstancesPolicy.InstancesDistribution.SpotAllocationStrategy": (
            "lowest-price",
            "capacity-optimized",
            "capacity-optimized-prioritized",
            "price-capacity-optimized",
        ),
    },
    "cloudwatch.PutMetricAlarm": {"TreatMissingData": ("breaching", "notBreaching", "ignore", "missing")},
}

# Hints in the words of the service itself.
VALUE_HINTS: dict[str, dict[str, str]] = {
    "ecs.CreateService": {"launchType": "launch type should be one of [EC2,FARGATE]"},
    "ecs.RunTask": {"launchType": "launch type should be one of [EC2,FARGATE]"},
}

# --- required by the API, but optional in a scenario ----------------------------------------------------

_SCALABLE_IDS = frozenset({"ServiceNamespace", "ResourceId", "ScalableDimension"})
_OPTIONAL_TASK_FIELDS = frozenset(
    {
        "networkConfiguration.awsvpcConfiguration.subnets",
        "volumeConfigurations[].managedEBSVolume.roleArn",
    }
)
_OPTIONAL_SERVICE_FIELDS = _OPTIONAL_TASK_FIELDS | {
    "vpcLatticeConfigurations[].roleArn",
    "vpcLatticeConfigurations[].targetGroupArn",
}

OPTIONAL_FIELDS: dict[str, frozenset[str]] = {
    "ecs.CreateService": _OPTIONAL_SERVICE_FIELDS,
    "ecs.UpdateService": _OPTIONAL_SERVICE_FIELDS,
    "ecs.RunTask": _OPTIONAL_TASK_FIELDS | {"taskDefinition"},  # an entry with a trace has none
    "ecs.CreateCapacityProvider": frozenset(
        {
            "autoScalingGroupProvider.autoScalingGroupArn",
            "managedInstancesProvider.infrastructureRoleArn",
            "managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn",
            "managedInstancesProvider.instanceLaunchTemplate.networkConfiguration",
            "managedInstancesProvider.instanceLaunchTemplate.networkConfiguration.subnets",
            "managedInstancesProvider.instanceLaunchTemplate.instanceRequirements.memoryMiB",
            "managedInstancesProvider.instanceLaunchTemplate.instanceRequirements.vCpuCount",
        }
    ),
    "application-autoscaling.RegisterScalableTarget": _SCALABLE_IDS,
    "application-autoscaling.PutScheduledAction": _SCALABLE_IDS,
    "application-autoscaling.PutScalingPolicy": _SCALABLE_IDS,
    "autoscaling.CreateAutoScalingGroup": frozenset(
        {"AutoScalingGroupName"}
    ),  # one inside a provider has none
    "autoscaling.PutScalingPolicy": frozenset({"AutoScalingGroupName"}),
    "cloudwatch.PutMetricAlarm": frozenset({"AlarmName"}),  # the alarm inside a step scaling policy has none
}

# --- accepted, but not simulated yet; remove the row when the feature is added ---------------------------

_TASK_FEATURES = {"volumeConfigurations": _feature("Amazon EBS volumes of tasks")}
_SERVICE_FEATURES = {
    **_TASK_FEATURES,
    "deploymentController.type": _feature(
        "deployments by CodeDeploy or an external controller", "CODE_DEPLOY", "EXTERNAL"
    ),
    "loadBalancers[].loadBalancerName": _feature("Classic Load Balancers"),
    "serviceConnectConfiguration.enabled": _feature("Service Connect", True),
    "vpcLatticeConfigurations": _feature("VPC Lattice"),
    "gatewayConnectors": _feature("gateway connectors"),
}

# Requirements on attributes of instance types that the catalogue lacks.
_UNKNOWN_REQUIREMENTS = {
    "requireHibernateSupport": "a requirement of hibernation",
    "localStorage": "a requirement of local storage",
    "localStorageTypes": "a requirement of local storage",
    "totalLocalStorageGB": "a requirement of local storage",
    "baselineEbsBandwidthMbps": "a requirement of EBS bandwidth",
    "acceleratorManufacturers": "a requirement of certain accelerators",
    "acceleratorNames": "a requirement of certain accelerators",
    "acceleratorTotalMemoryMiB": "a requirement of certain accelerators",
    "spotMaxPricePercentageOverLowestPrice": "a bound on Spot prices",
    "maxSpotPriceAsPercentageOfOptimalOnDemandPrice": "a bound on Spot prices",
}

NOT_SIMULATED: dict[str, dict[str, Feature]] = {
    "ecs.CreateService": _SERVICE_FEATURES,
    "ecs.UpdateService": _SERVICE_FEATURES,
    "ecs.RunTask": {**_TASK_FEATURES, "overrides": _feature("task overrides")},
    "ecs.RegisterTaskDefinition": {
        "containerDefinitions[].resourceRequirements[].type": _feature(
            "accelerators other than GPUs", "InferenceAccelerator", "NeuronDevice"
        ),
        "inferenceAccelerators": _feature("Elastic Inference accelerators"),
        "runtimePlatform.operatingSystemFamily": _feature(
            "Windows containers",
            "WINDOWS_SERVER_2016_FULL",
            "WINDOWS_SERVER_2019_FULL",
            "WINDOWS_SERVER_2019_CORE",
            "WINDOWS_SERVER_2004_CORE",
            "WINDOWS_SERVER_20H2_CORE",
            "WINDOWS_SERVER_2022_FULL",
            "WINDOWS_SERVER_2022_CORE",
            "WINDOWS_SERVER_2025_FULL",
            "WINDOWS_SERVER_2025_CORE",
        ),
    },
    "ecs.CreateCapacityProvider": {
        "managedInstancesProvider.instanceLaunchTemplate.capacityOptionType": _feature(
            "capacity reservations", "RESERVED"
        ),
        **{
            f"managedInstancesProvider.instanceLaunchTemplate.instanceRequirements.{field}": _feature(words)
            for field, words in _UNKNOWN_REQUIREMENTS.items()
        },
    },
    "application-autoscaling.RegisterScalableTarget": {
        "SuspendedState.DynamicScalingInSuspended": _feature("suspended scaling", True),
        "SuspendedState.DynamicScalingOutSuspended": _feature("suspended scaling", True),
        "SuspendedState.ScheduledScalingSuspended": _feature("suspended scaling", True),
    },
    "application-autoscaling.PutScalingPolicy": {
        "PolicyType": _feature("predictive scaling", "PredictiveScaling"),
    },
    "autoscaling.PutScalingPolicy": {
        "PolicyType": _feature("predictive scaling", "PredictiveScaling"),
        "Enabled": _feature("a disabled policy", False),
    },
    "autoscaling.CreateAutoScalingGroup": {
        "CapacityRebalance": _feature("Capacity Rebalancing", True),
        "MaxInstanceLifetime": _feature("the maximum instance lifetime"),
        "LifecycleHookSpecificationList": _feature("lifecycle hooks of Auto Scaling groups"),
        "MixedInstancesPolicy.LaunchTemplate.Overrides[].WeightedCapacity": _feature("instance weights"),
        "MixedInstancesPolicy.LaunchTemplate.Overrides[].InstanceRequirements": _feature(
            "attribute-based instance type selection"
        ),
        "AvailabilityZoneDistribution.CapacityDistributionStrategy": _feature(
            "capacity reservations", "reservations-then-balanced"
        ),
        "InstanceMaintenancePolicy": _feature("instance maintenance policies"),
    },
    "elbv2.CreateTargetGroup": {"TargetType": _feature("Lambda and load balancer targets", "lambda", "alb")},
    "cloudwatch.PutMetricAlarm": {
        "EvaluationCriteria": _feature("PromQL alarms"),
        "ThresholdMetricId": _feature("anomaly detection alarms"),
        "EvaluationWindow": _feature("evaluation windows of alarms"),
        "WarmUpConfiguration": _feature("the warm-up of alarms"),
    },
}
