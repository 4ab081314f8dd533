"""Container instances as columns, and the placement request of a task.

Holds the columns (`Hosts`), the request (`PlacementRequest`), and the changes of a host: open, close, reserve,
release, which also keep the index up to date. `placement_strategies` has the codes of chains. This module decides
nothing:
`policy.placement.placement` chooses hosts, `policy.placement.scale_in_victims` chooses tasks to stop,
`policy.placement.placement_failure` explains failures. The world owns the arrays and calls the changes.
"""

from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import kernel
from clustersim.policy.placement.best_fit_index import grow_index, index_insert, index_remove, new_index
from clustersim.vocabulary import MEMORY, RESOURCES

Array = npt.NDArray[Any]

# Values of `PlacementRequest.eligible`: a candidate, or the reason against.
NOT_OFFERED, ELIGIBLE, EXCLUDED_BY_MEMBER_OF, LACKS_ATTRIBUTE = range(4)

# Rows of `Hosts.facts`; rows for task groups and name patterns follow from FIRST_FREE_FACT on.
RUNNING_TASKS, REGISTERED_AT, INSTANCE_ID, AGENT_CONNECTED, FIRST_FREE_FACT = range(5)

INDEX_FROM = 512
"""The number of slots from which an index pays off (bench/placement.py: place and remove one task)."""


class Hosts(NamedTuple):
    """The container instances by slot. Amounts are CPU units, MiB, and counts; see the rows of `vocabulary`."""

    free: Annotated[Array, np.int64, 2]  # [RESOURCES, n]
    instance_class: Annotated[Array, np.int32, 1]  # [n]: class of the instance; -1 if the slot is closed
    ports: Annotated[Array, np.uint64, 2]  # [n, W]: static host ports in use, a bit per port of the scenario
    group_tasks: Annotated[Array, np.int32, 1]  # [n]: of the request's group; see `placement_strategies`
    facts: Annotated[Array, np.int64, 2]  # [F, n]: facts for dynamic memberOf expressions
    values: Annotated[Array, np.int32, 2]  # [A, K]: spread attributes by class, ZONE first; -1: none
    size: Annotated[Array, np.int64, 1]  # [1]: slots ever opened: the end of scans
    pool: Annotated[Array, np.int64, 2]  # the index's blocks
    directory: Annotated[Array, np.int64, 2]  # the index's order of blocks; size 0 without an index
    score: Annotated[Array, np.int64, 1]  # [n]: scratch of `choose_host`: score by the last rule, or EXCLUDED
    class_score: Annotated[Array, np.int64, 1]  # [K]: scratch


class PlacementRequest(NamedTuple):
    """The requirements of one task. Every array is a view, so a request is cheap to create."""

    need: Array  # int64[RESOURCES]
    ports: Array  # uint64[W]
    eligible: Array  # uint8[K]: ELIGIBLE, or the reason against
    chain: Array  # int64[L, 2]: (code, argument), ended by END
    zone_count: Array  # int32[Z]: tasks of the group in each zone
    program: Array  # int64[P, 3]: dynamic memberOf in postfix; P = 0 without any
    distinct: int  # 1: distinctInstance
    rng_key: Any  # uint64: key of the random stream of its choices
    truth: Array  # uint8[T, K]: static values that `program` reads, by class


def new_hosts(
    capacity: int,
    classes: int,
    values: Array,
    port_words: int,
    fact_rows: int,
    indexed: bool,
    key_row: int = MEMORY,
) -> Hosts:
    """Return empty columns for `capacity` slots and the instance `classes`.

    `values` is int32[A, classes]; `fact_rows` counts the four fixed rows too. With `indexed`, an exact index on the
    free amount of `key_row` (MEMORY or CPU) serves binpack on that resource, alone or after a zone spread.
    """
    pool, directory = new_index(capacity, classes, key_row if indexed else -1)
    return Hosts(
        free=np.zeros((RESOURCES, capacity), np.int64),
        instance_class=np.full(capacity, -1, np.int32),
        ports=np.zeros((capacity, port_words), np.uint64),
        group_tasks=np.zeros(capacity, np.int32),
        facts=np.zeros((max(fact_rows, FIRST_FREE_FACT), capacity), np.int64),
        values=np.ascontiguousarray(values, np.int32),
        size=np.zeros(1, np.int64),
        pool=pool,
        directory=directory,
        score=np.zeros(capacity, np.int64),
        class_score=np.zeros(classes, np.int64),
    )


