"""The closing report of a run: its cost, the availability of its services, the use of its capacity.

Decides which figures of a summary fit into eighty columns, and their wording. Must not compute anything that is not
in the summary or the manifest. The command line calls it; the reports of sweeps and comparisons use `print_report`.

On a terminal it prints tables; into a pipe or a file plain lines with the same texts, one fact each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

REPORT_WIDTH = 80
LISTED_ASSUMPTIONS = 3
MAX_ROWS = 20  # of services, of runTasks entries, of providers; the files have all of them

MIN_NAME_WIDTH = 8  # characters of a name that are kept, however wide its numbers are

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Section:
    """One small table: `headings` and `rows`; `hidden` is the number of further rows that are not shown."""

    headings: Cells
    rows: list[Cells] = field(default_factory=list)
    hidden: int = 0


def print_run(summary: Mapping[str, Any], manifest: Mapping[str, Any], path: Path, console: Console) -> None:
    """Print the report of one run; `path` is its result directory."""
    timings = manifest.get("timings", {})
    facts = [*_money(summary), *_tasks(summary), *_speed(summary, timings), *_assumptions(manifest)]
    sections = [_providers(summary), _services(summary), _run_tasks(summary)]
    print_report(facts, sections, f"results: {path}", console)


def print_report(
    facts: list[tuple[str, str]],
    sections: Sequence[Section],
    last: str,
    console: Console,
    notes: Sequence[tuple[str, str]] = (),
) -> None:
    """Print facts, non-empty sections, notes, then the line `last`; as plain lines if not on a terminal."""
    shown = [section for section in sections if section.rows]
    if console.is_terminal:
        _print_facts(facts, console)
        _print_tables(shown, console)
        if notes:
            console.print()
            _print_facts(notes, console)
        console.print()
        console.print(Text(last), soft_wrap=True)
    else:
        _print_lines([*facts, *notes], shown, last, console)


def _money(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    total = summary.get("cost_usd")
    cost = _usd(total)
    if total:
        cost += _parts(summary, total)
    used = [
        f"{name} {_percent(summary.get(key))}"
        for name, key in (("CPU", "cpu_reservation_mean"), ("memory", "memory_reservation_mean"))
        if summary.get(key) is not None
    ]
    facts = [("cost", cost)]
    hours = [
        f"{summary[key]:,.1f} {words}"
        for words, key in (
            ("instance hours", "instance_hours"),
            ("Fargate vCPU hours", "fargate_vcpu_hours"),
            ("Fargate GB hours", "fargate_gb_hours"),
        )
        if summary.get(key)
    ]
    if hours:
        facts.append(("billed", ", ".join(hours)))
    if used:
        facts.append(("instances reserved", ", ".join(used)))
    return facts


def _parts(summary: Mapping[str, Any], total: float) -> str:
    """Say what of the bill no service and no entry pays; with their costs in the tables it adds up to the bill."""
    parts = [
        (words, summary.get(key), always)
        for words, key, always in (
            ("idle", "cost_usd_idle", True),
            ("unused commitments", "cost_usd_commitment_unused", False),
            ("shared charges", "cost_usd_shared", False),
        )
    ]
    shown = [
        f"{_usd(usd)} {words} ({100 * usd / total:.0f}%)"
        for words, usd, always in parts
        if usd is not None and (usd or always)
    ]
    return f", including {', '.join(shown)}" if shown else ""


def _tasks(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    words = ("created", "started", "stopped", "failed", "never_placed")
    counts = [(word.replace("_", " "), summary.get(f"tasks_{word}")) for word in words]
    facts = [("tasks", ", ".join(f"{count:,} {word}" for word, count in counts if count is not None))]
    failures = summary.get("placement_failures") or {}
    if failures:
        # The most frequent resource first, then by name.
        ordered = sorted(failures.items(), key=lambda item: (-item[1], item[0]))
        facts.append(("placement failures", ", ".join(f"{count:,} {name}" for name, count in ordered)))
    return facts


def _speed(summary: Mapping[str, Any], timings: Mapping[str, Any]) -> list[tuple[str, str]]:
    wall, simulated, cpu = (timings.get(key) for key in ("wall_s", "simulated_s", "simulation_cpu_s"))
    words = []
    if wall is not None:
        words.append(f"{_seconds(simulated)} simulated in {_seconds(wall)}" if simulated else _seconds(wall))
    if cpu and summary.get("tasks_created"):
        words.append(f"{summary['tasks_created'] / cpu:,.0f} tasks per CPU second")
    return [("speed", ", ".join(words))] if words else []


def _assumptions(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how many modelling choices of the run no source confirms, and the names of the first."""
    names = [each["name"] for each in manifest.get("assumptions") or ()]
    if not names:
        return []
    listed = ", ".join(names[:LISTED_ASSUMPTIONS]) + (", ..." if len(names) > LISTED_ASSUMPTIONS else "")
    return [("assumptions", f"{len(names)}: {listed}; see manifest.json")]


