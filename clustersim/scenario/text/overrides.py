"""Dotted paths into a scenario, as in `--set services.web.desiredCount=8`.

Decides how a path selects values in mappings and, by name or position, items in lists, and formats the path of
a problem in the same grammar. It must not know the meaning of any field. The reader applies the overrides of
`--set`; `diagnostics` formats paths.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from clustersim.scenario.text.document import FieldPath, Problem, parse_document

NAME_FIELDS = (
    "name",
    "servicename",
    "family",
    "autoscalinggroupname",
    "policyname",
    "scheduledactionname",
    "targetgroupname",
    "alarmname",
    "rolename",
    "subnetid",
    "capacityprovider",
)
_SEGMENT = re.compile(r"\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|\[(?P<index>\d+)\]|(?P<plain>[^.\[\"'=]+)")


class PathError(ValueError):
    """A path that cannot be parsed or does not exist; `hint` tells how to fix it."""

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


def suggest_name(word: str, known: Sequence[str]) -> str:
    """Return `did you mean X?` if one of `known` is close to `word`, else a list of the first 30 known names."""
    by_lower_case = {name.lower(): name for name in known}
    match = (
        difflib.get_close_matches(word.lower(), by_lower_case, n=1, cutoff=0.6)
        if len(by_lower_case) <= 5_000
        else []
    )
    if match:
        return f"did you mean {by_lower_case[match[0]]}?"
    names = sorted(set(known))
    shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    return f"one of: {shown}" if names else ""


def list_item_names(items: Sequence[Any]) -> list[str | None]:
    """Return the name of each item of a list of mappings, None without one; task definitions are `family:revision`."""
    names: list[str | None] = []
    revisions: dict[str, int] = {}
    for item in items:
        fields = {str(key).lower(): value for key, value in item.items()} if isinstance(item, dict) else {}
        name = next((str(fields[field]) for field in NAME_FIELDS if field in fields), None)
        if name is not None and "family" in fields and "name" not in fields:
            revision = fields.get("revision", revisions.get(name, 0) + 1)
            revisions[name] = revision if isinstance(revision, int) else revisions.get(name, 0) + 1
            name = f"{name}:{revision}"
        names.append(name)
    return names


def parse_path(text: str) -> list[str | int]:
    """Split a dotted path into keys and positions (`[0]`); a segment with a dot or a colon may be quoted.

    Raises:
        PathError: the path has a syntax error.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if match is None:
            hint = "write it like services.web.desiredCount, quoting a name with a dot in it"
            raise PathError(f"is not a valid path at character {position + 1}", hint)
        kind, segment = str(match.lastgroup), match[str(match.lastgroup)]
        steps.append(int(segment) if kind == "index" else segment)
        position = match.end()
        if position < len(text) and text[position] == ".":
            position += 1
            if position == len(text):
                raise PathError("ends with a dot", "name a field after it")
        elif position < len(text) and text[position] != "[":
            raise PathError(f"is not a valid path at character {position + 1}", "put a dot between names")
    if not steps:
        raise PathError("is empty", "write PATH=VALUE, like services.web.desiredCount=8")
    return steps


def split_assignment(text: str) -> tuple[str, str]:
    """Split `PATH=VALUE` at the first `=` outside quotes. Raises `PathError` if there is none."""
    quote = ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "=":
            return text[:index].strip(), text[index + 1 :]
    raise PathError("has no `=`", "write PATH=VALUE, like services.web.desiredCount=8")


def _find_item(items: list[Any], step: str | int) -> int:
    """Return the position in a list of the item that `step` names. Raises `PathError` without exactly one match."""
    if isinstance(step, int) or step.isdigit():
        if int(step) < len(items):
            return int(step)
        raise PathError(f"there is no item {step}", f"the list has {len(items)}, counted from 0")
    names = list_item_names(items)
    matches = [index for index, name in enumerate(names) if name == step]
    if not matches:
        matches = [index for index, name in enumerate(names) if name and name.rpartition(":")[0] == step]
    if len(matches) == 1:
        return matches[0]
    known = [name for name in names if name]
    if matches:
        raise PathError(f"{step} is ambiguous", "one of: " + ", ".join(known[index] for index in matches))
    raise PathError(f"there is no item named {step}", suggest_name(step, known))


def matching_key(mapping: dict[str, Any], step: str | int) -> str:
    """Return the key of `mapping` that equals `step`, ignoring case as AWS fields allow; `step` itself if none does."""
    name = str(step)
    if name in mapping:
        return name
    return next((key for key in mapping if key.lower() == name.lower()), name)


def assign_field(data: Any, path: Sequence[str | int], value: Any) -> FieldPath:
    """Set the field at `path` in `data` to `value` (None removes it); missing mappings are created.

    Returns the path of the field with the keys and positions of `data`. Raises `PathError` if the path leads
    through a missing list item or a plain value.
    """
    node, steps = data, list[str | int]()
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if isinstance(node, list):
            position = _find_item(node, step)
            steps.append(position)
            if last:
                node[position] = value
            node = node[position]
        elif isinstance(node, dict):
            key = matching_key(node, step)
            steps.append(key)
            if last and value is None:
                node.pop(key, None)
            elif last:
                node[key] = value
            else:
                node = node.setdefault(key, {})
        else:
            before = ".".join(str(part) for part in path[:number])
            raise PathError(f"{before} is a plain value", f"it has no field {step}")
    return tuple(steps)


def apply_override(data: Any, text: str) -> tuple[str, FieldPath, list[Problem]]:
    """Apply one `PATH=VALUE` to `data`; return the path as written, the path in `data`, and any problems."""
    try:
        written, value_text = split_assignment(text)
    except PathError as error:
        return text, (), [Problem((), str(error), error.hint)]
    try:
        path = parse_path(written)
        value = None
        if value_text.strip():
            document = parse_document(value_text, "VALUE")
            if document.errors:
                message = document.errors[0][2]
                return written, (), [Problem((), f"the value {value_text!r} is not YAML: {message}")]
            value = document.value
        return written, assign_field(data, path, value), []
    except PathError as error:
        return written, (), [Problem((), str(error), error.hint)]


def format_path(path: FieldPath, data: Any) -> str:
    """Return `path` in the grammar of overrides; list items appear by name if it is unique, else by position."""
    text, node = "", data
    for step in path:
        if isinstance(step, int):
            names = list_item_names(node) if isinstance(node, list) else []
            name = names[step] if step < len(names) else None
            if name is not None and names.count(name) == 1 and not name.isdigit():
                text += "." + (f'"{name}"' if re.search(r"[.:\s\[\]\"'=]", name) else name)
            else:
                text += f"[{step}]"
            node = node[step] if isinstance(node, list) and step < len(node) else None
        else:
            text += f".{step}"
            node = node.get(step) if isinstance(node, dict) else None
    return text.removeprefix(".")
