"""What a placer may look at: container instances as columns, and what one task asks of them.

This module holds the columns (`Hosts`), the request (`Request`), the codes of placement strategies, and the
four movements that change a host: open, close, reserve, release. It keeps the index true while they happen.
It does not decide anything; `policy.placement.placement` chooses hosts, `policy.placement.scale_in_victims` chooses
tasks to stop, `policy.placement.placement_failure` explains. The world owns the arrays and calls the movements.
"""

from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import kernel
from clustersim.policy.placement.best_fit_index import grown_index, index_insert, index_remove, new_index
from clustersim.vocabulary import MEMORY, RESOURCES

Integers = npt.NDArray[np.int64]
Array = npt.NDArray[Any]

# Placement strategies as codes of a chain; a chain ends with END (ECS API: PlacementStrategy).
END, BINPACK_CPU, BINPACK_MEMORY, SPREAD_INSTANCE, SPREAD_ATTRIBUTE, RANDOM, FEWEST_OF_GROUP = range(7)

ZONE = 0  # the row of `Hosts.values` that holds Availability Zones

# What `Request.eligible` says of a class: a candidate, or why not.
NOT_OFFERED, ELIGIBLE, EXCLUDED_BY_MEMBER_OF, LACKS_ATTRIBUTE = range(4)

# Rows of `Hosts.facts`; rows for task groups and name patterns follow from FIRST_FREE_FACT on.
RUNNING_TASKS, REGISTERED_AT, INSTANCE_ID, AGENT_CONNECTED, FIRST_FREE_FACT = range(5)

INDEX_FROM = 512
"""Slots from about which an index is worth its upkeep (bench/placement.py: place and remove one task)."""


class Hosts(NamedTuple):
    """Container instances by slot. Amounts are CPU units, MiB, and counts; see the rows of `vocabulary`."""

    free: Annotated[Array, np.int64, 2]  # [RESOURCES, n]
    klass: Annotated[Array, np.int32, 1]  # [n]: class of the instance; -1 where nothing may be placed
    ports: Annotated[Array, np.uint64, 2]  # [n, W]: static host ports taken, a bit per port of the scenario
    on_host: Annotated[
        Array, np.int32, 1
    ]  # [n]: tasks of the asking group; the caller fills it (`needs_counts`)
    facts: Annotated[Array, np.int64, 2]  # [F, n]: what dynamic memberOf expressions ask about
    values: Annotated[
        Array, np.int32, 2
    ]  # [A, K]: each class's value of each spread attribute, ZONE first; -1: none
    size: Annotated[Array, np.int64, 1]  # [1]: slots ever opened; scans go to here
    pool: Annotated[Array, np.int64, 2]  # the index's blocks
    directory: Annotated[Array, np.int64, 2]  # the index's order of blocks; size 0 when no index is kept
    standing: Annotated[Array, np.int64, 1]  # [n]: scratch of `choose`: score under the last rule, or OUT
    class_score: Annotated[Array, np.int64, 1]  # [K]: scratch


class Request(NamedTuple):
    """What one task asks for. Every array is a view; a request costs nothing to make."""

    need: Array  # int64[RESOURCES]
    ports: Array  # uint64[W]
    eligible: Array  # uint8[K]: ELIGIBLE, or why not
    chain: Array  # int64[L, 2]: (code, argument), ended by END
    zone_count: Array  # int32[Z]: tasks of the group in each zone
    program: Array  # int64[P, 3]: dynamic memberOf in postfix; P = 0 when there is none
    distinct: int  # 1 = distinctInstance
    luck: Any  # uint64: key of the stream that random choices draw from
    truth: Array  # uint8[T, K]: what `program` already knows of each class


def new_hosts(
    capacity: int,
    classes: int,
    values: Array,
    port_words: int,
    fact_rows: int,
    indexed: bool,
    key_row: int = MEMORY,
) -> Hosts:
    """Empty columns for `capacity` slots and `classes` instance classes.

    `values` is int32[A, classes]; `fact_rows` counts the four fixed rows too. With `indexed`, an exact
    index on the free amount of `key_row` (MEMORY or CPU) serves binpack on that resource, alone or after a
    zone spread.
    """
    pool, directory = new_index(capacity, classes, key_row if indexed else -1)
    return Hosts(
        free=np.zeros((RESOURCES, capacity), np.int64),
        klass=np.full(capacity, -1, np.int32),
        ports=np.zeros((capacity, port_words), np.uint64),
        on_host=np.zeros(capacity, np.int32),
        facts=np.zeros((max(fact_rows, FIRST_FREE_FACT), capacity), np.int64),
        values=np.ascontiguousarray(values, np.int32),
        size=np.zeros(1, np.int64),
        pool=pool,
        directory=directory,
        standing=np.zeros(capacity, np.int64),
        class_score=np.zeros(classes, np.int64),
    )


