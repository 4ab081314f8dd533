"""Laws of the tables of any run: counts and prices are recomputed and compared.

The laws use only the result files and the scenario, in plain numpy, and share no code with the simulator: intervals
of `tasks` give reservations, and intervals times prices give the bill. Each law is a generator of sentences, one for
each violation; `violations` runs them all. The swarm and the law tests call it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from clustersim.scenario.aws.schedule_expressions import fire_times
from clustersim.scenario.sections.scenario import Behavior, RunTask, TaskDefinition
from tests.harness import HOUR, Block, FinishedRun
from tests.oracle.bill import differences
from tests.swarm.capacity_checks import CAPACITY_LAWS
from tests.swarm.cost_checks import resource_laws
from tests.swarm.image_checks import billed_from, certain, image_laws
from tests.swarm.service_checks import definition_of, service_laws
from tests.swarm.virtual_machines import virtual_machine_laws

EXTRA_GIB_FREE = 20
PORTS_OF_AN_INSTANCE = 95
CENT = 0.005
NEAR = 1e-9
REST_SAMPLES = 3
STAMPS = (
    "created_at",
    "placed_at",
    "admitted_at",
    "pull_started_at",
    "pull_stopped_at",
    "started_at",
    "healthy_at",
    "stopping_at",
    "stopped_at",
)


def violations(ran: FinishedRun) -> list[str]:
    """Return the violations of all laws in a run, one sentence each."""
    ran.run.verify()
    laws = (
        *(
            _lifecycles,
            _ages,
            _entries_close,
            _services_close,
            _retries,
            _summary_counts,
            _reservations,
            _agent_queues,
            _exclusions,
        ),
        *(
            _instances,
            _series,
            _steady_counts,
            _waiting,
            _fargate_limits,
            _bill,
            _instance_bill,
            _fargate_bill,
        ),
        *CAPACITY_LAWS,
    )
    results = [f"{law.__name__.strip('_')}: {message}" for law in laws for message in law(ran)]
    others = (service_laws, image_laws, virtual_machine_laws, resource_laws)
    money = [
        f"oracle: {message}"
        for message in differences(ran.run.path, ran.run.path.parents[1] / "scenario.yaml")
    ]
    return [*results, *(message for laws in others for message in laws(ran)), *money]


def _end(ran: FinishedRun) -> int:
    return ran.scenario.duration_ms


def _definition(ran: FinishedRun, task: Block) -> TaskDefinition | None:
    return definition_of(ran, task)


# --- lifecycles --------------------------------------------------------------------------------------------


def _lifecycles(ran: FinishedRun) -> Iterator[str]:
    """Each task is one row with stamps in order, one final state, and a reason when it has stopped."""
    tasks = ran.tasks()
    ids = [task["task_id"] for task in tasks]
    if ids != list(range(1, len(ids) + 1)):
        yield "task ids are not 1, 2, 3 ..."
    queueing = {of.name for of in ran.scenario.providers if of.managed_scaling is not None}
    for task in tasks:
        label = f"task {task['task_id']}"
        stamps = [task[name] for name in STAMPS if task[name] is not None]
        if stamps != sorted(stamps):
            yield f"{label} has stamps out of order: {stamps}"
        if (task["last_status"] == "STOPPED") != (task["stopped_at"] is not None):
            yield f"{label} is {task['last_status']} and stopped at {task['stopped_at']}"
        if task["last_status"] == "STOPPED" and None in (task["stop_code"], task["stopped_reason"]):
            yield f"{label} has stopped without a reason"
        if (task["last_status"] == "RUNNING") != (
            task["started_at"] is not None and task["stopping_at"] is None
        ):
            yield f"{label} is {task['last_status']} with {stamps}"
        if task["placed_at"] is None and (task["container_instance_id"] is not None or task["cost_usd"]):
            yield f"{label} was never placed, yet has an instance or a cost"
        waits = task["last_status"] == "PROVISIONING" and task["launch_type"] == "EC2"
        if waits and (task["wait_reason"] is None or task["capacity_provider"] is None):
            yield f"{label} waits without a reason"
        if waits and task["capacity_provider"] not in queueing:
            yield f"{label} waits on a provider without managed scaling"


def _ages(ran: FinishedRun) -> Iterator[str]:
    """A task without checks is healthy 40 s after RUNNING; a task of a trace runs as long as its row."""
    unchecked = {service.name for service in ran.scenario.services if not service.target_groups}
    first = -ran.scenario.warm_up_ms
    for task in ran.tasks():
        definition = _definition(ran, task)
        plain = definition is not None and definition.health_check is None and task["service"] in unchecked
        if (
            plain
            and task["healthy_at"] is not None
            and task["healthy_at"] not in (first, task["started_at"] + 40_000)
        ):
            yield f"task {task['task_id']} started at {task['started_at']} and was healthy at {task['healthy_at']}"
    for entry in ran.scenario.run_tasks:
        if entry.trace is None or entry.trace.reference_id is None or entry.behavior.exit_code == 0:
            continue
        lengths = dict(zip(_words(entry.trace.reference_id), entry.trace.duration_ms.tolist(), strict=True))
        for task in ran.tasks(exit_code=0, stop_code="EssentialContainerExited"):
            if task["reference_id"] is not None:
                lifetime = task["stopped_at"] - task["started_at"]
                if lifetime != lengths[task["reference_id"]]:
                    yield f"task {task['task_id']} of {task['reference_id']} lifetime {lifetime} ms"


def _words(column: Iterable[object]) -> list[str]:
    """Return a column of texts as Python strings, whatever its type."""
    return [str(word) for word in column]


def _requested(ran: FinishedRun, entry: RunTask) -> tuple[int, int]:
    """Return the minimum and maximum number of tasks that an entry requested before the end."""
    length, start = _end(ran), ran.scenario.start_ms
    if entry.trace is not None:
        due = entry.trace.submit_ms < length
        return (int(entry.trace.instances[due].sum()),) * 2
    if entry.schedule is not None:
        return (entry.count * fire_times(entry.schedule, start, start + length).size,) * 2
    if entry.arrivals_per_hour is not None:
        mean = entry.arrivals_per_hour * length / HOUR
        return max(0, int(mean - 6 * mean**0.5)) * entry.count, int(mean + 6 * mean**0.5 + 6) * entry.count
    return (entry.count if (entry.at_ms or 0) < length else 0,) * 2


def _entries_close(ran: FinishedRun) -> Iterator[str]:
    """Every task that RunTask requested is a row."""
    rows = Counter(task["group"] for task in ran.tasks(service=None) if task["attempt"] == 1)
    for entry in ran.scenario.run_tasks:
        groups = {entry.group}
        if entry.trace is not None and entry.trace.groups is not None:
            groups = set(entry.trace.groups)
        least, most = _requested(ran, entry)
        count = sum(rows[group] for group in groups)
        if not least <= count <= most:
            yield f"{entry.name} requested {least} to {most} tasks and has {count} rows"


def _services_close(ran: FinishedRun) -> Iterator[str]:
    """The service events report as many started tasks as there are rows, apart from `initialState: running`."""
    reported: Counter[str] = Counter()
    for event in ran.rows("events", kind="SERVICE_TASKS_STARTED"):
        reported[event["service"]] += int(re.search(r"has started (\d+) tasks", event["message"])[1])  # type: ignore[index]
    first = -ran.scenario.warm_up_ms
    for service in ran.scenario.services:
        rows = ran.tasks(service=service.name)
        at_once = 0
        if ran.scenario.initial_state == "running":
            at_once = sum(row["healthy_at"] == first == row["created_at"] for row in rows)
        if len(rows) != reported[service.name] + at_once:
            yield f"{service.name} has {len(rows)} rows, started {reported[service.name]}, and {at_once} were there"


def _retries(ran: FinishedRun) -> Iterator[str]:
    """A failed attempt is followed by the next one, up to the retries of the entry."""
    ended: Counter[tuple[str, int]] = Counter()
    begun: Counter[tuple[str, int]] = Counter()
    for task in ran.tasks(service=None):
        begun[task["group"], task["attempt"]] += 1
        taken = task["stop_code"] in ("SpotInterruption", "TerminationNotice")
        bad = task["last_status"] == "STOPPED" and (task["exit_code"] != 0 or taken)
        ended[task["group"], task["attempt"]] += bad and task["stop_code"] != "UserInitiated"
    for entry in ran.scenario.run_tasks:
        labels = None if entry.trace is None else entry.trace.groups
        for group in {entry.group} if labels is None else set(labels):
            for attempt in range(1, entry.retries + 2):
                wanted = ended[group, attempt] if attempt <= entry.retries else 0
                if begun[group, attempt + 1] != wanted:
                    message = f"{wanted} attempts {attempt} to be repeated, {begun[group, attempt + 1]} were"
                    yield f"{group} had {message}"


def _summary_counts(ran: FinishedRun) -> Iterator[str]:
    """The counts of the summary are those of the rows between `start` and the end."""
    tasks, end = ran.tasks(), _end(ran)
    created = [task for task in tasks if 0 <= task["created_at"] < end]
    stopped = [task for task in tasks if task["stopped_at"] is not None and task["stopped_at"] >= 0]
    failed = [
        task
        for task in stopped
        if task["stop_code"] == "TaskFailedToStart"
        or (task["stop_code"] == "EssentialContainerExited" and task["exit_code"])
    ]
    counted = {
        "tasks_created": len(created),
        "tasks_started": sum(t["started_at"] is not None and t["started_at"] >= 0 for t in tasks),
        "tasks_stopped": len(stopped),
        "tasks_failed": len(failed),
        "tasks_never_placed": sum(task["placed_at"] is None for task in created),
    }
    for name, count in counted.items():
        if ran.summary[name] != count:
            yield f"{name} is {ran.summary[name]}, the rows show {count}"
    for entry in ran.scenario.run_tasks:
        if entry.trace is None or entry.trace.groups is None:
            tasks_here = [task for task in created if task["group"] == entry.group and task["attempt"] == 1]
            if ran.summary["run_tasks"][entry.name]["count"] != len(tasks_here):
                yield f"run_tasks.{entry.name}.count is not {len(tasks_here)}"
    for service in ran.scenario.services:
        area = sum(
            _overlap(task["started_at"], task["stopping_at"], end)
            for task in tasks
            if task["service"] == service.name and task["started_at"] is not None
        )
        reported = ran.summary["services"][service.name]["running_mean"]
        if abs(reported - area / end) > 1e-9:
            yield f"services.{service.name}.running_mean is {reported}, the rows show {area / end}"


def _overlap(first: int, last: int | None, end: int) -> int:
    """Return the ms of an interval between `start` and the end; None: it has no end."""
    return max(0, min(end, end if last is None else last) - max(0, first))


# --- capacity ----------------------------------------------------------------------------------------------


def _highest(changes: list[tuple[int, float]]) -> float:
    """Return the highest sum of changes, with decreases first at each instant."""
    total = most = 0.0
    for _, change in sorted(changes):
        total += change
        most = max(most, total)
    return most


def _span(first: int, last: int | None, amount: float) -> list[tuple[int, float]]:
    return (
        [(first, amount)] if last is None else ([] if last <= first else [(first, amount), (last, -amount)])
    )


def _placed(ran: FinishedRun) -> dict[int, list[Block]]:
    """The tasks of each container instance."""
    by_host: dict[int, list[Block]] = defaultdict(list)
    for task in ran.tasks():
        if task["container_instance_id"] is not None:
            by_host[task["container_instance_id"]].append(task)
    return by_host


def reserved_until(task: Block) -> int | None:
    """Return when ECS stopped counting a task on an instance: when it began to stop, or else was STOPPED."""
    instants = [task[name] for name in ("stopping_at", "stopped_at") if task[name] is not None]
    return min(instants, default=None)


def _reservations(ran: FinishedRun) -> Iterator[str]:
    """No instance ever had more placed on it, nor held more, than it registered, of any resource.

    ECS counts a task from its placement until it begins to stop, and its interface until it is STOPPED; the host holds
    it from its admission until it is STOPPED.
    """
    keeps_interfaces = ran.scenario.cluster.stopping_tasks_hold_interfaces
    kinds = {kind.name: kind for kind in ran.scenario.instance_types}
    trunking = ran.scenario.cluster.awsvpc_trunking
    tasks = _placed(ran)
    for host in ran.instances():
        kind = kinds[host["instance_type"]]
        enis = kind.eni_trunk_limit if trunking and kind.eni_trunk_limit else kind.eni_task_limit
        sizes = {
            "cpu": host["registered_cpu"],
            "memory_mib": host["registered_memory_mib"],
            "gpus": kind.gpus,
            "enis": enis,
            "ports": PORTS_OF_AN_INSTANCE,
        }
        changes: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for task in tasks[host["container_instance_id"]]:
            definition = _definition(ran, task)
            needs = {name: task[name] for name in ("cpu", "memory_mib", "gpus")}
            needs["enis"] = int(definition is not None and definition.network_mode == "awsvpc")
            needs["ports"] = len(definition.static_ports) if definition else 0
            for port in definition.static_ports if definition else ():
                needs[f"port {port}"] = 1
            for name, amount in needs.items():
                last = task["stopped_at"] if name == "enis" and keeps_interfaces else reserved_until(task)
                changes[name] += _span(task["placed_at"], last, amount)
                if task["admitted_at"] is not None:
                    changes[f"held {name}"] += _span(task["admitted_at"], task["stopped_at"], amount)
        for name, of in changes.items():
            size = sizes.get(name.removeprefix("held "), 1)
            if _highest(of) > size:
                yield f"instance {host['container_instance_id']} had {_highest(of)} {name} of {size}"


def _agent_queues(ran: FinishedRun) -> Iterator[str]:
    """A host admits tasks in order of placement, and only one that was placed beside a stopping task has to wait."""
    for host, tasks in _placed(ran).items():
        waited: list[Block] = []
        for task in sorted(tasks, key=lambda task: task["placed_at"]):
            begun = task["admitted_at"]
            over = begun if task["stopped_at"] is None or begun is not None else task["stopped_at"]
            if begun is not None and any(
                (other["admitted_at"] is None or other["admitted_at"] > begun)
                and other["placed_at"] < task["placed_at"]
                and (other["stopped_at"] is None or other["stopped_at"] > begun)
                for other in waited
            ):
                yield f"instance {host} admitted task {task['task_id']} before one that was placed earlier"
            if over == task["placed_at"]:
                continue
            waited.append(task)
            beside = any(
                other["stopping_at"] is not None
                and other["stopping_at"] <= task["placed_at"]
                and (other["stopped_at"] is None or other["stopped_at"] >= task["placed_at"])
                for other in tasks
            )
            if not beside:
                yield f"instance {host} held task {task['task_id']} though none was stopping"
            if task["wait_reason"] is None or not task["wait_reason"].startswith("HOST:"):
                yield f"task {task['task_id']} was held for {task['wait_reason']}"


def _exclusions(ran: FinishedRun) -> Iterator[str]:
    """distinctInstance: no two tasks of the group run on one instance at a time."""
    entries = {f"service:{each.name}": each for each in ran.scenario.services}
    entries |= {each.group: each for each in ran.scenario.run_tasks}
    strict = {
        group
        for group, each in entries.items()
        if any(c.type == "distinctInstance" for c in each.placement_constraints)
    }
    for host, tasks in _placed(ran).items():
        spans: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for task in tasks:
            if task["group"] in strict:
                last = task["stopped_at"] if task["stopping_at"] is None else task["stopping_at"]
                spans[task["group"]] += _span(task["placed_at"], last, 1)
        for group, of in spans.items():
            if _highest(of) > 1:
                yield f"{group} had {_highest(of):.0f} tasks at once on instance {host}"


def _instances(ran: FinishedRun) -> Iterator[str]:
    """Tasks run on registered instances of their zone; instances report their tasks and reservations."""
    tasks, end = _placed(ran), _end(ran)
    for host in ran.instances():
        label, tasks_here = f"instance {host['container_instance_id']}", tasks[host["container_instance_id"]]
        if host["tasks_started"] != len(tasks_here):
            yield f"{label} says {host['tasks_started']} tasks, {len(tasks_here)} were placed there"
        if (host["terminated_at"] is None) != (host["termination_reason"] is None):
            yield f"{label} has a termination without a reason, or the other way round"
        if any(task["availability_zone"] != host["availability_zone"] for task in tasks_here):
            yield f"{label} has tasks that say another zone"
        gone = end if host["terminated_at"] is None else host["terminated_at"]
        if tasks_here and host["registered_at"] is None:
            yield f"{label} has tasks but never registered"
            continue
        for task in tasks_here:
            last = end if task["stopped_at"] is None else task["stopped_at"]
            if task["placed_at"] < host["registered_at"] or last > gone:
                yield f"{label} has task {task['task_id']} outside its own life"
            if host["draining_at"] is not None and task["placed_at"] > host["draining_at"]:
                yield f"{label} was given task {task['task_id']} while draining"
        lifetime = gone - host["registered_at"] if host["registered_at"] is not None else 0
        if lifetime > 0:
            for name, size in (("cpu", host["registered_cpu"]), ("memory", host["registered_memory_mib"])):
                key = "cpu" if name == "cpu" else "memory_mib"
                area = sum(
                    task[key]
                    * ((gone if reserved_until(task) is None else reserved_until(task)) - task["placed_at"])
                    for task in tasks_here
                )
                reported = host[f"{name}_reservation_mean"]
                if abs(reported - 100 * area / lifetime / size) > 1e-6:
                    yield f"{label}: {name}_reservation_mean is {reported}, not {100 * area / lifetime / size}"


def _series(ran: FinishedRun) -> Iterator[str]:
    """The counts of each sample are those of the rows at that instant."""
    for service in ran.scenario.services:
        tasks = ran.tasks(service=service.name)
        rows = sorted(ran.rows("service_series", service=service.name), key=lambda row: row["time"])
        times = np.array([row["time"] for row in rows], np.int64)
        if times.size and (times[0] != 0 or len(set(np.diff(times).tolist())) > 1):
            yield f"the samples of {service.name} are not one interval apart"
        for name, first in (("running", "started_at"), ("healthy", "healthy_at")):
            counted = _count_at(times, tasks, first, "stopping_at")
            reported = np.array([row[f"{name}_count"] for row in rows], np.int64)
            # A task that has become unhealthy does not count as healthy, while `healthy_at` keeps the first time.
            fails = any(b.time_to_hang is not None or b.containers for _, b in service.behaviors)
            if (reported > counted).any() or (
                (reported != counted).any() and not (fails and name == "healthy")
            ):
                yield f"{name}_count of {service.name} is not what its tasks show"
        counted = _count_at(times, tasks, "created_at", "stopped_at") - _count_at(
            times, tasks, "started_at", "stopped_at"
        )
        if [row["pending_count"] for row in rows] != counted.tolist():
            yield f"pending_count of {service.name} is not what its tasks show"
    providers = ran.rows("capacity_provider_series")
    for name in {row["capacity_provider"] for row in providers}:
        rows = sorted(
            (row for row in providers if row["capacity_provider"] == name), key=lambda row: row["time"]
        )
        times = np.array([row["time"] for row in rows], np.int64)
        hosts = ran.instances(capacity_provider=name)
        if not name.startswith("FARGATE"):
            ids = {host["container_instance_id"] for host in hosts}
            tasks = [task for task in ran.tasks() if task["container_instance_id"] in ids]
            for column, rank in (
                ("running_instances", "launched_at"),
                ("registered_instances", "registered_at"),
            ):
                if [row[column] for row in rows] != _count_at(times, hosts, rank, "terminated_at").tolist():
                    yield f"{column} of {name} is not what its instances show"
            if [row["running_tasks"] for row in rows] != _count_at(
                times, tasks, "placed_at", "stopped_at"
            ).tolist():
                yield f"running_tasks of {name} is not what its tasks show"


def _steady_counts(ran: FinishedRun) -> Iterator[str]:
    """A service whose tasks can always be created reaches its desired count within three samples."""
    cluster, acted = ran.scenario.cluster, Counter(action.operation for action in ran.scenario.actions)
    limits = (cluster.provisioning_limit, cluster.provisioning_timeout_ms, cluster.fargate_quota_vcpu)
    if ran.scenario.failures.zone_outages or ran.scenario.failures.capacity_shortages:
        return  # what Fargate refuses is not created
    if limits != (None, None, None) or acted["updateContainerInstancesState"] or not certain(ran):
        return
    deployed = {
        action.input.get("service")
        for action in ran.scenario.actions
        if "taskDefinition" in action.input or "forceNewDeployment" in action.input
    }
    for service in ran.scenario.services:
        of = service.deployment
        unsure = (
            service.launch_type == "EC2"
            or service.name in deployed
            or service.scheduling_strategy == "DAEMON"
        )
        if unsure or of.circuit_breaker or of.alarms or any(_is_fickle(b) for _, b in service.behaviors):
            continue
        away = 0
        for row in sorted(ran.rows("service_series", service=service.name), key=lambda row: row["time"]):
            has = row["running_count"] + row["pending_count"]
            away = away + 1 if has != row["desired_count"] else 0
            if away == REST_SAMPLES:
                yield f"{service.name} wants {row['desired_count']} tasks and has {has} at {row['time']} ms"


def _is_fickle(behavior: Behavior) -> bool:
    """Return whether tasks may fail to start, be replaced before they stop, or be kept by their protection."""
    fails = behavior.start_failure_probability or behavior.time_to_hang or behavior.containers
    return bool(fails or behavior.protection_ms or behavior.ready_time_ms is None)


def _count_at(times: np.ndarray, rows: list[Block], first: str, last: str) -> np.ndarray:
    """Return the number of rows between their `first` and `last` instants, at each of `times`."""
    begun = np.sort([row[first] for row in rows if row[first] is not None])
    over = np.sort([row[last] for row in rows if row[first] is not None and row[last] is not None])
    return np.searchsorted(begun, times, "right") - np.searchsorted(over, times, "right")


def _waiting(ran: FinishedRun) -> Iterator[str]:
    """No more tasks wait for EC2 than the limit, from which Managed Instances are exempt, and none too long."""
    limit, timeout = ran.scenario.cluster.provisioning_limit, ran.scenario.cluster.provisioning_timeout_ms
    changes: list[tuple[int, float]] = []
    for task in [task for task in ran.tasks() if task["launch_type"] != "FARGATE"]:
        over = task["stopped_at"] if task["placed_at"] is None else task["placed_at"]
        if task["launch_type"] == "EC2":
            changes += _span(task["created_at"], over, 1)
        waited = (_end(ran) if over is None else over) - task["created_at"]
        if timeout is not None and waited > timeout:
            yield f"task {task['task_id']} waited {waited} ms"
        if task["capacity_provider"] is None and waited > 0:
            yield f"task {task['task_id']} of launch type EC2 waited {waited} ms"
    if limit is not None and _highest(changes) > limit:
        yield f"{_highest(changes):.0f} tasks waited at once, the limit is {limit}"


def _fargate_limits(ran: FinishedRun) -> Iterator[str]:
    """Fargate's vCPU quota and launch rate hold, separately for on-demand and Spot."""
    cluster = ran.scenario.cluster
    for spot in (False, True):
        tasks = [
            task
            for task in ran.tasks(launch_type="FARGATE")
            if (task["capacity_provider"] == "FARGATE_SPOT") == spot and task["placed_at"] is not None
        ]
        used = [change for t in tasks for change in _span(t["placed_at"], t["stopped_at"], t["cpu"] / 1024)]
        quota = cluster.fargate_quota_vcpu if ran.scenario.initial_state == "empty" else None
        if quota is not None and _highest(used) > quota + 1e-9:
            yield f"{_highest(used)} Fargate vCPUs ran at once, the quota is {quota}"
        first = -ran.scenario.warm_up_ms
        placed = np.sort([t["placed_at"] for t in tasks if not t["healthy_at"] == t["created_at"] == first])
        # A token bucket: between any two launches, at most the burst and what was refilled meanwhile. The
        # stamp is rounded up to a ms, so one launch more may seem to fall into a span.
        per_ms = cluster.fargate_launch_per_second / 1_000
        level = np.arange(placed.size) - per_ms * placed
        if (
            placed.size
            and float(np.max(level - np.minimum.accumulate(level))) > cluster.fargate_launch_burst + 1
        ):
            yield "Fargate launched faster than its rate"


