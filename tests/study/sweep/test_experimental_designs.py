"""Designs: every combination, evenly spread samples, the points of a file."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydantic_core import PydanticCustomError

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.sweep import Choices, Range, parse_varied
from clustersim.study.sweep.experimental_designs import (
    MAX_POINTS,
    Design,
    DesignError,
    lay_out,
    read_points,
    value_at,
)

PERCENT = Range(70, 100, integer=True)
SHARE = Range(0.0, 2.0)
KINDS = Choices(("m6i.large", "c6i.large", "r6i.large"))


def test_a_grid_is_every_combination_the_last_path_fastest() -> None:
    design = Design("grid", {"a": Choices((1, 2)), "b": KINDS})
    assert lay_out(design, 0) == list(itertools.product((1, 2), KINDS.values))


def test_a_latin_hypercube_has_one_point_in_every_slice() -> None:
    """Of 31 points over 70 ... 100 each whole number is met once; of 31 over 3 kinds each 10 or 11 times."""
    points = lay_out(Design("latinHypercube", {"a": PERCENT, "b": SHARE, "c": KINDS}, points=31), 7)
    assert sorted(a for a, _, _ in points) == list(range(70, 101))
    slices = [int(b / 2.0 * 31) for _, b, _ in points]
    assert sorted(slices) == list(range(31))
    assert set(Counter(kind for *_, kind in points).values()) <= {10, 11}


def test_a_sobol_sequence_is_balanced() -> None:
    """Of 64 points 16 lie in each quarter of the plane, exactly."""
    points = lay_out(Design("sobol", {"a": SHARE, "b": SHARE}, points=64), 7)
    quarters = Counter((a < 1.0, b < 1.0) for a, b in points)
    assert quarters == {(one, two): 16 for one in (True, False) for two in (True, False)}


def test_sensitivity_takes_one_path_after_the_other_from_the_second_sample() -> None:
    """A, B and a mixed sample per path: n (d + 2) points."""
    points = np.array(lay_out(Design("sobol", {"a": SHARE, "b": SHARE}, 8, sensitivity=True), 7))
    first, second, mixed_a, mixed_b = points.reshape(4, 8, 2)
    assert (mixed_a[:, 0] == second[:, 0]).all()
    assert (mixed_a[:, 1] == first[:, 1]).all()
    assert (mixed_b[:, 0] == first[:, 0]).all()
    assert (mixed_b[:, 1] == second[:, 1]).all()


@pytest.mark.parametrize("kind", ["latinHypercube", "sobol"])
def test_the_seed_makes_the_points(kind: str) -> None:
    """The same seed lays out the same points: a sweep that is resumed must mean the same ones."""
    design = Design(kind, {"a": PERCENT, "b": SHARE}, points=16)  # type: ignore[arg-type]
    assert lay_out(design, 3) == lay_out(design, 3)
    assert lay_out(design, 3) != lay_out(design, 4)


def test_ranges_hold_their_ends_and_give_readable_numbers() -> None:
    assert [value_at(PERCENT, u) for u in (0.0, 0.5, 0.999999, 1.0)] == [70, 85, 100, 100]
    assert value_at(SHARE, 1 / 3) == 0.666667
    whole = [value_at(Range(1, 3, integer=True), u) for u in np.linspace(0, 1, 3_000, endpoint=False)]
    assert Counter(whole) == {1: 1_000, 2: 1_000, 3: 1_000}


@pytest.mark.parametrize(
    ("design", "words"),
    [
        (Design("grid", {}), "nothing is varied"),
        (Design("grid", {"a": SHARE}), "a grid needs values"),
        (Design("grid", {"a": KINDS}, points=8), "its combinations"),
        (Design("grid", {"a": KINDS}, sensitivity=True), "no sensitivity indices"),
        (Design("sobol", {"a": SHARE}), "needs a number of points"),
        (Design("sobol", {"a": SHARE}, points=48), "32 or 64"),
        (Design("latinHypercube", {"a": SHARE}, points=MAX_POINTS + 1), "at most 100,000"),
        (Design("grid", {name: Choices(tuple(range(50))) for name in "abc"}), "125,000 points"),
    ],
)
def test_designs_that_cannot_be_laid_out(design: Design, words: str) -> None:
    with pytest.raises(DesignError, match=words):
        lay_out(design, 0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([], "empty"),
        ([4, 4], "twice"),
        (8, "neither a list of values nor a range"),
        ({"from": 4}, "neither a list of values nor a range"),
        ({"from": 4, "to": 4}, "not below"),
        ({"from": "70", "to": 100}, "write 70 without quotes"),
        ({"from": 1, "to": 2, "step": 1}, "no step"),
        ({"from": 1.5, "to": 2, "integer": True}, "whole numbers"),
        ({"from": 1, "to": 2, "integer": "yes"}, "true or false"),
    ],
)
def test_invalid_values_of_a_path(value: object, words: str) -> None:
    with pytest.raises(PydanticCustomError) as caught:
        parse_varied(value)
    context = caught.value.context or {}
    assert words in f"{context['message']}; {context['hint']}"


def test_true_is_not_one() -> None:
    """1 and true are equal to Python, and two values to a scenario."""
    assert parse_varied([1, True, 1.5]) == Choices((1, True, 1.5))


def write(folder: Path, text: str) -> Path:
    path = folder / "points.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_points_of_a_file(tmp_path: Path) -> None:
    """The header names the paths, cells are YAML, an empty one takes the value away."""
    header = 'services.web.desiredCount,"taskDefinitions.""web:2"".cpu",kinds'
    text = f'{header}\n4,"""512""","[m6i.large, c6i.large]"\n\n8,,\n'
    paths, points = read_points(write(tmp_path, text))
    assert paths == ("services.web.desiredCount", 'taskDefinitions."web:2".cpu', "kinds")
    assert points == ((4, "512", ["m6i.large", "c6i.large"]), (8, None, None))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["1:1: a column has no path", "2:1: there are no points"]),
        ("a,\n1,2\n", ["1:1: a column has no path"]),
        ("a,a\n1,2\n", ["1:1: a: two columns have this path"]),
        ("a,b\n", ["2:1: there are no points"]),
        ("a,b\n1\n1,2,3\n", ["2:1: 1 values, but 2 paths", "3:1: 3 values, but 2 paths"]),
        ("a\n[1\n", ["2:1: a: '[1' is not YAML"]),
    ],
)
def test_every_problem_of_a_file_of_points(tmp_path: Path, text: str, problems: list[str]) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ScenarioError) as caught:
        read_points(path)
    assert len(caught.value.problems) == len(problems)
    for found, expected in zip(caught.value.problems, problems, strict=True):
        assert found.startswith(f"{path}:{expected}")


def test_a_file_of_points_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(ScenarioError, match="cannot be read"):
            read_points(path)
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="cannot be read"):
        read_points(binary)
