"""A sweep in one process: its files, resuming, refusals, and failed runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

import clustersim as cs
from clustersim.study.execution import worker
from clustersim.study.execution.result_store import LocalStore, open_store
from clustersim.study.single_run.run_result import open_run
from tests.study.small import COUNT, RATE, contents, save, shop

VARY: dict[str, Any] = {COUNT: [2, 4], RATE: [20, 60]}
POINTS = [(2, 20), (2, 60), (4, 20), (4, 60)]


def sweep(path: Path, out: Path, **more: Any) -> cs.Sweep:
    return cs.sweep(path, out=out, jobs=1, **{"vary": VARY, "replications": 3, **more})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> cs.Sweep:
    """Four points, three replications, undisturbed."""
    folder = tmp_path_factory.mktemp("sweep")
    return sweep(save(folder), folder / "out")


@pytest.fixture
def copy(done: cs.Sweep, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """The scenario, and a copy of the directory in which the finished sweep is."""
    scenario = save(tmp_path)
    shutil.copytree(Path(done.path).parent, tmp_path / "out")
    yield scenario, tmp_path / "out"


# --- what is in the result ---------------------------------------------------------------------------------


def test_the_directory_is_the_contracts(done: cs.Sweep) -> None:
    """points/POINT/REPLICATION/ from 0, summary.arrow, manifest.json; and the page."""
    folder = Path(done.path)
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        "points",
        "report.html",
        "summary.arrow",
    ]
    runs = sorted(path.relative_to(folder / "points").as_posix() for path in (folder / "points").glob("*/*"))
    assert runs == [f"{point}/{replication}" for point in range(4) for replication in range(3)]
    assert [path.name for path in folder.parent.iterdir()] == [folder.name], "nothing is left beside it"


def test_a_row_is_a_run_with_every_number_of_its_summary(done: cs.Sweep) -> None:
    table = done.summary.to_arrow()
    assert table.column_names[:6] == ["point", "replication", "seed", "error", COUNT, RATE]
    rows = table.to_pylist()
    assert [(row["point"], row["replication"]) for row in rows] == [
        (p, r) for p in range(4) for r in range(3)
    ]
    assert [(row[COUNT], row[RATE]) for row in rows[::3]] == POINTS
    for row in rows:
        summary = done.run(row["point"], row["replication"]).summary
        flat = dict(flattened("", summary))
        assert {name: row[name] for name in flat} == flat
        assert row["error"] is None
    assert table.schema.field("tasks_created").type == pa.int64()
    assert table.schema.field("services.web.availability").type == pa.float64()
    assert table.schema.field("run_tasks.batch.cost_usd").metadata[b"unit"] == b"USD"
    assert table.schema.field("cost_usd_commitment_unused").metadata[b"unit"] == b"USD"


def flattened(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in flattened(f"{prefix}{key}.", each)]
    return [(prefix[:-1], value)]


def test_a_run_of_a_sweep_is_a_run(done: cs.Sweep) -> None:
    """Complete by itself, with the random numbers of its replication."""
    run = done.run(3, 2)
    run.verify()
    assert (run.manifest["seed"], run.manifest["replication"]) == (0, 2)
    assert run.manifest["scenario"]["services"][0]["desiredCount"] == 4
    assert "sweep" not in run.manifest["scenario"]


def test_the_manifest_has_all_that_reproduces_the_sweep(done: cs.Sweep) -> None:
    manifest = json.loads((Path(done.path) / "manifest.json").read_bytes())
    assert manifest["kind"] == "sweep"
    assert [point["values"] for point in manifest["points"]] == [list(values) for values in POINTS]
    assert manifest["design"]["vary"] == VARY
    assert manifest["tables"]["summary"]["rows"] == 12
    assert {each["path"] for each in manifest["inputs"]} == {"shop.yaml"}
    assert manifest["versions"]["clustersim"] == cs.__version__


def test_lists_are_json_text_and_names_are_categories(tmp_path: Path) -> None:
    group = "capacityProviders.nodes.autoScalingGroupProvider.autoScalingGroup"
    vary = {f"{group}.instanceTypes": [["test.node"], ["m6i.large"]], "region": ["us-east-1", "eu-west-1"]}
    found = sweep(save(tmp_path, shop("5m")), tmp_path / "out", vary=vary, replications=1)
    table = found.summary.to_arrow()
    assert table.column(f"{group}.instanceTypes").to_pylist()[1:3] == ['["test.node"]', '["m6i.large"]']
    assert table.column("region").to_pylist() == ["us-east-1", "eu-west-1"] * 2
    assert pa.types.is_dictionary(table.schema.field("region").type)


def test_one_line_opens_it(done: cs.Sweep) -> None:
    """In pandas, polars and DuckDB, as the README has them."""
    path = f"{done.path}/summary.arrow"
    frame = pd.read_feather(path)
    assert len(frame) == 12
    assert pl.read_ipc(path).height == 12
    data = ds.dataset(path, format="ipc")
    assert len(data.schema) == len(frame.columns)
    found = duckdb.sql(
        "select point, avg(cost_usd) as cost from data group by point order by point"
    ).fetchall()
    means = frame.groupby("point").cost_usd.mean()
    assert [cost for _, cost in found] == pytest.approx(list(means))
    assert pl.DataFrame(done.summary).height == 12
    assert done.summary.to_pandas().equals(cs.open(done.path).summary.to_pandas())  # type: ignore[union-attr]


def test_it_opens_again(done: cs.Sweep, tmp_path: Path) -> None:
    again = cs.open(done.path)
    assert isinstance(again, cs.Sweep)
    assert again.points == done.points == tuple({COUNT: count, RATE: rate} for count, rate in POINTS)
    assert repr(again).endswith("4 points, 12 runs>")
    with pytest.raises(cs.ResultsError, match="it does not exist"):
        cs.open(tmp_path / "none")


# --- what it says ------------------------------------------------------------------------------------------


def test_points_have_common_random_numbers(done: cs.Sweep) -> None:
    """Jobs come at the same instants whatever the service's count: replication r is the same day everywhere."""
    created = [done.run(point, 1).tasks.to_pandas().query("group == 'batch'").created_at for point in (0, 2)]
    assert list(created[0]) == list(created[1])
    assert len(created[0]) > 5
    other = done.run(0, 2).tasks.to_pandas().query("group == 'batch'").created_at
    assert list(created[0]) != list(other)


