"""The search for the best point: propose points, run them, report their values, confirm the best by fresh runs.

Decides the order of proposals and reports, and which point is the result. Must not know how points are proposed
(`optuna_sampler` does) nor where runs are executed. `cs.optimize` and the command line call it.

Points are proposed in generations of a fixed size and reported in their order, so the search takes the same course
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
from clustersim.study.execution.dask_cluster import open_dask_client
from clustersim.study.execution.dispatcher import Dispatcher
from clustersim.study.execution.result_store import ResultStore, open_store
from clustersim.study.execution.worker import RunSpec
from clustersim.study.pages.measure_labels import format_value, format_varied_value, shorten_paths
from clustersim.study.search.constraints import parse_bounds
from clustersim.study.search.optuna_sampler import OptunaSampler, ProposedPoint
from clustersim.study.search.search_state import ClosestMiss, SearchGoal, SearchState
from clustersim.study.sweep.finalize import (
    ProgressListener,
    begin_sweep,
    check_measure,
    check_resumable,
    finish_sweep,
)
from clustersim.study.sweep.plan import SweepRequest, VariedScenario, check_range_ends, open_varied_scenario
from clustersim.study.sweep.provenance import SweepIdentity, describe_design, identify_scenario
from clustersim.study.sweep.sweep_result import Sweep
from clustersim.study.sweep.varied_parameters import check_vary

if TYPE_CHECKING:
    from distributed import Client

GENERATION = 8  # points proposed at once, whatever the number of workers
FINALISTS = 3  # points that are confirmed at a time


@dataclass(frozen=True)
class Optimum:
    """The result of a search.

    `point` is None if no point keeps all bounds: then `closest_point` came closest to all of them, and
    `closest_misses` has the best mean for each. `confirmed` has the interval of each measure over replications that
    the search had not seen, `search_means` the means by which it selected the point, usually a little too good.
    `sweep` holds every run.
    """

    goal: SearchGoal
    sweep: Sweep
    point: int | None
    confirmed: Mapping[str, stats.Interval]
    search_means: Mapping[str, float]
    closest_misses: tuple[ClosestMiss, ...]
    closest_point: int | None
    unconfirmed: int
    """The number of points that were feasible in the search but not in the confirmation replications."""
    invalid: tuple[str, ...]
    """The problems of proposed points that were not valid scenarios, each once."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values of the best point by path; empty if there is none."""
        return {} if self.point is None else self.sweep.points[self.point]


