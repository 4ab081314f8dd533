"""What a host fetches and when it is there: laws of the container agent and of Docker, and a plain twin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.images.image_cache import (
    BAKED_IN,
    NOTHING,
    Shelves,
    Stacks,
    bake,
    empty_host,
    leave,
    new_shelves,
    remove,
    shelve,
    stacks_of,
    take,
)
from clustersim.policy.images.image_cleanup import next_unused
from clustersim.policy.images.image_pulls import (
    ALWAYS,
    DEFAULT,
    FAIL,
    ONCE,
    PREFER_CACHED,
    PULL,
    USE_CACHED,
    Cold,
    Pace,
    asks,
    fetch,
    fetch_cold,
    fits,
    missing,
    missing_layers,
    network_rate,
    ready_at,
    settle,
)
from clustersim.vocabulary import NEVER

MIB = 2**20
UNLIMITED = math.inf

# Images A (two versions) and B stand on a base of 100 bytes that unpacks to 300; sizes are (compressed, unpacked).
BASE, WEB_1, WEB_2, WORKER = range(4)
LAYERS = [(100, 300), (40, 60), (50, 70), (10, 20)]
VERSIONS = [(0, [BASE, WEB_1]), (0, [BASE, WEB_2]), (1, [BASE, WORKER])]
WEB_OLD, WEB_NEW, WORKER_ONLY = range(3)
PACE = Pace(network=10.0, source=UNLIMITED, shared=UNLIMITED, disk=10.0)  # bytes per ms


def small() -> tuple[Stacks, Shelves]:
    stacks = stacks_of(VERSIONS, LAYERS)
    return stacks, new_shelves(2, 2, stacks)


def pull(stacks: Stacks, shelves: Shelves, version: int, begin: int, pace: Pace = PACE, slot: int = 0) -> int:
    """Fetch and shelve, as the world does it."""
    done = fetch(stacks, shelves, slot, version, begin, pace, np.zeros(1), 0)
    shelve(stacks, shelves, slot, version, begin)
    return int(done)


def test_unpacking_overlaps_with_later_downloads() -> None:
    """Base: moved at 10, unpacked at 10 + 30 = 40. Web: moved at 14, unpacked after the base: 40 + 6 = 46 ms."""
    stacks, shelves = small()
    assert pull(stacks, shelves, WEB_OLD, 0) == 46
    assert shelves.there_at[0, :2].tolist() == [40, 46]


def test_one_layer_is_moved_then_unpacked() -> None:
    """Nothing overlaps in a single layer: 100 / 10 + 300 / 10 = 40 ms."""
    stacks = stacks_of([(0, [0])], [(100, 300)])
    assert pull(stacks, new_shelves(1, 1, stacks), 0, 1_000) == 1_040


def test_two_images_on_one_base_pull_it_once() -> None:
    """The worker on the same host moves its own 10 bytes only: 1 ms and 2 ms of unpacking."""
    stacks, shelves = small()
    pull(stacks, shelves, WEB_OLD, 0)
    assert missing(stacks, shelves, 0, WORKER_ONLY, stacks.compressed) == 10
    assert missing_layers(stacks, shelves, 0, WORKER_ONLY) == 1
    assert pull(stacks, shelves, WORKER_ONLY, 100) == 103
    assert pull(stacks, shelves, WORKER_ONLY, 100, slot=1) == 100 + 42, (
        "another host has to move the base too"
    )


def test_a_layer_under_way_is_waited_for() -> None:
    """Ten tasks of one image at once: one pull, and all start when it is there."""
    stacks, shelves = small()
    assert {pull(stacks, shelves, WEB_OLD, 0) for _ in range(10)} == {46}
    assert shelves.stored[0] == 360
    assert pull(stacks, shelves, WORKER_ONLY, 5) == 48, (
        "its own layer is unpacked on top of the base, at 46 or later"
    )


def test_concurrent_pulls_share_the_hosts_lines() -> None:
    """Two images without a common layer, 1,000 bytes each: the second takes as long again, not half the time."""
    stacks = stacks_of([(0, [0]), (1, [1])], [(1_000, 0), (1_000, 0)])
    shelves = new_shelves(1, 2, stacks)
    assert pull(stacks, shelves, 0, 0) == 100
    assert pull(stacks, shelves, 1, 0) == 200


def test_a_registry_that_gives_one_pull_little_leaves_room_for_others() -> None:
    """At 2 of the host's 10 bytes per ms a pull lasts 500 ms, but holds the line for 100."""
    stacks = stacks_of([(0, [0]), (1, [1])], [(1_000, 0), (1_000, 0)])
    shelves = new_shelves(1, 2, stacks)
    assert pull(stacks, shelves, 0, 0, PACE._replace(source=2.0)) == 500
    assert pull(stacks, shelves, 1, 0) == 500, "its bytes came at 200, but Docker unpacks one after the other"
    assert shelves.lines[0, 0] == 200.0