# --- cost --------------------------------------------------------------------------------------------------


def _bill(ran: FinishedRun) -> Iterator[str]:
    """The bill is what payers, idle capacity, unused commitments and shared charges cost; nothing is negative."""
    costs, reported = ran.rows("costs"), ran.summary["cost_usd"]
    billed = sum(row["BilledCost"] for row in costs)
    effective = sum(row["EffectiveCost"] for row in costs)
    if abs(billed - reported) > NEAR * (1 + reported):
        yield f"the rows of costs come to {billed}, the summary says {reported}"
    if abs(effective - billed) > NEAR * (1 + reported):
        yield f"EffectiveCost comes to {effective}, BilledCost to {billed}"
    payers = [*ran.summary["services"].values(), *ran.summary["run_tasks"].values()]
    parts = {
        "task": sum(task["cost_usd"] for task in ran.tasks()),
        "idle": ran.summary["cost_usd_idle"],
        "commitment": ran.summary["cost_usd_commitment_unused"],
        "shared": ran.summary["cost_usd_shared"],
    }
    others = sum(usd for share, usd in parts.items() if share != "task")
    if abs(sum(payer["cost_usd"] for payer in payers) + others - reported) > NEAR * (1 + reported):
        yield f"payers and {parts} do not come to {reported}"
    by_share: Counter[str] = Counter()
    by_group: Counter[str | None] = Counter()
    for row in costs:
        by_share[row["x_Share"]] += row["EffectiveCost"]
        by_group[row["x_Group"]] += row["EffectiveCost"]
        if min(row["BilledCost"], row["EffectiveCost"], row["PricingQuantity"]) < 0:
            yield f"a row of costs is negative: {row['BilledCost']} for {row['SkuId']}"
    for share in by_share.keys() | parts.keys():
        if abs(by_share[share] - parts.get(share, 0.0)) > NEAR * (1 + reported):
            yield f"{share} comes to {by_share[share]} in costs and {parts.get(share)} in the summary"
    of_tasks: Counter[str | None] = Counter({None: others})
    for task in ran.tasks():
        of_tasks[task["group"]] += task["cost_usd"]
    for group in set(by_group) | set(of_tasks):
        if abs(by_group[group] - of_tasks[group]) > NEAR * (1 + reported):
            yield f"{group} pays {by_group[group]} in costs and {of_tasks[group]} in tasks"


