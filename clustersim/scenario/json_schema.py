"""The JSON Schema of a scenario file, for editors.

Decides nothing of its own: the models of the written file say what our keys are, `raw_aws` describes the AWS
blocks. Must not be used to check a file; the reader does that and says more. `clustersim schema` prints it.
"""

from __future__ import annotations

from typing import Any

from clustersim.scenario.sections.behavior import WrittenBehavior, WrittenLoad, WrittenSeries
from clustersim.scenario.sections.ecs_agent import EcsConfig
from clustersim.scenario.sections.failures import WrittenInterruptions
from clustersim.scenario.sections.images import WrittenImage, WrittenPullLimit
from clustersim.scenario.sections.scenario_file import ScenarioFile
from clustersim.scenario.sections.virtual_machines import VirtualMachines

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema of a scenario (draft 2020-12), own keys and main fields of AWS blocks included."""
    template = "#/$defs/{model}"
    schema: dict[str, Any] = ScenarioFile.model_json_schema(ref_template=template)
    definitions = schema.setdefault("$defs", {})
    for model in (
        *(WrittenBehavior, WrittenLoad, WrittenInterruptions),
        *(WrittenImage, WrittenPullLimit, EcsConfig, VirtualMachines),
    ):
        part = model.model_json_schema(ref_template=template)
        definitions.update(part.pop("$defs", {}))
        definitions[model.__name__] = part
    series = definitions[WrittenSeries.__name__]
    series["properties"].pop("constant", None)
    definitions[WrittenSeries.__name__] = {"anyOf": [{"type": "number", "minimum": 0}, series]}
    return {
        "$schema": DIALECT,
        **_linked(schema),
        "title": "clustersim scenario",
        "anyOf": [{"required": ["services"]}, {"required": ["runTasks"]}],
    }


def _linked(node: Any) -> Any:
    """`node` with references to our models in place of their names, and without pydantic's titles."""
    if isinstance(node, dict):
        if "$model" in node:
            return {"$ref": f"#/$defs/{node['$model']}"}
        return {
            key: _linked(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str)) and key != "default"
        }
    return [_linked(item) for item in node] if isinstance(node, list) else node
