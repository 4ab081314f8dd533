"""Tests that libyaml and ruamel.yaml give the same node tree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clustersim.scenario.text import yaml_nodes as nodes
from clustersim.scenario.text.yaml_nodes import MAX_DEPTH, Node, YamlSyntaxError, parse_yaml

ROOT = Path(__file__).parents[3]
FILES = sorted([*ROOT.glob("scenarios/**/*.y*ml"), *ROOT.glob("tests/imports/*")])

WORDS = """\
a|web|12|0x1F|0o17|-1.5e3|.inf|true|no|~|null|2026-06-01|1_000|<<|8s|12:30:00|x#y|-x|?x|:x|a b  c|""|''
attribute:ecs.availability-zone|http://x/y?z=1|rate(5 minutes)|cron(0 2 * * ? *)|'it''s'|"x\\ty"|"a\\/b"|"köln"
"""
CHARACTERS = "\n @%:,[]{}\t\x85\u2028\"'"
GROUPS = "\n  ;\n    ;\n\n;\r\n;- ;? ;: ;, ; # c\n;|\n  ;>-\n  ;|2\n;&q ;*q;!x ;!!str ;---\n;...\n"
words = st.sampled_from(WORDS.strip().replace("\n", "|").split("|"))
marks = st.sampled_from([*CHARACTERS, *GROUPS.split(";")])
texts = st.lists(st.one_of(words, marks), max_size=25).map("".join)
shaped = st.recursive(
    words,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(words, inner), min_size=1, max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs) + "}"
        ),
        st.lists(inner, min_size=1, max_size=4).map(lambda items: _block(items, "- ")),
    ),
    max_leaves=12,
)
pairs = st.lists(st.tuples(words, shaped), min_size=1, max_size=5).map(
    lambda lines: "".join(f"{key}: {value}\n" for key, value in lines)
)


def _block(items: list[str], mark: str) -> str:
    """A list in lines below its key, as deep as its items' own lines are deeper."""
    return "\n" + "\n".join(f"{mark}{item}".replace("\n", "\n  ") for item in items)


def plain(node: Node | None) -> Any:
    """A tree that compares: values, tags and places; a scalar of no characters stands nowhere in particular, and
    one that has an anchor or a tag begins there or behind it."""
    if node is None:
        return None
    if isinstance(node.value, str):
        return (node.tag, node.value, node.line if node.value else None)
    if node.is_mapping:
        return (node.tag, node.line, [(plain(key), plain(value)) for key, value in node.value])
    return (node.tag, node.line, [plain(item) for item in node.value])


def columns(node: Node) -> list[int]:
    """Return the columns of all nodes that are not empty."""
    if isinstance(node.value, str):
        return [node.column] if node.value else []
    inner = [each for pair in node.value for each in pair] if node.is_mapping else node.value
    return [node.column, *(column for each in inner for column in columns(each))]


def by_ruamel(text: str) -> Any:
    """Return the tree of a text by ruamel.yaml alone, or its error."""
    try:
        return plain(nodes._parse_with_ruamel(text))
    except YamlSyntaxError as fault:
        return fault.line, fault.column, fault.message


def by_both(text: str) -> Any:
    """Return the tree of a text, or its error."""
    try:
        return plain(parse_yaml(text))
    except YamlSyntaxError as fault:
        return fault.line, fault.column, fault.message


def test_this_suite_reads_by_libyaml() -> None:
    """Otherwise the tests below would compare ruamel.yaml with itself."""
    assert yaml.__with_libyaml__


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_scenario_and_import_is_one_tree(path: Path) -> None:
    """With every place, to the column."""
    text = path.read_text()
    fast, slow = parse_yaml(text), nodes._parse_with_ruamel(text)
    assert fast is not None and slow is not None
    assert plain(fast) == plain(slow)
    assert columns(fast) == columns(slow)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.one_of(texts, pairs))
@example("a: \tb")
@example("a: yes\x85b: 1")
@example("a: &q 1\nb: {*q: 2}")
@example("a: >-\n  \n    b")
@example("a: 1\n...\n...\n")
@example("%YAML 1.1\n---\na: yes\n")
def test_any_text_is_read_as_ruamel_reads_it(text: str) -> None:
    """Well formed or not: the same tree, or the same words at the same place."""
    assert by_both(text) == by_ruamel(text)


@pytest.mark.parametrize("mark", ["[", "- ", "{a: "])
def test_deep_nesting_is_refused_and_not_followed(mark: str) -> None:
    """A hundred thousand levels end at the first too many; a parser that called itself would end the process."""
    with pytest.raises(YamlSyntaxError) as raised:
        parse_yaml(mark * 100_000)
    assert raised.value.message == nodes.TOO_DEEP_ERROR
    assert raised.value.column == 1 + len(mark) * (MAX_DEPTH + 1)
