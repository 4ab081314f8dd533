"""The second reading of what instances hold of images, of registries' windows, and of addresses.

A part of `world.invariants`, which says how: everything is counted anew from the rows of tasks and instances.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.policy.shelves import BAKED_IN, NOTHING
from clustersim.vocabulary import NEVER, TaskState
from clustersim.world.world import World

Require = Callable[[World, bool, str], None]


def check_images(world: World, require: Require) -> None:
    """Shelves, stamps of pulls, windows and addresses are what the rows say."""
    _check_addresses(world, require)
    if world.state.versions.size == 0:
        return
    _check_containers(world, require)
    _check_layers(world, require)
    _check_pulls(world, require)
    _check_windows(world, require)


def _check_containers(world: World, require: Require) -> None:
    """A version is held by the containers of the live tasks on its host that run it, and no others."""
    state = world.state
    containers = np.zeros_like(state.shelves.containers)
    written = np.zeros_like(state.shelves.written)
    slots = world.live_tasks()
    slots = slots[state.tasks["slot"][slots] >= 0]
    tasks = state.tasks[slots]
    sets = state.sets[tasks["set"]]
    for number in range(int(sets["pulls"].max(initial=0))):
        mine = np.flatnonzero((sets["pulls"] > number) & (state.holds[slots, number] >= 0))
        hosts = tasks["slot"][mine]
        np.add.at(containers, (hosts, state.holds[slots[mine], number]), 1)
        np.add.at(written, hosts, state.pulls["read_write"][sets["first_pull"][mine] + number])
    live = world.live_instances()
    same = np.array_equal(containers[live], state.shelves.containers[live])
    require(world, same, "a host miscounts the containers of an image")
    same = np.array_equal(written[live], state.shelves.written[live])
    require(world, same, "a host miscounts its read/write layers")


def _check_layers(world: World, require: Require) -> None:
    """A layer is there once, for the versions that stand on it, and the disk holds exactly the layers."""
    state, stacks = world.state, world.state.stacks
    live = world.live_instances()
    shelves = state.shelves
    here = shelves.pulled_at[live] != NEVER
    stands = np.zeros((stacks.image.size, stacks.compressed.size), np.int64)
    for version in range(stacks.image.size):
        stands[version, stacks.layers[stacks.first[version] : stacks.first[version + 1]]] = 1
    standing = here.astype(np.int64) @ stands
    require(world, np.array_equal(standing, shelves.standing[live]), "a host miscounts who stands on a layer")
    there = shelves.there_at[live] != NEVER
    require(world, np.array_equal(there, standing > 0), "a layer is there for nobody, or missing")
    stored = there.astype(np.int64) @ stacks.unpacked
    require(world, np.array_equal(stored, shelves.stored[live]), "a disk does not hold its layers")
    if world.scenario.initial_state == "empty" and state.baked.size == 0:
        disks = state.agents["disk"][state.instances["klass"][live]]
        require(world, bool(np.all(stored <= disks)), "a disk holds more than it can")
    for image in range(shelves.held.shape[1]):
        held = shelves.held[live, image]
        rows = np.flatnonzero(held != NOTHING)
        require(world, bool(np.all(here[rows, held[rows]])), "a tag means what is not there")
        require(world, bool(np.all(stacks.image[held[rows]] == image)), "a tag means another image's version")
    pulled = shelves.pulled_at[live]
    require(
        world, bool(np.all((pulled >= 0) | (pulled == NEVER) | (pulled == BAKED_IN))), "a pull has no time"
    )


def _check_pulls(world: World, require: Require) -> None:
    """Who runs has its images, and the stamps of its pull; who has begun a pull is billed on Fargate."""
    state = world.state
    slots = world.live_tasks()
    tasks = state.tasks[slots]
    running = tasks["state"] >= TaskState.RUNNING
    pulls = state.sets["pulls"][tasks["set"]]
    asked = tasks["pull_started"] >= 0
    require(world, not bool(np.any(asked & (pulls == 0))), "a task pulls that has nothing to pull")
    done = tasks["pull_stopped"][asked & running] >= 0
    require(world, bool(np.all(done)), "a task runs before its pull is over")
    if world.scenario.initial_state == "empty":
        for slot in slots[running & (pulls > 0)]:
            count = int(state.sets["pulls"][state.tasks["set"][slot]])
            require(world, bool(np.all(state.holds[slot, :count] >= 0)), "a task runs without its image")
    fargate = (state.lanes["fargate"][tasks["lane"]] == 1) & (tasks["placed"] >= 0)
    unbilled = fargate & (pulls > 0) & ~asked & ~running
    require(
        world,
        bool(np.array_equal(tasks["accrued"][fargate] < 0, unbilled[fargate])),
        "Fargate bills before the pull, or not after it",
    )


def _check_windows(world: World, require: Require) -> None:
    """No window lets more through than its limit, those that wait for the next ones included."""
    state = world.state
    patience = int((state.registries["patience_ms"] + state.registries["timeout_ms"]).max())
    for limit, of in zip(state.windows, state.limits, strict=True):
        began, used = limit[:, 0], limit[:, 1]
        last = began + of["per_ms"] * (np.maximum(used - 1, 0) // of["limit"])
        require(world, bool(np.all(used >= 0)), "a window has let fewer than none through")
        require(world, bool(np.all(last <= world.now + patience)), "a pull waits longer than it may")


def _check_addresses(world: World, require: Require) -> None:
    """A subnet's free addresses are what tasks and instances have left of it."""
    state, scenario = world.state, world.scenario
    free: Array = np.array([subnet.addresses for subnet in scenario.subnets], np.int64)
    tasks = state.tasks[world.live_tasks()]
    placed = tasks[tasks["placed"] >= 0]
    addressed = state.lanes["addresses"][placed["lane"]] == 1
    require(
        world, bool(np.all((placed["subnet"] >= 0) == addressed)), "a task has an address too many or too few"
    )
    mine = placed[addressed]
    zones = state.subnet_zones[mine["subnet"]]
    require(world, bool(np.all(zones == mine["zone"])), "a task's address is in another zone")
    allowed = state.lane_subnets[mine["lane"], mine["subnet"]]
    require(world, bool(np.all(allowed == 1)), "a task's address is in a subnet that is not its own")
    np.subtract.at(free, mine["subnet"], 1)
    instances = state.instances[world.live_instances()]
    taken = instances[instances["subnet"] >= 0]
    np.subtract.at(free, taken["subnet"], state.classes["addresses"][taken["klass"]])
    require(world, np.array_equal(free, state.free_addresses), "a subnet miscounts its addresses")
    require(world, bool(np.all(free >= 0)), "a subnet has given more addresses than it has")
