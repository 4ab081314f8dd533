"""Findings: codes, places, and the block that the commands print."""

from __future__ import annotations

import pytest

from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import Document
from clustersim.scenario.text.findings import CODES, Finding


def test_a_finding_is_one_line_with_its_code() -> None:
    finding = Finding("no-capacity", "web.yaml:3:5: services.web", "nothing can run it", "add a group")
    assert str(finding) == "web.yaml:3:5: services.web: nothing can run it; add a group [no-capacity]"


def test_codes_are_words_joined_by_dashes() -> None:
    """They are public names: scripts look for them."""
    assert all(code == code.lower() and " " not in code and meaning for code, meaning in CODES.items())


def test_an_unknown_code_is_a_defect() -> None:
    diagnostics = Diagnostics(Document("web.yaml"))
    with pytest.raises(ValueError, match="no code of a finding"):
        diagnostics.add_finding((), "surprise", "it rains", "wait")
