"""Launch options of a scenario: plain EC2, ECS on EC2, ECS on Fargate, and the last two on Spot.

Decides the order of changes (the load first, then the option, then its overrides) and reports the changes, or why an
option cannot run the workload. It must not know costs. A comparison passes `LaunchOption.rewrite` to the reader, which
validates the resulting document like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clustersim.errors import CannotRun, ScenarioError
from clustersim.scenario.aws.checked_block import read_blocks
from clustersim.scenario.aws.included_files import OPERATIONS
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.overrides import apply_override
from clustersim.scenario.variants.document_editor import DocumentEditor
from clustersim.scenario.variants.scaled_load import scale_load
from clustersim.scenario.variants.to_ecs_ec2 import to_ecs_on_ec2
from clustersim.scenario.variants.to_fargate import to_fargate
from clustersim.scenario.variants.to_virtual_machines import to_virtual_machines

_OPTIONS: dict[str, tuple[Callable[[DocumentEditor, bool], None], bool]] = {
    "ec2": (to_virtual_machines, False),
    "ecs-ec2": (to_ecs_on_ec2, False),
    "ecs-fargate": (to_fargate, False),
    "ecs-ec2-spot": (to_ecs_on_ec2, True),
    "ecs-fargate-spot": (to_fargate, True),
}


@dataclass
class LaunchOption:
    """One launch option at one load; `changes` are the sentences about what `rewrite` changed."""

    name: str
    load: float
    base: Scenario
    """The scenario resolved as written."""
    instance_types: Sequence[str] = ()
    overrides: Sequence[str] = ()
    changes: list[str] = field(default_factory=list)

    def rewrite(self, diagnostics: Diagnostics) -> None:
        """Rewrite the document in `diagnostics`, which must be the one of `base`, for this option.

        Raises:
            CannotRun: with the reasons if the option cannot run the workload.
            ScenarioError: an override is invalid.
        """
        data = diagnostics.data
        checked = diagnostics.fork()
        for section in OPERATIONS:
            if isinstance(data.get(section), list):
                data[section] = copy.deepcopy([block.value for block in read_blocks(checked, section)])
        editor = DocumentEditor(data, self.base, self.instance_types)
        if self.load != 1:
            editor.record_changes(*scale_load(data, self.load))
        convert, spot = _OPTIONS[self.name]
        convert(editor, spot)
        if editor.obstacles:
            raise CannotRun(list(dict.fromkeys(editor.obstacles)))
        for text in self.overrides:
            written, steps, problems = apply_override(data, text)
            if problems:
                problem = "; ".join(filter(None, (problems[0].message, problems[0].hint)))
                raise ScenarioError([f"--set {self.name}:{written}: {problem}"])
            diagnostics.overridden.append((steps, f"{self.name}:{written}"))
            editor.record_changes(f"overridden: {text}")
        self.changes = merge_sentences(editor.changes)


def merge_sentences(sentences: Sequence[str]) -> list[str]:
    """Merge sentences with the same content: `web: on FARGATE`, `worker: on FARGATE` to `web, worker: on FARGATE`."""
    names_by_text: dict[str, dict[str, None]] = {}
    for sentence in sentences:
        name, colon, text = sentence.partition(": ")
        names_by_text.setdefault(text if colon else sentence, {}).update({name: None} if colon else {})
    return [f"{', '.join(names)}: {text}" if names else text for text, names in names_by_text.items()]
