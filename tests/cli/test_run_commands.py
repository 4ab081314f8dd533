"""The command line: exit codes, what goes to which stream, and that a failed run leaves nothing behind."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from typer.testing import CliRunner

import clustersim as cs
from clustersim import cli
from tests.harness import definition, job, service, world

DONE, OTHER, WRONG = 0, 1, 2


def call(*arguments: object) -> Any:
    """`clustersim ...` as a user types it."""
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    """A scenario file of a few minutes: `DIR/shop.yaml`, without a name of its own."""
    written = world(duration="5m", services=[service(count=2)], runTasks=[job(at="1m", duration="30s")])
    del written["name"]
    return save(tmp_path / "shop.yaml", written)


def save(path: Path, written: Any) -> Path:
    path.write_text(written if isinstance(written, str) else json.dumps(written), encoding="utf-8")
    return path


# --- what goes well ----------------------------------------------------------------------------------------


def test_run_writes_a_result_and_prints_a_short_table(scenario: Path, tmp_path: Path) -> None:
    result = call("run", scenario, "--out", tmp_path / "out")
    assert result.exit_code == DONE
    for word in ("cost", "service web", "available", "nodes"):
        assert word in result.stdout
    run = cs.open(tmp_path / "out" / "shop")  # the file's stem: it has no name of its own
    assert run.summary["tasks_created"] == 3
    run.verify()


def test_quiet_says_nothing(scenario: Path, tmp_path: Path) -> None:
    result = call("run", scenario, "--out", tmp_path / "out", "--quiet")
    assert (result.exit_code, result.stdout, result.stderr) == (DONE, "", "")


@pytest.mark.parametrize("verb", ["validate", "run"])
def test_findings_are_a_block_after_the_warnings(tmp_path: Path, verb: str) -> None:
    """A task of 9,000 MiB on instances of 8,192: the scenario is valid, and the exit code is 0."""
    written = world(duration="1m", taskDefinitions=[definition(memory=9000)], services=[service()])
    path = save(tmp_path / "shop.yaml", written)
    result = call(verb, path, *(("--out", tmp_path / "out") if verb == "run" else ()))
    assert result.exit_code == DONE
    first, second = result.stderr.splitlines()[-2:]
    assert first == "1 finding:"
    assert second.startswith(f"  {path}:1:")
    assert second.endswith("[fits-no-type]")


def test_set_and_seed_reach_the_run(scenario: Path, tmp_path: Path) -> None:
    arguments = ("--set", "services.web.desiredCount=1", "--set", "name=other", "--seed", 5)
    result = call("run", scenario, "--out", tmp_path, "--quiet", *arguments)
    assert result.exit_code == DONE
    run = cs.open(tmp_path / "other")
    assert run.manifest["seed"] == 5
    assert run.summary["tasks_created"] == 2


def test_parquet_instead_of_arrow(scenario: Path, tmp_path: Path) -> None:
    """The same rows in the other format, and only in that."""
    for form in ("arrow", "parquet"):
        result = call("run", scenario, "--out", tmp_path / form, "--quiet", "--format", form)
        assert result.exit_code == DONE
    arrow, parquet = (cs.open(tmp_path / form / "shop") for form in ("arrow", "parquet"))
    assert not list(parquet.path.glob("*.arrow"))
    assert len(list(parquet.path.glob("*.parquet"))) == len(parquet.tables)
    assert parquet.tasks.to_arrow().to_pylist() == arrow.tasks.to_arrow().to_pylist()


def test_earlier_result_is_replaced(scenario: Path, tmp_path: Path) -> None:
    for count in (1, 3):
        arguments = ("--out", tmp_path, "--quiet", "--set", f"services.web.desiredCount={count}")
        assert call("run", scenario, *arguments).exit_code == DONE
    assert cs.open(tmp_path / "shop").summary["tasks_created"] == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "shop.yaml"]


def test_validate_says_ok_per_file(scenario: Path, tmp_path: Path) -> None:
    other = save(tmp_path / "other.yaml", scenario.read_text())
    result = call("validate", scenario, other)
    assert result.exit_code == DONE
    assert result.stdout == f"{scenario}: ok\n{other}: ok\n"
    assert sorted(tmp_path.iterdir()) == [other, scenario], "it only looks"


def test_schema_is_a_json_schema(scenario: Path) -> None:
    result = call("schema")
    assert result.exit_code == DONE
    schema = json.loads(result.stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(json.loads(scenario.read_text())) <= set(schema["properties"])


def test_help_and_version() -> None:
    for command in ("run", "validate", "schema"):
        assert command in call("--help").stdout
    assert call("--version").stdout == f"clustersim {cs.__version__}\n"


# --- the user's input is wrong -----------------------------------------------------------------------------


def test_all_problems_of_all_files_at_once(scenario: Path, tmp_path: Path) -> None:
    """FILE:LINE:COL: path: the problem; a hint. On standard error; nothing is written."""
    lines = "services:\n  - {serviceName: web, taskDefinition: app, desiredCout: 2}\nduration: soon\n"
    bad = save(tmp_path / "bad.yaml", lines)
    worse = save(tmp_path / "worse.yaml", "name: worse\n")
    result = call("run", scenario, bad, worse, "--out", tmp_path / "out")
    assert result.exit_code == WRONG
    assert result.stdout == ""
    problems = result.stderr.splitlines()
    assert any(p.startswith(f"{bad}:2:") and "desiredCout" in p and "desiredCount" in p for p in problems)
    assert any(p.startswith(f"{bad}:3:") and "duration" in p for p in problems)
    assert any(p.startswith(f"{worse}:") for p in problems)
    assert not (tmp_path / "out").exists()


def test_validate_reports_and_goes_on(scenario: Path, tmp_path: Path) -> None:
    bad = save(tmp_path / "bad.yaml", "duration: soon\n")
    result = call("validate", bad, scenario)
    assert result.exit_code == WRONG
    assert result.stdout == f"{scenario}: ok\n"
    assert result.stderr.startswith(f"{bad}:1:")


@pytest.mark.parametrize(
    "override", ["services.wbe.desiredCount=8", "services.web.desiredCount", "duration=soon", "durration=1h"]
)
def test_wrong_override_names_itself(scenario: Path, tmp_path: Path, override: str) -> None:
    result = call("run", scenario, "--out", tmp_path / "out", "--set", override)
    assert result.exit_code == WRONG
    assert override.partition("=")[0].rpartition(".")[2] in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_missing_file(tmp_path: Path) -> None:
    result = call("run", tmp_path / "none.yaml", "--out", tmp_path / "out")
    assert result.exit_code == WRONG
    assert "none.yaml" in result.stderr
    assert not (tmp_path / "out").exists()


def test_unknown_option_and_format(scenario: Path) -> None:
    assert call("run", scenario, "--format", "csv").exit_code == WRONG
    assert call("run", scenario, "--fast").exit_code == WRONG
    assert call("run").exit_code == WRONG


def test_two_scenarios_of_one_name(scenario: Path, tmp_path: Path) -> None:
    """One would overwrite the other's result, so neither runs."""
    (tmp_path / "more").mkdir()
    twin = save(tmp_path / "more" / "shop.yaml", scenario.read_text())
    result = call("run", scenario, twin, "--out", tmp_path / "out")
    assert result.exit_code == WRONG
    assert "shop" in result.stderr
    assert not (tmp_path / "out").exists()


