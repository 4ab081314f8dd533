"""Plain EC2: each copy of a service in a virtual machine of its own.

Decides what cannot be run that way: what needs a scheduler. Must not know how machines work. `options` calls it.
"""

from __future__ import annotations

from clustersim.scenario.variants.document_editor import Entry, Rewriting

REFRESH = {"minimumHealthyPercent": 100, "maximumPercent": 200}
"""The default of ECS in place of EC2's 90 and 100, so that `availability` means the same under every option."""
_OF_ECS_DEPLOYMENTS = ("deploymentCircuitBreaker", "alarms", "lifecycleHooks")


def to_virtual_machines(work: Rewriting, _spot: bool) -> None:
    """Every service on machines of its own; a type that it says itself is kept, else the cheapest that fits."""
    entries = work.entries()
    for entry in entries:
        if entry.is_daemon:
            work.reasons.append(
                f"{entry.name} is a daemon, one task on each container instance, and there are none"
            )
        elif not entry.is_service:
            work.reasons.append(
                f"{entry.name} is run task by task; plain EC2 has nothing that would start and end machines for it"
            )
        else:
            _to_machines(work, entry)
    work.keep_capacity([])


def _to_machines(work: Rewriting, entry: Entry) -> None:
    machines = entry.block.get("virtualMachines") or {}
    entry.move(None, placed=False)
    entry.block["virtualMachines"] = machines
    kind = machines.get("instanceType")
    told = f"as written, {kind}" if kind else "of the cheapest type that fits"
    work.say(f"{entry.name}: a virtual machine for each copy, {told}")
    deployment = entry.block.setdefault("deploymentConfiguration", {})
    for field in _OF_ECS_DEPLOYMENTS:
        if deployment.pop(field, None):
            work.say(f"{entry.name}: without {field}, which is of ECS")
    if not deployment.keys() & REFRESH.keys():
        deployment.update(REFRESH)
        work.say(f"{entry.name}: an instance refresh launches before it terminates, as ECS does by default")
