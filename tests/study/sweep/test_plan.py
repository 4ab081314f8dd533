"""The plan of a sweep: command line and file combine, and every point is validated before any runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from clustersim.errors import ResultsError, ScenarioError
from clustersim.scenario.sections.sweep import Choices, Range
from clustersim.study.sweep.plan import (
    SweepPlan,
    SweepRequest,
    check_range_ends,
    open_varied_scenario,
    plan_sweep,
)
from clustersim.study.sweep.varied_parameters import check_vary, parse_vary, split_values
from tests.study.small import COUNT, RATE, save, shop


def plan(folder: Path, block: Any = None, **request: Any) -> SweepPlan:
    """The plan of the shop with this `sweep` block and these arguments; `vary` as on the command line."""
    if "vary" in request:
        request["vary"] = parse_vary(request["vary"])
    written = shop() if block is None else shop(sweep=block)
    return plan_sweep(save(folder, written), SweepRequest(**request))


def problems(folder: Path, block: Any = None, **request: Any) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        plan(folder, block, **request)
    return [problem.replace(f"{folder}/", "") for problem in caught.value.problems]


def values(found: SweepPlan) -> list[tuple[Any, ...]]:
    return [point.values for point in found.points]


# --- the command line --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("4,8,16", ["4", "8", "16"]),
        ("[a,b],[c]", ["[a,b]", "[c]"]),
        ("{from: 4, to: 8}", ["{from: 4, to: 8}"]),
        ("cron(0 3, 5 * * ? *),x", ["cron(0 3, 5 * * ? *)", "x"]),
        ("\"a,b\",'c,d'", ['"a,b"', "'c,d'"]),
        ("4,", ["4", ""]),
    ],
)
def test_commas_in_brackets_and_quotes_do_not_separate(text: str, parts: list[str]) -> None:
    """Contract, section 2."""
    assert split_values(text) == parts


def test_values_are_yaml() -> None:
    found = parse_vary(
        ["a=4,0.5,true,m6i.large", "b=[x,y],[z]", "c={from: 70, to: 100, integer: true}", "d={e: 1}"]
    )
    assert found == {
        "a": Choices((4, 0.5, True, "m6i.large")),
        "b": Choices((["x", "y"], ["z"])),
        "c": Range(70, 100, True),
        "d": Choices(({"e": 1},)),
    }


def test_every_wrong_argument_at_once() -> None:
    with pytest.raises(ScenarioError) as caught:
        parse_vary(["a", "b=", "c=[1", "d=1", "d=2"])
    found = caught.value.problems
    assert [problem.split(":")[0] for problem in found] == ["--vary a", "--vary b", "--vary c", "--vary d"]
    with pytest.raises(ScenarioError) as caught:
        check_vary({"a": [], "b": {"from": 2, "to": 1}})
    assert len(caught.value.problems) == 2


# --- what was asked for ------------------------------------------------------------------------------------


def test_the_block_says_what_is_varied(tmp_path: Path) -> None:
    found = plan(tmp_path, {"vary": {COUNT: [2, 3], RATE: [30, 60]}, "replications": 4})
    assert found.paths == (COUNT, RATE)
    assert values(found) == [(2, 30), (2, 60), (3, 30), (3, 60)]
    assert found.replications == 4
    assert [found.read_scenario(n).services[0].desired_count for n in range(4)] == [2, 2, 3, 3]
    assert [found.read_scenario(n).run_tasks[0].arrivals_per_hour for n in range(4)] == [30, 60, 30, 60]


def test_the_command_line_replaces_the_block(tmp_path: Path) -> None:
    block = {"design": "sobol", "points": 8, "vary": {COUNT: {"from": 1, "to": 9}}, "replications": 4}
    found = plan(tmp_path, block, vary=[f"{COUNT}=5"], replications=2)
    assert (values(found), found.replications) == ([(5,)], 2)


def test_points_may_be_in_a_file(tmp_path: Path) -> None:
    """Named in the block, relative to the scenario; or on the command line."""
    (tmp_path / "points.csv").write_text(f"{COUNT},{RATE}\n1,10\n2,20\n", encoding="utf-8")
    for found in (
        plan(tmp_path, {"design": "points", "points": "points.csv"}),
        plan(tmp_path, {"points": "points.csv"}),
        plan(tmp_path, points=tmp_path / "points.csv"),
    ):
        assert found.paths == (COUNT, RATE)
        assert values(found) == [(1, 10), (2, 20)]


def test_samples_of_ranges(tmp_path: Path) -> None:
    vary = [f"{COUNT}={{from: 1, to: 8, integer: true}}"]
    found = plan(tmp_path, vary=vary, design="latinHypercube", points=8)
    assert sorted(values(found)) == [(count,) for count in range(1, 9)]


def test_a_sweep_leaves_the_scenario_as_it_is(tmp_path: Path) -> None:
    """Points are laid over copies: the last is not on top of the others, and the base has none of them."""
    found = plan(tmp_path, vary=[f"{COUNT}=1,2,3"])
    assert found.base.services[0].desired_count == 4
    assert len({point.digest for point in found.points}) == 3
    assert found.read_scenario(0).digest == found.points[0].digest


def test_all_points_have_the_same_seed(tmp_path: Path) -> None:
    """Common random numbers: one seed, however many points."""
    found = plan(tmp_path, vary=[f"{COUNT}=1,2,3"], seed=9)
    assert {found.read_scenario(number).seed for number in range(3)} == {9}


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    """The trace is read again when a point is run; another one would be another sweep."""
    trace = tmp_path / "jobs.csv"
    trace.write_text("submit_s,duration_s,cpu,memory_mib\n1,2,256,512\n", encoding="utf-8")
    written = shop(sweep={"vary": {COUNT: list(range(1, 20))}})
    written["runTasks"] = [
        {
            "name": "replay",
            "trace": "jobs.csv",
            "capacityProviderStrategy": written["runTasks"][0]["capacityProviderStrategy"],
        }
    ]
    found = plan_sweep(save(tmp_path, written), SweepRequest())
    trace.write_text("submit_s,duration_s,cpu,memory_mib\n1,3,256,512\n", encoding="utf-8")
    with pytest.raises(ResultsError, match="has changed while"):
        found.read_scenario(0)


# --- what is wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vary", "words"),
    [
        ("services.wbe.desiredCount=1,2", "there is no item named wbe; did you mean web?"),
        ("services.web.desiredCout=1,2", "unknown field; did you mean desiredCount?"),
        (f"{COUNT}=1,-2", "-2"),
        (f"{COUNT}=1,lots", "lots"),
        ("seed=1,2", "--replications"),
        ("name=a,b", "cannot be varied"),
        ("sweep.replications=1,2", "cannot be varied"),
        ("services..web=1", "is not a valid path"),
        (f"{COUNT}={{from: 1, to: 2}}", "a grid needs values"),
    ],
)
def test_a_wrong_point_is_an_error_before_anything_runs(tmp_path: Path, vary: str, words: str) -> None:
    """One line, beginning with the argument; not one per point that has it."""
    (problem,) = problems(tmp_path, vary=[vary, f"{RATE}=10,20,30"])
    assert problem.startswith(f"--vary {vary.partition('=')[0]}")
    assert words in problem


def test_a_problem_outside_the_varied_value_is_reported_once(tmp_path: Path) -> None:
    """It has its location in the scenario, and the first values that cause it."""
    (problem,) = problems(tmp_path, vary=["nothing.at.all=1", f"{RATE}=10,20,30"])
    assert problem.startswith("shop.yaml:1:1: nothing: unknown field")
    assert problem.endswith(f"(with nothing.at.all=1, {RATE}=10)")


def test_an_invalid_point_of_the_block_has_its_location(tmp_path: Path) -> None:
    path = tmp_path / "shop.yaml"
    save(tmp_path, shop())
    text = (
        path.read_text() + "\n"
    )  # JSON is YAML: a block may follow in braces only, so it is written as YAML
    body = text.strip().removesuffix("}")
    path.write_text(body + ',\n"sweep": {"vary":\n  {"services.web.desiredCount":\n [1, -2]}}}\n')
    with pytest.raises(ScenarioError) as caught:
        plan_sweep(path, SweepRequest())
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:3:4: sweep.vary.services.web.desiredCount: ")


def test_values_that_clash_only_with_each_other(tmp_path: Path) -> None:
    group = "capacityProviders.nodes.autoScalingGroupProvider.autoScalingGroup"
    found = problems(
        tmp_path, vary=[f"{group}.maxSize=3,8", f"{group}.desiredCapacity=2,5", f"{group}.minSize=0"]
    )
    (problem,) = found
    assert "5" in problem
    assert "3" in problem


def test_many_problems_are_cut(tmp_path: Path) -> None:
    found = problems(tmp_path, vary=[f"{COUNT}={','.join(str(-n) for n in range(1, 31))}"])
    assert len(found) == 21
    assert found[-1] == "... and 10 more problems"


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"vary": {COUNT: 4}}, "neither a list of values nor a range"),
        ({"vary": {COUNT: []}}, "the list is empty"),
        ({"vary": [COUNT]}, "not a mapping"),
        ({"design": "random"}, "not one of its values"),
        ({"replications": 0}, "less than 1"),
        ({"varry": {}}, "did you mean vary?"),
        ({"points": ""}, "is empty"),
        ({}, "nothing is varied"),
        ({"design": "points", "points": 8}, "needs a file"),
        ({"design": "grid", "points": "x.csv", "vary": {COUNT: [1]}}, "takes a number"),
        ({"points": "none.csv"}, "cannot be read"),
        ({"design": "sobol", "points": 6, "vary": {COUNT: {"from": 1, "to": 9}}}, "4 or 8"),
    ],
)
def test_a_wrong_block(tmp_path: Path, block: Any, words: str) -> None:
    found = problems(tmp_path, block)
    assert any(words in problem for problem in found), found


def test_a_run_checks_the_block_too(tmp_path: Path) -> None:
    """`clustersim validate` finds it without a sweep."""
    from clustersim.scenario.reader import read_scenario

    with pytest.raises(ScenarioError, match="neither a list of values nor a range"):
        read_scenario(save(tmp_path, shop(sweep={"vary": {COUNT: 4}})))


def test_the_ends_of_a_search(tmp_path: Path) -> None:
    """A search does not know its points beforehand, so each path is validated at its ends."""
    group = "capacityProviders.nodes.autoScalingGroupProvider.autoScalingGroup"
    path = save(tmp_path)

    def check(*vary: str) -> None:
        check_range_ends(open_varied_scenario(path, SweepRequest(vary=parse_vary(vary))))

    sizes = (
        f"{group}.minSize={{from: 2, to: 9, integer: true}}",
        f"{group}.maxSize={{from: 9, to: 20, integer: true}}",
    )
    check(*sizes, f"{group}.desiredCapacity={{from: 9, to: 9.5}}".replace("{from: 9, to: 9.5}", "9"))
    for wrong in ("services.wbe.desiredCount=1", f"{COUNT}={{from: -2, to: 4, integer: true}}"):
        with pytest.raises(ScenarioError) as caught:
            check(wrong)
        assert caught.value.problems[0].startswith("--vary services")
    with pytest.raises(ScenarioError, match="nothing is varied"):
        check()
