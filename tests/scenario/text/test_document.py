"""Tests of the text of a scenario: accepted YAML, and the line and column of every value."""

from __future__ import annotations

from pathlib import Path

import pytest

from clustersim.scenario.text.document import MAX_DEPTH, Document, parse_document, read_document


def fault(text: str) -> str:
    document = parse_document(text, "x.yaml")
    assert document.errors
    line, column, message = document.errors[0]
    return f"{line}:{column}: {message}"


def test_places_count_from_one_and_name_keys_and_items() -> None:
    """A message's line and column are what an editor shows."""
    document = parse_document("a: 1\nb:\n  - x\n  - {c: 2}\n", "x.yaml")
    assert document.locate(("b",)) == (2, 1, 1)
    assert document.locate(("b", 1)) == (4, 5, 2)
    assert document.locate(("b", 1, "c")) == (4, 6, 3)


def test_a_missing_field_points_at_its_parent() -> None:
    """A missing field is located at its parent."""
    assert parse_document("a:\n  b: 1\n", "x").locate(("a", "z")) == (1, 1, 1)


def test_places_do_not_mind_the_case_of_a_field() -> None:
    """botocore's problems name fields in the API's case, people write another."""
    assert parse_document("x: 1\nminSize: 2\n", "x").locate(("MinSize",)) == (2, 1, 1)


def test_places_reach_through_merges() -> None:
    """A field that `<<` brings stands where it was written."""
    document = parse_document("base: &b {cpu: 1}\nuse:\n  <<: *b\n  memory: 2\n", "x")
    assert document.value["use"] == {"cpu": 1, "memory": 2}
    assert document.locate(("use", "cpu"))[:2] == (1, 11)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 0.0001),
        ("12:30:00", "12:30:00"),
        ("on", "on"),
        ("no", "no"),
        ("0256", 256),
        ("0x1F", 31),
        ("1_000", 1000),
        ("true", True),
        ("2026-06-01", "2026-06-01"),
        ("2026-06-01T00:00:00Z", "2026-06-01T00:00:00Z"),
        ("'5'", "5"),
    ],
)
def test_scalars_follow_yaml_1_2_and_dates_stay_text(text: str, value: object) -> None:
    """YAML 1.1 would read 12:30:00 as 45000 and no as false."""
    assert parse_document(f"a: {text}", "x").value == {"a": value}


def test_a_null_is_not_given() -> None:
    """`key:` with nothing after it leaves the default."""
    assert parse_document("a:\nb: 1\nc: ~\n", "x").value == {"b": 1}


def test_json_with_tabs_is_read() -> None:
    """Editors indent JSON by tabs; YAML alone would refuse them."""
    assert parse_document('{\n\t"a": {\n\t\t"b": [1]\n\t}\n}', "x").value == {"a": {"b": [1]}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2\n", "2:1: duplicate key 'a'"),
        ("a: 1\n---\nb: 1\n", "2:1: a second YAML document begins here"),
        ("", "1:1: the file is empty"),
        ("# nothing\n", "1:1: the file is empty"),
        ("a: [1, 2", "1:9: while parsing a flow sequence"),
        ("a: *b", "1:4: found undefined alias"),
        ("a: !Ref x", "1:4: the tag !Ref is not supported"),
        ("a: &a [*a]", "1:4: an alias contains itself"),
        ("a: .nan", "1:4: .nan is not a finite number"),
        ("a: -.inf", "1:4: -.inf is not a finite number"),
        ("a: " + "9" * 5000, "is not a finite number"),
        ("[" * 5000, f"nested more than {MAX_DEPTH} levels deep"),
        ("? [1]\n: 2", "1:3: the key is a mapping or a list"),
        ("a: \x00", "special characters are not allowed"),
        ("<<: 1\na: 2", "`<<` takes a mapping"),
    ],
)
def test_bad_text_is_a_fault_with_its_place(text: str, message: str) -> None:
    """The parser's errors look like all others."""
    assert message in fault(text)


def test_alias_bombs_are_defused() -> None:
    """Ten lists of ten of each other are ten thousand million values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "aliases expand to more than" in fault("\n".join(lines))


@pytest.mark.parametrize(
    ("content", "message"), [(b"a: \xff\xfe", "byte 3 is not UTF-8"), (b"\x7fELF\x80\x81", "not UTF-8")]
)
def test_files_that_are_no_text_are_faults(tmp_path: Path, content: bytes, message: str) -> None:
    """A binary file gives one line, not a traceback."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    assert message in read_document(path).errors[0][2]


def test_missing_files_and_directories_are_faults(tmp_path: Path) -> None:
    """The commonest mistake of all."""
    assert "no such file" in read_document(tmp_path / "nope.yaml").errors[0][2]
    assert "is a directory" in read_document(tmp_path).errors[0][2]


def test_a_byte_order_mark_is_no_character(tmp_path: Path) -> None:
    """Windows editors write one."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    document: Document = read_document(path)
    assert document.value == {"a": 1}
    assert len(document.sha256) == 64