def test_means_and_differences(done: cs.Sweep) -> None:
    frame = done.summary.to_pandas()
    means = done.means("tasks_created").to_pandas()
    assert list(means["mean"]) == pytest.approx(list(frame.groupby("point").tasks_created.mean()))
    assert list(means.n) == [3] * 4
    assert list(means[RATE]) == [20, 60, 20, 60]
    differences = done.differences("tasks_created", base=1).to_pandas()
    assert list(differences.point) == [0, 2, 3]
    by_run = frame.pivot_table(index="replication", columns="point", values="tasks_created")
    assert list(differences["mean"]) == pytest.approx([(by_run[p] - by_run[1]).mean() for p in (0, 2, 3)])
    family = done.comparisons("tasks_created").to_pandas()
    assert (family.high - family.low > 0).all()


def test_unknown_measures(done: cs.Sweep) -> None:
    with pytest.raises(cs.ResultsError, match="did you mean cost_usd"):
        done.means("cost_usdd")
    with pytest.raises(cs.ResultsError, match="only a sweep of the design sobol"):
        done.sensitivity("cost_usd")
    p99 = "services.web.response_time_p99_s"  # a service without load has no response time
    assert done.interval(p99, 0) is None
    assert done.means(p99).num_rows == 0


def test_sensitivity_finds_what_matters(tmp_path: Path) -> None:
    """The number of jobs depends on their rate, and not on how many copies the service has."""
    vary = {COUNT: {"from": 1, "to": 4, "integer": True}, RATE: {"from": 10, "to": 90}}
    asked = {"vary": vary, "design": "sobol", "points": 8, "sensitivity": True, "replications": 1}
    found = sweep(save(tmp_path, shop("20m")), tmp_path / "out", **asked)
    assert len(found.points) == 8 * (2 + 2)
    indices = found.sensitivity("run_tasks.batch.count")
    assert indices[RATE].total_order.mean > 0.8
    assert abs(indices[COUNT].total_order.mean) < 0.1


# --- resuming ----------------------------------------------------------------------------------------------


