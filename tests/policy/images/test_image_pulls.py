"""Image pulls: rules of the container agent and of Docker, and a comparison with a plain-Python twin."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.images.image_cache import (
    NO_VERSION,
    PRELOADED,
    ImageCache,
    ImageLayers,
    acquire_layers,
    add_image,
    build_image_layers,
    clear_image_cache,
    new_image_cache,
    preload_image,
    release_layers,
    remove_image,
)
from clustersim.policy.images.image_cleanup import next_removable_version
from clustersim.policy.images.image_pulls import (
    ALWAYS,
    DEFAULT,
    FAIL,
    ONCE,
    PREFER_CACHED,
    PULL,
    USE_CACHED,
    TransferRates,
    UncachedPull,
    choose_image_source,
    fetch_layers,
    fetch_uncached,
    image_fits_on_disk,
    image_ready_at,
    missing_bytes,
    missing_layers,
    needs_registry,
    network_bytes_per_ms,
)
from clustersim.vocabulary import NEVER

MIB = 2**20
UNLIMITED = math.inf

# Images A (two versions) and B stand on a base of 100 bytes that unpacks to 300; sizes are (compressed, unpacked).
BASE, WEB_1, WEB_2, WORKER = range(4)
LAYERS = [(100, 300), (40, 60), (50, 70), (10, 20)]
VERSIONS = [(0, [BASE, WEB_1]), (0, [BASE, WEB_2]), (1, [BASE, WORKER])]
WEB_OLD, WEB_NEW, WORKER_ONLY = range(3)
RATES = TransferRates(network=10.0, source=UNLIMITED, shared=UNLIMITED, disk=10.0)  # bytes per ms


def small_cache() -> tuple[ImageLayers, ImageCache]:
    image_layers = build_image_layers(VERSIONS, LAYERS)
    return image_layers, new_image_cache(2, 2, image_layers)


def pull_image(
    image_layers: ImageLayers,
    cache: ImageCache,
    version: int,
    begin: int,
    rates: TransferRates = RATES,
    slot: int = 0,
) -> int:
    """Fetch a version and add it to the cache, as the world does."""
    done = fetch_layers(image_layers, cache, slot, version, begin, rates, np.zeros(1), 0)
    add_image(image_layers, cache, slot, version, begin)
    return int(done)


def test_unpacking_overlaps_with_later_downloads() -> None:
    """Base: moved at 10, unpacked at 10 + 30 = 40. Web: moved at 14, unpacked after the base: 40 + 6 = 46 ms."""
    image_layers, cache = small_cache()
    assert pull_image(image_layers, cache, WEB_OLD, 0) == 46
    assert cache.available_at[0, :2].tolist() == [40, 46]


def test_one_layer_is_moved_then_unpacked() -> None:
    """Nothing overlaps in a single layer: 100 / 10 + 300 / 10 = 40 ms."""
    image_layers = build_image_layers([(0, [0])], [(100, 300)])
    assert pull_image(image_layers, new_image_cache(1, 1, image_layers), 0, 1_000) == 1_040


def test_two_images_on_one_base_pull_it_once() -> None:
    """The worker on the same host moves its own 10 bytes only: 1 ms and 2 ms of unpacking."""
    image_layers, cache = small_cache()
    pull_image(image_layers, cache, WEB_OLD, 0)
    assert missing_bytes(image_layers, cache, 0, WORKER_ONLY, image_layers.compressed) == 10
    assert missing_layers(image_layers, cache, 0, WORKER_ONLY) == 1
    assert pull_image(image_layers, cache, WORKER_ONLY, 100) == 103
    assert pull_image(image_layers, cache, WORKER_ONLY, 100, slot=1) == 100 + 42, (
        "another host has to move the base too"
    )


def test_a_layer_in_transfer_is_awaited() -> None:
    """Ten tasks of one image at once: one pull, and all start when it is there."""
    image_layers, cache = small_cache()
    assert {pull_image(image_layers, cache, WEB_OLD, 0) for _ in range(10)} == {46}
    assert cache.stored_bytes[0] == 360
    assert pull_image(image_layers, cache, WORKER_ONLY, 5) == 48, (
        "its own layer is unpacked on top of the base, at 46 or later"
    )


def test_concurrent_pulls_share_the_network_of_the_host() -> None:
    """Two images without a common layer, 1,000 bytes each: the second takes as long again, not half the time."""
    image_layers = build_image_layers([(0, [0]), (1, [1])], [(1_000, 0), (1_000, 0)])
    cache = new_image_cache(1, 2, image_layers)
    assert pull_image(image_layers, cache, 0, 0) == 100
    assert pull_image(image_layers, cache, 1, 0) == 200


def test_a_slow_registry_leaves_bandwidth_for_other_pulls() -> None:
    """At 2 of the host's 10 bytes per ms a pull lasts 500 ms, but occupies the network for 100."""
    image_layers = build_image_layers([(0, [0]), (1, [1])], [(1_000, 0), (1_000, 0)])
    cache = new_image_cache(1, 2, image_layers)
    assert pull_image(image_layers, cache, 0, 0, RATES._replace(source=2.0)) == 500
    assert pull_image(image_layers, cache, 1, 0) == 500, (
        "its bytes arrive at 200, but Docker unpacks one layer at a time"
    )
    assert cache.busy_until[0, 0] == 200.0


