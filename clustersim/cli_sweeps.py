"""The commands that do many runs: `sweep`, `optimize` and `compare`, their arguments, their progress bar, their end.

Decides what is asked and what is shown while it lasts. Must not know how runs are done. `cli` registers them.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NoReturn, TypeVar

import typer

from clustersim.errors import ResultsError, ScenarioError

if TYPE_CHECKING:
    from distributed import Client

    from clustersim.study.sweep.plan import Request
    from clustersim.study.sweep.progress import Bar
    from clustersim.study.sweep.sweep_result import Sweep

Result = TypeVar("Result")

Vary = Annotated[
    list[str],
    typer.Option(
        "--vary",
        help="What is varied: PATH=4,8,16 or, for designs other than grid, PATH='{from: 4, to: 16, integer: true}'."
        " May be repeated; takes the place of the scenario's sweep.vary.",
        metavar="PATH=VALUES",
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Worker processes; by default one per core, 1 works in this process.", min=1, metavar="N"
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="A Dask scheduler in place of processes here.", metavar="tcp://HOST:PORT")
]
Out = Annotated[str, typer.Option(help="Where results go, DIR/NAME/: a directory or s3://.", metavar="DIR")]
Resume = Annotated[bool, typer.Option("--resume", help="Do only what is missing of an earlier attempt.")]
Seed = Annotated[int | None, typer.Option(help="Replaces the scenario's seed.", metavar="N")]
Set = Annotated[
    list[str],
    typer.Option("--set", help="Replaces a value at all points. May be repeated.", metavar="PATH=VALUE"),
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no table, no warnings.")]


Scenario = Annotated[Path, typer.Argument(help="A scenario file.", metavar="SCENARIO")]
Design = Annotated[
    Literal["grid", "latinHypercube", "sobol", "points"] | None,
    typer.Option(
        help="How points are laid out: every combination (grid), or so many spread over the ranges."
    ),
]
Points = Annotated[
    str | None,
    typer.Option(
        help="How many points, or a CSV file of them with the paths as its header.", metavar="N|FILE"
    ),
]
Sensitivity = Annotated[
    bool,
    typer.Option("--sensitivity", help="With --design sobol: N x (paths + 2) points, and Sobol indices."),
]
Replications = Annotated[
    int | None, typer.Option(help="How often each point is repeated.", min=1, metavar="N")
]
UntilWidth = Annotated[
    list[str],
    typer.Option(
        help="Goes on until the 95 % interval of a mean is so narrow, from end to end: cost_usd=2% or cost_usd=5.",
        metavar="MEASURE=WIDTH",
    ),
]
Measures = Annotated[
    list[str],
    typer.Option("--measure", help="A number of summary.json to show; may be repeated.", metavar="NAME"),
]
Base = Annotated[int, typer.Option(help="The point that others are compared with.", min=0, metavar="N")]


Minimize = Annotated[
    str, typer.Option(help="The number of summary.json that is to be small.", metavar="MEASURE")
]
SubjectTo = Annotated[
    list[str],
    typer.Option(
        help='A bound to keep: "services.web.availability>=0.999". May be repeated.', metavar="MEASURE>=VALUE"
    ),
]
Trials = Annotated[int, typer.Option(help="How many points to propose.", min=1, metavar="N")]
Repeated = Annotated[
    int, typer.Option("--replications", help="Runs of each proposed point.", min=1, metavar="N")
]
Confirm = Annotated[
    int, typer.Option(help="Runs of each of the best points with fresh seeds.", min=2, metavar="N")
]


Options = Annotated[
    str | None,
    typer.Option(
        help="Ways of running it: ec2, ecs-ec2, ecs-fargate, ecs-ec2-spot, ecs-fargate-spot; by default the first"
        " three, or those of the scenario's compare block.",
        metavar="NAME,NAME,...",
    ),
]
Loads = Annotated[
    str | None,
    typer.Option(
        help="Multiples of the load for the break-even, by default 0.1,0.25,0.5,1,2; 1 looks at the load itself only.",
        metavar="FACTOR,FACTOR,...",
    ),
]
OptionSet = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Replaces a value; OPTION:PATH=VALUE one of what an option makes. May be repeated.",
        metavar="[OPTION:]PATH=VALUE",
    ),
]


def sweep(
    scenario: Scenario,
    vary: Vary = [],  # noqa: B006  (typer copies it)
    design: Design = None,
    points: Points = None,
    sensitivity: Sensitivity = False,
    replications: Replications = None,
    until_width: UntilWidth = [],  # noqa: B006
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    out: Out = "sweeps",
    resume: Resume = False,
    measure: Measures = [],  # noqa: B006
    base: Base = 0,
    seed: Seed = None,
    set_: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Run a scenario at many points, each several times, and say how they differ."""
    from rich.console import Console

    from clustersim.study.sweep.progress import Bar
    from clustersim.study.sweep.sweep import prepare

    if jobs is not None and scheduler is not None:
        fail("--jobs and --scheduler exclude each other; leave one out", 2)
    request = _request(vary, design, points, sensitivity, replications, seed, set_)
    with Bar(Console(stderr=True), quiet) as bar:
        try:
            undertaking = prepare(scenario, request, out, resume=resume, until_width=until_width, watcher=bar)
        except (ScenarioError, ResultsError) as error:
            fail(str(error), 2)
        plan = undertaking.plan
        if base >= len(plan.points):
            fail(f"--base {base}: there are {len(plan.points)} points, counted from 0", 2)
        bar.begin(plan.base.name, plan.warnings, plan.paths, [point.values for point in plan.points])
        result = _through(
            lambda client: undertaking.run(client, bar), jobs, scheduler, undertaking.place.growing
        )
    if not quiet:
        _show(result, measure, base)
    if result.errors:
        _tell_failures(bar, out)