def test_resuming_a_complete_sweep_changes_nothing(copy: tuple[Path, Path]) -> None:
    scenario, out = copy
    before = contents(out)
    found = sweep(scenario, out, resume=True)
    assert contents(out) == before
    assert found.manifest["timings"]["reused"] == 12


def test_more_replications_are_added(copy: tuple[Path, Path], tmp_path: Path) -> None:
    """Earlier runs are kept; the result is that of a sweep with all replications."""
    scenario, out = copy
    found = sweep(scenario, out, resume=True, replications=4)
    assert found.manifest["timings"]["reused"] == 12
    sweep(scenario, tmp_path / "whole", replications=4)
    assert contents(out) == contents(tmp_path / "whole")


def test_fewer_replications_lose_none(copy: tuple[Path, Path]) -> None:
    """Earlier runs count, also those that are no longer requested."""
    scenario, out = copy
    assert len(sweep(scenario, out, resume=True, replications=1).summary) == 12


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"set": ["services.web.taskDefinition=app:1"]}, 'was "app" and is "app:1"'),
        ({"seed": 5}, "seed was 0 and is 5"),
        ({"vary": {COUNT: [2, 5], RATE: [20, 60]}}, f"{COUNT}=[2, 4]"),
        ({"vary": {COUNT: [2, 4]}}, "the design was grid over"),
    ],
)
def test_another_sweep_is_not_resumed(copy: tuple[Path, Path], change: Any, words: str) -> None:
    """And it says what has changed."""
    scenario, out = copy
    before = contents(out)
    with pytest.raises(cs.ResultsError, match="cannot be resumed") as caught:
        sweep(scenario, out, resume=True, **change)
    assert words in str(caught.value)
    assert contents(out) == before


def test_a_changed_file_is_named(copy: tuple[Path, Path]) -> None:
    scenario, out = copy
    scenario.write_text(scenario.read_text() + "\n# a remark\n", encoding="utf-8")
    with pytest.raises(cs.ResultsError, match=r"the input file shop\.yaml has changed"):
        sweep(scenario, out, resume=True)


