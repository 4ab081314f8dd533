"""`clustersim sweep` and `clustersim optimize` as a user types them: exit codes, streams, what is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import clustersim as cs
from clustersim import cli
from clustersim.study.execution import worker
from tests.study.small import COUNT, RATE, contents, save, shop

DONE, OTHER, WRONG = 0, 1, 2


def call(*arguments: object) -> Any:
    """`clustersim ...` as a user types it."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return save(tmp_path, shop("10m", sweep={"vary": {COUNT: [1, 2]}, "replications": 2}))


def test_a_sweep_from_the_command_line(scenario: Path, tmp_path: Path) -> None:
    """The block of the file, in this process; the table on standard output."""
    result = call("sweep", scenario, "--jobs", 1, "--out", tmp_path / "out")
    assert result.exit_code == DONE, result.stderr
    assert "runs: 4 at 2 points" in result.stdout
    assert f"results: {tmp_path / 'out' / 'test'}" in result.stdout
    assert result.stderr == ""
    assert len(cs.open(tmp_path / "out" / "test").summary) == 4  # type: ignore[arg-type]


def test_the_command_line_is_the_library(scenario: Path, tmp_path: Path) -> None:
    vary = ("--vary", f"{COUNT}=2,3", "--vary", f"{RATE}={{from: 10, to: 90}}")
    design = (
        "--design",
        "latinHypercube",
        "--points",
        3,
        "--replications",
        1,
        "--seed",
        4,
        "--set",
        "duration=5m",
    )
    assert (
        call("sweep", scenario, *vary, *design, "--jobs", 1, "--out", tmp_path / "a", "--quiet").exit_code
        == DONE
    )
    cs.sweep(
        scenario,
        vary={COUNT: [2, 3], RATE: {"from": 10, "to": 90}},
        design="latinHypercube",
        points=3,
        replications=1,
        seed=4,
        set=["duration=5m"],
        jobs=1,
        out=tmp_path / "b",
    )
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_quiet_says_nothing(scenario: Path, tmp_path: Path) -> None:
    result = call("sweep", scenario, "--jobs", 1, "--out", tmp_path / "out", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (DONE, "", "")


def test_points_in_a_file_and_measures_of_choice(scenario: Path, tmp_path: Path) -> None:
    points = tmp_path / "points.csv"
    points.write_text(f"{COUNT}\n1\n2\n3\n", encoding="utf-8")
    shown = ("--measure", "tasks_created", "--measure", "tasks_maed", "--base", 2)
    result = call("sweep", scenario, "--points", points, *shown, "--jobs", 1, "--out", tmp_path / "out")
    assert result.exit_code == DONE
    assert "point 0: desiredCount 1, tasks created" in result.stdout
    assert "vs 2" in result.stdout
    assert result.stderr == "warning: --measure: no run has 'tasks_maed'\n"


def test_until_width_from_the_command_line(scenario: Path, tmp_path: Path) -> None:
    arguments = (
        "--vary",
        f"{COUNT}=2",
        "--until-width",
        "tasks_created=50%",
        "--jobs",
        1,
        "--out",
        tmp_path / "out",
    )
    result = call("sweep", scenario, *arguments)
    assert result.exit_code == DONE
    found = cs.open(tmp_path / "out" / "test")
    assert isinstance(found, cs.Sweep)
    interval = found.interval("tasks_created", 0)
    assert interval is not None
    assert interval.width <= 0.5 * interval.mean


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--vary", "services.wbe.desiredCount=1,2"), "did you mean web?"),
        (("--vary", COUNT), "has no `=`"),
        (("--points", "0"), "at least one point"),
        (("--points", "none.csv"), "cannot be read"),
        (("--design", "sobol", "--vary", f"{COUNT}={{from: 1, to: 9}}"), "needs a number of points"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "exclude each other"),
        (("--until-width", "cost_usd"), "write it like cost_usd=2%"),
        (("--base", "2"), "there are 2 points"),
        (("--sensitivity",), "no sensitivity indices"),
        (("--set", "duration=soon"), "duration"),
        (("--out", "gopher://x"), "not a valid location for results"),
        (("--jobs", "0"), "--jobs"),
        (("--replications", "none"), "--replications"),
        (("--design", "random"), "--design"),
    ],
)
def test_invalid_input_is_reported_before_anything_is_written(
    scenario: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    place = () if "--out" in arguments else ("--out", tmp_path / "out")
    result = call("sweep", scenario, *arguments, *place)
    assert result.exit_code == WRONG
    assert words in " ".join(result.stderr.replace("│", " ").split())
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_scenario_without_a_block_says_what_to_do(tmp_path: Path) -> None:
    result = call("sweep", save(tmp_path, shop("5m")), "--out", tmp_path / "out")
    assert result.exit_code == WRONG
    assert "nothing is varied" in result.stderr


def test_a_scheduler_that_does_not_answer(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clustersim.study.execution.dask_cluster.CONNECT_S", 0.2)
    result = call("sweep", scenario, "--scheduler", "tcp://127.0.0.1:9", "--out", tmp_path / "out")
    assert result.exit_code == OTHER
    assert "no Dask scheduler answers" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_full_disk_says_how_to_go_on(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise cs.ResultsError("the results could not be written: No space left on device")

    arguments = ("sweep", scenario, "--jobs", 1, "--out", tmp_path / "out")
    with monkeypatch.context() as patch:
        patch.setattr(worker, "run_into", full)
        result = call(*arguments)
    assert result.exit_code == OTHER
    (line,) = result.stderr.splitlines()
    assert "No space left on device; finished runs are kept in" in line
    assert line.endswith("--resume")
    refused = call(*arguments)
    assert refused.exit_code == WRONG
    assert "continue it with --resume, or remove it" in refused.stderr
    assert call(*arguments, "--resume").exit_code == DONE


def test_failed_runs_end_with_1_and_a_traceback_in_a_file(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep is complete, but a job in CI must notice."""

    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a wheel came off")

    monkeypatch.setattr(worker, "run_into", fail)
    result = call("sweep", scenario, "--jobs", 1, "--out", tmp_path / "out")
    assert result.exit_code == OTHER
    assert "4 failed" in result.stdout
    place = tmp_path / "out" / "clustersim-traceback.txt"
    assert str(place) in result.stderr
    assert "a wheel came off" in place.read_text()
    assert len(cs.open(tmp_path / "out" / "test").summary) == 4  # type: ignore[arg-type]


# --- optimize ----------------------------------------------------------------------------------------------


def optimize(scenario: Path, out: Path, *arguments: object) -> Any:
    few = ("--trials", 8, "--replications", 1, "--confirm", 2, "--jobs", 1, "--out", out)
    return call("optimize", scenario, "--subject-to", "services.web.availability>=0.1", *few, *arguments)


def test_optimize_from_the_command_line(scenario: Path, tmp_path: Path) -> None:
    """The block of the file says what is varied; the answer is on standard output."""
    result = optimize(scenario, tmp_path / "out")
    assert result.exit_code == DONE, result.stderr
    assert "best: point" in result.stdout
    assert "2 runs with fresh seeds" in result.stdout
    manifest = json.loads((tmp_path / "out" / "test" / "manifest.json").read_bytes())
    assert manifest["kind"] == "search"


def test_no_feasible_point_ends_with_1(scenario: Path, tmp_path: Path) -> None:
    result = optimize(scenario, tmp_path / "out", "--subject-to", "cost_usd<=0.01")
    assert result.exit_code == OTHER
    assert "none: no point keeps all bounds" in result.stdout
    assert "hardest" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--subject-to", "cost_usd"), "write it like"),
        (("--vary", "services.wbe.desiredCount=1,2"), "did you mean web?"),
        (("--trials", "0"), "--trials"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "exclude each other"),
    ],
)
def test_wrong_input_to_optimize(
    scenario: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    result = optimize(scenario, tmp_path / "out", *arguments)
    assert result.exit_code == WRONG
    assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_schema_knows_the_block() -> None:
    """An editor completes it: designs, points, ranges."""
    schema = json.loads(call("schema").stdout)
    block = schema["$defs"]["WrittenSweep"]["properties"]
    assert set(block) == {"design", "points", "vary", "replications", "sensitivity"}
    text = json.dumps(block)
    for word in ("latinHypercube", "sobol", '"from"', '"integer"'):
        assert word in text


def test_help_names_the_commands() -> None:
    help_ = call("--help").stdout
    for command in ("sweep", "optimize"):
        assert command in help_
        assert call(command, "--help").exit_code == DONE