def _billed_ms(first: int, last: int | None, end: int) -> int:
    """Return the billed ms of an interval within the window; one that ended is rounded up to seconds, at least 60."""
    if last is None:
        return _overlap(first, None, end)
    inside = _overlap(first, last, end)
    if first < 0:
        return inside
    length = last - first
    return inside + max(-(-length // 1000) * 1000, 60_000) - length


def _instance_bill(ran: FinishedRun) -> Iterator[str]:
    """EC2: hours times prices, from the rows of instances."""
    kinds = {kind.name: kind for kind in ran.scenario.instance_types}
    pools = {pool.provider or pool.name: pool for pool in ran.scenario.pools}
    pricing = ran.scenario.pricing
    committed = bool(pricing.savings_plans or pricing.reserved_instances)
    hours = dollars = 0.0
    for host in ran.instances():
        pool = pools[host["capacity_provider"] or host["auto_scaling_group"]]
        kind = kinds[host["instance_type"]]
        spot = host["purchase_option"] == "spot"
        price = kind.spot_usd_per_hour if spot else kind.usd_per_hour
        price += ran.scenario.pricing.ebs_usd_per_gib_month * pool.root_volume_gib / 730
        price += pool.fee(kind.name) * kind.usd_per_hour
        lifetime = _billed_ms(host["launched_at"], host["terminated_at"], _end(ran)) / HOUR
        hours += lifetime
        dollars += lifetime * price
        if not committed and abs(lifetime * price - host["cost_usd"]) > 1e-6:
            yield f"instance {host['container_instance_id']} cost {host['cost_usd']}, not {lifetime * price}"
    if abs(hours - ran.summary["instance_hours"]) > 1e-6:
        yield f"instance_hours is {ran.summary['instance_hours']}, the rows show {hours}"
    billed = sum(row["BilledCost"] for row in ran.rows("costs") if row["ResourceType"] != "Task")
    if not committed and abs(billed - dollars) > CENT:
        yield f"EC2 is billed {billed}, the instances show {dollars}"


def _fargate_bill(ran: FinishedRun) -> Iterator[str]:
    """Fargate: configured size times time times prices, from the rows of tasks."""
    prices = {(price.arch, price.spot): price for price in ran.scenario.pricing.fargate}
    planned = bool(ran.scenario.pricing.savings_plans)
    vcpu_hours = dollars = 0.0
    for task in ran.tasks(launch_type="FARGATE"):
        definition = _definition(ran, task)
        begun = billed_from(ran, task)
        if begun is None or definition is None:
            if task["cost_usd"]:
                yield f"task {task['task_id']} cost {task['cost_usd']} before anything was pulled"
            continue
        price = prices[definition.arch, task["capacity_provider"] == "FARGATE_SPOT"]
        hours = _billed_ms(begun, task["stopped_at"], _end(ran)) / HOUR
        vcpu_hours += hours * task["cpu"] / 1024
        cost = hours * task["cpu"] / 1024 * price.vcpu_usd_per_hour
        cost += hours * task["memory_mib"] / 1024 * price.gb_usd_per_hour
        cost += hours * max(0, definition.ephemeral_gib - EXTRA_GIB_FREE) * price.ephemeral_gb_usd_per_hour
        dollars += cost
        if not planned and abs(cost - task["cost_usd"]) > 1e-9:
            yield f"task {task['task_id']} cost {task['cost_usd']}, not {cost}"
    if abs(vcpu_hours - ran.summary["fargate_vcpu_hours"]) > 1e-6:
        yield f"fargate_vcpu_hours is {ran.summary['fargate_vcpu_hours']}, the rows show {vcpu_hours}"
    billed = sum(row["BilledCost"] for row in ran.rows("costs", ResourceType="Task"))
    if not planned and abs(billed - dollars) > CENT:
        yield f"Fargate is billed {billed}, the tasks show {dollars}"