def grow_hosts(hosts: Hosts, capacity: int) -> Hosts:
    """Return the same hosts with room for `capacity` slots, never fewer than before; discard the old columns."""
    old = hosts.instance_class.size
    if capacity <= old:
        return hosts
    pool, directory = grow_index(hosts.pool, hosts.directory, capacity)
    instance_class = np.full(capacity, -1, np.int32)
    instance_class[:old] = hosts.instance_class
    return hosts._replace(
        free=_wider(hosts.free, capacity),
        instance_class=instance_class,
        ports=_longer(hosts.ports, capacity),
        group_tasks=_longer(hosts.group_tasks, capacity),
        facts=_wider(hosts.facts, capacity),
        pool=pool,
        directory=directory,
        score=np.zeros(capacity, np.int64),
    )


def _longer(column: Array, capacity: int) -> Array:
    """Return `column` with its first axis extended to `capacity` with zeros."""
    longer = np.zeros((capacity, *column.shape[1:]), column.dtype)
    longer[: column.shape[0]] = column
    return longer


def _wider(matrix: Array, capacity: int) -> Array:
    """Return `matrix` with its second axis extended to `capacity` with zeros."""
    wider = np.zeros((matrix.shape[0], capacity), matrix.dtype)
    wider[:, : matrix.shape[1]] = matrix
    return wider


@kernel
def reserve(hosts: Hosts, slot: int, need: Array, ports: Array) -> None:
    """Take `need` and the static `ports` from the host in `slot`."""
    instance_class = hosts.instance_class[slot]
    indexed = hosts.directory.size != 0 and instance_class >= 0
    if indexed:
        index_remove(hosts.pool, hosts.directory, instance_class, slot, hosts.free)
    for resource in range(RESOURCES):
        hosts.free[resource, slot] -= need[resource]
    if indexed:
        index_insert(hosts.pool, hosts.directory, instance_class, slot, hosts.free)
    for word in range(ports.size):
        hosts.ports[slot, word] |= ports[word]


@kernel
def release(hosts: Hosts, slot: int, need: Array, ports: Array) -> None:
    """Return `need` and the static `ports` to the host in `slot`, whether it is open or not."""
    release_amounts(hosts, slot, need)
    for word in range(ports.size):
        hosts.ports[slot, word] &= ~ports[word]


@kernel
def release_amounts(hosts: Hosts, slot: int, need: Array) -> None:
    """Return `need` to the host in `slot`, and no port."""
    instance_class = hosts.instance_class[slot]
    indexed = hosts.directory.size != 0 and instance_class >= 0
    if indexed:
        index_remove(hosts.pool, hosts.directory, instance_class, slot, hosts.free)
    for resource in range(RESOURCES):
        hosts.free[resource, slot] += need[resource]
    if indexed:
        index_insert(hosts.pool, hosts.directory, instance_class, slot, hosts.free)


@kernel
def open_host(hosts: Hosts, slot: int, instance_class: int) -> None:
    """Allow placements in `slot`, an instance of `instance_class` with its free amounts already set."""
    if hosts.instance_class[slot] >= 0:
        close_host(hosts, slot)
    hosts.instance_class[slot] = instance_class
    hosts.size[0] = max(hosts.size[0], slot + 1)
    if hosts.directory.size != 0:
        index_insert(hosts.pool, hosts.directory, instance_class, slot, hosts.free)


@kernel
def close_host(hosts: Hosts, slot: int) -> None:
    """Allow no more placements in `slot`; its tasks stay, and may still be released."""
    if hosts.instance_class[slot] >= 0 and hosts.directory.size != 0:
        index_remove(hosts.pool, hosts.directory, hosts.instance_class[slot], slot, hosts.free)
    hosts.instance_class[slot] = -1
