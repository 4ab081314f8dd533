"""The search for the best point: ask for points, run them, tell how they did, confirm the best with fresh luck.

Decides the order of asking and telling, what counts as feasible, and which point is reported. Must not know how
points are proposed (optuna does) nor who runs them. `cs.optimize` and the command line call it.

Points are asked for in generations of a fixed size and told in their order, so the search takes the same course
with any number of workers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustersim import stats
from clustersim.errors import ResultsError, ScenarioError
from clustersim.record.schema import SCHEMA_VERSION
from clustersim.scenario.sections.scenario import Scenario
from clustersim.study.execution.dask_cluster import workers
from clustersim.study.execution.dispatcher import Dispatcher
from clustersim.study.execution.result_store import Place, place_of
from clustersim.study.execution.worker import Task
from clustersim.study.pages.metric_labels import figure, short_paths, value_told
from clustersim.study.search.constraints import read_objectives
from clustersim.study.search.optuna_sampler import Proposal, Proposer
from clustersim.study.search.search_state import Goal, Nearest, Tally
from clustersim.study.sweep.finalize import Watcher, begin, check_measure, complete, take_up
from clustersim.study.sweep.plan import Reading, Request, check_ends, open_plan
from clustersim.study.sweep.provenance import Terms, design_terms, scenario_terms
from clustersim.study.sweep.sweep_result import Sweep
from clustersim.study.sweep.varied_parameters import read_vary

if TYPE_CHECKING:
    from distributed import Client

GENERATION = 8  # points asked for at once, whatever the number of workers
FINALISTS = 3  # points that are run again with fresh luck, at a time


@dataclass(frozen=True)
class Optimum:
    """What a search has found.

    `point` is None where no point kept all bounds: then `least_missing` came closest, and `nearest` says how close
    each bound was. `confirmed` has the interval of each measure over replications that the search had not seen,
    `searched` the means that made it choose the point, usually a little too good. `sweep` holds every run.
    """

    goal: Goal
    sweep: Sweep
    point: int | None
    confirmed: Mapping[str, stats.Interval]
    searched: Mapping[str, float]
    nearest: tuple[Nearest, ...]
    least_missing: int | None
    fallen: int
    """Points that kept the bounds in the search and not with fresh luck."""
    unsound: tuple[str, ...]
    """Why points that were proposed were no sound scenarios."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values of the best point by path; nothing where there is none."""
        return {} if self.point is None else self.sweep.points[self.point]


