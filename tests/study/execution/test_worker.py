"""Sweeps with worker processes: what is killed, and when, makes no difference to what comes out.

Every test starts real processes: local workers, or a Dask scheduler and workers of their own.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import clustersim as cs
from clustersim.study.execution import dask_cluster, dispatcher
from tests.conftest import ROOT
from tests.study.small import COUNT, RATE, contents, save, shop

DONE, OTHER, WRONG = 0, 1, 2
POINTS = ("--vary", f"{COUNT}=2,4", "--vary", f"{RATE}=20,60")
LONGER = "8h"  # some 30 ms a run: a kill that comes at random mostly comes in the middle of one


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def start(*arguments: object, **more: str) -> subprocess.Popen[str]:
    """`clustersim ...` as a process with a group of its own, as a terminal gives it one."""
    command = [sys.executable, "-c", "from clustersim.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(
        command,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a running sweep."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        return [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    except psutil.NoSuchProcess:
        return []


def published(out: Path) -> int:
    """The number of published runs; os.walk tolerates folders that are renamed meanwhile."""
    return sum(Path(at).parts[-3] == "points" and "manifest.json" in files for at, _, files in os.walk(out))


def until(condition: object, seconds: float = 60) -> None:
    """Wait for `condition()`."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def quiet(scenario: Path, out: Path, replications: int) -> dict[str, str]:
    """The files of an undisturbed sweep in one process."""
    vary = {COUNT: [2, 4], RATE: [20, 60]}
    cs.sweep(scenario, vary=vary, replications=replications, jobs=1, out=out)
    return contents(out)


# --- workers of this machine -------------------------------------------------------------------------------


def test_kill_9_at_random_moments(tmp_path: Path) -> None:
    """Workers die while they work, then the whole command dies, then --resume: the bytes of a quiet sweep.

    Which worker and when is drawn (the moments as numbers of finished runs, so that they are met on any machine);
    what comes out must not depend on it.
    """
    chance = random.Random(1)
    moments = sorted(chance.sample(range(1, 16), 2))
    end = chance.randint(20, 35)  # of 60: then the command itself is killed
    scenario, out = save(tmp_path, shop(LONGER)), tmp_path / "out"
    arguments = ("sweep", scenario, *POINTS, "--replications", 15, "--jobs", 2, "--out", out, "--quiet")
    process = start(*arguments)
    for moment in moments:
        until(lambda moment=moment: published(out) >= moment and workers_of(process))  # type: ignore[misc]
        time.sleep(chance.uniform(0.0, 0.05))
        chance.choice(workers_of(process)).kill()
    until(lambda: published(out) >= end)
    process.kill()
    finish(process)
    there = published(out)
    assert not (out / "test").exists()
    assert end <= there < 60
    code, _, err = finish(start(*arguments, "--resume"))
    assert (code, err) == (DONE, "")
    assert json.loads((out / "test" / "manifest.json").read_bytes())["timings"]["reused"] == there
    assert contents(out) == quiet(scenario, tmp_path / "quiet", 15)


POISON = """\
import os, signal
from clustersim.study.execution import worker

def poisoned(scenario, target, **more):
    if target.parts[-2:] == ("1", "2"):
        with open({log!r}, "a") as log:
            log.write("x")
        os.kill(os.getpid(), signal.SIGKILL)
    worker.real(scenario, target, **more)

if not hasattr(worker, "real"):  # Dask loads this twice
    worker.real, worker.run_into = worker.run_into, poisoned
"""


def test_a_poison_run_is_given_up_after_three_tries(tmp_path: Path) -> None:
    """It kills every worker that executes it. The report names it; all other runs succeed."""
    log = tmp_path / "log"
    poison = tmp_path / "poison.py"
    poison.write_text(POISON.format(log=str(log)), encoding="utf-8")
    scenario = save(tmp_path)
    preload = json.dumps([str(poison)])
    process = start(
        *("sweep", scenario, *POINTS, "--replications", 5, "--jobs", 2, "--out", tmp_path / "out"),
        DASK_DISTRIBUTED__WORKER__PRELOAD=preload,
    )
    code, out, _ = finish(process)
    assert code == OTHER
    assert "1 failed" in out
    assert "point 1, replication 2" in out
    assert log.read_text() == "x" * 3
    found = cs.open(tmp_path / "out" / "test")
    assert isinstance(found, cs.Sweep)
    assert found.errors == ((1, 2, dispatcher.GIVEN_UP),)
    assert len(found.summary) == 20


def test_ctrl_c_keeps_what_is_done_and_says_how_to_go_on(tmp_path: Path) -> None:
    """As a terminal does it: the signal reaches the workers too. One sentence, no traceback, exit code 1."""
    scenario, out = save(tmp_path, shop(LONGER)), tmp_path / "out"
    arguments = ("sweep", scenario, *POINTS, "--replications", 30, "--jobs", 2, "--out", out)
    process = start(*arguments)
    until(lambda: published(out) > 3)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == OTHER
    line = err.splitlines()[-1]
    assert "Traceback" not in err
    assert line.startswith("interrupted; finished runs are kept in ")
    assert line.endswith("--resume")
    assert 3 < published(out) < 120
    assert workers_of(process) == []


