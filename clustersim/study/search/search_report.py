"""The closing report of a search: the best point with its confirmed figures, or the closest points to the bounds.

Decides which facts of a search fit into eighty columns. Must not compute anything that an `Optimum` does not. The
command line calls it.
"""

from __future__ import annotations

from rich.console import Console

from clustersim.study.pages.measure_labels import format_interval, format_value, measure_label
from clustersim.study.search.constraints import Bound
from clustersim.study.search.search import Optimum
from clustersim.study.single_run.run_report import Cells, Section, print_report
from clustersim.study.sweep.sweep_report import format_point, locate_result


def print_optimum(optimum: Optimum, console: Console) -> None:
    """Print the result of a search."""
    facts = [("runs", _run_counts(optimum))]
    if optimum.point is None:
        facts += _infeasible_facts(optimum)
        sections = [_reached_section(optimum)]
    else:
        facts += [
            ("best", f"point {optimum.point}: {format_point(optimum.sweep, optimum.point)}"),
            ("judged by", f"{optimum.goal.confirm} runs with fresh seeds, which were not used to select it"),
        ]
        sections = [_confirmed_section(optimum)]
    if optimum.unconfirmed and optimum.point is not None:
        facts.append(
            (
                "not confirmed",
                f"{optimum.unconfirmed} points kept the bounds in the search but not with fresh seeds",
            )
        )
    if optimum.invalid:
        facts.append(("invalid", f"some proposed points were not valid scenarios: {optimum.invalid[0]}"))
    print_report(facts, sections, locate_result(optimum.sweep), console)


def _run_counts(optimum: Optimum) -> str:
    points, runs = len(optimum.sweep.points), len(optimum.sweep.summary)
    searched = points * optimum.goal.replications
    text = f"{runs:,}: {points:,} points x {optimum.goal.replications}"
    if runs > searched:
        text += f", and {runs - searched:,} more of the best with fresh seeds"
    return text


def _infeasible_facts(optimum: Optimum) -> list[tuple[str, str]]:
    """List the facts of a search without a feasible point: the closest point, and the bound missed by most."""
    if optimum.unconfirmed:
        facts = [("best", f"none: {optimum.unconfirmed} points kept all bounds, but not with fresh seeds")]
    else:
        facts = [("best", "none: no point keeps all bounds")]
    if optimum.closest_point is not None:
        point = optimum.closest_point
        facts.append(("closest", f"point {point}: {format_point(optimum.sweep, point)}"))
    if optimum.closest_misses:
        worst = optimum.closest_misses[0]
        violation = worst.bound.violation(worst.mean)
        if violation > 0:
            amount = format_value(worst.bound.measure, violation)
            facts.append(
                ("hardest bound", f"{measure_label(worst.bound.measure)}: missed by at least {amount}")
            )
    return facts


def _format_bound(bound: Bound) -> str:
    sign = ">=" if bound.at_least else "<="
    return f"{sign} {format_value(bound.measure, bound.limit)}"


def _confirmed_section(optimum: Optimum) -> Section:
    headings = ("measure", "goal", "in the search", "with fresh seeds")
    goals = {optimum.goal.minimize: "least"} | {
        each.measure: _format_bound(each) for each in optimum.goal.bounds
    }
    rows: list[Cells] = [
        (
            measure_label(measure),
            goal,
            format_value(measure, optimum.search_means[measure]),
            format_interval(measure, optimum.confirmed.get(measure)),
        )
        for measure, goal in goals.items()
    ]
    return Section(headings, rows)


def _reached_section(optimum: Optimum) -> Section:
    headings = ("bound of", "goal", "best reached", "at point", "missed by")
    rows: list[Cells] = [
        (
            measure_label(miss.bound.measure),
            _format_bound(miss.bound),
            format_value(miss.bound.measure, miss.mean),
            str(miss.point),
            format_value(miss.bound.measure, max(0.0, miss.bound.violation(miss.mean))),
        )
        for miss in optimum.closest_misses
    ]
    return Section(headings, rows)
