"""The command line: verbs, arguments, what is printed, exit codes.

0 done, 2 the user's input is wrong (nothing is written), 1 anything else: what cannot be written, and defects of
ours, which end in one sentence, the command that reproduces them, and the traceback in a file. Heavy imports
stand inside the commands that need them, so that `--help` is quick.
"""

from __future__ import annotations

import gc
import json
import os
import shlex
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clustersim import __version__
from clustersim.cli_sweeps import compare, optimize, sweep
from clustersim.errors import ResultsError, ScenarioError, UsageError

if TYPE_CHECKING:
    from clustersim.scenario.sections.scenario import Scenario
    from clustersim.study.single_run.run_result import Run

app = typer.Typer(
    name="clustersim",
    help="Simulates Amazon ECS: scenario files in, Arrow files out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Scenarios = Annotated[
    list[Path], typer.Argument(help="Scenario files (YAML or JSON).", metavar="SCENARIO...")
]
Out = Annotated[Path, typer.Option(help="Where results go: DIR/NAME/ for each scenario.", metavar="DIR")]
Seed = Annotated[int | None, typer.Option(help="Replaces the scenario's seed.", metavar="N")]
Set = Annotated[
    list[str],
    typer.Option(
        "--set", help="Replaces a value: services.web.desiredCount=8. May be repeated.", metavar="PATH=VALUE"
    ),
]
Form = Annotated[Literal["arrow", "parquet"], typer.Option("--format", help="Format of the result tables.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no table, no warnings.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"clustersim {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Simulates Amazon ECS: scenario files in, Arrow files out."""
    import clustersim.engine.backends  # noqa: F401  (an unknown CLUSTERSIM_KERNELS is told before anything is done)


@app.command()
def run(
    scenario: Scenarios,
    out: Out = Path("results"),
    seed: Seed = None,
    set_: Set = [],  # noqa: B006  (typer copies it)
    format_: Form = "arrow",
    quiet: Quiet = False,
) -> None:
    """Simulate each scenario into DIR/NAME/ and print a short table."""
    from clustersim.record.publication import check_target

    scenarios = _read_all(scenario, set_, seed, quiet)
    try:
        for each in scenarios:
            check_target(out / each.name)
    except ResultsError as error:
        _fail(str(error), 2)
    for each in scenarios:
        _simulate(each, out, format_, quiet)


@app.command()
def validate(scenario: Scenarios, set_: Set = []) -> None:  # noqa: B006
    """Check scenario files only; says `ok` per file."""
    from clustersim.scenario.reader import read_scenario

    wrong = False
    for path in scenario:
        try:
            read = read_scenario(path, set_)
        except ScenarioError as error:
            wrong = True
            typer.echo("\n".join(error.problems), err=True)
            continue
        for warning in read.warnings:
            typer.echo(f"warning: {warning}", err=True)
        typer.echo(f"{path}: ok")
    if wrong:
        raise typer.Exit(2)


app.command()(sweep)
app.command()(optimize)
app.command()(compare)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a scenario, for editors."""
    from clustersim.scenario.reader import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _read_all(
    paths: Sequence[Path], overrides: Sequence[str], seed: int | None, quiet: bool
) -> list[Scenario]:
    """All scenarios, or every problem of all of them and exit code 2."""
    from clustersim.scenario.reader import check_same_names, read_scenario

    scenarios, problems = [], []
    for path in paths:
        try:
            scenarios.append(read_scenario(path, overrides, seed))
        except ScenarioError as error:
            problems.extend(error.problems)
    if not problems:
        try:
            check_same_names(scenarios)
        except ScenarioError as error:
            problems.extend(error.problems)
    if problems:
        _fail("\n".join(problems), 2)
    if not quiet:
        from clustersim.control.environment.service_quotas import exceeded_quotas

        for each in scenarios:
            for warning in (*each.warnings, *exceeded_quotas(each)):
                typer.echo(f"warning: {warning}", err=True)
    return scenarios


def _simulate(scenario: Scenario, out: Path, fmt: Literal["arrow", "parquet"], quiet: bool) -> None:
    """One run with its progress bar, and its table at the end."""
    from rich.console import Console

    from clustersim.engine.program import is_cold

    console = Console(stderr=True)
    if not quiet and is_cold():
        console.print("compiling the kernels: once for this version, some fifteen seconds ...", style="dim")
    try:
        finished = _with_progress(scenario, out, fmt, console, quiet)
    except ScenarioError as error:
        _fail(str(error), 2)
    except ResultsError as error:
        _fail(str(error), 1)
    if not quiet:
        from clustersim.study.single_run.run_report import print_run

        print_run(finished.summary, finished.manifest, finished.path, Console())


def _with_progress(
    scenario: Scenario, out: Path, fmt: Literal["arrow", "parquet"], console: object, quiet: bool
) -> Run:
    """Run with a bar on a terminal, silently in a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from clustersim.study.single_run.run import run_scenario

    assert isinstance(console, Console)
    if quiet or not console.is_terminal:
        return run_scenario(scenario, out, fmt)
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(scenario.name, total=1.0)
        return run_scenario(scenario, out, fmt, lambda share: bar.update(task, completed=share))


def _fail(message: str, code: int) -> None:
    typer.echo(message, err=True)
    raise typer.Exit(code)


def main() -> None:
    """The `clustersim` program: `app`, with defects told in one sentence."""
    # numpy's BLAS starts a thread per core, whose waiting costs as much as importing numpy; none is used here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # pydantic reads the metadata of every installed package for plugins of its own; none is used here.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    gc.set_threshold(100_000)  # what a run makes in Python mostly stays: looking for garbage seldom is enough
    try:
        app()
    except UsageError as error:
        typer.echo(str(error), err=True)
        raise SystemExit(2) from None
    except Exception as error:
        place = _write_traceback()
        command = shlex.join(["clustersim", *sys.argv[1:]])
        typer.echo(
            f"clustersim failed by a defect of its own: {type(error).__name__}: {error}. "
            f"To reproduce: {command} (traceback in {place})",
            err=True,
        )
        raise SystemExit(1) from None


def _write_traceback() -> Path:
    """The traceback in a file beside the output, or in the temporary directory where that is not writable."""
    import tempfile

    text = traceback.format_exc()
    out = next((sys.argv[i + 1] for i, word in enumerate(sys.argv[:-1]) if word == "--out"), "results")
    for folder in (Path(out).parent, Path(tempfile.gettempdir())):
        try:
            place = folder / "clustersim-traceback.txt"
            place.write_text(text)
        except OSError:
            continue
        return place
    return Path("(nowhere writable)")


if __name__ == "__main__":
    main()
