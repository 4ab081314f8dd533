"""Exact requests, one by one: the kernels against a plain twin, and the rules of load balancing worked by hand."""

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
    CLOSED,
    GONE,
    HUNG,
    LEAST_OUTSTANDING,
    OPENED,
    ROUND_ROBIN,
    WEIGHED,
)
from tests.policy.load.exact_requests_twin import Twin
from tests.policy.load.exact_stream import Asked, Exact, Kind, Rates, constant

SLOTS = 5
Change = tuple[int, int, int, int, float]


@st.composite
def streams(draw: Any) -> Asked:
    """Any stream on one or two kinds of tasks."""
    times = [0, *sorted(draw(st.sets(st.integers(1, 2_999), max_size=2)))]
    rates = draw(st.lists(st.sampled_from([0.0, 5.0, 20.0]), min_size=len(times), max_size=len(times)))
    kind = st.builds(
        Kind,
        scale=st.sampled_from([0.05, 0.2, 1.0]),
        need=st.sampled_from([0.0, 0.3, 1.0, 1.5]),
        vcpu=st.sampled_from([0.5, 1.0, 2.0]),
        workers=st.integers(1, 4),
        failing=st.sampled_from([0.0, 0.4]),
    )
    code, a, b = draw(
        st.sampled_from(
            [(EXPONENTIAL, 1.0, 0.0), (CONSTANT, 0.5, 0.0), (LOGNORMAL, 0.7, 0.9), (EMPIRICAL, 0.0, 0.0)]
        )
    )
    return Asked(
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
def stories(draw: Any, servers: int) -> list[Change]:
    """What befalls the targets within four seconds, in order of time; a slot keeps its kind of task."""
    kinds = st.sampled_from([OPENED, OPENED, OPENED, CLOSED, HUNG, GONE, WEIGHED])
    found: list[Change] = [(0, OPENED, 0, 0, 0.0), (0, OPENED, 1, servers - 1, 0.0)]
    for at in sorted(draw(st.lists(st.integers(0, 4_000), max_size=12))):
        kind, slot = draw(kinds), draw(st.integers(0, SLOTS - 1))
        server = slot % servers
        weight = draw(st.sampled_from([BY_TARGETS, 0.0, 0.3, 1.0])) if kind == WEIGHED else 0.0
        found.append((at, kind, slot, server, weight))
    return found


def without_returns_of_the_hung(story: list[Change]) -> list[Change]:
    """A task that hung is not asked again in its life: the world knows no such recovery."""
    hung: set[int] = set()
    kept = []
    for change in story:
        _, kind, slot, _, _ = change
        if kind == GONE:
            hung.discard(slot)
        if slot in hung and kind in (OPENED, HUNG):
            continue
        if kind == HUNG:
            hung.add(slot)
        kept.append(change)
    return kept


def outstanding(exact: Exact, slot: int) -> list[tuple[float, ...]]:
    """(finish, arrival, start, work, number) of what is outstanding at a task."""
    row = exact.state.target_of[slot]
    if row < 0:
        return []
    target, ring = exact.state.targets[row], exact.state.rings[row]
    return sorted(tuple(ring[(target["head"] + n) % ring.size].tolist()) for n in range(target["count"]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_request_is_that_of_the_plain_twin(data: st.DataObject) -> None:
    """Who is asked, when it begins and ends and what it costs, after each millisecond with a request or a change."""
    asked = data.draw(streams())
    story = without_returns_of_the_hung(data.draw(stories(len(asked.kinds))))
    exact, twin = Exact(asked, SLOTS, ring=512), Twin(asked)
    now_ms = 0
    while now_ms < 5_000:
        begin_ms = now_ms
        now_ms = min(int(min(twin.next_arrival(5.0), 4.999) * 1_000) + 1, 5_000)
        now_ms = min([now_ms, *(at for at, *_ in story if at > begin_ms)])
        due = [change for change in story if begin_ms <= change[0] < now_ms]
        for at, kind, slot, server, weight in due:
            twin.go(at / 1_000)
            twin.change(at / 1_000, kind, slot, server, weight)
        twin.go(now_ms / 1_000)
        sums = exact.period(now_ms, *due)
        expected = twin.sums(begin_ms / 1_000, now_ms / 1_000)
        assert {name: sums[name] for name in expected} == pytest.approx(expected, abs=1e-9)
        for slot in range(SLOTS):
            task = twin.tasks.get(slot)
            waiting = task.outstanding(now_ms / 1_000) if task else []
            assert outstanding(exact, slot) == sorted(
                (each.finish_s, each.arrival_s, each.start_s, each.work_s, each.number) for each in waiting
            )


# --- by hand -----------------------------------------------------------------------------------------------


def shares(exact: Exact, slots: int) -> list[int]:
    """How many requests each task has got, where nothing has been answered yet."""
    return [len(outstanding(exact, slot)) for slot in range(slots)]


def test_round_robin_takes_turns() -> None:
    """Service times of an hour: what each task has got differs by one at most."""
    exact = Exact(Asked(constant(100.0), [Kind(scale=3_600.0)], code=CONSTANT), slots=3)
    exact.open(3)
    sums = exact.period(10_000)
    assert sum(shares(exact, 3)) == sums["requests"] == pytest.approx(1_000, rel=0.1)
    assert max(shares(exact, 3)) - min(shares(exact, 3)) <= 1


def test_least_outstanding_fills_up_who_has_least() -> None:
    """A task that joins late gets all requests until it has as many as the others."""
    exact = Exact(Asked(constant(100.0), [Kind(scale=3_600.0)], code=CONSTANT, routing=LEAST_OUTSTANDING))
    exact.open(2)
    exact.period(4_000)
    before = shares(exact, 3)
    exact.period(5_000, (4_000, OPENED, 2, 0, 0.0))
    assert shares(exact, 2) == before[:2]
    assert 0 < shares(exact, 3)[2] < min(before[:2])
    exact.period(30_000)
    assert max(shares(exact, 3)) - min(shares(exact, 3)) <= 1


def test_slow_start_gives_a_linearly_growing_share() -> None:
    """A new target's share of the other's is x = age / 40 s, then 1.

    Of a constant stream the other gets 1 / (1 + x), the new one x / (1 + x); over the part a to b of the slow start
    they get ln((1 + b) / (1 + a)) and b - a less that.
    """
    asked = Asked(constant(1_000.0), [Kind(scale=1e3)], code=CONSTANT, slow_start_s=40.0)
    exact = Exact(asked, slots=2, ring=1 << 16)
    exact.open(1)
    exact.period(10_000)
    joins = [(10_000, OPENED, 1, 0, 0.0)]
    for end in (0.25, 0.5, 0.75, 1.0):
        seen = shares(exact, 2)
        exact.period(round(10_000 + 40_000 * end), *joins)
        joins = []
        mine, others = np.subtract(shares(exact, 2)[::-1], seen[::-1])
        full = math.log((1.0 + end) / (0.75 + end))
        assert mine / others == pytest.approx((0.25 - full) / full, rel=0.01)
    seen = shares(exact, 2)
    exact.period(60_000)
    mine, others = np.subtract(shares(exact, 2), seen)
    assert abs(mine - others) <= 1


def test_targets_of_one_instant_do_not_start_slowly() -> None:
    """ELB: there must be a healthy target that is not in slow start."""
    asked = Asked(constant(100.0), [Kind(scale=1e3)], code=CONSTANT, slow_start_s=900.0)
    exact = Exact(asked, slots=2)
    exact.open(2)
    exact.period(1_000)
    assert abs(shares(exact, 2)[0] - shares(exact, 2)[1]) <= 1


def test_a_draining_target_answers_what_it_has() -> None:
    """Every request takes 2 s of a task with room for all: those of the first second are answered in the third."""
    exact = Exact(Asked(constant(50.0), [Kind(scale=2.0, vcpu=100.0, workers=100)], code=CONSTANT))
    exact.open(1)
    first = exact.period(1_000)
    assert first["backlog"] == first["requests"]
    then = exact.period(3_000, (1_000, CLOSED, 0, 0, 0.0))
    assert then["served"] == first["requests"]
    assert (then["failed"], then["backlog"]) == (0.0, 0.0)
    assert then["refused"] == then["requests"]


def test_what_a_task_has_when_it_ends_is_lost() -> None:
    """The same, but it ends after 2.5 s: what came in the second half second is not answered."""
    exact = Exact(Asked(constant(50.0), [Kind(scale=2.0, vcpu=100.0, workers=100)], code=CONSTANT))
    exact.open(1)
    first = exact.period(500)["requests"]
    second = exact.period(1_000)["requests"]
    then = exact.period(4_000, (1_000, CLOSED, 0, 0, 0.0), (2_500, GONE, 0, 0, 0.0))
    assert (then["served"], then["failed"]) == (first, second)
    assert exact.state.target_of[0] == -1


def test_a_hung_target_is_asked_and_fails_by_time_out() -> None:
    """Nothing of what a hung task gets is answered; after the timeout of 1 s each has failed."""
    exact = Exact(Asked(constant(50.0), [Kind(scale=0.001)], code=CONSTANT, timeout_s=1.0))
    exact.open(1)
    sums = exact.period(5_000, (0, HUNG, 0, 0, 0.0))
    assert sums["served"] == sums["busy_s"] == 0.0
    assert sums["failed"] + sums["backlog"] == sums["requests"]
    assert 0 < sums["backlog"] < 100


def test_requests_at_work_share_the_cpu_of_their_task() -> None:
    """One vCPU, two workers, 1 s of CPU each, overloaded: each takes 2 s, and 1 request a second is answered."""
    exact = Exact(Asked(constant(10.0), [Kind(workers=2)], code=CONSTANT, timeout_s=5.0))
    exact.open(1)
    exact.period(20_000)
    sums = exact.period(120_000)
    assert sums["busy_s"] == pytest.approx(100.0)
    assert sums["served"] == pytest.approx(100.0, abs=2.0)


def test_who_would_wait_too_long_fails_at_once_and_costs_nothing() -> None:
    """2/s on one task that answers 1/s: half fails; waits stay below the timeout, CPU is that of the others."""
    exact = Exact(Asked(constant(2.0), code=CONSTANT, timeout_s=10.0))
    exact.open(1)
    exact.period(100_000)
    sums = exact.period(1_100_000)
    assert sums["busy_s"] == pytest.approx(1_000.0)
    assert sums["served"] + sums["failed"] == pytest.approx(sums["requests"], abs=2.0)
    assert 9.0 < sums["response_s"] / sums["served"] <= 11.0


def test_weights_split_the_stream_by_chance() -> None:
    """Of 10,000 requests a canary of weight 0.1 gets 1,000, give or take 4 standard deviations (30 each)."""
    asked = Asked(constant(100.0), [Kind(scale=1e3), Kind(scale=1e3)], code=CONSTANT)
    exact = Exact(asked, slots=2, ring=1 << 14)
    opened = [(0, OPENED, 0, 0, 0.0), (0, OPENED, 1, 1, 0.0)]
    weighed = [(0, WEIGHED, -1, 0, 0.1), (0, WEIGHED, -1, 1, 0.9)]
    sums = exact.period(100_000, *opened, *weighed)
    assert shares(exact, 2)[0] == pytest.approx(0.1 * sums["requests"], abs=120)


def test_luck_does_not_depend_on_the_cluster() -> None:
    """The same instants and service times on one task and on three: common random numbers."""
    one, three = (Exact(Asked(constant(50.0), [Kind(scale=1e3)]), slots=3) for _ in range(2))
    one.open(1)
    three.open(3)
    assert one.period(2_000)["requests"] == three.period(1_999)["requests"] + three.period(2_000)["requests"]
    alone = outstanding(one, 0)
    dealt = [each for slot in range(3) for each in outstanding(three, slot)]
    assert sorted(each[1] for each in alone) == sorted(each[1] for each in dealt)
    assert sorted(each[3] for each in alone) == sorted(each[3] for each in dealt)