def test_another_version_is_named(copy: tuple[Path, Path]) -> None:
    """Of a library, or of clustersim's own code."""
    scenario, out = copy
    manifest = json.loads((out / "test" / "manifest.json").read_bytes())
    manifest["versions"]["numpy"] = "1.0"
    (out / "test" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(cs.ResultsError, match=r"numpy was 1\.0 and is"):
        sweep(scenario, out, resume=True)
    manifest["versions"]["numpy"] = np.__version__
    manifest["program"] = "0" * 64
    (out / "test" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(cs.ResultsError, match="clustersim's own code has changed"):
        sweep(scenario, out, resume=True)


def test_an_unfinished_sweep_is_kept_and_resumed_only_on_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk in the middle: finished runs are kept, --resume executes the rest, with the usual bytes."""
    scenario = save(tmp_path)
    real, left = worker.run_into, [5]

    def until_full(*arguments: Any, **more: Any) -> None:
        if not left[0]:
            raise cs.ResultsError("the results could not be written: No space left on device")
        left[0] -= 1
        real(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "run_into", until_full)
        with pytest.raises(cs.ResultsError, match="No space left on device"):
            sweep(scenario, tmp_path / "out")
    assert not (tmp_path / "out" / "test").exists(), "a result that exists is complete"
    assert len(list((tmp_path / "out" / ".test.sweep" / "points").glob("*/*"))) == 5
    with pytest.raises(cs.ResultsError, match="continue it with --resume, or remove it"):
        sweep(scenario, tmp_path / "out")
    found = sweep(scenario, tmp_path / "out", resume=True)
    assert found.manifest["timings"]["reused"] == 5
    sweep(scenario, tmp_path / "quiet")
    assert contents(tmp_path / "out") == contents(tmp_path / "quiet")


def test_killed_at_the_last_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the rename it is unfinished, though its manifest is written; afterwards it is complete."""
    scenario, out = save(tmp_path), tmp_path / "out"
    sweep(scenario, tmp_path / "quiet")
    for step in ("_remove_leftovers", "unlink"):
        with monkeypatch.context() as patch:
            owner = LocalStore if step == "_remove_leftovers" else Path
            patch.setattr(owner, step, lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                sweep(scenario, out)
        assert (out / "test").exists() == (step == "unlink")
        sweep(scenario, out, resume=True)
        assert contents(out) == contents(tmp_path / "quiet")
        shutil.rmtree(out)


def test_a_run_of_another_identity_does_not_count(copy: tuple[Path, Path]) -> None:
    """The right directory is not enough: digest, seed, replication and versions have to agree."""
    scenario, out = copy
    before = contents(out)
    point = out / "test" / "points"
    shutil.rmtree(point / "0" / "0")
    shutil.copytree(point / "1" / "0", point / "0" / "0")
    assert sweep(scenario, out, resume=True).manifest["timings"]["reused"] == 11
    assert contents(out) == before


# --- places ------------------------------------------------------------------------------------------------


def test_a_local_store_is_the_same_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker of a cluster runs in another directory; what the user sees is what they wrote."""
    monkeypatch.chdir(tmp_path)
    place = open_store("sweeps", "test")
    assert isinstance(place, LocalStore)
    assert (place.location, place.working_location) == ("sweeps/test", "sweeps/.test.sweep")
    assert place.working_directory == tmp_path / "sweeps" / ".test.sweep"


def test_a_new_sweep_replaces_an_earlier_one(copy: tuple[Path, Path]) -> None:
    scenario, out = copy
    found = sweep(scenario, out, vary={COUNT: [1]}, replications=1)
    assert len(found.summary) == 1
    assert sorted(path.name for path in (out / "test" / "points").iterdir()) == ["0"]


def test_nothing_but_a_sweep_is_replaced(copy: tuple[Path, Path], tmp_path: Path) -> None:
    scenario, out = copy
    cs.run(scenario, out=tmp_path / "runs")
    (tmp_path / "other" / "test").mkdir(parents=True)
    (tmp_path / "other" / "test" / "thesis.txt").write_text("years of work")
    (out / "test" / "notes.md").write_text("what I saw")
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "test").write_text("a file")
    for place, words in (
        (tmp_path / "runs", "is the result of a run"),
        (tmp_path / "other", "is not a sweep of clustersim"),
        (tmp_path / "file", "a file of this name exists"),
        (out, "'notes.md', which would be lost"),
    ):
        before = contents(place)
        with pytest.raises(cs.ResultsError, match=words):
            sweep(scenario, place)
        assert contents(place) == before


def test_a_run_does_not_replace_a_sweep(copy: tuple[Path, Path]) -> None:
    scenario, out = copy
    with pytest.raises(cs.ResultsError, match="which would be lost"):
        cs.run(scenario, out=out)
    with pytest.raises(cs.ResultsError, match="has many runs"):
        open_run(out / "test")


# --- runs that fail ----------------------------------------------------------------------------------------


def test_a_run_that_fails_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has an error and no numbers; the others are complete and give the means. Resuming retries it."""
    scenario, real = save(tmp_path), worker.run_into

    def fail_at_times(scenario: Any, target: Path, **more: Any) -> None:
        if target.parts[-2:] in (("1", "0"), ("3", "2")):
            raise ZeroDivisionError("a wheel\ncame off")
        real(scenario, target, **more)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "run_into", fail_at_times)
        found = sweep(scenario, tmp_path / "out")
    assert found.errors == (
        (1, 0, "ZeroDivisionError: a wheel came off"),
        (3, 2, "ZeroDivisionError: a wheel came off"),
    )
    rows = found.summary.to_arrow().to_pylist()
    assert len(rows) == 12
    assert rows[3][COUNT] == 2
    assert rows[3]["cost_usd"] is None
    assert found.means("cost_usd").column("n").to_pylist() == [3, 2, 3, 2]
    assert found.difference("cost_usd", 3, base=1).n == 1  # type: ignore[union-attr]  # what both have
    assert not (Path(found.path) / "points" / "1" / "0").exists()
    sweep(scenario, tmp_path / "out", resume=True)
    sweep(scenario, tmp_path / "quiet")
    assert contents(tmp_path / "out") == contents(tmp_path / "quiet")


def test_a_sweep_whose_runs_all_fail_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("never")

    monkeypatch.setattr(worker, "run_into", fail)
    found = sweep(save(tmp_path), tmp_path / "out")
    assert (len(found.errors), found.measures) == (12, ())
    assert found.summary.to_arrow().column_names == ["point", "replication", "seed", "error", COUNT, RATE]
