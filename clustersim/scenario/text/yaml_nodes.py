"""The nodes of a YAML text, each with its line and column.

Decides which parser reads a text and builds nodes from its events. libyaml (PyYAML's C extension) reads well-formed
texts, thirty times as fast; ruamel.yaml reads everything that libyaml rejects, so error messages are always those of
ruamel.yaml and the dialect is YAML 1.2. Texts that the two would read differently never go to libyaml
(`_NEEDS_RUAMEL`). It must not interpret tags: `scenario.text.document` converts nodes to values.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.resolver import VersionedResolver

TAG_PREFIX = "tag:yaml.org,2002:"
MAX_DEPTH = 100
SECOND_DOCUMENT_ERROR = "a second YAML document begins here; one file holds one scenario"
TOO_DEEP_ERROR = f"nested more than {MAX_DEPTH} levels deep"

# Tabs between words and a colon at the end of an alias (libyaml accepts them), line breaks of YAML 1.1, byte order
# marks inside the text, lines of only spaces (their number matters to ruamel.yaml in a block scalar), ends of
# documents, directives.
_NEEDS_RUAMEL = re.compile(r"[\t\x85\u2028\u2029\ufeff]|[&*][\w-]+:|^%|^\.\.\.|^ +\r?$", re.MULTILINE)

_START_EVENTS = {"MappingStartEvent": "map", "SequenceStartEvent": "seq"}
_END_EVENTS = {"MappingEndEvent", "SequenceEndEvent"}


class Node:
    """A scalar (text), a list (nodes) or a mapping (pairs of nodes); `line` and `column` count from 1."""

    __slots__ = ("column", "line", "tag", "value")

    def __init__(self, value: Any, tag: str, line: int, column: int) -> None:
        self.value = value
        self.tag = tag
        self.line = line
        self.column = column

    @property
    def is_mapping(self) -> bool:
        """True for a mapping."""
        return self.tag == "map"

    @property
    def is_list(self) -> bool:
        """True for a list."""
        return self.tag == "seq"


class YamlSyntaxError(Exception):
    """A text that is not valid YAML; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, message: str) -> None:
        super().__init__(message)
        self.line, self.column, self.message = line, column, message


def parse_yaml(text: str) -> Node | None:
    """Return the root node of the single document in `text`; None if it is empty. Raises `YamlSyntaxError`."""
    if yaml.__with_libyaml__ and not _NEEDS_RUAMEL.search(text):
        try:
            return _build_tree(_libyaml_events(text))
        except (yaml.YAMLError, YamlSyntaxError):
            pass  # ruamel.yaml either reads it or gives the error message
    return _parse_with_ruamel(text)


def _parse_with_ruamel(text: str) -> Node | None:
    """Do the same as `parse_yaml` with ruamel.yaml alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _build_tree(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        message = ": ".join(part for part in (error.context, error.problem) if part).replace("\n", " ")
        raise YamlSyntaxError(line, column, message) from error
    except (YAMLError, ValueError) as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        message = str(getattr(error, "reason", None) or error).splitlines()[0]
        raise YamlSyntaxError(line, 1, f"not YAML: {message}") from error


def _libyaml_events(text: str) -> Iterator[Any]:
    parser = yaml.CBaseLoader(text)
    while (event := parser.get_event()) is not None:
        yield event


@cache
def _tag_resolver() -> Callable[[str], str]:
    """Return a cached function that gives the YAML 1.2 tag of a plain scalar by the rules of ruamel.yaml."""
    resolver = VersionedResolver(loadumper=YAML(typ="safe", pure=True))
    known: dict[str, str] = {}

    def resolve_tag(text: str) -> str:
        tag = known.get(text)
        if tag is None:
            tag = known[text] = str(resolver.resolve(ScalarNode, text, (True, False))).removeprefix(
                TAG_PREFIX
            )
        return tag

    return resolve_tag


def _build_tree(events: Iterator[Any]) -> Node | None:
    """Return the root node of the single document described by `events` (of either parser)."""
    resolve_tag = _tag_resolver()
    anchors: dict[str, Node] = {}
    root: Node | None = None
    # Lists and mappings that have not ended; until then a mapping's value alternates keys and values.
    open_nodes: list[Node] = []
    documents = 0
    for event in events:
        kind = type(event).__name__
        if kind in _END_EVENTS:
            ended = open_nodes.pop()
            if ended.is_mapping:
                ended.value = list(zip(ended.value[::2], ended.value[1::2], strict=True))
            continue
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        if kind == "ScalarEvent":
            tag = event.tag
            if tag is None or tag == "!":
                tag = resolve_tag(event.value) if event.implicit[0] else "str"
            tag = tag.removeprefix(TAG_PREFIX)
            node = Node(event.value, f"!!{tag}" if tag in _START_EVENTS.values() else tag, line, column)
        elif kind in _START_EVENTS:
            node = Node([], _START_EVENTS[kind], line, column)
            if len(open_nodes) > MAX_DEPTH:
                raise YamlSyntaxError(line, column, TOO_DEEP_ERROR)
        elif kind == "AliasEvent":
            if event.anchor not in anchors:
                raise YamlSyntaxError(line, column, f"found undefined alias {event.anchor!r}")
            node = anchors[event.anchor]
        else:
            documents += kind == "DocumentStartEvent"
            if documents > 1:
                raise YamlSyntaxError(line, column, SECOND_DOCUMENT_ERROR)
            continue
        if open_nodes:
            open_nodes[-1].value.append(node)
        else:
            root = node
        if kind != "AliasEvent":
            if event.anchor is not None:
                anchors[event.anchor] = node
            if kind in _START_EVENTS:
                open_nodes.append(node)
    return root
