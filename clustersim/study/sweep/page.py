"""The page of a sweep: one HTML file that opens without a network, to look at and to hand on.

Decides what stands on it and in which order. Must not know how charts are drawn. The sweep writes the page
beside its table when the extra `report` is installed.

The same sweep gives the same bytes: nothing on it says when or how long.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

from clustersim.engine.object_cache import cache_folder
from clustersim.errors import ResultsError
from clustersim.study.pages.metric_labels import label, main_measures, short_paths, told, value_told
from clustersim.study.sweep.sweep_report import best_point, facts_of, varying
from clustersim.study.sweep.sweep_result import Sweep

MAX_TABLE = 500  # points on the page; `summary.arrow` has them all
MAX_MEASURES = 12
COST = "cost_usd"
NEEDED = ("altair", "vl_convert", "jinja2")


def can_make_pages() -> bool:
    """Whether the libraries of the extra `report` are installed."""
    return all(find_spec(name) is not None for name in NEEDED)


def load_ahead() -> None:
    """Imports in a thread what the page needs, a second's work, while workers have this process wait."""

    def load() -> None:
        for name in ("scipy.stats", *(NEEDED if can_make_pages() else ())):
            import_module(name)

    Thread(target=load, name="clustersim-imports", daemon=True).start()


def render(**parts: Any) -> str:
    """The page of these parts: title, subtitle, facts, sections with charts, tables, footer."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = files("clustersim").joinpath("study/pages/page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(bundle=_bundle(), **parts)


def page_of(sweep: Sweep) -> str:
    """The page as HTML."""
    from clustersim.study.sweep.charts import front_chart, measure_charts, sensitivity_chart

    measures = varying(sweep, main_measures(sweep.measures))[:MAX_MEASURES]
    charts: dict[str, Any] = {}
    sections = []

    def section(title: str, measure: str, words: str, specs: Sequence[Any]) -> None:
        names = [f"chart-{len(charts) + number}" for number in range(len(specs))]
        charts.update(zip(names, specs, strict=True))
        if names:
            sections.append({"title": title, "measure": measure, "words": words, "charts": names})

    for measure in measures:
        words = "the mean of each point over its replications, and its 95 % interval (t)."
        section(label(measure).capitalize(), measure, words, measure_charts(sweep, measure))
        if measure == COST:
            for share in (each for each in measures if each.endswith(".availability")):
                spec = front_chart(sweep, COST, share)
                words = (
                    "Each dot is a point. Along the line nothing is both cheaper and more often available."
                )
                section(f"Cost and {label(share)}", "", words, [spec] if spec else [])
    if sweep.manifest["design"]["sensitivity"]:
        for measure in measures:
            words = "Sobol indices: how much of the variance each path explains, alone and with all it takes part in."
            specs = _sensitivity(sweep, measure, sensitivity_chart)
            section(f"What {label(measure)} depends on", "", words, specs)
    return render(
        title=f"{sweep.name}: {len(sweep.points):,} points",
        subtitle=_subtitle(sweep),
        facts=facts_of(sweep, measures[0] if measures else None, 0),
        sections=sections,
        tables=_tables(sweep, measures),
        charts=charts,
        footer=footer_of(sweep),
    )


def _sensitivity(sweep: Sweep, measure: str, chart: Any) -> list[Any]:
    try:
        return [chart(sweep, measure)]
    except ResultsError:  # a measure without variance, or that some points do not have
        return []


def _subtitle(sweep: Sweep) -> str:
    manifest = sweep.manifest
    design = manifest["design"]["design"]
    return f"{len(sweep.summary):,} runs. Design: {design}. Varied: {', '.join(sweep.paths)}."


def footer_of(sweep: Sweep) -> str:
    """What it takes to make the page again."""
    versions, digest = sweep.manifest["versions"], sweep.manifest["scenario_digest"]
    seed = sweep.manifest["seed"]
    return (
        f"clustersim {versions['clustersim']}, seed {seed}, scenario {digest[:12]}. manifest.json beside this "
        "page says what it takes to make it again; summary.arrow has one row per run."
    )


def _tables(sweep: Sweep, measures: Sequence[str]) -> list[dict[str, Any]]:
    best = best_point(sweep, measures[0]) if measures else None
    rows = []
    for number, point in enumerate(sweep.points[:MAX_TABLE]):
        cells = [str(number), *map(value_told, point.values())]
        cells += [told(measure, sweep.interval(measure, number)) for measure in measures]
        rows.append({"cells": cells, "best": number == best})
    more = len(sweep.points) - len(rows)
    words = "Mean ± half of its 95 % interval." + (f" {more:,} more are in summary.arrow." if more else "")
    headings = ["point", *short_paths(sweep.paths), *map(label, measures)]
    tables = [{"title": "All points", "words": words, "headings": headings, "rows": rows}]
    if sweep.errors:
        failed = [{"cells": list(map(str, error)), "best": False} for error in sweep.errors[:MAX_TABLE]]
        headings = ["point", "replication", "error"]
        words = "They are rows of summary.arrow without numbers, and no part of any mean."
        tables.append({"title": "Runs that failed", "words": words, "headings": headings, "rows": failed})
    return tables


def _bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script; making it takes two seconds, so it is kept."""
    import altair
    import vl_convert

    wanted = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    kept = cache_folder() / f"vega-{version('vl-convert-python')}-{wanted}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except (OSError, RuntimeError):
        pass
    bundle: str = vl_convert.javascript_bundle(vl_version=wanted)  # type: ignore[call-arg]  # its stub is wrong
    # A script must not end where its text does: HTML looks for the tag, not for JavaScript's quotes.
    bundle = bundle.replace("</script", "<\\/script")
    _keep(kept, bundle)
    return bundle


def _keep(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).replace(path)
    except (OSError, RuntimeError):  # nowhere to keep it: the next page takes two seconds again
        return
