"""A YAML document with a place for everything in it, and the problems found in it.

Decides what a scenario file may look like as text (UTF-8, one document, no duplicate keys, bounded size and
alias expansion), and turns paths into the lines people read. Must not know what any key means. The reader,
the botocore checks and the imports all report `Problem`s.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustersim.scenario.text.yaml_nodes import MAX_DEPTH, TOO_DEEP, Node, TextFault, compose

Steps = tuple[str | int, ...]

EMPTY = "the file is empty"
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000  # after aliases are expanded: a "billion laughs" file ends here
_LONG_NUMBER = 40  # digits; anything longer is no quantity


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong at `path` (keys and list positions from where the check began)."""

    path: Steps
    what: str
    right: str = ""


@dataclass(slots=True)
class Document:
    """A file as plain data, with the node tree kept for looking up places."""

    label: str
    sha256: str = ""
    value: Any = None
    root: Node | None = None
    faults: list[tuple[int, int, str]] = field(default_factory=list)
    """What is wrong with the text itself: line, column, message."""

    def place(self, path: Steps) -> tuple[int, int, int]:
        """Line and column (from 1) of the longest part of `path` that stands in the file, and its length."""
        node, place, seen = self.root, (1, 1), set[int]()
        for length, step in enumerate(path):
            found = _child(node, step, seen)
            if found is None:
                return *place, length
            mark, node = found
            place = (mark.line, mark.column)
        return *place, len(path)


def _child(node: Node | None, step: str | int, seen: set[int]) -> tuple[Node, Node] | None:
    """The node that marks the place of `step` under `node`, and the node of its value."""
    if node is not None and node.is_mapping:
        folded = None
        for key, value in node.value:
            if key.value == step:
                return key, value
            if isinstance(step, str) and str(key.value).lower() == step.lower():
                folded = (key, value)
        if folded is not None:
            return folded
        for key, value in node.value:
            if key.tag == "merge" and id(value) not in seen:
                seen.add(id(value))
                for merged in [value] if value.is_mapping else value.value:
                    if (found := _child(merged, step, seen)) is not None:
                        return found
        return None
    if node is not None and node.is_list and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def read_document(path: Path, label: str | None = None) -> Document:
    """Read `path`; what is wrong with it as a file or as YAML is in `faults`, never an exception."""
    document, text = read_file(path, label)
    if text is not None:
        _parse(document, text)
    return document


def read_file(path: Path, label: str | None = None) -> tuple[Document, str | None]:
    """The text of `path`, not parsed; None where it cannot be read, and why is in `faults`."""
    document = Document(label or str(path))
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a directory")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MiB; put bulk data into a trace")
        raw = path.read_bytes()
    except FileNotFoundError:
        document.faults.append((1, 1, "no such file; check the path"))
        return document, None
    except (OSError, ValueError) as error:
        document.faults.append((1, 1, f"cannot be read: {getattr(error, 'strerror', None) or error}"))
        return document, None
    document.sha256 = hashlib.sha256(raw).hexdigest()
    try:
        return document, raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8 text; save the file as UTF-8"
        document.faults.append((line, error.start - raw.rfind(b"\n", 0, error.start), message))
        return document, None


def read_text(text: str, label: str) -> Document:
    """Read YAML that does not stand in a file, such as the value of an override."""
    document = Document(label)
    _parse(document, text)
    return document


def _parse(document: Document, text: str) -> None:
    """Compose the nodes of `text` and turn them into plain data."""
    if text.lstrip()[:1] in ("{", "["):  # JSON may be indented by tabs, YAML may not
        text = re.sub(r"^\t+", lambda match: " " * len(match.group()), text, flags=re.MULTILINE)
    try:
        document.root = compose(text)
    except TextFault as fault:
        document.faults.append((fault.line, fault.column, fault.what))
        return
    if document.root is None:
        document.faults.append((1, 1, EMPTY))
        return
    document.value = _Builder(document).build(document.root)


class _Builder:
    """Turns nodes into plain data by the YAML 1.2 core schema, counting what aliases expand to."""

    def __init__(self, document: Document) -> None:
        self.faults = document.faults
        self.nodes = 0
        self.open: set[int] = set()

    def fault(self, node: Node, message: str) -> None:
        self.faults.append((node.line, node.column, message))

    def build(self, node: Node) -> Any:
        """The plain value of `node`; None where something is wrong with it."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            if self.nodes == MAX_NODES + 1:
                self.fault(node, f"aliases expand to more than {MAX_NODES:,} values; write fewer of them")
            return None
        if isinstance(node.value, str):
            return self.scalar(node)
        if id(node) in self.open:
            self.fault(node, "an alias contains itself")
            return None
        if len(self.open) > MAX_DEPTH:
            self.fault(node, TOO_DEEP)
            return None
        self.open.add(id(node))
        value = self.mapping(node) if node.is_mapping else [self.build(item) for item in node.value]
        self.open.discard(id(node))
        return value

    def mapping(self, node: Node) -> dict[str, Any]:
        """The mapping of `node`; keys are text, `<<` merges beneath what is written, a null is not given."""
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == "merge":
                parts = self.build(child)
                for part in parts if isinstance(parts, list) else [parts]:
                    if isinstance(part, dict):
                        merged = {**part, **merged}
                    else:
                        self.fault(child, "`<<` takes a mapping or a list of mappings")
                continue
            if not isinstance(key.value, str):
                self.fault(key, "a key is a mapping or a list; keys are plain text")
                continue
            name = key.value
            if name in result:
                self.fault(key, f"duplicate key {name!r}; write it once")
                continue
            result[name] = self.build(child)
        result = {**merged, **result} if merged else result
        return {name: value for name, value in result.items() if value is not None}

    def scalar(self, node: Node) -> Any:
        """The scalar of `node`; dates stay text, what is not a finite number is refused."""
        kind, text = node.tag, node.value
        if kind in ("str", "timestamp", "value", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            return self.number(node, kind, text.replace("_", ""))
        self.fault(node, f"the tag {node.tag} is not known here; write plain YAML")
        return None

    def number(self, node: Node, kind: str, text: str) -> int | float | None:
        """A finite int or float."""
        if len(text) <= _LONG_NUMBER:
            try:
                if kind == "float":
                    number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
                    if math.isfinite(number):
                        return number
                else:
                    return int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(text)
            except ValueError:
                pass
        self.fault(node, f"{node.value[:40]} is not a finite number; write one")
        return None