SCRIPT = """\
import clustersim as cs
found = cs.sweep({scenario!r}, vary={{"services.web.desiredCount": [1, 2, 3]}}, jobs=2, out={out!r})
print(len(found.summary))
"""


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Worker processes do not run the script again that started them."""
    script = tmp_path / "script.py"
    script.write_text(
        SCRIPT.format(scenario=str(save(tmp_path)), out=str(tmp_path / "out")), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("3\n", "", 0)


# --- a Dask cluster of the user ---------------------------------------------------------------------------


@contextmanager
def processes(*commands: Sequence[object]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are killed at the end."""
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for command in commands
    ]
    try:
        yield started
    finally:
        for process in started:
            process.kill()
            process.wait()


@contextmanager
def scheduler(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A Dask scheduler, its address and its process."""
    file = folder / "scheduler.json"
    command = ("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", 0, "--no-dashboard")
    with processes((*command, "--scheduler-file", file)) as (process,):
        until(lambda: file.exists() and file.read_text().endswith("}"))
        yield json.loads(file.read_text())["address"], process


def worker(address: str, folder: Path) -> tuple[object, ...]:
    command = ("distributed.cli.dask_worker", address, "--nthreads", 1, "--no-dashboard", "--no-nanny")
    return (*command, "--local-directory", folder / "dask")


def test_a_real_cluster_of_two_workers(tmp_path: Path) -> None:
    """One of them is killed in the middle; then the scheduler, which ends the command; a new cluster does the rest."""
    scenario, out = save(tmp_path, shop(LONGER)), tmp_path / "out"
    arguments = ("sweep", scenario, *POINTS, "--replications", 12, "--out", out)
    with (
        scheduler(tmp_path) as (address, process),
        processes(worker(address, tmp_path), worker(address, tmp_path)) as started,
    ):
        sweep = start(*arguments, "--scheduler", address)
        until(lambda: published(out) >= 6)
        started[0].kill()
        until(lambda: published(out) >= 12)
        process.kill()
        code, _, err = finish(sweep)
    assert code == OTHER
    assert "the Dask scheduler is gone" in err
    assert "--resume" in err
    assert "Traceback" not in err
    (tmp_path / "scheduler.json").unlink()
    with scheduler(tmp_path) as (address, _), processes(worker(address, tmp_path), worker(address, tmp_path)):
        code, told, err = finish(start(*arguments, "--resume", "--scheduler", address))
        assert (code, "Traceback" in err) == (DONE, False)
    assert "48 at 4 points" in told
    assert contents(out) == quiet(scenario, tmp_path / "quiet", 12)


def test_an_unreachable_scheduler_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written without a cluster."""
    monkeypatch.setattr(dask_cluster, "CONNECT_S", 0.5)
    with pytest.raises(cs.ResultsError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        cs.sweep(save(tmp_path), vary={COUNT: [1]}, scheduler="tcp://127.0.0.1:9", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_workers_with_another_version_or_disk_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version, or another disk: an error of one sentence, and no mixed results."""
    with monkeypatch.context() as patch:
        patch.setattr(dispatcher, "program_digest", lambda: "another")
        with pytest.raises(cs.ResultsError, match="another version of clustersim"):
            cs.sweep(save(tmp_path), vary={COUNT: [1]}, jobs=1, out=tmp_path / "one")
    with monkeypatch.context() as patch:
        patch.setattr("clustersim.study.execution.result_store.LocalStore.read", lambda *_: None)
        with pytest.raises(cs.ResultsError, match="choose a directory that all workers share, or s3://"):
            cs.sweep(save(tmp_path), vary={COUNT: [1]}, jobs=1, out=tmp_path / "two")


def test_threads_end_with_the_sweep(tmp_path: Path) -> None:
    """In a notebook one sweep follows another: Dask keeps a few threads, but not more each time."""
    counts = []
    for number in range(3):
        cs.sweep(save(tmp_path), vary={COUNT: [1]}, jobs=1, out=tmp_path / str(number))
        counts.append(threading.active_count())
    assert counts[2] <= counts[0] + 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_cluster_listens_on_this_machine_only(jobs: int) -> None:
    """All sockets listen on this machine only; and two sweeps at once do not use the same port."""
    with dask_cluster.open_dask_client(jobs, None), dask_cluster.open_dask_client(1, None):
        here = psutil.Process()
        listening = [
            connection.laddr.ip
            for process in (here, *here.children(recursive=True))
            for connection in process.net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert listening
        assert set(listening) == {"127.0.0.1"}
