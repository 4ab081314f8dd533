"""Paths into a scenario as people write them: `services.web.desiredCount=8`.

Decides how a dotted path reaches into mappings and, by the item's name or position, into lists; and how the
place of a problem is spelled in the same grammar. Must not know what a field means. The reader applies the
overrides of `--set` with it, the findings name their places with it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from clustersim.scenario.text.document import Problem, Steps, read_text

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
    """A path that is not written as one, or that leads nowhere; `right` says what would be right."""

    def __init__(self, what: str, right: str = "") -> None:
        self.right = right
        super().__init__(what)


def closest(word: str, known: Sequence[str]) -> str:
    """`did you mean X?` where one of `known` is close to `word`, else the list of them."""
    folded = {name.lower(): name for name in known}
    match = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6) if len(folded) <= 5_000 else []
    if match:
        return f"did you mean {folded[match[0]]}?"
    names = sorted(set(known))
    shown = ", ".join(names[:30]) + (f" and {len(names) - 30} more" if len(names) > 30 else "")
    return f"one of: {shown}" if names else ""


def item_names(items: Sequence[Any]) -> list[str | None]:
    """The name of each item of a list of mappings; revisions of one family are `family:n`."""
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
    """The segments of a dotted path; a segment with a dot or a colon may be quoted, `[0]` is a position."""
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _SEGMENT.match(text, position)
        if match is None:
            right = "write it like services.web.desiredCount, quoting a name with a dot in it"
            raise PathError(f"is no path at character {position + 1}", right)
        kind, segment = str(match.lastgroup), match[str(match.lastgroup)]
        steps.append(int(segment) if kind == "index" else segment)
        position = match.end()
        if position < len(text) and text[position] == ".":
            position += 1
            if position == len(text):
                raise PathError("ends with a dot", "name a field after it")
        elif position < len(text) and text[position] != "[":
            raise PathError(f"is no path at character {position + 1}", "put a dot between names")
    if not steps:
        raise PathError("is empty", "write PATH=VALUE, like services.web.desiredCount=8")
    return steps


def split_assignment(text: str) -> tuple[str, str]:
    """PATH and VALUE of `PATH=VALUE`: the first `=` outside quotes divides them."""
    quote = ""
    for index, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "=":
            return text[:index].strip(), text[index + 1 :]
    raise PathError("has no `=`", "write PATH=VALUE, like services.web.desiredCount=8")


def _position(items: list[Any], step: str | int) -> int:
    """The position in a list of the item that `step` names."""
    if isinstance(step, int) or step.isdigit():
        if int(step) < len(items):
            return int(step)
        raise PathError(f"there is no item {step}", f"the list has {len(items)}, counted from 0")
    names = item_names(items)
    found = [index for index, name in enumerate(names) if name == step]
    if not found:
        found = [index for index, name in enumerate(names) if name and name.rpartition(":")[0] == step]
    if len(found) == 1:
        return found[0]
    known = [name for name in names if name]
    if found:
        raise PathError(f"{step} is ambiguous", "one of: " + ", ".join(known[index] for index in found))
    raise PathError(f"there is no item named {step}", closest(step, known))


def key_of(mapping: dict[str, Any], step: str | int) -> str:
    """The key of `mapping` that `step` means: the case of an AWS field is free."""
    name = str(step)
    if name in mapping:
        return name
    return next((key for key in mapping if key.lower() == name.lower()), name)


def assign(data: Any, path: Sequence[str | int], value: Any) -> Steps:
    """Set the field at `path` in `data` to `value` (None removes it); missing mappings are made.

    Returns where the value now stands. Raises `PathError` where the path leads through what is not there.
    """
    node, steps = data, list[str | int]()
    for number, step in enumerate(path):
        last = number == len(path) - 1
        if isinstance(node, list):
            position = _position(node, step)
            steps.append(position)
            if last:
                node[position] = value
            node = node[position]
        elif isinstance(node, dict):
            key = key_of(node, step)
            steps.append(key)
            if last and value is None:
                node.pop(key, None)
            elif last:
                node[key] = value
            else:
                node = node.setdefault(key, {})
        else:
            before = ".".join(str(part) for part in path[:number])
            raise PathError(f"{before} holds a plain value", f"it has no field {step}")
    return tuple(steps)


def apply_override(data: Any, text: str) -> tuple[str, Steps, list[Problem]]:
    """Lay one `PATH=VALUE` over `data`; returns the path as written, where it stands, and what is wrong."""
    try:
        written, value_text = split_assignment(text)
    except PathError as error:
        return text, (), [Problem((), str(error), error.right)]
    try:
        path = parse_path(written)
        value = None
        if value_text.strip():
            document = read_text(value_text, "VALUE")
            if document.faults:
                message = document.faults[0][2]
                return written, (), [Problem((), f"the value {value_text!r} is not YAML: {message}")]
            value = document.value
        return written, assign(data, path, value), []
    except PathError as error:
        return written, (), [Problem((), str(error), error.right)]


def spell(path: Steps, data: Any) -> str:
    """`path` in the grammar of overrides: items by their name where only one has it."""
    text, node = "", data
    for step in path:
        if isinstance(step, int):
            names = item_names(node) if isinstance(node, list) else []
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
