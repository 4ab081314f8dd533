"""The commands that execute many runs: `sweep`, `optimize` and `compare`.

Decides what they print, how they show progress, and when they fail. Must not know how runs are executed.
`application` registers them. Heavy imports are inside the functions that need them, so that `--help` is quick.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from clustersim.cli.exit_codes import FAILURE, INVALID_INPUT, exit_with_error
from clustersim.cli.options import (
    Base,
    Confirm,
    Design,
    Jobs,
    Loads,
    Measures,
    Minimize,
    Options,
    OptionSet,
    Points,
    PointSet,
    Quiet,
    Replications,
    Resume,
    ScenarioFile,
    Scheduler,
    SearchReplications,
    Seed,
    Sensitivity,
    StudyOut,
    SubjectTo,
    Trials,
    UntilWidth,
    Vary,
)
from clustersim.errors import ResultsError, ScenarioError

if TYPE_CHECKING:
    from distributed import Client

    from clustersim.study.sweep.plan import SweepRequest
    from clustersim.study.sweep.progress import ProgressBar
    from clustersim.study.sweep.sweep_result import Sweep

Result = TypeVar("Result")


def sweep_command(
    scenario: ScenarioFile,
    vary: Vary = [],  # noqa: B006  (typer copies it)
    design: Design = None,
    points: Points = None,
    sensitivity: Sensitivity = False,
    replications: Replications = None,
    until_width: UntilWidth = [],  # noqa: B006
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    out: StudyOut = "sweeps",
    resume: Resume = False,
    measure: Measures = [],  # noqa: B006
    base: Base = 0,
    seed: Seed = None,
    set_: PointSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Run a scenario at many points, each several times, and show how they differ."""
    from rich.console import Console

    from clustersim.study.sweep.progress import ProgressBar
    from clustersim.study.sweep.sweep import prepare_sweep

    _check_cluster_options(jobs, scheduler)
    request = _read_request(vary, design, points, sensitivity, replications, seed, set_)
    with ProgressBar(Console(stderr=True), quiet) as bar:
        try:
            prepared = prepare_sweep(
                scenario, request, out, resume=resume, until_width=until_width, listener=bar
            )
        except (ScenarioError, ResultsError) as error:
            exit_with_error(str(error), INVALID_INPUT)
        plan = prepared.plan
        if base >= len(plan.points):
            exit_with_error(f"--base {base}: there are {len(plan.points)} points, from 0", INVALID_INPUT)
        bar.start(plan.base.name, plan.warnings, plan.paths, [point.values for point in plan.points])
        result = _execute(
            lambda client: prepared.run(client, bar), jobs, scheduler, prepared.store.working_location
        )
    if not quiet:
        _print_sweep(result, measure, base)
    if result.errors:
        _exit_with_failed_runs(bar, out)


