"""The closing table of a sweep: each point with its intervals, the best one, and what can be told from chance.

Decides what of a sweep is worth eighty columns. Must not compute anything that a `Sweep` does not. The command
line calls it.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console

from clustersim.errors import ResultsError
from clustersim.study.pages.metric_labels import figure, label, main_measures, short_paths, told, value_told
from clustersim.study.single_run.run_report import MAX_ROWS, WIDTH, Cells, Section, print_report
from clustersim.study.sweep.sweep_result import Sweep

MAX_ERRORS = 5
MAX_FAMILY = 16  # points compared all at once: the integral behind it takes seconds from there on


def print_sweep(sweep: Sweep, console: Console, measures: Sequence[str] = (), base: int = 0) -> None:
    """Prints a sweep; `measures` in place of those that are shown by themselves, differences from point `base`."""
    asked = list(measures) or varying(sweep, main_measures(sweep.measures))
    if not asked:
        sections = [errors(sweep)]
    else:
        everything = bool(measures) or not console.is_terminal
        sections = [_points(sweep, asked, base, everything), _sensitivity(sweep, asked), errors(sweep)]
    facts = facts_of(sweep, asked[0] if asked else None, base)
    print_report(facts, sections, where(sweep), console)


def where(sweep: Sweep) -> str:
    """The last words: where the result is, and its charts."""
    page = sweep.manifest.get("page")
    words = f"{sweep.path}/{page}" if page else "pip install 'clustersim[report]' makes a page of them"
    return f"results: {sweep.path}\ncharts: {words}"


def varying(sweep: Sweep, measures: Sequence[str]) -> list[str]:
    """The first measure, and those others that are not the same at all points."""
    alone = len(sweep.points) == 1
    others = [measure for measure in measures[1:] if alone or differs(sweep, measure)]
    return [*measures[:1], *others]


def differs(sweep: Sweep, measure: str) -> bool:
    """Whether a measure is another at some point, as far as its figures show."""
    return len({figure(measure, mean) for mean in means_of(sweep, measure).values()}) > 1


def means_of(sweep: Sweep, measure: str) -> dict[int, float]:
    """The mean of a measure by point, where some run has it."""
    found = {point: sweep.interval(measure, point) for point in range(len(sweep.points))}
    return {point: interval.mean for point, interval in found.items() if interval is not None}


def best_point(sweep: Sweep, measure: str) -> int | None:
    """The point of the least mean of a measure; None where no run has it."""
    means = [
        (interval.mean, point)
        for point in range(len(sweep.points))
        if (interval := sweep.interval(measure, point))
    ]
    return min(means)[1] if means else None


def values_told(sweep: Sweep, point: int) -> str:
    """The values of a point in words."""
    pairs = zip(short_paths(sweep.paths), sweep.points[point].values(), strict=True)
    return ", ".join(f"{name}={value_told(value)}" for name, value in pairs)


def facts_of(sweep: Sweep, measure: str | None, base: int) -> list[tuple[str, str]]:
    """The sweep in a few words: runs, the point of the least mean, and whether it differs from the base."""
    runs = len(sweep.summary)
    failed = len(sweep.errors)
    words = f"{runs:,} at {len(sweep.points):,} points" + (f", {failed:,} failed" if failed else "")
    facts = [("runs", words)]
    best = best_point(sweep, measure) if measure else None
    if measure is None or best is None:
        return facts
    if not differs(sweep, measure):
        where = "" if len(sweep.points) == 1 else ", the same at every point"
        return [*facts, (label(measure), told(measure, sweep.interval(measure, best)) + where)]
    facts.append(
        (f"least {label(measure)}", f"{told(measure, sweep.interval(measure, best))} at point {best}")
    )
    facts.append(("with", values_told(sweep, best)))
    difference = sweep.difference(measure, best, base) if best != base else None
    if difference is not None:
        words = f"{told(measure, difference, signed=True)} against point {base}, in pairs"
        if difference.n > 1:
            words += "" if difference.excludes_zero else ": not told from chance"
        facts.append(("difference", words))
    return facts + _family(sweep, measure, base)


def _family(sweep: Sweep, measure: str, base: int) -> list[tuple[str, str]]:
    """Which points differ from the base even when all are compared at once."""
    if not 3 <= len(sweep.points) <= MAX_FAMILY:
        return []
    try:
        found = sweep.family(measure, base).values()
    except ResultsError:
        return []
    if not found:
        return []
    lower, higher = sum(each.high < 0 for each in found), sum(each.low > 0 for each in found)
    words = f"{lower} points lower, {higher} higher than point {base}, {len(found) - lower - higher} not told apart"
    return [("all at once", f"{words} (Dunnett)")]


def _points(sweep: Sweep, measures: Sequence[str], base: int, everything: bool) -> Section:
    """A row per point, the first twenty by the first measure; `everything`: however wide that is."""
    order = list(range(len(sweep.points)))
    if len(order) > MAX_ROWS:
        means = {p: sweep.interval(measures[0], p) for p in order}
        order.sort(key=lambda p: (mean.mean if (mean := means[p]) else float("inf"), p))
    shown = order[:MAX_ROWS]
    known = [["point" if everything else "#", *map(str, shown)]]
    for name, path in zip(short_paths(sweep.paths), sweep.paths, strict=True):
        known.append([name, *(value_told(sweep.points[point][path]) for point in shown)])
    figures = [
        [label(each), *(told(each, sweep.interval(each, point)) for point in shown)] for each in measures
    ]
    if len(sweep.points) > 1:
        differences = {p: sweep.difference(measures[0], p, base) for p in shown if p != base}
        against = [f"vs {base}", *(told(measures[0], differences.get(p), signed=True) for p in shown)]
        with_it = [figures[0], against, *figures[1:]]
        # A second measure says more than the difference, where there is no room for both.
        if everything or len(figures) == 1 or _width([*known, *with_it[:3]]) <= WIDTH:
            figures = with_it
    least = len(known) + 1
    columns = [*known, *figures]
    while not everything and len(columns) > least and _width(columns) > WIDTH:
        columns.pop()
    headings, *rows = zip(*columns, strict=True)
    return Section(headings, rows, len(order) - len(shown))


def _width(columns: Sequence[Sequence[str]]) -> int:
    """How many characters a table of these columns takes."""
    return sum(max(map(cell_len, column)) + 2 for column in columns) - 2


def _sensitivity(sweep: Sweep, measures: Sequence[str]) -> Section:
    """How much of each measure's variance each path explains, by itself and in all."""
    headings = ("variance of", "explained by", "alone", "in all")
    rows: list[Cells] = []
    if sweep.manifest["design"]["sensitivity"]:
        for measure in measures:
            try:
                found = sweep.sensitivity(measure)
            except ResultsError:
                continue
            for path, short in zip(sweep.paths, short_paths(sweep.paths), strict=True):
                index = found[path]
                told_ = [
                    f"{each.mean:.2f} ({each.low:.2f} to {each.high:.2f})"
                    for each in (index.first_order, index.total_order)
                ]
                rows.append((label(measure), short, *told_))
    return Section(headings, rows)


def errors(sweep: Sweep) -> Section:
    """The runs that failed, and why."""
    rows: list[Cells] = [
        (f"point {point}, replication {replication}", " ".join(error.split())[:40])
        for point, replication, error in sweep.errors
    ]
    return Section(("failed", "why"), rows[:MAX_ERRORS], max(0, len(rows) - MAX_ERRORS))
