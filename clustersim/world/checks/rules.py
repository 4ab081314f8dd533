"""All rules of a settled world: the number of each rule and the message for when it is broken.

Compiled checks return the number of the first broken rule, 0 when there is none, and leave a detail in
`Recount.detail`. `world.checks.invariants` formats the message. If a rule has names, the detail is a position among
these; otherwise it is the number that the message shows.
"""

from __future__ import annotations

from typing import NamedTuple

SOUND = 0


class RuleText(NamedTuple):
    """The message of a rule when it is broken."""

    text: str
    names: tuple[str, ...] = ()

    def about(self, detail: int) -> str:
        """Return the message with its detail filled in."""
        return self.text.format(self.names[detail] if self.names else detail)


RULE_TEXTS: list[RuleText] = [RuleText("no rule is broken")]
"""The rules by number."""

TASK_COUNTS = (
    "provisioning",
    "pending",
    "running",
    "healthy",
    "unhealthy",
    "ready",
    "hung",
    "stopping",
    "leaving",
)
"""The columns of a task set that count its tasks; the first four are a service's too."""
PROVISIONING_TASKS, PENDING, RUNNING_TASKS, HEALTHY, UNHEALTHY, READY, HUNG, STOPPING, LEAVING = range(9)

PROVIDER_SUMS = ("registered_cpu", "registered_memory", "instances", "cpu", "memory", "running")
"""The columns of a provider that sum its instances and tasks; waiting tasks are counted after them."""
REGISTERED_CPU, REGISTERED_MEMORY, INSTANCES, CPU_UNITS, MIB, RUNNING_THERE, PROVISIONING_THERE = range(7)

INSTANTS = ("placed", "admitted", "pull_started", "pull_stopped", "started", "healthy", "stopping")
"""The instants of a task after its creation, in order."""


def _rule(text: str, names: tuple[str, ...] = ()) -> int:
    RULE_TEXTS.append(RuleText(text, names))
    return len(RULE_TEXTS) - 1


# A row refers to an index outside its table: nothing can be counted from it, and compiled code must not follow it.
DANGLING_REFERENCE = _rule(
    "a row of {} refers to a missing row", ("tasks", "instances", "task sets", "strategy items", "shapes")
)
PLACED_ON_NO_INSTANCE = _rule("a task is placed on a missing instance")

SLOTS_LOST = _rule("task slots are neither live nor free")
LIVE_AND_FREE = _rule("a task slot is both live and free")
SHARED_ID = _rule("two tasks share an id")
HEAP = _rule("the heap is out of bounds")

INSTANTS_OUT_OF_ORDER = _rule("a task has {} before the instant that must precede it", INSTANTS)
LIVE_BUT_STOPPED = _rule("a live task has an instant of being stopped")
NEVER_STARTED = _rule("a running task has never started")
HELD_AFTER_START = _rule("a task that its host has not admitted has gone beyond PENDING")
PLACED_EARLY = _rule("a task in PROVISIONING is placed")
READY_AND_HUNG = _rule("a task is both ready and hung")
ASSIGNMENT = _rule("a task is assigned to an instance that is not being launched")

FREE = _rule("free resource {} is not registered minus reserved")
OVERCOMMITTED = _rule("ECS has over-committed an instance in resource {}")
HOST_OVERCOMMITTED = _rule("the admitted tasks of a host hold more than it has")
LINGERING = _rule("an instance miscounts what stopping tasks still hold of resource {}")
PORTS = _rule("the taken host ports are not those of the tasks")
SHARED_PORT = _rule("two tasks on a host hold the same host port")
STOPPING_THERE = _rule("an instance miscounts its stopping tasks")
BUSY_TASKS = _rule("an instance miscounts its busy tasks")
AGENT_QUEUE = _rule("the agent of an instance does not queue exactly its held tasks, in order of placement")
HELD_IN_VAIN = _rule("a host has the room for the first task that its agent holds")
TASK_COUNT = _rule("an instance miscounts its tasks")
NON_DAEMON_TASKS = _rule("an instance miscounts its tasks that are not daemons")
OPEN = _rule("an instance is not open for placement exactly while it is ACTIVE and connected")
DISCONNECTED = _rule("disconnected agents are miscounted")

OF_SET = _rule("a task set miscounts its {} tasks", TASK_COUNTS)
OF_SERVICE = _rule("a service miscounts its {} tasks", TASK_COUNTS[:4])
OF_STRATEGY_ITEM = _rule("a strategy item miscounts its tasks")
OF_ZONE = _rule("a group miscounts its tasks per zone")
OF_PROVIDER = _rule("a provider miscounts its {}", PROVIDER_SUMS)
PROVISIONING_OF_PROVIDER = _rule("a provider miscounts its waiting tasks")
OF_FARGATE = _rule("Fargate miscounts its CPU units")

WAITING = _rule("the waiting tasks are miscounted")
ASSIGNED_TASKS = _rule("the assigned tasks are miscounted")
FITS = _rule("a task of shape {} waits although it fits on a host")

ADDRESS = _rule("a task does not have exactly the address it needs")
ADDRESS_ZONE = _rule("a task's address is in another zone")
ADDRESS_SUBNET = _rule("a task's address is in a subnet that it may not use")
OF_SUBNET = _rule("a subnet miscounts its addresses")
NO_ADDRESS_LEFT = _rule("a subnet has assigned more addresses than it has")

CONTAINERS = _rule("a host miscounts the containers of an image")
WRITTEN = _rule("a host miscounts its read/write layers")
LAYER_REFERENCES = _rule("a host miscounts the references to a layer")
LAYER = _rule("a layer is cached without a reference, or missing")
STORED = _rule("a disk does not hold exactly its layers")
DISK = _rule("a disk holds more than it can")
TAG = _rule("a tag refers to a version that is not cached")
TAG_OF_ANOTHER = _rule("a tag refers to a version of another image")
PULL_TIME = _rule("a cached version has no pull time")
NOTHING_TO_PULL = _rule("a task without images pulls")
PULL_NOT_OVER = _rule("a task runs before its pull has ended")
WITHOUT_IMAGE = _rule("a task runs without its image")
BILLED = _rule("Fargate bills before the pull begins, or not from then on")
WINDOW = _rule("a rate limit window has admitted a negative number")
PATIENCE = _rule("a pull waits longer than it may")
