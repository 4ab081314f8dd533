"""Exact requests that share the CPU of their task: a plain twin, queueing theory, and rules in worked examples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.engine.random_streams import CONSTANT, EXPONENTIAL, LOGNORMAL, sample, uniform
from clustersim.policy.load.exact_tables import DEREGISTERED, ENDED, HUNG
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING, ROUND_ROBIN
from tests.policy.load.exact_stream import KEYS, ExactStream, StreamSpec, TaskKind, constant


def stream(rate: float, kind: TaskKind | None = None, **spec: Any) -> ExactStream:
    """A stream on tasks without a limit; by default of one vCPU, with CPU times of 1 s on average."""
    shared = kind or TaskKind(workers=0)
    return ExactStream(StreamSpec(constant(rate), [shared], **spec), slots=4, ring=1 << 13)


# --- the plain twin ------------------------------------------------------------------------------------------------


def twin_ends(spec: StreamSpec, until_s: float) -> list[tuple[float, float, bool]]:
    """Return (arrival, end, whether it is answered) of the requests of one task, by steps from event to event."""
    kind, rate = spec.kinds[0], float(spec.rates.rates[0])
    arrivals, at_s, number = [], 0.0, 0
    while at_s < until_s:
        at_s += -math.log(float(uniform(KEYS["arrival_key"] + 16 * spec.seed, 0, number))) / rate
        arrivals.append(at_s)
        number += 1
    left: dict[int, float] = {}
    ends: dict[int, tuple[float, bool]] = {}
    now, pending = 0.0, 0
    while pending < len(arrivals) or left:
        pace = min(1.0, kind.vcpu / len(left)) if left else 1.0
        arrives = arrivals[pending] if pending < len(arrivals) else math.inf
        done = now + min(left.values(), default=math.inf) / pace
        late = min((arrivals[each] + spec.timeout_s for each in left), default=math.inf)
        at = min(arrives, done, late)
        left = {each: work - (at - now) * pace for each, work in left.items()}
        now = at
        if at == done:
            first = min(left, key=lambda each: left[each])
            del left[first]
            alone = drawn(spec, first) * kind.scale
            end = now + max(alone - alone * kind.need / min(kind.vcpu, 1.0), 0.0)
            limit = arrivals[first] + spec.timeout_s
            ends[first] = (min(end, limit), end <= limit)
        elif at == late:
            gone = next(each for each in left if arrivals[each] + spec.timeout_s == late)
            del left[gone]
            ends[gone] = (now, False)
        else:
            left[pending] = drawn(spec, pending) * kind.scale * kind.need
            pending += 1
    return [(arrivals[each], *ends[each]) for each in sorted(ends)]


def drawn(spec: StreamSpec, number: int) -> float:
    u = float(uniform(KEYS["service_key"] + 16 * spec.seed, 0, number))
    return float(sample(spec.code, spec.a, spec.b, np.zeros(1), u))


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    st.sampled_from([1.0, 0.3]),
    st.sampled_from([(EXPONENTIAL, 1.0, 0.0), (CONSTANT, 1.0, 0.0), (LOGNORMAL, 0.7, 0.9)]),
    st.sampled_from([2.0, 6.0, 1e6]),
    st.integers(0, 1_000),
)
def test_every_request_equals_that_of_the_plain_twin(
    vcpu: float, need: float, law: tuple[int, float, float], timeout_s: float, seed: int
) -> None:
    """Answered and failed, and the sums of response times, of each of ten periods of 3 s."""
    code, a, b = law
    kind = TaskKind(workers=0, vcpu=vcpu, need=need)
    exact = stream(1.2 * vcpu / need, kind, code=code, a=a, b=b, timeout_s=timeout_s, seed=seed)
    expected = twin_ends(exact.spec, 33.0)
    exact.open(1)
    for period in range(10):
        sums = exact.period(3_000 * (period + 1))
        ended = [each for each in expected if 3.0 * period < each[1] <= 3.0 * (period + 1)]
        assert sums["served"] == sum(answered for _, _, answered in ended)
        assert sums["failed"] == sum(not answered for _, _, answered in ended)
        assert sums["response_s"] == pytest.approx(sum(end - at for at, end, good in ended if good), abs=1e-6)
        inside = [max(0.0, min(end, 3.0 * period + 3.0) - max(at, 3.0 * period)) for at, end, _ in expected]
        assert sums["in_system_s"] == pytest.approx(sum(inside), abs=1e-6)


# --- queueing theory ---------------------------------------------------------------------------------------------


@pytest.mark.compiled
@pytest.mark.parametrize(
    "law", [(EXPONENTIAL, 1.0, 0.0), (CONSTANT, 1.0, 0.0), (LOGNORMAL, math.exp(-0.32), 0.8)]
)
def test_the_mean_response_of_one_task_does_not_depend_on_the_distribution(
    law: tuple[int, float, float],
) -> None:
    """M/G/1 processor sharing at 70 %: 1 / 0.3 s, within 2 %."""
    code, a, b = law
    exact = stream(0.7, code=code, a=a, b=b)
    exact.open(1)
    exact.period(10_000_000)
    sums = exact.period(2_000_000_000)
    assert sums["response_s"] / sums["served"] == pytest.approx(1.0 / 0.3, rel=0.02)
    assert sums["busy_s"] / sums["served"] == pytest.approx(1.0, rel=0.01)


@pytest.mark.compiled
@pytest.mark.parametrize(("routing", "p99"), [(ROUND_ROBIN, 20.8), (LEAST_OUTSTANDING, 6.04)])
def test_sixteen_tasks_at_80_percent(routing: int, p99: float) -> None:
    """Check values: 1.04 s and 0.302 s at 50 ms of CPU."""
    spec = StreamSpec(constant(12.8), [TaskKind(workers=0)], routing=routing)
    exact = ExactStream(spec, slots=16, ring=512)
    exact.open(16)
    exact.period(1_000_000)
    exact.state.histograms[:] = 0.0
    exact.period(100_000_000)
    assert exact.quantile(0.99) == pytest.approx(p99, rel=0.05)


# --- worked examples ---------------------------------------------------------------------------------------------


def test_requests_share_the_cpu_of_their_task() -> None:
    """Overloaded ten times: one request's worth of CPU a second is used, and nothing waits without CPU."""
    exact = stream(10.0, code=CONSTANT, timeout_s=1e6)
    exact.open(1)
    sums = exact.period(20_000)
    assert sums["busy_s"] == pytest.approx(20.0, abs=0.5)
    assert sums["served"] + sums["backlog"] == sums["requests"]


