"""The closing report of a sweep: each point with its intervals, the best one, and the significant differences.

Decides which facts of a sweep fit into eighty columns. Must not compute anything that a `Sweep` does not. The
command line calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console

from clustersim.errors import ResultsError
from clustersim.study.pages.measure_labels import (
    format_interval,
    format_value,
    format_varied_value,
    measure_label,
    select_main_measures,
    shorten_paths,
)
from clustersim.study.single_run.run_report import MAX_ROWS, REPORT_WIDTH, Cells, Section, print_report
from clustersim.study.sweep.sweep_result import Sweep

MAX_ERRORS = 5
MAX_FAMILY = 16  # points compared all at once: Dunnett's integral takes seconds for more


def print_sweep(sweep: Sweep, console: Console, measures: Sequence[str] = (), base: int = 0) -> None:
    """Print a sweep: `measures` instead of the main ones, and differences from point `base`."""
    shown_measures = list(measures) or select_varying(sweep, select_main_measures(sweep.measures))
    if not shown_measures:
        sections = [build_errors_section(sweep)]
    else:
        all_columns = bool(measures) or not console.is_terminal
        sections = [
            _points_section(sweep, shown_measures, base, all_columns),
            _sensitivity_section(sweep, shown_measures),
            build_errors_section(sweep),
        ]
    facts = list_sweep_facts(sweep, shown_measures[0] if shown_measures else None, base)
    print_report(facts, sections, locate_result(sweep), console)


def locate_result(sweep: Sweep) -> str:
    """Return the closing lines: the location of the result and of its charts."""
    page = sweep.manifest.get("page")
    charts = f"{sweep.path}/{page}" if page else "pip install 'clustersim[report]' adds a page with charts"
    return f"results: {sweep.path}\ncharts: {charts}"


def select_varying(sweep: Sweep, measures: Sequence[str]) -> list[str]:
    """Return the first measure, and those others that are not the same at all points."""
    alone = len(sweep.points) == 1
    others = [measure for measure in measures[1:] if alone or measure_varies(sweep, measure)]
    return [*measures[:1], *others]


def measure_varies(sweep: Sweep, measure: str) -> bool:
    """Return whether the means of a measure differ between points, in the precision in which they are shown."""
    return len({format_value(measure, mean) for mean in point_means(sweep, measure).values()}) > 1


def point_means(sweep: Sweep, measure: str) -> dict[int, float]:
    """Return the mean of a measure by point, if some run has it."""
    intervals = {point: sweep.interval(measure, point) for point in range(len(sweep.points))}
    return {point: interval.mean for point, interval in intervals.items() if interval is not None}


def best_point(sweep: Sweep, measure: str) -> int | None:
    """Return the point with the least mean of a measure; None if no run has it."""
    means = [
        (interval.mean, point)
        for point in range(len(sweep.points))
        if (interval := sweep.interval(measure, point))
    ]
    return min(means)[1] if means else None


def format_point(sweep: Sweep, point: int) -> str:
    """Return the values of a point as text, like `desiredCount=4, ratePerHour=20`."""
    pairs = zip(shorten_paths(sweep.paths), sweep.points[point].values(), strict=True)
    return ", ".join(f"{name}={format_varied_value(value)}" for name, value in pairs)


def list_sweep_facts(sweep: Sweep, measure: str | None, base: int) -> list[tuple[str, str]]:
    """Return pairs of label and text: the runs, the point with the least mean, and its difference from the base."""
    runs = len(sweep.summary)
    failed = len(sweep.errors)
    counts = f"{runs:,} at {len(sweep.points):,} points" + (f", {failed:,} failed" if failed else "")
    facts = [("runs", counts)]
    best = best_point(sweep, measure) if measure else None
    if measure is None or best is None:
        return facts
    if not measure_varies(sweep, measure):
        suffix = "" if len(sweep.points) == 1 else ", the same at every point"
        return [
            *facts,
            (measure_label(measure), format_interval(measure, sweep.interval(measure, best)) + suffix),
        ]
    facts.append(
        (
            f"least {measure_label(measure)}",
            f"{format_interval(measure, sweep.interval(measure, best))} at point {best}",
        )
    )
    facts.append(("with", format_point(sweep, best)))
    difference = sweep.difference(measure, best, base) if best != base else None
    if difference is not None:
        text = f"{format_interval(measure, difference, signed=True)} against point {base}, in pairs"
        if difference.n > 1:
            text += "" if difference.excludes_zero else ": not significant"
        facts.append(("difference", text))
    return facts + _compare_all(sweep, measure, base)


def _compare_all(sweep: Sweep, measure: str, base: int) -> list[tuple[str, str]]:
    """Return the number of points that differ from the base when all are compared at once."""
    if not 3 <= len(sweep.points) <= MAX_FAMILY:
        return []
    try:
        intervals = sweep.compare_with_base(measure, base).values()
    except ResultsError:
        return []
    if not intervals:
        return []
    lower, higher = sum(each.high < 0 for each in intervals), sum(each.low > 0 for each in intervals)
    others = len(intervals) - lower - higher
    counts = f"{lower} points lower, {higher} higher than point {base}, {others} not significant"
    return [("all at once", f"{counts} (Dunnett)")]


def _points_section(sweep: Sweep, measures: Sequence[str], base: int, all_columns: bool) -> Section:
    """Return a row per point, at most twenty by the first measure; `all_columns` keeps columns beyond eighty."""
    order = list(range(len(sweep.points)))
    if len(order) > MAX_ROWS:
        means = {p: sweep.interval(measures[0], p) for p in order}
        order.sort(key=lambda p: (mean.mean if (mean := means[p]) else float("inf"), p))
    shown = order[:MAX_ROWS]
    point_columns = [["point" if all_columns else "#", *map(str, shown)]]
    for name, path in zip(shorten_paths(sweep.paths), sweep.paths, strict=True):
        point_columns.append([name, *(format_varied_value(sweep.points[point][path]) for point in shown)])
    figures = [
        [measure_label(each), *(format_interval(each, sweep.interval(each, point)) for point in shown)]
        for each in measures
    ]
    if len(sweep.points) > 1:
        differences = {p: sweep.difference(measures[0], p, base) for p in shown if p != base}
        difference_column = [
            f"vs {base}",
            *(format_interval(measures[0], differences.get(p), signed=True) for p in shown),
        ]
        with_difference = [figures[0], difference_column, *figures[1:]]
        # If there is not room for both, a second measure is more useful than the difference.
        if (
            all_columns
            or len(figures) == 1
            or _table_width([*point_columns, *with_difference[:3]]) <= REPORT_WIDTH
        ):
            figures = with_difference
    least = len(point_columns) + 1
    columns = [*point_columns, *figures]
    while not all_columns and len(columns) > least and _table_width(columns) > REPORT_WIDTH:
        columns.pop()
    headings, *rows = zip(*columns, strict=True)
    return Section(headings, rows, len(order) - len(shown))


def _table_width(columns: Sequence[Sequence[str]]) -> int:
    """Return the width of a table of these columns, in characters."""
    return sum(max(map(cell_len, column)) + 2 for column in columns) - 2


def _sensitivity_section(sweep: Sweep, measures: Sequence[str]) -> Section:
    """Return how much of each measure's variance each path explains, alone and with its interactions."""
    headings = ("variance of", "explained by", "alone", "in all")
    rows: list[Cells] = []
    if sweep.manifest["design"]["sensitivity"]:
        for measure in measures:
            try:
                indices = sweep.sensitivity(measure)
            except ResultsError:
                continue
            for path, short in zip(sweep.paths, shorten_paths(sweep.paths), strict=True):
                index = indices[path]
                texts = [
                    f"{each.mean:.2f} ({each.low:.2f} to {each.high:.2f})"
                    for each in (index.first_order, index.total_order)
                ]
                rows.append((measure_label(measure), short, *texts))
    return Section(headings, rows)


def build_errors_section(sweep: Sweep) -> Section:
    """Return the failed runs and their errors."""
    rows: list[Cells] = [
        (f"point {point}, replication {replication}", " ".join(error.split())[:40])
        for point, replication, error in sweep.errors
    ]
    return Section(("failed", "why"), rows[:MAX_ERRORS], max(0, len(rows) - MAX_ERRORS))