def test_directory_that_is_not_a_result_is_never_replaced(scenario: Path, tmp_path: Path) -> None:
    precious = tmp_path / "out" / "shop" / "thesis.txt"
    precious.parent.mkdir(parents=True)
    precious.write_text("years of work")
    result = call("run", scenario, "--out", tmp_path / "out")
    assert result.exit_code == WRONG
    assert "not a result of clustersim" in result.stderr
    assert list(precious.parent.iterdir()) == [precious]


def test_a_file_in_the_way_is_reported_before_the_run(scenario: Path) -> None:
    result = call("run", scenario, "--out", scenario)
    assert result.exit_code == WRONG
    assert "is not a directory" in result.stderr
    assert scenario.is_file()


def test_result_with_a_foreign_file_is_kept(scenario: Path, tmp_path: Path) -> None:
    assert call("run", scenario, "--out", tmp_path, "--quiet").exit_code == DONE
    notes = tmp_path / "shop" / "notes.md"
    notes.write_text("what I saw")
    result = call("run", scenario, "--out", tmp_path)
    assert result.exit_code == WRONG
    assert "notes.md" in result.stderr
    cs.open(tmp_path / "shop").verify()


# --- anything else -----------------------------------------------------------------------------------------


def test_directory_that_may_not_be_written(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: Any, **__: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "mkdir", refuse)
        result = call("run", scenario, "--out", tmp_path / "out", "--quiet")
    assert result.exit_code == OTHER
    assert result.stderr.count("\n") == 1
    assert "could not be written" in result.stderr
    assert "Permission denied" in result.stderr
    assert not (tmp_path / "out").exists()


