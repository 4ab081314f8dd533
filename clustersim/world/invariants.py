"""An independent second reading of the world: what must be true whenever an instant has settled.

Counts everything anew from the rows of tasks and instances, in plain numpy, and compares with what the gateway
keeps. Shares no code with the kernels on purpose. Tests run it at every instant; a difference is a defect.
"""

from __future__ import annotations

import numpy as np

from clustersim.errors import InvariantViolation
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY, InstanceState, TaskState
from clustersim.world import tables
from clustersim.world.image_invariants import check_images
from clustersim.world.world import World


def check(world: World) -> None:
    """Raise InvariantViolation at the first thing that is not as it must be."""
    _check_hosts(world)
    _check_counts(world)
    _check_instants(world)
    _check_waiting(world)
    _check_slots(world)
    check_images(world, _require)


def _require(world: World, truth: bool, words: str) -> None:
    if not truth:
        raise InvariantViolation(f"at {world.now} ms: {words}")


def _check_hosts(world: World) -> None:
    """Reserved is the sum over live tasks on every instance, and never more than registered."""
    state = world.state
    tasks = state.tasks[world.live_tasks()]
    placed = tasks[tasks["slot"] >= 0]
    shapes = state.shapes[placed["shape"]]
    lanes = state.lanes[placed["lane"]]
    asks = {
        CPU: placed["cpu"],
        MEMORY: placed["memory"],
        GPU: placed["gpus"],
        ENI: lanes["eni"],
        HOST_PORTS: shapes["host_ports"],
    }
    live = world.live_instances()
    up = live[np.isin(state.instances["state"][live], (InstanceState.ACTIVE, InstanceState.DRAINING))]
    classes = state.classes[state.instances["klass"][up]]
    sizes = {
        CPU: classes["cpu"],
        MEMORY: classes["memory"],
        GPU: classes["gpus"],
        ENI: classes["enis"],
        HOST_PORTS: classes["host_ports"],
    }
    for resource, amounts in asks.items():
        used = np.bincount(placed["slot"], weights=amounts, minlength=state.instances.size)[up]
        free = state.hosts.free[resource, up]
        _require(
            world,
            bool(np.all(free == sizes[resource] - used)),
            f"free resource {resource} is not what is left",
        )
        _require(world, bool(np.all(free >= 0)), f"an instance is over-committed in resource {resource}")
    ports = np.where(
        (state.instances["klass"] >= 0)[:, None], state.class_ports[state.instances["klass"]], np.uint64(0)
    )
    np.bitwise_or.at(ports, placed["slot"], state.lane_ports[placed["lane"]])
    _require(
        world, bool(np.all(ports[up] == state.hosts.ports[up])), "the taken ports are not those of the tasks"
    )
    counted = np.bincount(placed["slot"], minlength=state.instances.size)
    _require(
        world,
        bool(np.all(counted[live] == state.instances["task_count"][live])),
        "an instance's task count is not the number of its tasks",
    )
    working = placed[state.sets["daemon"][placed["set"]] == 0]
    counted = np.bincount(working["slot"], minlength=state.instances.size)
    _require(
        world,
        bool(np.all(counted[live] == state.instances["working"][live])),
        "an instance's working tasks are not those that are no daemons",
    )
    _check_open(world, live)


def _check_open(world: World, live: np.ndarray) -> None:
    """The placer sees exactly the instances that are ACTIVE and whose agent is connected."""
    state = world.state
    active = state.instances["state"][live] == InstanceState.ACTIVE
    active &= state.instances["connected"][live] == 1
    opened = state.hosts.klass[live] >= 0
    _require(
        world,
        bool(np.all(active == opened)),
        "an instance is open that is not ACTIVE and connected, or the other way round",
    )
    silent = np.count_nonzero(state.instances["connected"][live] == 0)
    _require(world, silent == state.clock[tables.DISCONNECTED], "disconnected agents are miscounted")


def _check_counts(world: World) -> None:
    """Counts per set, service, lane and zone are those of the rows."""
    state = world.state
    tasks = state.tasks[world.live_tasks()]
    state_of = tasks["state"]
    masks = {
        "provisioning": state_of == TaskState.PROVISIONING,
        "pending": (state_of > TaskState.PROVISIONING) & (state_of < TaskState.RUNNING),
        "running": state_of == TaskState.RUNNING,
        "stopping": state_of > TaskState.RUNNING,
        "healthy": (state_of == TaskState.RUNNING) & (tasks["healthy"] >= 0) & (tasks["unwell"] == 0),
        "unwell": (state_of == TaskState.RUNNING) & (tasks["unwell"] > 0),
        "ready": tasks["ready"] == 1,
        "hung": tasks["hung"] == 1,
        "leaving": tasks["leaving"] == 1,
    }
    for name, mask in masks.items():
        counted = np.bincount(tasks["set"][mask], minlength=state.sets.size)
        _require(world, bool(np.all(counted == state.sets[name])), f"a task set miscounts its {name} tasks")
    service_of = state.sets["service"][tasks["set"]]
    _require(
        world,
        not bool(np.any((tasks["ready"] == 1) & (tasks["hung"] == 1))),
        "a task answers and does not answer",
    )
    for name in ("provisioning", "pending", "running", "healthy"):
        mask = masks[name] & (service_of >= 0)
        counted = np.bincount(service_of[mask], minlength=state.services.size)[: state.services.size]
        _require(
            world, bool(np.all(counted == state.services[name])), f"a service miscounts its {name} tasks"
        )
    lanes = np.bincount(tasks["lane"], minlength=state.lanes.size)
    _require(world, bool(np.all(lanes == state.lanes["live"])), "a lane miscounts its tasks")
    spread = tasks[(state_of <= TaskState.RUNNING) & (tasks["placed"] >= 0)]
    zones = np.zeros_like(state.zone_counts)
    np.add.at(zones, (state.sets["group"][spread["set"]], spread["zone"]), 1)
    _require(world, bool(np.array_equal(zones, state.zone_counts)), "a group miscounts its tasks per zone")
    _check_providers(world)