def grown_hosts(hosts: Hosts, capacity: int) -> Hosts:
    """The same hosts with room for `capacity` slots, never fewer than before; drop the old columns."""
    old = hosts.klass.size
    if capacity <= old:
        return hosts
    pool, directory = grown_index(hosts.pool, hosts.directory, capacity)
    klass = np.full(capacity, -1, np.int32)
    klass[:old] = hosts.klass
    return hosts._replace(
        free=_wider(hosts.free, capacity),
        klass=klass,
        ports=_longer(hosts.ports, capacity),
        on_host=_longer(hosts.on_host, capacity),
        facts=_wider(hosts.facts, capacity),
        pool=pool,
        directory=directory,
        standing=np.zeros(capacity, np.int64),
    )


def _longer(column: Array, capacity: int) -> Array:
    """`column` with its first axis brought to `capacity`, zeros behind."""
    longer = np.zeros((capacity, *column.shape[1:]), column.dtype)
    longer[: column.shape[0]] = column
    return longer


def _wider(matrix: Array, capacity: int) -> Array:
    """`matrix` with its second axis brought to `capacity`, zeros behind."""
    wider = np.zeros((matrix.shape[0], capacity), matrix.dtype)
    wider[:, : matrix.shape[1]] = matrix
    return wider


def chain_of(*rules: tuple[int, int]) -> Integers:
    """The chain of `(code, argument)` rules, closed by END."""
    return np.array([*rules, (END, 0)], np.int64)


def needs_counts(chain: Array, distinct: int) -> bool:
    """Whether a choice reads `Hosts.on_host`, where the caller must then have counted the group's tasks."""
    for rule in range(chain.shape[0]):
        code = chain[rule, 0]
        if code == END:
            break
        if code in (SPREAD_INSTANCE, FEWEST_OF_GROUP) or (
            code == SPREAD_ATTRIBUTE and chain[rule, 1] != ZONE
        ):
            return True
    return distinct != 0


@kernel
def reserve(hosts: Hosts, slot: int, need: Array, ports: Array) -> None:
    """Take `need` and the static `ports` from the host in `slot`."""
    klass = hosts.klass[slot]
    indexed = hosts.directory.size != 0 and klass >= 0
    if indexed:
        index_remove(hosts.pool, hosts.directory, klass, slot, hosts.free)
    for resource in range(RESOURCES):
        hosts.free[resource, slot] -= need[resource]
    if indexed:
        index_insert(hosts.pool, hosts.directory, klass, slot, hosts.free)
    for word in range(ports.size):
        hosts.ports[slot, word] |= ports[word]


@kernel
def release(hosts: Hosts, slot: int, need: Array, ports: Array) -> None:
    """Give `need` and the static `ports` back to the host in `slot`, placeable or not."""
    klass = hosts.klass[slot]
    indexed = hosts.directory.size != 0 and klass >= 0
    if indexed:
        index_remove(hosts.pool, hosts.directory, klass, slot, hosts.free)
    for resource in range(RESOURCES):
        hosts.free[resource, slot] += need[resource]
    if indexed:
        index_insert(hosts.pool, hosts.directory, klass, slot, hosts.free)
    for word in range(ports.size):
        hosts.ports[slot, word] &= ~ports[word]


@kernel
def open_host(hosts: Hosts, slot: int, klass: int) -> None:
    """Let tasks be placed in `slot`, an instance of `klass` whose free amounts are already written."""
    if hosts.klass[slot] >= 0:
        close_host(hosts, slot)
    hosts.klass[slot] = klass
    hosts.size[0] = max(hosts.size[0], slot + 1)
    if hosts.directory.size != 0:
        index_insert(hosts.pool, hosts.directory, klass, slot, hosts.free)


@kernel
def close_host(hosts: Hosts, slot: int) -> None:
    """Let nothing more be placed in `slot`; what runs there stays, and may still be released."""
    if hosts.klass[slot] >= 0 and hosts.directory.size != 0:
        index_remove(hosts.pool, hosts.directory, hosts.klass[slot], slot, hosts.free)
    hosts.klass[slot] = -1
