"""ECS on EC2: everything on capacity providers of Auto Scaling groups.

Decides who keeps what is written, and what stands in its place: one capacity provider (one more for tasks of
another architecture, and one for those with GPUs) of the cheapest instance type that fits, with managed scaling at 100,
tasks spread over zones and packed by memory. Must not know other options. `options` calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

from clustersim.policy.pricing.billed_time import HOURS_PER_MONTH
from clustersim.scenario.catalog import instance_types as catalog
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.resolve.instance_type_choice import DEFAULT_TYPES
from clustersim.scenario.sections.scenario import InstanceType, RunTask
from clustersim.scenario.variants.document_editor import Data, Entry, Rewriting, serve
from clustersim.scenario.variants.right_sizing import Need, cheapest_fit, instances_for, room

PROVIDER = "ecs-ec2"
MAX_SIZE = 1_000
USUAL_SIZES = ("large", "xlarge", "2xlarge", "4xlarge")
"""Larger ones are looked at only for what these do not hold: with one of them goes too much at once."""
GPU_TYPES = ("g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge", "g4dn.12xlarge", "g5.12xlarge")
ROOT_VOLUME_GIB = 30  # of a group that does not say
PLACEMENT = (
    {"type": "spread", "field": "attribute:ecs.availability-zone"},
    {"type": "binpack", "field": "memory"},
)


def to_ecs_on_ec2(work: Rewriting, spot: bool) -> None:
    """Every service and entry of `runTasks` on container instances; by Spot all of them are Spot instances."""
    entries = work.entries()
    kept = [entry for entry in entries if _valid(work, entry, spot)]
    moved = [entry for entry in entries if entry not in kept]
    for entry in kept:
        entry.keep()
        work.say(f"{entry.name}: runs where it is written, {entry.written_where()}")
    work.keep_capacity(kept)
    if served := [model.key for block, model in work.definitions(moved) if serve(block, "EC2")]:
        work.say(f"{', '.join(served)}: made for EC2 too")
    if any(model.network_mode == "awsvpc" for _, model in work.definitions(moved)):
        cluster = work.data.setdefault("cluster", {})
        if "awsvpcTrunking" not in cluster:
            cluster["awsvpcTrunking"] = True
            work.say("awsvpcTrunking is on, or an instance takes two or three tasks with awsvpc")
    for kind, of in _by_kind(work, moved).items():
        _provide(work, kind, of, spot)


def _valid(work: Rewriting, entry: Entry, spot: bool) -> bool:
    """Whether an entry runs on container instances as it is written; on Spot ones if `spot`."""
    if entry.on_machines:
        return False
    groups = {group.name: group for group in work.groups}
    if entry.model.launch_type == "EC2":
        serving = list(groups.values())
    else:
        named = work.groups_behind()
        if not set(entry.providers) <= named.keys():
            return False
        serving = [groups[named[name]] for name in entry.providers]
    return bool(serving) and (not spot or all(each.purchase_options == ("spot",) for each in serving))


def _by_kind(work: Rewriting, entries: Sequence[Entry]) -> dict[tuple[str, bool], list[Entry]]:
    """Entries by what kind of instance they need: architecture, and whether with GPUs."""
    found: dict[tuple[str, bool], list[Entry]] = {}
    for entry in entries:
        models = [model for _, model in work.definitions([entry])]
        arch = models[0].arch if models else "x86_64"
        gpus = any(model.gpus for model in models) or _trace_gpus(entry)
        found.setdefault((arch, gpus), []).append(entry)
    return found


def _trace_gpus(entry: Entry) -> bool:
    trace = entry.model.trace if isinstance(entry.model, RunTask) else None
    return trace is not None and bool(trace.sizes[:, 2].any())


def _provide(work: Rewriting, kind: tuple[str, bool], entries: Sequence[Entry], spot: bool) -> None:
    """One capacity provider for `entries`, and all of them on it."""
    arch, gpus = kind
    name = "-".join([PROVIDER, *(["gpu"] if gpus else []), *([arch] if arch != "x86_64" else [])])
    trunking = bool((work.data.get("cluster") or {}).get("awsvpcTrunking"))
    # A daemon of launch type EC2 that stays where it is runs on these instances too.
    daemons = [
        each
        for each in work.entries()
        if each.is_daemon and (each in entries or each.model.launch_type == "EC2")
    ]
    everywhere = [need for entry in daemons for need in _needs(work, entry)]
    needs = [need for entry in entries if not entry.is_daemon for need in _needs(work, entry)]
    lists, fit, origin = _lists(work, kind), None, ""
    volume = ROOT_VOLUME_GIB * work.base.pricing.ebs_usd_per_gib_month / HOURS_PER_MONTH
    while fit is None and lists:
        types, origin = lists.pop(0)
        fit = cheapest_fit(_known(work, types, arch, spot), needs, trunking, spot, everywhere, volume)
    if fit is None:
        work.reasons.append(f"{_names(entries)}: no type of {origin} holds it")
        return
    lasting = [need for need in needs if need.name in {entry.name for entry in entries if entry.is_service}]
    count = instances_for(room(fit.type, trunking, everywhere), lasting) or 0
    work.data.setdefault("capacityProviders", []).append(_provider(name, fit.type.name, count, spot))
    bought = "Spot" if spot else "on-demand"
    work.say(
        f"{_names(entries)}: capacity provider {name} of {bought} {fit.type.name}, the cheapest fit of {origin}; "
        f"{count} at the start, 0 to {MAX_SIZE:,} by managed scaling (targetCapacity 100)"
    )
    for entry in entries:
        entry.move(name, placed=True)
    unplaced = [each for each in entries if not (each.block.get("placementStrategy") or each.is_daemon)]
    for entry in unplaced:
        entry.block["placementStrategy"] = [dict(rule) for rule in PLACEMENT]
    if unplaced:
        work.say(f"{_names(unplaced)}: spread over zones, then binpack by memory")


def _names(entries: Sequence[Entry]) -> str:
    return ", ".join(entry.name for entry in entries)


def _provider(name: str, kind: str, count: int, spot: bool) -> Data:
    """The block of the capacity provider."""
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


def _needs(work: Rewriting, entry: Entry) -> list[Need]:
    """What an entry asks of instances: its tasks at the desired count, of the largest of its revisions."""
    count = int(entry.block.get("desiredCount" if entry.is_service else "count", 1))
    trace = entry.model.trace if isinstance(entry.model, RunTask) else None
    models = [model for _, model in work.definitions([entry])]
    alone = any(rule.type == "distinctInstance" for rule in entry.model.placement_constraints)
    if not models:
        if trace is None:
            return []
        return [Need(entry.name, *trace.sizes.max(axis=0).tolist())]
    return [
        Need(
            entry.name,
            max(model.cpu for model in models),
            max(model.memory_mib for model in models),
            max(model.gpus for model in models),
            int(any(model.network_mode == "awsvpc" for model in models)),
            count,
            alone or any(model.static_ports for model in models),
        )
    ]


def _lists(work: Rewriting, kind: tuple[str, bool]) -> list[tuple[Sequence[str], str]]:
    """The types to choose among and what they are called, one list after the other until one has a fit.

    Those asked for; else those that the scenario names, the usual sizes of the default list, all of it.
    """
    if work.types:
        return [(work.types, "compare.instanceTypes")]
    arch, gpus = kind
    own = [name for group in work.groups for name in group.instance_types]
    own += [str(each["name"]) for each in work.data.get("instanceTypes") or ()]
    listed = GPU_TYPES if gpus else DEFAULT_TYPES[arch]
    usual = [name for name in listed if name.partition(".")[2] in USUAL_SIZES]
    return [
        (list(dict.fromkeys(own)), "the scenario's instance types"),
        (usual, "the default list"),
        (listed, "the default list"),
    ]


def _known(work: Rewriting, names: Sequence[str], arch: str, spot: bool) -> list[InstanceType]:
    """The types of these names that have the architecture and a price in the region."""
    found = []
    for name in names:
        try:
            kind = catalog.load().instance_type(
                name, work.base.region, work.data.get("instanceTypes") or (), spot=spot
            )
        except CatalogError:
            continue
        if kind.arch == arch:
            found.append(kind)
    return found