@dataclass
class Search:
    """A prepared search; `run` executes it."""

    varied_scenario: VariedScenario
    base: Scenario
    store: ResultStore
    identity: SweepIdentity
    resumed: bool
    sampler: OptunaSampler
    state: SearchState
    invalid: dict[str, None] = field(default_factory=dict)

    @property
    def goal(self) -> SearchGoal:
        """The measure to minimise, the bounds and the budget."""
        return self.state.goal

    def run(self, client: Client, listener: ProgressListener) -> Optimum:
        """Search, confirm and write the result. Raises ResultsError if it cannot go on."""
        wall, cpu = time.perf_counter(), time.process_time()
        content = begin_sweep(self.store, self.identity, self.resumed)
        dispatcher = Dispatcher(client, self.store, content, self._read_scenario)
        self._explore(dispatcher, listener)
        best, unconfirmed = self._confirm(dispatcher, listener)
        timings = {"wall_s": time.perf_counter() - wall, "client_cpu_s": time.process_time() - cpu}
        state = self.state
        points = [
            {"values": list(values), "scenario_digest": digest}
            for values, digest in zip(state.values, state.digests, strict=True)
        ]
        identity = {**self.identity, "points": points}
        sweep = finish_sweep(self.store, identity, dict(enumerate(state.values)), state.rows, timings)
        return Optimum(
            goal=self.goal,
            sweep=sweep,
            point=best,
            confirmed={} if best is None else state.intervals(best, self.goal.confirm_replications),
            search_means={} if best is None else state.means(best, self.goal.search_replications),
            closest_misses=state.closest_misses(),
            closest_point=state.closest_point(),
            unconfirmed=unconfirmed,
            invalid=tuple(self.invalid),
        )

    def _read_scenario(self, point: int) -> Scenario:
        return self.varied_scenario.read_scenario(self.state.values[point])

    def _explore(self, dispatcher: Dispatcher, listener: ProgressListener) -> None:
        """Run generations until the trials are used up or every point has been proposed."""
        left = self.goal.trials
        while left > 0 and len(self.state.values) < self.sampler.space_size:
            proposals = self.sampler.propose(min(GENERATION, left))
            left -= len(proposals)
            points = [self._register(proposal) for proposal in proposals]
            new = [
                point
                for point in dict.fromkeys(points)
                if point is not None and not self.state.has_runs(point)
            ]
            specs = [RunSpec(point, number) for point in new for number in self.goal.search_replications]
            listener.runs_expected(len(self.state.rows) + len(specs) + left * self.goal.replications)
            self._run_all(specs, dispatcher, listener)
            for proposal, point in zip(proposals, points, strict=True):
                self._report(proposal, point)
            listener.best_changed(self._describe_best())
        if not self.state.values:
            raise ResultsError(f"no proposed point is a valid scenario; {next(iter(self.invalid), '')}")

    def _register(self, proposal: ProposedPoint) -> int | None:
        """Return the number of a proposed point, which is added if new; None if it is not a valid scenario."""
        known = self.state.find_point(proposal.values)
        if known is not None:
            return known
        try:
            scenario = self.varied_scenario.read_scenario(proposal.values)
        except ScenarioError as error:
            self.invalid.setdefault(error.problems[0])
            return None
        return self.state.add_point(proposal.values, scenario.digest)

    def _run_all(self, specs: Iterable[RunSpec], dispatcher: Dispatcher, listener: ProgressListener) -> None:
        for row in dispatcher.run(specs):
            check_measure(row, self.goal.minimize, "--minimize")
            for bound in self.goal.bounds:
                check_measure(row, bound.measure, "--subject-to")
            self.state.add_run(row)
            listener.run_finished(row)

    def _report(self, proposal: ProposedPoint, point: int | None) -> None:
        means = {} if point is None else self.state.means(point, self.goal.search_replications)
        if any(math.isnan(means.get(measure, math.nan)) for measure in self.goal.measures):
            self.sampler.report_failure(proposal)
            return
        violations = {str(each): each.violation(means[each.measure]) for each in self.goal.bounds}
        self.sampler.report(proposal, means[self.goal.minimize], violations)

    def _confirm(self, dispatcher: Dispatcher, listener: ProgressListener) -> tuple[int | None, int]:
        """Return the best feasible point that fresh replications confirm, and the number of those that they do not.

        The winner of many noisy comparisons looks better than it is (the optimiser's curse), so it is judged by
        replications that did not select it.
        """
        feasible, unconfirmed = self.state.feasible_points(), 0
        for first in range(0, len(feasible), FINALISTS):
            finalists = feasible[first : first + FINALISTS]
            specs = [
                RunSpec(point, number) for point in finalists for number in self.goal.confirm_replications
            ]
            listener.runs_expected(len(self.state.rows) + len(specs))
            self._run_all(specs, dispatcher, listener)
            confirmed = self.state.confirmed_points(finalists)
            unconfirmed += len(finalists) - len(confirmed)
            if confirmed:
                return confirmed[0], unconfirmed
        return None, unconfirmed

    def _describe_best(self) -> str:
        """Describe the best point so far, for the progress bar."""
        feasible = self.state.feasible_points()
        if not feasible:
            return "no point keeps all bounds yet"
        measure = self.goal.minimize
        mean = self.state.means(feasible[0], self.goal.search_replications)[measure]
        pairs = zip(
            shorten_paths(self.varied_scenario.design.paths), self.state.values[feasible[0]], strict=True
        )
        return " ".join(
            [
                f"best {format_value(measure, mean)}",
                *(f"{name}={format_varied_value(value)}" for name, value in pairs),
            ]
        )


def prepare_search(
    path: Path, request: SweepRequest, goal: SearchGoal, out: str | Path, *, resume: bool = False
) -> Search:
    """Read the scenario, check the ends of every range and the result store; nothing is written.

    Raises ScenarioError for problems of the scenario or the varied values, ResultsError for a store that cannot be
    used, or if optuna is not installed.
    """
    varied_scenario = open_varied_scenario(path, request)
    base = varied_scenario.read_base()
    check_range_ends(varied_scenario)
    store = open_store(out, base.name)
    identity = {
        "schema_version": SCHEMA_VERSION,
        "kind": "search",
        **identify_scenario(base),
        "design": describe_design(varied_scenario.design) | {"design": "search"},
        "replications": goal.replications,
        "search": {
            "minimize": goal.minimize,
            "subject_to": [str(bound) for bound in goal.bounds],
            "trials": goal.trials,
            "replications": goal.replications,
            "confirm": goal.confirm,
        },
        "points": [],
    }
    sampler = OptunaSampler(varied_scenario.design, base.seed)
    resumed = check_resumable(store, identity, resume)
    return Search(varied_scenario, base, store, identity, resumed, sampler, SearchState(goal))


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
    """Find the point with the least mean of `minimize` that keeps the bounds `subject_to`, like `clustersim optimize`.

    Runs `trials` points with `replications` runs each, and confirms the best with `confirm` further replications.
    `vary` is as in `sweep`. Raises ScenarioError and ResultsError as `sweep` does.
    """
    request = SweepRequest(vary=None if vary is None else check_vary(vary), overrides=set, seed=seed)
    goal = SearchGoal(minimize, parse_bounds(subject_to), trials, replications, confirm)
    search = prepare_search(Path(path), request, goal, out, resume=resume)
    with open_dask_client(jobs, scheduler) as client:
        return search.run(client, ProgressListener())