def test_the_rate_of_one_pull_is_shared_by_all_its_layers() -> None:
    """Two layers of 500 bytes at 2 of the host's 10 bytes per ms: 500 ms, as one of 1,000."""
    image_layers = build_image_layers([(0, [0, 1])], [(500, 0), (500, 0)])
    assert (
        pull_image(image_layers, new_image_cache(1, 1, image_layers), 0, 0, RATES._replace(source=2.0)) == 500
    )


def test_a_registry_serves_all_hosts_together() -> None:
    """Two hosts ask one registry of 5 bytes per ms for 1,000 each: 200 and 400 ms."""
    image_layers = build_image_layers([(0, [0])], [(1_000, 0)])
    cache = new_image_cache(2, 1, image_layers)
    registry_busy_until = np.zeros(1)
    rates = RATES._replace(shared=5.0)
    assert [
        fetch_layers(image_layers, cache, host, 0, 0, rates, registry_busy_until, 0) for host in (0, 1)
    ] == [200, 400]


@pytest.mark.parametrize(
    ("behavior", "nothing", "preloaded", "pulled"),
    [
        (DEFAULT, True, True, True),
        (ALWAYS, True, True, True),
        (ONCE, True, True, False),
        (PREFER_CACHED, True, False, False),
    ],
)
def test_registry_is_contacted_by_pull_behavior(
    behavior: int, nothing: bool, preloaded: bool, pulled: bool
) -> None:
    """ECS agent README: ECS_IMAGE_PULL_BEHAVIOR; `once` counts what tasks have pulled, not what is cached."""
    assert needs_registry(behavior, NO_VERSION, NEVER) == nothing
    assert needs_registry(behavior, 0, PRELOADED) == preloaded
    assert needs_registry(behavior, 0, 5_000) == pulled


@pytest.mark.parametrize(
    ("behavior", "cached_version", "answered", "expected"),
    [
        (DEFAULT, 0, True, PULL),
        (DEFAULT, 0, False, USE_CACHED),
        (DEFAULT, NO_VERSION, False, FAIL),
        (ALWAYS, 0, False, FAIL),
        (ONCE, NO_VERSION, False, FAIL),
        (PREFER_CACHED, NO_VERSION, False, FAIL),
    ],
)
def test_only_default_falls_back_on_the_cache(
    behavior: int, cached_version: int, answered: bool, expected: int
) -> None:
    assert choose_image_source(behavior, cached_version, True, answered) == expected
    assert choose_image_source(behavior, cached_version, False, False) == USE_CACHED


