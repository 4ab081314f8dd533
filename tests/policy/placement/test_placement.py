"""Task placement: ECS's rules on hosts with ECS's numbers; scan, index and a plain-Python placer agree."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.random_streams import uniform
from clustersim.policy.placement.constraint_program import FactRows, compile_constraints
from clustersim.policy.placement.hosts import (
    EXCLUDED_BY_MEMBER_OF,
    LACKS_ATTRIBUTE,
    NOT_OFFERED,
    RUNNING_TASKS,
)
from clustersim.policy.placement.member_of import parse_constraint
from clustersim.policy.placement.placement import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    ELIGIBLE,
    FEWEST_OF_GROUP,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    Hosts,
    PlacementRequest,
    choose_host,
    close_host,
    grow_hosts,
    needs_group_counts,
    new_hosts,
    open_host,
    release,
    reserve,
    strategy_chain,
)
from clustersim.policy.placement.placement_failure import find_placement_failure, placement_failure_message
from clustersim.vocabulary import CPU, ENI, GPU, HOST_PORTS, MEMORY, RESOURCES, WaitReason

ZONES, RACKS = (0, 1, 2, 0, 1, 2), (0, 0, 1, 0, -1, -1)
BOTH = pytest.mark.parametrize("indexed", [False, True])
Rules = tuple[tuple[int, int], ...]


def make_cluster(
    amounts_by_host: list[dict[int, int]], indexed: bool = False, zones: list[int] | None = None
) -> Hosts:
    """Open hosts by their free amounts; unlisted resources are ample. The class of host i is its zone."""
    hosts = new_hosts(len(amounts_by_host), 6, np.array([ZONES, RACKS]), 1, 6, indexed)
    for slot, amounts in enumerate(amounts_by_host):
        for resource in range(RESOURCES):
            hosts.free[resource, slot] = amounts.get(resource, 1_000 if resource > MEMORY else 100_000)
        open_host(hosts, slot, zones[slot] if zones else 0)
    return hosts


def make_request(
    need: dict[int, int], *rules: tuple[int, int], ports: int = 0, **changes: Any
) -> PlacementRequest:
    """Return a request with the given needs and rules."""
    request = PlacementRequest(
        need=np.array([need.get(resource, 0) for resource in range(RESOURCES)], np.int64),
        ports=np.array([ports], np.uint64),
        eligible=np.full(6, ELIGIBLE, np.uint8),
        chain=strategy_chain(*rules),
        zone_count=np.zeros(3, np.int32),
        program=np.zeros((0, 3), np.int64),
        distinct=0,
        rng_key=np.uint64(3),
        truth=np.zeros((0, 6), np.uint8),
    )
    return request._replace(**changes)


def place_task(hosts: Hosts, request: PlacementRequest, ordinal: int = 0) -> int:
    """Choose, reserve and count, as the world does."""
    slot = int(choose_host(hosts, request, ordinal))
    if slot >= 0:
        reserve(hosts, slot, request.need, request.ports)
        hosts.group_tasks[slot] += 1
        request.zone_count[hosts.values[ZONE, hosts.instance_class[slot]]] += 1
    return slot


@pytest.mark.golden(24)
@pytest.mark.parametrize("rules", [((FEWEST_OF_GROUP, 0),), ((SPREAD_ATTRIBUTE, ZONE),)])
def test_next_task_goes_to_an_empty_zone(rules: Rules) -> None:
    """Zones hold 1, 0 and 0 tasks: the next goes to the second or the third, of equals to the lowest slot."""
    hosts = make_cluster([{}] * 3, zones=[0, 1, 2])
    request = make_request({CPU: 256}, *rules, zone_count=np.array([1, 0, 0], np.int32))
    assert place_task(hosts, request) == 1
    assert place_task(hosts, request) == 2


@BOTH
@pytest.mark.golden(29)
def test_binpack_takes_the_least_that_fits(indexed: bool) -> None:
    """Free memory 4096, 2048, 1024 and a task of 1500 MiB: the host with 2048."""
    hosts = make_cluster([{MEMORY: 4_096}, {MEMORY: 2_048}, {MEMORY: 1_024}], indexed)
    assert place_task(hosts, make_request({MEMORY: 1_500}, (BINPACK_MEMORY, 0))) == 1


@pytest.mark.golden(31)
def test_a_static_port_is_used_once_per_host() -> None:
    """Port 80, three tasks, two instances: two are placed, for the third the port is in use."""
    hosts = make_cluster([{}] * 2)
    request = make_request({CPU: 256}, (FEWEST_OF_GROUP, 0), ports=1)
    assert [place_task(hosts, request) for _ in range(3)] == [0, 1, -1]
    code, slot = find_placement_failure(hosts, request)
    assert (WaitReason(code), slot) == (WaitReason.RESOURCE_PORTS, 0)
    assert placement_failure_message("web", code, "i-1") == (
        "(service web) was unable to place a task because no container instance met all of its requirements. "
        "The closest matching (container-instance i-1) is already using a port required by your task."
    )
    release(hosts, 1, request.need, request.ports)
    assert place_task(hosts, request) == 1


def test_words_for_no_host_at_all() -> None:
    """ECS names where it looked: the cluster, or a capacity provider."""
    words = (
        "(service web) was unable to place a task because no container instance met all of its requirements. "
    )
    code = WaitReason.NO_ACTIVE_INSTANCES
    found = "Reason: No Container Instances were found in your {}."
    assert placement_failure_message("web", code, None) == words + found.format("cluster")
    provider = placement_failure_message("web", code, None, "capacity provider")
    assert provider == words + found.format("capacity provider")


@pytest.mark.golden(32)
@pytest.mark.parametrize("resource", [CPU, MEMORY])
def test_one_task_fills_a_host(resource: int) -> None:
    """A host of 1024 and a task of 1000: one task per host."""
    hosts = make_cluster([{resource: 1_024}] * 2)
    request = make_request({resource: 1_000}, (SPREAD_INSTANCE, 0))
    assert [place_task(hosts, request) for _ in range(3)] == [0, 1, -1]
    reason = WaitReason.RESOURCE_CPU if resource == CPU else WaitReason.RESOURCE_MEMORY
    assert find_placement_failure(hosts, request) == (reason, 0)


@pytest.mark.golden(33)
def test_nominal_memory_never_fits() -> None:
    """A task of 8192 MiB on an m4.large, which registers 7985 MiB: never."""
    hosts = make_cluster([{CPU: 2_048, MEMORY: 7_985}])
    assert place_task(hosts, make_request({MEMORY: 8_192}, (BINPACK_MEMORY, 0))) == -1
    assert place_task(hosts, make_request({MEMORY: 7_985}, (BINPACK_MEMORY, 0))) == 0


@pytest.mark.golden(34)
def test_three_tasks_not_four_fill_an_m5_large() -> None:
    """Tasks of 512 units and 2048 MiB on 2048 units and about 7.6 GiB: memory ends after three."""
    hosts = make_cluster([{CPU: 2_048, MEMORY: 7_782}])
    request = make_request({CPU: 512, MEMORY: 2_048}, (BINPACK_MEMORY, 0))
    assert [place_task(hosts, request) for _ in range(4)] == [0, 0, 0, -1]


@BOTH
@pytest.mark.golden(35)
@pytest.mark.parametrize("interfaces", [2, 10])
def test_network_interfaces_bound_awsvpc_tasks(interfaces: int, indexed: bool) -> None:
    """A c5.large takes 2 awsvpc tasks, 10 with trunking; one more fails without a free interface."""
    hosts = make_cluster([{ENI: interfaces}], indexed)
    request = make_request({CPU: 64, ENI: 1}, (BINPACK_MEMORY, 0))
    assert [place_task(hosts, request) for _ in range(interfaces + 1)] == [0] * interfaces + [-1]
    assert find_placement_failure(hosts, request) == (WaitReason.RESOURCE_ENI, 0)


@BOTH
@pytest.mark.golden(38)
def test_distinct_instances(indexed: bool) -> None:
    """distinctInstance, four tasks, three instances: three are placed."""
    hosts = make_cluster([{}] * 3, indexed)
    request = make_request({CPU: 256}, (BINPACK_MEMORY, 0), distinct=1)
    assert [place_task(hosts, request) for _ in range(4)] == [0, 1, 2, -1]
    assert find_placement_failure(hosts, request)[0] == WaitReason.DISTINCT_INSTANCE


def test_without_a_rule_all_fitting_hosts_are_equally_likely() -> None:
    """RunTask without a strategy: 3,000 draws over three fitting hosts give each a third (4 sigma = 103)."""
    hosts = make_cluster([{}, {CPU: 10}, {}, {}])
    request = make_request({CPU: 100})
    counts = np.bincount([int(choose_host(hosts, request, ordinal)) for ordinal in range(3_000)], minlength=4)
    assert counts[1] == 0
    assert np.abs(counts[[0, 2, 3]] - 1_000).max() < 103
    assert choose_host(hosts, request, 17) == choose_host(hosts, request, 17)


@pytest.mark.parametrize(
    ("eligibility", "reason"),
    [
        (NOT_OFFERED, WaitReason.NO_ACTIVE_INSTANCES),
        (EXCLUDED_BY_MEMBER_OF, WaitReason.MEMBER_OF),
        (LACKS_ATTRIBUTE, WaitReason.ATTRIBUTE),
    ],
)
def test_failure_without_an_eligible_host(eligibility: int, reason: WaitReason) -> None:
    """No candidate at all: the constraint that excludes the open hosts, else no active instances."""
    request = make_request({CPU: 1}, eligible=np.full(6, eligibility, np.uint8))
    assert find_placement_failure(make_cluster([{}]), request) == (reason, -1)
    words = placement_failure_message("web", reason, None)
    assert "met all of its requirements." in words
    assert words.endswith("were found in your cluster.") == (reason == WaitReason.NO_ACTIVE_INSTANCES)
    hosts = make_cluster([{}])
    close_host(hosts, 0)
    assert find_placement_failure(hosts, request) == (WaitReason.NO_ACTIVE_INSTANCES, -1)


def test_the_closest_host_has_the_least_shortfall() -> None:
    """Of 400 and 700 free units for 800 the second host is closer; a third lacks less CPU but memory too."""
    hosts = make_cluster([{CPU: 400}, {CPU: 700}, {CPU: 790, MEMORY: 0}])
    assert find_placement_failure(hosts, make_request({CPU: 800, MEMORY: 10})) == (WaitReason.RESOURCE_CPU, 1)


@BOTH
def test_dynamic_constraint(indexed: bool) -> None:
    """`runningTasksCount < 1` admits a second task only to another host, and then none."""
    hosts = make_cluster([{}] * 2, indexed)
    compiled = compile_constraints([parse_constraint("runningTasksCount < 1")], [{}] * 6, FactRows())
    request = make_request({CPU: 1}, (BINPACK_MEMORY, 0), program=compiled.program, truth=compiled.truth)
    for expected in (0, 1, -1):
        slot = place_task(hosts, request)
        assert slot == expected
        hosts.facts[RUNNING_TASKS, slot] += slot >= 0
    assert find_placement_failure(hosts, request)[0] == WaitReason.MEMBER_OF


@BOTH
def test_growth_changes_no_choice(indexed: bool) -> None:
    """More slots change no choice, and the new ones are used."""
    hosts = grow_hosts(make_cluster([{MEMORY: 500}, {MEMORY: 400}], indexed), 300)
    request = make_request({MEMORY: 300}, (BINPACK_MEMORY, 0))
    assert place_task(hosts, request) == 1
    hosts.free[:, 299] = (10_000, 350, 9, 9, 9)
    open_host(hosts, 299, 5)
    assert [place_task(hosts, request) for _ in range(3)] == [299, 0, -1]


def test_rules_that_need_group_counts() -> None:
    """Only rules on the group's tasks per host, and distinctInstance, make the caller count them."""
    assert not needs_group_counts(strategy_chain((SPREAD_ATTRIBUTE, ZONE), (BINPACK_CPU, 0)), 0)
    assert needs_group_counts(strategy_chain((SPREAD_ATTRIBUTE, 1)), 0)
    assert needs_group_counts(strategy_chain((BINPACK_CPU, 0), (SPREAD_INSTANCE, 0)), 0)
    assert needs_group_counts(strategy_chain((RANDOM, 0)), 1)


