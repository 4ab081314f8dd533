"""What a scenario becomes under each way of running it: plain EC2, ECS on EC2, ECS on Fargate, or either by Spot.

Decides the order of things: the load first, then the option, then what somebody overrides of it; and says in words
what was set and why an option cannot be. Must not know what runs cost. A comparison calls `rewriting` and hands
the result to the reader, which checks the document that comes of it like any other.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clustersim.errors import CannotRun, ScenarioError
from clustersim.scenario.aws.checked_block import check_all
from clustersim.scenario.aws.included_files import OPERATIONS
from clustersim.scenario.sections.scenario import Scenario
from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.overrides import apply_override
from clustersim.scenario.variants.document_editor import Rewriting
from clustersim.scenario.variants.scaled_load import scale_load
from clustersim.scenario.variants.to_ecs_ec2 import to_ecs_on_ec2
from clustersim.scenario.variants.to_fargate import to_fargate
from clustersim.scenario.variants.to_virtual_machines import to_virtual_machines

_OPTIONS: dict[str, tuple[Callable[[Rewriting, bool], None], bool]] = {
    "ec2": (to_virtual_machines, False),
    "ecs-ec2": (to_ecs_on_ec2, False),
    "ecs-fargate": (to_fargate, False),
    "ecs-ec2-spot": (to_ecs_on_ec2, True),
    "ecs-fargate-spot": (to_fargate, True),
}


@dataclass
class Option:
    """One option at one load: what to do with the document, and what was said of it when that was done."""

    name: str
    load: float
    base: Scenario
    """The scenario as it is written, resolved."""
    types: Sequence[str] = ()
    overrides: Sequence[str] = ()
    changes: list[str] = field(default_factory=list)

    def rewrite(self, findings: Findings) -> None:
        """Makes the option of the document in `findings`, which is the one that `base` was read from.

        Raises `CannotRun` with the reasons where the option cannot run the workload.
        """
        data = findings.data
        checked = findings.fork()
        for section in OPERATIONS:
            if isinstance(data.get(section), list):
                data[section] = copy.deepcopy([block.value for block in check_all(checked, section)])
        work = Rewriting(data, self.base, self.types)
        if self.load != 1:
            work.say(*scale_load(data, self.load))
        make, spot = _OPTIONS[self.name]
        make(work, spot)
        if work.reasons:
            raise CannotRun(list(dict.fromkeys(work.reasons)))
        for text in self.overrides:
            written, steps, problems = apply_override(data, text)
            if problems:
                told = "; ".join(filter(None, (problems[0].what, problems[0].right)))
                raise ScenarioError([f"--set {self.name}:{written}: {told}"])
            findings.overridden.append((steps, f"{self.name}:{written}"))
            work.say(f"overridden: {text}")
        self.changes = together(work.changes)


def together(sentences: Sequence[str]) -> list[str]:
    """`web: on FARGATE` and `worker: on FARGATE` as one sentence about both."""
    names: dict[str, dict[str, None]] = {}
    for sentence in sentences:
        name, colon, words = sentence.partition(": ")
        names.setdefault(words if colon else sentence, {}).update({name: None} if colon else {})
    return [f"{', '.join(of)}: {words}" if of else words for words, of in names.items()]
