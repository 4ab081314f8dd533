"""The best-fit index against a sorted list, through growth, splits, merges and every bit field."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.placement.best_fit_index import (
    BLOCK,
    HEADER,
    SLOT_BITS,
    SLOT_MASK,
    grow_index,
    index_insert,
    index_next,
    index_remove,
    new_index,
    packed_room,
    room_covers,
)
from clustersim.vocabulary import CPU, GPU, MEMORY, RESOURCES

BIG = 1 << 62


def check_index(directory: np.ndarray, pool: np.ndarray) -> None:
    """Check that blocks are sorted, first keys correct, bounds valid, and no block is lost."""
    buckets = directory.shape[0] - 1
    used = 0
    for bucket in range(buckets):
        count, stride = int(directory[bucket, 0]), int(directory[bucket, 1])
        used += count
        previous = -1
        for position in range(count):
            block = directory[bucket, HEADER + position]
            length = pool[block, 2 * BLOCK]
            keys = [int(key) for key in pool[block, :length]]
            assert keys == sorted(keys)
            assert not keys or keys[0] > previous
            assert not keys or position == 0 or directory[bucket, HEADER + stride + position] == keys[0]
            previous = keys[-1] if keys else previous
            bound = int(directory[bucket, HEADER + 2 * stride + position])
            assert all(room_covers(bound, int(room)) for room in pool[block, BLOCK : BLOCK + length])
            assert count == 1 or length > 0
    assert used + directory[buckets, 0] == pool.shape[0]


@pytest.mark.slow
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([MEMORY, CPU]), st.sampled_from([2, 40, 30_000]))
def test_equals_a_sorted_list(seed: int, key_row: int, spread: int) -> None:
    """After any insertions and removals, the next fitting host is that of a sorted list."""
    rng = np.random.default_rng(seed)
    capacity = int(rng.integers(1, 700))
    free = np.zeros((RESOURCES, capacity), np.int64)
    pool, directory = new_index(capacity, 2, key_row)
    slots_inside: list[set[int]] = [set(), set()]
    for round_number in range(6):
        growing = round_number % 2 == 0
        for slot in rng.permutation(capacity).tolist():
            bucket = slot % 2
            if growing and slot not in slots_inside[bucket]:
                free[:, slot] = rng.integers(0, spread, RESOURCES)
                index_insert(pool, directory, bucket, slot, free)
                slots_inside[bucket].add(slot)
            elif not growing and slot in slots_inside[bucket] and rng.random() < 0.9:
                index_remove(pool, directory, bucket, slot, free)
                slots_inside[bucket].discard(slot)
        check_index(directory, pool)
        for _ in range(20):
            bucket = int(rng.integers(2))
            need = rng.integers(0, max(2, spread), RESOURCES).reshape(RESOURCES, 1)
            need[GPU:] //= 4
            least, required = int(need[key_row, 0]) << SLOT_BITS, packed_room(need[:, 0], key_row)
            fitting = sorted(
                (int(free[key_row, slot]) << SLOT_BITS) | slot
                for slot in slots_inside[bucket]
                if free[key_row, slot] >= need[key_row, 0]
                and room_covers(packed_room(free[:, slot], key_row), required)
            )
            key = index_next(pool, directory, bucket, least, BIG, required)
            assert key == (fitting[0] if fitting else BIG)
    grown_pool, grown = grow_index(pool, directory, 3 * capacity)
    check_index(grown, grown_pool)


@given(
    st.lists(st.integers(0, 2**40), min_size=5, max_size=5),
    st.lists(st.integers(0, 2**40), min_size=5, max_size=5),
)
def test_room_is_a_safe_filter(have: list[int], need: list[int]) -> None:
    """A host that has all that is needed always passes the filter, for any amounts."""
    columns = np.array([have, [min(a, b) for a, b in zip(have, need, strict=True)]], np.int64).T.copy()
    for key_row in (CPU, MEMORY):
        assert room_covers(packed_room(columns[:, 0], key_row), packed_room(columns[:, 1], key_row))


@pytest.mark.parametrize("resource", [CPU, GPU, 3, 4])
def test_each_resource_excludes_a_host_alone(resource: int) -> None:
    """One unit too few of any resource excludes a host, for any amounts of the others."""
    columns = np.full((RESOURCES, 2), 9, np.int64)
    columns[resource, 0] = 8
    assert not room_covers(packed_room(columns[:, 0], MEMORY), packed_room(columns[:, 1], MEMORY))


def test_limits() -> None:
    """No index gives empty arrays; more slots than a key can hold are rejected."""
    assert new_index(10, 1, -1)[1].size == 0
    with pytest.raises(ValueError, match="at most"):
        new_index(SLOT_MASK + 1, 1, MEMORY)
