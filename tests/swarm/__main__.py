"""The swarm: hundreds of random scenarios, each checked at every instant and its tables recomputed.

    python -m tests.swarm --seed 1 --count 200
    python -m tests.swarm --seed 1 --only 17              # repeat one of them
    python -m tests.swarm --seed 1 --count 200 --mutate lost-memory
    python -m tests.swarm --mutate all                    # every planted bug, and which of them survive
    python -m tests.swarm --seed fresh --count 2000       # other scenarios each time; the seed is printed

With `--mutate` it runs against a copy of clustersim with a planted bug, and succeeds when the bug is found, which shows
that the swarm would find such a bug. Bugs that keep every law of the swarm have a test of the suite that finds them:
it is run in place of the swarm. Exit code 0: no violations, or every planted bug was found; 1 otherwise.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Mutation:
    """A bug to plant: `right` occurs once in the package and is replaced by `wrong`.

    `test` is what finds it, where the swarm cannot: a file of tests, and a part of the test's name.
    """

    right: str
    wrong: str
    test: tuple[str, str] | None = None


MUTATIONS = {
    "lost-memory": Mutation(
        "hosts.free[resource, slot] += need[resource]",
        "hosts.free[resource, slot] += need[resource] if resource != 1 else 0",
    ),
    "kept-port": Mutation("&= ~ports[word]", "&= ~np.uint64(0)"),
    "free-port": Mutation("hosts.ports[slot, word] |= ports[word]", "pass"),
    "miscount": Mutation("s.running += by", "s.running += by if by > 0 else 2 * by"),
    "lost-retry": Mutation("t.attempt <= s.retries", "t.attempt < s.retries"),
    "forgotten-retry": Mutation("schedule_entry(state, now, TASK_RETRIED, retry, n.task_id)", "pass"),
    "late-drain": Mutation(
        "h.draining = now\n    close_host(state.instances.hosts, slot)", "h.draining = now"
    ),
    "unpaid-end": Mutation("state.outputs.class_ms[h.instance_class] += extra", "pass"),
    "stale-entry": Mutation("elif state.tasks.rows[subject].task_id == serial:", "else:"),
    "no-distinct-instance": Mutation('"distinct": int(any(', '"distinct": 0 * int(any('),
    "no-limit": Mutation(
        "state.counters.waiting_tasks + state.counters.assigned_tasks >= limit",
        "state.counters.waiting_tasks + state.counters.assigned_tasks > limit",
    ),
    "queue-blocked": Mutation(
        "        hosts = counters.hosts_with_new_room\n",
        "        hosts = counters.hosts_with_new_room\n        if q.count > 1:\n            break\n",
    ),
    "billed-twice": Mutation("        state.outputs.class_ms[:] = 0\n", ""),
    "wrong-rate": Mutation("price.gb_usd_per_hour / MIB_PER_GIB", "price.gb_usd_per_hour / 1_000"),
    "free-volume": Mutation("monthly * pool.root_volume_gib", "monthly * 8"),
    "lost-row": Mutation(
        "state.outputs.finished_tasks[: counters.finished_tasks]",
        "state.outputs.finished_tasks[: max(0, counters.finished_tasks - 1)]",
    ),
    "late-sample": Mutation(
        "        self._close()\n        self._open(now)",
        "        self._open(now)\n        self._close()",
    ),
    "launched-anywhere": Mutation("return not any(closure.begin", "return True or not any(closure.begin"),
    "placed-anywhere": Mutation(
        "if state.placement.item_zones[item_row, z] == 0 or state.capacity.fargate_closed[item.bucket, z] > 0:",
        "if state.placement.item_zones[item_row, z] == 0:",
    ),
    "half-a-group": Mutation("most = max(1, (desired + 1) // 2 - 1)", "most = max(1, desired - 1)"),
    "beyond-max": Mutation(
        "wanted = clamp_to_bounds(desired, wanted, OUT, *bounds)", "wanted = max(wanted, 0)"
    ),
    "early-alarm": Mutation("return point.percent > target", "return point.percent >= target"),
    "unprotected-instance": Mutation(
        'self.world.state.instances.rows["non_daemon_tasks"][slots] > 0',
        'self.world.state.instances.rows["non_daemon_tasks"][slots] > 99',
    ),
    "undrained": Mutation("if drain_ms is None or row", "if drain_ms is None or True or row"),
    "long-notice": Mutation("NOTICE_MS = 2 * MS_PER_MINUTE", "NOTICE_MS = 3 * MS_PER_MINUTE"),
    "disconnected-agent": Mutation(
        "    if h.state == ACTIVE:\n        close_host(state.instances.hosts, slot)\n    h.connected = 0",
        "    h.connected = 0",
    ),
    "unpaid-fee": Mutation("fee = pool.fee * kind.usd_per_hour", "fee = 0.5 * pool.fee * kind.usd_per_hour"),
    "busy-and-idle": Mutation(
        '["non_daemon_tasks"][slot] == 0:\n                self.launcher',
        '["non_daemon_tasks"][slot] >= 0:\n                self.launcher',
    ),
    "uncounted-assignment": Mutation(
        "h.first_assigned = slot\n        state.counters.assigned_tasks += 1", "h.first_assigned = slot"
    ),
    "unprotected": Mutation(
        'return slots[world.state.tasks.rows["protected_until"][slots] <= now]', "return slots"
    ),
    "failed-deployment-launches": Mutation(
        "if record.primary.state == FAILED:\n            return ()  # it launches",
        "if False:\n            return ()  # it launches",
    ),
    "two-daemons": Mutation('np.setdiff1d(hosts, own["instance_slot"])', "hosts"),
    "silent-daemon": Mutation(
        "emit_event(state, now, _TASKS_STARTED, state.i", "(state, now, _TASKS_STARTED, state.i"
    ),
    "double-traffic": Mutation("return 100.0 - self.green_percent if", "return 100.0 if"),
    "unhealthy-lost": Mutation("t.unhealthy = by", "t.unhealthy = 3 - by"),
    "resource-billed-twice": Mutation(
        "        self._begin = now\n        return usage", "        return usage"
    ),
    "minimum-of-61-seconds": Mutation(
        "max(billed, BILLING_MINIMUM_MS)", "max(billed, BILLING_MINIMUM_MS + SECOND_MS)"
    ),
    "target-without-grace": Mutation(
        "first_seen_after_grace(lost, recovered, s.grace_ms)",
        "first_seen_after_grace(lost, recovered, 0)",
        ("tests/world/tasks/test_health.py", "grace_period"),
    ),
    "stopping-tasks-counted": Mutation(
        "(by == 0 or (t.state >= PENDING and t.stopping < 0))",
        "(by == 0 or t.state >= PENDING)",
        ("tests/world/scheduling/test_provisioning.py", "a_stopping_task_does_not_count"),
    ),
    "late-scale-in": Mutation(
        "now < cooldown.in_until or",
        "now <= cooldown.in_until or",
        ("tests/policy/scaling/test_service_scaling.py", "a_scale_in_waits_for_its_cooldown"),
    ),
    "late-alarm": Mutation(
        "now < targets.cooldowns[target].in_until",
        "now <= targets.cooldowns[target].in_until",
        ("tests/control/scaling/test_service_autoscaler.py", "scale_in_waits_for_its_cooldown"),
    ),
    "reserved-more": Mutation(
        "percent: Array = 100.0 * (now[area]",
        "percent: Array = 101.0 * (now[area]",
        ("tests/control/results/test_series_sampler.py", "reservations"),
    ),
}


def check_scenario(seed: int, number: int, directory: Path) -> tuple[list[str], frozenset[str], int]:
    """Run one scenario and return its violations, its features and its number of tasks.

    An exception of the simulator is a violation. Errors of the test tools (a scenario that cannot be read, a kernel
    that does not compile, a check that raises) are raised, so that they do not count as violations.
    """
    from clustersim.errors import KernelError
    from clustersim.study.single_run.run import run_scenario
    from tests.harness import FinishedRun, scenario_of
    from tests.swarm.checks import violations
    from tests.swarm.scenarios import LEAST_TASKS, draw

    drawn = draw(seed, number)
    drawn.write(directory)
    scenario = scenario_of(drawn.written, directory)
    try:
        ran = FinishedRun(run_scenario(scenario, directory / "out", checked=True), scenario)
    except KernelError as error:
        if type(error.__cause__).__module__.startswith("numba"):
            raise
        return [traceback.format_exc()], drawn.features, 0
    except Exception:
        return [traceback.format_exc()], drawn.features, 0
    broken, count = violations(ran), len(ran.tasks())
    if count < LEAST_TASKS:
        broken.append(f"only {count} tasks")
    return broken, drawn.features, count


def main(arguments: list[str]) -> int:
    """Run the swarm and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.swarm", description="random scenarios, checked")
    parser.add_argument("--seed", type=_seed, default=1, help="a number, or 'fresh' for a new one")
    parser.add_argument("--count", type=int, default=200, help="scenarios")
    parser.add_argument("--only", type=int, help="repeat this one")
    parser.add_argument(
        "--mutate", choices=[*sorted(MUTATIONS), "all"], help="plant a bug, which must be found"
    )
    parser.add_argument("--keep-going", action="store_true", help="do not stop at the first violation")
    options = parser.parse_args(arguments)
    if options.mutate == "all":
        return _run_all_mutated(options.seed, options.count)
    if options.mutate:
        return _run_mutated(options.mutate, options.seed, options.count)
    numbers = range(options.count) if options.only is None else [options.only]
    return _check_all(options.seed, list(numbers), options.keep_going)


