"""Response curves: facts of queueing theory that the interpolated table must have."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustersim.policy.load import response_curves
from clustersim.policy.load.response_curves import (
    DEPTHS,
    LEAST_OUTSTANDING,
    ROUND_ROBIN,
    WEIGHTED_RANDOM,
    build_curve,
    curve_value,
)
from clustersim.scenario.catalog.response_times import read_response_times


def erlang_c(servers: int, utilization: float) -> float:
    """The plain twin: the textbook sum, in exact powers and factorials."""
    offered = servers * utilization
    last = offered**servers / math.factorial(servers) / (1.0 - utilization)
    return last / (sum(offered**k / math.factorial(k) for k in range(servers)) + last)


def curve(
    routing: int = ROUND_ROBIN,
    tasks: float = 1.0,
    vcpu: float = 1.0,
    service: float = 1.0,
    arrival: float = 1.0,
    quantiles: np.ndarray = DEPTHS,
) -> np.ndarray:
    """Return the curve of a backend; by default one task with Poisson arrivals and exponential CPU times."""
    found = np.zeros(response_curves.CURVE_SIZE)
    build_curve(read_response_times(), found, quantiles, routing, tasks, vcpu, service, arrival)
    return found


@pytest.mark.parametrize("servers", [1, 2, 3, 8, 30, 120])
@pytest.mark.parametrize("utilization", [0.05, 0.5, 0.8, 0.99])
def test_the_delay_probability_is_erlang_c(servers: int, utilization: float) -> None:
    """Against the textbook sum; with one server it is the utilisation itself."""
    exact = erlang_c(servers, utilization)
    assert response_curves.delay_probability(servers, utilization) == pytest.approx(
        exact, rel=1e-9, abs=1e-15
    )
    if servers == 1:
        assert exact == pytest.approx(utilization, rel=1e-12)


def test_the_delay_probability_is_stable_for_very_many_servers() -> None:
    """Halfin and Whitt (1981): with (1 - u) sqrt(c) = 1 the limit is 1 / (1 + Phi(1) / phi(1)) = 0.2234."""
    servers = 1_000_000
    value = response_curves.delay_probability(servers, 1.0 - 1.0 / math.sqrt(servers))
    assert value == pytest.approx(0.2234, abs=5e-4)
    assert response_curves.delay_probability(servers, 0.5) == 0.0
    assert response_curves.delay_probability(4, 1.0) == 1.0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.floats(0.0, 1.0), st.floats(0.01, 0.99))
def test_between_whole_servers_the_delay_probability_lies_between(
    whole: int, share: float, utilization: float
) -> None:
    """A mean of 3.4 tasks over a period must neither jump nor leave the range of 3 and 4."""
    low = response_curves.delay_probability(whole + 1, utilization)
    high = response_curves.delay_probability(whole, utilization)
    between = response_curves.mean_delay_probability(whole + share, utilization)
    assert low - 1e-12 <= between <= high + 1e-12


@pytest.mark.parametrize("service", [0.0, 0.5, 1.0, 4.0])
@pytest.mark.parametrize("utilization", [0.2, 0.5, 0.75, 0.9, 0.95])
def test_the_mean_of_one_task_does_not_depend_on_the_distribution(service: float, utilization: float) -> None:
    """M/G/1 processor sharing: 1 / (1 - utilisation), whatever the CPU times (within the 4 % of the simulation)."""
    congestion = 1.0 / (1.0 - utilization)
    assert curve_value(curve(service=service), 0, congestion) == pytest.approx(congestion, rel=0.04)


def test_an_idle_task_takes_the_cpu_time() -> None:
    """At a utilisation of 0 the quantiles are those of the given CPU times, not of the table's."""
    uniform = 2.0 * response_curves.LEVELS
    found = curve(service=1.0 / 3.0, quantiles=uniform)
    assert [curve_value(found, 1 + level, 1.0) for level in range(uniform.size)] == pytest.approx(
        uniform, rel=1e-6
    )


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([ROUND_ROBIN, LEAST_OUTSTANDING, WEIGHTED_RANDOM]),
    st.floats(0.1, 200.0),
    st.floats(0.25, 8.0),
    st.floats(0.0, 16.0),
    st.floats(0.0, 0.99),
)
def test_quantiles_rise_with_the_share_and_the_utilization(
    routing: int, tasks: float, vcpu: float, arrival: float, utilization: float
) -> None:
    """Wherever it is asked, at more than the table has too: times are finite, above 0 and in order (within 2 %)."""
    found = curve(routing, tasks, vcpu, 1.0, arrival)
    times = [curve_value(found, 1 + n, 1.0 / (1.0 - utilization)) for n in range(DEPTHS.size)]
    assert all(0.0 < time < math.inf for time in times)
    assert all(after >= 0.98 * before for before, after in pairwise(times))
    later = curve_value(found, 0, 1.0 / (1.0 - min(utilization + 0.01, 0.995)))
    assert later >= 0.98 * curve_value(found, 0, 1.0 / (1.0 - utilization))


def test_random_routing_is_one_task_with_less_bursty_arrivals() -> None:
    """Of a burstiness of 17, 1 + 16 / 16 is left to each of 16 tasks."""
    assert curve(WEIGHTED_RANDOM, 16.0, arrival=17.0) == pytest.approx(curve(tasks=1.0, arrival=2.0))


def test_a_mean_number_of_tasks_lies_between_its_neighbours() -> None:
    """A scale-out in the middle of a period must neither jump nor leave the range."""
    for tasks in (1.3, 3.0, 7.7, 40.0):
        below, between, above = (curve(tasks=each, arrival=4.0) for each in (tasks - 0.2, tasks, tasks + 0.2))
        assert np.all(between <= below + 1e-9) or np.all(between >= above - 1e-9)
        assert np.allclose(below, above, rtol=0.35)
