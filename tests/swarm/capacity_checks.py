"""Laws of capacity and failures, from the result tables and the scenario alone.

They are written independently from the rules, in plain Python, and share no code with the simulator.
`tests.swarm.checks` runs them with its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from clustersim.scenario.sections.scenario import AutoScalingGroup, CapacityProvider
from tests.harness import MINUTE, Block, FinishedRun

NOTICE = 2 * MINUTE
LONGEST_STOP = 120_000


def _first(ran: FinishedRun) -> int:
    """The simulation's first instant, in ms since `start`."""
    return -ran.scenario.warm_up_ms


def _groups(ran: FinishedRun) -> dict[str, AutoScalingGroup]:
    return {group.name: group for group in ran.scenario.groups}


def _provider_of(ran: FinishedRun) -> dict[str, CapacityProvider]:
    """The provider of each Auto Scaling group that has one."""
    return {of.group: of for of in ran.scenario.providers if of.group is not None}


def _closures(ran: FinishedRun) -> list[Block]:
    """Return the outages and shortages with their times and the capacity that they affect."""
    failures = ran.scenario.failures
    closures = [{"at": of.at_ms, "until": of.until_ms, "zone": of.zone} for of in failures.zone_outages]
    for of in failures.capacity_shortages:
        spot = None if of.purchase_option is None else of.purchase_option == "spot"
        closures.append({"at": of.at_ms, "until": of.until_ms, "zone": of.zone, "provider": of.provider,
                      "type": of.instance_type, "spot": spot})  # fmt: skip
    return closures


def _closed(ran: FinishedRun, instant: int, **what: object) -> bool:
    """Return whether capacity of this kind was unavailable at an instant."""
    return any(
        of["at"] <= instant < of["until"]
        and all(of.get(key) is None or of[key] == value for key, value in what.items())
        for of in _closures(ran)
    )


