"""The charts of a comparison's page: figures by option, cost over the load, cost over the price of operations.

Decides what is drawn against what. Must not know the page around it. `comparison_page` calls it; like `charts` it is
imported only when a page is made.
"""

from __future__ import annotations

from typing import Any

import altair as alt

from clustersim.study.compare.result import BILL, SERVERS, Comparison, Criterion
from clustersim.study.pages.metric_labels import is_share
from clustersim.study.sweep.charts import COLOURS, INK, WIDTH, Spec, spec_of

BARS_WIDTH = 330
BARS_HEIGHT = 44  # of an option's bar
PRICES = 41  # points of the line over the price of operations
LEAST_PRICE, BEYOND = 50.0, 2.0  # how far that line goes: so much, or this many times the highest break-even


def bars(comparison: Comparison, criterion: Criterion) -> Spec | None:
    """A figure under each option, with its interval; None where it is 0 throughout, or there is none."""
    rows = []
    for option in comparison.options:
        interval = comparison.of_option(criterion.measure, option)
        if interval is not None:
            limits = (interval.low, interval.high) if interval.n > 1 else (interval.mean, interval.mean)
            rows.append({"option": option, "mean": interval.mean, "low": limits[0], "high": limits[1]})
    if not any(row["mean"] for row in rows):
        return None
    zero = not is_share(criterion.measure)  # beside 99.9 % nothing is seen from 0
    base = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("option:N", title=None, sort=list(comparison.options), axis=alt.Axis(labelLimit=140))
    )
    x = alt.X("mean:Q", title=_title(criterion), scale=alt.Scale(zero=zero), axis=_axis(criterion.measure))
    tooltip = ["option:N", alt.Tooltip("mean:Q", title=criterion.label, format=",.5~g")]
    marked = base.mark_bar(height=18) if zero else base.mark_circle(size=90, opacity=1)
    limits_ = base.mark_rule(color=INK, strokeWidth=1.5).encode(x=alt.X("low:Q"), x2="high:Q")
    layers = alt.layer(marked.encode(x=x, color=_colour(comparison, legend=False), tooltip=tooltip), limits_)
    return spec_of(layers, BARS_WIDTH, height=BARS_HEIGHT * len(rows))


def over_loads(comparison: Comparison) -> Spec | None:
    """The cost of each option for every 1 x of the load; None where one load was looked at, or no run succeeded.

    Divided by the load, so that a line that falls is an option that is better filled, and lines that cross are seen
    to cross.
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
    meeting = [{"at": found.load} for found in comparison.break_evens()]
    rule = alt.Chart(alt.Data(values=meeting)).mark_rule(color=INK, strokeDash=[4, 4]).encode(x="at:Q")
    layers = [lines, limits, points, *([rule] if meeting else [])]
    return spec_of(alt.layer(*layers), 2 * WIDTH)


def over_prices(comparison: Comparison) -> Spec | None:
    """Bill and operations together over the price of looking after a server; None without servers."""
    facts = {}
    for option in comparison.options:
        bill, servers = (comparison.of_option(measure, option) for measure in (BILL, SERVERS))
        if bill is not None and servers is not None:
            facts[option] = (bill.mean, servers.mean)
    if len(facts) < 2 or not any(servers for _, servers in facts.values()):
        return None
    meetings = [price.usd.mean for price in comparison.operations_prices() if price.usd.mean > 0]
    most = max([LEAST_PRICE, *(BEYOND * price for price in meetings)])
    rows = [
        {"option": option, "price": price, "total": bill + servers * price}
        for option, (bill, servers) in facts.items()
        for price in (most * number / (PRICES - 1) for number in range(PRICES))
    ]
    x = alt.X("price:Q", title="USD for looking after a server, per month", axis=alt.Axis(format="$,.6~g"))
    y = alt.Y("total:Q", title="USD a month, both", axis=alt.Axis(format="$,.6~g"))
    lines = alt.Chart(alt.Data(values=rows)).mark_line().encode(x=x, y=y, color=_colour(comparison))
    rule = (
        alt.Chart(alt.Data(values=[{"at": price} for price in meetings]))
        .mark_rule(color=INK, strokeDash=[4, 4])
        .encode(x="at:Q")
    )
    return spec_of(alt.layer(lines, *([rule] if meetings else [])), 2 * WIDTH)


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
