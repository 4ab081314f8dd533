"""The vocabulary of arrays and files: states, codes, reasons, units.

Kernels use small integers, results use the words of ECS; this module is the only mapping between the two. It must not
know behaviour. Every module may import it; it imports no other module of clustersim.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

NEVER = -1  # an instant that has not happened (null in the results)

MS_PER_SECOND = 1_000
MS_PER_MINUTE = 60_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 86_400_000
CPU_UNITS_PER_VCPU = 1_024
MIB_PER_GIB = 1_024

# Resources of a container instance: the rows of the `free` matrix.
CPU, MEMORY, GPU, ENI, HOST_PORTS = range(5)
RESOURCES = 5
RESOURCE_NAMES = ("CPU", "MEMORY", "GPU", "ENI", "PORTS")

# Kinds of calendar entries, in the order in which they happen at one instant: the rank in the heap.
(
    INSTANCE_FAILS,
    INSTANCE_RECLAIMED,
    SPOT_NOTICE_DUE,
    AGENT_DISCONNECTS,
    IMAGES_CLEANED,
    TASK_STOPPED,
    TASK_EXITS,
    CONTAINER_EXITS,
    TASK_INTERRUPTED,
    TASK_RETIRED,
    PROVISION_TIMEOUT,
    START_FAILS,
    HOST_HAS_ROOM,
    PULL_ENDS,
    IMAGE_PULLED,
    PULL_STARTS,
    CONTAINER_PULLS,
    TASK_STARTED,
    TASK_READY,
    TASK_HANGS,
    TASK_HEALTHY,
    TASK_UNHEALTHY,
    TARGET_UNHEALTHY,
    TASK_UNPROTECTED,
    TARGET_DEREGISTERED,
    FARGATE_ACCEPTED,
    INSTANCE_REGISTERS,
    AGENT_RECONNECTS,
    TASK_RETRIED,
    ENTRY_KINDS,
) = range(30)
INSTANCE_ENTRIES = (
    *(INSTANCE_FAILS, INSTANCE_RECLAIMED, SPOT_NOTICE_DUE, AGENT_DISCONNECTS, AGENT_RECONNECTS),
    *(IMAGES_CLEANED, INSTANCE_REGISTERS),
)
"""The kinds whose subject is a container instance; of all others it is a task."""

# A vCPU weighs as much as 9 GiB when the cost of an instance is divided among its tasks (MODEL.md: money).
# 1,024 CPU units then weigh 9,216 MiB, so one unit weighs 9 and one MiB weighs 1: integers.
WEIGHT_PER_CPU_UNIT = 9
WEIGHT_PER_MIB = 1


class TaskState(IntEnum):
    """The `lastStatus` of a task, in the order of its lifecycle (ECS Developer Guide: task lifecycle)."""

    PROVISIONING = 0
    PENDING = 1
    ACTIVATING = 2
    RUNNING = 3
    DEACTIVATING = 4
    STOPPING = 5
    DEPROVISIONING = 6
    STOPPED = 7


class InstanceState(IntEnum):
    """The status of a container instance (botocore: ContainerInstanceStatus), and the states before and after."""

    REGISTERING = 0
    ACTIVE = 1
    DRAINING = 2
    TERMINATED = 3


class ScalingProcess(StrEnum):
    """The processes of an Auto Scaling group (EC2 Auto Scaling User Guide: types of processes)."""

    LAUNCH = "Launch"
    TERMINATE = "Terminate"
    ADD_TO_LOAD_BALANCER = "AddToLoadBalancer"
    ALARM_NOTIFICATION = "AlarmNotification"
    AZ_REBALANCE = "AZRebalance"
    HEALTH_CHECK = "HealthCheck"
    INSTANCE_REFRESH = "InstanceRefresh"
    REPLACE_UNHEALTHY = "ReplaceUnhealthy"
    SCHEDULED_ACTIONS = "ScheduledActions"


class HealthStatus(IntEnum):
    """The `healthStatus` of a task or a container (botocore: HealthStatus)."""

    UNKNOWN = 0
    HEALTHY = 1
    UNHEALTHY = 2


class DependencyCondition(IntEnum):
    """The condition in which a container waits for another (botocore: ContainerCondition)."""

    START = 0
    COMPLETE = 1
    SUCCESS = 2
    HEALTHY = 3


class LaunchType(IntEnum):
    """The launch type of a task, as in the results."""

    EC2 = 0
    FARGATE = 1
    MANAGED_INSTANCES = 2
    VIRTUAL_MACHINE = 3


class StopCode(IntEnum):
    """The `stopCode` of a task (botocore: TaskStopCode); NONE is null in the results."""

    NONE = 0
    TaskFailedToStart = 1
    EssentialContainerExited = 2
    UserInitiated = 3
    ServiceSchedulerInitiated = 4
    SpotInterruption = 5
    TerminationNotice = 6


class WaitReason(IntEnum):
    """The reason of the last placement failure of a task (ECS API failures); NONE is null in the results."""

    NONE = 0
    RESOURCE_CPU = 1
    RESOURCE_MEMORY = 2
    RESOURCE_GPU = 3
    RESOURCE_ENI = 4
    RESOURCE_PORTS = 5
    ATTRIBUTE = 6
    MEMBER_OF = 7
    DISTINCT_INSTANCE = 8
    NO_ACTIVE_INSTANCES = 9
    EMPTY_CAPACITY_PROVIDER = 10
    PROVISIONING_LIMIT = 11
    FARGATE_VCPU_QUOTA = 12
    FARGATE_LAUNCH_RATE = 13
    FARGATE_CAPACITY = 14
    AGENT = 15
    NO_ADDRESS = 16
    HOST_CPU = 17
    HOST_MEMORY = 18
    HOST_GPU = 19
    HOST_ENI = 20
    HOST_PORTS = 21
    HOST_QUEUE = 22


WAIT_REASON_TEXTS = (
    None,
    "RESOURCE:CPU",
    "RESOURCE:MEMORY",
    "RESOURCE:GPU",
    "RESOURCE:ENI",
    "RESOURCE:PORTS",
    "ATTRIBUTE",
    "MemberOf placement constraint unsatisfied",
    "DistinctInstance placement constraint unsatisfied",
    "NO ACTIVE INSTANCES",
    "EMPTY CAPACITY PROVIDER",
    "ClientException: the limit of tasks in PROVISIONING is reached",
    "You've reached the limit on the number of vCPUs you can run concurrently",
    "Fargate launch rate",
    "Capacity is unavailable at this time. Please try again later or in a different availability zone",
    "AGENT",
    "InsufficientFreeAddressesInSubnet",
    # Placed, and held in PENDING by the agent: the host lacks this, or the task is behind another.
    *("HOST:CPU", "HOST:MEMORY", "HOST:GPU", "HOST:ENI", "HOST:PORTS", "HOST:QUEUE"),
)


class StoppedReason(IntEnum):
    """The `stoppedReason` of a task as a template; NONE is null in the results."""

    NONE = 0
    ESSENTIAL_CONTAINER_EXITED = 1
    SCALING_ACTIVITY = 2
    START_FAILED = 3
    HOST_TERMINATED = 4
    STOPPED_BY_USER = 5
    PLACEMENT_FAILED = 6
    ELB_HEALTH_CHECK = 7
    CONTAINER_HEALTH_CHECK = 8
    INSTANCE_DRAINING = 9
    DEPENDENCY_NOT_MET = 10
    SPOT_INTERRUPTED = 11
    MAINTENANCE = 12
    ZONE_LOST = 13
    CANNOT_PULL = 14
    ACCESS_DENIED = 15
    NO_ADDRESS = 16
    OUT_OF_MEMORY = 17


# `{deployment}`, `{instance}`, `{wait}` and `{sentence}` are filled from the task's own row.
STOPPED_REASON_TEXTS = (
    None,
    "Essential container in task exited",
    "Scaling activity initiated by (deployment {deployment})",
    "CannotStartContainerError: the application's container could not be started",
    "Host EC2 (instance {instance}) terminated.",
    "Task stopped by user",
    "TaskFailedToStart: {wait}",
    "Task failed ELB health checks in (target-group {target_group})",
    "Task failed container health checks",
    "Task stopped during instance draining",
    "TaskFailedToStart: a container it depends on did not reach its condition",
    "Your Spot Task was interrupted.",
    "ECS is performing maintenance on the underlying infrastructure hosting the task",
    "The Availability Zone of the task is impaired",
    *("{sentence}", "{sentence}", "{sentence}"),
    "OutOfMemoryError: Container killed due to memory usage",
)


class TerminationReason(IntEnum):
    """The reason of the termination of a container instance; NONE is null in the results.

    The reasons of virtual machines alone are the last ones: from UNHEALTHY on.
    """

    NONE = 0
    INSTANCE_FAILURE = 1
    SCALE_IN = 2
    USER = 3
    SPOT_INTERRUPTION = 4
    ZONE_OUTAGE = 5
    REBALANCING = 6
    IDLE = 7
    UNDERUTILIZED = 8
    LIFETIME = 9
    UNHEALTHY = 10
    INSTANCE_REFRESH = 11


TERMINATION_REASON_TEXTS = (
    *(None, "instance failure", "scale-in", "terminated by user", "Spot interruption", "zone outage"),
    *("Availability Zone rebalancing", "idle", "underutilized", "end of its lifetime"),
    *("failed health checks", "instance refresh"),
)


TERMINATION_EVENT_TEXTS = {
    TerminationReason.INSTANCE_FAILURE: ("INSTANCE_FAILED", "failed; its tasks are lost"),
    TerminationReason.SCALE_IN: ("INSTANCE_TERMINATED", "was terminated by its Auto Scaling group"),
    TerminationReason.USER: ("INSTANCE_TERMINATED", "was terminated by a user"),
    TerminationReason.SPOT_INTERRUPTION: ("SPOT_INTERRUPTION", "was reclaimed by EC2 Spot"),
    TerminationReason.ZONE_OUTAGE: ("INSTANCE_FAILED", "was lost with its Availability Zone"),
    TerminationReason.REBALANCING: (
        "INSTANCE_TERMINATED",
        "was terminated to balance the zones of its group",
    ),
    TerminationReason.IDLE: ("INSTANCE_TERMINATED", "was idle and has been terminated"),
    TerminationReason.UNDERUTILIZED: ("INSTANCE_TERMINATED", "was underutilized and has been terminated"),
    TerminationReason.LIFETIME: ("INSTANCE_TERMINATED", "was terminated at the end of its lifetime"),
    TerminationReason.UNHEALTHY: ("INSTANCE_TERMINATED", "was taken out of service for failed health checks"),
    TerminationReason.INSTANCE_REFRESH: ("INSTANCE_TERMINATED", "was replaced by an instance refresh"),
}
"""Name and message of the event of a terminated container instance."""
REASONS_OF_THE_CALENDAR = (TerminationReason.INSTANCE_FAILURE, TerminationReason.SPOT_INTERRUPTION)
"""The reasons for which instances end by themselves; no controller has logged their events."""


class EventKind(IntEnum):
    """The kind of a row of `events` while it is in numeric form; FORMATTED: its sentence already exists."""

    SPOT_NOTICE = 0
    AGENT_DISCONNECTED = 1
    AGENT_RECONNECTED = 2
    FARGATE_SPOT_INTERRUPTION = 3
    FARGATE_TASK_RETIREMENT = 4
    TASKS_STARTED = 5
    NO_ADDRESS = 6
    TASKS_STOPPED = 7
    STEADY = 8
    DESIRED_COUNT = 9
    FORMATTED = 10


INSTANCE_EVENT_TEXTS = {
    EventKind.SPOT_NOTICE: (
        "SPOT_INTERRUPTION_WARNING",
        "has an EC2 Spot Instance interruption warning: it is reclaimed in two minutes",
    ),
    EventKind.AGENT_DISCONNECTED: (
        "AGENT_DISCONNECTED",
        "has a disconnected agent: no new tasks are placed",
    ),
    EventKind.AGENT_RECONNECTED: ("AGENT_CONNECTED", "has a connected agent again"),
}
"""Name and message of the events of container instances."""
TASK_EVENT_TEXTS = {
    EventKind.FARGATE_SPOT_INTERRUPTION: ("SPOT_INTERRUPTION_WARNING", "Your Spot Task was interrupted"),
    EventKind.FARGATE_TASK_RETIREMENT: (
        "TASK_RETIREMENT",
        "ECS is performing maintenance on the underlying infrastructure hosting the task",
    ),
}
"""Name and message of the events of tasks that fail for a reason from outside."""


def instance_name(instance_id: int) -> str:
    """Return the `i-...` name of container instance `instance_id` in messages."""
    return f"i-{instance_id:017x}"
