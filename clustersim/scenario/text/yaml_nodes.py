"""The nodes of a YAML text, each with its place.

Decides which parser reads a text and how its events become nodes. libyaml (PyYAML's C extension) reads what is well
formed, thirty times as fast; ruamel.yaml reads all that libyaml does not take, and so the words of an error are always
its own, and YAML is 1.2. Texts that the two would read differently are never given to libyaml (`_IS_RUAMELS`). Must not
know what a tag is good for: `scenario.text.document` makes values of nodes.
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

CORE = "tag:yaml.org,2002:"
MAX_DEPTH = 100
SECOND_DOCUMENT = "a second YAML document begins here; one file holds one scenario"
TOO_DEEP = f"nested more than {MAX_DEPTH} deep; a scenario needs no more"

# Tabs between words and a colon at the end of an alias (libyaml takes them), line breaks of YAML 1.1, byte order marks
# within, lines of nothing but spaces (in a block of text ruamel.yaml minds how many), ends of documents, directives.
_IS_RUAMELS = re.compile(r"[\t\x85\u2028\u2029\ufeff]|[&*][\w-]+:|^%|^\.\.\.|^ +\r?$", re.MULTILINE)

_BEGINNINGS = {"MappingStartEvent": "map", "SequenceStartEvent": "seq"}
_ENDS = {"MappingEndEvent", "SequenceEndEvent"}


class Node:
    """A scalar (its text), a list (nodes) or a mapping (pairs of nodes), and where it begins, counted from 1."""

    __slots__ = ("column", "line", "tag", "value")

    def __init__(self, value: Any, tag: str, line: int, column: int) -> None:
        self.value = value
        self.tag = tag
        self.line = line
        self.column = column

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return self.tag == "map"

    @property
    def is_list(self) -> bool:
        """Whether it has items."""
        return self.tag == "seq"


class TextFault(Exception):  # noqa: N818 - a fault of the text, not of the program
    """A text that is no YAML; `line` and `column` count from 1."""

    def __init__(self, line: int, column: int, what: str) -> None:
        super().__init__(what)
        self.line, self.column, self.what = line, column, what


def compose(text: str) -> Node | None:
    """The node of the one document of `text`; None where it holds none. Raises TextFault."""
    if yaml.__with_libyaml__ and not _IS_RUAMELS.search(text):
        try:
            return _composed(_libyaml_events(text))
        except (yaml.YAMLError, TextFault):
            pass  # ruamel.yaml says why, or reads it
    return _compose_by_ruamel(text)


def _compose_by_ruamel(text: str) -> Node | None:
    """The same by ruamel.yaml alone."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _composed(YAML(typ="safe", pure=True).parse(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        what = ": ".join(part for part in (error.context, error.problem) if part).replace("\n", " ")
        raise TextFault(line, column, what) from error
    except (YAMLError, ValueError) as error:
        position = getattr(error, "position", None)
        line = text.count("\n", 0, position) + 1 if isinstance(position, int) else 1
        what = str(getattr(error, "reason", None) or error).splitlines()[0]
        raise TextFault(line, 1, f"not YAML: {what}") from error


def _libyaml_events(text: str) -> Iterator[Any]:
    parser = yaml.CBaseLoader(text)
    while (event := parser.get_event()) is not None:
        yield event


@cache
def _resolver() -> Callable[[str], str]:
    """The tag of a plain scalar by YAML 1.2, as ruamel.yaml has it; the same texts come again and again."""
    resolver = VersionedResolver(loadumper=YAML(typ="safe", pure=True))
    known: dict[str, str] = {}

    def tag_of(text: str) -> str:
        tag = known.get(text)
        if tag is None:
            tag = known[text] = str(resolver.resolve(ScalarNode, text, (True, False))).removeprefix(CORE)
        return tag

    return tag_of


def _composed(events: Iterator[Any]) -> Node | None:
    """The node of the one document that these events (of either parser) tell of."""
    tag_of = _resolver()
    anchors: dict[str, Node] = {}
    root: Node | None = None
    begun: list[
        Node
    ] = []  # lists and mappings that have not ended; a mapping's keys and values take turns until then
    documents = 0
    for event in events:
        kind = type(event).__name__
        if kind in _ENDS:
            ended = begun.pop()
            if ended.is_mapping:
                ended.value = list(zip(ended.value[::2], ended.value[1::2], strict=True))
            continue
        mark = event.start_mark
        line, column = mark.line + 1, mark.column + 1
        if kind == "ScalarEvent":
            tag = event.tag
            if tag is None or tag == "!":
                tag = tag_of(event.value) if event.implicit[0] else "str"
            tag = tag.removeprefix(CORE)
            node = Node(event.value, f"!!{tag}" if tag in _BEGINNINGS.values() else tag, line, column)
        elif kind in _BEGINNINGS:
            node = Node([], _BEGINNINGS[kind], line, column)
            if len(begun) > MAX_DEPTH:
                raise TextFault(line, column, TOO_DEEP)
        elif kind == "AliasEvent":
            if event.anchor not in anchors:
                raise TextFault(line, column, f"found undefined alias {event.anchor!r}")
            node = anchors[event.anchor]
        else:
            documents += kind == "DocumentStartEvent"
            if documents > 1:
                raise TextFault(line, column, SECOND_DOCUMENT)
            continue
        if begun:
            begun[-1].value.append(node)
        else:
            root = node
        if kind != "AliasEvent":
            if event.anchor is not None:
                anchors[event.anchor] = node
            if kind in _BEGINNINGS:
                begun.append(node)
    return root
