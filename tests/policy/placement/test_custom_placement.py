"""What a placement function may return."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clustersim.policy.placement.custom_placement import check_position


@pytest.mark.parametrize("returned", [2, np.int64(2), np.uint8(2)])
def test_a_position_is_any_whole_number(returned: Any) -> None:
    position = check_position(returned, 3)
    assert (position, type(position)) == (2, int)


@pytest.mark.parametrize("returned", [3, -1, 2.0, None, True, np.True_, "2", np.array([1, 2])])
def test_anything_else_is_refused_with_what_would_be_right(returned: Any) -> None:
    with pytest.raises(ValueError, match="return the position of a host, 0 to 2"):
        check_position(returned, 3)
