"""Tests that every number in docs/concepts.md is the output of its code."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORDS = (
    *(
        "Virtual machine and guest operating system",
        "Container",
        "Image and layer",
        "Read/write layer",
        "Registry",
    ),
    *("Cluster", "Container definition", "Task definition", "Task role", "Task and service", "EC2 mode"),
    *("Fargate mode", "The three options"),
)


def test_every_word_has_its_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page is executed as it stands, in a directory with the scenarios in it."""
    page = ROOT / "docs" / "concepts.md"
    (tmp_path / "scenarios").symlink_to(ROOT / "scenarios")
    monkeypatch.chdir(tmp_path)
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert (result.failed, result.attempted > len(WORDS)) == (0, True)
    sections = page.read_text(encoding="utf-8").split("\n## ")[1:]
    assert tuple(section.partition("\n")[0] for section in sections) == WORDS
    assert all(">>> " in section for section in sections)
