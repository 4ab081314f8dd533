"""The charts of a comparison's page: figures by option, cost over the load, cost over the price of operations.

Decides which figures are drawn over what. Must not know the page that shows them. `page` imports it only when a page
is made, as altair takes long to import.
"""

from __future__ import annotations

from typing import Any

import altair as alt

from clustersim.study.compare.result import BILL, SERVERS, Comparison, Criterion
from clustersim.study.pages.chart_style import CHART_WIDTH, COLOURS, INK, Spec, build_spec
from clustersim.study.pages.measure_labels import is_share

BAR_CHART_WIDTH = 330
BAR_HEIGHT = 44  # pixels per option
PRICES = 41  # points of a line over the price of operations
MIN_LAST_PRICE = 50.0  # USD: the price axis ends here at least,
BEYOND_BREAK_EVEN = 2.0  # or at this multiple of the highest break-even price


def bar_chart(comparison: Comparison, criterion: Criterion) -> Spec | None:
    """Draw a figure by option, with its interval; None if all means are 0, or no option has the figure."""
    rows = []
    for option in comparison.options:
        interval = comparison.of_option(criterion.measure, option)
        if interval is not None:
            limits = (interval.low, interval.high) if interval.n > 1 else (interval.mean, interval.mean)
            rows.append({"option": option, "mean": interval.mean, "low": limits[0], "high": limits[1]})
    if not any(row["mean"] for row in rows):
        return None
    zero = not is_share(criterion.measure)  # an axis from 0 would hide differences near 99.9 %
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("option:N", title=None, sort=list(comparison.options), axis=alt.Axis(labelLimit=140))
    )
    x = alt.X("mean:Q", title=_title(criterion), scale=alt.Scale(zero=zero), axis=_axis(criterion.measure))
    tooltip = ["option:N", alt.Tooltip("mean:Q", title=criterion.label, format=",.5~g")]
    marked = base.mark_bar(height=18) if zero else base.mark_circle(size=90, opacity=1)
    interval_rule = base.mark_rule(color=INK, strokeWidth=1.5).encode(x=alt.X("low:Q"), x2="high:Q")
    layers = alt.layer(
        marked.encode(x=x, color=_colour(comparison, legend=False), tooltip=tooltip), interval_rule
    )
    return build_spec(layers, BAR_CHART_WIDTH, height=BAR_HEIGHT * len(rows))


def load_chart(comparison: Comparison) -> Spec | None:
    """Draw the cost of each option per 1 x of the load; None for a single load, or if no run succeeded.

    The cost is divided by the load, so that a falling line shows better utilisation and crossings remain visible.
    """
    if len(comparison.loads) < 2:
        return None
    rows = [
        {
            "option": option,
            "load": load,
            "mean": cost.mean / load,
            "low": cost.low / load,
            "high": cost.high / load,
        }
        for option in comparison.options
        for load in comparison.loads
        if (cost := comparison.of_option(comparison.cost, option, load)) is not None
    ]
    if not rows:
        return None
    base = alt.Chart(alt.Data(values=rows))
    x = alt.X(
        "load:Q",
        title="times the load",
        scale=alt.Scale(type="log", nice=False, padding=14),
        axis=alt.Axis(values=list(comparison.loads), format="~g"),
    )
    y = alt.Y("mean:Q", title="USD a month, divided by that", axis=alt.Axis(format="$,.6~g", tickCount=6))
    colour = _colour(comparison)
    tooltip = ["option:N", "load:Q", alt.Tooltip("mean:Q", title="USD a month for 1 x", format=",.2f")]
    lines = base.mark_line().encode(x=x, y=y, color=colour)
    points = base.mark_circle(size=60, opacity=1).encode(x=x, y=y, color=colour, tooltip=tooltip)
    limits = base.mark_rule(opacity=0.6).encode(x=x, y="low:Q", y2="high:Q", color=colour)
    crossings = [{"at": break_even.load} for break_even in comparison.break_evens()]
    rule = alt.Chart(alt.Data(values=crossings)).mark_rule(color=INK, strokeDash=[4, 4]).encode(x="at:Q")
    layers = [lines, limits, points, *([rule] if crossings else [])]
    return build_spec(alt.layer(*layers), 2 * CHART_WIDTH)


def price_chart(comparison: Comparison) -> Spec | None:
    """Draw bill plus operations over the monthly price of operating a server; None without servers."""
    means = {}
    for option in comparison.options:
        bill, servers = (comparison.of_option(measure, option) for measure in (BILL, SERVERS))
        if bill is not None and servers is not None:
            means[option] = (bill.mean, servers.mean)
    if len(means) < 2 or not any(servers for _, servers in means.values()):
        return None
    break_evens = [price.usd.mean for price in comparison.operations_prices() if price.usd.mean > 0]
    last_price = max([MIN_LAST_PRICE, *(BEYOND_BREAK_EVEN * price for price in break_evens)])
    rows = [
        {"option": option, "price": price, "total": bill + servers * price}
        for option, (bill, servers) in means.items()
        for price in (last_price * number / (PRICES - 1) for number in range(PRICES))
    ]
    x = alt.X("price:Q", title="USD for operating a server, per month", axis=alt.Axis(format="$,.6~g"))
    y = alt.Y("total:Q", title="USD a month, both", axis=alt.Axis(format="$,.6~g"))
    lines = alt.Chart(alt.Data(values=rows)).mark_line().encode(x=x, y=y, color=_colour(comparison))
    rule = (
        alt.Chart(alt.Data(values=[{"at": price} for price in break_evens]))
        .mark_rule(color=INK, strokeDash=[4, 4])
        .encode(x="at:Q")
    )
    return build_spec(alt.layer(lines, *([rule] if break_evens else [])), 2 * CHART_WIDTH)


def _colour(comparison: Comparison, legend: bool = True) -> Any:
    options = list(comparison.options)
    scale = alt.Scale(domain=options, range=COLOURS[: len(options)])
    shown = alt.Legend(orient="top") if legend else None
    return alt.Color("option:N", title=None, sort=options, scale=scale, legend=shown)


def _title(criterion: Criterion) -> str:
    return f"{criterion.label}, s" if criterion.measure.endswith("_s") else criterion.label


def _axis(measure: str) -> Any:
    if is_share(measure):
        return alt.Axis(format=".3~%", tickCount=5)
    return alt.Axis(format="$,.6~g" if "usd" in measure else ",.6~g", tickCount=6)