def test_full_disk_leaves_the_earlier_result(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, no half result, and what was there before is still there."""
    assert call("run", scenario, "--out", tmp_path, "--quiet").exit_code == DONE
    before = cs.open(tmp_path / "shop").manifest["tables"]

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(pa.ipc.RecordBatchFileWriter, "write_batch", full)
        patch.setattr(pa.ipc.RecordBatchFileWriter, "write_table", full)
        result = call("run", scenario, "--out", tmp_path, "--quiet", "--set", "services.web.desiredCount=3")
    assert result.exit_code == OTHER
    assert "No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1
    assert cs.open(tmp_path / "shop").manifest["tables"] == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shop", "shop.yaml"]


def test_defect_of_ours_is_one_sentence_and_a_traceback_in_a_file(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def defect(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("a wheel came off")

    monkeypatch.setattr("clustersim.study.single_run.run.run_scenario", defect)
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["clustersim", "run", str(scenario), "--out", str(out), "--quiet"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == OTHER
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "ZeroDivisionError: a wheel came off" in said.err
    assert f"clustersim run {scenario}" in said.err, "the command that reproduces it"
    report = tmp_path / "clustersim-traceback.txt"
    assert str(report) in said.err
    assert "Traceback (most recent call last)" in report.read_text()
    assert not out.exists()


def test_defect_within_the_run_leaves_no_result(
    scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A result directory that exists is complete, whatever goes wrong."""

    def defect(*_: Any, **__: Any) -> None:
        raise RuntimeError("half way")

    monkeypatch.setattr("clustersim.simulation.Simulation.run", defect)
    result = call("run", scenario, "--out", tmp_path / "out", "--quiet")
    assert isinstance(result.exception, RuntimeError)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["s3://bucket/results", "https://example.org/results"])
def test_run_refuses_an_address_as_its_directory(
    scenario: Path, out: str, tmp_path: Path, monkeypatch: Any
) -> None:
    """It would make a directory named `s3:`."""
    monkeypatch.chdir(tmp_path)
    result = call("run", scenario, "--out", out)
    assert result.exit_code == WRONG
    assert "writes to a directory" in result.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [scenario.name]


def test_a_closed_pipe_is_silent() -> None:
    """`clustersim schema | head -1`: the reader has gone, and nothing is wrong."""
    command = f"{sys.executable} -m clustersim schema"
    script = f"{command} 2>&1 >&3 | cat >&2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", f"exec 3> >(head -c 1 >/dev/null); sleep 0.5; {script}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(cs.__file__).parents[1],
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_more_rows_than_allowed_are_refused_with_their_number(scenario: Path) -> None:
    """1 ms for 5 minutes is 300,000 rows: more than 100,000, if those are the most."""
    limits = ("--set", "sampling.interval=1ms", "--set", "sampling.maxRows=100000")
    refused = call("validate", scenario, *limits)
    assert refused.exit_code == WRONG
    assert "300,000 rows, more than 100,000" in refused.stderr
    assert call("validate", scenario, "--set", "sampling.interval=1ms").exit_code == DONE
    weeks = call("validate", scenario, "--set", "sampling.interval=1ms", "--set", "duration=7d")
    assert weeks.exit_code == WRONG
    assert "604,800,000 rows, more than 50,000,000" in weeks.stderr
