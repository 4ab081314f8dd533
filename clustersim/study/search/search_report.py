"""What a search prints at its end: the best point as fresh runs have it, or how close it came.

Decides what of a search is worth eighty columns. Must not compute anything that an `Optimum` does not. The
command line calls it.
"""

from __future__ import annotations

from rich.console import Console

from clustersim.study.pages.metric_labels import figure, label, told
from clustersim.study.search.constraints import Objective
from clustersim.study.search.search import Optimum
from clustersim.study.single_run.run_report import Cells, Section, print_report
from clustersim.study.sweep.sweep_report import values_told, where


def print_optimum(found: Optimum, console: Console) -> None:
    """Prints the result of a search."""
    facts = [("runs", _spent(found))]
    if found.point is None:
        facts += _nothing(found)
        sections = [_reached(found)]
    else:
        facts += [
            ("best", f"point {found.point}: {values_told(found.sweep, found.point)}"),
            ("judged by", f"{found.goal.confirm} runs with fresh seeds, which had no part in choosing it"),
        ]
        sections = [_confirmed(found)]
    if found.fallen and found.point is not None:
        facts.append(
            ("fell", f"{found.fallen} points kept the bounds in the search but not with fresh seeds")
        )
    if found.unsound:
        facts.append(("unsound", f"some proposed points were no sound scenarios: {found.unsound[0]}"))
    print_report(facts, sections, where(found.sweep), console)


def _spent(found: Optimum) -> str:
    points, runs = len(found.sweep.points), len(found.sweep.summary)
    searched = points * found.goal.replications
    words = f"{runs:,}: {points:,} points x {found.goal.replications}"
    if runs > searched:
        words += f", and {runs - searched:,} more of the best with fresh seeds"
    return words


def _nothing(found: Optimum) -> list[tuple[str, str]]:
    """No point keeps all bounds: which comes closest, and what it lacks."""
    if found.fallen:
        facts = [("best", f"none: {found.fallen} points kept all bounds, but not with fresh seeds")]
    else:
        facts = [("best", "none: no point keeps all bounds")]
    if found.least_missing is not None:
        point = found.least_missing
        facts.append(("nearest", f"point {point}: {values_told(found.sweep, point)}"))
    if found.nearest:
        worst = found.nearest[0]
        miss = worst.objective.miss(worst.mean)
        if miss > 0:
            amount = figure(worst.objective.measure, miss)
            facts.append(("hardest", f"{label(worst.objective.measure)}: never nearer than {amount} off"))
    return facts


def _bound(objective: Objective) -> str:
    sign = ">=" if objective.at_least else "<="
    return f"{sign} {figure(objective.measure, objective.bound)}"


def _confirmed(found: Optimum) -> Section:
    headings = ("measure", "wanted", "in the search", "with fresh seeds")
    wanted = {found.goal.minimize: "least"} | {each.measure: _bound(each) for each in found.goal.objectives}
    rows: list[Cells] = [
        (
            label(measure),
            words,
            figure(measure, found.searched[measure]),
            told(measure, found.confirmed.get(measure)),
        )
        for measure, words in wanted.items()
    ]
    return Section(headings, rows)


def _reached(found: Optimum) -> Section:
    headings = ("bound of", "wanted", "best reached", "at point", "short by")
    rows: list[Cells] = [
        (
            label(near.objective.measure),
            _bound(near.objective),
            figure(near.objective.measure, near.mean),
            str(near.point),
            figure(near.objective.measure, max(0.0, near.objective.miss(near.mean))),
        )
        for near in found.nearest
    ]
    return Section(headings, rows)
