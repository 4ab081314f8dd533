"""The short table at the end of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clustersim.study.single_run.run_report import MAX_ROWS, print_run

SERVICE = {
    "running_mean": 4.25,
    "availability": 0.999996,
    "availability_healthy": 1.0,
    "requests": 2_000_000.0,
    "requests_failed": 1.0,
    "response_time_p50_s": 0.025,
    "response_time_p99_s": 0.25,
    "cost_usd": 12.5,
}
RUN_TASK = {
    "count": 140,
    "completed": 139,
    "wait_mean_s": 31.4,
    "wait_p99_s": 180.0,
    "turnaround_mean_s": 7_200.0,
    "makespan_s": 600_000.0,
    "cost_usd": 0.004,
}
SUMMARY: dict[str, Any] = {
    "schema_version": 1,
    "cost_usd": 1_234.5,
    "cost_usd_idle": 246.9,
    "cost_usd_by_capacity_provider": {"general": 1_000.0, "FARGATE_SPOT": 234.5},
    "instance_hours": 1_680.0,
    "fargate_vcpu_hours": 0.0,
    "fargate_gb_hours": 12.0,
    "cpu_reservation_mean": 71.25,
    "memory_reservation_mean": 40.0,
    "tasks_created": 150_000,
    "tasks_started": 149_990,
    "tasks_stopped": 149_000,
    "tasks_failed": 3,
    "tasks_never_placed": 10,
    "placement_failures": {"RESOURCE:CPU": 2, "RESOURCE:MEMORY": 40},
    "services": {"web": SERVICE, "quiet": {"running_mean": 1.0, "availability": None, "cost_usd": 0.0}},
    "run_tasks": {"nightly": RUN_TASK},
}
MANIFEST = {"timings": {"wall_s": 3.0, "simulated_s": 604_800.0, "simulation_cpu_s": 1.5}}


def printed(summary: dict[str, Any], *, terminal: bool, width: int = 80) -> list[str]:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, no_color=True, width=width, legacy_windows=False)
    print_run(summary, MANIFEST, Path("results/web-shop"), console)
    text = stream.getvalue()
    for code in ("\x1b[1m", "\x1b[0m", "\x1b[2m"):
        text = text.replace(code, "")
    return text.splitlines()


@pytest.mark.parametrize("terminal", [True, False])
def test_cost_availability_and_what_ran_where_are_said(terminal) -> None:
    """By hand: 246.9 of 1,234.5 is 20%; 150,000 tasks in 1.5 s of CPU are 100,000 each second."""
    text = " ".join(" ".join(printed(SUMMARY, terminal=terminal)).split())
    for words in (
        "$1,234.50, including $246.90 idle (20%)",
        "1,680.0 instance hours, 12.0 Fargate GB hours",
        "CPU 71.2%, memory 40.0%",
        "150,000 created, 149,990 started, 149,000 stopped, 3 failed, 10 never placed",
        "40 RESOURCE:MEMORY, 2 RESOURCE:CPU",
        "7.0d simulated in 3.0s, 100,000 tasks per CPU second",
        "results/web-shop",
        "$234.50",
        "19.0%",
        "3.0min",
        "2.0h",
        "$0.0040",
    ):
        assert words in text


def test_what_nobody_pays_is_named_so_that_the_tables_add_up() -> None:
    """Of 20 USD services and entries pay 12.50 + 0.50; 4 are idle, 2 an unused commitment, 1 is shared."""
    parts = {"cost_usd_idle": 4.0, "cost_usd_commitment_unused": 2.0, "cost_usd_shared": 1.0}
    run_task = RUN_TASK | {"cost_usd": 0.5}
    summary = SUMMARY | {"cost_usd": 20.0, "run_tasks": {"nightly": run_task}} | parts
    line = (
        "cost: $20.00, including $4.00 idle (20%), $2.00 unused commitments (10%), $1.00 shared charges (5%)"
    )
    assert line in printed(summary, terminal=False)


def test_no_line_of_a_terminal_is_wider_than_eighty_columns() -> None:
    """Long names are cut, numbers never."""
    long = "a-service-with-a-name-as-long-as-it-could-be-typed-at-all" * 3
    summary = SUMMARY | {
        "services": {long: SERVICE | {"running_mean": 123_456.7, "cost_usd": 1_234_567.89}},
        "run_tasks": {long: RUN_TASK | {"count": 10_000_000, "completed": 10_000_000}},
        "cost_usd_by_capacity_provider": {long: 1_234.5},
        "placement_failures": {f"ATTRIBUTE {number}": 1_000_000 for number in range(9)},
    }
    lines = printed(summary, terminal=True, width=200)
    assert max(len(line) for line in lines) <= 80
    text = "\n".join(lines)
    for number in ("123,456.7", "$1,234,567.89", "10,000,000", "99.999%", "0.001%", "$1,234.50"):
        assert number in text
    assert "…" in text


def test_almost_always_is_not_always() -> None:
    """0.999996 of the time is not 100%, and one failed request of two million not 0%."""
    text = "\n".join(printed(SUMMARY, terminal=False))
    assert "service web: running 4.2, available 99.999%, healthy 100%, failed 0.001%, p99 250ms" in text


def test_values_that_do_not_apply_are_left_out_of_plain_lines() -> None:
    """A service without load has no response time; a line for grep does not say so."""
    line = next(line for line in printed(SUMMARY, terminal=False) if line.startswith("service quiet"))
    assert line == "service quiet: running 1.0, cost $0.00"


def test_plain_lines_have_no_frames_and_no_escapes_and_are_never_broken() -> None:
    """Into a pipe go facts, one line each, whatever the width of the terminal behind it."""
    lines = printed(SUMMARY, terminal=False, width=20)
    assert not any("\x1b" in line or "─" in line or line != line.strip() for line in lines)
    assert "tasks: 150,000 created, 149,990 started, 149,000 stopped, 3 failed, 10 never placed" in lines


@pytest.mark.parametrize("terminal", [True, False])
def test_many_services_are_cut_and_the_rest_is_counted(terminal) -> None:
    """A thousand services would push the cost off the screen."""
    services = {f"service-{number}": SERVICE for number in range(1_000)}
    lines = printed(SUMMARY | {"services": services}, terminal=terminal)
    assert sum("service-" in line for line in lines) == MAX_ROWS
    assert any(f"... and {1_000 - MAX_ROWS} more" in line for line in lines)


def test_a_name_in_brackets_is_no_markup() -> None:
    """rich would take `[red]` for a colour."""
    summary = SUMMARY | {"services": {"[red]web[/]": SERVICE}}
    for terminal in (True, False):
        assert "[red]web[/]" in "\n".join(printed(summary, terminal=terminal))


def test_an_empty_run_prints_without_sections() -> None:
    """Nothing ran: still a cost line, no empty tables."""
    empty = {"cost_usd": 0.0, "cost_usd_idle": 0.0, "tasks_created": 0, "services": {}, "run_tasks": {}}
    lines = printed(empty, terminal=False)
    assert lines[:2] == ["cost: $0.00", "tasks: 0 created"]
    assert not any(line.startswith(("service", "run tasks", "capacity provider")) for line in lines)
