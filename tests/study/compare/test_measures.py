"""The start wait of a copy on a virtual machine begins with the request for its machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from clustersim.study.compare.measures import measure_run
from tests.control.services.test_virtual_machines import machines
from tests.harness import run


def test_a_copy_is_waited_for_from_the_request_of_its_machine(tmp_path: Path) -> None:
    """Four copies, each 90 s of boot and 10 s of starting: 100 s, though a row of `tasks` begins with the copy."""
    ran = run(machines(4, "1h", behavior={"startupTime": "10s"}), tmp_path)
    place: Any = SimpleNamespace(read=lambda file: (ran.run.path.parent / file).read_bytes())
    found = measure_run(place, ran.run.path.name, ran.scenario, ran.summary)
    assert found["comparison.task_start_p50_s"] == pytest.approx(100)
    assert found["comparison.task_start_p99_s"] == pytest.approx(100)
