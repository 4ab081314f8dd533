"""The back ends of kernels: the choice, equal results, what each refuses, and the fallback."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clustersim.engine import backends, program
from clustersim.engine.array_block import pointer
from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import ENTRIES, Array, kernel, using
from clustersim.errors import KernelError, UsageError
from clustersim.policy.scaling import cloudwatch_alarms as alarms
from clustersim.policy.scaling.service_scaling import TargetTables, new_cooldowns
from clustersim.vocabulary import StopCode, StoppedReason, TaskState
from clustersim.world.scheduling.commands import stop_tasks
from tests.world.small import small_world, start_service

ROOT = Path(__file__).parent.parent.parent
BY_SCHEDULER = (int(StopCode.ServiceSchedulerInitiated), int(StoppedReason.SCALING_ACTIVITY))

WITHOUT_A_PRIVATE_NAME = """
import runpy, sys
import numba.core.codegen
del numba.core.codegen.JITCPUCodegen
sys.argv = ["build", *sys.argv[1:]]
runpy.run_module("clustersim.engine.build", run_name="__main__")
"""


@kernel
def item(numbers: Array, index: int) -> int:
    """One item of an array."""
    return numbers[index]


def _alarm_fires() -> int:
    """Call a small entry, whose result is that of its arithmetic."""
    table = np.zeros(1, alarms.AlarmRow.dtype)
    table["window"] = table["needed"] = table["period_ticks"] = 1
    words = [np.zeros(1, np.int64) for _ in range(6)]
    targets = TargetTables(*words[:5], new_cooldowns(1))
    return (
        alarms.evaluate_alarms(
            pointer(alarms.AlarmTables(table, np.ones((1, 1)), np.zeros(1), targets, words[5])), 0
        )
        + 5
    )


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Entries and programs that are not loaded yet, in a process that has not fallen back."""
    monkeypatch.setattr(backends, "_lost", False)
    for entry in ENTRIES.values():
        monkeypatch.setattr(entry, "_native", None)
    program._engine.cache_clear()
    yield
    program._engine.cache_clear()


@pytest.mark.parametrize("name", ["program", "checked", "numba", "python"])
def test_every_back_end_can_be_named(name: str) -> None:
    assert backends.from_environment({"CLUSTERSIM_KERNELS": name}) == name


def test_the_program_is_the_default() -> None:
    assert backends.from_environment({}) is BackEnd.PROGRAM
    assert backends.from_environment({"CLUSTERSIM_KERNELS": ""}) is BackEnd.PROGRAM


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    with pytest.raises(
        UsageError, match="CLUSTERSIM_KERNELS=fast: unknown; one of program, checked, numba, python"
    ):
        backends.from_environment({"CLUSTERSIM_KERNELS": "fast"})


@pytest.mark.parametrize("verb", ["run", "sweep", "validate"])
def test_an_unknown_name_ends_a_command_with_2_and_writes_nothing(verb: str, tmp_path: Path) -> None:
    scenario = "sweeps/target-capacity.yaml" if verb == "sweep" else "quickstart.yaml"
    out = [] if verb == "validate" else ["--out", "out"]
    done = subprocess.run(
        [sys.executable, "-m", "clustersim.cli", verb, str(ROOT / "scenarios" / scenario), *out],
        env={**os.environ, "CLUSTERSIM_KERNELS": "fast", "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "CLUSTERSIM_KERNELS=fast: unknown; one of program, checked, numba, python"
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("back_end", BackEnd)
def test_an_entry_gives_the_same_by_every_back_end(back_end: BackEnd) -> None:
    with using(back_end):
        assert _alarm_fires() == 5


@pytest.mark.parametrize("back_end", [BackEnd.CHECKED, BackEnd.PYTHON])
def test_an_index_beyond_an_array_raises(back_end: BackEnd) -> None:
    with using(back_end):
        assert item(np.arange(3), 2) == 2
        with pytest.raises(IndexError):
            item(np.arange(3), 3)


def test_the_back_end_is_as_before_behind_using() -> None:
    before = backends.current()
    with pytest.raises(ValueError, match="this"), using(BackEnd.PYTHON):
        assert backends.current() is BackEnd.PYTHON
        raise ValueError("this")
    assert backends.current() is before


@pytest.mark.parametrize("back_end", [BackEnd.PROGRAM, BackEnd.PYTHON])
def test_a_failing_kernel_tells_its_name_and_its_cause(back_end: BackEnd, tmp_path: Path) -> None:
    """The program leaves a description of the exception and its line; Python has the traceback itself."""
    with using(back_end):
        world = small_world(tmp_path)
        slot = start_service(world, 1)[0]
        world.state.tasks.rows[slot]["state"] = TaskState.ACTIVATING
        with pytest.raises(KernelError) as failure:
            stop_tasks(world.core, np.array([slot]), 0, *BY_SCHEDULER)
    message = str(failure.value)
    assert message.startswith("kernel stop_tasks failed: RuntimeError: illegal state transition of a task")
    assert repr(failure.value.__cause__) == "RuntimeError('illegal state transition of a task')"
    if back_end is BackEnd.PROGRAM:
        assert "(task_states.py:" in message
        assert message.endswith("CLUSTERSIM_KERNELS=python shows the traceback")


def test_a_failure_of_the_checked_program_is_an_error_with_its_cause() -> None:
    """A row that names a slot beyond the table: the plain program would read whatever lies there."""
    numbers = np.zeros(0, np.int64)
    table = np.zeros(1, alarms.AlarmRow.dtype)
    table["window"] = table["needed"] = table["period_ticks"] = 1
    targets = TargetTables(*[numbers for _ in range(5)], new_cooldowns(0))
    watch = pointer(alarms.AlarmTables(table, np.ones((1, 0)), np.zeros(0), targets, numbers))
    for back_end in (BackEnd.CHECKED, BackEnd.PYTHON):
        with (
            using(back_end),
            pytest.raises(KernelError, match="kernel evaluate_alarms failed: IndexError") as failure,
        ):
            alarms.evaluate_alarms(watch, 0)
        assert isinstance(failure.value.__cause__, IndexError)


@pytest.mark.usefixtures("unloaded")
def test_a_compiler_newer_than_tested_is_used_by_its_supported_names(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log, whatever the number of entries; no program is loaded or built."""
    monkeypatch.setattr(program, "TESTED_UP_TO", {"numba": (0, 1)})
    monkeypatch.setattr(program, "_make", lambda _: pytest.fail("it was built"))
    with using(BackEnd.PROGRAM), caplog.at_level(logging.WARNING):
        assert _alarm_fires() == _alarm_fires() == 5
        assert not backends.uses_program()
    assert len(caplog.messages) == 1
    assert "is newer than 0.1, the newest that was tested" in caplog.messages[0]


@pytest.mark.usefixtures("unloaded")
def test_without_a_private_name_kernels_are_compiled_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The build fails as it would with a numba that has renamed something; the log says which name."""
    right = subprocess.run

    def build(command: list[str], **options: object) -> object:
        return right([command[0], "-P", "-c", WITHOUT_A_PRIVATE_NAME, *command[4:]], **options)  # type: ignore[call-overload]

    monkeypatch.setenv("CLUSTERSIM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(program.subprocess, "run", build)
    with using(BackEnd.PROGRAM), caplog.at_level(logging.WARNING):
        assert _alarm_fires() == 5
    assert len(caplog.messages) == 1
    assert "cannot import name 'JITCPUCodegen'" in caplog.messages[0]
    assert not list((tmp_path / "cache").glob("*.program"))
