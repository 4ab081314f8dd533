"""Response times: M/M/c in closed form, its limit in a finite period, histograms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clustersim.policy.load import response_times


def erlang_c(servers: int, utilization: float) -> float:
    """The plain twin: the textbook sum, in exact powers and factorials."""
    offered = servers * utilization
    last = offered**servers / math.factorial(servers) / (1.0 - utilization)
    return last / (sum(offered**k / math.factorial(k) for k in range(servers)) + last)


def mean_of(survival: np.ndarray, seconds: np.ndarray) -> float:
    return float(np.trapezoid(survival, seconds))


@pytest.mark.parametrize("servers", [1, 2, 3, 8, 30, 120])
@pytest.mark.parametrize("utilization", [0.05, 0.5, 0.8, 0.99])
def test_the_delay_probability_is_erlang_c(servers: int, utilization: float) -> None:
    """Against the textbook sum; with one server it is the utilisation itself."""
    exact = erlang_c(servers, utilization)
    assert response_times.delay_probability(servers, utilization) == pytest.approx(exact, rel=1e-9, abs=1e-15)
    if servers == 1:
        assert exact == pytest.approx(utilization, rel=1e-12)


def test_the_delay_probability_is_stable_for_very_many_servers() -> None:
    """Halfin and Whitt (1981): with (1 - u) sqrt(c) = 1 the limit is 1 / (1 + Phi(1) / phi(1)) = 0.2234."""
    servers = 1_000_000
    value = response_times.delay_probability(servers, 1.0 - 1.0 / math.sqrt(servers))
    assert value == pytest.approx(0.2234, abs=5e-4)
    assert response_times.delay_probability(servers, 0.5) == 0.0
    assert response_times.delay_probability(4, 1.0) == 1.0


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.floats(0.0, 1.0), st.floats(0.01, 0.99))
def test_between_whole_servers_the_delay_probability_lies_between(
    whole: int, share: float, utilization: float
) -> None:
    """A mean of 3.4 tasks over a period must neither jump nor leave the range of 3 and 4."""
    low = response_times.delay_probability(whole + 1, utilization)
    high = response_times.delay_probability(whole, utilization)
    between = response_times.mean_delay_probability(whole + share, utilization)
    assert low - 1e-12 <= between <= high + 1e-12


@pytest.mark.parametrize(("servers", "utilization"), [(1, 0.7), (4, 0.8), (16, 0.9), (3, 2.0 / 3.0)])
def test_the_mean_response_is_the_closed_form(servers: int, utilization: float) -> None:
    """The survival integrates to C / (c mu - lambda) + 1 / mu.

    C = 3 at 2/3 has equal rates, a removable pole.
    """
    rate = 40.0
    drain = servers * rate * (1.0 - utilization)
    delayed = response_times.delay_probability(servers, utilization)
    seconds = np.linspace(0.0, 40.0 / min(rate, drain), 400_001)
    curve = np.array([response_times.response_survival(t, delayed, rate, drain) for t in seconds[::40]])
    exact = delayed / drain + 1.0 / rate
    assert mean_of(curve, seconds[::40]) == pytest.approx(exact, rel=1e-4)


def test_one_server_answers_in_an_exponential_time() -> None:
    """M/M/1: the response is exponential with rate mu - lambda; its quantiles are logarithms."""
    rate, utilization = 40.0, 0.7
    drain = rate * (1.0 - utilization)
    delayed = response_times.delay_probability(1, utilization)
    for share in (0.5, 0.9, 0.99):
        exact = -math.log(1.0 - share) / drain
        assert response_times.response_quantile(share, delayed, rate, drain) == pytest.approx(exact, rel=1e-9)
    for seconds in (0.0, 0.01, 0.3):
        exact = math.exp(-drain * seconds)
        assert response_times.response_survival(seconds, delayed, rate, drain) == pytest.approx(
            exact, rel=1e-12
        )


@settings(max_examples=200, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.01, 1e4), st.floats(1e-6, 1e6), st.floats(0.01, 0.9999))
def test_a_quantile_is_the_inverse_of_the_survival(
    delayed: float, service_rate: float, drain_rate: float, share: float
) -> None:
    """Whatever the rates, however far apart: P(response > quantile) is what is beyond."""
    seconds = response_times.response_quantile(share, delayed, service_rate, drain_rate)
    beyond = response_times.response_survival(seconds, delayed, service_rate, drain_rate)
    assert beyond == pytest.approx(1.0 - share, rel=1e-6)


def test_the_approximate_queue_is_exact_for_one_server_and_close_for_more() -> None:
    """M/M/1: u^2 / (1 - u); for more, within 10 % of Erlang C u / (1 - u) where the queue matters."""
    assert response_times.mean_queue_length(1.0, 0.7) == pytest.approx(0.49 / 0.3, rel=1e-12)
    for servers in (2, 8, 32):
        exact = erlang_c(servers, 0.95) * 0.95 / 0.05
        assert response_times.mean_queue_length(float(servers), 0.95) == pytest.approx(exact, rel=0.1)


@settings(max_examples=200, deadline=None)
@given(st.floats(1.0, 500.0), st.floats(0.001, 3.0), st.floats(0.5, 1e9))
def test_the_sustained_utilization_puts_the_excess_into_the_queue(
    servers: float, utilization: float, completions: float
) -> None:
    """Kimber and Hollis.

    What is not worked off in the period is the queue at its end; below 1, never above.
    """
    found = response_times.sustained_utilization(servers, utilization, completions)
    assert 0.0 <= found < 1.0
    assert found <= utilization + 1e-12
    queue = response_times.mean_queue_length(servers, found) / completions
    assert found + queue == pytest.approx(utilization, rel=1e-4)


def test_saturation_queues_by_the_square_root_of_the_period() -> None:
    """At u = 1 and one server.

    1 - u' = 1 / (sqrt(n) + 1) up to a percent; 10,000 completions queue about 99.
    """
    found = response_times.sustained_utilization(1.0, 1.0, 10_000.0)
    assert response_times.mean_queue_length(1.0, found) == pytest.approx(99.0, rel=0.02)


def test_far_from_saturation_nothing_is_cut() -> None:
    """A tenth busy for an hour: the stationary queue is there at once."""
    assert response_times.sustained_utilization(8.0, 0.1, 1e6) == pytest.approx(0.1, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(st.floats(0.0, 1.0), st.floats(1.0, 1e3), st.floats(0.1, 1e3), st.floats(0.1, 1e6))
def test_a_histogram_loses_no_request_and_finds_the_quantiles(
    delayed: float, service_rate: float, drain_rate: float, weight: float
) -> None:
    """Buckets are 9 % wide; read with interpolation, p50 and p99 are within 3 %."""
    histogram = np.zeros(response_times.BUCKETS)
    response_times.add_stationary_queue(histogram, weight, delayed, service_rate, drain_rate)
    assert histogram.sum() == pytest.approx(weight, rel=1e-9)
    assert np.all(histogram >= 0.0)
    for share in (0.5, 0.99):
        exact = response_times.response_quantile(share, delayed, service_rate, drain_rate)
        assert response_times.histogram_quantile(histogram, share) == pytest.approx(exact, rel=0.03)


def test_a_ramp_of_delays_is_spread_evenly() -> None:
    """Delays from 1 s to 3 s and no service time: the median is 2 s, a tenth is below 1.2 s."""
    for ends in ((1.0, 3.0), (3.0, 1.0)):
        histogram = np.zeros(response_times.BUCKETS)
        response_times.add_backlog_ramp(histogram, 1_000.0, *ends, 0.0)
        assert histogram.sum() == pytest.approx(1_000.0, rel=1e-12)
        assert response_times.histogram_quantile(histogram, 0.5) == pytest.approx(2.0, rel=0.02)
        assert response_times.histogram_quantile(histogram, 0.1) == pytest.approx(1.2, rel=0.02)


def test_a_fixed_delay_adds_the_service_time() -> None:
    """Delay 10 s at the timeout, service exponential with mean 1 s: the median is 10 s + ln 2."""
    histogram = np.zeros(response_times.BUCKETS)
    response_times.add_backlog_ramp(histogram, 5.0, 10.0, 10.0, 1.0)
    assert response_times.histogram_quantile(histogram, 0.5) == pytest.approx(10.693, rel=0.02)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 50.0), st.floats(0.0, 50.0), st.just(0.0) | st.floats(1e-3, 2.0))
@example(0.0, 2.7e-19, 1.0)
@example(0.5, 0.5, 0.0)
@example(4.0, 4.0, 1.0)
def test_a_ramp_equals_a_plain_sum(start: float, end: float, service: float) -> None:
    """Against 2,000 evenly spaced delays, each followed by an exponential service time."""
    histogram = np.zeros(response_times.BUCKETS)
    response_times.add_backlog_ramp(histogram, 1.0, start, end, service)
    delays = start + (end - start) * (np.arange(2_000) + 0.5) / 2_000
    for edge in (0.5, 4.0, 32.0):
        late = edge - delays
        share = np.where(late < 0.0, 0.0, 1.0 - np.exp(-np.maximum(late, 0.0) / service) if service else 1.0)
        below = histogram[: int(np.searchsorted(response_times.EDGES_S, edge * (1 + 1e-9)))].sum()
        assert below == pytest.approx(float(share.mean()), abs=2e-3)


def test_an_empty_histogram_has_no_quantile() -> None:
    """No request, no response time: null in the results."""
    assert math.isnan(response_times.histogram_quantile(np.zeros(response_times.BUCKETS), 0.5))
