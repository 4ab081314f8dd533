"""The best-fit index against a sorted list, through growth, splits, merges and every lane."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.placement.best_fit_index import (
    BLOCK,
    HEAD,
    SLOT_BITS,
    SLOT_MASK,
    covers,
    grown_index,
    index_insert,
    index_next,
    index_remove,
    new_index,
    packed_room,
)
from clustersim.vocabulary import CPU, GPU, MEMORY, RESOURCES

BIG = 1 << 62


def check(directory: np.ndarray, pool: np.ndarray) -> None:
    """Every block sorted, every first key true, every bound a bound, no block lost."""
    groups = directory.shape[0] - 1
    used = 0
    for group in range(groups):
        count, stride = int(directory[group, 0]), int(directory[group, 1])
        used += count
        previous = -1
        for position in range(count):
            block = directory[group, HEAD + position]
            length = pool[block, 2 * BLOCK]
            keys = [int(key) for key in pool[block, :length]]
            assert keys == sorted(keys)
            assert not keys or keys[0] > previous
            assert not keys or position == 0 or directory[group, HEAD + stride + position] == keys[0]
            previous = keys[-1] if keys else previous
            bound = int(directory[group, HEAD + 2 * stride + position])
            assert all(covers(bound, int(room)) for room in pool[block, BLOCK : BLOCK + length])
            assert count == 1 or length > 0
    assert used + directory[groups, 0] == pool.shape[0]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([MEMORY, CPU]), st.sampled_from([2, 40, 30_000]))
def test_equals_a_sorted_list(seed: int, key_row: int, spread: int) -> None:
    """Whatever comes and goes, the next fitting host is the one a sorted list gives."""
    rng = np.random.default_rng(seed)
    capacity = int(rng.integers(1, 700))
    free = np.zeros((RESOURCES, capacity), np.int64)
    pool, directory = new_index(capacity, 2, key_row)
    inside: list[set[int]] = [set(), set()]
    for round_number in range(6):
        growing = round_number % 2 == 0
        for slot in rng.permutation(capacity).tolist():
            group = slot % 2
            if growing and slot not in inside[group]:
                free[:, slot] = rng.integers(0, spread, RESOURCES)
                index_insert(pool, directory, group, slot, free)
                inside[group].add(slot)
            elif not growing and slot in inside[group] and rng.random() < 0.9:
                index_remove(pool, directory, group, slot, free)
                inside[group].discard(slot)
        check(directory, pool)
        for _ in range(20):
            group = int(rng.integers(2))
            need = rng.integers(0, max(2, spread), RESOURCES).reshape(RESOURCES, 1)
            need[GPU:] //= 4
            fitting = sorted(
                (int(free[key_row, slot]) << SLOT_BITS) | slot
                for slot in inside[group]
                if free[key_row, slot] >= need[key_row, 0]
                and covers(packed_room(free[:, slot], key_row), packed_room(need[:, 0], key_row))
            )
            least, wanted = int(need[key_row, 0]) << SLOT_BITS, packed_room(need[:, 0], key_row)
            found = index_next(pool, directory, group, least, BIG, wanted)
            assert found == (fitting[0] if fitting else BIG)
    grown_pool, grown = grown_index(pool, directory, 3 * capacity)
    check(grown, grown_pool)


@given(
    st.lists(st.integers(0, 2**40), min_size=5, max_size=5),
    st.lists(st.integers(0, 2**40), min_size=5, max_size=5),
)
def test_room_is_a_safe_filter(have: list[int], need: list[int]) -> None:
    """A host that has all that is needed always passes the lanes, however large the amounts."""
    columns = np.array([have, [min(a, b) for a, b in zip(have, need, strict=True)]], np.int64).T.copy()
    for key_row in (CPU, MEMORY):
        assert covers(packed_room(columns[:, 0], key_row), packed_room(columns[:, 1], key_row))


@pytest.mark.parametrize("lane", [CPU, GPU, 3, 4])
def test_each_lane_refuses_alone(lane: int) -> None:
    """One unit too little in any one resource is refused, whatever stands in the others."""
    columns = np.full((RESOURCES, 2), 9, np.int64)
    columns[lane, 0] = 8
    assert not covers(packed_room(columns[:, 0], MEMORY), packed_room(columns[:, 1], MEMORY))


def test_limits() -> None:
    """No index gives empty arrays; more slots than a key can name are refused."""
    assert new_index(10, 1, -1)[1].size == 0
    with pytest.raises(ValueError, match="at most"):
        new_index(SLOT_MASK + 1, 1, MEMORY)
