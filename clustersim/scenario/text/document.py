"""A YAML document that knows the line and column of every value, and the errors in its text.

Decides which texts are accepted (UTF-8, one document, no duplicate keys, bounded size and alias expansion) and
maps paths to lines and columns. It must not know the meaning of any key. The reader, the validation of AWS
blocks and the included files all report `Problem`s.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clustersim.scenario.text.yaml_nodes import MAX_DEPTH, TOO_DEEP_ERROR, Node, YamlSyntaxError, parse_yaml

FieldPath = tuple[str | int, ...]

EMPTY_FILE_ERROR = "the file is empty"
MAX_BYTES = 16 * 1024 * 1024
MAX_NODES = 1_000_000  # after alias expansion: stops "billion laughs" files
_MAX_DIGITS = 40  # a longer number is rejected


@dataclass(frozen=True, slots=True)
class Problem:
    """An error at `path` (keys and list positions, relative to where the check began), with a hint how to fix it."""

    path: FieldPath
    message: str
    hint: str = ""


@dataclass(slots=True)
class Document:
    """A file as plain data, with its node tree for looking up lines and columns."""

    label: str
    sha256: str = ""
    value: Any = None
    root: Node | None = None
    errors: list[tuple[int, int, str]] = field(default_factory=list)
    """Errors of the text itself: line, column, message."""

    def locate(self, path: FieldPath) -> tuple[int, int, int]:
        """Return line and column (from 1) of the longest prefix of `path` that is in the file, and its length."""
        node, location, seen = self.root, (1, 1), set[int]()
        for length, step in enumerate(path):
            child = _find_child(node, step, seen)
            if child is None:
                return *location, length
            mark, node = child
            location = (mark.line, mark.column)
        return *location, len(path)


def _find_child(node: Node | None, step: str | int, seen: set[int]) -> tuple[Node, Node] | None:
    """Return the node that marks the location of `step` under `node` (the key of a mapping), and the value's node."""
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
                    if (child := _find_child(merged, step, seen)) is not None:
                        return child
        return None
    if node is not None and node.is_list and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def read_document(path: Path, label: str | None = None) -> Document:
    """Read the YAML or JSON file at `path`. Errors of the file or of its syntax go to `errors`; never raises."""
    document, text = read_file_text(path, label)
    if text is not None:
        _parse(document, text)
    return document


def read_file_text(path: Path, label: str | None = None) -> tuple[Document, str | None]:
    """Return the text of `path`, not parsed; None if it cannot be read, with the reason in `errors`."""
    document = Document(label or str(path))
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a directory")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MiB; put bulk data into a trace")
        raw = path.read_bytes()
    except FileNotFoundError:
        document.errors.append((1, 1, "no such file; check the path"))
        return document, None
    except (OSError, ValueError) as error:
        document.errors.append((1, 1, f"cannot be read: {getattr(error, 'strerror', None) or error}"))
        return document, None
    document.sha256 = hashlib.sha256(raw).hexdigest()
    try:
        return document, raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"byte {error.start} is not UTF-8 text; save the file as UTF-8"
        document.errors.append((line, error.start - raw.rfind(b"\n", 0, error.start), message))
        return document, None


def parse_document(text: str, label: str) -> Document:
    """Parse YAML that is not in a file, such as the value of an override."""
    document = Document(label)
    _parse(document, text)
    return document


def _parse(document: Document, text: str) -> None:
    """Parse `text` into nodes and plain data, and store both in `document`."""
    if text.lstrip()[:1] in ("{", "["):  # JSON may be indented with tabs, YAML may not
        text = re.sub(r"^\t+", lambda match: " " * len(match.group()), text, flags=re.MULTILINE)
    try:
        document.root = parse_yaml(text)
    except YamlSyntaxError as error:
        document.errors.append((error.line, error.column, error.message))
        return
    if document.root is None:
        document.errors.append((1, 1, EMPTY_FILE_ERROR))
        return
    document.value = _ValueBuilder(document).build(document.root)


class _ValueBuilder:
    """Converts nodes to plain data by the YAML 1.2 core schema, and bounds the expansion of aliases."""

    def __init__(self, document: Document) -> None:
        self.errors = document.errors
        self.node_count = 0
        self.ancestors: set[int] = set()

    def add_error(self, node: Node, message: str) -> None:
        self.errors.append((node.line, node.column, message))

    def build(self, node: Node) -> Any:
        """Return the plain value of `node`; None if it has an error."""
        self.node_count += 1
        if self.node_count > MAX_NODES:
            if self.node_count == MAX_NODES + 1:
                self.add_error(node, f"aliases expand to more than {MAX_NODES:,} values; write fewer of them")
            return None
        if isinstance(node.value, str):
            return self.build_scalar(node)
        if id(node) in self.ancestors:
            self.add_error(node, "an alias contains itself")
            return None
        if len(self.ancestors) > MAX_DEPTH:
            self.add_error(node, TOO_DEEP_ERROR)
            return None
        self.ancestors.add(id(node))
        value = self.build_mapping(node) if node.is_mapping else [self.build(item) for item in node.value]
        self.ancestors.discard(id(node))
        return value

    def build_mapping(self, node: Node) -> dict[str, Any]:
        """Return the mapping of `node`: keys are text, explicit keys win over merged ones (`<<`), nulls are dropped."""
        result: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, child in node.value:
            if key.tag == "merge":
                parts = self.build(child)
                for part in parts if isinstance(parts, list) else [parts]:
                    if isinstance(part, dict):
                        merged = {**part, **merged}
                    else:
                        self.add_error(child, "`<<` takes a mapping or a list of mappings")
                continue
            if not isinstance(key.value, str):
                self.add_error(key, "the key is a mapping or a list; keys must be plain text")
                continue
            name = key.value
            if name in result:
                self.add_error(key, f"duplicate key {name!r}; write it once")
                continue
            result[name] = self.build(child)
        result = {**merged, **result} if merged else result
        return {name: value for name, value in result.items() if value is not None}

    def build_scalar(self, node: Node) -> Any:
        """Return the scalar of `node`. Dates stay text; infinite numbers and NaN are errors."""
        kind, text = node.tag, node.value
        if kind in ("str", "timestamp", "value", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        if kind in ("int", "float"):
            return self.build_number(node, kind, text.replace("_", ""))
        self.add_error(node, f"the tag {node.tag} is not supported; write plain YAML")
        return None

    def build_number(self, node: Node, kind: str, text: str) -> int | float | None:
        """Return a finite int or float; None and an error otherwise."""
        if len(text) <= _MAX_DIGITS:
            try:
                if kind == "float":
                    number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
                    if math.isfinite(number):
                        return number
                else:
                    return int(text, 0) if text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else int(text)
            except ValueError:
                pass
        self.add_error(node, f"{node.value[:40]} is not a finite number")
        return None