def test_a_tag_that_was_pushed_again_is_pulled_by_default_and_kept_by_once() -> None:
    """The tag refers to the new version; `once` keeps using the cached one, until it is cleaned up."""
    image_layers, cache = small_cache()
    pull_image(image_layers, cache, WEB_OLD, 0)
    cached_version = cache.current_version[0, 0]
    assert (cached_version, needs_registry(ONCE, cached_version, cache.pulled_at[0, cached_version])) == (
        WEB_OLD,
        False,
    )
    assert pull_image(image_layers, cache, WEB_NEW, 1_000) == 1_012, "only its own layer: 5 ms and 7 ms"
    assert cache.current_version[0, 0] == WEB_NEW
    assert cache.pulled_at[0, WEB_OLD] == 0, "the old one is still cached, untagged"


def test_a_preloaded_image_transfers_nothing() -> None:
    image_layers, cache = small_cache()
    preload_image(image_layers, cache, 0, WEB_OLD, 0)
    assert cache.stored_bytes[0] == 360
    assert image_ready_at(image_layers, cache, 0, WEB_OLD, 7) == 7
    assert pull_image(image_layers, cache, WEB_OLD, 50) == 50
    assert cache.pulled_at[0, WEB_OLD] == 50
    assert cache.references[0].tolist() == [1, 1, 0, 0]


def test_layers_must_fit_on_the_disk() -> None:
    """360 bytes lie there; the new web layer needs 70 more."""
    image_layers, cache = small_cache()
    pull_image(image_layers, cache, WEB_OLD, 0)
    assert image_fits_on_disk(image_layers, cache, 0, WEB_NEW, 430)
    assert not image_fits_on_disk(image_layers, cache, 0, WEB_NEW, 429)


def test_removing_an_image_keeps_the_layers_of_others() -> None:
    """Two versions of the web share the base: the old one frees its 60 bytes, the last one all the rest."""
    image_layers, cache = small_cache()
    pull_image(image_layers, cache, WEB_OLD, 0)
    pull_image(image_layers, cache, WEB_NEW, 10)
    assert remove_image(image_layers, cache, 0, WEB_OLD) == 60
    assert cache.current_version[0, 0] == WEB_NEW
    assert missing_bytes(image_layers, cache, 0, WEB_NEW, image_layers.unpacked) == 0
    assert remove_image(image_layers, cache, 0, WEB_NEW) == 370
    assert cache.current_version[0, 0] == NO_VERSION
    assert cache.stored_bytes[0] == 0


def test_a_reused_slot_has_an_empty_cache() -> None:
    image_layers, cache = small_cache()
    pull_image(image_layers, cache, WEB_OLD, 0)
    acquire_layers(cache, 0, WEB_OLD, 7)
    clear_image_cache(cache, 0)
    fresh = new_image_cache(2, 2, image_layers)
    assert all(np.array_equal(left, right) for left, right in zip(cache, fresh, strict=True))


def test_cleanup_removes_the_least_recently_used_old_image() -> None:
    """An hour from the pull, three from the last container's end; least recently used first."""
    hour = 3_600_000
    image_layers, cache = small_cache()
    for version, at in ((WEB_OLD, 0), (WEB_NEW, 10), (WORKER_ONLY, 20)):
        pull_image(image_layers, cache, version, at)
    acquire_layers(cache, 0, WEB_OLD, 7)
    assert next_removable_version(cache, 0, hour - 1, hour, 3 * hour) == NO_VERSION
    assert next_removable_version(cache, 0, hour + 15, hour, 3 * hour) == WEB_NEW
    release_layers(cache, 0, WEB_OLD, 7, 2 * hour)
    remove_image(image_layers, cache, 0, WEB_NEW)
    assert next_removable_version(cache, 0, 2 * hour, hour, 3 * hour) == WORKER_ONLY
    remove_image(image_layers, cache, 0, WORKER_ONLY)
    assert next_removable_version(cache, 0, 5 * hour - 1, hour, 3 * hour) == NO_VERSION, (
        "its container is still held"
    )
    assert next_removable_version(cache, 0, 5 * hour, hour, 3 * hour) == WEB_OLD
    preload_image(image_layers, cache, 1, WEB_OLD, 0)
    assert next_removable_version(cache, 1, 9 * hour, hour, 0) == NO_VERSION, "no task ever pulled it"


