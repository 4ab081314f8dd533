"""The JSON Schema of a scenario file, for editors.

It is generated from the models of the written file; `aws_block_schema` describes the AWS blocks. It must not be used
to validate a file: the reader does that, and checks more. `clustersim schema` prints it.
"""

from __future__ import annotations

from typing import Any

from clustersim.scenario.sections.behavior import WrittenBehavior
from clustersim.scenario.sections.deployment import WrittenHookResult
from clustersim.scenario.sections.ecs_agent import WrittenEcsConfig
from clustersim.scenario.sections.failures import WrittenSpotInterruptions
from clustersim.scenario.sections.images import WrittenImage, WrittenPullLimit
from clustersim.scenario.sections.load import WrittenLoad, WrittenSeries
from clustersim.scenario.sections.scenario_file import WrittenScenario
from clustersim.scenario.sections.virtual_machines import WrittenVirtualMachines

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the schema of a scenario (draft 2020-12): our own keys and the main fields of AWS blocks."""
    template = "#/$defs/{model}"
    schema: dict[str, Any] = WrittenScenario.model_json_schema(ref_template=template)
    definitions = schema.setdefault("$defs", {})
    for model in (
        *(WrittenBehavior, WrittenLoad, WrittenSpotInterruptions),
        *(WrittenImage, WrittenPullLimit, WrittenEcsConfig, WrittenVirtualMachines, WrittenHookResult),
    ):
        part = model.model_json_schema(ref_template=template)
        definitions.update(part.pop("$defs", {}))
        definitions[model.__name__] = part
    series = definitions[WrittenSeries.__name__]
    definitions[WrittenSeries.__name__] = {"anyOf": [{"type": "number", "minimum": 0}, series]}
    return {
        "$schema": DIALECT,
        **_link_models(schema),
        "title": "clustersim scenario",
        "anyOf": [{"required": ["services"]}, {"required": ["runTasks"]}],
    }


def _link_models(node: Any) -> Any:
    """Return `node` with model names replaced by references, and without pydantic's titles and defaults."""
    if isinstance(node, dict):
        if "$model" in node:
            return {"$ref": f"#/$defs/{node['$model']}"}
        return {
            key: _link_models(value)
            for key, value in node.items()
            if not (key == "title" and isinstance(value, str)) and key != "default"
        }
    return [_link_models(item) for item in node] if isinstance(node, list) else node
