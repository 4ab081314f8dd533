"""RunTask arrivals: each copy has random numbers of its own."""

from __future__ import annotations

from pathlib import Path

from clustersim.scenario.reader import read_scenario
from clustersim.simulation import Simulation

TRACE = "submit_s,duration_s,cpu,memory_mib,instances,group\n0,1,256,64,3,a\n0,1,256,64,2,b\n1,1,256,64,2,a\n"


def test_no_two_copies_of_a_trace_share_their_random_numbers(tmp_path: Path) -> None:
    """Rows of 3, 2 and 2 copies begin at 0, 3 and 5, whatever group they belong to: seven addresses in all."""
    (tmp_path / "jobs.csv").write_text(TRACE)
    (tmp_path / "jobs.yaml").write_text(
        "duration: 1h\nrunTasks: [{name: jobs, trace: jobs.csv, launchType: EC2}]\n"
    )
    (tmp_path / "out").mkdir()
    arrivals = Simulation(
        read_scenario(tmp_path / "jobs.yaml"), tmp_path / "out"
    ).world.state.calendar.arrivals
    assert [(int(a["ordinal"]), int(a["copies"])) for a in arrivals] == [(0, 3), (3, 2), (5, 2)]
