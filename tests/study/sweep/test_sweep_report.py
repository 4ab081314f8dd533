"""The report and the page of a sweep: figures of its table, in eighty columns and without a network."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

import clustersim as cs
from clustersim import stats
from clustersim.study.execution.worker import RunRow, RunSpec
from clustersim.study.pages import page_frame
from clustersim.study.pages.measure_labels import (
    format_interval,
    format_varied_value,
    measure_label,
    select_main_measures,
    shorten_paths,
)
from clustersim.study.sweep.page import render_sweep_page
from clustersim.study.sweep.progress import BestPoint, ProgressBar
from clustersim.study.sweep.runs_table import build_runs_table
from clustersim.study.sweep.sweep_report import print_sweep
from clustersim.study.sweep.sweep_result import Sweep

TARGET = "capacityProviders.general.autoScalingGroupProvider.managedScaling.targetCapacity"
KIND = "capacityProviders.general.autoScalingGroupProvider.autoScalingGroup.instanceTypes"
AVAILABLE, P99 = "services.web.availability", "services.web.response_time_p99_s"


def made_up(points: list[tuple[Any, ...]], paths: tuple[str, ...] = (TARGET,), failed: int = 0) -> Sweep:
    """A sweep of three replications: points cost 100, 90, 80 ... USD, availability falls, one dollar of noise."""
    rows = []
    for point in range(len(points)):
        for replication in range(3):
            noise = (-1.0, 0.0, 1.0)[replication]
            numbers = {
                "cost_usd": 100.0 - 10 * point + noise,
                AVAILABLE: 0.9999 - 0.001 * point,
                P99: 0.25,
                "tasks_created": 7,
            }
            whole = np.array([isinstance(value, int) for value in numbers.values()])
            row = RunRow(
                RunSpec(point, replication), 7, tuple(numbers), np.array(list(numbers.values()), float), whole
            )
            if len(rows) < failed:
                row = RunRow(row.spec, 7, error="ValueError: " + "no room " * 20)
            rows.append(row)
    manifest = {
        "scenario": {"name": "web-shop"},
        "scenario_digest": "0123456789abcdef",
        "seed": 7,
        "versions": {"clustersim": "1.2.3"},
        "design": {"design": "grid", "paths": list(paths), "points": None, "sensitivity": False},
        "points": [{"values": list(values)} for values in points],
        "page": "report.html",
    }
    table = build_runs_table(paths, dict(enumerate(points)), rows)
    return Sweep("sweeps/web-shop", manifest, table)


def printed(sweep: Sweep, terminal: bool = True, **more: Any) -> list[str]:
    console = Console(record=True, width=80, force_terminal=terminal, file=io.StringIO())
    print_sweep(sweep, console, **more)
    return [line.rstrip() for line in console.export_text().splitlines()]


TWO = [(80,), (100,)]
MANY = [(10 + number, ["m6i.large", "c6i.large"][number % 2 :]) for number in range(30)]


def test_the_report_of_a_small_sweep() -> None:
    lines = printed(made_up(TWO))
    assert lines[0] == "runs        6 at 2 points"
    assert lines[1] == "least cost  $90.00 ±2.48 at point 1"  # t at 2 degrees 4.303, s = 1, n = 3
    assert lines[2] == "with        targetCapacity=100"
    assert lines[3] == "difference  -$10.00 ±0.00 against point 0, in pairs"
    assert lines[5].split() == ["#", "targetCapacity", "cost", "vs", "0", "web", "available"]
    assert lines[6].split() == ["0", "80", "$100.00", "±2.48", "-", "99.990%", "±0.000"]
    assert lines[7].split() == ["1", "100", "$90.00", "±2.48", "-$10.00", "±0.00", "99.890%", "±0.000"]
    assert lines[-2:] == ["results: sweeps/web-shop", "charts: sweeps/web-shop/report.html"]


@pytest.mark.parametrize(
    "sweep", [made_up(TWO), made_up(MANY, (TARGET, KIND)), made_up(MANY, (TARGET, KIND), failed=9)]
)
def test_a_terminal_of_eighty_columns_holds_it(sweep: Sweep) -> None:
    lines = printed(sweep)
    assert max(map(cell_len, lines)) <= 80
    assert not any("…" in line for line in lines if "$" in line), "a figure is never cut"


def test_many_points_are_the_cheapest_twenty() -> None:
    lines = printed(made_up(MANY, (TARGET, KIND)))
    first = next(index for index, line in enumerate(lines) if line.startswith("#"))
    assert lines[first + 1].split()[0] == "29", "the cheapest comes first"
    assert "... and 10 more" in lines


def test_a_second_measure_comes_before_the_difference() -> None:
    """Where eighty columns do not hold both."""
    points = [(number, ["m6i.2xlarge", "c6i.2xlarge"]) for number in (80, 90)]
    text = "\n".join(printed(made_up(points, (TARGET, KIND))))
    assert "web available" in text
    assert "vs 0" not in text


def test_lines_for_a_pipe() -> None:
    """One fact each, without a limit on columns."""
    lines = printed(made_up(TWO), terminal=False)
    assert (
        "point 1: targetCapacity 100, cost $90.00 ±2.48, vs 0 -$10.00 ±0.00, web available 99.890% ±0.000"
        in lines
    )


def test_a_measure_without_variation_has_no_column() -> None:
    """The P99 of all points is one number; asked for, it is shown."""
    assert not any("p99" in line for line in printed(made_up(TWO)))
    assert any("p99" in line for line in printed(made_up(TWO), measures=[P99]))


def test_failed_runs_are_listed() -> None:
    lines = printed(made_up(TWO, failed=2))
    assert lines[0] == "runs        6 at 2 points, 2 failed"
    assert any(line.startswith("point 0, replication 1") for line in lines)
    nothing = printed(made_up(TWO, failed=6))
    assert nothing[0].endswith("6 failed")
    assert "... and 1 more" in nothing


def test_one_point_has_nothing_to_be_compared_with() -> None:
    lines = printed(made_up([(80,)]))
    assert lines[1] == "cost  $100.00 ±2.48"


def test_another_base() -> None:
    lines = printed(made_up([(80,), (90,), (100,)]), base=1)
    assert "difference" in lines[3]
    assert "against point 1" in lines[3]
    assert "all at once  1 points lower, 1 higher than point 1, 0 not significant (Dunnett)" in lines


@pytest.mark.parametrize(
    ("measure", "mean", "low", "high", "words"),
    [
        ("cost_usd", 332.4, 331.9, 332.9, "$332.40 ±0.50"),
        ("cost_usd", 0.0123, 0.0122, 0.0124, "$0.0123 ±0.0001"),
        (AVAILABLE, 0.999999, 0.999998, 1.0, "99.999% ±0.000"),
        (AVAILABLE, 1.0, 1.0, 1.0, "100.000% ±0.000"),
        (P99, 0.2512, 0.2502, 0.2522, "251ms ±1"),
        ("run_tasks.a.wait_mean_s", 130.0, 124.0, 136.0, "2.17min ±0.10"),
        ("tasks_created", 1234.0, 1230.0, 1238.0, "1,234 ±4"),
        ("cost_usd", 5.0, float("nan"), float("nan"), "$5.00"),
    ],
)
def test_figures(measure: str, mean: float, low: float, high: float, words: str) -> None:
    """In a readable unit; a share is rounded down, so that 100 % means always."""
    assert format_interval(measure, stats.Interval(mean, low, high, 3, 0.95, "t")) == words


def test_differences_have_signs() -> None:
    assert (
        format_interval("cost_usd", stats.Interval(-2.0, -3.0, -1.0, 3, 0.95, "t"), signed=True)
        == "-$2.00 ±1.00"
    )
    assert (
        format_interval("cost_usd", stats.Interval(2.0, 1.0, 3.0, 3, 0.95, "t"), signed=True)
        == "+$2.00 ±1.00"
    )
    assert format_interval("cost_usd", stats.Interval(1e-15, 0.0, 2e-15, 3, 0.95, "t"), signed=True) == "same"
    assert format_interval("cost_usd", None) == "-"


def test_paths_are_shortened_as_far_as_they_stay_distinct() -> None:
    assert shorten_paths([TARGET, KIND]) == ["targetCapacity", "instanceTypes"]
    assert shorten_paths(["services.web.desiredCount", "services.api.desiredCount"]) == [
        "web.desiredCount",
        "api.desiredCount",
    ]
    assert shorten_paths(["x.a", "a"]) == ["x.a", "a"]
    assert (measure_label("cost_usd"), measure_label(P99), measure_label("services.my.api.availability")) == (
        "cost",
        "web p99",
        "my.api available",
    )
    assert format_varied_value(["m6i.large", "c6i.large"]) == "m6i.large c6i.large"
    assert format_varied_value({"a": 1}) == '{"a": 1}'
    assert len(format_varied_value("x" * 100)) == 24


def test_the_main_measures() -> None:
    names = [
        "tasks_created",
        P99,
        "run_tasks.a.wait_mean_s",
        AVAILABLE,
        "services.api.availability",
        "cost_usd",
    ]
    assert select_main_measures(names) == [
        "cost_usd",
        AVAILABLE,
        "services.api.availability",
        P99,
        "run_tasks.a.wait_mean_s",
    ]


# --- the page ----------------------------------------------------------------------------------------------


def specs(html: str) -> dict[str, Any]:
    found = re.search(r"^const charts = (.*);$", html, re.MULTILINE)
    assert found
    charts: dict[str, Any] = json.loads(found[1])
    return charts


def test_the_page_opens_offline() -> None:
    """Nothing is fetched: no address of a script, a style or a picture; and what is shown is escaped."""
    page = render_sweep_page(made_up([("<b>a</b>",), ("</script>",)], ("services.web.taskDefinition",)))
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)\s*=|@import|url\(", outside)
    assert page.count("<script>") == page.count("</script>") == 2
    assert "<b>a</b>" not in outside
    assert "&lt;b&gt;a&lt;/b&gt;" in outside
    assert 500_000 < len(page) < 2_000_000


def test_each_measure_over_each_path_and_the_front() -> None:
    page = render_sweep_page(
        made_up([(a, b) for a in (80, 90, 100) for b in (["m6i.large"], ["c6i.large"])], (TARGET, KIND))
    )
    charts = specs(page)
    titles = re.findall(r"^<h2>(.*?)</h2>$", page, re.MULTILINE)
    assert titles == ["Cost", "Cost and web available", "Web available", "All points"]
    assert len(charts) == 2 + 2 + 1
    cost = charts["chart-0"]
    rows = cost["data"]["values"] if "values" in cost["data"] else next(iter(cost["datasets"].values()))
    assert [row["mean0"] for row in rows] == [100, 90, 80, 70, 60, 50]
    assert all(row["low0"] < row["mean0"] < row["high0"] for row in rows)


def test_the_pareto_front() -> None:
    """In the made-up sweep cheaper is always less available: every point is on the front. A dearer twin is not."""
    from clustersim.study.sweep.charts import pareto_chart

    spec = pareto_chart(made_up([(80,), (90,), (100,)]), "cost_usd", AVAILABLE)
    assert spec is not None
    values = json.dumps(spec)
    assert values.count('"front": true') == 3
    same = pareto_chart(made_up([(80,), (90,), (100,)]), "cost_usd", P99)
    assert json.dumps(same).count('"front": true') == 1


def test_the_sensitivity_chart() -> None:
    """Two base points of one path: A, B, and A with the path of B, so six points in all; a bar per order."""
    points = [(number,) for number in (80, 90, 100, 85, 100, 85)]
    sweep = made_up(points)
    sweep.manifest["design"].update(design="sobol", points=2, sensitivity=True)
    page = render_sweep_page(sweep)
    assert "<h2>What cost depends on</h2>" in page
    assert "share of the variance of cost" in page
    assert any(line.startswith("variance of") for line in printed(sweep))


def test_the_page_is_the_same_bytes_again() -> None:
    assert render_sweep_page(made_up(TWO)) == render_sweep_page(made_up(TWO))


def test_failed_runs_are_on_the_page() -> None:
    page = render_sweep_page(made_up(TWO, failed=2))
    assert "Runs that failed" in page
    nothing = render_sweep_page(made_up(TWO, failed=6))
    assert specs(nothing) == {}, "no chart, and no crash, where nothing worked"


def test_without_its_libraries_there_is_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_frame, "find_spec", lambda name: None if name == "altair" else object())
    assert not page_frame.can_make_pages()
    sweep = made_up(TWO)
    sweep.manifest["page"] = None
    assert printed(sweep)[-1] == "charts: pip install 'clustersim[report]' adds a page with charts"


def test_the_vega_bundle_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bundling takes seconds; without a writable cache it is repeated."""
    import vl_convert

    monkeypatch.setattr(vl_convert, "javascript_bundle", lambda **_: "let a = '</script>'")
    monkeypatch.setenv("CLUSTERSIM_CACHE_DIR", str(tmp_path / "cache"))
    assert page_frame._load_vega_bundle() == "let a = '<\\/script>'"
    (kept,) = (tmp_path / "cache").iterdir()
    kept.write_text("kept")
    assert page_frame._load_vega_bundle() == "kept"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CLUSTERSIM_CACHE_DIR", str(tmp_path / "file"))
    assert page_frame._load_vega_bundle() == "let a = '<\\/script>'"