def test_what_a_registry_gives_one_pull_holds_for_all_its_layers() -> None:
    """Two layers of 500 bytes at 2 of the host's 10 bytes per ms: 500 ms, as one of 1,000."""
    stacks = stacks_of([(0, [0, 1])], [(500, 0), (500, 0)])
    assert pull(stacks, new_shelves(1, 1, stacks), 0, 0, PACE._replace(source=2.0)) == 500


def test_a_registry_serves_all_hosts_together() -> None:
    """Two hosts ask one registry of 5 bytes per ms for 1,000 each: 200 and 400 ms."""
    stacks = stacks_of([(0, [0])], [(1_000, 0)])
    shelves = new_shelves(2, 1, stacks)
    served = np.zeros(1)
    pace = PACE._replace(shared=5.0)
    assert [fetch(stacks, shelves, host, 0, 0, pace, served, 0) for host in (0, 1)] == [200, 400]


@pytest.mark.parametrize(
    ("behavior", "nothing", "baked", "pulled"),
    [
        (DEFAULT, True, True, True),
        (ALWAYS, True, True, True),
        (ONCE, True, True, False),
        (PREFER_CACHED, True, False, False),
    ],
)
def test_who_asks_the_registry(behavior: int, nothing: bool, baked: bool, pulled: bool) -> None:
    """ECS agent README: ECS_IMAGE_PULL_BEHAVIOR; `once` looks at what tasks have pulled, not at what is there."""
    assert asks(behavior, NOTHING, NEVER) == nothing
    assert asks(behavior, 0, BAKED_IN) == baked
    assert asks(behavior, 0, 5_000) == pulled


@pytest.mark.parametrize(
    ("behavior", "held", "answered", "expected"),
    [
        (DEFAULT, 0, True, PULL),
        (DEFAULT, 0, False, USE_CACHED),
        (DEFAULT, NOTHING, False, FAIL),
        (ALWAYS, 0, False, FAIL),
        (ONCE, NOTHING, False, FAIL),
        (PREFER_CACHED, NOTHING, False, FAIL),
    ],
)
def test_only_default_falls_back_on_the_cache(
    behavior: int, held: int, answered: bool, expected: int
) -> None:
    assert settle(behavior, held, True, answered) == expected
    assert settle(behavior, held, False, False) == USE_CACHED


def test_a_tag_that_was_pushed_anew_is_pulled_by_default_and_kept_by_once() -> None:
    """The tag means the new version; `once` goes on with what the host has, until that is cleaned up."""
    stacks, shelves = small()
    pull(stacks, shelves, WEB_OLD, 0)
    held = shelves.held[0, 0]
    assert (held, asks(ONCE, held, shelves.pulled_at[0, held])) == (WEB_OLD, False)
    assert pull(stacks, shelves, WEB_NEW, 1_000) == 1_012, "only its own layer: 5 ms and 7 ms"
    assert shelves.held[0, 0] == WEB_NEW
    assert shelves.pulled_at[0, WEB_OLD] == 0, "the old one is still there, without a name"


def test_what_came_with_the_machine_image_moves_nothing() -> None:
    stacks, shelves = small()
    bake(stacks, shelves, 0, WEB_OLD, 0)
    assert shelves.stored[0] == 360
    assert ready_at(stacks, shelves, 0, WEB_OLD, 7) == 7
    assert pull(stacks, shelves, WEB_OLD, 50) == 50
    assert shelves.pulled_at[0, WEB_OLD] == 50
    assert shelves.standing[0].tolist() == [1, 1, 0, 0]


def test_a_full_disk_takes_no_layer() -> None:
    """360 bytes lie there; the new web layer needs 70 more."""
    stacks, shelves = small()
    pull(stacks, shelves, WEB_OLD, 0)
    assert fits(stacks, shelves, 0, WEB_NEW, 430)
    assert not fits(stacks, shelves, 0, WEB_NEW, 429)


