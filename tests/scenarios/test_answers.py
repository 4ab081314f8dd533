"""Tests of the README's answers: each takes at most three lines of pandas, and its result is correct.

The code blocks between the marks `<!-- answers -->` and `<!-- /answers -->` run unchanged on a short part of the web
shop; each result is compared with an independent calculation from the tables.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import clustersim as cs

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
CHANGES = (
    "duration=4h",
    # A deployment, and a report that is too large for the account's quota: task 42 is one of those refused.
    "actions=[{at: 1h, updateService: {service: web, forceNewDeployment: true}}]",
    "runTasks.nightly-report.schedule=cron(30 0 * * ? *)",
    "runTasks.nightly-report.count=40",
    "cluster.fargateQuotaVcpu=10",
)

PER_RESOURCE = "sampling.costPerResource=true"
Answers = dict[str, Any]


def section(name: str) -> str:
    found = re.search(rf"<!-- {name} -->(.*)<!-- /{name} -->", README.read_text(encoding="utf-8"), re.DOTALL)
    assert found, f"README.md has lost the marks of its {name}"
    return found[1]


def questions(name: str = "answers") -> list[tuple[str, str]]:
    """(what is asked, the code that answers it), the code that opens the tables first."""
    return re.findall(r"([^\n]+)\n\n```python\n(.*?)```", section(name), re.DOTALL)


def value_of(code: str, names: dict[str, Any]) -> Any:
    """Run `code`; the value of its last line, as a notebook would show it."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "README.md", "exec"), names)
    return eval(compile(ast.Expression(last.value), "README.md", "eval"), names) if last else None


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    """Every answer by a word of its question, and the names that the code has defined."""
    folder = tmp_path_factory.mktemp("shop")
    cs.run(ROOT / "scenarios" / "web-shop.yaml", out=folder / "results", set=CHANGES)
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield {question: value_of(code, names) for question, code in questions()} | {"names": names}


def answer(answers: Answers, word: str) -> Any:
    (found,) = [value for question, value in answers.items() if word in question]
    return found


def test_seven_questions_in_at_most_three_lines_each() -> None:
    opening, *asked = questions()
    assert len(asked) == 7
    assert "cs.open" in opening[1]
    for question, code in asked:
        assert question.endswith("?")
        assert len(code.strip().splitlines()) <= 3, question


def test_cost_per_service_and_day(answers: Answers) -> None:
    table = answer(answers, "cost per day")
    run = answers["names"]["run"]
    assert set(table.columns) == set(run.summary["services"])
    for service, facts in run.summary["services"].items():
        assert table[service].sum() == pytest.approx(facts["cost_usd"])


def test_wait_of_a_task(answers: Answers) -> None:
    waits = answer(answers, "wait for its start")
    catalogue = waits["service:catalogue"] / pd.Timedelta("1s")
    assert 10 < catalogue < 120, "a Fargate start and a start of the application"


def test_instances_at_three(answers: Answers) -> None:
    (row,) = answer(answers, "3 am").itertuples()
    assert row.capacity_provider == "general"
    instances = answers["names"]["run"].container_instances.to_pandas()
    there = (instances.launched_at <= row.time) & ~(instances.terminated_at <= row.time)
    assert row.running_instances == there.sum()


def test_why_a_task_did_not_start(answers: Answers) -> None:
    found = answer(answers, "task 42")
    assert (found["last_status"], found["stop_code"]) == ("STOPPED", "TaskFailedToStart")
    assert "limit on the number of vCPUs" in found["wait_reason"]
    assert found["stopped_reason"] == f"TaskFailedToStart: {found['wait_reason']}"


def test_desired_against_running(answers: Answers) -> None:
    during = answer(answers, "desired against running")
    assert len(during) >= 1
    assert (during.desired_count > 0).all()
    assert (during.time >= pd.Timestamp("2026-06-01T01:00Z")).all(), "the one that an action asked for"


def test_dollars_nobody_uses(answers: Answers) -> None:
    idle = answer(answers, "nobody use")
    assert idle.sum() == pytest.approx(answers["names"]["run"].summary["cost_usd_idle"])


def test_what_a_policy_decided(answers: Answers) -> None:
    decisions = answer(answers, "scaling policy")
    assert len(decisions) > 0
    assert decisions.cause.str.contains("in state ALARM triggered policy").all()
    assert (decisions.from_count != decisions.to_count).all()


def test_what_an_instance_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two pieces on rows per resource; the shop has no commitments, so both tables say the same."""
    cs.run(ROOT / "scenarios/web-shop.yaml", out=tmp_path / "results", set=("duration=2h", PER_RESOURCE))
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    value_of(questions()[0][1], names)
    one, _ = (value_of(code, names) for _, code in questions("resources"))
    instances = names["instances"]
    assert one.sum() == pytest.approx(instances.effective_cost[instances.container_instance_id == 3].sum())
    assert instances.effective_cost.tolist() == pytest.approx(instances.cost_usd.tolist())
    assert one.min() > 0
