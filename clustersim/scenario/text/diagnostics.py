"""Problems, warnings and findings about a scenario file, each with its location.

Decides how a diagnostic is formatted (`FILE:LINE:COL: path.to.field: message; hint`) and in which order
diagnostics are reported. It must not know the meaning of any field. The reader creates one `Diagnostics` per
scenario; every step of reading adds to it, and the reader raises all problems at once.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clustersim.errors import ScenarioError
from clustersim.scenario.text.document import Document, FieldPath, Problem
from clustersim.scenario.text.findings import CODES, Finding
from clustersim.scenario.text.overrides import format_path

_OVERRIDES_LAST = 1 << 40


@dataclass
class Diagnostics:
    """All problems and warnings of one scenario file."""

    document: Document
    data: Any = None
    """The scenario with included files; the names of list items come from it."""
    overridden: list[tuple[FieldPath, str]] = field(default_factory=list)
    """The path of each override in `data`, and the path as the user wrote it."""
    origins: dict[FieldPath, list[int]] = field(default_factory=dict)
    """For each list with included files: the position of each item in the list as written."""
    included: dict[FieldPath, Document] = field(default_factory=dict)
    """For each item that came from a file: the block of that file."""
    problems: list[tuple[int, int, str]] = field(default_factory=list)
    warnings: list[tuple[int, int, str]] = field(default_factory=list)
    findings: list[tuple[int, int, Finding]] = field(default_factory=list)
    _reported: set[FieldPath] = field(default_factory=set)
    _reported_inside: list[tuple[str, FieldPath]] = field(default_factory=list)
    _reported_features: set[str] = field(default_factory=set)

    def fork(self) -> Diagnostics:
        """Return a copy that can be added to without changing this one."""
        result = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, list | dict | set):
                setattr(result, name, copy.copy(value))
        result.data = copy.deepcopy(self.data)
        return result

    def add_problem(self, path: FieldPath, message: str, hint: str = "") -> None:
        """Add a problem, unless one was already reported at the same path (it would be a consequence of the first)."""
        if path in self._reported:
            return
        self.add_problems(path, [Problem((), message, hint)])

    def add_problems(self, prefix: FieldPath, problems: Iterable[Problem]) -> None:
        """Add the problems of a check whose paths are relative to `prefix`."""
        reported = set(self._reported)
        for problem in problems:
            path = prefix + problem.path
            if path not in reported:
                text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
                self.problems.append(self._format(path, text))
                self._reported.add(path)

    def add_text_errors(self, document: Document, path: FieldPath = ()) -> None:
        """Add the text errors (encoding, YAML syntax) of a file that the field at `path` names."""
        line, column, _ = self.document.locate(self._as_written(path))
        for inner_line, inner_column, message in document.errors:
            text = f"{document.label}:{inner_line}:{inner_column}: {format_path(path, self.data) or 'yaml'}: {message}"
            self.problems.append((line, column, text))
            self._reported.add(path)

    def add_line_problem(self, path: FieldPath, label: str, line: int, message: str) -> None:
        """Add a problem on a line of a file that the field at `path` names, such as a trace."""
        order = self.document.locate(self._as_written(path))
        self.problems.append((*order[:2], f"{label}:{line}:1: {format_path(path, self.data)}: {message}"))
        self._reported.add(path)

    def add_file_problem(self, path: FieldPath, document: Document, problem: Problem) -> None:
        """Add a problem inside a file that the field at `path` names; each path in the file is reported once."""
        if (document.label, problem.path) in self._reported_inside:
            return
        self._reported_inside.append((document.label, problem.path))
        order = self.document.locate(self._as_written(path))
        line, column, _ = document.locate(problem.path)
        field_path = format_path(problem.path, document.value) or format_path(path, self.data)
        text = f"{problem.message}; {problem.hint}" if problem.hint else problem.message
        self.problems.append((*order[:2], f"{document.label}:{line}:{column}: {field_path}: {text}"))
        self._reported.add(path)

    def warn(self, path: FieldPath, text: str) -> None:
        """Add a warning; warnings do not prevent a run."""
        self.warnings.append(self._format(path, text))

    def add_finding(self, path: FieldPath, code: str, sentence: str, way_out: str) -> None:
        """Add a finding of one of `findings.CODES`; it does not prevent a run."""
        if code not in CODES:
            raise ValueError(f"{code!r} is no code of a finding")
        line, column, place = self._format(path, "")
        self.findings.append((line, column, Finding(code, place.removesuffix(": "), sentence, way_out)))

    def warn_in_file(self, path: FieldPath, document: Document, inner_path: FieldPath, text: str) -> None:
        """Add a warning about `inner_path` in a file that the field at `path` names."""
        order = self.document.locate(self._as_written(path))
        line, column, _ = document.locate(inner_path)
        field_path = format_path(inner_path, document.value) or format_path(path, self.data)
        self.warnings.append((*order[:2], f"{document.label}:{line}:{column}: {field_path}: {text}"))

    def warn_not_simulated(self, path: FieldPath, feature: str) -> None:
        """Warn, once per feature, that the feature requested at `path` is accepted but not simulated."""
        if feature not in self._reported_features:
            self._reported_features.add(feature)
            self.warn(path, f"{feature} is not simulated yet; the run goes on without it")

    def has_problem_under(self, path: FieldPath) -> bool:
        """Return whether a problem was already reported at `path` or anywhere under it."""
        return any(reported_path[: len(path)] == path for reported_path in self._reported)

    def describe_place(self, path: FieldPath) -> str:
        """Return `FILE:LINE:COL: path.to.field`, for messages about the field that come up in a run."""
        return self._format(path, "")[2].removesuffix(": ")

    def _format(self, path: FieldPath, text: str) -> tuple[int, int, str]:
        for prefix, written in reversed(self.overridden):
            if path[: len(prefix)] == prefix:
                rest = format_path(path, self.data)[len(format_path(prefix, self.data)) :]
                return _OVERRIDES_LAST, 0, f"--set {written}{rest}: {text}"
        line, column, depth = self.document.locate(self._as_written(path))
        label, order = self.document.label, (line, column)
        for length in range(len(path), 0, -1):
            block = self.included.get(path[:length])
            if block is not None:
                inner_line, inner_column, inner_depth = block.locate(path[length:])
                if inner_depth > depth - length:
                    label, line, column = block.label, inner_line, inner_column
                break
        return *order, f"{label}:{line}:{column}: {format_path(path, self.data) or 'scenario'}: {text}"

    def _as_written(self, path: FieldPath) -> FieldPath:
        """Return `path` with the list positions as written, before files with several blocks were included."""
        steps = list(path)
        for length, step in enumerate(path):
            origins = self.origins.get(path[:length])
            if origins is not None and isinstance(step, int) and step < len(origins):
                steps[length] = origins[step]
        return tuple(steps)

    def raise_problems(self) -> None:
        """Raise `ScenarioError` with all problems, sorted by location; do nothing if there are none."""
        if self.problems:
            raise ScenarioError([text for _, _, text in sorted(self.problems)])

    def sorted_findings(self) -> tuple[Finding, ...]:
        """Return all findings, sorted by location."""
        return tuple(finding for _, _, finding in sorted(self.findings))

    def sorted_warnings(self) -> tuple[str, ...]:
        """Return all warnings, sorted by location."""
        return tuple(text for _, _, text in sorted(self.warnings))