def test_removing_an_image_keeps_the_layers_of_others() -> None:
    """Two versions of the web share the base: the old one frees its 60 bytes, the last one all the rest."""
    stacks, shelves = small()
    pull(stacks, shelves, WEB_OLD, 0)
    pull(stacks, shelves, WEB_NEW, 10)
    assert remove(stacks, shelves, 0, WEB_OLD) == 60
    assert shelves.held[0, 0] == WEB_NEW
    assert missing(stacks, shelves, 0, WEB_NEW, stacks.unpacked) == 0
    assert remove(stacks, shelves, 0, WEB_NEW) == 370
    assert shelves.held[0, 0] == NOTHING
    assert shelves.stored[0] == 0


def test_a_slot_is_used_again_without_a_memory() -> None:
    stacks, shelves = small()
    pull(stacks, shelves, WEB_OLD, 0)
    take(shelves, 0, WEB_OLD, 7)
    empty_host(shelves, 0)
    fresh = new_shelves(2, 2, stacks)
    assert all(np.array_equal(left, right) for left, right in zip(shelves, fresh, strict=True))


def test_cleanup_takes_the_longest_unused_of_the_old_enough() -> None:
    """An hour from the pull, three from the last container's end; least recently used first."""
    hour = 3_600_000
    stacks, shelves = small()
    for version, at in ((WEB_OLD, 0), (WEB_NEW, 10), (WORKER_ONLY, 20)):
        pull(stacks, shelves, version, at)
    take(shelves, 0, WEB_OLD, 7)
    assert next_unused(shelves, 0, hour - 1, hour, 3 * hour) == NOTHING
    assert next_unused(shelves, 0, hour + 15, hour, 3 * hour) == WEB_NEW
    leave(shelves, 0, WEB_OLD, 7, 2 * hour)
    remove(stacks, shelves, 0, WEB_NEW)
    assert next_unused(shelves, 0, 2 * hour, hour, 3 * hour) == WORKER_ONLY
    remove(stacks, shelves, 0, WORKER_ONLY)
    assert next_unused(shelves, 0, 5 * hour - 1, hour, 3 * hour) == NOTHING, "its container is still held"
    assert next_unused(shelves, 0, 5 * hour, hour, 3 * hour) == WEB_OLD
    bake(stacks, shelves, 1, WEB_OLD, 0)
    assert next_unused(shelves, 1, 9 * hour, hour, 0) == NOTHING, "no task ever pulled it"


def test_a_network_of_unknown_bandwidth_is_no_limit() -> None:
    """An instance type of the scenario's own need not say it. 1 Gbps are 125,000 bytes per ms."""
    assert network_rate(1.0) == 125_000.0
    assert network_rate(0.0) == UNLIMITED


# --- Fargate ---------------------------------------------------------------------------------------------


def cold(stacks: Stacks, *versions: int, lazy_share: float = 1.0, pace: Pace = PACE) -> Cold:
    """One task that fetches these versions, one image after the other."""
    seen, so_far = np.full(stacks.compressed.size, NEVER), Cold()
    for version in versions:
        so_far = fetch_cold(stacks, version, seen, 1, so_far, pace, lazy_share)
    return so_far


def test_fargate_pulls_all_of_an_image_for_each_task() -> None:
    """The flow of the first test on a host of its own; 140 bytes moved and 360 unpacked lie on its disk."""
    stacks, _ = small()
    assert cold(stacks, WEB_OLD) == Cold(moved=14, done=46, stored=500, sent=140)


def test_images_of_one_fargate_task_share_their_layers() -> None:
    """The worker beside the web moves its own 10 bytes after them: at 15, unpacked 2 ms after the web's at 46."""
    stacks, _ = small()
    assert cold(stacks, WEB_OLD, WORKER_ONLY) == Cold(moved=15, done=48, stored=530, sent=150)
    seen = np.full(stacks.compressed.size, NEVER)
    first = fetch_cold(stacks, WEB_OLD, seen, 1, Cold(), PACE, 1.0)
    assert fetch_cold(stacks, WEB_OLD, seen, 2, Cold(), PACE, 1.0) == first, (
        "another task keeps nothing of it"
    )


def test_lazy_loading_moves_a_share_of_large_layers_and_all_of_small_ones() -> None:
    """A layer of 20 MiB at 10 bytes per ms and a tenth of it: 209,716 ms; one below 10 MiB is moved whole."""
    stacks = stacks_of([(0, [0]), (1, [1])], [(20 * MIB, 0), (5 * MIB, 0)])
    assert cold(stacks, 0, lazy_share=0.1).done == pytest.approx(2 * MIB / 10)
    assert cold(stacks, 1, lazy_share=0.1).done == pytest.approx(5 * MIB / 10)
    assert cold(stacks, 0).done == pytest.approx(20 * MIB / 10)