# --- progress ----------------------------------------------------------------------------------------------


def test_the_best_so_far() -> None:
    best = BestPoint((TARGET,), [(80,), (100,)])
    assert best.describe() == ""
    for point, cost in ((0, 5.0), (1, 4.0), (1, 8.0)):
        best.add(RunRow(RunSpec(point, 0), 0, ("cost_usd",), np.array([cost]), np.array([False])))
    best.add(RunRow(RunSpec(1, 0), 0, error="no"))
    assert best.describe() == "best $5.00 targetCapacity=80"


def test_progress_lines_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    text = io.StringIO()
    clock = iter(range(0, 1_000, 6))
    monkeypatch.setattr("clustersim.study.sweep.progress.time.monotonic", lambda: float(next(clock)))
    with ProgressBar(Console(file=text), quiet=False) as bar:
        bar.start("shop", ["careful: :100:5:"], (TARGET,), [(80,)])
        bar.runs_expected(4)
        for number in range(4):
            bar.run_finished(RunRow(RunSpec(0, number), 0, ("cost_usd",), np.array([4.0]), np.array([False])))
    lines = text.getvalue().splitlines()
    assert lines[0] == "warning: careful: :100:5:"
    assert lines[1:] == [
        "2 of 4 runs, 0.2/s, 12 s left, best $4.00 targetCapacity=80",
        "4 of 4 runs, 0.2/s, 0 s left, best $4.00 targetCapacity=80",
    ]


def test_a_bar_on_a_terminal() -> None:
    text = io.StringIO()
    with ProgressBar(Console(file=text, force_terminal=True, width=80), quiet=False) as bar:
        bar.points_checked(0.5)
        bar.start("shop", [], (TARGET,), [(80,)])
        bar.runs_expected(1)
        bar.run_finished(RunRow(RunSpec(0, 0), 0, ("cost_usd",), np.array([4.0]), np.array([False])))
        bar.best_changed("best of all")
    assert "1/1" in text.getvalue()
    assert "best of all" in text.getvalue()
    assert isinstance(cs.stats.mean_interval([1.0, 2.0]), stats.Interval)
