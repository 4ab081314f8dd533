"""The start wait of a copy on a virtual machine begins with the request for its machine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
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


def test_runs_of_an_older_version_are_measured_with_what_they_have(tmp_path: Path) -> None:
    """A sweep may be resumed whose runs lack a column, or a table: it counts as empty."""
    ran = run(machines(4, "1h", behavior={"startupTime": "10s"}), tmp_path)
    tasks = ran.run.tasks.to_arrow()

    def older(file: str) -> bytes | None:
        if file.endswith("container_instances.arrow"):
            return None
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, tasks.drop_columns(["container_instance_id"]).schema) as writer:
            writer.write_table(tasks.drop_columns(["container_instance_id"]))
        return bytes(sink.getvalue())

    place: Any = SimpleNamespace(read=older)
    found = measure_run(place, ran.run.path.name, ran.scenario, ran.summary)
    assert found["comparison.task_start_p50_s"] == pytest.approx(10)
