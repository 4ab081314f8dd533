"""A comparison from its plan to its result: the sweep over options and loads, and what is made of it.

Decides the terms of a comparison. Must not know terminals or processes, nor how runs are done. `cs.compare` and the
command line call `prepare_comparison` and then `Undertaking.run`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from clustersim.errors import ScenarioError
from clustersim.study.compare.metrics import measured, usd_per_instance_month
from clustersim.study.compare.page import page_of_comparison
from clustersim.study.compare.plan import Asked, ComparisonPlan, read_comparison
from clustersim.study.compare.result import KIND, Comparison
from clustersim.study.execution.dask_cluster import workers
from clustersim.study.execution.result_store import place_of
from clustersim.study.sweep.finalize import Watcher, take_up
from clustersim.study.sweep.provenance import Terms, terms_of
from clustersim.study.sweep.sweep import Undertaking
from clustersim.study.sweep.sweep_result import Sweep


def prepare_comparison(
    path: Path, asked: Asked, out: str | Path, *, resume: bool = False, watcher: Watcher | None = None
) -> Undertaking:
    """Reads the scenario under every option and load and looks at the place; nothing is written.

    Raises ScenarioError where the scenario or what was asked is wrong or no option can run it, ResultsError for a
    place that is not to be used, or a comparison that is not the one to be resumed.
    """
    read = read_comparison(path, asked, (watcher or Watcher()).checking)
    plan = read.plan
    place = place_of(out, plan.base.name)
    terms = _terms(read)
    return Undertaking(plan, place, terms, (), take_up(place, terms, resume), measured=measured, show=page_of)


def page_of(sweep: Sweep) -> str:
    """The page of a comparison, of its sweep."""
    return page_of_comparison(Comparison.of(sweep))


def _terms(read: ComparisonPlan) -> Terms:
    options = [
        {"option": each.name, "changes": list(each.changes), "why_not": list(each.why_not)}
        for each in read.findings
    ]
    price = usd_per_instance_month(read.plan.base.resolved)
    told = {"options": options, "loads": list(read.loads), "operations_usd_per_instance_month": price}
    return {**terms_of(read.plan, {}), "kind": KIND, "comparison": told}


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
    """Compares ways of running a scenario file into `out`/NAME, as `clustersim compare` does.

    `options` are names of `OPTIONS` and `loads` multipliers of the load, by default those of the scenario's
    `compare` block, which has defaults of its own. `set` holds overrides, `PATH=VALUE` or `OPTION:PATH=VALUE`.
    Raises ScenarioError with every problem, ResultsError where results cannot be written or resumed.
    """
    if replications is not None and replications < 1:
        raise ScenarioError([f"replications: {replications} is less than 1; at least 1"])
    asked = Asked(options, loads, replications, set, seed)
    undertaking = prepare_comparison(Path(path), asked, out, resume=resume)
    with workers(jobs, scheduler) as client:
        return Comparison.of(undertaking.run(client, Watcher()))