def test_constant_cpu_times_in_overload_answer_nothing() -> None:
    """Ten requests a second of 1 s each, timeout 5 s: each has had 0.1 s or so when it fails, and the CPU was busy."""
    exact = stream(10.0, code=CONSTANT, timeout_s=5.0)
    exact.open(1)
    exact.period(60_000)
    sums = exact.period(160_000)
    assert sums["served"] == 0.0
    assert sums["busy_s"] == pytest.approx(100.0, rel=1e-6)
    assert sums["failed"] == pytest.approx(sums["requests"], rel=0.05)


def test_a_delay_follows_the_cpu_time() -> None:
    """3 s of service with 1 s of CPU: alone a request takes 3 s, and uses 1 s."""
    exact = stream(0.001, TaskKind(scale=3.0, need=1.0 / 3.0, workers=0), code=CONSTANT)
    exact.open(1)
    sums = exact.period(20_000_000)
    assert sums["response_s"] / sums["served"] == pytest.approx(3.0, rel=1e-3)
    assert sums["busy_s"] / sums["served"] == pytest.approx(1.0, rel=1e-3)
    assert sums["in_system_s"] == pytest.approx(sums["response_s"], rel=0.01)


def test_requests_without_cpu_are_only_delayed() -> None:
    """A thousand at a time, each 2 s."""
    exact = stream(500.0, TaskKind(scale=2.0, need=0.0, workers=0), code=CONSTANT)
    exact.open(1)
    sums = exact.period(10_000)
    assert sums["response_s"] / sums["served"] == pytest.approx(2.0)
    assert sums["busy_s"] == 0.0
    assert sums["backlog"] == pytest.approx(1_000, rel=0.2)


def test_a_draining_target_completes_what_it_has_and_an_ended_one_loses_it() -> None:
    """Requests of 2 s on a hundred vCPUs: those of the first second are answered, or fail with their task."""
    kind = TaskKind(scale=2.0, vcpu=100.0, workers=0)
    for change, answered in ((DEREGISTERED, True), (ENDED, False)):
        exact = stream(20.0, kind, code=CONSTANT)
        exact.open(1)
        first = exact.period(1_000)
        then = exact.period(5_000, (1_000, change, 0, 0, 0.0))
        assert then["served" if answered else "failed"] == first["requests"]
        assert (then["backlog"], then["refused"]) == (0.0, then["requests"])


def test_requests_of_a_task_that_hangs_time_out() -> None:
    """Those on the CPU too: 20/s, timeout 1 s, nothing is answered after the hang."""
    exact = stream(20.0, TaskKind(scale=2.0, vcpu=100.0, workers=0), code=CONSTANT, timeout_s=3.0)
    exact.open(1)
    first = exact.period(1_000)
    then = exact.period(5_000, (1_000, HUNG, 0, 0, 0.0))
    assert (then["served"], then["busy_s"]) == (0.0, 0.0)
    assert then["failed"] + then["backlog"] == first["requests"] + then["requests"]
    assert then["failed"] >= first["requests"]
