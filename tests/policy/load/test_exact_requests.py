"""Exact requests, one by one: the kernels against a plain twin, and the rules of load balancing in worked examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.random_streams import CONSTANT, EMPIRICAL, EXPONENTIAL, LOGNORMAL
from clustersim.policy.load.exact_tables import (
    BY_TARGETS,
    DEREGISTERED,
    ENDED,
    HUNG,
    REGISTERED,
    REWEIGHTED,
)
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING, ROUND_ROBIN, WEIGHTED_RANDOM
from tests.policy.load.exact_requests_twin import Twin
from tests.policy.load.exact_stream import ExactStream, Rates, StreamSpec, TaskKind, constant

SLOTS = 5
Change = tuple[int, int, int, int, float]


@st.composite
def streams(draw: Any) -> StreamSpec:
    """Draw a stream on one or two kinds of tasks."""
    times = [0, *sorted(draw(st.sets(st.integers(1, 2_999), max_size=2)))]
    rates = draw(st.lists(st.sampled_from([0.0, 5.0, 20.0]), min_size=len(times), max_size=len(times)))
    kind = st.builds(
        TaskKind,
        scale=st.sampled_from([0.05, 0.2, 1.0]),
        need=st.sampled_from([0.0, 0.3, 1.0, 1.5]),
        vcpu=st.sampled_from([0.5, 1.0, 2.0]),
        workers=st.integers(1, 4),
        denied_share=st.sampled_from([0.0, 0.4]),
    )
    code, a, b = draw(
        st.sampled_from(
            [(EXPONENTIAL, 1.0, 0.0), (CONSTANT, 0.5, 0.0), (LOGNORMAL, 0.7, 0.9), (EMPIRICAL, 0.0, 0.0)]
        )
    )
    return StreamSpec(
        rates=Rates(np.array(times), np.array(rates), draw(st.sampled_from([0, 3_000]))),
        kinds=draw(st.lists(kind, min_size=1, max_size=2)),
        code=code,
        a=a,
        b=b,
        values=(0.1, 0.2, 1.5),
        timeout_s=draw(st.sampled_from([0.4, 2.0, 1e3])),
        routing=draw(st.sampled_from([ROUND_ROBIN, LEAST_OUTSTANDING])),
        slow_start_s=draw(st.sampled_from([0.0, 1.5])),
        seed=draw(st.integers(0, 1_000)),
    )


@st.composite
def change_lists(draw: Any, servers: int) -> list[Change]:
    """Draw changes of the targets within four seconds, in order of time; a slot keeps its kind of task."""
    kinds = st.sampled_from([REGISTERED, REGISTERED, REGISTERED, DEREGISTERED, HUNG, ENDED, REWEIGHTED])
    result: list[Change] = [(0, REGISTERED, 0, 0, 0.0), (0, REGISTERED, 1, servers - 1, 0.0)]
    for at in sorted(draw(st.lists(st.integers(0, 4_000), max_size=12))):
        kind, slot = draw(kinds), draw(st.integers(0, SLOTS - 1))
        server = slot % servers
        weight = draw(st.sampled_from([BY_TARGETS, 0.0, 0.3, 1.0])) if kind == REWEIGHTED else 0.0
        result.append((at, kind, slot, server, weight))
    return result


def drop_changes_of_hung_tasks(changes: list[Change]) -> list[Change]:
    """Remove changes after which a hung task would receive requests again, which never happens in the world."""
    hung: set[int] = set()
    kept_changes = []
    for change in changes:
        _, kind, slot, _, _ = change
        if kind == ENDED:
            hung.discard(slot)
        if slot in hung and kind in (REGISTERED, HUNG):
            continue
        if kind == HUNG:
            hung.add(slot)
        kept_changes.append(change)
    return kept_changes


def outstanding(exact: ExactStream, slot: int) -> list[tuple[float, ...]]:
    """Return (finish, arrival, start, work, number) of the outstanding requests of a task."""
    row = exact.state.target_of[slot]
    if row < 0:
        return []
    target, ring = exact.state.targets[row], exact.state.rings[row]
    return sorted(tuple(ring[(target["head"] + n) % ring.size].tolist())[:5] for n in range(target["count"]))


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_request_equals_that_of_the_plain_twin(data: st.DataObject) -> None:
    """Target, begin, end and cost agree after each millisecond with a request or a change."""
    spec = data.draw(streams())
    changes = drop_changes_of_hung_tasks(data.draw(change_lists(len(spec.kinds))))
    exact, twin = ExactStream(spec, SLOTS, ring=512), Twin(spec)
    now_ms = 0
    while now_ms < 5_000:
        begin_ms = now_ms
        now_ms = min(int(min(twin.next_arrival(5.0), 4.999) * 1_000) + 1, 5_000)
        now_ms = min([now_ms, *(at for at, *_ in changes if at > begin_ms)])
        due = [change for change in changes if begin_ms <= change[0] < now_ms]
        for at, kind, slot, server, weight in due:
            twin.advance(at / 1_000)
            twin.change(at / 1_000, kind, slot, server, weight)
        twin.advance(now_ms / 1_000)
        sums = exact.period(now_ms, *due)
        expected = twin.sums(begin_ms / 1_000, now_ms / 1_000)
        assert {name: sums[name] for name in expected} == pytest.approx(expected, abs=1e-9)
        for slot in range(SLOTS):
            task = twin.tasks.get(slot)
            waiting = task.outstanding(now_ms / 1_000) if task else []
            assert outstanding(exact, slot) == sorted(
                (each.finish_s, each.arrival_s, each.start_s, each.work_s, each.number) for each in waiting
            )


# --- worked examples -----------------------------------------------------------------------------------------------


def shares(exact: ExactStream, slots: int) -> list[int]:
    """Return the number of requests of each task, if none has been answered yet."""
    return [len(outstanding(exact, slot)) for slot in range(slots)]


def test_round_robin_takes_turns() -> None:
    """Service times of an hour: the numbers of requests differ by one at most."""
    exact = ExactStream(StreamSpec(constant(100.0), [TaskKind(scale=3_600.0)], code=CONSTANT), slots=3)
    exact.open(3)
    sums = exact.period(10_000)
    assert sum(shares(exact, 3)) == sums["requests"] == pytest.approx(1_000, rel=0.1)
    assert max(shares(exact, 3)) - min(shares(exact, 3)) <= 1


def test_least_outstanding_fills_the_least_loaded_target() -> None:
    """A task that joins late gets all requests until it has as many as the others."""
    exact = ExactStream(
        StreamSpec(constant(100.0), [TaskKind(scale=3_600.0)], code=CONSTANT, routing=LEAST_OUTSTANDING)
    )
    exact.open(2)
    exact.period(4_000)
    before = shares(exact, 3)
    exact.period(5_000, (4_000, REGISTERED, 2, 0, 0.0))
    assert shares(exact, 2) == before[:2]
    assert 0 < shares(exact, 3)[2] < min(before[:2])
    exact.period(30_000)
    assert max(shares(exact, 3)) - min(shares(exact, 3)) <= 1


def test_weighted_random_chooses_evenly() -> None:
    """Of 1,000 requests each of four tasks gets 250, give or take 4 standard deviations (14 each)."""
    exact = ExactStream(
        StreamSpec(constant(100.0), [TaskKind(scale=3_600.0)], code=CONSTANT, routing=WEIGHTED_RANDOM)
    )
    exact.open(4)
    requests = exact.period(10_000)["requests"]
    assert shares(exact, 4) == pytest.approx([requests / 4] * 4, abs=55)
    assert len(set(shares(exact, 4))) > 1


@pytest.mark.slow
def test_slow_start_gives_a_linearly_growing_share() -> None:
    """A new target's share of the other's is x = age / 40 s, then 1.

    Of a constant stream the other gets 1 / (1 + x), the new one x / (1 + x); over the part a to b of the slow start
    they get ln((1 + b) / (1 + a)) and b - a less that.
    """
    spec = StreamSpec(constant(1_000.0), [TaskKind(scale=1e3)], code=CONSTANT, slow_start_s=40.0)
    exact = ExactStream(spec, slots=2, ring=1 << 16)
    exact.open(1)
    exact.period(10_000)
    joins = [(10_000, REGISTERED, 1, 0, 0.0)]
    for end in (0.25, 0.5, 0.75, 1.0):
        seen = shares(exact, 2)
        exact.period(round(10_000 + 40_000 * end), *joins)
        joins = []
        new_share, other_share = np.subtract(shares(exact, 2)[::-1], seen[::-1])
        full = math.log((1.0 + end) / (0.75 + end))
        assert new_share / other_share == pytest.approx((0.25 - full) / full, rel=0.01)
    seen = shares(exact, 2)
    exact.period(60_000)
    new_share, other_share = np.subtract(shares(exact, 2), seen)
    assert abs(new_share - other_share) <= 1


def test_targets_of_one_instant_do_not_start_slowly() -> None:
    """ELB: there must be a healthy target that is not in slow start."""
    spec = StreamSpec(constant(100.0), [TaskKind(scale=1e3)], code=CONSTANT, slow_start_s=900.0)
    exact = ExactStream(spec, slots=2)
    exact.open(2)
    exact.period(1_000)
    assert abs(shares(exact, 2)[0] - shares(exact, 2)[1]) <= 1


def test_a_draining_target_completes_its_requests() -> None:
    """Every request takes 2 s of a task with room for all: those of the first second are answered in the third."""
    exact = ExactStream(
        StreamSpec(constant(50.0), [TaskKind(scale=2.0, vcpu=100.0, workers=100)], code=CONSTANT)
    )
    exact.open(1)
    first = exact.period(1_000)
    assert first["backlog"] == first["requests"]
    then = exact.period(3_000, (1_000, DEREGISTERED, 0, 0, 0.0))
    assert then["served"] == first["requests"]
    assert (then["failed"], then["backlog"]) == (0.0, 0.0)
    assert then["refused"] == then["requests"]


def test_outstanding_requests_of_an_ended_task_fail() -> None:
    """The same, but it ends after 2.5 s: requests of the second half second are not answered."""
    exact = ExactStream(
        StreamSpec(constant(50.0), [TaskKind(scale=2.0, vcpu=100.0, workers=100)], code=CONSTANT)
    )
    exact.open(1)
    first = exact.period(500)["requests"]
    second = exact.period(1_000)["requests"]
    then = exact.period(4_000, (1_000, DEREGISTERED, 0, 0, 0.0), (2_500, ENDED, 0, 0, 0.0))
    assert (then["served"], then["failed"]) == (first, second)
    assert exact.state.target_of[0] == -1


def test_a_hung_target_receives_requests_that_time_out() -> None:
    """No request of a hung task is answered; each fails after the timeout of 1 s."""
    exact = ExactStream(StreamSpec(constant(50.0), [TaskKind(scale=0.001)], code=CONSTANT, timeout_s=1.0))
    exact.open(1)
    sums = exact.period(5_000, (0, HUNG, 0, 0, 0.0))
    assert sums["served"] == sums["busy_s"] == 0.0
    assert sums["failed"] + sums["backlog"] == sums["requests"]
    assert 0 < sums["backlog"] < 100


def test_requests_in_service_share_the_cpu_of_their_task() -> None:
    """One vCPU, two workers, 1 s of CPU each, overloaded: each takes 2 s, and 1 request a second is answered."""
    exact = ExactStream(StreamSpec(constant(10.0), [TaskKind(workers=2)], code=CONSTANT, timeout_s=5.0))
    exact.open(1)
    exact.period(20_000)
    sums = exact.period(120_000)
    assert sums["busy_s"] == pytest.approx(100.0)
    assert sums["served"] == pytest.approx(100.0, abs=2.0)


def test_a_request_that_would_time_out_fails_at_once_without_cpu() -> None:
    """2/s on one task that answers 1/s: half fails; waits stay below the timeout, CPU is that of the others."""
    exact = ExactStream(StreamSpec(constant(2.0), code=CONSTANT, timeout_s=10.0))
    exact.open(1)
    exact.period(100_000)
    sums = exact.period(1_100_000)
    assert sums["busy_s"] == pytest.approx(1_000.0)
    assert sums["served"] + sums["failed"] == pytest.approx(sums["requests"], abs=2.0)
    assert 9.0 < sums["response_s"] / sums["served"] <= 11.0


def test_weights_split_the_stream_by_chance() -> None:
    """Of 10,000 requests a canary of weight 0.1 gets 1,000, give or take 4 standard deviations (30 each)."""
    spec = StreamSpec(constant(100.0), [TaskKind(scale=1e3), TaskKind(scale=1e3)], code=CONSTANT)
    exact = ExactStream(spec, slots=2, ring=1 << 14)
    opened = [(0, REGISTERED, 0, 0, 0.0), (0, REGISTERED, 1, 1, 0.0)]
    weights = [(0, REWEIGHTED, -1, 0, 0.1), (0, REWEIGHTED, -1, 1, 0.9)]
    sums = exact.period(100_000, *opened, *weights)
    assert shares(exact, 2)[0] == pytest.approx(0.1 * sums["requests"], abs=120)


def test_random_numbers_do_not_depend_on_the_cluster() -> None:
    """The same instants and service times on one task and on three: common random numbers."""
    one, three = (ExactStream(StreamSpec(constant(50.0), [TaskKind(scale=1e3)]), slots=3) for _ in range(2))
    one.open(1)
    three.open(3)
    assert one.period(2_000)["requests"] == three.period(1_999)["requests"] + three.period(2_000)["requests"]
    alone = outstanding(one, 0)
    dealt = [each for slot in range(3) for each in outstanding(three, slot)]
    assert sorted(each[1] for each in alone) == sorted(each[1] for each in dealt)
    assert sorted(each[3] for each in alone) == sorted(each[3] for each in dealt)
