"""`docker history --no-trunc --format json IMAGE`: the lines of a Dockerfile, and the size each adds.

Decides which lines add a layer, and what makes two layers of two images the same. It must not know images.
`scenario.images.image_reader` calls `read_history`.

The file holds one JSON object a line, the newest first, with sizes for people (`48.1MB`, units of 1,000) or,
by `--human=false`, in bytes. They are sizes on the disk. Digests are not in it: a layer is known by the
lines up to it, so images that were built on the same base share the base's layers. Lines of size 0 (ENV, CMD,
EXPOSE ...) add no layer.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from clustersim.scenario.text.document import Document, read_file

_SIZE = re.compile(r"(?P<amount>\d+(?:\.\d+)?(?:e\+?\d+)?)\s*(?P<unit>B|kB|KB|MB|GB|TB)?")
_UNITS = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_HOW = "docker history --no-trunc --format json IMAGE prints what is read"
_KEYS = ("Size", "CreatedBy", "CreatedAt", "Comment")


class HistoryLayer(NamedTuple):
    """A layer that a line added: what it is known by, its size on the disk, and the line."""

    identity: str
    unpacked: int
    created_by: str


def read_history(path: Path, label: str) -> tuple[Document, tuple[HistoryLayer, ...]]:
    """The layers in a history's file, base first; what is wrong with it is in the document's faults."""
    document, text = read_file(path, label)
    if text is None:
        return document, ()
    lines: list[tuple[int, Mapping[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            what = f"not JSON: {getattr(error, 'msg', error)}; {_HOW}"
            document.faults.append((number, getattr(error, "colno", 1), what))
            return document, ()
        if not isinstance(value, dict) or "Size" not in value:
            document.faults.append((number, 1, f"is no line of a history; {_HOW}"))
            return document, ()
        lines.append((number, value))
    if not lines:
        document.faults.append((1, 1, f"the file is empty; {_HOW}"))
    layers, identity = [], ""
    for number, value in reversed(lines):
        size = _bytes(value["Size"])
        if size is None:
            what = f"{str(value['Size'])[:40]!r} is no size; write it like 48.1MB"
            document.faults.append((number, 1, what))
            continue
        said = "\n".join(str(value.get(key, "")) for key in _KEYS)
        identity = "history:" + hashlib.sha256(f"{identity}\n{said}".encode()).hexdigest()
        if size > 0:
            layers.append(HistoryLayer(identity, size, str(value.get("CreatedBy", ""))))
    document.faults.sort()
    return document, () if document.faults else tuple(layers)


def _bytes(value: Any) -> int | None:
    """A size as Docker writes it; None if it is none."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    return None if match is None else round(float(match["amount"]) * _UNITS[match["unit"] or ""])