def _seed(text: str) -> int:
    """Return a seed from the command line."""
    return secrets.randbelow(2**31) if text == "fresh" else int(text)


def _run_all_mutated(seed: int, count: int) -> int:
    """Plant every bug in turn; return 0 when all of them were found, and say which were not."""
    survivors = [name for name in sorted(MUTATIONS) if _run_mutated(name, seed, count)]
    print(
        f"{len(MUTATIONS)} planted bugs, {len(survivors)} of them not found: {', '.join(survivors) or 'none'}"
    )
    return 1 if survivors else 0


def _check_all(seed: int, numbers: list[int], keep_going: bool) -> int:
    """Run these scenarios of a swarm, and print violations and the number of scenarios by feature."""
    from tests.swarm.scenarios import FEATURES

    seen = dict.fromkeys(FEATURES, 0)
    checked = tasks = failed = 0
    print(f"swarm of seed {seed}: {len(numbers)} scenarios")
    for number in numbers:
        with tempfile.TemporaryDirectory() as directory:
            broken, features, count = check_scenario(seed, number, Path(directory))
        checked, tasks = checked + 1, tasks + count
        for name in features:
            seen[name] += 1
        if broken:
            failed += 1
            print(f"scenario {number} of seed {seed} has violations; features: {', '.join(sorted(features))}")
            print("\n".join(f"  {line}" for line in broken[:10]))
            print(f"  repeat: python -m tests.swarm --seed {seed} --only {number}", flush=True)
            if not keep_going:
                break
        if checked % 50 == 0:
            print(f"{checked} of {len(numbers)} scenarios, {tasks:,} tasks", flush=True)
    counts = ", ".join(f"{name} {count}" for name, count in sorted(seen.items(), key=lambda item: item[1]))
    print(f"scenarios by feature: {counts}")
    print(f"{checked} scenarios, {tasks:,} tasks, {failed} with violations")
    return 1 if failed else 0


