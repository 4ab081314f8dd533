"""The page of a comparison: charts, the table of options, and the best option by each criterion.

Decides which parts the page has and in which order. Must not know how charts are drawn nor how the file is made;
texts and tables are those of the closing report. `compare` passes `render_comparison_page` to the sweep.
"""

from __future__ import annotations

from typing import Any

from clustersim.study.compare.report import (
    build_difference_tables,
    build_load_tables,
    build_option_tables,
    build_wins_section,
    list_comparison_facts,
    list_notes,
)
from clustersim.study.compare.result import Comparison
from clustersim.study.pages.page_frame import format_footer, render_page
from clustersim.study.single_run.run_report import Section
from clustersim.study.sweep.page import DATA

Charts = list[tuple[str, str, list[Any]]]
"""Title, text and specifications of each section."""


def render_comparison_page(comparison: Comparison) -> str:
    """Return the page of a comparison as HTML."""
    charts: dict[str, Any] = {}
    sections = []
    for title, text, specs in _charts(comparison):
        names = [f"chart-{len(charts) + number}" for number in range(len(specs))]
        charts.update(zip(names, specs, strict=True))
        if names:
            sections.append({"title": title, "measure": "", "text": text, "charts": names})
    names = [each["option"] for each in comparison.requested_options]
    return render_page(
        title=f"{comparison.name}: which one?",
        subtitle=f"{', '.join(names)}: one workload, the same random numbers, {len(comparison.summary):,} runs.",
        facts=[*list_comparison_facts(comparison), *list_notes(comparison)],
        sections=sections,
        tables=_tables(comparison),
        charts=charts,
        footer=format_footer(comparison.manifest, DATA),
    )


def _charts(comparison: Comparison) -> Charts:
    from clustersim.study.compare.charts import bar_chart, load_chart, price_chart

    charts: Charts = []
    at_loads, at_prices = load_chart(comparison), price_chart(comparison)
    if at_loads is not None:
        text = (
            "Monthly cost per 1 x of the load: rates and counts are multiplied by the load, the cost is divided by it. "
            "Where lines cross, the cheapest option changes. 95 % intervals."
        )
        charts.append(("Cost over the load", text, [at_loads]))
    if at_prices is not None:
        text = (
            "The bill plus the cost of operating its servers, over the monthly price of operating one server."
        )
        charts.append(("With operations", text, [at_prices]))
    figures = [spec for each in comparison.criteria if (spec := bar_chart(comparison, each)) is not None]
    text = "The mean of each option over its replications, and its 95 % interval (t)."
    charts.append(("Each figure", text, figures))
    return charts


def _tables(comparison: Comparison) -> list[dict[str, Any]]:
    parts = [
        ("All options", "Mean ± half of its 95 % interval.", build_option_tables(comparison)),
        (
            "Who wins",
            "Options that do not differ significantly win together.",
            [build_wins_section(comparison)],
        ),
        (
            "Differences",
            "In pairs of replications, which have the same random numbers.",
            build_difference_tables(comparison),
        ),
        ("Over the load", "Rates and counts times the load.", build_load_tables(comparison)),
    ]
    return [
        _table(title, text, section)
        for title, text, sections in parts
        for section in sections
        if section.rows
    ]


def _table(title: str, text: str, section: Section) -> dict[str, Any]:
    rows = [{"cells": list(row), "best": False} for row in section.rows]
    return {"title": title, "text": text, "headings": list(section.headings), "rows": rows}
