"""An exact best-fit index over instance classes: "the smallest free amount that still fits" without a scan.

Each class (group) keeps its open hosts in blocks of keys sorted by `(free amount, slot)`; beside every key
stands the host's room in the other resources, packed into the lanes of one integer, and above every block
an upper bound of that room. A search starts at the block of the wanted amount and skips the blocks whose
bound is too small.

The whole index is two int64 arrays, as passing many arrays to a kernel costs more than the search itself:

    pool[b]            keys | rooms | number of keys                   block b
    directory[g]       blocks used, stride | order | first key | room   group g, its blocks in order
    directory[groups]  free blocks, key row | list of free blocks

Room is a filter: lanes are cut at their maximum, so a host that passes is checked against its true amounts
by the caller. It knows nothing of strategies or tasks; `policy.placement.hosts` keeps it true,
`policy.placement.placement` searches it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import inlined, kernel
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY

Array = npt.NDArray[Any]

BLOCK = 64  # keys in a block: measured best at 1,000 to 100,000 hosts
SLOT_BITS = 20  # a million slots; amounts have the 43 bits above
SLOT_MASK = (1 << SLOT_BITS) - 1
HEAD = 2  # words before the sections of a directory row

# Lanes of a room: the resource that is not the key, GPU, ENI, HOST_PORTS; the top bit of each stays clear.
GPU_SHIFT, ENI_SHIFT, PORTS_SHIFT = 32, 40, 52
OTHER_MOST, GPU_MOST, COUNT_MOST = (1 << 31) - 1, (1 << 7) - 1, (1 << 11) - 1
OTHER_LANE = (1 << 32) - 1
GPU_LANE = ((1 << 8) - 1) << GPU_SHIFT
ENI_LANE = ((1 << 12) - 1) << ENI_SHIFT
PORTS_LANE = COUNT_MOST << PORTS_SHIFT
GUARDS = (1 << 31) + (1 << 39) + (1 << 51) - (1 << 63)


def new_index(capacity: int, groups: int, key_row: int) -> tuple[Array, Array]:
    """An empty index for `capacity` slots keyed by resource `key_row`; two empty arrays when `key_row` is -1.

    Of two neighbouring blocks one is at least a quarter full (see `_shrink`), so 8 n / BLOCK blocks suffice,
    and one more for each group.
    """
    if key_row < 0:
        return np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64)
    if capacity > SLOT_MASK:
        raise ValueError(f"the index holds at most {SLOT_MASK} slots; {capacity} are asked for")
    blocks = 8 * capacity // BLOCK + groups + 2
    pool = np.zeros((blocks, 2 * BLOCK + 1), np.int64)
    directory = np.zeros((groups + 1, HEAD + 3 * blocks), np.int64)
    directory[groups, 0] = blocks - groups
    directory[groups, 1] = key_row
    directory[groups, HEAD : HEAD + blocks - groups] = np.arange(groups, blocks)
    directory[:groups, 0] = 1
    directory[:groups, 1] = blocks
    directory[:groups, HEAD] = np.arange(groups)
    return pool, directory


def grown_index(pool: Array, directory: Array, capacity: int) -> tuple[Array, Array]:
    """The same index with room for `capacity` slots."""
    if directory.size == 0:
        return pool, directory
    groups = directory.shape[0] - 1
    key_row, old = int(directory[groups, 1]), pool.shape[0]
    wider_pool, wider = new_index(capacity, groups, key_row)
    blocks = wider_pool.shape[0]
    wider_pool[:old] = pool
    wider[:groups, 0] = directory[:groups, 0]
    for section in range(3):
        wider[:groups, HEAD + section * blocks : HEAD + section * blocks + old] = directory[
            :groups, HEAD + section * old : HEAD + section * old + old
        ]
    spare = int(directory[groups, 0])
    wider[groups, 0] = spare + blocks - old
    wider[groups, HEAD : HEAD + spare] = directory[groups, HEAD : HEAD + spare]
    wider[groups, HEAD + spare : HEAD + spare + blocks - old] = np.arange(old, blocks)
    return wider_pool, wider


@inlined
def packed_room(amounts: Array, key_row: int) -> int:
    """The room of `amounts` (a number per resource) in every resource but `key_row`, each cut at its lane's maximum."""
    other = min(amounts[CPU + MEMORY - key_row], OTHER_MOST)
    gpu = min(amounts[GPU], GPU_MOST)
    eni = min(amounts[ENI], COUNT_MOST)
    host_ports = min(amounts[HOST_PORTS], COUNT_MOST)
    return int(other | (gpu << GPU_SHIFT) | (eni << ENI_SHIFT) | (host_ports << PORTS_SHIFT))