def _run_mutated(name: str, seed: int, count: int) -> int:
    """Run the swarm against a copy of the sources with a planted bug; return 0 when it was found."""
    mutation = MUTATIONS[name]
    with tempfile.TemporaryDirectory() as copy:
        ignored = shutil.ignore_patterns("__pycache__")
        for part in ("clustersim", "tests"):
            shutil.copytree(ROOT / part, Path(copy) / part, ignore=ignored)
        sources = {
            path: path.read_text(encoding="utf-8") for path in (Path(copy) / "clustersim").rglob("*.py")
        }
        if sum(source.count(mutation.right) for source in sources.values()) != 1:
            print(f"the mutation {name} no longer fits the sources", file=sys.stderr)
            return 1
        for path, source in sources.items():
            if mutation.right in source:
                path.write_text(source.replace(mutation.right, mutation.wrong), encoding="utf-8")
        if mutation.test is None:
            done = _run_in(copy, "tests.swarm", "--seed", str(seed), "--count", str(count))
        else:
            shutil.copy(ROOT / "pyproject.toml", copy)
            done = _run_in(copy, "pytest", *_selected(mutation.test))
    print(done.stdout, done.stderr, sep="", flush=True)
    if mutation.test is None:
        seen = re.search(r"scenario (\d+) of seed \d+ has violations", done.stdout)
        found = seen is not None and _passes_unmutated(seed, int(seen[1]))
    else:
        failed = done.returncode == 1 and "AssertionError" in done.stdout and "\nERROR" not in done.stdout
        found = failed and _run_in(str(ROOT), "pytest", *_selected(mutation.test)).returncode == 0
    print(f"the planted bug {name} was {'found' if found else 'NOT found'}", flush=True)
    return 0 if found else 1


def _selected(test: tuple[str, str]) -> tuple[str, ...]:
    """Return pytest's arguments for the tests that find a planted bug."""
    return test[0], "-k", test[1]


def _run_in(copy: str, module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a module in a copy of the sources."""
    command = [sys.executable, "-m", module, *arguments]
    environment = {**os.environ, "PYTHONPATH": copy, "COLUMNS": "200"}  # pytest cuts its last lines
    return subprocess.run(command, cwd=copy, env=environment, check=False, text=True, capture_output=True)


def _passes_unmutated(seed: int, number: int) -> bool:
    """Return whether this scenario has no violations without the planted bug, so that the bug is their cause."""
    with tempfile.TemporaryDirectory() as directory:
        return not check_scenario(seed, number, Path(directory))[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
