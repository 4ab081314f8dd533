"""Laws of services for the tables of any run: deployments, daemons, protection, health, containers.

Like `tests.swarm.checks`, which calls them, they use only the result files and the scenario. Each yields its violations
as sentences.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from clustersim.scenario.sections.scenario import Service, TaskDefinition
from tests.harness import MINUTE, Block, FinishedRun

SCALING = "Scaling activity initiated by"
MOST_VARIATION = 1.4  # of the service times that the swarm draws: standard deviation over mean


def service_laws(ran: FinishedRun) -> Iterator[str]:
    """Yield the violations of all laws of services."""
    laws = (
        _deployments,
        _failed_deployments,
        _traffic,
        _cpu_time,
        _daemons,
        _protection,
        _health,
        _health_check_stops,
    )
    for law in laws:
        for message in law(ran):
            yield f"{law.__name__.strip('_')}: {message}"


def definition_of(ran: FinishedRun, task: Block) -> TaskDefinition | None:
    """The task definition of a task's row."""
    key = definition_key_of(ran, task)
    return next((d for d in ran.scenario.task_definitions if d.key == key), None)


def definition_key_of(ran: FinishedRun, task: Block) -> str:
    """The key of the revision of a task's row; on virtual machines it includes the service."""
    machines = {service.name for service in ran.scenario.services if service.machines}
    there = f"@{task['service']}" if task["service"] in machines else ""
    return f"{task['family']}:{task['revision']}{there}"


def behaviors(ran: FinishedRun, service: Service, key: str) -> Block:
    """The behavior of the tasks of a service with a definition, by key."""
    return dict(service.behaviors)[key].model_dump()


def _deployments(ran: FinishedRun) -> Iterator[str]:
    """Each task of a service belongs to an existing deployment; each deployment has an end or continues."""
    rows = {(row["service"], row["deployment_id"]): row for row in ran.rows("deployments")}
    for task in ran.tasks():
        if task["service"] is None:
            continue
        row = rows.get((task["service"], task["deployment_id"]))
        if row is None:
            yield f"task {task['task_id']} is of {task['deployment_id']}, which is in no table"
        elif task["created_at"] < row["created_at"]:
            yield f"task {task['task_id']} was created before its deployment"
        elif (task["family"], task["revision"]) != tuple(_split(row["task_definition"])):
            yield f"task {task['task_id']} is not of the definition of its deployment"
    for (service, name), row in rows.items():
        if row["rollout_state"] not in ("IN_PROGRESS", "COMPLETED", "FAILED"):
            yield f"{service} {name} is {row['rollout_state']}"
        if row["rollout_state"] == "COMPLETED" and row["completed_at"] is None:
            yield f"{service} {name} is COMPLETED at no time"
        if row["completed_at"] is not None and row["completed_at"] < row["created_at"]:
            yield f"{service} {name} ended before it began"


def _split(key: str) -> tuple[str, int]:
    family, _, revision = key.rpartition(":")
    return family, int(revision)


def _failed_deployments(ran: FinishedRun) -> Iterator[str]:
    """A FAILED deployment launches nothing after it has failed.

    On virtual machines a failed refresh replaces none, but a machine that boots starts its assigned copy.
    """
    machines = {service.name for service in ran.scenario.services if service.machines}
    for row in ran.rows("deployments", rollout_state="FAILED"):
        if row["service"] in machines:
            continue
        late = [
            task["task_id"]
            for task in ran.tasks(service=row["service"], deployment_id=row["deployment_id"])
            if task["created_at"] > row["completed_at"]
        ]
        if late:
            yield f"{row['service']} {row['deployment_id']} failed at {row['completed_at']} and started {late[:3]}"


def _traffic(ran: FinishedRun) -> Iterator[str]:
    """At each sample the shares of traffic of a service's deployments are percents that add up to 100 at most."""
    shares: dict[tuple[str, int], float] = defaultdict(float)
    for row in ran.rows("deployment_series"):
        percent = row["traffic_percent"]
        if percent is None:
            continue
        if not -1e-9 <= percent <= 100.0 + 1e-9:
            yield f"{row['service']} {row['deployment_id']} has {percent} % of the traffic at {row['time']}"
        shares[row["service"], row["time"]] += percent
    for (service, at), total in shares.items():
        if total > 100.0 + 1e-6:
            yield f"the deployments of {service} have {total} % of the traffic at {at}"


