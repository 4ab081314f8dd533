"""Tests of imported files: output of `aws ... --output json` is accepted in a scenario without edits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clustersim.scenario.aws.block_validation import validate_block
from clustersim.scenario.aws.describe_outputs import ImportedBlocks, filter_by_service, import_blocks, overlay
from clustersim.scenario.text.document import Document, read_document

FILES = Path(__file__).parents[2] / "imports"

OPERATIONS = {
    "services": "ecs.CreateService",
    "taskDefinitions": "ecs.RegisterTaskDefinition",
    "capacityProviders": "ecs.CreateCapacityProvider",
    "autoScalingGroups": "autoscaling.CreateAutoScalingGroup",
    "targetGroups": "elbv2.CreateTargetGroup",
    "policies": "application-autoscaling.PutScalingPolicy",
}
OWN: dict[str, dict[str, Any]] = {
    "services": {"load": None, "autoScaling": None},
    "taskDefinitions": {"revision": None, "behavior": None},
    "capacityProviders": {"autoScalingGroupProvider": {"autoScalingGroup": None}},
    "autoScalingGroups": {"instanceTypes": None, "suspendedProcesses": None},
    "targetGroups": {"deregistrationDelay": None},
}
ANSWERS = {
    "describe-services.json": ("services", ["web"]),
    "describe-services-two.json": ("services", ["cart", "search"]),
    "describe-task-definition.json": ("taskDefinitions", ["web"]),
    "describe-capacity-providers.json": ("capacityProviders", ["general"]),
    "describe-auto-scaling-groups.json": ("autoScalingGroups", ["ecs-general"]),
    "describe-target-groups.json": ("targetGroups", ["web"]),
    "describe-scaling-policies.json": ("policies", ["cpu", "requests"]),
}
NAMES = ("serviceName", "family", "AutoScalingGroupName", "PolicyName", "Name", "name")


def name_of(block: dict[str, Any]) -> str:
    return next(str(block[field]) for field in NAMES if field in block)


def written(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return path


def services(path: Path, value: Any) -> ImportedBlocks:
    return import_blocks(written(path / "answer.json", value), "ecs.CreateService")


def values(imported: ImportedBlocks) -> list[Any]:
    return [block.value for block in imported.blocks]


# --- whole answers


@pytest.mark.parametrize("file", ANSWERS)
def test_answers_are_taken_as_aws_prints_them(file: str) -> None:
    """Contract, section 1: nothing has to be edited, and nothing in a whole answer is unknown."""
    section, names = ANSWERS[file]
    imported = import_blocks(FILES / file, OPERATIONS[section])
    assert not imported.document.errors
    assert imported.problems == imported.warnings == ()
    assert [name_of(block.value) for block in imported.blocks] == names
    for block in imported.blocks:
        checked = validate_block(OPERATIONS[section], block.value, OWN.get(section, {}))
        assert checked.problems == checked.warnings == ()


def test_every_answer_of_the_folder_is_covered() -> None:
    assert {path.name for path in FILES.glob("*.json")} == set(ANSWERS)


@pytest.mark.parametrize("path", sorted(FILES.glob("*.yaml")), ids=lambda path: path.stem)
def test_scenarios_over_answers_check_clean(path: Path) -> None:
    """Each scenario lays a few keys over an answer; the result is a right block of its operation."""
    scenario = read_document(path)
    assert not scenario.errors
    items = [(section, item) for section in OPERATIONS for item in scenario.value.get(section, [])]
    for service in scenario.value["services"]:
        items += [("policies", policy) for policy in service.get("autoScaling", {}).get("policies", [])]
    used = 0
    for section, item in items:
        over = {key: value for key, value in item.items() if key != "file"}
        bases = [{}]
        if "file" in item:
            used += 1
            bases = values(import_blocks(FILES / item["file"], OPERATIONS[section]))
        for base in bases:
            checked = validate_block(OPERATIONS[section], overlay(base, over), OWN.get(section, {}))
            assert checked.problems == checked.warnings == ()
    assert used > 0


def test_read_only_fields_are_gone_and_the_rest_stays() -> None:
    service = import_blocks(FILES / "describe-services.json", "ecs.CreateService").blocks[0].value
    assert not {"serviceArn", "deployments", "events", "runningCount", "createdAt", "status"} & set(service)
    assert service["taskDefinition"] == "arn:aws:ecs:us-east-1:123456789012:task-definition/web:7"
    assert service["capacityProviderStrategy"] == [{"capacityProvider": "general", "weight": 1, "base": 0}]


def test_a_task_definition_keeps_its_revision() -> None:
    """Contract, section 3: a family's n-th is revision n, unless it says `revision`; an answer says it."""
    block = (
        import_blocks(FILES / "describe-task-definition.json", "ecs.RegisterTaskDefinition").blocks[0].value
    )
    assert block["revision"] == 7


def test_the_standing_providers_are_not_created_again() -> None:
    """FARGATE and FARGATE_SPOT always exist, and describe-capacity-providers lists them."""
    text = (FILES / "describe-capacity-providers.json").read_text(encoding="utf-8")
    assert '"FARGATE_SPOT"' in text
    imported = import_blocks(FILES / "describe-capacity-providers.json", "ecs.CreateCapacityProvider")
    assert [block["name"] for block in values(imported)] == ["general"]


def test_a_target_group_is_named_as_the_create_call_names_it() -> None:
    block = import_blocks(FILES / "describe-target-groups.json", "elbv2.CreateTargetGroup").blocks[0].value
    assert block["Name"] == "web"
    assert "TargetGroupName" not in block


