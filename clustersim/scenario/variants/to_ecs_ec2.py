"""ECS on EC2: everything on capacity providers of Auto Scaling groups.

Decides which entries keep their capacity as written, and the capacity of the others: one capacity provider (one more
per architecture, and one for tasks with GPUs) of the cheapest instance type that fits, with managed scaling at 100,
tasks spread over zones and packed by memory. It must not know other options. `launch_options` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

from clustersim.policy.pricing.billed_time import HOURS_PER_MONTH
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.catalog.instance_types import load_catalog
from clustersim.scenario.resolve.instance_type_choice import DEFAULT_MACHINE_TYPES
from clustersim.scenario.sections.scenario import InstanceType, RunTask
from clustersim.scenario.variants.document_editor import (
    Data,
    DocumentEditor,
    WorkloadEntry,
    add_compatibility,
)
from clustersim.scenario.variants.right_sizing import (
    SizingDemand,
    capacity_for_tasks,
    count_instances,
    find_cheapest_fit,
)

PROVIDER_NAME = "ecs-ec2"
MAX_SIZE = 1_000
USUAL_SIZES = ("large", "xlarge", "2xlarge", "4xlarge")
"""Larger sizes are considered only for tasks that do not fit on these: losing one would stop too many tasks at once."""
GPU_TYPES = ("g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge", "g4dn.12xlarge", "g5.12xlarge")
ROOT_VOLUME_GIB = 30  # the default of a group
PLACEMENT_STRATEGY = (
    {"type": "spread", "field": "attribute:ecs.availability-zone"},
    {"type": "binpack", "field": "memory"},
)


def to_ecs_on_ec2(editor: DocumentEditor, spot: bool) -> None:
    """Move every service and entry of `runTasks` to container instances; with `spot` all of them Spot instances."""
    entries = editor.list_entries()
    staying = [entry for entry in entries if _can_stay(editor, entry, spot)]
    moved = [entry for entry in entries if entry not in staying]
    for entry in staying:
        entry.pin_capacity()
        editor.record_changes(f"{entry.name}: runs where it is written, {entry.describe_capacity()}")
    editor.drop_unused_capacity(staying)
    if converted := [
        model.key for block, model in editor.iter_task_definitions(moved) if add_compatibility(block, "EC2")
    ]:
        editor.record_changes(f"{', '.join(converted)}: made for EC2 too")
    if any(model.network_mode == "awsvpc" for _, model in editor.iter_task_definitions(moved)):
        cluster = editor.data.setdefault("cluster", {})
        if "awsvpcTrunking" not in cluster:
            cluster["awsvpcTrunking"] = True
            editor.record_changes(
                "awsvpcTrunking is on; without it an instance takes two or three tasks with awsvpc"
            )
    for kind, group_entries in _group_by_architecture(editor, moved).items():
        _add_capacity_provider(editor, kind, group_entries, spot)


def _can_stay(editor: DocumentEditor, entry: WorkloadEntry, spot: bool) -> bool:
    """Return whether an entry runs on container instances as written (on Spot ones if `spot`)."""
    if entry.on_virtual_machines:
        return False
    groups = {group.name: group for group in editor.auto_scaling_groups}
    if entry.model.launch_type == "EC2":
        candidate_groups = list(groups.values())
    else:
        group_by_provider = editor.map_providers_to_groups()
        if not set(entry.providers) <= group_by_provider.keys():
            return False
        candidate_groups = [groups[group_by_provider[name]] for name in entry.providers]
    return bool(candidate_groups) and (
        not spot or all(group.purchase_options == ("spot",) for group in candidate_groups)
    )


def _group_by_architecture(
    editor: DocumentEditor, entries: Sequence[WorkloadEntry]
) -> dict[tuple[str, bool], list[WorkloadEntry]]:
    """Group entries by the kind of instance they need: architecture, and whether with GPUs."""
    entries_by_kind: dict[tuple[str, bool], list[WorkloadEntry]] = {}
    for entry in entries:
        models = [model for _, model in editor.iter_task_definitions([entry])]
        arch = models[0].arch if models else "x86_64"
        gpus = any(model.gpus for model in models) or _trace_uses_gpus(entry)
        entries_by_kind.setdefault((arch, gpus), []).append(entry)
    return entries_by_kind


def _trace_uses_gpus(entry: WorkloadEntry) -> bool:
    trace = entry.model.trace if isinstance(entry.model, RunTask) else None
    return trace is not None and bool(trace.sizes[:, 2].any())


def _add_capacity_provider(
    editor: DocumentEditor, kind: tuple[str, bool], entries: Sequence[WorkloadEntry], spot: bool
) -> None:
    """Add one capacity provider for `entries` and move them to it."""
    arch, gpus = kind
    name = "-".join([PROVIDER_NAME, *(["gpu"] if gpus else []), *([arch] if arch != "x86_64" else [])])
    trunking = bool((editor.data.get("cluster") or {}).get("awsvpcTrunking"))
    # A daemon of launch type EC2 that keeps its capacity also runs on these instances.
    daemon_entries = [
        entry
        for entry in editor.list_entries()
        if entry.is_daemon and (entry in entries or entry.model.launch_type == "EC2")
    ]
    daemon_demands = [demand for entry in daemon_entries for demand in _list_demands(editor, entry)]
    demands = [demand for entry in entries if not entry.is_daemon for demand in _list_demands(editor, entry)]
    candidates, fit, origin = _candidate_lists(editor, kind), None, ""
    volume = ROOT_VOLUME_GIB * editor.base.pricing.ebs_usd_per_gib_month / HOURS_PER_MONTH
    while fit is None and candidates:
        types, origin = candidates.pop(0)
        fit = find_cheapest_fit(
            _available_types(editor, types, arch, spot), demands, trunking, spot, daemon_demands, volume
        )
    if fit is None:
        editor.obstacles.append(f"{_join_names(entries)}: no type of {origin} holds it")
        return
    service_demands = [
        demand for demand in demands if demand.name in {entry.name for entry in entries if entry.is_service}
    ]
    count = (
        count_instances(capacity_for_tasks(fit.instance_type, trunking, daemon_demands), service_demands) or 0
    )
    editor.data.setdefault("capacityProviders", []).append(
        _build_provider(name, fit.instance_type.name, count, spot)
    )
    purchase_option = "Spot" if spot else "on-demand"
    editor.record_changes(
        f"{_join_names(entries)}: capacity provider {name} of {purchase_option} {fit.instance_type.name}, "
        f"the cheapest fit of {origin}; "
        f"{count} at the start, 0 to {MAX_SIZE:,} by managed scaling (targetCapacity 100)"
    )
    for entry in entries:
        entry.move_to(name, keep_placement=True)
    unplaced = [entry for entry in entries if not (entry.block.get("placementStrategy") or entry.is_daemon)]
    for entry in unplaced:
        entry.block["placementStrategy"] = [dict(rule) for rule in PLACEMENT_STRATEGY]
    if unplaced:
        editor.record_changes(f"{_join_names(unplaced)}: spread over zones, then binpack by memory")


def _join_names(entries: Sequence[WorkloadEntry]) -> str:
    return ", ".join(entry.name for entry in entries)


def _build_provider(name: str, kind: str, count: int, spot: bool) -> Data:
    """Return the block of the capacity provider."""
    group = {
        "instanceTypes": [kind],
        "purchaseOption": "spot" if spot else "on-demand",
        "minSize": 0,
        "maxSize": MAX_SIZE,
        "desiredCapacity": min(count, MAX_SIZE),
    }
    provider = {
        "autoScalingGroup": group,
        "managedScaling": {"status": "ENABLED", "targetCapacity": 100},
        "managedDraining": "ENABLED",
    }
    return {"name": name, "autoScalingGroupProvider": provider}


def _list_demands(editor: DocumentEditor, entry: WorkloadEntry) -> list[SizingDemand]:
    """Return an entry's demand: its tasks at the desired count, of the largest of its revisions."""
    count = int(entry.block.get("desiredCount" if entry.is_service else "count", 1))
    trace = entry.model.trace if isinstance(entry.model, RunTask) else None
    models = [model for _, model in editor.iter_task_definitions([entry])]
    exclusive = any(rule.type == "distinctInstance" for rule in entry.model.placement_constraints)
    if not models:
        if trace is None:
            return []
        return [SizingDemand(entry.name, *trace.sizes.max(axis=0).tolist())]
    return [
        SizingDemand(
            entry.name,
            max(model.cpu for model in models),
            max(model.memory_mib for model in models),
            max(model.gpus for model in models),
            int(any(model.network_mode == "awsvpc" for model in models)),
            count,
            exclusive or any(model.static_ports for model in models),
        )
    ]