class PlainPlacer(NamedTuple):
    """The same decision in plain Python."""

    hosts: Hosts
    request: PlacementRequest

    def fits(self, slot: int) -> bool:
        hosts, request = self.hosts, self.request
        return (
            hosts.instance_class[slot] >= 0
            and request.eligible[hosts.instance_class[slot]] == ELIGIBLE
            and all(hosts.free[:, slot] >= request.need)
            and not hosts.ports[slot, 0] & request.ports[0]
            and not (request.distinct and hosts.group_tasks[slot])
        )

    def tasks_sharing(self, slot: int, attribute: int) -> int:
        hosts = self.hosts
        value = hosts.values[attribute, hosts.instance_class[slot]]
        if attribute == ZONE:
            return int(self.request.zone_count[value])
        open_slots = [other for other in range(hosts.instance_class.size) if hosts.instance_class[other] >= 0]
        same = [
            other for other in open_slots if hosts.values[attribute, hosts.instance_class[other]] == value
        ]
        return int(sum(hosts.group_tasks[other] for other in same))

    def choose(self, rules: Rules, ordinal: int) -> int:
        candidates = [slot for slot in range(self.hosts.instance_class.size) if self.fits(slot)]
        for code, argument in rules or ((RANDOM, 0),):
            if not candidates:
                return -1
            if code == RANDOM:
                return candidates[int(uniform(self.request.rng_key, ordinal, 0) * len(candidates))]
            scores = {slot: self.score(code, argument, slot) for slot in candidates}
            candidates = [slot for slot in candidates if scores[slot] == min(scores.values())]
        return candidates[0] if candidates else -1

    def score(self, code: int, argument: int, slot: int) -> tuple[int, ...]:
        if code in (BINPACK_CPU, BINPACK_MEMORY):
            return (int(self.hosts.free[CPU if code == BINPACK_CPU else MEMORY, slot]),)
        if code == SPREAD_INSTANCE:
            return (int(self.hosts.group_tasks[slot]),)
        if code == SPREAD_ATTRIBUTE:
            return (self.tasks_sharing(slot, argument),)
        return (self.tasks_sharing(slot, ZONE), int(self.hosts.group_tasks[slot]))


