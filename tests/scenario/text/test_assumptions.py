"""Assumptions: a run lists those that it makes, and none that its file has settled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from clustersim.scenario.text.assumptions import assume
from clustersim.study.single_run.run_report import print_run
from tests.harness import Block, fargate_definition, provider, run, scenario_of, service, world


def names(written: Block, directory: Path, *overrides: str) -> set[str]:
    return {each.name for each in scenario_of(written, directory, *overrides).assumptions}


LOAD = {"requestsPerSecond": 10, "cpuTimePerRequest": "50ms"}


def test_only_parts_of_the_model_that_are_used_are_assumed_about(tmp_path: Path) -> None:
    """Instances without load: no queue, no Fargate, no Spot prices."""
    found = names(world(services=[service()]), tmp_path)
    assert {"launch-time", "provisioning-timeout", "startup-time", "unlisted-images"} <= found
    assert not found & {
        "request-timeout",
        "fargate-start-time",
        "constant-spot-prices",
        "guest-system",
        "boot-time",
    }


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("provisioning-timeout", {"cluster": {"provisioning": {"timeout": "30m"}}}),
        ("launch-time", {"capacityProviders": [provider(launchTime="2m")]}),
        ("startup-time", {"services": [service(behavior={"startupTime": "5s"})]}),
        ("request-timeout", {"services": [service(load={**LOAD, "timeout": "5s"})]}),
        ("unlisted-images", {"images": {"app": {"size": "100 MiB"}}}),
    ],
)
def test_what_the_file_says_is_not_assumed(tmp_path: Path, name: str, keys: Block) -> None:
    """Also where it says the default: then it is the user's choice."""
    before = world(services=[service(load=LOAD)])
    assert name in names(before, tmp_path / "before")
    assert name not in names({**before, **keys}, tmp_path / "after")


def test_an_override_settles_an_assumption_too(tmp_path: Path) -> None:
    written = world(services=[service()])
    assert "provisioning-limit" not in names(written, tmp_path, "cluster.provisioning.limit=500")


def test_fargate_spot_is_assumed_about_where_it_is_used(tmp_path: Path) -> None:
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    web = service(capacityProviderStrategy=strategy)
    written = world(capacityProviders=[], taskDefinitions=[fargate_definition()], services=[web])
    found = names(written, tmp_path / "a")
    assert {"fargate-spot-interruptions", "fargate-start-time"} <= found
    settled = {**written, "failures": {"fargateSpotInterruptions": "none"}}
    assert "fargate-spot-interruptions" not in names(settled, tmp_path / "b")


def test_the_manifest_lists_them_and_the_report_counts_them(tmp_path: Path) -> None:
    ran = run(world(services=[service()]), tmp_path)
    listed = json.loads((ran.run.path / "manifest.json").read_text())["assumptions"]
    assert [each["name"] for each in listed] == sorted(each["name"] for each in listed)
    (timeout,) = (each for each in listed if each["name"] == "provisioning-timeout")
    assert timeout == {
        "name": "provisioning-timeout",
        "value": "30 min in PROVISIONING",
        "setting": "cluster.provisioning.timeout",
        "source": "one public account",
    }
    console = Console(record=True, width=200, force_terminal=False)
    print_run(ran.summary, ran.run.manifest, ran.run.path, console)
    text = console.export_text()
    assert f"assumptions: {len(listed)}: " in text
    assert text.count("see manifest.json") == 1


def test_a_manifest_of_an_older_version_has_no_line(tmp_path: Path) -> None:
    console = Console(record=True, width=200, force_terminal=False)
    print_run({}, {}, tmp_path, console)
    assert "assumptions" not in console.export_text()


def test_a_name_is_declared_once() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        assume("launch-time", "at once", lambda _: True)
