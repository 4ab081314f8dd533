"""The meter: sees the settled instant and writes the series.

A row is the interval that begins at its `time`: counts as of then, utilisations over it. So counts are taken at
the beginning of an interval and written at its end, with what `traffic` and the areas say of the time between.
Decides nothing, changes nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.control.capacity.capacity import Capacity
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.scheduler import Scheduler
from clustersim.control.services.service_state import IN_PROGRESS
from clustersim.engine.compiled import Array
from clustersim.policy.load.fluid_sampling import SAMPLE
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE
from clustersim.world.state.usage import touch_all
from clustersim.world.state.world import World

MOST_ROWS = 5_000_000
INTERVALS_MS = (MS_PER_MINUTE, 5 * MS_PER_MINUTE, 15 * MS_PER_MINUTE, MS_PER_HOUR)
BUFFER_ROWS = 65_536
COUNTS = ("desired", "running", "pending", "healthy")


def default_interval_ms(entities: int, duration_ms: int) -> int:
    """The least of 60 s, 5 min, 15 min and 1 h that keeps a series under 5 million rows."""
    for interval in INTERVALS_MS:
        if entities * (duration_ms // interval + 1) < MOST_ROWS:
            return interval
    return INTERVALS_MS[-1]


class _Buffer:
    """Rows of one table that wait to be written together."""

    def __init__(self, recorder: Recorder, table: str) -> None:
        self._recorder = recorder
        self._table = table
        self._parts: list[dict[str, Any]] = []
        self._rows = 0

    def add(self, columns: dict[str, Any]) -> None:
        """Keep columns of equal length."""
        self._parts.append(columns)
        self._rows += len(next(iter(columns.values())))
        if self._rows >= BUFFER_ROWS:
            self.flush()

    def flush(self) -> None:
        """Give everything to the recorder."""
        if self._rows:
            joined = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
            self._recorder.append_columns(self._table, joined)
        self._parts, self._rows = [], 0


class Meter:
    """Writes `service_series`, `capacity_provider_series` and `deployment_series`."""

    def __init__(
        self, world: World, recorder: Recorder, traffic: Traffic, scheduler: Scheduler, capacity: Capacity
    ) -> None:
        self.world = world
        self.recorder = recorder
        self.traffic = traffic
        self.scheduler = scheduler
        self.capacity = capacity
        scenario = world.scenario
        entities = max(1, len(scenario.services), len(scenario.pools) + 2)
        self.interval_ms = scenario.sampling.interval_ms or default_interval_ms(
            entities, scenario.duration_ms
        )
        self._services = _Buffer(recorder, "service_series")
        self._providers = _Buffer(recorder, "capacity_provider_series")
        self._opened = -1
        self._counts: dict[str, Array] = {}
        self._provider_rows = self._used_providers()
        self._with_instances = [
            world.names.providers.index(pool.provider) for pool in scenario.pools if pool.provider
        ]
        self._areas: Array | None = None
        self._provider_counts: dict[str, Array] = {}

    def _used_providers(self) -> Array:
        """The providers worth a row: those with a group, and Fargate where a lane leads there."""
        state = self.world.state
        lanes = state.lanes[: self.world.lanes_used]
        used = set(state.classes["provider"].tolist()) if self.world.scenario.pools else set()
        used |= set(lanes["provider"][lanes["fargate"] == 1].tolist())
        return np.array(sorted(p for p in used if self.world.names.providers[p]), np.int32)

    def begin(self, now: int) -> None:
        """The window opens: areas count from here."""
        touch_all(self.world.core, now, self.world.live_instances())
        for name in ("running_area", "available", "available_healthy"):
            self.world.state.services[name] = 0
        for name in (
            "cpu_area",
            "memory_area",
            "registered_cpu_area",
            "registered_memory_area",
            "instance_area",
        ):
            self.world.state.providers[name] = 0
        self._open(now)

    def sample(self, now: int) -> None:
        """Close the interval that ends now and open the next."""
        touch_all(self.world.core, now, np.zeros(0, np.int64))
        self._close()
        self._open(now)

    def end(self, now: int) -> None:
        """Close the last interval and write everything."""
        touch_all(self.world.core, now, self.world.live_instances())
        if now > self._opened:
            self._close()
        self._services.flush()
        self._providers.flush()

    def _open(self, now: int) -> None:
        """Take the counts as of `now`."""
        state = self.world.state
        services = state.services
        self._opened = now
        self._counts = {name: services[name].astype(np.int64) for name in COUNTS}
        self._counts["pending"] += services["provisioning"]
        rows = self._provider_rows
        providers = state.providers[rows]
        self._areas = providers.copy()
        groups = {provider.name: provider.group for provider in self.world.scenario.providers}
        names = self.world.names
        desired = np.full(rows.size, -1, np.int64)
        for i, row in enumerate(rows):
            group = groups.get(names.providers[row])
            if group is not None:
                desired[i] = self.capacity.desired[names.pools.index(group)]
        ec2 = np.isin(rows, self._with_instances)
        self._provider_counts = {
            "desired_instances": desired,
            "running_instances": np.where(ec2, providers["instances"], -1).astype(np.int64),
            "registered_instances": np.where(ec2, providers["registered"], -1).astype(np.int64),
            "provisioning_tasks": providers["provisioning"].astype(np.int64),
            "running_tasks": providers["running"].astype(np.int64),
            "capacity_provider_reservation": np.array(
                [self.capacity.scaling.reservation(names.providers[row]) for row in rows], np.float64
            ),
            "cost_usd_per_hour": np.maximum(providers["usd_per_hour"], 0.0),
        }
        self._write_deployments(now)

    def _close(self) -> None:
        """Write the rows of the interval that was opened last."""
        count = len(self.world.names.services)
        if count:
            load: Any = self.traffic.sample()
            columns = {
                "time": np.full(count, self._opened, np.int64),
                "service": np.arange(count, dtype=np.int32),
                **{f"{name}_count": self._counts[name] for name in COUNTS},
            }
            for name in SAMPLE.names or ():
                columns[name] = load[name]
            self._services.add(columns)
        rows = self._provider_rows
        if rows.size and self._areas is not None:
            now = self.world.state.providers[rows]
            was = self._areas
            columns = {
                "time": np.full(rows.size, self._opened, np.int64),
                "capacity_provider": rows,
                **self._provider_counts,
                "cpu_reservation": _percent(now, was, "cpu_area"),
                "memory_reservation": _percent(now, was, "memory_area"),
            }
            self._providers.add(columns)

    def _write_deployments(self, now: int) -> None:
        """A row per deployment of each service that has one in progress."""
        state = self.world.state
        steady = state.services["steady"].tolist()
        for service, record in enumerate(self.scheduler.records):
            if steady[service] and record.primary.state != IN_PROGRESS:
                continue
            ready = sum(int(state.sets[each.row]["ready"]) for each in record.deployments)
            loaded = self.traffic.row_of[service] >= 0
            for each in record.deployments:
                s = state.sets[each.row]
                percent = 100.0 * int(s["ready"]) / ready if ready else None
                if record.shift is not None:
                    percent = record.shift.percent_of(each)
                self.recorder.append_row(
                    "deployment_series",
                    time=now,
                    service=self.world.names.services[service],
                    deployment_id=each.name,
                    running_count=int(s["running"]),
                    healthy_count=int(s["healthy"]),
                    traffic_percent=percent if loaded else None,
                )


def _percent(now: Array, was: Array, area: str) -> Array:
    """Mean percent of the registered amount that was reserved between two readings; NaN where none was."""
    registered = (now[f"registered_{area}"] - was[f"registered_{area}"]).astype(np.float64)
    registered[registered == 0] = np.nan
    percent: Array = 100.0 * (now[area] - was[area]) / registered
    return percent