def run_history(seed: int, rules: Rules, indexed: bool, key_row: int, steps: int) -> list[int]:
    """Place, stop, drain and register at random; every choice must be that of the plain placer."""
    rng = np.random.default_rng(seed)
    capacity = int(rng.integers(1, 90))
    hosts = new_hosts(capacity, 6, np.array([ZONES, RACKS]), 1, 4, indexed, key_row)
    used = rng.integers(2, size=4)
    eligible = (rng.random(6) < 0.8).astype(np.uint8) * ELIGIBLE
    base = make_request({}, *rules, eligible=eligible, distinct=int(used[0]))
    tasks: list[tuple[int, PlacementRequest]] = []
    choices = []
    for step in range(steps):
        slot = int(rng.integers(capacity))
        if hosts.instance_class[slot] < 0 and not any(host == slot for host, _ in tasks):
            hosts.free[:, slot] = rng.integers(0, 8, RESOURCES) * (100, 250, 1, 1, 1)
            open_host(hosts, slot, int(rng.integers(6)))
        elif rng.random() < 0.05:
            close_host(hosts, slot)
        elif rng.random() < 0.3 and tasks:
            host, stopped = tasks.pop(int(rng.integers(len(tasks))))
            release(hosts, host, stopped.need, stopped.ports)
            hosts.group_tasks[host] -= 1
        need = rng.integers(0, 4, RESOURCES) * (50, 125, used[1], used[2], used[3])
        ports = np.array([rng.integers(4) if used[3] else 0], np.uint64)
        request = base._replace(need=need.astype(np.int64), ports=ports)
        request.zone_count[:] = rng.integers(0, 3, 3)
        chosen = int(choose_host(hosts, request, step))
        choices.append(chosen)
        if not indexed:
            assert chosen == PlainPlacer(hosts, request).choose(rules, step)
        if chosen >= 0:
            reserve(hosts, chosen, request.need, request.ports)
            hosts.group_tasks[chosen] += 1
            tasks.append((chosen, request))
    return choices