def test_a_network_of_unknown_bandwidth_is_no_limit() -> None:
    """A custom instance type may omit it. 1 Gbps is 125,000 bytes per ms."""
    assert network_bytes_per_ms(1.0) == 125_000.0
    assert network_bytes_per_ms(0.0) == UNLIMITED


# --- Fargate ---------------------------------------------------------------------------------------------


def pull_uncached(
    image_layers: ImageLayers, *versions: int, lazy_share: float = 1.0, rates: TransferRates = RATES
) -> UncachedPull:
    """Fetch these versions for one task, one image after the other."""
    seen, so_far = np.full(image_layers.compressed.size, NEVER), UncachedPull()
    for version in versions:
        so_far = fetch_uncached(image_layers, version, seen, 1, so_far, rates, lazy_share)
    return so_far


def test_fargate_pulls_whole_images_for_each_task() -> None:
    """The flow of the first test on a host of its own; 140 bytes moved and 360 unpacked lie on its disk."""
    image_layers, _ = small_cache()
    assert pull_uncached(image_layers, WEB_OLD) == UncachedPull(moved=14, done=46, stored_bytes=500, sent=140)


def test_images_of_one_fargate_task_share_their_layers() -> None:
    """The worker beside the web moves its own 10 bytes after them: at 15, unpacked 2 ms after the web's at 46."""
    image_layers, _ = small_cache()
    assert pull_uncached(image_layers, WEB_OLD, WORKER_ONLY) == UncachedPull(
        moved=15, done=48, stored_bytes=530, sent=150
    )
    seen = np.full(image_layers.compressed.size, NEVER)
    first = fetch_uncached(image_layers, WEB_OLD, seen, 1, UncachedPull(), RATES, 1.0)
    assert fetch_uncached(image_layers, WEB_OLD, seen, 2, UncachedPull(), RATES, 1.0) == first, (
        "another task keeps nothing of it"
    )


def test_lazy_loading_fetches_a_share_of_large_layers_and_all_of_small_ones() -> None:
    """A layer of 20 MiB at 10 bytes per ms and a tenth of it: 209,716 ms; one below 10 MiB is moved whole."""
    image_layers = build_image_layers([(0, [0]), (1, [1])], [(20 * MIB, 0), (5 * MIB, 0)])
    assert pull_uncached(image_layers, 0, lazy_share=0.1).done == pytest.approx(2 * MIB / 10)
    assert pull_uncached(image_layers, 1, lazy_share=0.1).done == pytest.approx(5 * MIB / 10)
    assert pull_uncached(image_layers, 0).done == pytest.approx(20 * MIB / 10)


def test_a_partial_layer_is_fetched_again_for_an_image_without_an_index() -> None:
    """A tenth of 20 MiB for the image with an index, the same for a second such, then all of it for one without."""
    image_layers = build_image_layers([(0, [0]), (1, [0]), (2, [0])], [(20 * MIB, 0)])
    seen, so_far = np.full(1, NEVER), UncachedPull()
    sent = []
    for version, lazy_share in ((0, 0.1), (1, 0.1), (2, 1.0)):
        so_far = fetch_uncached(image_layers, version, seen, 1, so_far, RATES, lazy_share)
        sent.append(so_far.sent)
    assert sent == [2 * MIB, 2 * MIB, pytest.approx(22 * MIB)]


# --- the twin ----------------------------------------------------------------------------------------------