def _providers(summary: Mapping[str, Any]) -> Section:
    costs = summary.get("cost_usd_by_capacity_provider") or {}
    total = summary.get("cost_usd")
    rows = [
        (name, _usd(cost), f"{100 * cost / total:.1f}%" if total else "-") for name, cost in costs.items()
    ]
    return _capped(("capacity provider", "cost", "of the bill"), rows)


def _services(summary: Mapping[str, Any]) -> Section:
    headings = ("service", "running", "available", "healthy", "failed", "p99", "cost")
    rows = [
        (
            name,
            _number(facts.get("running_mean")),
            _share(facts.get("availability")),
            _share(facts.get("availability_healthy")),
            _failed_share(facts.get("requests"), facts.get("requests_failed")),
            _seconds(facts.get("response_time_p99_s")),
            _usd(facts.get("cost_usd")),
        )
        for name, facts in (summary.get("services") or {}).items()
    ]
    return _capped(headings, rows)


def _run_tasks(summary: Mapping[str, Any]) -> Section:
    headings = ("run tasks", "asked for", "completed", "mean wait", "p99 wait", "turnaround", "cost")
    rows = [
        (
            name,
            f"{facts.get('count', 0):,}",
            f"{facts.get('completed', 0):,}",
            _seconds(facts.get("wait_mean_s")),
            _seconds(facts.get("wait_p99_s")),
            _seconds(facts.get("turnaround_mean_s")),
            _usd(facts.get("cost_usd")),
        )
        for name, facts in (summary.get("run_tasks") or {}).items()
    ]
    return _capped(headings, rows)


def _capped(headings: Cells, rows: Sequence[Cells]) -> Section:
    return Section(headings, list(rows[:MAX_ROWS]), max(0, len(rows) - MAX_ROWS))


def _print_facts(facts: Sequence[tuple[str, str]], console: Console) -> None:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for label, words in facts:
        grid.add_row(label, Text(words))
    console.print(grid, width=min(REPORT_WIDTH, console.width))


def _print_tables(sections: list[Section], console: Console) -> None:
    width = min(REPORT_WIDTH, console.width)
    for section in sections:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        table.add_column(section.headings[0], no_wrap=True)
        for heading in section.headings[1:]:
            table.add_column(heading, justify="right", no_wrap=True)
        columns = list(zip(section.headings, *section.rows, strict=True))
        room = width - sum(2 + _widest(cells) for cells in columns[1:])
        for name, *numbers in section.rows:
            # Only names are truncated: a truncated number would be a wrong number.
            shown = Text(name)
            shown.truncate(max(room, MIN_NAME_WIDTH), overflow="ellipsis")
            table.add_row(shown, *(Text(number) for number in numbers))
        console.print()
        console.print(table, width=width)
        if section.hidden:
            console.print(f"... and {section.hidden:,} more", style="dim", highlight=False)


def _print_lines(facts: list[tuple[str, str]], sections: list[Section], last: str, console: Console) -> None:
    lines = [f"{label}: {words}" for label, words in facts]
    for section in sections:
        kind, *headings = section.headings
        for name, *cells in section.rows:
            figures = ", ".join(
                f"{heading} {cell}" for heading, cell in zip(headings, cells, strict=True) if cell != "-"
            )
            lines.append(f"{kind} {name}: {figures}")
        if section.hidden:
            lines.append(f"... and {section.hidden:,} more")
    lines.append(last)
    for line in lines:
        console.print(Text(line), soft_wrap=True)


def _widest(cells: Cells) -> int:
    return max(cell_len(cell) for cell in cells)


def _usd(amount: float | None) -> str:
    if amount is None:
        return "-"
    # Cents; four digits for amounts that would be shown as 0.
    return f"${amount:,.2f}" if amount == 0 or abs(amount) >= 0.01 else f"${amount:.4f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}%"


def _share(share: float | None) -> str:
    """Format a share as percent, rounded down so that 100% means always."""
    if share is None:
        return "-"
    return "100%" if share >= 1 else f"{math.floor(share * 100_000) / 1_000:.3f}%"


def _failed_share(requests: float | None, failed: float | None) -> str:
    """Format failed requests in percent, rounded up so that 0% means none."""
    if not requests or failed is None:
        return "-"
    return "0%" if failed == 0 else f"{math.ceil(failed / requests * 100_000) / 1_000:.3f}%"


def _seconds(seconds: float | None) -> str:
    """Format a duration in a readable unit."""
    if seconds is None:
        return "-"
    if seconds < 1:
        return f"{seconds * 1_000:.0f}ms"
    for least, size, unit in ((86_400, 86_400, "d"), (7_200, 3_600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / size:,.1f}{unit}"
    return f"{seconds:.1f}s"