def _check_providers(world: World) -> None:
    """What providers say is reserved and registered is the sum over their instances and Fargate tasks."""
    state = world.state
    live = world.live_instances()
    instances = state.instances[live]
    classes = state.classes[instances["klass"]]
    size = state.providers.size
    up = instances["registered"] >= 0
    for name, weights in (("registered_cpu", classes["cpu"]), ("registered_memory", classes["memory"])):
        counted = np.bincount(classes["provider"][up], weights=weights[up], minlength=size)
        _require(world, bool(np.all(counted == state.providers[name])), f"a provider miscounts its {name}")
    counted = np.bincount(classes["provider"], minlength=size)
    _require(
        world, bool(np.all(counted == state.providers["instances"])), "a provider miscounts its instances"
    )
    tasks = state.tasks[world.live_tasks()]
    lanes = state.lanes[tasks["lane"]]
    placed = tasks["placed"] >= 0
    hosts = np.maximum(tasks["slot"], 0)
    of_host = state.classes["provider"][state.instances["klass"][hosts]]
    providers = np.where(lanes["fargate"] == 1, lanes["provider"], of_host)[placed]
    for name, amounts in (
        ("cpu", tasks["cpu"]),
        ("memory", tasks["memory"]),
        ("running", np.ones(tasks.size)),
    ):
        counted = np.bincount(providers, weights=amounts[placed], minlength=size)
        _require(world, bool(np.all(counted == state.providers[name])), f"a provider miscounts its {name}")
    waiting = tasks["state"] == TaskState.PROVISIONING
    counted = np.bincount(lanes["provider"][waiting], minlength=size)
    _require(
        world, bool(np.all(counted == state.providers["provisioning"])), "a provider miscounts who waits"
    )
    fargate = lanes["fargate"] == 1
    used = np.bincount(lanes["bucket"][fargate], weights=tasks["cpu"][fargate], minlength=state.buckets.size)
    _require(world, bool(np.all(used == state.buckets["cpu"])), "Fargate miscounts its CPU units")


def _check_instants(world: World) -> None:
    """The stamps of a life come in order, and each state has the stamps it needs."""
    state = world.state
    tasks = state.tasks[world.live_tasks()]
    before = tasks["created"].copy()
    for name in ("placed", "pull_started", "pull_stopped", "started", "healthy", "stopping"):
        stamp = tasks[name]
        known = stamp >= 0
        _require(
            world,
            bool(np.all(stamp[known] >= before[known])),
            f"a task has {name} before what must precede it",
        )
        before = np.where(known, stamp, before)
    _require(world, bool(np.all(tasks["stopped"] < 0)), "a live task has a stopped stamp")
    running = tasks["state"] >= TaskState.RUNNING
    _require(world, bool(np.all(tasks["started"][running] >= 0)), "a task runs that never started")
    waiting = tasks["state"] == TaskState.PROVISIONING
    _require(world, bool(np.all(tasks["placed"][waiting] < 0)), "a task in PROVISIONING has a place")


def _check_waiting(world: World) -> None:
    """Who waits fits on no host, as far as plain resources decide; queues hold exactly the waiting."""
    state = world.state
    live = world.live_tasks()
    tasks = state.tasks[live]
    waiting = live[tasks["waiting"] == 1]
    _require(world, waiting.size == state.clock[tables.WAITING_TASKS], "the waiting tasks are miscounted")
    promised = tasks[tasks["promised"] >= 0]
    _require(world, promised.size == state.clock[tables.PROMISED], "the promised tasks are miscounted")
    hosts_of = state.instances["state"][promised["promised"]]
    kept = (promised["state"] == TaskState.PROVISIONING) & (promised["waiting"] == 0)
    kept &= hosts_of == InstanceState.REGISTERING
    _require(world, bool(np.all(kept)), "a task is promised to an instance that is not being launched")
    if waiting.size == 0:
        return
    shapes = np.unique(state.tasks["shape"][waiting])
    hosts = state.hosts
    for shape in shapes:
        q = state.shapes[shape]
        lane = state.lanes[q["lane"]]
        if not lane["plain"]:
            continue
        allowed = (hosts.klass >= 0) & (state.eligible[q["lane"]][np.maximum(hosts.klass, 0)] == 1)
        asks = ((CPU, q["cpu"]), (MEMORY, q["memory"]), (GPU, q["gpus"]), (ENI, lane["eni"]))
        for resource, amount in asks:
            allowed &= hosts.free[resource] >= amount
        _require(
            world, not bool(np.any(allowed)), f"a task of shape {shape} waits although it fits somewhere"
        )


def _check_slots(world: World) -> None:
    """A slot is live or free, never both; serials are unique."""
    state = world.state
    free = state.free_tasks[: state.clock[tables.FREE_TASKS]]
    live = world.live_tasks()
    _require(world, free.size + live.size == state.tasks.size, "task slots are lost")
    _require(world, np.intersect1d(free, live).size == 0, "a task slot is live and free")
    _require(world, np.unique(state.tasks["task_id"][live]).size == live.size, "two tasks share an id")
    total = int(state.clock[tables.HEAP_SIZE])
    _require(world, 0 <= total <= state.heap.shape[0], "the heap is out of bounds")
