"""The charts of a sweep's page, as Vega-Lite specifications that altair writes.

Decides what is drawn against what. Must not know the page around it. `page` calls it; altair is imported here
only, and only when a page is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from clustersim.study.pages.metric_labels import is_share, label, short_paths, value_told
from clustersim.study.sweep.experimental_designs import MAX_POINTS
from clustersim.study.sweep.sweep_result import Sweep

Spec = dict[str, Any]

WIDTH, HEIGHT = 400, 250
MAX_COLOURS = 8  # values of a second path that are told apart by colour
INK, MARK, SOFT = "#1f2933", "#1f6feb", "#9aa5b1"
COLOURS = ["#1f6feb", "#d9730d", "#2f9e44", "#c2255c", "#7048e8", "#0c8599", "#a61e4d", "#5c940d"]


def measure_charts(sweep: Sweep, measure: str) -> list[Spec]:
    """A measure over each varied path: the mean of each point, and its 95 % interval."""
    rows = _rows(sweep, [measure])
    return [_over(sweep, rows, number, measure) for number in range(len(sweep.paths))] if rows else []


def front_chart(sweep: Sweep, cost: str, share: str) -> Spec | None:
    """Cost against availability; the points that nothing beats in both are joined by a line."""
    rows = _rows(sweep, [cost, share])
    if len(rows) < 2:
        return None
    best: float | None = None
    for row in sorted(rows, key=lambda row: (row["mean0"], -row["mean1"])):
        row["front"] = best is None or row["mean1"] > best
        best = row["mean1"] if best is None else max(best, row["mean1"])
    data = alt.Data(values=rows)
    x = alt.X(
        "mean0:Q", title=label(cost), scale=alt.Scale(zero=False), axis=alt.Axis(format="$,.6~g", tickCount=8)
    )
    y = alt.Y("mean1:Q", title=label(share), scale=alt.Scale(zero=False), axis=alt.Axis(format=".3~%"))
    tooltip = _tooltip(sweep, [cost, share])
    base, best_ones = alt.Chart(data), alt.Chart(data).transform_filter("datum.front")
    layers = (
        base.mark_circle(size=60, color=SOFT).encode(x=x, y=y, tooltip=tooltip),
        best_ones.mark_line(color=MARK, interpolate="step-after").encode(x=x, y=y, order="mean0:Q"),
        best_ones.mark_circle(size=70, color=MARK, opacity=1).encode(x=x, y=y, tooltip=tooltip),
    )
    return spec_of(alt.layer(*layers), 2 * WIDTH)


def sensitivity_chart(sweep: Sweep, measure: str) -> Spec:
    """Sobol indices of a measure: a bar per path and order, with its interval."""
    found = sweep.sensitivity(measure)
    rows = [
        {"path": short, "order": order, "index": index.mean, "low": index.low, "high": index.high}
        for short, path in zip(short_paths(sweep.paths), sweep.paths, strict=True)
        for order, index in (("alone", found[path].first_order), ("in all", found[path].total_order))
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("path:N", title=None), yOffset="order:N")
    x = alt.X("index:Q", title=f"share of the variance of {label(measure)}")
    legend = alt.Legend(orient="top")
    colour = alt.Color("order:N", title=None, scale=alt.Scale(range=COLOURS), legend=legend)
    bars = base.mark_bar().encode(x=x, color=colour)
    limits = base.mark_rule(color=INK).encode(x="low:Q", x2="high:Q")
    return spec_of(alt.layer(bars, limits), WIDTH, height=60 * len(sweep.paths))


def _over(sweep: Sweep, rows: list[dict[str, Any]], number: int, measure: str) -> Spec:
    """A measure over the path of that number; a second path of a grid is told by colour."""
    name = short_paths(sweep.paths)[number]
    values = [point[sweep.paths[number]] for point in sweep.points]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    order = list(dict.fromkeys(map(value_told, values)))
    ticks: dict[str, Any] = {"tickMinStep": 1} if all(isinstance(value, int) for value in values) else {}
    x = (
        alt.X(
            f"x{number}:Q",
            title=name,
            scale=alt.Scale(zero=False, nice=False, padding=14),
            axis=alt.Axis(**ticks),
        )
        if numeric
        else alt.X(f"x{number}:N", title=name, sort=order, axis=alt.Axis(labelAngle=0))
    )
    shares = is_share(measure)
    y_axis = (
        alt.Axis(format=".3~%") if shares else alt.Axis(format="$,.6~g") if "usd" in measure else alt.Axis()
    )
    y = alt.Y("mean0:Q", title=_titled(measure), scale=alt.Scale(zero=False), axis=y_axis)
    colour = _colour(sweep, number)
    base = alt.Chart(alt.Data(values=rows))
    limits = base.mark_rule(opacity=0.6).encode(
        x=x, y=alt.Y("low0:Q", title=label(measure)), y2="high0:Q", color=colour
    )
    points = base.mark_circle(size=50).encode(x=x, y=y, color=colour, tooltip=_tooltip(sweep, [measure]))
    layers = [limits, points]
    if numeric and _joined(sweep):
        layers.insert(0, base.mark_line(opacity=0.5).encode(x=x, y=y, color=colour))
    return spec_of(alt.layer(*layers), WIDTH)


def _titled(measure: str) -> str:
    """A measure on an axis: seconds say so, dollars and percent are in the figures."""
    return f"{label(measure)}, s" if measure.endswith("_s") else label(measure)


def _joined(sweep: Sweep) -> bool:
    """Whether points may be joined by lines: with one path, or two of which the other has a colour."""
    design = sweep.manifest["design"]["design"]
    return len(sweep.paths) == 1 or (design == "grid" and len(sweep.paths) == 2)


def _colour(sweep: Sweep, number: int) -> Any:
    """Another path by colour, where it has few values."""
    for other, path in enumerate(sweep.paths):
        seen = list(dict.fromkeys(value_told(point[path]) for point in sweep.points))
        if other != number and len(sweep.paths) == 2 and 1 < len(seen) <= MAX_COLOURS:
            title = short_paths(sweep.paths)[other]
            scale = alt.Scale(domain=seen, range=COLOURS[: len(seen)])
            return alt.Color(
                f"name{other}:N", title=title, sort=seen, scale=scale, legend=alt.Legend(orient="top")
            )
    return alt.value(MARK)


def _rows(sweep: Sweep, measures: Sequence[str]) -> list[dict[str, Any]]:
    """One row per point that has all the measures; keys without dots, which Vega-Lite reads as nesting."""
    rows = []
    for number, point in enumerate(sweep.points[:MAX_POINTS]):
        found = [sweep.interval(measure, number) for measure in measures]
        row: dict[str, Any] = {"point": number}
        for i, value in enumerate(point.values()):
            plain = isinstance(value, int | float) and not isinstance(value, bool)
            row |= {f"x{i}": value if plain else value_told(value), f"name{i}": value_told(value)}
        for i, interval in enumerate(found):
            if interval is None:
                break
            several = interval.n > 1
            low, high = (interval.low, interval.high) if several else (interval.mean, interval.mean)
            row |= {f"mean{i}": interval.mean, f"low{i}": low, f"high{i}": high}
        else:
            rows.append(row)
    return rows


def _tooltip(sweep: Sweep, measures: Sequence[str]) -> list[Any]:
    paths = [alt.Tooltip(f"name{i}:N", title=name) for i, name in enumerate(short_paths(sweep.paths))]
    figures = [
        alt.Tooltip(f"mean{i}:Q", title=label(measure), format=".4%" if is_share(measure) else ",.6~g")
        for i, measure in enumerate(measures)
    ]
    return [alt.Tooltip("point:Q", title="point"), *paths, *figures]


def spec_of(chart: Any, width: int, height: int = HEIGHT) -> Spec:
    """A chart in the page's style, as a specification."""
    styled = (
        chart.properties(width=width, height=height)
        .configure_axis(
            labelColor=INK, titleColor=INK, gridColor="#e9eef3", titleFontWeight=500, labelFontSize=12
        )
        .configure_view(stroke=None)
        .configure_legend(labelColor=INK, titleColor=INK)
    )
    found: Spec = styled.to_dict()
    return found
