"""What people publish must not hold what they keep secret: the resolved scenario of a manifest."""

from __future__ import annotations

import json
from pathlib import Path

from clustersim.scenario.reader import PRIVATE_FIELDS, read_scenario
from tests.harness import definition, run, service, world

PRIVATE = {
    "environment": [{"name": "TOKEN", "value": "hunter2"}],
    "environmentFiles": [{"type": "s3", "value": "arn:aws:s3:::hunter2/x.env"}],
    "secrets": [{"name": "PASSWORD", "valueFrom": "arn:aws:ssm:us-east-1:1:parameter/hunter2"}],
    "repositoryCredentials": {"credentialsParameter": "arn:aws:secretsmanager:us-east-1:1:secret:hunter2"},
}


def _written(path: Path) -> dict[str, object]:
    """A scenario with private fields in a task definition of its own and in one that is included."""
    included = definition("from-file", container=PRIVATE)
    (path / "included.json").write_text(json.dumps(included))
    return world(
        duration="5m",
        taskDefinitions=[definition(container=PRIVATE), {"file": "included.json"}],
        services=[service(), service("two", taskDefinition="from-file")],
    )


def test_no_result_file_holds_environment_values_or_names_of_secrets(tmp_path: Path) -> None:
    """Neither the manifest nor any other file, whether the definition is written in the scenario or included."""
    path = tmp_path / "secret.json"
    path.write_text(json.dumps(_written(tmp_path)))
    scenario = read_scenario(path)
    assert "hunter2" not in json.dumps(scenario.resolved)
    result = run(_written(tmp_path), tmp_path)
    for file in result.run.path.iterdir():
        assert b"hunter2" not in file.read_bytes(), file.name


def test_the_private_fields_are_written_in_lower_case() -> None:
    """Fields are compared without case, since the case of a field is free in a scenario."""
    assert {name.lower() for name in PRIVATE} <= PRIVATE_FIELDS == {name.lower() for name in PRIVATE_FIELDS}