def bounds(ran: FinishedRun) -> Iterator[str]:
    """A group's desired capacity stays within its bounds, and its size within the balancing margin."""
    groups = _groups(ran)
    for of in ran.scenario.providers:
        if of.group is None:
            continue
        least, most = groups[of.group].min_size, groups[of.group].max_size
        rows = ran.rows("capacity_provider_series", capacity_provider=of.name)
        desired = {row["desired_instances"] for row in rows}
        desired |= {
            row["to_count"] for row in ran.rows("scaling_activities", target=f"capacityProvider/{of.name}")
        }
        if any(not least <= count <= most for count in desired):
            yield f"{of.name} wanted {sorted(desired)} instances, its bounds are {least} and {most}"
    for name, group in groups.items():
        changes: list[tuple[int, int]] = []
        for host in ran.instances(auto_scaling_group=name):
            ends = [host[key] for key in ("draining_at", "terminated_at") if host[key] is not None]
            changes += [(host["launched_at"], 1), *((at, -1) for at in sorted(ends)[:1])]
        size = most = 0
        for _, change in sorted(changes):
            size += change
            most = max(most, size)
        if most > group.max_size + max(1, group.max_size // 10):
            yield f"{name} had {most} instances, its greatest size is {group.max_size}"


def scaling(ran: FinishedRun) -> Iterator[str]:
    """Managed scaling acts at full minutes, out above the target and in below it, each time by less than half."""
    targets = {
        f"capacityProvider/{of.name}": of.managed_scaling.target_capacity
        for of in ran.scenario.providers
        if of.managed_scaling is not None
    }
    for row in ran.rows("scaling_activities"):
        if not row["target"].startswith("capacityProvider/"):
            continue
        before, after, value = row["from_count"], row["to_count"], row["metric_value"]
        target = targets.get(row["target"])
        if target is None:
            yield f"{row['target']} was scaled without managed scaling"
        elif (row["time"] - _first(ran)) % MINUTE:
            yield f"{row['target']} was scaled at {row['time']} ms"
        elif before == after or (after > before) != (value > target) or (after < before) != (value < target):
            yield f"{row['target']} went from {before} to {after} at {value} % of {target} %"
        elif after < before and before > 2 and 2 * (before - after) >= before:
            yield f"{row['target']} went from {before} to {after} at once"
    managed = {target.split("/")[1] for target in targets}
    for row in ran.rows("capacity_provider_series"):
        value = row["capacity_provider_reservation"]
        if (value is not None) != (row["capacity_provider"] in managed) or (value or 0) < 0:
            yield f"{row['capacity_provider']} has a reservation of {value} at {row['time']} ms"


def closed(ran: FinishedRun) -> Iterator[str]:
    """Nothing is launched or placed where there is no capacity, and nothing in a zone outlives its outage."""
    for host in ran.instances():
        where = {
            "provider": host["capacity_provider"] or "",
            "type": host["instance_type"],
            "zone": host["availability_zone"],
            "spot": host["purchase_option"] == "spot",
        }
        if _closed(ran, host["launched_at"], **where):
            yield f"instance {host['container_instance_id']} was launched where there was no capacity: {where}"
    for task in ran.tasks(launch_type="FARGATE"):
        provider = task["capacity_provider"] or "FARGATE"
        spot = provider == "FARGATE_SPOT"
        at, zone = task["placed_at"], task["availability_zone"]
        if at is not None and _closed(ran, at, provider=provider, type="", zone=zone, spot=spot):
            yield f"task {task['task_id']} was placed on {provider} in {zone} where there was no capacity"
    lifetimes = [
        ("instance", host["container_instance_id"], host, "launched_at", "terminated_at")
        for host in ran.instances()
    ]
    lifetimes += [
        ("task", task["task_id"], task, "placed_at", "stopped_at")
        for task in ran.tasks(launch_type="FARGATE")
        if task["placed_at"] is not None
    ]
    for of in ran.scenario.failures.zone_outages:
        for noun, number, row, begun, ended in lifetimes:
            last = row[ended]
            if (
                row["availability_zone"] == of.zone
                and row[begun] < of.at_ms
                and (last is None or last > of.at_ms)
            ):
                yield f"{noun} {number} outlived its zone {of.zone}"


def protected(ran: FinishedRun) -> Iterator[str]:
    """Protection from scale-in holds: that of the group for every instance, that of ECS for instances with a task.

    An instance with nothing but daemons counts as empty.
    """
    killed: dict[int, set[int]] = defaultdict(set)
    daemons = {service.name for service in ran.scenario.services if service.scheduling_strategy == "DAEMON"}
    for task in ran.tasks():
        if task["service"] in daemons:
            continue
        if task["container_instance_id"] is not None and (task["stopped_reason"] or "").startswith(
            "Host EC2"
        ):
            stopping = task["stopping_at"] is not None and task["stopping_at"] < task["stopped_at"]
            if ran.scenario.cluster.stopping_tasks_protect_instances or not stopping:
                killed[task["container_instance_id"]].add(task["stopped_at"])
    providers = _provider_of(ran)
    for host in ran.instances():
        group = _groups(ran).get(host["auto_scaling_group"] or "")
        if group is None or host["termination_reason"] not in ("scale-in", "Availability Zone rebalancing"):
            continue
        label, provider = f"instance {host['container_instance_id']}", providers.get(group.name)
        ecs_protects = provider is not None and provider.managed_termination_protection
        if group.new_instances_protected and not ecs_protects:
            yield f"{label} was scaled in though its group protects it"
        died = host["terminated_at"] in killed[host["container_instance_id"]]
        if ecs_protects and died:
            yield f"{label} was scaled in with a task on it though ECS protects it"
        if provider is not None and provider.managed_draining and died:
            drained = host["terminated_at"] - (host["draining_at"] or 0)
            if host["draining_at"] is None or drained < provider.draining_timeout_ms:
                yield f"{label} was scaled in with a task on it before it had drained"


def interruptions(ran: FinishedRun) -> Iterator[str]:
    """Only Spot is interrupted, two minutes after a warning; the stop timeout of a task begins at the warning."""
    warned = {
        row["container_instance_id"]: row["time"]
        for row in ran.rows("events", kind="SPOT_INTERRUPTION_WARNING")
        if row["container_instance_id"] is not None
    }
    drained_by_ecs = {of.name for of in ran.scenario.providers if of.managed_draining}
    for host in ran.instances(termination_reason="Spot interruption"):
        label = f"instance {host['container_instance_id']}"
        if host["purchase_option"] != "spot":
            yield f"{label} is no Spot instance and was interrupted"
        if host["terminated_at"] - warned.get(host["container_instance_id"], 0) != NOTICE:
            yield f"{label} was reclaimed at {host['terminated_at']}, not two minutes after its warning"
        at, draining = host["registered_at"], host["draining_at"]
        drains = host["capacity_provider"] in drained_by_ecs and at is not None
        if drains and (draining is None or draining > max(at, host["terminated_at"] - NOTICE)):
            yield f"{label} did not drain at its warning, though its provider has managed draining"
    for task in ran.tasks(stop_code="SpotInterruption"):
        on_host = task["container_instance_id"] is not None
        if not on_host and task["capacity_provider"] != "FARGATE_SPOT":
            yield f"task {task['task_id']} of {task['capacity_provider']} was interrupted"
        if not on_host and task["started_at"] is not None:
            last = task["stopped_at"]
            if last is not None and last - task["stopping_at"] > LONGEST_STOP:
                yield f"task {task['task_id']} lived {last - task['stopping_at']} ms after its notice"


def agents(ran: FinishedRun) -> Iterator[str]:
    """No task is placed on an instance whose agent is disconnected."""
    silent: dict[int, list[list[int]]] = defaultdict(list)
    for row in sorted(ran.rows("events"), key=lambda row: row["time"]):
        if row["kind"] == "AGENT_DISCONNECTED":
            silent[row["container_instance_id"]].append([row["time"], 1 << 62])
        elif row["kind"] == "AGENT_CONNECTED":
            silent[row["container_instance_id"]][-1][1] = row["time"]
    for task in ran.tasks():
        for begin, end in silent.get(task["container_instance_id"], ()):
            if begin < task["placed_at"] < end:
                yield f"task {task['task_id']} was placed on an instance with a disconnected agent"


def managed_instances(ran: FinishedRun) -> Iterator[str]:
    """An instance is launched only for waiting tasks, terminated as idle only after the idle time, and not consolidated
    with a standalone task on it."""
    tasks = ran.tasks(launch_type="MANAGED_INSTANCES")
    on_host: dict[int, list[Block]] = defaultdict(list)
    for task in tasks:
        on_host[task["container_instance_id"]].append(task)
    settings = {of.name: of.scale_in_after_ms for of in ran.scenario.managed_instances}
    for host in ran.instances():
        provider = host["capacity_provider"]
        if provider not in settings:
            continue
        label, at, gone = (
            f"instance {host['container_instance_id']}",
            host["launched_at"],
            host["terminated_at"],
        )
        waited = any(
            task["capacity_provider"] == provider
            and task["created_at"] <= at
            and (task["placed_at"] is None or task["placed_at"] >= at)
            for task in tasks
        )
        if not waited:
            yield f"{label} was launched though no task waited"
        own_tasks, reason = on_host[host["container_instance_id"]], host["termination_reason"]
        if reason in ("idle", "underutilized") and settings[provider] is None:
            yield f"{label} was {reason} though optimization is off"
        ends = [task["stopped_at"] for task in own_tasks]
        if reason == "idle" and any(end is None or end + settings[provider] > gone for end in ends):
            yield f"{label} was idle and ended at {gone}, its tasks at {ends}"
        if reason == "underutilized" and any(
            task["service"] is None and task["stopped_at"] == gone for task in own_tasks
        ):
            yield f"{label} was consolidated with a standalone task"


CAPACITY_LAWS = (bounds, scaling, closed, protected, interruptions, agents, managed_instances)