def optimize_command(
    scenario: ScenarioFile,
    minimize: Minimize = "cost_usd",
    subject_to: SubjectTo = [],  # noqa: B006
    vary: Vary = [],  # noqa: B006
    trials: Trials = 64,
    replications: SearchReplications = 3,
    confirm: Confirm = 10,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    out: StudyOut = "searches",
    resume: Resume = False,
    seed: Seed = None,
    set_: PointSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Find the cheapest point that keeps all bounds, and confirm it by runs with fresh seeds."""
    from rich.console import Console

    from clustersim.study.search.constraints import parse_bounds
    from clustersim.study.search.search import prepare_search
    from clustersim.study.search.search_report import print_optimum
    from clustersim.study.search.search_state import SearchGoal
    from clustersim.study.sweep.progress import ProgressBar

    _check_cluster_options(jobs, scheduler)
    request = _read_request(vary, None, None, False, None, seed, set_)
    with ProgressBar(Console(stderr=True), quiet) as bar:
        try:
            goal = SearchGoal(minimize, parse_bounds(subject_to), trials, replications, confirm)
            search = prepare_search(scenario, request, goal, out, resume=resume)
        except (ScenarioError, ResultsError) as error:
            exit_with_error(str(error), INVALID_INPUT)
        bar.start(search.base.name, search.base.warnings)
        optimum = _execute(
            lambda client: search.run(client, bar), jobs, scheduler, search.store.working_location
        )
    if not quiet:
        print_optimum(optimum, Console())
    if optimum.sweep.errors:
        _exit_with_failed_runs(bar, out)
    if optimum.point is None:
        raise typer.Exit(FAILURE)


def compare_command(
    scenario: ScenarioFile,
    options: Options = None,
    replications: Replications = None,
    loads: Loads = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    out: StudyOut = "comparisons",
    resume: Resume = False,
    seed: Seed = None,
    set_: OptionSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Run a scenario on plain EC2, ECS on EC2 and ECS on Fargate, and show which is best by each criterion."""
    from rich.console import Console

    from clustersim.study.compare.compare import prepare_comparison
    from clustersim.study.compare.plan import ComparisonRequest
    from clustersim.study.compare.report import print_comparison
    from clustersim.study.compare.result import Comparison
    from clustersim.study.sweep.progress import ProgressBar

    _check_cluster_options(jobs, scheduler)
    names = None if options is None else [name.strip() for name in options.split(",")]
    factors = None if loads is None else _parse_factors(loads)
    request = ComparisonRequest(names, factors, replications, set_, seed)
    with ProgressBar(Console(stderr=True), quiet) as bar:
        try:
            prepared = prepare_comparison(scenario, request, out, resume=resume, listener=bar)
        except (ScenarioError, ResultsError) as error:
            exit_with_error(str(error), INVALID_INPUT)
        plan = prepared.plan
        bar.start(plan.base.name, plan.warnings, plan.paths, [point.values for point in plan.points])
        result = _execute(
            lambda client: prepared.run(client, bar), jobs, scheduler, prepared.store.working_location
        )
    if not quiet:
        print_comparison(Comparison.from_sweep(result), Console())
    if result.errors:
        _exit_with_failed_runs(bar, out)


def _check_cluster_options(jobs: int | None, scheduler: str | None) -> None:
    if jobs is not None and scheduler is not None:
        exit_with_error("--jobs and --scheduler exclude each other; leave one out", INVALID_INPUT)


def _parse_factors(text: str) -> list[float]:
    """Return the numbers of `0.5,1,2`, or exit with the problem."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        exit_with_error(f"--loads {text}: is not a list of numbers; write it like 0.1,0.5,1,2", INVALID_INPUT)


def _print_sweep(result: Sweep, measures: Sequence[str], base: int) -> None:
    """Print the report of a sweep, and a warning for each measure that no run has."""
    from rich.console import Console

    from clustersim.study.sweep.sweep_report import print_sweep

    known = [name for name in measures if name in result.measures]
    for name in measures:
        if name not in known:
            typer.echo(f"warning: --measure: no run has {name!r}", err=True)
    print_sweep(result, Console(), known, base)


def _read_request(
    vary: Sequence[str],
    design: Any,
    points: str | None,
    sensitivity: bool,
    replications: int | None,
    seed: int | None,
    overrides: Sequence[str],
) -> SweepRequest:
    """Return the options as a request, or exit with their problems."""
    from clustersim.study.sweep.plan import SweepRequest
    from clustersim.study.sweep.varied_parameters import parse_vary

    number = int(points) if points is not None and points.strip().isdecimal() else None
    file = None if points is None or number is not None else Path(points)
    if number == 0:
        exit_with_error("--points 0: a design has at least one point", INVALID_INPUT)
    try:
        varied = parse_vary(vary) if vary else None
    except ScenarioError as error:
        exit_with_error(str(error), INVALID_INPUT)
    return SweepRequest(
        vary=varied,
        design=design,
        points=number or file,
        sensitivity=sensitivity,
        replications=replications,
        overrides=overrides,
        seed=seed,
    )


def _execute(
    run_study: Callable[[Client], Result], jobs: int | None, scheduler: str | None, working_location: str
) -> Result:
    """Run a study with a Dask client; if it stops early, exit with the command that continues it."""
    from clustersim.study.execution.dask_cluster import ClusterError, open_dask_client

    command = shlex.join(["clustersim", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
    hint = f"finished runs are kept in {working_location}; continue with: {command}"
    try:
        with open_dask_client(jobs, scheduler) as client:
            return run_study(client)
    except ClusterError as error:
        exit_with_error(str(error), FAILURE)
    except ResultsError as error:
        exit_with_error(f"{error}; {hint}", FAILURE)
    except KeyboardInterrupt:
        exit_with_error(f"interrupted; {hint}", FAILURE)


def _exit_with_failed_runs(bar: ProgressBar, out: str) -> NoReturn:
    """Write the first traceback to a file and exit: the result is complete, but some of its runs failed."""
    path = Path("." if "://" in out else out) / "clustersim-traceback.txt"
    if bar.trace:
        path.write_text(bar.trace, encoding="utf-8")
        typer.echo(f"some runs failed (the first one's traceback is in {path})", err=True)
    raise typer.Exit(FAILURE)