RULE = st.sampled_from(
    [
        (BINPACK_CPU, 0),
        (BINPACK_MEMORY, 0),
        (SPREAD_INSTANCE, 0),
        (SPREAD_ATTRIBUTE, ZONE),
        (SPREAD_ATTRIBUTE, 1),
        (RANDOM, 0),
        (FEWEST_OF_GROUP, 0),
    ]
)
SEEDS = st.integers(0, 2**32 - 1)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(SEEDS, st.lists(RULE, max_size=4).map(tuple))
def test_scan_equals_the_plain_placer(seed: int, rules: Rules) -> None:
    """On any cluster, with any chain, the scan places every task where plain Python does."""
    run_history(seed, rules, indexed=False, key_row=MEMORY, steps=40)


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(SEEDS, st.sampled_from([MEMORY, CPU]), st.booleans())
def test_index_equals_scan(seed: int, key_row: int, zones_first: bool) -> None:
    """With the index every task goes where the scan puts it, with removals, drains and constraints."""
    code = BINPACK_MEMORY if key_row == MEMORY else BINPACK_CPU
    rules: Rules = ((SPREAD_ATTRIBUTE, ZONE), (code, 0)) if zones_first else ((code, 0),)
    assert run_history(seed, rules, True, key_row, 60) == run_history(seed, rules, False, key_row, 60)


