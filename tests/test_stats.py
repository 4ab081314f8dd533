"""Statistics of replications: each formula against worked examples or published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clustersim import stats

FIVE = [1.0, 2.0, 3.0, 4.0, 5.0]  # mean 3, standard deviation sqrt(2.5), standard error sqrt(0.5)
T_4 = 2.776445  # t quantile at 0.975 with 4 degrees of freedom, as tables print it


def generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def test_t_interval_is_the_textbooks() -> None:
    found = stats.mean_interval(FIVE)
    assert (found.mean, found.n, found.method) == (3.0, 5, "t")
    assert found.half_width == pytest.approx(T_4 * math.sqrt(0.5), rel=1e-6)
    assert found.high - found.mean == pytest.approx(found.mean - found.low)


def test_one_value_has_no_interval_and_equal_values_a_point() -> None:
    """A single run has no spread: no limits are better than limits of width 0."""
    for method in ("t", "bca"):
        assert math.isnan(stats.mean_interval([3.0], method=method).low)
        same = stats.mean_interval([3.0, 3.0, 3.0], method=method)
        assert (same.low, same.high) == (3.0, 3.0)


@pytest.mark.parametrize("wrong", [[], [1.0, math.nan], [math.inf, 1.0], [[1.0], [2.0]]])
def test_missing_values_are_refused(wrong: list[float]) -> None:
    """A NaN that goes through would make every figure NaN, far from where it came from."""
    with pytest.raises(ValueError, match="value"):
        stats.mean_interval(wrong)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 95 % intervals of 400 samples, 95 % hold the mean: within three standard errors, 3.3 %."""
    samples = generator(1).normal(10.0, 2.0, (400, 8))
    held = sum(found.low <= 10.0 <= found.high for found in map(stats.mean_interval, samples))
    assert abs(held / 400 - 0.95) < 0.033


def test_bootstrap_leans_to_the_long_tail() -> None:
    """Waiting times are skewed: BCa reaches further up than down, and the same seed gives the same limits."""
    waits = generator(2).exponential(60.0, 30)
    found = stats.mean_interval(waits, method="bca")
    assert found.high - found.mean > 1.1 * (found.mean - found.low)
    assert stats.mean_interval(waits, method="bca") == found
    assert stats.mean_interval(waits, method="bca", seed=1) != found


def test_pairing_removes_what_both_share() -> None:
    """The differences are 1, 2, 1, 2, 1: mean 1.4, s = sqrt(0.3); the spread of the days plays no part."""
    base = np.array([10.0, 50.0, 20.0, 90.0, 40.0])
    values = np.add(base, [1, 2, 1, 2, 1])
    paired = stats.paired_difference(values, base)
    assert paired.mean == pytest.approx(1.4)
    assert paired.half_width == pytest.approx(T_4 * math.sqrt(0.3 / 5), rel=1e-6)
    assert paired.excludes_zero
    assert paired.p_value == pytest.approx(0.0046, abs=2e-4)  # t = 1.4 / sqrt(0.06) = 5.7155, 4 degrees
    unpaired = stats.unpaired_difference(values, base)
    assert unpaired.mean == pytest.approx(1.4)
    assert not unpaired.excludes_zero
    assert unpaired.width > 50 * paired.width


def test_welch_is_the_textbooks() -> None:
    """Variances 2.5 / 5 and 10 / 5 add up to 2.5; degrees (2.5^2) / (0.5^2 / 4 + 2^2 / 4) = 5.882."""
    found = stats.unpaired_difference([2 * value for value in FIVE], FIVE)
    assert found.mean == pytest.approx(3.0)
    assert found.half_width == pytest.approx(2.4588 * math.sqrt(2.5), rel=1e-3)  # t at 5.882 degrees


def test_pairs_need_partners() -> None:
    with pytest.raises(ValueError, match="3 values cannot be paired with 2"):
        stats.paired_difference([1.0, 2.0, 3.0], [1.0, 2.0])


def test_no_difference_at_all() -> None:
    assert stats.paired_difference(FIVE, FIVE).p_value == 1.0
    shifted = stats.paired_difference([value + 1 for value in FIVE], FIVE)
    assert (shifted.low, shifted.high, shifted.p_value) == (1.0, 1.0, 0.0)


