"""An exact best-fit index over instance classes: the smallest free amount that fits, found without a scan.

Each instance class has a bucket of blocks, with the keys of its open hosts sorted by `(free amount, slot)`; beside
every key is the host's room in the other resources, packed into the bit fields of one integer, and for each block an
upper bound of that room. A search starts at the block of the required amount and skips blocks whose bound is too small.

The index is two int64 arrays, as passing many arrays to a kernel costs more than the search itself:

    pool[b]             keys | rooms | number of keys                   block b
    directory[g]        blocks used, stride | order | first key | room   bucket g, its blocks in order
    directory[buckets]  free blocks, key row | list of free blocks

Room is a filter: fields are capped at their maximum, so the caller checks a host that passes against its true amounts.
The index must not know strategies or tasks; `policy.placement.hosts` keeps it up to date,
`policy.placement.placement` searches it.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.engine.compiled import inlined, kernel
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY

Array = npt.NDArray[Any]

BLOCK = 64  # keys per block: fastest as measured at 1,000 to 100,000 hosts
SLOT_BITS = 20  # a million slots; amounts have the 43 bits above
SLOT_MASK = (1 << SLOT_BITS) - 1
HEADER = 2  # words before the sections of a directory row

# Bit fields of a room: the resource that is not the key, GPU, ENI, HOST_PORTS; the top bit of each stays clear.
GPU_SHIFT, ENI_SHIFT, PORTS_SHIFT = 32, 40, 52
MAX_OTHER, MAX_GPU, MAX_COUNT = (1 << 31) - 1, (1 << 7) - 1, (1 << 11) - 1
OTHER_BITS = (1 << 32) - 1
GPU_BITS = ((1 << 8) - 1) << GPU_SHIFT
ENI_BITS = ((1 << 12) - 1) << ENI_SHIFT
PORTS_BITS = MAX_COUNT << PORTS_SHIFT
GUARDS = (1 << 31) + (1 << 39) + (1 << 51) - (1 << 63)


def new_index(capacity: int, buckets: int, key_row: int) -> tuple[Array, Array]:
    """Return an empty index for `capacity` slots keyed by resource `key_row`; two empty arrays if `key_row` is -1.

    Of two neighbouring blocks at least one is a quarter full (see `_shrink`), so 8 n / BLOCK blocks suffice, plus one
    for each bucket. Raises ValueError for more than SLOT_MASK slots.
    """
    if key_row < 0:
        return np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64)
    if capacity > SLOT_MASK:
        raise ValueError(f"the index holds at most {SLOT_MASK} slots, not {capacity}")
    blocks = 8 * capacity // BLOCK + buckets + 2
    pool = np.zeros((blocks, 2 * BLOCK + 1), np.int64)
    directory = np.zeros((buckets + 1, HEADER + 3 * blocks), np.int64)
    directory[buckets, 0] = blocks - buckets
    directory[buckets, 1] = key_row
    directory[buckets, HEADER : HEADER + blocks - buckets] = np.arange(buckets, blocks)
    directory[:buckets, 0] = 1
    directory[:buckets, 1] = blocks
    directory[:buckets, HEADER] = np.arange(buckets)
    return pool, directory


def grow_index(pool: Array, directory: Array, capacity: int) -> tuple[Array, Array]:
    """Return the same index with room for `capacity` slots."""
    if directory.size == 0:
        return pool, directory
    buckets = directory.shape[0] - 1
    key_row, old = int(directory[buckets, 1]), pool.shape[0]
    new_pool, new_directory = new_index(capacity, buckets, key_row)
    blocks = new_pool.shape[0]
    new_pool[:old] = pool
    new_directory[:buckets, 0] = directory[:buckets, 0]
    for section in range(3):
        new_directory[:buckets, HEADER + section * blocks : HEADER + section * blocks + old] = directory[
            :buckets, HEADER + section * old : HEADER + section * old + old
        ]
    spare = int(directory[buckets, 0])
    new_directory[buckets, 0] = spare + blocks - old
    new_directory[buckets, HEADER : HEADER + spare] = directory[buckets, HEADER : HEADER + spare]
    new_directory[buckets, HEADER + spare : HEADER + spare + blocks - old] = np.arange(old, blocks)
    return new_pool, new_directory


@inlined
def packed_room(amounts: Array, key_row: int) -> int:
    """Pack `amounts` (one per resource) except `key_row`, each capped at the maximum of its bit field."""
    other = min(amounts[CPU + MEMORY - key_row], MAX_OTHER)
    gpu = min(amounts[GPU], MAX_GPU)
    eni = min(amounts[ENI], MAX_COUNT)
    host_ports = min(amounts[HOST_PORTS], MAX_COUNT)
    return int(other | (gpu << GPU_SHIFT) | (eni << ENI_SHIFT) | (host_ports << PORTS_SHIFT))


@inlined
def room_covers(room: int, required: int) -> bool:
    """Return whether `room` is at least `required` in every bit field: a smaller field borrows its guard bit."""
    return ((room | GUARDS) - required) & GUARDS == GUARDS


@inlined
def _either(a: int, b: int) -> int:
    """Return the larger of both rooms, field by field."""
    return (
        max(a & OTHER_BITS, b & OTHER_BITS)
        | max(a & GPU_BITS, b & GPU_BITS)
        | max(a & ENI_BITS, b & ENI_BITS)
        | max(a & PORTS_BITS, b & PORTS_BITS)
    )


@inlined
def _block_of(directory: Array, bucket: int, key: int) -> int:
    """Return the position in its bucket of the block of `key`: the last whose first key is not above it."""
    start = np.uint64(HEADER + directory[bucket, 1])
    low, left = np.uint64(0), np.uint64(directory[bucket, 0])
    while left > np.uint64(1):
        half = left >> np.uint64(1)
        low = low + half if directory[bucket, start + low + half] <= key else low
        left -= half
    return int(np.int64(low))


@inlined
def _rank(pool: Array, block: int, key: int) -> int:
    """Return how many keys of `block` are below `key`."""
    low, left = np.uint64(0), np.uint64(pool[block, 2 * BLOCK])
    while left > np.uint64(0):
        half = left >> np.uint64(1)
        below = pool[block, low + half] < key
        low = low + half + np.uint64(1) if below else low
        left = left - half - np.uint64(1) if below else half
    return int(np.int64(low))


@kernel
def _tighten(pool: Array, directory: Array, bucket: int, position: int) -> None:
    """Set the bound of a block to the exact maximum of its rooms."""
    stride = directory[bucket, 1]
    block = directory[bucket, HEADER + position]
    bound = 0
    for entry in range(pool[block, 2 * BLOCK]):
        bound = _either(bound, pool[block, BLOCK + entry])
    directory[bucket, HEADER + 2 * stride + position] = bound


@kernel
def _split(pool: Array, directory: Array, bucket: int, position: int) -> None:
    """Move the upper half of a full block into a new block behind it."""
    spare, stride = directory.shape[0] - 1, directory[bucket, 1]
    block = directory[bucket, HEADER + position]
    directory[spare, 0] -= 1
    new_block = directory[spare, HEADER + directory[spare, 0]]
    half = BLOCK // 2
    for entry in range(half):
        pool[new_block, entry] = pool[block, half + entry]
        pool[new_block, BLOCK + entry] = pool[block, BLOCK + half + entry]
    pool[new_block, 2 * BLOCK] = half
    pool[block, 2 * BLOCK] = half
    for section in range(3):
        start = HEADER + section * stride
        for i in range(start + directory[bucket, 0], start + position, -1):
            directory[bucket, i] = directory[bucket, i - 1]
    directory[bucket, 0] += 1
    directory[bucket, HEADER + position + 1] = new_block
    directory[bucket, HEADER + stride + position + 1] = pool[new_block, 0]
    _tighten(pool, directory, bucket, position)
    _tighten(pool, directory, bucket, position + 1)


@kernel
def _drop(directory: Array, bucket: int, position: int) -> None:
    """Free an empty block, and close the gap in the order of its bucket."""
    spare, stride = directory.shape[0] - 1, directory[bucket, 1]
    directory[spare, HEADER + directory[spare, 0]] = directory[bucket, HEADER + position]
    directory[spare, 0] += 1
    directory[bucket, 0] -= 1
    for section in range(3):
        start = HEADER + section * stride
        for i in range(start + position, start + directory[bucket, 0]):
            directory[bucket, i] = directory[bucket, i + 1]


@kernel
def _absorb_next(pool: Array, directory: Array, bucket: int, position: int) -> bool:
    """Merge the following block into this one if that leaves a quarter free; return whether it did."""
    block, other = directory[bucket, HEADER + position], directory[bucket, HEADER + position + 1]
    length, other_length = pool[block, 2 * BLOCK], pool[other, 2 * BLOCK]
    if length + other_length > 3 * BLOCK // 4:
        return False
    for entry in range(other_length):
        pool[block, length + entry] = pool[other, entry]
        pool[block, BLOCK + length + entry] = pool[other, BLOCK + entry]
    pool[block, 2 * BLOCK] = length + other_length
    pool[other, 2 * BLOCK] = 0
    bounds = HEADER + 2 * directory[bucket, 1]
    if length == 0:
        directory[bucket, HEADER + directory[bucket, 1] + position] = pool[block, 0]
    directory[bucket, bounds + position] = _either(
        directory[bucket, bounds + position], directory[bucket, bounds + position + 1]
    )
    _drop(directory, bucket, position + 1)
    return True


@kernel
def _shrink(pool: Array, directory: Array, bucket: int, position: int) -> None:
    """Merge a block that is less than a quarter full with a neighbour that has room."""
    if position + 1 < directory[bucket, 0] and _absorb_next(pool, directory, bucket, position):
        return
    if position > 0:
        _absorb_next(pool, directory, bucket, position - 1)


@kernel
def _insert(pool: Array, directory: Array, bucket: int, key: int, room: int) -> None:
    """Insert `key` with its room; split a full block first."""
    stride = directory[bucket, 1]
    position = _block_of(directory, bucket, key)
    block = directory[bucket, HEADER + position]
    if pool[block, 2 * BLOCK] == BLOCK:
        _split(pool, directory, bucket, position)
        if key >= directory[bucket, HEADER + stride + position + 1]:
            position += 1
            block = directory[bucket, HEADER + position]
    length, rank = pool[block, 2 * BLOCK], _rank(pool, block, key)
    for entry in range(length, rank, -1):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry - 1)]
    for entry in range(BLOCK + length, BLOCK + rank, -1):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry - 1)]
    pool[block, rank] = key
    pool[block, BLOCK + rank] = room
    pool[block, 2 * BLOCK] = length + 1
    if rank == 0:
        directory[bucket, HEADER + stride + position] = key
    bound = HEADER + 2 * stride + position
    directory[bucket, bound] = _either(directory[bucket, bound], room)


@kernel
def _remove(pool: Array, directory: Array, bucket: int, key: int) -> None:
    """Remove `key`; the bound of its block may stay too high, until a search tightens it."""
    stride = directory[bucket, 1]
    position = _block_of(directory, bucket, key)
    block = directory[bucket, HEADER + position]
    length = pool[block, 2 * BLOCK] - 1
    rank = _rank(pool, block, key)
    for entry in range(rank, length):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry + 1)]
    for entry in range(BLOCK + rank, BLOCK + length):
        pool[block, np.uint64(entry)] = pool[block, np.uint64(entry + 1)]
    pool[block, 2 * BLOCK] = length
    if rank == 0 and length > 0:
        directory[bucket, HEADER + stride + position] = pool[block, 0]
    if length < BLOCK // 4 and directory[bucket, 0] > 1:
        if length == 0:
            _drop(directory, bucket, position)
        else:
            _shrink(pool, directory, bucket, position)


@kernel
def index_insert(pool: Array, directory: Array, bucket: int, slot: int, free: Array) -> None:
    """Insert the host in `slot` into `bucket` with its free amounts."""
    key_row = directory[directory.shape[0] - 1, 1]
    key = (free[key_row, slot] << SLOT_BITS) | slot
    _insert(pool, directory, bucket, key, packed_room(free[:, slot], key_row))


@kernel
def index_remove(pool: Array, directory: Array, bucket: int, slot: int, free: Array) -> None:
    """Remove the host in `slot` from `bucket`; `free` still holds the amounts it was inserted with."""
    key_row = directory[directory.shape[0] - 1, 1]
    _remove(pool, directory, bucket, (free[key_row, slot] << SLOT_BITS) | slot)


@kernel
def index_next(pool: Array, directory: Array, bucket: int, key: int, limit: int, required: int) -> int:
    """Return the smallest key of `bucket` from `key` to below `limit` whose room covers `required`, or `limit`.

    A search without a hit in a block corrects its bound, so that the next search may skip it.
    """
    firsts = HEADER + directory[bucket, 1]
    bounds = firsts + directory[bucket, 1]
    position = _block_of(directory, bucket, key)
    block = directory[bucket, HEADER + position]
    start = _rank(pool, block, key)
    while True:
        if room_covers(directory[bucket, bounds + position], required):
            for entry in range(start, pool[block, 2 * BLOCK]):
                if room_covers(pool[block, np.uint64(BLOCK + entry)], required):
                    return min(int(pool[block, np.uint64(entry)]), limit)
            if start == 0:
                _tighten(pool, directory, bucket, position)
        position += 1
        if position >= directory[bucket, 0] or directory[bucket, firsts + position] >= limit:
            return limit
        block = directory[bucket, HEADER + position]
        start = 0
