"""The arguments and options of all commands: names, types and help texts.

Must not import anything heavy, so that `--help` is quick. The command modules annotate their parameters with them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

ScenarioFile = Annotated[Path, typer.Argument(help="A scenario file (YAML or JSON).", metavar="SCENARIO")]
ScenarioFiles = Annotated[
    list[Path], typer.Argument(help="Scenario files (YAML or JSON).", metavar="SCENARIO...")
]
Seed = Annotated[int | None, typer.Option(help="Replaces the scenario's seed.", metavar="N")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress bar, no table, no warnings.")]

# --- run and validate --------------------------------------------------------------------------------------

RunOut = Annotated[
    Path, typer.Option("--out", help="Results are written to DIR/NAME/ for each scenario.", metavar="DIR")
]
RunSet = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Replaces a value: services.web.desiredCount=8. May be repeated.",
        metavar="PATH=VALUE",
    ),
]
TableFormat = Annotated[
    Literal["arrow", "parquet"], typer.Option("--format", help="Format of the result tables.")
]

# --- sweep, optimize and compare ---------------------------------------------------------------------------

StudyOut = Annotated[
    str,
    typer.Option(
        "--out", help="Results are written to DIR/NAME/; DIR is a directory or s3://...", metavar="DIR"
    ),
]
PointSet = Annotated[
    list[str],
    typer.Option("--set", help="Replaces a value at all points. May be repeated.", metavar="PATH=VALUE"),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        help="Number of worker processes; by default one per core. 1 runs everything in this process.",
        min=1,
        metavar="N",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Address of a Dask scheduler to use instead of local processes.", metavar="tcp://HOST:PORT"
    ),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue an earlier attempt: only missing runs are executed.")
]
Vary = Annotated[
    list[str],
    typer.Option(
        "--vary",
        help="Values of a varied path: PATH=4,8,16 or, for designs other than grid,"
        " PATH='{from: 4, to: 16, integer: true}'. May be repeated; replaces the scenario's sweep.vary.",
        metavar="PATH=VALUES",
    ),
]
Design = Annotated[
    Literal["grid", "latinHypercube", "sobol", "points"] | None,
    typer.Option(
        help="Layout of the points: every combination (grid), a number of points spread over the ranges"
        " (latinHypercube, sobol), or the rows of a file (points)."
    ),
]
Points = Annotated[
    str | None,
    typer.Option(
        help="Number of points, or a CSV file of points with the paths as its header.", metavar="N|FILE"
    ),
]
Sensitivity = Annotated[
    bool,
    typer.Option("--sensitivity", help="With --design sobol: N x (paths + 2) points, and Sobol indices."),
]
Replications = Annotated[
    int | None, typer.Option(help="Number of replications of each point.", min=1, metavar="N")
]
UntilWidth = Annotated[
    list[str],
    typer.Option(
        help="Adds replications until the 95 % interval of a mean is at most this wide, from end to end:"
        " cost_usd=2% or cost_usd=5. May be repeated.",
        metavar="MEASURE=WIDTH",
    ),
]
Measures = Annotated[
    list[str],
    typer.Option("--measure", help="A number of summary.json to show. May be repeated.", metavar="NAME"),
]
Base = Annotated[int, typer.Option(help="The point with which the others are compared.", min=0, metavar="N")]
Minimize = Annotated[str, typer.Option(help="The number of summary.json to minimize.", metavar="MEASURE")]
SubjectTo = Annotated[
    list[str],
    typer.Option(
        help='A bound to keep: "services.web.availability>=0.999". May be repeated.',
        metavar="MEASURE>=VALUE",
    ),
]
Trials = Annotated[int, typer.Option(help="Number of points to propose.", min=1, metavar="N")]
SearchReplications = Annotated[
    int, typer.Option("--replications", help="Number of runs of each proposed point.", min=1, metavar="N")
]
Confirm = Annotated[
    int,
    typer.Option(help="Number of runs with fresh seeds of each of the best points.", min=2, metavar="N"),
]
Options = Annotated[
    str | None,
    typer.Option(
        help="Launch options to compare: ec2, ecs-ec2, ecs-fargate, ecs-ec2-spot, ecs-fargate-spot; by default"
        " the first three, or those of the scenario's compare block.",
        metavar="NAME,NAME,...",
    ),
]
Loads = Annotated[
    str | None,
    typer.Option(
        help="Multiples of the load for the break-even, by default 0.1,0.25,0.5,1,2; 1: the load itself only.",
        metavar="FACTOR,FACTOR,...",
    ),
]
OptionSet = Annotated[
    list[str],
    typer.Option(
        "--set",
        help="Replaces a value of the scenario; OPTION:PATH=VALUE replaces one of a launch option."
        " May be repeated.",
        metavar="[OPTION:]PATH=VALUE",
    ),
]
