"""A short run of the swarm, and proof that it finds planted bugs.

The long run is `python -m tests.swarm --seed 1 --count 200`; `--mutate` plants bugs in compiled code as well.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from clustersim.control.billing.cost_ledger import CostLedger
from clustersim.control.results.series_sampler import SeriesSampler
from clustersim.control.results.task_table_writer import TaskTableWriter
from clustersim.engine.backends import BackEnd
from clustersim.engine.compiled import using
from clustersim.study.single_run.run import run_scenario
from tests.harness import scenario_of
from tests.swarm.__main__ import MUTATIONS, ROOT, check_scenario
from tests.swarm.scenarios import FEATURES, count_features, draw

SEED = 2026


@pytest.mark.parametrize("number", [*(pytest.param(n, marks=pytest.mark.slow) for n in range(15)), 15])
def test_a_random_scenario_keeps_every_law(number: int, tmp_path: Path) -> None:
    """The invariants hold at every instant, and the tables agree with recomputed counts and prices."""
    violations, _, tasks = check_scenario(SEED, number, tmp_path)
    assert not violations
    assert tasks >= 200


@pytest.mark.slow
@pytest.mark.parametrize(
    ("back_end", "number"),
    [(BackEnd.CHECKED, 2), (BackEnd.CHECKED, 4), (BackEnd.PYTHON, 5), (BackEnd.PYTHON, 11)],
)
def test_every_back_end_writes_the_same_tables(back_end: BackEnd, number: int, tmp_path: Path) -> None:
    """An index beyond an array, and a whole number that does not fit, would end these runs.

    numba's own functions take two minutes to compile: `CLUSTERSIM_KERNELS=numba python -m tests.swarm --seed 1`.
    """
    digests = []
    for name in (BackEnd.PROGRAM, back_end):
        drawn = draw(SEED, number)
        drawn.write(tmp_path)
        with using(name):
            ran = run_scenario(scenario_of(drawn.written, tmp_path), tmp_path / name, checked=False)
        files = [path for path in sorted(ran.path.iterdir()) if path.name != "manifest.json"]
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files})
    assert len(digests[0]) >= 10
    assert digests[0] == digests[1]


def test_every_feature_is_on_in_a_tenth_and_off_in_a_tenth_of_the_scenarios() -> None:
    """A feature that is always on, or never, is not tested in combination with the others."""
    counts = count_features([draw(SEED, number) for number in range(200)])
    assert set(counts) == set(FEATURES)
    assert {name: count for name, count in counts.items() if not 20 <= count <= 180} == {}


def test_a_scenario_is_a_function_of_seed_and_number() -> None:
    """So a failure can be repeated from the output of the swarm."""
    assert draw(1, 17) == draw(1, 17)
    assert draw(1, 17).written != draw(2, 17).written


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_the_planted_bugs_still_fit_the_sources(name: str) -> None:
    """A mutation names a piece of code that occurs once in the package."""
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "clustersim").rglob("*.py")]
    assert sum(source.count(MUTATIONS[name].right) for source in sources) == 1


def _lose_a_row(patch: pytest.MonkeyPatch) -> None:
    right = TaskTableWriter.write_ended

    def wrong(self: TaskTableWriter) -> None:
        counters = self.world.state.counters
        counters.finished_tasks = max(0, counters.finished_tasks - 1)
        right(self)

    patch.setattr(TaskTableWriter, "write_ended", wrong)


def _bill_twice(patch: pytest.MonkeyPatch) -> None:
    right = CostLedger.close_interval

    def wrong(self: CostLedger, now: int, end: bool) -> None:
        before = self.world.state.outputs.class_ms.copy()
        right(self, now, end)
        self.world.state.outputs.class_ms += before

    patch.setattr(CostLedger, "close_interval", wrong)


def _sample_late(patch: pytest.MonkeyPatch) -> None:
    right = SeriesSampler._open

    def wrong(self: SeriesSampler, now: int) -> None:
        right(self, now)
        self._counts["running"] = np.maximum(self._counts["running"] - 1, 0)

    patch.setattr(SeriesSampler, "_open", wrong)


@pytest.mark.slow
@pytest.mark.parametrize("plant", [_lose_a_row, _bill_twice, _sample_late])
def test_a_planted_bug_is_found(plant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scenarios are enough to find a bug that affects every run."""
    plant(monkeypatch)
    assert any(check_scenario(SEED, number, tmp_path / str(number))[0] for number in range(2))