@pytest.mark.compiled
def test_index_serves_large_clusters_like_the_scan() -> None:
    """Thousands of hosts, so that blocks split and merge: 3,000 placements, 1,500 removals, all equal."""
    runs = []
    for indexed in (False, True):
        rng = np.random.default_rng(1)
        amounts_by_host = [
            {CPU: int(cpu), MEMORY: int(memory), GPU: 0, HOST_PORTS: 95}
            for cpu, memory in rng.integers((500, 1_000), (8_000, 30_000), (3_000, 2))
        ]
        hosts = make_cluster(amounts_by_host, indexed, [slot % 6 for slot in range(3_000)])
        request = make_request({}, (SPREAD_ATTRIBUTE, ZONE), (BINPACK_MEMORY, 0))
        slots_chosen = []
        for step in range(3_000):
            request.need[: MEMORY + 1] = rng.integers((50, 100), (2_000, 8_000))
            request.zone_count[:] = rng.integers(0, 2, 3)
            slot = int(choose_host(hosts, request, step))
            slots_chosen.append(slot)
            if slot >= 0:
                reserve(hosts, slot, request.need, request.ports)
                if step % 2:
                    release(hosts, slot, request.need, request.ports)
        runs.append(slots_chosen)
    assert runs[0] == runs[1]