def _cpu_time(ran: FinishedRun) -> Iterator[str]:
    """The CPU time that the tasks of a service used is that of the answered requests.

    Requests that wait at the end are counted and not answered: at most those of the timeout. A request with a denied
    AWS call fails and costs as much. The service times of exact requests are drawn: their sum is within six standard
    deviations of the mean, and requests in a task that ended or hung are lost.
    """
    end = ran.scenario.duration_ms
    for service in ran.scenario.services:
        if service.load is None or service.load.kind != "requests":
            continue
        rows = sorted(ran.rows("service_series", service=service.name), key=lambda row: row["time"])
        tasks = [task for task in ran.tasks(service=service.name) if task["started_at"] is not None]
        used = asked = failed = 0.0
        for row, after in zip(rows, [*(r["time"] for r in rows[1:]), end], strict=True):
            reserved = sum(_vcpu_seconds(ran, task, row["time"], after) for task in tasks)
            used += (row["cpu_utilization"] or 0.0) / 100.0 * reserved
            asked += (row["request_count"] or 0.0) - (row["failed_request_count"] or 0.0)
            failed += row["failed_request_count"] or 0.0
        cost = service.load.cpu_time_ms / 1_000
        rate = max(service.load.series.rates.tolist())
        waiting = rate * (service.load.timeout_ms / 1_000 + 1)
        if service.load.model == "exact":
            waiting += 6 * MOST_VARIATION * math.sqrt(asked + failed) + failed
        most = asked + waiting + (failed if any(of.calls for _, of in service.behaviors) else 0.0)
        if not (asked - waiting) * cost * 0.999 - 1 <= used <= most * cost * 1.001 + 1:
            yield f"{service.name} used {used:.1f} vCPU s for {asked:.0f} requests of {cost} s"


def _vcpu_seconds(ran: FinishedRun, task: Block, begin: int, end: int) -> float:
    """Return the vCPU seconds that a running task reserves within an interval."""
    last = end if task["stopping_at"] is None else min(end, task["stopping_at"])
    return max(0, last - max(begin, task["started_at"])) / 1_000 * (task["cpu"] or 1_024) / 1_024


def _daemons(ran: FinishedRun) -> Iterator[str]:
    """A daemon service with at most 100 % never has two live tasks on an instance, and none of them waits."""
    for service in ran.scenario.services:
        if service.scheduling_strategy != "DAEMON":
            continue
        changes: dict[int, Counter[int]] = defaultdict(Counter)
        for task in ran.tasks(service=service.name):
            if task["placed_at"] is None:
                yield f"daemon task {task['task_id']} was never placed"
                continue
            last = task["stopping_at"] if task["stopping_at"] is not None else task["stopped_at"]
            changes[task["container_instance_id"]][task["placed_at"]] += 1
            if last is not None:
                changes[task["container_instance_id"]][last] -= 1
        if service.deployment.maximum_percent > 100:
            continue
        for host, of in changes.items():
            held = 0
            for at in sorted(of):
                held += of[at]
                if held > 1:
                    yield f"{service.name} has {held} tasks on instance {host} at {at}"


def _protection(ran: FinishedRun) -> Iterator[str]:
    """A protected task is neither scaled in nor replaced by a deployment."""
    for service in ran.scenario.services:
        for task in ran.tasks(service=service.name):
            if task["started_at"] is None or task["stopping_at"] is None:
                continue
            minutes = behaviors(ran, service, definition_key_of(ran, task))["protection_ms"]
            if not minutes or task["started_at"] == -ran.scenario.warm_up_ms:
                continue
            early = task["stopping_at"] < task["started_at"] + minutes
            if early and str(task["stopped_reason"]).startswith(SCALING) and not _drained(ran, task):
                yield f"task {task['task_id']} was scaled in while it was protected for {minutes // MINUTE} minutes"


def _drained(ran: FinishedRun, task: Block) -> bool:
    """Return whether the instance of the task was drained before, which protection from scale-in does not prevent."""
    host = ran.rows("container_instances", container_instance_id=task["container_instance_id"])
    if host and host[0]["draining_at"] is not None and host[0]["draining_at"] <= task["stopping_at"]:
        return True
    return any(
        str(task["container_instance_id"]) in map(str, action.input["containerInstances"])
        for action in ran.scenario.actions
        if action.operation == "updateContainerInstancesState" and action.at_ms <= task["stopping_at"]
    )


def _health(ran: FinishedRun) -> Iterator[str]:
    """A task has a health status exactly when an essential container has a health check."""
    for task in ran.tasks():
        definition = definition_of(ran, task)
        if definition is None or task["started_at"] is None:
            continue
        checked = any(c.essential and c.health_check is not None for c in definition.containers)
        if (task["health_status"] is not None) != checked:
            yield f"task {task['task_id']} is {task['health_status']}, checked: {checked}"


def _health_check_stops(ran: FinishedRun) -> Iterator[str]:
    """Only a task with a check is stopped for failing it."""
    balanced = {service.name for service in ran.scenario.services if service.target_groups}
    for task in ran.tasks():
        reason = str(task["stopped_reason"] or "")
        if "ELB health checks" in reason and task["service"] not in balanced:
            yield f"task {task['task_id']} has no load balancer and failed its checks"
        if "container health checks" in reason and task["health_status"] != "UNHEALTHY":
            yield f"task {task['task_id']} is {task['health_status']} and was stopped as unhealthy"
