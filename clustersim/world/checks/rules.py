"""Every rule of a settled world: the words for what is wrong when it is broken, and its number.

Compiled checks return the number of the first broken rule, 0 when there is none, and leave in `Reading.detail`
which of several things it was about. Only `world.checks.invariants` makes sentences of them. Where a rule has names,
the detail is a position among these; otherwise it is the number that the words show.
"""

from __future__ import annotations

from typing import NamedTuple

SOUND = 0


class Words(NamedTuple):
    """What is said when a rule is broken."""

    text: str
    names: tuple[str, ...] = ()

    def about(self, detail: int) -> str:
        """The text, with what it was about."""
        return self.text.format(self.names[detail] if self.names else detail)


WORDS: list[Words] = [Words("nothing is wrong")]
"""By the number of the rule."""

TASK_COUNTS = (
    "provisioning",
    "pending",
    "running",
    "healthy",
    "unwell",
    "ready",
    "hung",
    "stopping",
    "leaving",
)
"""The columns of a task set that count its tasks; the first four are a service's too."""
PROVISIONING_TASKS, PENDING, RUNNING_TASKS, HEALTHY, UNWELL, READY, HUNG, STOPPING, LEAVING = range(9)

PROVIDER_SUMS = ("registered_cpu", "registered_memory", "instances", "cpu", "memory", "running")
"""The columns of a provider that sum its instances and tasks; those that wait are counted after them."""
REGISTERED_CPU, REGISTERED_MEMORY, INSTANCES, CPU_UNITS, MIB, RUNNING_THERE, WHO_WAITS = range(7)

STAMPS = ("placed", "pull_started", "pull_stopped", "started", "healthy", "stopping")
"""The instants of a life after its creation, in order."""


def _rule(text: str, names: tuple[str, ...] = ()) -> int:
    WORDS.append(Words(text, names))
    return len(WORDS) - 1


# A row that names one outside its table: nothing can be counted from it, and compiled code must not follow it.
ASTRAY = _rule("a row of {} names what is not there", ("tasks", "instances", "sets", "lanes", "shapes"))
NOWHERE = _rule("a task is placed on an instance that is not there")

SLOTS_LOST = _rule("task slots are lost")
LIVE_AND_FREE = _rule("a task slot is live and free")
SHARED_ID = _rule("two tasks share an id")
HEAP = _rule("the heap is out of bounds")

DISORDER = _rule("a task has {} before what must precede it", STAMPS)
STOPPED_ALIVE = _rule("a live task has a stopped stamp")
NEVER_STARTED = _rule("a task runs that never started")
PLACED_EARLY = _rule("a task in PROVISIONING has a place")
ANSWERS_AND_NOT = _rule("a task answers and does not answer")
PROMISE = _rule("a task is promised to an instance that is not being launched")

FREE = _rule("free resource {} is not what is left")
OVERCOMMITTED = _rule("an instance is over-committed in resource {}")
PORTS = _rule("the taken ports are not those of the tasks")
TASK_COUNT = _rule("an instance's task count is not the number of its tasks")
WORKING = _rule("an instance's working tasks are not those that are no daemons")
OPEN = _rule("an instance is open that is not ACTIVE and connected, or the other way round")
SILENT = _rule("disconnected agents are miscounted")

OF_SET = _rule("a task set miscounts its {} tasks", TASK_COUNTS)
OF_SERVICE = _rule("a service miscounts its {} tasks", TASK_COUNTS[:4])
OF_LANE = _rule("a lane miscounts its tasks")
OF_ZONE = _rule("a group miscounts its tasks per zone")
OF_PROVIDER = _rule("a provider miscounts its {}", PROVIDER_SUMS)
WAITS_FOR_PROVIDER = _rule("a provider miscounts who waits")
OF_FARGATE = _rule("Fargate miscounts its CPU units")

WAITING = _rule("the waiting tasks are miscounted")
PROMISED_TASKS = _rule("the promised tasks are miscounted")
FITS = _rule("a task of shape {} waits although it fits somewhere")

ADDRESS = _rule("a task has an address too many or too few")
ADDRESS_ZONE = _rule("a task's address is in another zone")
ADDRESS_SUBNET = _rule("a task's address is in a subnet that is not its own")
OF_SUBNET = _rule("a subnet miscounts its addresses")
NO_ADDRESS_LEFT = _rule("a subnet has given more addresses than it has")

CONTAINERS = _rule("a host miscounts the containers of an image")
WRITTEN = _rule("a host miscounts its read/write layers")
STANDING = _rule("a host miscounts who stands on a layer")
LAYER = _rule("a layer is there for nobody, or missing")
STORED = _rule("a disk does not hold its layers")
DISK = _rule("a disk holds more than it can")
TAG = _rule("a tag means what is not there")
TAG_OF_ANOTHER = _rule("a tag means another image's version")
PULL_TIME = _rule("a pull has no time")
NOTHING_TO_PULL = _rule("a task pulls that has nothing to pull")
PULL_NOT_OVER = _rule("a task runs before its pull is over")
WITHOUT_IMAGE = _rule("a task runs without its image")
BILLED = _rule("Fargate bills before the pull, or not after it")
WINDOW = _rule("a window has let fewer than none through")
PATIENCE = _rule("a pull waits longer than it may")
