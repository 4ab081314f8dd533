"""Why a task finds no place: the reason code, the closest container instance, and ECS's words for both.

Called only after `choose` returned -1; it reads the hosts and decides nothing. The world records the code as
`wait_reason`, the service scheduler writes the words as an event.
"""

from typing import Any

import numpy as np

from clustersim.engine.compiled import kernel
from clustersim.policy.placement.constraint_program import holds
from clustersim.policy.placement.hosts import (
    ELIGIBLE,
    EXCLUDED_BY_MEMBER_OF,
    LACKS_ATTRIBUTE,
    Hosts,
    Request,
)
from clustersim.vocabulary import RESOURCES, WAIT_REASON_WORDS, WaitReason

_FIRST_RESOURCE = int(WaitReason.RESOURCE_CPU)  # the five RESOURCE codes follow one another as the rows do
_PORTS = int(WaitReason.RESOURCE_PORTS)
_ATTRIBUTE = int(WaitReason.ATTRIBUTE)
_MEMBER_OF = int(WaitReason.MEMBER_OF)
_DISTINCT = int(WaitReason.DISTINCT_INSTANCE)
_NO_INSTANCES = int(WaitReason.NO_ACTIVE_INSTANCES)

_FARGATE = (WaitReason.FARGATE_VCPU_QUOTA, WaitReason.FARGATE_CAPACITY)

_CLOSEST_WORDS = {
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
def refusal(hosts: Hosts, request: Request) -> tuple[int, int]:
    """The WaitReason of a task that fits nowhere, and the slot of the closest instance or -1.

    Closest is the open host of an eligible class with the smallest sum of shortfalls, and of equals the one
    in the lowest slot; a shortfall is the missing share of a need (0 to 1), and 1 for a taken port,
    distinctInstance or memberOf. The reason is that host's greatest shortfall; of equal ones a constraint
    goes before a resource and then CPU, memory, GPU, ENI, ports. AWS publishes neither rule. Without an
    eligible host, the reason is the constraint that excludes the first open host's class, else that there
    are no active instances.
    """
    least, closest, reason = 1e300, -1, _NO_INSTANCES
    excluded = _NO_INSTANCES
    for slot in range(hosts.size[0]):
        klass = hosts.klass[slot]
        if klass < 0:
            continue
        standing = request.eligible[klass]
        if standing == ELIGIBLE:
            distance, worst = _distance(hosts, request, slot)
            if distance < least:
                least, closest, reason = distance, slot, worst
        elif excluded == _NO_INSTANCES and standing == EXCLUDED_BY_MEMBER_OF:
            excluded = _MEMBER_OF
        elif excluded == _NO_INSTANCES and standing == LACKS_ATTRIBUTE:
            excluded = _ATTRIBUTE
    return (excluded if closest < 0 else reason), closest


@kernel
def _distance(hosts: Hosts, request: Request, slot: int) -> tuple[float, int]:
    """The sum of the host's shortfalls, and the code of the greatest."""
    total, greatest, worst = 0.0, 0.0, _NO_INSTANCES
    if request.program.shape[0] != 0 and not holds(
        request.program, request.truth, hosts.facts, hosts.klass[slot], slot
    ):
        total, greatest, worst = 1.0, 1.0, _MEMBER_OF
    if request.distinct != 0 and hosts.on_host[slot] > 0:
        total += 1.0
        if greatest < 1.0:
            greatest, worst = 1.0, _DISTINCT
    for resource in range(RESOURCES):
        need = request.need[resource]
        if need > hosts.free[resource, slot]:
            missing = (need - hosts.free[resource, slot]) / need
            total += missing
            if missing > greatest:
                greatest, worst = missing, _FIRST_RESOURCE + resource
    if _clashes(hosts.ports, request.ports, slot):
        total += 1.0
        if greatest < 1.0:
            worst = _PORTS
    return total, worst


@kernel
def _clashes(taken: Any, wanted: Any, slot: int) -> bool:
    """Whether a static port is taken on the host."""
    common = np.uint64(0)
    for word in range(wanted.size):
        common |= taken[slot, word] & wanted[word]
    return bool(common != 0)


def refusal_words(service: str, code: int, instance_name: str | None) -> str:
    """The service event of a task that could not be placed (ECS Developer Guide: service event messages).

    `instance_name` is the closest container instance, None when there is none.
    """
    if code in _FARGATE:
        return f"(service {service}) was unable to place a task. Reason: {WAIT_REASON_WORDS[code]}."
    words = (
        f"(service {service}) was unable to place a task "
        "because no container instance met all of its requirements."
    )
    closest = _CLOSEST_WORDS.get(WaitReason(code))
    if instance_name is None or closest is None:
        return words
    return f"{words} The closest matching (container-instance {instance_name}) {closest}"