def _candidate_lists(editor: DocumentEditor, kind: tuple[str, bool]) -> list[tuple[Sequence[str], str]]:
    """Return lists of candidate types with a name for each list; the first list with a fit is used.

    These are the requested types; else the types of the scenario, the usual sizes of the default list, all of it.
    """
    if editor.instance_types:
        return [(editor.instance_types, "compare.instanceTypes")]
    arch, gpus = kind
    scenario_types = [name for group in editor.auto_scaling_groups for name in group.instance_types]
    scenario_types += [str(entry["name"]) for entry in editor.data.get("instanceTypes") or ()]
    default_types = GPU_TYPES if gpus else DEFAULT_MACHINE_TYPES[arch]
    usual_types = [name for name in default_types if name.partition(".")[2] in USUAL_SIZES]
    return [
        (list(dict.fromkeys(scenario_types)), "the scenario's instance types"),
        (usual_types, "the default list"),
        (default_types, "the default list"),
    ]


def _available_types(
    editor: DocumentEditor, names: Sequence[str], arch: str, spot: bool
) -> list[InstanceType]:
    """Return the types of these names that have the architecture and a price in the region."""
    types = []
    for name in names:
        try:
            instance_type = load_catalog().instance_type(
                name, editor.base.region, editor.data.get("instanceTypes") or (), spot=spot
            )
        except CatalogError:
            continue
        if instance_type.arch == arch:
            types.append(instance_type)
    return types
