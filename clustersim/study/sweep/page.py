"""The page of a sweep: charts of its measures and a table of its points.

Decides which parts the page has and in which order. Must not know how charts are drawn nor how the file is made. A
sweep writes the page beside its table if the extra `report` is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from clustersim.errors import ResultsError
from clustersim.study.pages.measure_labels import (
    format_interval,
    format_varied_value,
    measure_label,
    select_main_measures,
    shorten_paths,
)
from clustersim.study.pages.page_frame import format_footer, render_page
from clustersim.study.sweep.sweep_report import best_point, list_sweep_facts, select_varying
from clustersim.study.sweep.sweep_result import Sweep

MAX_TABLE_ROWS = 500  # points on the page; `summary.arrow` has them all
MAX_MEASURES = 12
COST = "cost_usd"
DATA = "summary.arrow has one row per run."


def render_sweep_page(sweep: Sweep) -> str:
    """Return the page of a sweep as HTML."""
    from clustersim.study.sweep.charts import measure_charts, pareto_chart, sensitivity_chart

    measures = select_varying(sweep, select_main_measures(sweep.measures))[:MAX_MEASURES]
    charts: dict[str, Any] = {}
    sections = []

    def add_section(title: str, measure: str, text: str, specs: Sequence[Any]) -> None:
        names = [f"chart-{len(charts) + number}" for number in range(len(specs))]
        charts.update(zip(names, specs, strict=True))
        if names:
            sections.append({"title": title, "measure": measure, "text": text, "charts": names})

    for measure in measures:
        text = "the mean of each point over its replications, and its 95 % interval (t)."
        add_section(measure_label(measure).capitalize(), measure, text, measure_charts(sweep, measure))
        if measure == COST:
            for share in (each for each in measures if each.endswith(".availability")):
                spec = pareto_chart(sweep, COST, share)
                text = "Each dot is a point. No other point is both cheaper and more available than one on the line."
                add_section(f"Cost and {measure_label(share)}", "", text, [spec] if spec else [])
    if sweep.manifest["design"]["sensitivity"]:
        for measure in measures:
            text = "Sobol indices: how much of the variance each path explains, alone and with all its interactions."
            specs = _sensitivity_charts(sweep, measure, sensitivity_chart)
            add_section(f"What {measure_label(measure)} depends on", "", text, specs)
    return render_page(
        title=f"{sweep.name}: {len(sweep.points):,} points",
        subtitle=_subtitle(sweep),
        facts=list_sweep_facts(sweep, measures[0] if measures else None, 0),
        sections=sections,
        tables=_tables(sweep, measures),
        charts=charts,
        footer=format_footer(sweep.manifest, DATA),
    )


def _sensitivity_charts(sweep: Sweep, measure: str, chart: Any) -> list[Any]:
    try:
        return [chart(sweep, measure)]
    except ResultsError:  # the measure has no variance, or is missing at some points
        return []


def _subtitle(sweep: Sweep) -> str:
    manifest = sweep.manifest
    design = manifest["design"]["design"]
    return f"{len(sweep.summary):,} runs. Design: {design}. Varied: {', '.join(sweep.paths)}."


def _tables(sweep: Sweep, measures: Sequence[str]) -> list[dict[str, Any]]:
    best = best_point(sweep, measures[0]) if measures else None
    rows = []
    for number, point in enumerate(sweep.points[:MAX_TABLE_ROWS]):
        cells = [str(number), *map(format_varied_value, point.values())]
        cells += [format_interval(measure, sweep.interval(measure, number)) for measure in measures]
        rows.append({"cells": cells, "best": number == best})
    more = len(sweep.points) - len(rows)
    text = "Mean ± half of its 95 % interval." + (f" {more:,} more are in summary.arrow." if more else "")
    headings = ["point", *shorten_paths(sweep.paths), *map(measure_label, measures)]
    tables = [{"title": "All points", "text": text, "headings": headings, "rows": rows}]
    if sweep.errors:
        failed = [{"cells": list(map(str, error)), "best": False} for error in sweep.errors[:MAX_TABLE_ROWS]]
        headings = ["point", "replication", "error"]
        text = "Their rows in summary.arrow have no numbers, and no mean includes them."
        tables.append({"title": "Runs that failed", "text": text, "headings": headings, "rows": failed})
    return tables
