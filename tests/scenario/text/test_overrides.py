"""Tests of `--set PATH=VALUE`: paths by name and by position."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.scenario.text.overrides import (
    PathError,
    apply_override,
    format_path,
    list_item_names,
    parse_path,
)

DATA: dict[str, Any] = {
    "seed": 1,
    "services": [{"serviceName": "web", "desiredCount": 1}, {"ServiceName": "api.v1"}],
    "taskDefinitions": [{"family": "web", "cpu": "1"}, {"family": "web"}, {"family": "job", "revision": 7}],
    "capacityProviders": [
        {"name": "general", "autoScalingGroupProvider": {"autoScalingGroup": {"MinSize": 1}}}
    ],
}


def apply(text: str) -> tuple[dict[str, Any], str]:
    data = copy.deepcopy(DATA)
    _, _, problems = apply_override(data, text)
    return data, "; ".join(f"{problem.message}; {problem.hint}" for problem in problems)


def test_lists_are_reached_by_the_name_of_the_item() -> None:
    """Contract, section 2."""
    data, problems = apply("services.web.desiredCount=8")
    assert not problems
    assert data["services"][0]["desiredCount"] == 8


def test_lists_are_reached_by_position() -> None:
    for path in ("services.1.desiredCount=8", "services[1].desiredCount=8"):
        assert apply(path)[0]["services"][1]["desiredCount"] == 8


def test_a_name_with_a_dot_or_a_colon_is_quoted() -> None:
    """`taskDefinitions."web:2".cpu`: a family's n-th is revision n, unless it says so."""
    assert apply('taskDefinitions."web:2".cpu="512"')[0]["taskDefinitions"][1]["cpu"] == "512"
    assert apply("taskDefinitions.'job:7'.cpu=1")[0]["taskDefinitions"][2]["cpu"] == 1
    assert apply('services."api.v1".desiredCount=2')[0]["services"][1]["desiredCount"] == 2


def test_a_family_of_one_revision_needs_no_revision() -> None:
    assert apply("taskDefinitions.job.cpu=1")[0]["taskDefinitions"][2]["cpu"] == 1
    assert "web is ambiguous; one of: web:1, web:2" in apply("taskDefinitions.web.cpu=1")[1]


def test_values_are_yaml() -> None:
    """Lists, text in quotes, and null, which takes a field away."""
    assert apply("services.web.zones=[a, b]")[0]["services"][0]["zones"] == ["a", "b"]
    assert apply("name='5'")[0]["name"] == "5"
    assert "seed" not in apply("seed=null")[0]
    assert "seed" not in apply("seed=")[0]
    assert apply("name=a=b")[0]["name"] == "a=b"


def test_missing_mappings_are_made() -> None:
    assert apply("cluster.provisioning.limit=5")[0]["cluster"] == {"provisioning": {"limit": 5}}


def test_the_case_of_a_field_is_free() -> None:
    """An included block may be in the API's case."""
    data, _ = apply("capacityProviders.general.autoScalingGroupProvider.autoScalingGroup.minSize=3")
    assert data["capacityProviders"][0]["autoScalingGroupProvider"]["autoScalingGroup"] == {"MinSize": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("services.wbe.desiredCount=8", "there is no item named wbe; did you mean web?"),
        ("services.7.desiredCount=8", "there is no item 7; the list has 2"),
        ("seed.x=1", "seed is a plain value"),
        ("seed", "has no `=`"),
        ("=5", "is empty"),
        ("a..b=5", "is not a valid path at character 3"),
        ("a.=5", "ends with a dot"),
        ("seed=[1", "is not YAML"),
        ("seed={a: 1, a: 2}", "duplicate key"),
        ("seed=.nan", "not a finite number"),
    ],
)
def test_a_path_that_leads_nowhere_says_so(text: str, message: str) -> None:
    assert message in apply(text)[1]


def test_places_are_spelled_in_the_same_grammar() -> None:
    """The path in an error message is valid for --set."""
    assert format_path(("services", 0, "desiredCount"), DATA) == "services.web.desiredCount"
    assert format_path(("services", 1, "load"), DATA) == 'services."api.v1".load'
    assert format_path(("taskDefinitions", 1, "cpu"), DATA) == 'taskDefinitions."web:2".cpu'
    assert format_path(("zones", 3), DATA) == "zones[3]"
    assert list_item_names([{"name": "a"}, 5, {}]) == ["a", None, None]


@given(st.text(max_size=30))
def test_no_path_makes_the_parser_fail_otherwise(text: str) -> None:
    """Bad input never gives a traceback."""
    with contextlib.suppress(PathError):
        assert parse_path(text)