def test_dunnett_is_the_published_example() -> None:
    """Blood counts of Dunnett 1955: drug A 0.65 (-1.25, 2.55) above the control, drug B 2.63 (0.85, 4.40)."""
    control = [7.40, 8.50, 7.20, 8.24, 9.84, 8.32]
    drugs = {"A": [9.76, 8.80, 7.68, 9.36], "B": [12.80, 9.68, 12.16, 9.20, 10.55]}
    found = stats.compare_with_control(drugs, control)
    assert found["A"].mean == pytest.approx(0.65, abs=0.005)
    assert (found["A"].low, found["A"].high) == pytest.approx((-1.25, 2.55), abs=0.02)
    assert not found["A"].excludes_zero
    assert found["B"].mean == pytest.approx(2.63, abs=0.005)
    assert (found["B"].low, found["B"].high) == pytest.approx((0.85, 4.40), abs=0.02)
    assert found["B"].excludes_zero
    assert stats.compare_with_control(drugs, control) == found, "the integration is seeded"


def test_many_comparisons_are_wider_than_one() -> None:
    """The more options, the more easily one looks good by chance."""
    samples = generator(3).normal(0.0, 1.0, (6, 10))
    alone = stats.compare_with_control({"a": samples[1]}, samples[0])["a"]
    family = {str(number): samples[number] for number in range(1, 6)}
    assert stats.compare_with_control(family, samples[0])["1"].width > 1.1 * alone.width


def test_comparisons_that_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="at least two values"):
        stats.compare_with_control({"a": [1.0]}, [1.0, 2.0])
    with pytest.raises(ValueError, match="no group varies"):
        stats.compare_with_control({"a": [1.0, 1.0]}, [2.0, 2.0])


def test_replications_for_a_width() -> None:
    """s = sqrt(2.5): 2 t s / sqrt(n) <= 2 holds first at n = 13 (1.911), at 12 it is 2.009."""
    assert stats.replications_for(FIVE, 2.0) == 13
    assert stats.replications_for(FIVE, 2.0 / 3.0, relative=True) == 13  # of the mean of 3
    assert stats.replications_for(FIVE, 100.0) == 5, "what is there is there"
    assert stats.replications_for([2.0, 2.0], 0.001) == 2


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan])
def test_a_width_that_is_not_above_0(width: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        stats.replications_for(FIVE, width)
    with pytest.raises(ValueError, match="spread"):
        stats.replications_for([1.0], 1.0)


def test_warm_up_of_a_step_is_the_step() -> None:
    """50 observations at 10, then 200 about 0: all of the 50 go, and nothing of the rest."""
    series = np.concatenate([np.full(50, 10.0), np.tile([1.0, -1.0, 0.0, 2.0, -2.0], 40)])
    assert stats.mser5(series) == stats.WarmUp(50, settled=True)


def test_warm_up_of_a_decay() -> None:
    """10 e^(-t / 20) under noise of 1: what is left is below the noise, and most of the series stays."""
    times = np.arange(600)
    series = 5.0 + 10.0 * np.exp(-times / 20.0) + generator(4).normal(0.0, 1.0, 600)
    found = stats.mser5(series)
    assert 30 <= found.observations <= 120
    assert found.settled


def test_warm_up_that_never_ends_is_reported() -> None:
    """A rising line has no steady part: the cut runs to its bound."""
    assert not stats.mser5(np.arange(200.0)).settled
    assert stats.mser5(np.tile(FIVE, 20)) == stats.WarmUp(0, settled=True)
    with pytest.raises(ValueError, match="too few"):
        stats.mser5([1.0] * 9)


def test_sobol_indices_of_a_sum() -> None:
    """y = 4 a + 3 b, a and b uniform: variances 16 : 9, so the shares are 0.64 and 0.36, nothing together."""
    from scipy.stats import qmc

    sample = qmc.Sobol(4, rng=generator(5)).random(256)
    first, second = sample[:, :2], sample[:, 2:]

    def measure(points: np.ndarray) -> np.ndarray:
        return points @ [4.0, 3.0]

    mixed = [first.copy(), first.copy()]
    for number, points in enumerate(mixed):
        points[:, number] = second[:, number]
    a, b = stats.sensitivity(measure(first), measure(second), [measure(points) for points in mixed])
    for found, share in ((a, 0.64), (b, 0.36)):
        assert found.first_order.mean == pytest.approx(share, abs=0.02)
        assert found.total_order.mean == pytest.approx(share, abs=0.02)
        assert found.total_order.low <= share <= found.total_order.high


def test_one_input_explains_everything() -> None:
    """Whatever the measure does with it."""
    first, second = generator(6).random(64), generator(7).random(64)
    (only,) = stats.sensitivity(first**2, second**2, [second**2])
    assert only.first_order.mean == pytest.approx(1.0, abs=0.3)
    assert only.total_order.mean == pytest.approx(1.0, abs=0.3)


def test_sensitivity_of_a_constant_measure() -> None:
    with pytest.raises(ValueError, match="no variance"):
        stats.sensitivity([1.0, 1.0], [1.0, 1.0], [[1.0, 1.0]])
