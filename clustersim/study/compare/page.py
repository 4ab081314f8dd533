"""The page of a comparison: the table, who wins, and charts of it, in one HTML file that opens without a network.

Decides what stands on it and in which order. Must not know how charts are drawn nor how the file is made; words
and tables are those of the closing report.
"""

from __future__ import annotations

from typing import Any

from clustersim.study.compare.report import (
    differences,
    facts_of,
    loads,
    notes_of,
    tables_of,
    wins,
)
from clustersim.study.compare.result import Comparison
from clustersim.study.single_run.run_report import Section
from clustersim.study.sweep.page import footer_of, render

Charts = list[tuple[str, str, list[Any]]]


def page_of_comparison(comparison: Comparison) -> str:
    """The page as HTML."""
    charts: dict[str, Any] = {}
    sections = []
    for title, words, specs in _charts(comparison):
        names = [f"chart-{len(charts) + number}" for number in range(len(specs))]
        charts.update(zip(names, specs, strict=True))
        if names:
            sections.append({"title": title, "measure": "", "words": words, "charts": names})
    names = [each["option"] for each in comparison.asked]
    return render(
        title=f"{comparison.name}: which one?",
        subtitle=f"{', '.join(names)}: one workload, the same luck, {len(comparison.summary):,} runs.",
        facts=[*facts_of(comparison), *notes_of(comparison)],
        sections=sections,
        tables=_tables(comparison),
        charts=charts,
        footer=footer_of(comparison),
    )


def _charts(comparison: Comparison) -> Charts:
    from clustersim.study.compare.charts import bars, over_loads, over_prices

    found: Charts = []
    at_loads, at_prices = over_loads(comparison), over_prices(comparison)
    if at_loads is not None:
        words = (
            "What each 1 x of the load costs a month: rates and counts times the load, the cost divided by it. Where "
            "lines cross, the cheapest option changes. 95 % intervals."
        )
        found.append(("Cost over the load", words, [at_loads]))
    if at_prices is not None:
        words = "The bill and what it costs to look after the servers in it, by the price of one server and month."
        found.append(("With operations", words, [at_prices]))
    figures = [spec for each in comparison.criteria if (spec := bars(comparison, each)) is not None]
    words = "The mean of each option over its replications, and its 95 % interval (t)."
    found.append(("Each figure", words, figures))
    return found


def _tables(comparison: Comparison) -> list[dict[str, Any]]:
    told = [
        ("All options", "Mean ± half of its 95 % interval.", tables_of(comparison)),
        ("Who wins", "Options that chance does not tell apart win together.", [wins(comparison)]),
        ("Differences", "In pairs of replications, which share their luck.", differences(comparison)),
        ("Over the load", "Rates and counts times the load.", loads(comparison)),
    ]
    return [
        _table(title, words, section)
        for title, words, sections in told
        for section in sections
        if section.rows
    ]


def _table(title: str, words: str, section: Section) -> dict[str, Any]:
    rows = [{"cells": list(row), "best": False} for row in section.rows]
    return {"title": title, "words": words, "headings": list(section.headings), "rows": rows}
