"""Tests of docs/finding-a-target-capacity.md, on a shortened sweep, and of the README's code that opens a sweep."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import clustersim as cs
from clustersim.scenario.reader import ScenarioSource, read_scenario
from clustersim.study.sweep.plan import SweepRequest, plan_sweep

ROOT = Path(__file__).parents[2]
SCENARIO = ROOT / "scenarios" / "sweeps" / "target-capacity.yaml"
GROUP = "capacityProviders.general.autoScalingGroupProvider"
TARGET, KIND = f"{GROUP}.managedScaling.targetCapacity", f"{GROUP}.autoScalingGroup.instanceTypes"
AVAILABLE = "services.web.availability"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which a day of the sweep has been done."""
    found = tmp_path_factory.mktemp("story")
    vary = {TARGET: [90, 100], KIND: [["m6i.large"], ["m6i.xlarge"]]}
    cs.sweep(SCENARIO, vary=vary, replications=2, set=["duration=1d"], jobs=1, out=found / "sweeps")
    return found


@pytest.fixture
def sweep(folder: Path) -> cs.Sweep:
    found = cs.open(folder / "sweeps" / "target-capacity")
    assert isinstance(found, cs.Sweep)
    return found


def test_the_scenario_is_what_the_story_says() -> None:
    assert [warning for warning in read_scenario(SCENARIO).warnings if "not simulated" in warning] == []
    assert len(plan_sweep(SCENARIO, SweepRequest()).points) == 10
    assert ScenarioSource(SCENARIO).read_sweep().replications == 10
    head = SCENARIO.read_text(encoding="utf-8").split("\nname:")[0]
    assert "clustersim sweep scenarios/sweeps/target-capacity.yaml" in head
    for page in ("README.md", "docs/finding-a-target-capacity.md"):
        assert "scenarios/sweeps/target-capacity.yaml" in (ROOT / page).read_text(encoding="utf-8")


def test_a_full_cluster_is_cheaper_and_less_available(sweep: cs.Sweep) -> None:
    """The cliff: points 0 and 1 are at 90, 2 and 3 at 100, on large and xlarge instances."""
    for full, spare in ((2, 0), (3, 1)):
        for measure in ("cost_usd", AVAILABLE):
            assert (sweep.values(measure, full) < sweep.values(measure, spare)).all()


def test_smaller_instances_have_a_smaller_spare(sweep: cs.Sweep) -> None:
    assert (sweep.values("cost_usd", 0) < sweep.values("cost_usd", 1) - 1.0).all()


def test_the_readmes_lines_open_it(folder: Path, sweep: cs.Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand: pandas, polars and DuckDB say the same."""
    found = re.search(
        r"<!-- sweep -->\n```python\n(.*?)```\n<!-- /sweep -->",
        (ROOT / "README.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert found
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    answers = []
    for node in ast.parse(found[1]).body:
        code = ast.unparse(node)
        if isinstance(node, ast.Expr):
            answers.append(eval(code, names))
        else:
            exec(code, names)
    pandas, polars, duck = answers
    means = [interval.mean for point in range(4) if (interval := sweep.interval("cost_usd", point))]
    assert list(pandas) == pytest.approx(means)
    assert polars["cost_usd"].to_list() == pytest.approx(means)
    assert [mean for _, mean in duck.fetchall()] == pytest.approx(means)