@inlined
def covers(room: int, wanted: int) -> bool:
    """Whether `room` is at least `wanted` in every lane: a lane that falls short borrows its guard bit."""
    return ((room | GUARDS) - wanted) & GUARDS == GUARDS


@inlined
def _either(a: int, b: int) -> int:
    """The larger of both rooms, lane by lane."""
    return (
        max(a & OTHER_LANE, b & OTHER_LANE)
        | max(a & GPU_LANE, b & GPU_LANE)
        | max(a & ENI_LANE, b & ENI_LANE)
        | max(a & PORTS_LANE, b & PORTS_LANE)
    )


@inlined
def _block_of(directory: Array, group: int, key: int) -> int:
    """The position in its group of the block where `key` belongs: the last with a first key not above it."""
    start = np.uint64(HEAD + directory[group, 1])
    low, left = np.uint64(0), np.uint64(directory[group, 0])
    while left > np.uint64(1):
        half = left >> np.uint64(1)
        low = low + half if directory[group, start + low + half] <= key else low
        left -= half
    return int(np.int64(low))


@inlined
def _rank(pool: Array, block: int, key: int) -> int:
    """How many keys of `block` are below `key`."""
    low, left = np.uint64(0), np.uint64(pool[block, 2 * BLOCK])
    while left > np.uint64(0):
        half = left >> np.uint64(1)
        below = pool[block, low + half] < key
        low = low + half + np.uint64(1) if below else low
        left = left - half - np.uint64(1) if below else half
    return int(np.int64(low))


@kernel
def _tighten(pool: Array, directory: Array, group: int, position: int) -> None:
    """Make the bound above a block what its hosts really have."""
    stride = directory[group, 1]
    block = directory[group, HEAD + position]
    bound = 0
    for entry in range(pool[block, 2 * BLOCK]):
        bound = _either(bound, pool[block, BLOCK + entry])
    directory[group, HEAD + 2 * stride + position] = bound


@kernel
def _split(pool: Array, directory: Array, group: int, position: int) -> None:
    """Move the upper half of a full block into a new block behind it."""
    spare, stride = directory.shape[0] - 1, directory[group, 1]
    block = directory[group, HEAD + position]
    directory[spare, 0] -= 1
    fresh = directory[spare, HEAD + directory[spare, 0]]
    half = BLOCK // 2
    for entry in range(half):
        pool[fresh, entry] = pool[block, half + entry]
        pool[fresh, BLOCK + entry] = pool[block, BLOCK + half + entry]
    pool[fresh, 2 * BLOCK] = half
    pool[block, 2 * BLOCK] = half
    for section in range(3):
        start = HEAD + section * stride
        for i in range(start + directory[group, 0], start + position, -1):
            directory[group, i] = directory[group, i - 1]
    directory[group, 0] += 1
    directory[group, HEAD + position + 1] = fresh
    directory[group, HEAD + stride + position + 1] = pool[fresh, 0]
    _tighten(pool, directory, group, position)
    _tighten(pool, directory, group, position + 1)


@kernel
def _drop(directory: Array, group: int, position: int) -> None:
    """Give an empty block back and close the gap in its group's order."""
    spare, stride = directory.shape[0] - 1, directory[group, 1]
    directory[spare, HEAD + directory[spare, 0]] = directory[group, HEAD + position]
    directory[spare, 0] += 1
    directory[group, 0] -= 1
    for section in range(3):
        start = HEAD + section * stride
        for i in range(start + position, start + directory[group, 0]):
            directory[group, i] = directory[group, i + 1]


@kernel
def _absorb_next(pool: Array, directory: Array, group: int, position: int) -> bool:
    """Take the following block into this one if both together leave a quarter free; whether it was done."""
    block, other = directory[group, HEAD + position], directory[group, HEAD + position + 1]
    here, there = pool[block, 2 * BLOCK], pool[other, 2 * BLOCK]
    if here + there > 3 * BLOCK // 4:
        return False
    for entry in range(there):
        pool[block, here + entry] = pool[other, entry]
        pool[block, BLOCK + here + entry] = pool[other, BLOCK + entry]
    pool[block, 2 * BLOCK] = here + there
    pool[other, 2 * BLOCK] = 0
    bounds = HEAD + 2 * directory[group, 1]
    if here == 0:
        directory[group, HEAD + directory[group, 1] + position] = pool[block, 0]
    directory[group, bounds + position] = _either(
        directory[group, bounds + position], directory[group, bounds + position + 1]
    )
    _drop(directory, group, position + 1)
    return True