@dataclass
class Twin:
    """A host in plain Python: layers by number, two queues, one registry."""

    there: dict[int, float] = field(default_factory=dict)
    network: float = 0.0
    disk: float = 0.0
    registry_busy_until: float = 0.0

    def pull_image(
        self, layers: list[int], sizes: list[tuple[int, int]], begin: int, rates: TransferRates
    ) -> int:
        below = sent = float(begin)
        for layer in layers:
            compressed, unpacked = sizes[layer]
            if layer not in self.there:
                start = max(begin, self.network)
                self.network = start + compressed / rates.network
                self.registry_busy_until = max(begin, self.registry_busy_until) + compressed / rates.shared
                sent = max(sent, start) + compressed / rates.source
                arrived = max(self.network, sent, self.registry_busy_until)
                below = max(below, arrived, self.disk) + unpacked / rates.disk
                self.disk = below
                self.there[layer] = math.ceil(below)
            below = max(below, self.there[layer])
        return math.ceil(below)


RATE_CHOICES = st.sampled_from([0.5, 3.0, 10.0, 1e6, UNLIMITED])
SIZES = st.lists(st.tuples(st.integers(0, 5_000), st.integers(0, 9_000)), min_size=1, max_size=6)


@settings(max_examples=120, deadline=None)
@given(
    SIZES,
    st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=5), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 900)), min_size=1, max_size=8),
    st.tuples(
        st.sampled_from([0.5, 3.0, 10.0]), RATE_CHOICES, RATE_CHOICES, st.sampled_from([0.5, 7.0, 1e6])
    ),
)
def test_equals_the_plain_twin(
    sizes: list[tuple[int, int]],
    images: list[list[int]],
    pulls: list[tuple[int, int]],
    speeds: tuple[float, float, float, float],
) -> None:
    """Pulls in order of time match the twin; none is faster than its slowest limit, and none leaves a layer missing."""
    layers_of_image = [list(dict.fromkeys(layer % len(sizes) for layer in image)) for image in images]
    image_layers = build_image_layers(list(enumerate(layers_of_image)), sizes)
    cache, registry_busy_until, twin, rates = (
        new_image_cache(1, len(images), image_layers),
        np.zeros(1),
        Twin(),
        TransferRates(*speeds),
    )
    for image, begin in sorted(((i % len(images), at) for i, at in pulls), key=lambda each: each[1]):
        before = missing_bytes(image_layers, cache, 0, image, image_layers.compressed)
        done = fetch_layers(image_layers, cache, 0, image, begin, rates, registry_busy_until, 0)
        add_image(image_layers, cache, 0, image, begin)
        assert done == twin.pull_image(layers_of_image[image], sizes, begin, rates)
        assert done >= math.floor(begin + before / min(rates.network, rates.source, rates.shared))
        assert missing_bytes(image_layers, cache, 0, image, image_layers.compressed) == 0
    assert cache.stored_bytes[0] == sum(sizes[layer][1] for layer in twin.there)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=4),
    st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=12),
)
def test_stored_bytes_are_those_of_the_cached_layers(
    images: list[list[int]], steps: list[tuple[bool, int]]
) -> None:
    """After any pulls and removals the disk holds each layer of each cached version, once."""
    sizes = [(1, 2**layer) for layer in range(5)]
    layers_of_image = [list(dict.fromkeys(image)) for image in images]
    image_layers = build_image_layers(list(enumerate(layers_of_image)), sizes)
    cache = new_image_cache(1, len(images), image_layers)
    here: set[int] = set()
    for now, (pulling, number) in enumerate(steps):
        version = number % len(images)
        if pulling:
            pull_image(image_layers, cache, version, now)
            here.add(version)
        elif version in here:
            remove_image(image_layers, cache, 0, version)
            here.discard(version)
    layers = {layer for version in here for layer in layers_of_image[version]}
    assert cache.stored_bytes[0] == sum(sizes[layer][1] for layer in layers)
    assert set(np.flatnonzero(cache.available_at[0] != NEVER)) == layers
