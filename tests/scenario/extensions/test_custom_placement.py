"""Custom placement strategies, as written: what is refused, and what becomes an input."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.errors import ScenarioError
from tests.harness import Block, job, scenario_of, world

CUSTOM = {"type": "custom", "policy": "mine:choose"}
WORST_FIT = "def choose(question):\n    return question.hosts.free_memory_mib.argmax()\n"


def save(folder: Path, source: str) -> Path:
    (folder / "mine.py").write_text(source)
    return folder


def jobs(rules: list[Block]) -> Block:
    return world(nodes=2, runTasks=[job(placementStrategy=rules)])


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ([{"type": "custom"}], "placementStrategy[0].policy: is missing"),
        ([{"type": "custom", "policy": "mine:other"}], "policy: the module mine has no other"),
        ([{**CUSTOM, "field": "memory"}], "placementStrategy[0].field: unknown field"),
        (
            [CUSTOM, {"type": "random"}],
            "placementStrategy[0]: a custom strategy decides alone; write it last",
        ),
        ([{"type": "random", "policy": "mine:choose"}], "placementStrategy[0].policy: is no field of random"),
        ([{"type": "worst"}], 'placementStrategy[0].type: the text "worst" is not one of its values'),
        (
            [{"type": "binpack", "field": "gpu"}],
            "placementStrategy[0].field: cannot binpack by gpu; cpu or memory",
        ),
    ],
)
def test_a_strategy_that_cannot_be_asked_is_a_problem_with_a_place(
    tmp_path: Path, rules: list[Block], words: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario_of(jobs(rules), save(tmp_path, WORST_FIT))
    (line,) = caught.value.problems
    assert words in line


def test_the_source_is_an_input(tmp_path: Path) -> None:
    scenario = scenario_of(jobs([CUSTOM]), save(tmp_path, WORST_FIT))
    assert [each.path for each in scenario.inputs] == ["scenario.yaml", "mine.py"]
