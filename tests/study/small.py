"""Scenarios that are swept in tests: small, busy, and different at every point and in every replication."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from tests.harness import job, service, world

RATE = "runTasks.batch.arrivals.ratePerHour"
COUNT = "services.web.desiredCount"
LIFE = {"distribution": "exponential", "mean": "20m"}


def shop(duration: str = "1h", **keys: Any) -> dict[str, Any]:
    """A service that fails, jobs at random: some ten ms a run for an hour."""
    jobs = job("batch", arrivals={"ratePerHour": 60}, duration={"distribution": "exponential", "mean": "5m"})
    return world(
        nodes=4,
        duration=duration,
        services=[service("web", 4, behavior={"timeToFailure": LIFE, "startupTime": "10s"})],
        runTasks=[jobs],
        **keys,
    )


def save(folder: Path, written: Any = None, name: str = "shop.yaml") -> Path:
    """A scenario as a file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(shop() if written is None else written), encoding="utf-8")
    return path


def contents(folder: Path) -> dict[str, str]:
    """The digest of every file under `folder` by its path; manifests without what may differ."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.name == "manifest.json":
                manifest = json.loads(content)
                manifest.pop("timings")
                content = json.dumps(manifest).encode()
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(content).hexdigest()
    return found
