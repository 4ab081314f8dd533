"""`clustersim compare` as a user types it: exit codes, streams, eighty columns, what is left behind."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import clustersim as cs
from clustersim import cli
from clustersim.study.compare.report import print_comparison
from tests.harness import job
from tests.study.compare.test_compare import save, workload
from tests.study.small import contents

DONE, WRONG = 0, 2


def call(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    compare = {"loads": [1], "replications": 2, "options": ["ecs-ec2", "ecs-fargate"]}
    return save(tmp_path, workload(duration="20m", compare=compare))


def test_a_comparison_from_the_command_line(scenario: Path, tmp_path: Path) -> None:
    """By the block of the file; into a pipe one fact a line."""
    result = call("compare", scenario, "--jobs", 1, "--out", tmp_path / "out")
    assert result.exit_code == DONE, result.stderr
    assert "runs: 4, 2 of each option and load, with the same random numbers" in result.stdout
    assert "measure servers to manage: ecs-ec2 1 ±0, ecs-fargate 0 ±0" in result.stdout
    assert "not included: load balancers" in result.stdout
    assert f"results: {tmp_path / 'out' / 'shop'}" in result.stdout
    assert result.stderr == ""


def test_the_command_line_is_the_library(scenario: Path, tmp_path: Path) -> None:
    target = "ecs-ec2:capacityProviders.ecs-ec2.autoScalingGroupProvider.managedScaling.targetCapacity=50"
    arguments = (
        "--options",
        "ecs-ec2, ec2",
        "--replications",
        1,
        "--loads",
        "0.5,1",
        "--set",
        target,
        "--quiet",
    )
    result = call("compare", scenario, *arguments, "--jobs", 1, "--out", tmp_path / "a")
    assert (result.exit_code, result.stdout, result.stderr) == (DONE, "", "")
    cs.compare(
        scenario,
        options=["ecs-ec2", "ec2"],
        replications=1,
        loads=[0.5, 1],
        set=[target],
        jobs=1,
        out=tmp_path / "b",
    )
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_the_table_has_eighty_columns(tmp_path: Path) -> None:
    """However many options there are; one that cannot run says so in its column."""
    options = ["ec2", "ecs-ec2", "ecs-fargate", "ecs-ec2-spot", "ecs-fargate-spot"]
    path = save(tmp_path, workload(duration="10m", runTasks=[job("nightly", capacityProviderStrategy=[])]))
    found = cs.compare(path, options=options, loads=[1], replications=2, jobs=1, out=tmp_path / "out")
    stream = StringIO()
    print_comparison(
        found, Console(file=stream, force_terminal=True, width=80, no_color=True, highlight=False)
    )
    lines = stream.getvalue().splitlines()
    told = [line for line in lines if str(tmp_path) not in line]  # but for the path of the results
    assert max(len(line.replace("\x1b[1m", "").replace("\x1b[0m", "")) for line in told) <= 80
    assert "cannot run" in stream.getvalue()
    assert all(option in stream.getvalue() for option in options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--options", "ecs-fragate"), "did you mean ecs-fargate?"),
        (("--replications", "0"), "--replications"),
        (("--loads", "half"), "write it like 0.1,0.5,1,2"),
        (("--loads", "-1"), "--loads: -1.0 is not above 0"),
        (("--jobs", "2", "--scheduler", "tcp://127.0.0.1:1"), "exclude each other"),
        (("--set", "compare.replications=none"), "compare.replications"),
        (("--set", "pricing.operations.usdPerMonth=5"), "did you mean usdPerInstanceMonth?"),
    ],
)
def test_wrong_arguments(arguments: tuple[str, ...], words: str, scenario: Path, tmp_path: Path) -> None:
    """Exit code 2, a sentence, nothing written."""
    result = call("compare", scenario, *arguments, "--out", tmp_path / "out")
    assert result.exit_code == WRONG
    assert words in result.stderr.replace("│", "")
    assert not (tmp_path / "out").exists()
