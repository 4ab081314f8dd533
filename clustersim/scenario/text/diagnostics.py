"""What was found in a scenario file: problems and warnings, each with its place.

Decides how a finding is written (`FILE:LINE:COL: path.to.field: what is wrong; what would be right`) and in
which order. Must not know what any field means. The reader makes one per scenario; every step of reading
adds to it, and the reader raises all problems at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clustersim.errors import ScenarioError
from clustersim.scenario.text.document import Document, Problem, Steps
from clustersim.scenario.text.overrides import spell

_OVERRIDES_LAST = 1 << 40


@dataclass
class Findings:
    """All problems and warnings of one scenario file."""

    document: Document
    data: Any = None
    """The scenario after inclusion of files, by which items are named."""
    overridden: list[tuple[Steps, str]] = field(default_factory=list)
    """Where overrides stand, and their paths as written."""
    origins: dict[Steps, list[int]] = field(default_factory=dict)
    """By list into which files were included: where each of its items stands in the written list."""
    included: dict[Steps, Document] = field(default_factory=dict)
    """By item: the block that was laid under it."""
    problems: list[tuple[int, int, str]] = field(default_factory=list)
    warnings: list[tuple[int, int, str]] = field(default_factory=list)
    _places: set[Steps] = field(default_factory=set)
    _inside: list[tuple[str, Steps]] = field(default_factory=list)
    _features: set[str] = field(default_factory=set)

    def fork(self) -> Findings:
        """The same findings to go on from in one of several ways: what is added here stays here."""
        other = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list | dict | set):
                setattr(other, name, copy.copy(value))
        other.data = copy.deepcopy(self.data)
        return other

    def add(self, path: Steps, what: str, right: str = "") -> None:
        """Report a problem; a second one at the same place would be an echo of the first, and is dropped."""
        if path in self._places:
            return
        self.extend(path, [Problem((), what, right)])

    def extend(self, prefix: Steps, problems: Iterable[Problem]) -> None:
        """Report the problems of a check that began at `prefix`."""
        places = set(self._places)
        for problem in problems:
            path = prefix + problem.path
            if path not in places:
                text = f"{problem.what}; {problem.right}" if problem.right else problem.what
                self.problems.append(self._line(path, text))
                self._places.add(path)

    def add_text(self, document: Document, path: Steps = ()) -> None:
        """Report what is wrong with a file as text; it is named at `path`."""
        line, column, _ = self.document.place(self._as_written(path))
        for inner_line, inner_column, message in document.faults:
            text = (
                f"{document.label}:{inner_line}:{inner_column}: {spell(path, self.data) or 'yaml'}: {message}"
            )
            self.problems.append((line, column, text))
            self._places.add(path)

    def add_line(self, path: Steps, label: str, line: int, message: str) -> None:
        """Report a problem on a line of a file that the field at `path` names, such as a trace."""
        order = self.document.place(self._as_written(path))
        self.problems.append((*order[:2], f"{label}:{line}:1: {spell(path, self.data)}: {message}"))
        self._places.add(path)

    def add_inside(self, path: Steps, document: Document, problem: Problem) -> None:
        """Report a problem at a place of a file that the field at `path` names; each place once."""
        if any(label == document.label and place == problem.path for label, place in self._inside):
            return
        self._inside.append((document.label, problem.path))
        order = self.document.place(self._as_written(path))
        line, column, _ = document.place(problem.path)
        spelled = spell(problem.path, document.value) or spell(path, self.data)
        text = f"{problem.what}; {problem.right}" if problem.right else problem.what
        self.problems.append((*order[:2], f"{document.label}:{line}:{column}: {spelled}: {text}"))
        self._places.add(path)

    def warn(self, path: Steps, text: str) -> None:
        """Say something that does not stop a run."""
        self.warnings.append(self._line(path, text))

    def warn_line(self, path: Steps, document: Document, place: Steps, text: str) -> None:
        """Warn about what stands at `place` of a file that the field at `path` names."""
        order = self.document.place(self._as_written(path))
        line, column, _ = document.place(place)
        spelled = spell(place, document.value) or spell(path, self.data)
        self.warnings.append((*order[:2], f"{document.label}:{line}:{column}: {spelled}: {text}"))

    def not_simulated(self, path: Steps, feature: str) -> None:
        """Warn, once per feature, that this version reads but does not simulate what stands at `path`."""
        if feature not in self._features:
            self._features.add(feature)
            self.warn(path, f"{feature} is not simulated yet; the run goes on without it")

    def found_at(self, path: Steps) -> bool:
        """Whether a problem was already reported at `path` or anywhere under it."""
        return any(place[: len(path)] == path for place in self._places)

    def _line(self, path: Steps, text: str) -> tuple[int, int, str]:
        for place, written in reversed(self.overridden):
            if path[: len(place)] == place:
                rest = spell(path, self.data)[len(spell(place, self.data)) :]
                return _OVERRIDES_LAST, 0, f"--set {written}{rest}: {text}"
        line, column, depth = self.document.place(self._as_written(path))
        label, order = self.document.label, (line, column)
        for length in range(len(path), 0, -1):
            block = self.included.get(path[:length])
            if block is not None:
                inner_line, inner_column, inner_depth = block.place(path[length:])
                if inner_depth > depth - length:
                    label, line, column = block.label, inner_line, inner_column
                break
        return *order, f"{label}:{line}:{column}: {spell(path, self.data) or 'scenario'}: {text}"

    def _as_written(self, path: Steps) -> Steps:
        """`path` with the positions that items had before files with several blocks were included."""
        steps = list(path)
        for length, step in enumerate(path):
            origins = self.origins.get(path[:length])
            if origins is not None and isinstance(step, int) and step < len(origins):
                steps[length] = origins[step]
        return tuple(steps)

    def check(self) -> None:
        """Raise all problems, sorted by place; returns if there are none."""
        if self.problems:
            raise ScenarioError([text for _, _, text in sorted(self.problems)])

    def warning_lines(self) -> tuple[str, ...]:
        """All warnings, sorted by place."""
        return tuple(text for _, _, text in sorted(self.warnings))
