"""Findings about room: tasks that have no instances to run on, or that are larger than these can be.

Compares tasks with the empty instances of the pools that their launch type or provider has. Must not know when
instances are launched, nor constraints: a task that fits here may still wait. The reader calls it last.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.sections.capacity import AutoScalingGroup, InstancePool, InstanceType
from clustersim.scenario.sections.scenario import RunTask, Service, TaskDefinition
from clustersim.scenario.text.document import FieldPath
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

Size = tuple[int, int, int]  # CPU units, MiB, GPUs


@dataclass(frozen=True)
class _Asked:
    """Tasks that ask for room: what they are called, where they are written, and their sizes."""

    name: str
    path: FieldPath
    placed: Service | RunTask
    sizes: tuple[Size, ...]
    arch: str | None


def add_capacity_findings(context: Context, fields: Mapping[str, Any]) -> None:
    """Add the findings about all services and run-task entries; `fields` are those of the resolved scenario."""
    services: Sequence[Service] = fields["services"]
    entries: Sequence[RunTask] = fields["run_tasks"]
    pools: Sequence[InstancePool] = (*fields["groups"], *fields["managed_instances"])
    types: Mapping[str, InstanceType] = {each.name: each for each in fields["instance_types"]}
    definitions: Mapping[str, TaskDefinition] = {each.key: each for each in fields["task_definitions"]}
    hosts = [pool for pool in pools if pool.machines is None]
    for asked in (*_of_services(context, services, definitions), *_of_entries(context, entries, definitions)):
        if asked.placed.launch_type is not None:
            if asked.placed.launch_type == "EC2":
                _check(context, asked, "launch type EC2", hosts, types)
            continue
        for item in asked.placed.strategy:
            if item.capacity_provider not in FARGATE_PROVIDERS and (item.weight or item.base):
                own = [pool for pool in hosts if pool.provider == item.capacity_provider]
                _check(context, asked, f"capacity provider {item.capacity_provider}", own, types)


def _of_services(
    context: Context, services: Sequence[Service], definitions: Mapping[str, TaskDefinition]
) -> Iterable[_Asked]:
    written = {name: index for index, name in enumerate(_names(context, "services", "servicename"))}
    for service in services:
        definition = definitions.get(service.task_definition)
        wanted = service.desired_count > 0 or service.auto_scaling is not None
        if definition is None or service.machines is not None or service.name not in written:
            continue
        if wanted or service.scheduling_strategy == "DAEMON":
            size = (definition.cpu, definition.memory_mib, definition.gpus)
            path = ("services", written[service.name])
            yield _Asked(f"service {service.name}", path, service, (size,), definition.arch)


def _of_entries(
    context: Context, entries: Sequence[RunTask], definitions: Mapping[str, TaskDefinition]
) -> Iterable[_Asked]:
    written = {name: index for index, name in enumerate(_names(context, "runTasks", "name"))}
    for entry in entries:
        definition = definitions.get(entry.task_definition or "")
        sizes: tuple[Size, ...] = ()
        if entry.trace is not None and (definition is None or len(entry.trace.sizes)):
            sizes = tuple((int(cpu), int(memory), int(gpus)) for cpu, memory, gpus in entry.trace.sizes)
        elif definition is not None:
            sizes = ((definition.cpu, definition.memory_mib, definition.gpus),)
        if sizes and entry.name in written:
            path = ("runTasks", written[entry.name])
            arch = None if definition is None else definition.arch
            yield _Asked(f"entry {entry.name}", path, entry, sizes, arch)


def _names(context: Context, section: str, key: str) -> list[str]:
    """Return the names of the blocks of a section, in the order of the file."""
    items = context.diagnostics.data.get(section)
    return [
        str(next((value for name, value in item.items() if str(name).lower() == key), ""))
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
    ]


def _check(
    context: Context,
    asked: _Asked,
    where: str,
    pools: Sequence[InstancePool],
    types: Mapping[str, InstanceType],
) -> None:
    """Add what is wrong with the room that `asked` has in these pools."""
    usable = [pool for pool in pools if not isinstance(pool, AutoScalingGroup) or pool.max_size > 0]
    if not usable:
        lacks = "there is none of that launch type" if not pools else "its groups may have no instance"
        way_out = (
            "add a group, or raise its maxSize" if pools else "add an autoScalingGroups entry, or a provider"
        )
        context.diagnostics.add_finding(
            asked.path,
            "no-capacity",
            f"the tasks of {asked.name} ask for container instances of {where}, and {lacks}",
            way_out,
        )
        return
    room = {
        name: (*pool.task_capacity(types[name]), types[name].gpus)
        for pool in usable
        for name in pool.instance_types
        if asked.arch is None or types[name].arch == asked.arch
    }
    if not room:
        context.diagnostics.add_finding(
            asked.path,
            "no-capacity",
            f"the tasks of {asked.name} are built for {asked.arch}, and no instance type of {where} is",
            f"add a type of {asked.arch}, or change cpuArchitecture",
        )
        return
    too_large = [size for size in asked.sizes if not any(_fits(size, each) for each in room.values())]
    if too_large:
        largest = max(room, key=lambda name: (room[name][1], room[name][0]))
        count = "" if len(asked.sizes) == 1 else f" ({len(too_large)} of {len(asked.sizes)} sizes)"
        context.diagnostics.add_finding(
            asked.path,
            "fits-no-type",
            f"a task of {asked.name} of {_words(max(too_large))}{count} fits no instance of {where}: "
            f"an empty {largest} has {_words(room[largest])}",
            "a larger instance type, or a smaller task",
        )
        return
    smallest = min(room, key=lambda name: (room[name][1], room[name][0]))
    misfits = [size for size in asked.sizes if not _fits(size, room[smallest])]
    if misfits and all(isinstance(pool, AutoScalingGroup) for pool in usable):
        context.diagnostics.add_finding(
            asked.path,
            "fits-not-smallest",
            f"a task of {asked.name} of {_words(max(misfits))} never fits {smallest}, the smallest instance type of "
            f"{where}, which has {_words(room[smallest])}",
            "leave that type out of the group, or expect instances on which these tasks cannot run",
        )


def _fits(size: Size, room: Size) -> bool:
    return all(needed <= free for needed, free in zip(size, room, strict=True))


def _words(size: Size) -> str:
    cpu, memory, gpus = size
    with_gpus = f" and {gpus} GPUs" if gpus else ""
    return f"{cpu / CPU_UNITS_PER_VCPU:g} vCPU, {memory:,} MiB{with_gpus}"
