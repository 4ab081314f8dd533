"""Placement failures: the reason why a task cannot be placed, the closest container instance, and the messages of ECS.

Called only after `choose_host` returned -1; this module reads the hosts and decides nothing. The world records the code
as `wait_reason`, the service scheduler writes the message as an event.
"""

from typing import Any

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.policy.placement.constraint_program import program_holds
from clustersim.policy.placement.hosts import (
    ELIGIBLE,
    EXCLUDED_BY_MEMBER_OF,
    LACKS_ATTRIBUTE,
    Hosts,
    PlacementRequest,
)
from clustersim.vocabulary import RESOURCES, WAIT_REASON_TEXTS, WaitReason

_FIRST_RESOURCE = int(WaitReason.RESOURCE_CPU)  # the five RESOURCE codes are in the order of the rows
_PORTS = int(WaitReason.RESOURCE_PORTS)
_ATTRIBUTE = int(WaitReason.ATTRIBUTE)
_MEMBER_OF = int(WaitReason.MEMBER_OF)
_DISTINCT = int(WaitReason.DISTINCT_INSTANCE)
_NO_INSTANCES = int(WaitReason.NO_ACTIVE_INSTANCES)

_FARGATE_REASONS = (WaitReason.FARGATE_VCPU_QUOTA, WaitReason.FARGATE_CAPACITY)

_CLOSEST_TEXTS = {
    WaitReason.RESOURCE_CPU: "has insufficient CPU units available.",
    WaitReason.RESOURCE_MEMORY: "has insufficient memory available.",
    WaitReason.RESOURCE_GPU: 'encountered error "RESOURCE:GPU".',
    WaitReason.RESOURCE_ENI: 'encountered error "RESOURCE:ENI".',
    WaitReason.RESOURCE_PORTS: "is already using a port required by your task.",
    WaitReason.AGENT: 'encountered error "AGENT".',
    WaitReason.ATTRIBUTE: "is missing an attribute required by your task.",
    WaitReason.MEMBER_OF: 'encountered error "MemberOf placement constraint unsatisfied.".',
    WaitReason.DISTINCT_INSTANCE: 'encountered error "DistinctInstance placement constraint unsatisfied.".',
}


@kernel
def find_placement_failure(hosts: Hosts, request: PlacementRequest) -> tuple[int, int]:
    """Return the WaitReason of a task that fits on no host, and the slot of the closest instance or -1.

    The closest instance is the open host of an eligible class with the smallest sum of shortfalls, and on a tie the
    one in the lowest slot; a shortfall is the missing share of a resource (0 to 1), and 1 for a port in use,
    distinctInstance or memberOf. The reason is that host's greatest shortfall; on a tie a constraint precedes a
    resource, and then CPU, memory, GPU, ENI, ports. AWS publishes neither rule. Without an eligible host, the reason
    is the constraint that excludes the class of the first open host, else that there are no active instances.
    """
    least, closest, reason = 1e300, -1, _NO_INSTANCES
    excluded = _NO_INSTANCES
    for slot in range(hosts.size[0]):
        instance_class = hosts.instance_class[slot]
        if instance_class < 0:
            continue
        eligibility = request.eligible[instance_class]
        if eligibility == ELIGIBLE:
            distance, worst_reason = _distance(hosts, request, slot)
            if distance < least:
                least, closest, reason = distance, slot, worst_reason
        elif excluded == _NO_INSTANCES and eligibility == EXCLUDED_BY_MEMBER_OF:
            excluded = _MEMBER_OF
        elif excluded == _NO_INSTANCES and eligibility == LACKS_ATTRIBUTE:
            excluded = _ATTRIBUTE
    return (excluded if closest < 0 else reason), closest


@kernel
def _distance(hosts: Hosts, request: PlacementRequest, slot: int) -> tuple[float, int]:
    """Return the sum of the host's shortfalls, and the code of the greatest one."""
    total, greatest, worst_reason = 0.0, 0.0, _NO_INSTANCES
    if request.program.shape[0] != 0 and not program_holds(
        request.program, request.truth, hosts.facts, hosts.instance_class[slot], slot
    ):
        total, greatest, worst_reason = 1.0, 1.0, _MEMBER_OF
    if request.distinct != 0 and hosts.group_tasks[slot] > 0:
        total += 1.0
        if greatest < 1.0:
            greatest, worst_reason = 1.0, _DISTINCT
    for resource in range(RESOURCES):
        need = request.need[resource]
        if need > hosts.free[resource, slot]:
            missing = (need - hosts.free[resource, slot]) / need
            total += missing
            if missing > greatest:
                greatest, worst_reason = missing, _FIRST_RESOURCE + resource
    if _ports_conflict(hosts.ports, request.ports, slot):
        total += 1.0
        if greatest < 1.0:
            worst_reason = _PORTS
    return total, worst_reason


@kernel
def _ports_conflict(in_use: Any, required: Any, slot: int) -> bool:
    """Return whether a required static port is in use on the host."""
    common = np.uint64(0)
    for word in range(required.size):
        common |= in_use[slot, word] & required[word]
    return bool(common != 0)


def placement_failure_message(
    service: str, code: int, instance_name: str | None, place: str = "cluster"
) -> str:
    """Return the service event for a task that cannot be placed (ECS Developer Guide: service event messages).

    `instance_name` is the closest container instance, None if there is none; `place` is where instances were looked
    for, the cluster or a capacity provider.
    """
    if code in _FARGATE_REASONS:
        return f"(service {service}) was unable to place a task. Reason: {WAIT_REASON_TEXTS[code]}."
    message = (
        f"(service {service}) was unable to place a task "
        "because no container instance met all of its requirements."
    )
    if code == WaitReason.NO_ACTIVE_INSTANCES:
        return f"{message} Reason: No Container Instances were found in your {place}."
    closest = _CLOSEST_TEXTS.get(WaitReason(code))
    if instance_name is None or closest is None:
        return message
    return f"{message} The closest matching (container-instance {instance_name}) {closest}"
