"""The table of response times: its size, and that its rows are where the interpolation looks for them."""

from __future__ import annotations

import numpy as np

from clustersim.policy.load.response_curves import COLUMNS, CURVE_SIZE, POINTS, TABLE_SHAPE
from clustersim.scenario.catalog.response_times import read_response_times


def test_the_table_has_a_curve_for_each_combination() -> None:
    """Two algorithms, five numbers of tasks, five and four variabilities."""
    table = read_response_times()
    assert table.shape == (int(np.prod(TABLE_SHAPE)), CURVE_SIZE)
    assert np.isfinite(table).all()


def test_one_task_is_the_same_behind_either_algorithm() -> None:
    by_algorithm = read_response_times().reshape(*TABLE_SHAPE, CURVE_SIZE)
    assert np.array_equal(by_algorithm[0, 0], by_algorithm[1, 0])


def test_a_response_takes_longer_the_busier_its_task_is() -> None:
    """The means of each curve rise, from 1 at a utilisation of 0 (a simulation has an error of 2 %)."""
    means = np.exp(read_response_times()).reshape(-1, POINTS, COLUMNS)[:, :, 0]
    assert np.all(means[:, 0] == 1.0)
    assert np.all(means[:, 1:] >= 0.98 * means[:, :-1])