def optimize(
    scenario: Scenario,
    minimize: Minimize = "cost_usd",
    subject_to: SubjectTo = [],  # noqa: B006
    vary: Vary = [],  # noqa: B006
    trials: Trials = 64,
    replications: Repeated = 3,
    confirm: Confirm = 10,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    out: Out = "searches",
    resume: Resume = False,
    seed: Seed = None,
    set_: Set = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Find the cheapest point that meets objectives, and run it again with fresh seeds before it is reported."""
    from rich.console import Console

    from clustersim.study.search.constraints import read_objectives
    from clustersim.study.search.search import prepare_search
    from clustersim.study.search.search_report import print_optimum
    from clustersim.study.search.search_state import Goal
    from clustersim.study.sweep.progress import Bar

    if jobs is not None and scheduler is not None:
        fail("--jobs and --scheduler exclude each other; leave one out", 2)
    request = _request(vary, None, None, False, None, seed, set_)
    with Bar(Console(stderr=True), quiet) as bar:
        try:
            goal = Goal(minimize, read_objectives(subject_to), trials, replications, confirm)
            search = prepare_search(scenario, request, goal, out, resume=resume)
        except (ScenarioError, ResultsError) as error:
            fail(str(error), 2)
        bar.begin(search.base.name, search.base.warnings)
        found = _through(lambda client: search.run(client, bar), jobs, scheduler, search.place.growing)
    if not quiet:
        print_optimum(found, Console())
    if found.sweep.errors:
        _tell_failures(bar, out)
    if found.point is None:
        raise typer.Exit(1)


def compare(
    scenario: Scenario,
    options: Options = None,
    replications: Replications = None,
    loads: Loads = None,
    jobs: Jobs = None,
    scheduler: Scheduler = None,
    out: Out = "comparisons",
    resume: Resume = False,
    seed: Seed = None,
    set_: OptionSet = [],  # noqa: B006
    quiet: Quiet = False,
) -> None:
    """Run a scenario as plain EC2, ECS on EC2 and ECS on Fargate, and say which wins on what."""
    from rich.console import Console

    from clustersim.study.compare.compare import prepare_comparison
    from clustersim.study.compare.plan import Asked
    from clustersim.study.compare.report import print_comparison
    from clustersim.study.compare.result import Comparison
    from clustersim.study.sweep.progress import Bar

    if jobs is not None and scheduler is not None:
        fail("--jobs and --scheduler exclude each other; leave one out", 2)
    names = None if options is None else [name.strip() for name in options.split(",")]
    asked = Asked(names, None if loads is None else _factors(loads), replications, set_, seed)
    with Bar(Console(stderr=True), quiet) as bar:
        try:
            undertaking = prepare_comparison(scenario, asked, out, resume=resume, watcher=bar)
        except (ScenarioError, ResultsError) as error:
            fail(str(error), 2)
        plan = undertaking.plan
        bar.begin(plan.base.name, plan.warnings, plan.paths, [point.values for point in plan.points])
        result = _through(
            lambda client: undertaking.run(client, bar), jobs, scheduler, undertaking.place.growing
        )
    if not quiet:
        print_comparison(Comparison.of(result), Console())
    if result.errors:
        _tell_failures(bar, out)


def _factors(text: str) -> list[float]:
    """`0.5,1,2` as numbers, or what is wrong with it and exit code 2."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        fail(f"--loads {text}: is no list of numbers; write it like 0.1,0.5,1,2", 2)


def _show(result: Sweep, measures: Sequence[str], base: int) -> None:
    """The closing table."""
    from rich.console import Console

    from clustersim.study.sweep.sweep_report import print_sweep

    shown = [name for name in measures if name in result.measures]
    for name in measures:
        if name not in shown:
            typer.echo(f"warning: --measure: no run has {name!r}", err=True)
    print_sweep(result, Console(), shown, base)


def _request(
    vary: Sequence[str],
    design: Any,
    points: str | None,
    sensitivity: bool,
    replications: int | None,
    seed: int | None,
    overrides: Sequence[str],
) -> Request:
    """The arguments as a request, or what is wrong with them and exit code 2."""
    from clustersim.study.sweep.plan import Request
    from clustersim.study.sweep.varied_parameters import parse_vary

    number = int(points) if points is not None and points.strip().isdecimal() else None
    file = None if points is None or number is not None else Path(points)
    if number == 0:
        fail("--points 0: a design has at least one point", 2)
    try:
        varied = parse_vary(vary) if vary else None
    except ScenarioError as error:
        fail(str(error), 2)
    return Request(
        vary=varied,
        design=design,
        points=number or file,
        sensitivity=sensitivity,
        replications=replications,
        overrides=overrides,
        seed=seed,
    )


def _through(do: Callable[[Client], Result], jobs: int | None, scheduler: str | None, growing: str) -> Result:
    """Does something with workers; however it ends early, what is done is kept and the way on is said."""
    from clustersim.study.execution.dask_cluster import ClusterError, workers

    again = shlex.join(["clustersim", *(word for word in sys.argv[1:] if word != "--resume"), "--resume"])
    kept = f"what is done is kept in {growing}; go on with: {again}"
    try:
        with workers(jobs, scheduler) as client:
            return do(client)
    except ClusterError as error:
        fail(str(error), 1)
    except ResultsError as error:
        fail(f"{error}; {kept}", 1)
    except KeyboardInterrupt:
        fail(f"interrupted; {kept}", 1)


def _tell_failures(bar: Bar, out: str) -> NoReturn:
    """Some runs failed: the sweep is complete, but the command has not done all that was asked."""
    place = Path("." if "://" in out else out) / "clustersim-traceback.txt"
    if bar.trace:
        place.write_text(bar.trace, encoding="utf-8")
        typer.echo(f"some runs failed (the first one's traceback is in {place})", err=True)
    raise typer.Exit(1)


def fail(message: str, code: int) -> NoReturn:
    """Ends with a message on standard error."""
    typer.echo(message, err=True)
    raise typer.Exit(code)
