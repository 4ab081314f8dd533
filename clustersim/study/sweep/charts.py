"""The charts of a sweep's page, as Vega-Lite specifications made by altair.

Decides which measures are drawn over which paths. Must not know the page that shows them. `page` imports it only
when a page is made, as altair takes long to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt

from clustersim.study.pages.chart_style import CHART_WIDTH, COLOURS, INK, MARK, SOFT, Spec, build_spec
from clustersim.study.pages.measure_labels import format_varied_value, is_share, measure_label, shorten_paths
from clustersim.study.sweep.experimental_designs import MAX_POINTS
from clustersim.study.sweep.sweep_result import Sweep

MAX_COLOURS = 8  # values of a second path that are distinguished by colour


def measure_charts(sweep: Sweep, measure: str) -> list[Spec]:
    """Draw a measure over each varied path: the mean of each point, and its 95 % interval."""
    rows = _rows(sweep, [measure])
    return (
        [_draw_over_path(sweep, rows, number, measure) for number in range(len(sweep.paths))] if rows else []
    )


def pareto_chart(sweep: Sweep, cost: str, share: str) -> Spec | None:
    """Draw availability over cost, with a line through the Pareto front; None for fewer than two points."""
    rows = _rows(sweep, [cost, share])
    if len(rows) < 2:
        return None
    best_share: float | None = None
    for row in sorted(rows, key=lambda row: (row["mean0"], -row["mean1"])):
        row["front"] = best_share is None or row["mean1"] > best_share
        best_share = row["mean1"] if best_share is None else max(best_share, row["mean1"])
    data = alt.Data(values=rows)
    x = alt.X(
        "mean0:Q",
        title=measure_label(cost),
        scale=alt.Scale(zero=False),
        axis=alt.Axis(format="$,.6~g", tickCount=8),
    )
    y = alt.Y(
        "mean1:Q", title=measure_label(share), scale=alt.Scale(zero=False), axis=alt.Axis(format=".3~%")
    )
    tooltip = _tooltip(sweep, [cost, share])
    base, front = alt.Chart(data), alt.Chart(data).transform_filter("datum.front")
    layers = (
        base.mark_circle(size=60, color=SOFT).encode(x=x, y=y, tooltip=tooltip),
        front.mark_line(color=MARK, interpolate="step-after").encode(x=x, y=y, order="mean0:Q"),
        front.mark_circle(size=70, color=MARK, opacity=1).encode(x=x, y=y, tooltip=tooltip),
    )
    return build_spec(alt.layer(*layers), 2 * CHART_WIDTH)


def sensitivity_chart(sweep: Sweep, measure: str) -> Spec:
    """Draw the Sobol indices of a measure: a bar per path and order, with its interval."""
    indices = sweep.sensitivity(measure)
    rows = [
        {"path": short, "order": order, "index": index.mean, "low": index.low, "high": index.high}
        for short, path in zip(shorten_paths(sweep.paths), sweep.paths, strict=True)
        for order, index in (("alone", indices[path].first_order), ("in all", indices[path].total_order))
    ]
    base = alt.Chart(alt.Data(values=rows)).encode(y=alt.Y("path:N", title=None), yOffset="order:N")
    x = alt.X("index:Q", title=f"share of the variance of {measure_label(measure)}")
    legend = alt.Legend(orient="top")
    colour = alt.Color("order:N", title=None, scale=alt.Scale(range=COLOURS), legend=legend)
    bars = base.mark_bar().encode(x=x, color=colour)
    limits = base.mark_rule(color=INK).encode(x="low:Q", x2="high:Q")
    return build_spec(alt.layer(bars, limits), CHART_WIDTH, height=60 * len(sweep.paths))


def _draw_over_path(sweep: Sweep, rows: list[dict[str, Any]], number: int, measure: str) -> Spec:
    """Draw a measure over the path of that number; colour distinguishes the values of a second path."""
    name = shorten_paths(sweep.paths)[number]
    values = [point[sweep.paths[number]] for point in sweep.points]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    order = list(dict.fromkeys(map(format_varied_value, values)))
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
    y = alt.Y("mean0:Q", title=_axis_title(measure), scale=alt.Scale(zero=False), axis=y_axis)
    colour = _colour(sweep, number)
    base = alt.Chart(alt.Data(values=rows))
    limits = base.mark_rule(opacity=0.6).encode(
        x=x, y=alt.Y("low0:Q", title=measure_label(measure)), y2="high0:Q", color=colour
    )
    points = base.mark_circle(size=50).encode(x=x, y=y, color=colour, tooltip=_tooltip(sweep, [measure]))
    layers = [limits, points]
    if numeric and _can_join(sweep):
        layers.insert(0, base.mark_line(opacity=0.5).encode(x=x, y=y, color=colour))
    return build_spec(alt.layer(*layers), CHART_WIDTH)


def _axis_title(measure: str) -> str:
    """Return the title of an axis: seconds are named, dollars and percent are in the figures."""
    return f"{measure_label(measure)}, s" if measure.endswith("_s") else measure_label(measure)


def _can_join(sweep: Sweep) -> bool:
    """Return whether lines may join points: with one path, or a grid of two of which the other has a colour."""
    design = sweep.manifest["design"]["design"]
    return len(sweep.paths) == 1 or (design == "grid" and len(sweep.paths) == 2)


def _colour(sweep: Sweep, number: int) -> Any:
    """Return the colour of the other of two paths, if it has few values."""
    for other, path in enumerate(sweep.paths):
        distinct = list(dict.fromkeys(format_varied_value(point[path]) for point in sweep.points))
        if other != number and len(sweep.paths) == 2 and 1 < len(distinct) <= MAX_COLOURS:
            title = shorten_paths(sweep.paths)[other]
            scale = alt.Scale(domain=distinct, range=COLOURS[: len(distinct)])
            return alt.Color(
                f"name{other}:N", title=title, sort=distinct, scale=scale, legend=alt.Legend(orient="top")
            )
    return alt.value(MARK)


def _rows(sweep: Sweep, measures: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per point that has all measures; its keys have no dots, which Vega-Lite reads as nesting."""
    rows = []
    for number, point in enumerate(sweep.points[:MAX_POINTS]):
        intervals = [sweep.interval(measure, number) for measure in measures]
        row: dict[str, Any] = {"point": number}
        for i, value in enumerate(point.values()):
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            row |= {
                f"x{i}": value if numeric else format_varied_value(value),
                f"name{i}": format_varied_value(value),
            }
        for i, interval in enumerate(intervals):
            if interval is None:
                break
            replicated = interval.n > 1
            low, high = (interval.low, interval.high) if replicated else (interval.mean, interval.mean)
            row |= {f"mean{i}": interval.mean, f"low{i}": low, f"high{i}": high}
        else:
            rows.append(row)
    return rows


def _tooltip(sweep: Sweep, measures: Sequence[str]) -> list[Any]:
    paths = [alt.Tooltip(f"name{i}:N", title=name) for i, name in enumerate(shorten_paths(sweep.paths))]
    figures = [
        alt.Tooltip(
            f"mean{i}:Q", title=measure_label(measure), format=".4%" if is_share(measure) else ",.6~g"
        )
        for i, measure in enumerate(measures)
    ]
    return [alt.Tooltip("point:Q", title="point"), *paths, *figures]
