"""clustersim: a discrete-event simulator of Amazon ECS. Scenario files in, Arrow files out.

    import clustersim as cs
    run = cs.run("scenario.yaml", seed=3)
    run.tasks.to_pandas()
    cs.open("results/web-shop").summary["cost_usd"]

Importing is quick: heavy libraries are loaded by the first call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clustersim.errors import ClustersimError, ResultsError, ScenarioError, SimulationError

if TYPE_CHECKING:
    from clustersim import stats
    from clustersim.study.compare.compare import compare
    from clustersim.study.compare.result import Comparison
    from clustersim.study.open_result import open_result as open
    from clustersim.study.search.search import Optimum, optimize
    from clustersim.study.single_run.run import run
    from clustersim.study.single_run.run_result import Run
    from clustersim.study.sweep.sweep import sweep
    from clustersim.study.sweep.sweep_result import Sweep

__version__ = "0.1.0"
__all__ = [
    "ClustersimError",
    "Comparison",
    "Optimum",
    "ResultsError",
    "Run",
    "ScenarioError",
    "SimulationError",
    "Sweep",
    "compare",
    "open",
    "optimize",
    "run",
    "stats",
    "sweep",
]

_LAZY_ATTRIBUTES = {
    "run": ("clustersim.study.single_run.run", "run"),
    "open": ("clustersim.study.open_result", "open_result"),
    "sweep": ("clustersim.study.sweep.sweep", "sweep"),
    "compare": ("clustersim.study.compare.compare", "compare"),
    "optimize": ("clustersim.study.search.search", "optimize"),
    "Comparison": ("clustersim.study.compare.result", "Comparison"),
    "Optimum": ("clustersim.study.search.search", "Optimum"),
    "Run": ("clustersim.study.single_run.run_result", "Run"),
    "Sweep": ("clustersim.study.sweep.sweep_result", "Sweep"),
}


def __getattr__(name: str) -> Any:
    """Import an attribute of the public API at its first use (PEP 562)."""
    from importlib import import_module

    if name == "stats":
        return import_module("clustersim.stats")
    if name not in _LAZY_ATTRIBUTES:
        raise AttributeError(f"module 'clustersim' has no attribute {name!r}")
    module, attribute = _LAZY_ATTRIBUTES[name]
    return getattr(import_module(module), attribute)
