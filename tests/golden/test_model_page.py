"""All tests, files and functions that MODEL.md and the list of worked examples name exist."""

from __future__ import annotations

import re
from pathlib import Path

from tests.golden.examples import EXAMPLES

ROOT = Path(__file__).parents[2]
MODEL = (ROOT / "MODEL.md").read_text(encoding="utf-8")
TESTS = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py"))}


def marked() -> set[int]:
    """The numbers of all golden tests."""
    return {int(n) for text in TESTS.values() for n in re.findall(r"@pytest\.mark\.golden\((\d+)\)", text)}


def test_every_worked_example_has_a_test() -> None:
    assert set(EXAMPLES) == marked()


def test_tests_that_the_model_names_exist() -> None:
    known = {name for text in TESTS.values() for name in re.findall(r"def (test_\w+)", text)}
    assert set(re.findall(r"\b(test_\w+)", MODEL)) - known == set()
    numbers = {int(n) for span in re.findall(r"golden ((?:\d+, )*\d+)", MODEL) for n in span.split(", ")}
    assert numbers
    assert numbers - marked() == set()


def test_files_that_the_model_names_exist() -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_./]+\.(?:py|yaml|md))(?:::\w+)?`", MODEL))
    missing = [
        name for name in named if not any((ROOT / base / name).exists() for base in ("clustersim", ""))
    ]
    assert missing == []


def test_functions_that_the_model_names_exist() -> None:
    """`path::name` is a function, method, class or constant that the file defines."""
    missing = [
        f"{path}::{name}"
        for path, name in sorted(set(re.findall(r"`([a-z_/]+\.py)::(\w+)`", MODEL)))
        if not re.search(
            rf"^\s*(?:def|class) {name}\b|^{name}\b.*=",
            (ROOT / "clustersim" / path).read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    ]
    assert missing == []