@dataclass
class Search:
    """A search that may begin; `run` carries it out."""

    reading: Reading
    base: Scenario
    place: Place
    terms: Terms
    resumed: bool
    proposer: Proposer
    tally: Tally
    unsound: dict[str, None] = field(default_factory=dict)

    @property
    def goal(self) -> Goal:
        """What is searched for."""
        return self.tally.goal

    def run(self, client: Client, watcher: Watcher) -> Optimum:
        """Searches, confirms, writes the result. Raises ResultsError where it cannot go on."""
        wall, cpu = time.perf_counter(), time.process_time()
        content = begin(self.place, self.terms, self.resumed)
        dispatcher = Dispatcher(client, self.place, content, self._scenario)
        self._explore(dispatcher, watcher)
        chosen, fallen = self._confirm(dispatcher, watcher)
        timings = {"wall_s": time.perf_counter() - wall, "client_cpu_s": time.process_time() - cpu}
        tally = self.tally
        listed = [
            {"values": list(values), "scenario_digest": digest}
            for values, digest in zip(tally.values, tally.digests, strict=True)
        ]
        terms = {**self.terms, "points": listed}
        sweep = complete(self.place, terms, dict(enumerate(tally.values)), tally.rows, timings)
        return Optimum(
            goal=self.goal,
            sweep=sweep,
            point=chosen,
            confirmed={} if chosen is None else tally.intervals(chosen, self.goal.confirming),
            searched={} if chosen is None else tally.means(chosen, self.goal.searching),
            nearest=tally.nearest(),
            least_missing=tally.least_missing(),
            fallen=fallen,
            unsound=tuple(self.unsound),
        )

    def _scenario(self, point: int) -> Scenario:
        return self.reading.scenario(self.tally.values[point])

    def _explore(self, dispatcher: Dispatcher, watcher: Watcher) -> None:
        """Generation after generation, until the trials are used up or every point has been seen."""
        proposer, left = self.proposer, self.goal.trials
        while left > 0 and len(self.tally.values) < proposer.size:
            proposals = proposer.ask(min(GENERATION, left))
            left -= len(proposals)
            points = [self._point(proposal) for proposal in proposals]
            new = [
                point for point in dict.fromkeys(points) if point is not None and not self.tally.seen(point)
            ]
            tasks = [Task(point, number) for point in new for number in self.goal.searching]
            watcher.total(len(self.tally.rows) + len(tasks) + left * self.goal.replications)
            self._do(tasks, dispatcher, watcher)
            for proposal, point in zip(proposals, points, strict=True):
                self._tell(proposer, proposal, point)
            watcher.best(self._best())
        if not self.tally.values:
            raise ResultsError(
                f"no point that was proposed is a sound scenario; {next(iter(self.unsound), '')}"
            )

    def _point(self, proposal: Proposal) -> int | None:
        """The number of a proposed point; None where it is no sound scenario."""
        known = self.tally.number(proposal.values)
        if known is not None:
            return known
        try:
            scenario = self.reading.scenario(proposal.values)
        except ScenarioError as error:
            self.unsound.setdefault(error.problems[0])
            return None
        return self.tally.enter(proposal.values, scenario.digest)

    def _do(self, tasks: Iterable[Task], dispatcher: Dispatcher, watcher: Watcher) -> None:
        for row in dispatcher.run(tasks):
            check_measure(row, self.goal.minimize, "--minimize")
            for objective in self.goal.objectives:
                check_measure(row, objective.measure, "--subject-to")
            self.tally.add(row)
            watcher.done(row)

    def _tell(self, proposer: Proposer, proposal: Proposal, point: int | None) -> None:
        means = {} if point is None else self.tally.means(point, self.goal.searching)
        if any(math.isnan(means.get(measure, math.nan)) for measure in self.goal.measures):
            proposer.failed(proposal)
            return
        misses = {str(each): each.miss(means[each.measure]) for each in self.goal.objectives}
        proposer.tell(proposal, means[self.goal.minimize], misses)

    def _confirm(self, dispatcher: Dispatcher, watcher: Watcher) -> tuple[int | None, int]:
        """The best point that keeps its promise with fresh luck, and how many did not.

        The winner of many noisy comparisons is partly lucky, so it is judged by runs that did not choose it.
        """
        feasible, fallen = self.tally.feasible(), 0
        for first in range(0, len(feasible), FINALISTS):
            finalists = feasible[first : first + FINALISTS]
            tasks = [Task(point, number) for point in finalists for number in self.goal.confirming]
            watcher.total(len(self.tally.rows) + len(tasks))
            self._do(tasks, dispatcher, watcher)
            held = self.tally.held(finalists)
            fallen += len(finalists) - len(held)
            if held:
                return held[0], fallen
        return None, fallen

    def _best(self) -> str:
        """The best point so far in words."""
        feasible = self.tally.feasible()
        if not feasible:
            return "no point keeps the bounds yet"
        measure = self.goal.minimize
        mean = self.tally.means(feasible[0], self.goal.searching)[measure]
        pairs = zip(short_paths(self.reading.design.paths), self.tally.values[feasible[0]], strict=True)
        return " ".join(
            [f"best {figure(measure, mean)}", *(f"{name}={value_told(value)}" for name, value in pairs)]
        )


def prepare_search(
    path: Path, request: Request, goal: Goal, out: str | Path, *, resume: bool = False
) -> Search:
    """Reads the scenario, looks at the ends of every range and at the place; nothing is written.

    Raises ScenarioError for what is wrong with the scenario or what is varied, ResultsError for a place that is
    not to be used, or optuna that is not installed.
    """
    reading = open_plan(path, request)
    base = reading.base()
    check_ends(reading)
    place = place_of(out, base.name)
    terms = {
        "schema_version": SCHEMA_VERSION,
        "kind": "search",
        **scenario_terms(base),
        "design": design_terms(reading.design) | {"design": "search"},
        "replications": goal.replications,
        "search": {
            "minimize": goal.minimize,
            "subject_to": [str(objective) for objective in goal.objectives],
            "trials": goal.trials,
            "replications": goal.replications,
            "confirm": goal.confirm,
        },
        "points": [],
    }
    proposer = Proposer(reading.design, base.seed)
    return Search(reading, base, place, terms, take_up(place, terms, resume), proposer, Tally(goal))


def optimize(
    path: str | Path,
    *,
    minimize: str = "cost_usd",
    subject_to: Sequence[str] = (),
    vary: Mapping[str, Any] | None = None,
    trials: int = 64,
    replications: int = 3,
    confirm: int = 10,
    jobs: int | None = None,
    scheduler: str | None = None,
    out: str | Path = "searches",
    resume: bool = False,
    seed: int | None = None,
    set: Sequence[str] = (),
) -> Optimum:
    """Finds the point of the least `minimize` that keeps the bounds `subject_to`, as `clustersim optimize` does.

    Looks at `trials` points with `replications` runs each and runs the best again `confirm` times with fresh luck.
    `vary` is as in `sweep`. Raises ScenarioError and ResultsError as `sweep` does.
    """
    request = Request(vary=None if vary is None else read_vary(vary), overrides=set, seed=seed)
    goal = Goal(minimize, read_objectives(subject_to), trials, replications, confirm)
    search = prepare_search(Path(path), request, goal, out, resume=resume)
    with workers(jobs, scheduler) as client:
        return search.run(client, Watcher())