def test_a_layer_that_came_in_part_serves_no_image_that_needs_the_whole() -> None:
    """A tenth of 20 MiB for the image with an index, the same for a second such, then all of it for one without."""
    stacks = stacks_of([(0, [0]), (1, [0]), (2, [0])], [(20 * MIB, 0)])
    seen, so_far = np.full(1, NEVER), Cold()
    sent = []
    for version, lazy_share in ((0, 0.1), (1, 0.1), (2, 1.0)):
        so_far = fetch_cold(stacks, version, seen, 1, so_far, PACE, lazy_share)
        sent.append(so_far.sent)
    assert sent == [2 * MIB, 2 * MIB, pytest.approx(22 * MIB)]


# --- the twin ----------------------------------------------------------------------------------------------


@dataclass
class Twin:
    """A host in plain Python: layers by number, two lines, one registry."""

    there: dict[int, float] = field(default_factory=dict)
    network: float = 0.0
    disk: float = 0.0
    served: float = 0.0

    def pull(self, layers: list[int], sizes: list[tuple[int, int]], begin: int, pace: Pace) -> int:
        below = sent = float(begin)
        for layer in layers:
            compressed, unpacked = sizes[layer]
            if layer not in self.there:
                start = max(begin, self.network)
                self.network = start + compressed / pace.network
                self.served = max(begin, self.served) + compressed / pace.shared
                sent = max(sent, start) + compressed / pace.source
                arrived = max(self.network, sent, self.served)
                below = max(below, arrived, self.disk) + unpacked / pace.disk
                self.disk = below
                self.there[layer] = math.ceil(below)
            below = max(below, self.there[layer])
        return math.ceil(below)


RATES = st.sampled_from([0.5, 3.0, 10.0, 1e6, UNLIMITED])
SIZES = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 9_000)), min_size=1, max_size=6)


@settings(max_examples=120, deadline=None)
@given(
    SIZES,
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 900)), min_size=1, max_size=8),
    st.tuples(st.sampled_from([0.5, 3.0, 10.0]), RATES, RATES, st.sampled_from([0.5, 7.0, 1e6])),
)
def test_equals_the_plain_twin(
    sizes: list[tuple[int, int]],
    images: list[list[int]],
    pulls: list[tuple[int, int]],
    rates: tuple[float, float, float, float],
) -> None:
    """Any pulls in the order of time; none is faster than its slowest limit, and each leaves nothing missing."""
    stacked = [list(dict.fromkeys(layer % len(sizes) for layer in image)) for image in images]
    stacks = stacks_of(list(enumerate(stacked)), sizes)
    shelves, served, twin, pace = new_shelves(1, len(images), stacks), np.zeros(1), Twin(), Pace(*rates)
    for image, begin in sorted(((i % len(images), at) for i, at in pulls), key=lambda each: each[1]):
        before = missing(stacks, shelves, 0, image, stacks.compressed)
        done = fetch(stacks, shelves, 0, image, begin, pace, served, 0)
        shelve(stacks, shelves, 0, image, begin)
        assert done == twin.pull(stacked[image], sizes, begin, pace)
        assert done >= math.floor(begin + before / min(pace.network, pace.source, pace.shared))
        assert missing(stacks, shelves, 0, image, stacks.compressed) == 0
    assert shelves.stored[0] == sum(sizes[layer][1] for layer in twin.there)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12),
)
def test_what_is_stored_is_what_stands_on_the_shelf(
    images: list[list[int]], steps: list[tuple[bool, int]]
) -> None:
    """After any pulls and removals the disk holds each layer of each version there, once."""
    sizes = [(1, 2**layer) for layer in range(5)]
    stacked = [list(dict.fromkeys(image)) for image in images]
    stacks = stacks_of(list(enumerate(stacked)), sizes)
    shelves = new_shelves(1, len(images), stacks)
    here: set[int] = set()
    for now, (pulling, number) in enumerate(steps):
        version = number % len(images)
        if pulling:
            pull(stacks, shelves, version, now)
            here.add(version)
        elif version in here:
            remove(stacks, shelves, 0, version)
            here.discard(version)
    layers = {layer for version in here for layer in stacked[version]}
    assert shelves.stored[0] == sum(sizes[layer][1] for layer in layers)
    assert set(np.flatnonzero(shelves.there_at[0] != NEVER)) == layers