@kernel
def _shrink(pool: Array, directory: Array, group: int, position: int) -> None:
    """Merge a block that is less than a quarter full with a neighbour, where one has room."""
    if position + 1 < directory[group, 0] and _absorb_next(pool, directory, group, position):
        return
    if position > 0:
        _absorb_next(pool, directory, group, position - 1)


@kernel
def _insert(pool: Array, directory: Array, group: int, key: int, room: int) -> None:
    stride = directory[group, 1]
    position = _block_of(directory, group, key)
    block = directory[group, HEAD + position]
    if pool[block, 2 * BLOCK] == BLOCK:
        _split(pool, directory, group, position)
        if key >= directory[group, HEAD + stride + position + 1]:
            position += 1
            block = directory[group, HEAD + position]
    length, at = pool[block, 2 * BLOCK], _rank(pool, block, key)
    for entry in range(length, at, -1):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry - 1)]
    for entry in range(BLOCK + length, BLOCK + at, -1):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry - 1)]
    pool[block, at] = key
    pool[block, BLOCK + at] = room
    pool[block, 2 * BLOCK] = length + 1
    if at == 0:
        directory[group, HEAD + stride + position] = key
    bound = HEAD + 2 * stride + position
    directory[group, bound] = _either(directory[group, bound], room)


@kernel
def _remove(pool: Array, directory: Array, group: int, key: int) -> None:
    """Forget `key`; the bound above its block stays, too high perhaps, until a search tightens it."""
    stride = directory[group, 1]
    position = _block_of(directory, group, key)
    block = directory[group, HEAD + position]
    length = pool[block, 2 * BLOCK] - 1
    at = _rank(pool, block, key)
    for entry in range(at, length):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry + 1)]
    for entry in range(BLOCK + at, BLOCK + length):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry + 1)]
    pool[block, 2 * BLOCK] = length
    if at == 0 and length > 0:
        directory[group, HEAD + stride + position] = pool[block, 0]
    if length < BLOCK // 4 and directory[group, 0] > 1:
        if length == 0:
            _drop(directory, group, position)
        else:
            _shrink(pool, directory, group, position)


@kernel
def index_insert(pool: Array, directory: Array, group: int, slot: int, free: Array) -> None:
    """Put the host in `slot` into `group` with its free amounts."""
    key_row = directory[directory.shape[0] - 1, 1]
    key = (free[key_row, slot] << SLOT_BITS) | slot
    _insert(pool, directory, group, key, packed_room(free[:, slot], key_row))


@kernel
def index_remove(pool: Array, directory: Array, group: int, slot: int, free: Array) -> None:
    """Take the host in `slot`, whose free amounts are those it was entered with, out of `group`."""
    key_row = directory[directory.shape[0] - 1, 1]
    _remove(pool, directory, group, (free[key_row, slot] << SLOT_BITS) | slot)


@kernel
def index_next(pool: Array, directory: Array, group: int, key: int, limit: int, wanted: int) -> int:
    """The smallest key of `group` from `key` to below `limit` whose room covers `wanted`; `limit` if there
    is none.

    A block searched in vain gets its bound corrected, so that the next search may skip it.
    """
    firsts = HEAD + directory[group, 1]
    bounds = firsts + directory[group, 1]
    position = _block_of(directory, group, key)
    block = directory[group, HEAD + position]
    start = _rank(pool, block, key)
    while True:
        if covers(directory[group, bounds + position], wanted):
            for entry in range(start, pool[block, 2 * BLOCK]):
                if covers(pool[block, np.uint64(BLOCK + entry)], wanted):
                    return min(int(pool[block, np.uint64(entry)]), limit)
            if start == 0:
                _tighten(pool, directory, group, position)
        position += 1
        if position >= directory[group, 0] or directory[group, firsts + position] >= limit:
            return limit
        block = directory[group, HEAD + position]
        start = 0
