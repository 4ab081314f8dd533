"""Exact requests against queueing theory: mean waits within 1 %, inside a 99 % confidence interval.

The interval is that of batch means: twenty stretches of a run, long against the correlation of the queue. Waits
are response times less the time at work, which with one vCPU a worker is the CPU time used.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from clustersim.engine.random_streams import CONSTANT, EXPONENTIAL, LOGNORMAL
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING, ROUND_ROBIN, delay_probability
from tests.policy.load.exact_stream import ExactStream, StreamSpec, TaskKind, constant

pytestmark = pytest.mark.compiled  # a hundred thousand requests each

BATCHES = 20
STUDENT_99 = 2.861  # Student's t, 19 degrees of freedom, 99 % two-sided
WITHIN = 0.01


def mean_wait(requests: float, rate: float, tasks: int = 1, **spec: Any) -> tuple[float, float]:
    """The mean wait (s) of about so many requests, and half the width of its 99 % confidence interval."""
    exact = ExactStream(StreamSpec(constant(rate), **spec), slots=tasks)
    exact.open(tasks)
    step = round(1_000 * requests / rate / BATCHES)
    exact.period(step // 4)  # the queue fills up
    waits = []
    for batch in range(BATCHES):
        sums = exact.period(step // 4 + (batch + 1) * step)
        waits.append((sums["response_s"] - sums["busy_s"]) / sums["served"])
    return float(np.mean(waits)), STUDENT_99 * float(np.std(waits, ddof=1)) / math.sqrt(BATCHES)


def meets(result: tuple[float, float], theory: float) -> bool:
    """Return whether a mean is within 1 % of the theory, and the theory in the interval."""
    mean, half = result
    return abs(mean / theory - 1.0) < WITHIN and abs(mean - theory) <= half


def pollaczek_khinchine(rate: float, variance: float) -> float:
    """The mean wait of M/G/1 with a mean service time of 1 s: rate E[S^2] / 2 (1 - utilisation)."""
    return rate * (1.0 + variance) / (2.0 * (1.0 - rate))


@pytest.mark.parametrize("routing", [ROUND_ROBIN, LEAST_OUTSTANDING])
def test_one_task_is_m_m_1(routing: int) -> None:
    """Utilisation 0.7, service 1 s: rho / (1 - rho) = 2.333 s, with either routing algorithm."""
    assert meets(mean_wait(2e7, 0.7, routing=routing), 0.7 / 0.3)


def test_one_task_with_many_workers_is_m_m_c() -> None:
    """Four vCPUs at 80 %: the probability to wait is Erlang C, the wait then 1 / (4 - 3.2)."""
    kind = TaskKind(vcpu=4.0, workers=4)
    assert meets(mean_wait(2e7, 3.2, kinds=[kind]), delay_probability(4, 0.8) / 0.8)


def test_fixed_service_times_are_m_d_1() -> None:
    """Half the wait of M/M/1: 0.7 / 0.6 = 1.167 s."""
    assert meets(mean_wait(1e7, 0.7, code=CONSTANT), pollaczek_khinchine(0.7, 0.0))


def test_lognormal_service_times_are_m_g_1() -> None:
    """Sigma 0.8: the variance of a lognormal with mean 1 is exp(0.64) - 1 = 0.896; at 60 % the wait is 1.422 s."""
    spec = {"code": LOGNORMAL, "a": math.exp(-0.32), "b": 0.8}
    assert meets(mean_wait(2e7, 0.6, **spec), pollaczek_khinchine(0.6, math.expm1(0.64)))


def test_round_robin_among_four_is_erlang_arrivals_at_each() -> None:
    """Every fourth of a Poisson stream is E4/M/1.

    With s the root of s = (4 rho / (4 rho + 1 - s))^4, of four phases of rate 4 rho each, the wait is s / (1 - s).
    """
    s = 0.5
    for _ in range(200):
        s = (3.2 / (3.2 + 1.0 - s)) ** 4
    assert meets(mean_wait(2e7, 3.2, tasks=4), s / (1.0 - s))


def test_least_outstanding_lies_between_round_robin_and_one_queue() -> None:
    """A choice among queues cannot beat one queue for all, and knowing the queues beats taking turns."""
    spec = {"tasks": 4, "code": EXPONENTIAL}
    turns, _ = mean_wait(4e6, 3.2, **spec)
    least, _ = mean_wait(4e6, 3.2, **spec, routing=LEAST_OUTSTANDING)
    assert delay_probability(4, 0.8) / 0.8 < least < turns


def test_percentiles_of_m_m_1_are_exponential() -> None:
    """Response times are exponential with mean 1 / (1 - 0.7): the buckets cost 1.6 % at most, chance 1 %."""
    exact = ExactStream(StreamSpec(constant(0.7)), slots=1)
    exact.open(1)
    exact.period(round(4e6 / 0.7 * 1_000))
    for share in (0.5, 0.9, 0.99):
        assert exact.quantile(share) == pytest.approx(-math.log(1.0 - share) / 0.3, rel=0.02)
