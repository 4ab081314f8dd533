"""A sweep from its plan to its result: runs the missing points, reuses finished ones, then publishes the result.

Decides the order of these steps. Must not know terminals or processes. `cs.sweep` and the command line call
`prepare_sweep` and then `PreparedSweep.run`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.sweep import DesignKind
from clustersim.study.execution.dask_cluster import open_dask_client
from clustersim.study.execution.dispatcher import Dispatcher
from clustersim.study.execution.result_store import ResultStore, open_store
from clustersim.study.execution.worker import RunMeasurer, RunRow, RunSpec
from clustersim.study.sweep.finalize import (
    ProgressListener,
    begin_sweep,
    check_measure,
    check_resumable,
    finish_sweep,
)
from clustersim.study.sweep.page import render_sweep_page
from clustersim.study.sweep.plan import SweepPlan, SweepRequest, plan_sweep
from clustersim.study.sweep.precision_stopping import (
    MIN_REPLICATIONS,
    PrecisionTarget,
    parse_precision_target,
    plan_next_round,
)
from clustersim.study.sweep.provenance import SweepIdentity, identify_sweep
from clustersim.study.sweep.sweep_result import Sweep
from clustersim.study.sweep.varied_parameters import check_vary

if TYPE_CHECKING:
    from distributed import Client


@dataclass
class PreparedSweep:
    """A sweep that can start: its points are valid, and its store can be used.

    `resumed` says that the store has runs of an earlier attempt; `rows` are those of the finished runs.
    """

    plan: SweepPlan
    store: ResultStore
    identity: SweepIdentity
    targets: tuple[PrecisionTarget, ...]
    resumed: bool
    measure_run: RunMeasurer | None = None
    render_page: Callable[[Sweep], str] = render_sweep_page
    rows: list[RunRow] = field(default_factory=list)

    def run(self, client: Client, listener: ProgressListener) -> Sweep:
        """Execute the missing runs and publish the result. Raises ResultsError if it cannot go on."""
        wall, cpu = time.perf_counter(), time.process_time()
        content = begin_sweep(self.store, self.identity, self.resumed)
        published = self.store.list_runs() if self.resumed else []
        dispatcher = Dispatcher(client, self.store, content, self.plan.read_scenario, self.measure_run)
        numbers = range(self.plan.replications)
        specs = [RunSpec(point, number) for point in range(len(self.plan.points)) for number in numbers]
        while specs:
            listener.runs_expected(len(self.rows) + len(specs))
            for row in dispatcher.run(specs):
                for target in self.targets:
                    check_measure(row, target.measure, "--until-width")
                self.rows.append(row)
                listener.run_finished(row)
            specs = plan_next_round(self.rows, self.targets) if self.targets else []
            if not specs:  # published replications beyond those requested now count too
                specs = sorted({RunSpec(*run) for run in published} - {row.spec for row in self.rows})
                published = []
        timings = {"wall_s": time.perf_counter() - wall, "client_cpu_s": time.process_time() - cpu}
        points = {number: point.values for number, point in enumerate(self.plan.points)}
        return finish_sweep(self.store, self.identity, points, self.rows, timings, self.render_page)


def prepare_sweep(
    path: Path,
    request: SweepRequest,
    out: str | Path,
    *,
    resume: bool = False,
    until_width: Sequence[str] = (),
    listener: ProgressListener | None = None,
) -> PreparedSweep:
    """Validate every point and check the result store; nothing is written.

    Raises ScenarioError for problems of the scenario or the points, ResultsError for a store that cannot be used, or
    if the sweep to be resumed has another identity.
    """
    targets = _parse_targets(until_width)
    plan = plan_sweep(path, request, (listener or ProgressListener()).points_checked)
    if targets:
        plan.varied_scenario.replications = max(plan.replications, MIN_REPLICATIONS)
    store = open_store(out, plan.base.name)
    identity = identify_sweep(plan, {target.measure: str(target) for target in targets})
    return PreparedSweep(plan, store, identity, targets, check_resumable(store, identity, resume))


def _parse_targets(texts: Sequence[str]) -> tuple[PrecisionTarget, ...]:
    try:
        return tuple(parse_precision_target(text) for text in texts)
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
    """Sweep a scenario file into `out`/NAME and return the result, as `clustersim sweep` does.

    `vary` has a list of values, or a range like `{"from": 70, "to": 100, "integer": True}`, by path; without it
    the scenario's `sweep` block is used. Raises ScenarioError with every problem of the scenario and
    its points, ResultsError where results cannot be written or resumed.
    """
    request = SweepRequest(
        vary=None if vary is None else check_vary(vary),
        design=design,
        points=Path(points) if isinstance(points, str) else points,
        sensitivity=sensitivity,
        replications=replications,
        overrides=set,
        seed=seed,
    )
    widths = [f"{measure}={width}" for measure, width in (until_width or {}).items()]
    prepared = prepare_sweep(Path(path), request, out, resume=resume, until_width=widths)
    with open_dask_client(jobs, scheduler) as client:
        return prepared.run(client, ProgressListener())
