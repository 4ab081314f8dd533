"""A sweep from its plan to its result: what is missing is done, what is there counts, then it becomes whole.

Decides the order of things and what may be taken up again. Must not know terminals or processes. `cs.sweep`
and the command line call `prepare` and then `Undertaking.run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.sweep import DesignKind
from clustersim.study.execution.dask_cluster import workers
from clustersim.study.execution.dispatcher import Dispatcher
from clustersim.study.execution.result_store import Place, place_of
from clustersim.study.execution.worker import Measured, Row, Task
from clustersim.study.sweep.finalize import Watcher, begin, check_measure, complete, take_up
from clustersim.study.sweep.page import page_of
from clustersim.study.sweep.plan import Plan, Request, read_plan
from clustersim.study.sweep.precision_stopping import LEAST, Width, more_tasks, read_width
from clustersim.study.sweep.provenance import Terms, terms_of
from clustersim.study.sweep.sweep_result import Sweep
from clustersim.study.sweep.varied_parameters import read_vary

if TYPE_CHECKING:
    from distributed import Client


@dataclass
class Undertaking:
    """A sweep that may begin: its points are sound, and its place may be used."""

    plan: Plan
    place: Place
    terms: Terms
    widths: tuple[Width, ...]
    resumed: bool
    measured: Measured | None = None
    show: Callable[[Sweep], str] = page_of
    rows: list[Row] = field(default_factory=list)

    def run(self, client: Client, watcher: Watcher) -> Sweep:
        """Does what is missing and makes the result. Raises ResultsError where it cannot go on."""
        wall, cpu = time.perf_counter(), time.process_time()
        content = begin(self.place, self.terms, self.resumed)
        there = self.place.runs() if self.resumed else []
        dispatcher = Dispatcher(client, self.place, content, self.plan.scenario, self.measured)
        numbers = range(self.plan.replications)
        tasks = [Task(point, number) for point in range(len(self.plan.points)) for number in numbers]
        while tasks:
            watcher.total(len(self.rows) + len(tasks))
            for row in dispatcher.run(tasks):
                for width in self.widths:
                    check_measure(row, width.measure, "--until-width")
                self.rows.append(row)
                watcher.done(row)
            tasks = more_tasks(self.rows, self.widths) if self.widths else []
            if not tasks:  # more replications than are asked for now: they are there, so they count
                tasks = sorted({Task(*run) for run in there} - {row.task for row in self.rows})
                there = []
        timings = {"wall_s": time.perf_counter() - wall, "client_cpu_s": time.process_time() - cpu}
        points = {number: point.values for number, point in enumerate(self.plan.points)}
        return complete(self.place, self.terms, points, self.rows, timings, self.show)


def prepare(
    path: Path,
    request: Request,
    out: str | Path,
    *,
    resume: bool = False,
    until_width: Sequence[str] = (),
    watcher: Watcher | None = None,
) -> Undertaking:
    """Reads every point and looks at the place; nothing is written.

    Raises ScenarioError for what is wrong with the scenario or the points, ResultsError for a place that is not
    to be used, or a sweep that is not the one to be resumed.
    """
    widths = _widths(until_width)
    plan = read_plan(path, request, (watcher or Watcher()).checking)
    if widths:
        plan.reading.replications = max(plan.replications, LEAST)
    place = place_of(out, plan.base.name)
    terms = terms_of(plan, {width.measure: str(width) for width in widths})
    return Undertaking(plan, place, terms, widths, take_up(place, terms, resume))


def _widths(texts: Sequence[str]) -> tuple[Width, ...]:
    try:
        return tuple(read_width(text) for text in texts)
    except ValueError as error:
        raise ScenarioError([f"--until-width: {error}"]) from None


def sweep(
    path: str | Path,
    *,
    vary: Mapping[str, Any] | None = None,
    design: DesignKind | None = None,
    points: int | str | Path | None = None,
    sensitivity: bool = False,
    replications: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    out: str | Path = "sweeps",
    resume: bool = False,
    until_width: Mapping[str, str | float] | None = None,
    seed: int | None = None,
    set: Sequence[str] = (),
) -> Sweep:
    """Sweeps a scenario file into `out`/NAME and returns the result, as `clustersim sweep` does.

    `vary` has a list of values, or a range like `{"from": 70, "to": 100, "integer": True}`, by path; without it
    the scenario's `sweep` block says what is varied. Raises ScenarioError with every problem of the scenario and
    its points, ResultsError where results cannot be written or resumed.
    """
    asked = Request(
        vary=None if vary is None else read_vary(vary),
        design=design,
        points=Path(points) if isinstance(points, str) else points,
        sensitivity=sensitivity,
        replications=replications,
        overrides=set,
        seed=seed,
    )
    widths = [f"{measure}={width}" for measure, width in (until_width or {}).items()]
    undertaking = prepare(Path(path), asked, out, resume=resume, until_width=widths)
    with workers(jobs, scheduler) as client:
        return undertaking.run(client, Watcher())
