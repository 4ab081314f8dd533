"""A comparison from its plan to its result: a sweep over options and loads.

Decides the identity of a comparison. Must not know terminals or processes, nor how runs are executed. `cs.compare`
and the command line call `prepare_comparison` and then `PreparedSweep.run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clustersim.errors import ScenarioError
from clustersim.study.compare.measures import measure_run, operations_usd_per_instance_month
from clustersim.study.compare.page import render_comparison_page
from clustersim.study.compare.plan import ComparisonPlan, ComparisonRequest, plan_comparison
from clustersim.study.compare.result import KIND, Comparison
from clustersim.study.execution.dask_cluster import open_dask_client
from clustersim.study.execution.result_store import open_store
from clustersim.study.sweep.finalize import ProgressListener, check_resumable
from clustersim.study.sweep.provenance import SweepIdentity, identify_sweep
from clustersim.study.sweep.sweep import PreparedSweep
from clustersim.study.sweep.sweep_result import Sweep


def prepare_comparison(
    path: Path,
    request: ComparisonRequest,
    out: str | Path,
    *,
    resume: bool = False,
    listener: ProgressListener | None = None,
) -> PreparedSweep:
    """Validate the scenario under every option and load and check the result store; nothing is written.

    Raises ScenarioError if the scenario or the request is invalid or no option can run it, ResultsError for a store
    that cannot be used, or if the comparison to be resumed has another identity.
    """
    comparison_plan = plan_comparison(path, request, (listener or ProgressListener()).points_checked)
    plan = comparison_plan.plan
    store = open_store(out, plan.base.name)
    identity = _identify_comparison(comparison_plan)
    return PreparedSweep(
        plan,
        store,
        identity,
        (),
        check_resumable(store, identity, resume),
        measure_run=measure_run,
        render_page=_render_page,
    )


def _render_page(sweep: Sweep) -> str:
    """Return the page of the comparison that a sweep holds, as HTML."""
    return render_comparison_page(Comparison.from_sweep(sweep))


def _identify_comparison(comparison_plan: ComparisonPlan) -> SweepIdentity:
    options = [
        {"option": each.name, "changes": list(each.changes), "why_not": list(each.why_not)}
        for each in comparison_plan.options
    ]
    price = operations_usd_per_instance_month(comparison_plan.plan.base.resolved)
    comparison = {
        "options": options,
        "loads": list(comparison_plan.loads),
        "operations_usd_per_instance_month": price,
    }
    return {**identify_sweep(comparison_plan.plan, {}), "kind": KIND, "comparison": comparison}


def compare(
    path: str | Path,
    *,
    options: Sequence[str] | None = None,
    loads: Sequence[float] | None = None,
    replications: int | None = None,
    jobs: int | None = None,
    scheduler: str | None = None,
    out: str | Path = "comparisons",
    resume: bool = False,
    seed: int | None = None,
    set: Sequence[str] = (),
) -> Comparison:
    """Compare launch options of a scenario file into `out`/NAME, as `clustersim compare` does.

    `options` are names of `OPTIONS` and `loads` are multipliers of the load, by default those of the scenario's
    `compare` block, which has defaults of its own. `set` holds overrides, `PATH=VALUE` or `OPTION:PATH=VALUE`.
    Raises ScenarioError with every problem, ResultsError where results cannot be written or resumed.
    """
    if replications is not None and replications < 1:
        raise ScenarioError([f"replications: {replications} is less than 1; at least 1"])
    request = ComparisonRequest(options, loads, replications, set, seed)
    prepared = prepare_comparison(Path(path), request, out, resume=resume)
    with open_dask_client(jobs, scheduler) as client:
        return Comparison.from_sweep(prepared.run(client, ProgressListener()))
