"""Plain EC2: each copy of a service in a virtual machine of its own.

Decides which entries cannot run that way because they need a scheduler. It must not know how virtual machines are
simulated. `launch_options` calls it.
"""

from __future__ import annotations

from clustersim.scenario.variants.document_editor import DocumentEditor, WorkloadEntry

INSTANCE_REFRESH_DEFAULTS = {"minimumHealthyPercent": 100, "maximumPercent": 200}
"""The default of ECS instead of EC2's 90 and 100, so that `availability` is comparable between the options."""
_ECS_DEPLOYMENT_FIELDS = ("deploymentCircuitBreaker", "alarms", "lifecycleHooks")


def to_virtual_machines(editor: DocumentEditor, _spot: bool) -> None:
    """Move every service to virtual machines: of its own instance type if given, else of the cheapest that fits."""
    entries = editor.list_entries()
    for entry in entries:
        if entry.is_daemon:
            editor.obstacles.append(
                f"{entry.name} is a daemon, one task on each container instance, and there are none"
            )
        elif not entry.is_service:
            editor.obstacles.append(
                f"{entry.name} runs single tasks, and plain EC2 has no scheduler that launches machines for them"
            )
        else:
            _convert_service(editor, entry)
    editor.drop_unused_capacity([])


def _convert_service(editor: DocumentEditor, entry: WorkloadEntry) -> None:
    machines = entry.block.get("virtualMachines") or {}
    entry.move_to(None, keep_placement=False)
    entry.block["virtualMachines"] = machines
    instance_type = machines.get("instanceType")
    choice = f"as written, {instance_type}" if instance_type else "of the cheapest type that fits"
    editor.record_changes(f"{entry.name}: a virtual machine for each copy, {choice}")
    deployment = entry.block.setdefault("deploymentConfiguration", {})
    for field in _ECS_DEPLOYMENT_FIELDS:
        if deployment.pop(field, None):
            editor.record_changes(f"{entry.name}: without {field}, a feature of ECS")
    if not deployment.keys() & INSTANCE_REFRESH_DEFAULTS.keys():
        deployment.update(INSTANCE_REFRESH_DEFAULTS)
        editor.record_changes(
            f"{entry.name}: an instance refresh launches before it terminates, as ECS does by default"
        )
