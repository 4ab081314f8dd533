"""Output of `docker history --no-trunc --format json IMAGE`: the lines of a Dockerfile with the size each adds.

Decides which lines add a layer and when layers of two images are the same. It must not know images.
`scenario.images.image_reader` calls `read_history`.

The file holds one JSON object per line, the newest first, with human-readable sizes (`48.1MB`, units of 1,000) or,
with `--human=false`, bytes. They are sizes on disk. There are no digests: a layer is identified by the lines up to
it, so images that were built on the same base share the base's layers. Lines of size 0 (ENV, CMD, EXPOSE ...) add
no layer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clustersim.scenario.text.document import Document, read_file_text

_SIZE = re.compile(r"(?P<amount>\d+(?:\.\d+)?(?:e\+?\d+)?)\s*(?P<unit>B|kB|KB|MB|GB|TB)?")
_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_HISTORY_HINT = "save the output of docker history --no-trunc --format json IMAGE"
_IDENTITY_KEYS = ("Size", "CreatedBy", "CreatedAt", "Comment")


class HistoryLayer(NamedTuple):
    """A layer that a line added: its identity, its size on disk in bytes, and the line."""

    identity: str
    unpacked: int
    created_by: str


def read_history(path: Path, label: str) -> tuple[Document, tuple[HistoryLayer, ...]]:
    """Return the layers in a history file, base first; its problems are in the document's `errors`."""
    document, text = read_file_text(path, label)
    if text is None:
        return document, ()
    lines: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            message = f"not JSON: {getattr(error, 'msg', error)}; {_HISTORY_HINT}"
            document.errors.append((number, getattr(error, "colno", 1), message))
            return document, ()
        if not isinstance(value, dict) or "Size" not in value:
            document.errors.append((number, 1, f"is not a line of a history; {_HISTORY_HINT}"))
            return document, ()
        lines.append((number, value))
    if not lines:
        document.errors.append((1, 1, f"the file is empty; {_HISTORY_HINT}"))
    layers, identity = [], ""
    for number, value in reversed(lines):
        size = _parse_size(value["Size"])
        if size is None:
            message = f"{str(value['Size'])[:40]!r} is not a size; write it like 48.1MB"
            document.errors.append((number, 1, message))
            continue
        fields = "\n".join(str(value.get(key, "")) for key in _IDENTITY_KEYS)
        identity = "history:" + hashlib.sha256(f"{identity}\n{fields}".encode()).hexdigest()
        if size > 0:
            layers.append(HistoryLayer(identity, size, str(value.get("CreatedBy", ""))))
    document.errors.sort()
    return document, () if document.errors else tuple(layers)


def _parse_size(value: Any) -> int | None:
    """Return the bytes of a size in Docker's format; None if it is invalid."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if match is None else round(float(match["amount"]) * _UNITS[match["unit"] or ""])