# --- shapes of files


@pytest.mark.parametrize(
    "value",
    [
        {"services": [{"serviceName": "web"}], "failures": []},
        {"service": {"serviceName": "web"}},
        {"serviceName": "web"},
        [{"serviceName": "web"}],
        {"Services": [{"ServiceName": "web"}]},
    ],
)
def test_answers_inputs_and_lists_mean_the_same(tmp_path: Path, value: Any) -> None:
    imported = services(tmp_path, value)
    assert [validate_block("ecs.CreateService", block).value for block in values(imported)] == [
        {"serviceName": "web"}
    ]
    assert imported.problems == imported.warnings == ()


def test_a_field_may_bear_the_name_of_a_wrapper(tmp_path: Path) -> None:
    """`taskDefinition` is a field of CreateService and the wrapper of describe-task-definition."""
    assert values(services(tmp_path, {"taskDefinition": "web:1"})) == [{"taskDefinition": "web:1"}]


def test_unknown_fields_are_ignored_with_a_warning(tmp_path: Path) -> None:
    deployment = {"maximumPercent": 200, "speed": 3}
    imported = services(
        tmp_path, {"services": [{"serviceName": "web", "deploymentConfiguration": deployment}]}
    )
    assert values(imported) == [{"serviceName": "web", "deploymentConfiguration": {"maximumPercent": 200}}]
    assert [warning.path for warning in imported.warnings] == [
        ("services", 0, "deploymentConfiguration", "speed")
    ]
    assert imported.warnings[0].message == "unknown field, ignored"


def test_what_aws_could_not_describe_is_said(tmp_path: Path) -> None:
    failure = {"arn": "arn:aws:ecs:us-east-1:123456789012:service/shop/gone", "reason": "MISSING"}
    imported = services(tmp_path, {"services": [{"serviceName": "web"}], "failures": [failure]})
    assert "service/shop/gone is MISSING" in imported.warnings[0].message


def test_an_answer_that_found_nothing_is_a_problem(tmp_path: Path) -> None:
    imported = services(tmp_path, {"services": [], "failures": []})
    assert [problem.path for problem in imported.problems] == [("services",)]


def test_an_answer_of_another_call_is_a_problem(tmp_path: Path) -> None:
    imported = services(tmp_path, {"taskDefinition": {"family": "web"}, "tags": []})
    assert imported.blocks == ()
    assert imported.problems[0].message == "describe output of taskDefinition"
    assert imported.problems[0].hint == "describe output of services"


def test_a_warm_pool_is_named(tmp_path: Path) -> None:
    """It was made by another operation, so a create call could not say it; it would change behaviour."""
    group = {"AutoScalingGroupName": "g", "MinSize": 0, "MaxSize": 1, "WarmPoolConfiguration": {"MinSize": 1}}
    path = written(tmp_path / "groups.json", {"AutoScalingGroups": [group]})
    imported = import_blocks(path, "autoscaling.CreateAutoScalingGroup")
    assert [warning.message for warning in imported.warnings] == ["not simulated yet: warm pools"]
    assert "WarmPoolConfiguration" not in imported.blocks[0].value


@pytest.mark.parametrize("value", ["3", '"web"', "[1, null]", '{"services": ["web"]}'])
def test_what_is_no_block_is_a_problem_not_a_crash(tmp_path: Path, value: str) -> None:
    imported = services(tmp_path, value)
    assert imported.blocks == ()
    assert imported.problems


@pytest.mark.parametrize("content", [b'{"services": [', b"\x80\x81\x00binary", b"", b'{"a": 1}{"b": 2}'])
def test_what_is_no_text_or_json_is_a_fault_with_a_place(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    imported = import_blocks(path, "ecs.CreateService")
    assert imported.blocks == ()
    assert imported.document.errors
    assert all(line >= 1 and column >= 1 for line, column, _ in imported.document.errors)


def test_a_file_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    assert "no such file" in import_blocks(tmp_path / "none.json", "ecs.CreateService").document.errors[0][2]


def test_a_block_finds_its_places_in_the_file(tmp_path: Path) -> None:
    """Problems of an imported block point into the file it came from."""
    text = '{"services": [\n  {"serviceName": "a"},\n  {"serviceName": "b",\n   "desiredCount": "2"}]}'
    first, second = services(tmp_path, text).blocks
    assert first.locate(("serviceName",))[:2] == (2, 4)
    problem = validate_block("ecs.CreateService", second.value).problems[0]
    assert second.locate(problem.path)[:2] == (4, 4)
    assert first.sha256 == second.sha256


# --- laying over


def test_keys_are_laid_over_whatever_their_case() -> None:
    base = {"MinSize": 1, "Tags": [1, 2], "Policy": {"A": 1, "b": {"c": 2}}}
    over = {"minSize": 2, "tags": [3], "policy": {"B": {"d": 3}}, "load": {"x": 1}}
    assert overlay(base, over) == {
        "minSize": 2,
        "tags": [3],
        "policy": {"A": 1, "B": {"c": 2, "d": 3}},
        "load": {"x": 1},
    }
    assert base["MinSize"] == 1


def test_policies_are_those_of_the_service() -> None:
    """describe-scaling-policies answers for every service of the account."""
    blocks = tuple(
        Document("answer.json", value=value)
        for value in (
            {"PolicyName": "a", "ResourceId": "service/shop/web"},
            {"PolicyName": "b", "ResourceId": "service/shop/cart"},
            {"PolicyName": "c"},
        )
    )
    assert [block.value["PolicyName"] for block in filter_by_service("web", blocks)] == ["a", "c"]
