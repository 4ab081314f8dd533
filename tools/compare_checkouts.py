"""Compares the results of two checkouts: all scenarios of the repository, with the same seed, table by table.

    python tools/compare_checkouts.py BEFORE AFTER [--only PART] [--seed N] [--words]

Each scenario of AFTER's `scenarios/` and of its golden runs is run by both checkouts, each with its own sources, and
the files of the two results are compared byte for byte; of `summary.json` the values are compared, of `manifest.json`
nothing, since it names versions and sources. With `--words` the columns that hold sentences may differ, and nothing
else: for changes of wording. Scenarios that take minutes are left out unless `--only` names them. Exit code 1 where
anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SENTENCES = {
    "events": {"message"},
    "scaling_activities": {"cause", "description", "message"},
    "tasks": {"stopped_reason"},
}
"""For each table: the columns that hold sentences."""
SLOW = ("big-fleet", "scale-3500", "which-one", "sweeps/")


def scenarios_of(checkout: Path, only: str | None) -> list[Path]:
    """Return the scenario files of a checkout, as relative paths."""
    folders = ("scenarios", "tests/golden/runs")
    paths = sorted(
        path.relative_to(checkout) for folder in folders for path in (checkout / folder).rglob("*.yaml")
    )
    if only is not None:
        return [path for path in paths if only in str(path)]
    return [path for path in paths if not any(name in str(path) for name in SLOW)]


def run_one(checkout: Path, scenario: Path, seed: int, out: Path) -> str | None:
    """Run `scenario` with the sources of `checkout`; return the last line of stderr if it failed, else None."""
    command = [
        sys.executable,
        "-c",
        "from clustersim.cli import main; main()",
        "run",
        str(scenario),
        "--out",
        str(out),
        "--seed",
        str(seed),
    ]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        command,
        cwd=checkout,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    return (
        None
        if done.returncode == 0
        else (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
    )


def differences(before: Path, after: Path, words: bool) -> Iterator[str]:
    """Yield a sentence for each difference between two result directories."""
    names = {path.relative_to(before) for path in before.rglob("*") if path.is_file()}
    others = {path.relative_to(after) for path in after.rglob("*") if path.is_file()}
    if not names:
        yield "no results"
    for name in sorted(names ^ others):
        yield f"{name} is in one of them only"
    for name in sorted(names & others):
        one, other = before / name, after / name
        if name.name == "manifest.json" or one.read_bytes() == other.read_bytes():
            continue
        if name.name == "summary.json":
            if json.loads(one.read_text()) != json.loads(other.read_text()):
                yield f"{name} differs"
        elif name.suffix != ".arrow":
            yield f"{name} differs"
        else:
            yield from table_differences(one, other, words)


def table_differences(before: Path, after: Path, words: bool) -> Iterator[str]:
    """Yield a sentence for each column that differs, or one if only the encoding of the table does."""
    import pyarrow as pa

    with pa.OSFile(str(before)) as one, pa.OSFile(str(after)) as other:
        left, right = pa.ipc.open_file(one).read_all(), pa.ipc.open_file(other).read_all()
    if left.num_rows != right.num_rows or left.schema.names != right.schema.names:
        shapes = [(table.num_rows, table.schema.names) for table in (left, right)]
        yield f"{before.name}: rows and columns {shapes[0]}, then {shapes[1]}"
        return
    allowed = SENTENCES.get(before.stem, set()) if words else set()
    changed = [name for name in left.schema.names if not left[name].equals(right[name])]
    for name in changed:
        if name not in allowed:
            yield f"{before.name}: column {name}"
    if not changed and not words:
        yield f"{before.name}: the same values in other bytes"


def main() -> int:
    """Compare, print the differences, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--only", help="scenarios whose path holds this")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--words", action="store_true", help="sentences may differ")
    options = parser.parse_args()
    before, after = options.before.resolve(), options.after.resolve()
    failed = 0
    for scenario in scenarios_of(after, options.only):
        with tempfile.TemporaryDirectory() as directory, ThreadPoolExecutor(2) as pool:
            sides = [(before, Path(directory) / "before"), (after, Path(directory) / "after")]
            errors = list(
                pool.map(lambda side, path=scenario: run_one(side[0], path, options.seed, side[1]), sides)
            )
            if any(errors):
                lines = [f"before: {errors[0]}; after: {errors[1]}"]
            else:
                lines = list(differences(sides[0][1], sides[1][1], options.words))
        failed += bool(lines)
        print(
            f"{'differs' if lines else 'same':8}{scenario}",
            *(f"          {line}" for line in lines),
            sep="\n",
            flush=True,
        )
    print(f"{failed} scenarios differ" if failed else "all the same")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
