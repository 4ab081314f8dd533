"""The commands about single scenarios: `run`, `validate` and `schema`.

Decides what they print and when they fail. Must not know how a scenario is simulated. `application` registers them.
Heavy imports are inside the functions that need them, so that `--help` is quick.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from clustersim.cli.exit_codes import FAILURE, INVALID_INPUT, exit_with_error
from clustersim.cli.options import Quiet, RunOut, RunSet, ScenarioFiles, Seed, TableFormat
from clustersim.errors import ResultsError, ScenarioError

if TYPE_CHECKING:
    from rich.console import Console

    from clustersim.scenario.sections.scenario import Scenario
    from clustersim.study.single_run.run_result import Run


def run_command(
    scenario: ScenarioFiles,
    out: RunOut = Path("results"),
    seed: Seed = None,
    set_: RunSet = [],  # noqa: B006  (typer copies it)
    format_: TableFormat = "arrow",
    quiet: Quiet = False,
) -> None:
    """Simulate each scenario into DIR/NAME/ and print a short table."""
    from clustersim.record.publication import check_target

    if "://" in str(out) or str(out).startswith(("s3:/", "https:/", "http:/")):
        message = f"--out {out}: `run` writes to a directory; a sweep can write to s3://, or copy the results"
        exit_with_error(message, INVALID_INPUT)
    scenarios = _read_all(scenario, set_, seed, quiet)
    try:
        for each in scenarios:
            check_target(out / each.name)
    except ResultsError as error:
        exit_with_error(str(error), INVALID_INPUT)
    for each in scenarios:
        _simulate(each, out, format_, quiet)


def validate_command(scenario: ScenarioFiles, set_: RunSet = []) -> None:  # noqa: B006
    """Check scenario files without running them; prints `ok` per valid file."""
    from clustersim.scenario.reader import read_scenario

    invalid = False
    for path in scenario:
        try:
            checked = read_scenario(path, set_)
        except ScenarioError as error:
            invalid = True
            typer.echo("\n".join(error.problems), err=True)
            continue
        for warning in checked.warnings:
            typer.echo(f"warning: {warning}", err=True)
        print_findings([checked])
        typer.echo(f"{path}: ok")
    if invalid:
        raise typer.Exit(INVALID_INPUT)


def schema_command() -> None:
    """Print the JSON Schema of a scenario, for editors."""
    from clustersim.scenario.reader import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _read_all(
    paths: Sequence[Path], overrides: Sequence[str], seed: int | None, quiet: bool
) -> list[Scenario]:
    """Return all scenarios, or exit with the problems of all of them."""
    from clustersim.scenario.reader import check_unique_names, read_scenario

    scenarios, problems = [], []
    for path in paths:
        try:
            scenarios.append(read_scenario(path, overrides, seed))
        except ScenarioError as error:
            problems.extend(error.problems)
    if not problems:
        try:
            check_unique_names(scenarios)
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        exit_with_error("\n".join(problems), INVALID_INPUT)
    if not quiet:
        from clustersim.control.environment.service_quotas import exceeded_quotas

        for each in scenarios:
            for warning in (*each.warnings, *exceeded_quotas(each)):
                typer.echo(f"warning: {warning}", err=True)
        print_findings(scenarios)
    return scenarios


def print_findings(scenarios: Sequence[Scenario]) -> None:
    """Print the findings of scenarios on standard error, as a block of their own."""
    findings = [finding for scenario in scenarios for finding in scenario.findings]
    if findings:
        typer.echo(f"{len(findings)} {'finding' if len(findings) == 1 else 'findings'}:", err=True)
    for finding in findings:
        typer.echo(f"  {finding}", err=True)


def _simulate(scenario: Scenario, out: Path, fmt: Literal["arrow", "parquet"], quiet: bool) -> None:
    """Simulate one scenario with a progress bar, and print its report."""
    from rich.console import Console

    from clustersim.engine.program import is_cold

    console = Console(stderr=True)
    if not quiet and is_cold():
        console.print("compiling the kernels: once per version, about fifteen seconds ...", style="dim")
    try:
        result = _run_with_progress(scenario, out, fmt, console, quiet)
    except ScenarioError as error:
        exit_with_error(str(error), INVALID_INPUT)
    except ResultsError as error:
        exit_with_error(str(error), FAILURE)
    if not quiet:
        from clustersim.study.single_run.run_report import print_run

        print_run(result.summary, result.manifest, result.path, Console())


def _run_with_progress(
    scenario: Scenario, out: Path, fmt: Literal["arrow", "parquet"], console: Console, quiet: bool
) -> Run:
    """Run a scenario; on a terminal with a progress bar."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from clustersim.study.single_run.run import run_scenario

    if quiet or not console.is_terminal:
        return run_scenario(scenario, out, fmt)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(scenario.name, total=1.0)
        return run_scenario(scenario, out, fmt, lambda share: bar.update(task, completed=share))
