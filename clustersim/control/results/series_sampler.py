"""Samples the settled instant and writes the time series.

A row is the interval that begins at its `time`: counts are those of its beginning, utilisations means over it. So
counts are taken at the beginning of an interval and written at its end, with the load and the usage of the time
between. Decides nothing, changes nothing. Its agenda calls `act` after all other concerns of an instant.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.control.agendas import Agendas
from clustersim.control.capacity.capacity import CapacityController
from clustersim.control.load.traffic import Traffic
from clustersim.control.services.scheduler import Scheduler
from clustersim.control.services.service_state import IN_PROGRESS
from clustersim.engine.compiled import Array
from clustersim.policy.load.fluid_sampling import LoadSampleRow
from clustersim.record.recorder import Recorder
from clustersim.vocabulary import MS_PER_HOUR, MS_PER_MINUTE
from clustersim.world.state.usage import integrate_all
from clustersim.world.state.world import World

MAX_ROWS = 5_000_000
INTERVALS_MS = (MS_PER_MINUTE, 5 * MS_PER_MINUTE, 15 * MS_PER_MINUTE, MS_PER_HOUR)
BUFFER_ROWS = 65_536
COUNTS = ("desired", "running", "pending", "healthy")


def default_interval_ms(entities: int, duration_ms: int) -> int:
    """Return the shortest of 60 s, 5 min, 15 min and 1 h that keeps a series under 5 million rows."""
    for interval in INTERVALS_MS:
        if entities * (duration_ms // interval + 1) < MAX_ROWS:
            return interval
    return INTERVALS_MS[-1]


class _Buffer:
    """Buffered rows of one table."""

    def __init__(self, recorder: Recorder, table: str) -> None:
        self._recorder = recorder
        self._table = table
        self._parts: list[dict[str, Any]] = []
        self._rows = 0

    def add(self, columns: dict[str, Any]) -> None:
        """Add columns of equal length."""
        self._parts.append(columns)
        self._rows += len(next(iter(columns.values())))
        if self._rows >= BUFFER_ROWS:
            self.flush()

    def flush(self) -> None:
        """Pass all rows to the recorder."""
        if self._rows:
            joined = {name: np.concatenate([part[name] for part in self._parts]) for name in self._parts[0]}
            self._recorder.append_columns(self._table, joined)
        self._parts, self._rows = [], 0


class SeriesSampler:
    """The tables `service_series`, `capacity_provider_series` and `deployment_series` of a run."""

    def __init__(
        self,
        world: World,
        recorder: Recorder,
        traffic: Traffic,
        scheduler: Scheduler,
        capacity: CapacityController,
        agendas: Agendas,
    ) -> None:
        self.world = world
        self.recorder = recorder
        self.traffic = traffic
        self.scheduler = scheduler
        self.capacity = capacity
        self._agenda = agendas.series
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
        """Return the providers that get rows: those with instances, and Fargate where a strategy item uses it."""
        state = self.world.state
        items = state.sets.strategy_items[: self.world.strategy_items_used]
        used = set(state.capacity.classes["provider"].tolist()) if self.world.scenario.pools else set()
        used |= set(items["provider"][items["fargate"] == 1].tolist())
        return np.array(sorted(p for p in used if self.world.names.providers[p]), np.int32)

    def schedule_wakeups(self) -> None:
        """Schedule the end of the warm-up: its last instant, and the first after it."""
        warm_up_ms = self.world.scenario.warm_up_ms
        self._agenda.wake_at(warm_up_ms)
        if warm_up_ms:
            self._agenda.wake_at(warm_up_ms - 1)

    def act(self, now: int) -> None:
        """Sample at the end of an interval; what happens before the end of the warm-up does not count."""
        warm_up_ms = self.world.scenario.warm_up_ms
        if now < warm_up_ms:  # its last instant: placement failures from `start` on count
            self.world.state.placement.failures[:] = 0
            return
        if now == warm_up_ms:
            self.traffic.sample()
            self.traffic.begin_summary()
            self.begin(now)
        else:
            self.sample(now)
        self._agenda.wake_at(now + self.interval_ms)

    def begin(self, now: int) -> None:
        """Open the first interval and reset the time integrals."""
        integrate_all(self.world.core, now, self.world.live_instances())
        for name in ("running_area", "available_ms", "available_healthy_ms"):
            self.world.state.services.rows[name] = 0
        for name in (
            "cpu_area",
            "memory_area",
            "registered_cpu_area",
            "registered_memory_area",
        ):
            self.world.state.capacity.providers[name] = 0
        self._open(now)

    def sample(self, now: int) -> None:
        """Close the interval that ends now and open the next."""
        integrate_all(self.world.core, now, np.zeros(0, np.int64))
        self._close()
        self._open(now)

    def end(self, now: int) -> None:
        """Close the last interval and write everything."""
        integrate_all(self.world.core, now, self.world.live_instances())
        if now > self._opened:
            self._close()
        self._services.flush()
        self._providers.flush()

    def _open(self, now: int) -> None:
        """Take the counts as of `now`."""
        state = self.world.state
        services = state.services.rows
        self._opened = now
        self._counts = {name: services[name].astype(np.int64) for name in COUNTS}
        self._counts["pending"] += services["provisioning"]
        rows = self._provider_rows
        providers = state.capacity.providers[rows]
        self._areas = providers.copy()
        groups = {provider.name: provider.group for provider in self.world.scenario.providers}
        names = self.world.names
        desired = np.full(rows.size, -1, np.int64)
        for i, row in enumerate(rows):
            group = groups.get(names.providers[row])
            if group is not None:
                desired[i] = self.capacity.desired[names.pools.index(group)]
        has_instances = np.isin(rows, self._with_instances)
        self._provider_counts = {
            "desired_instances": desired,
            "running_instances": np.where(has_instances, providers["instances"], -1).astype(np.int64),
            "registered_instances": np.where(has_instances, providers["registered"], -1).astype(np.int64),
            "provisioning_tasks": providers["provisioning"].astype(np.int64),
            "running_tasks": providers["running"].astype(np.int64),
            "capacity_provider_reservation": np.array(
                [self.capacity.managed_scaling.reservation(names.providers[row]) for row in rows], np.float64
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
            for name in LoadSampleRow.dtype.names or ():
                columns[name] = load[name]
            self._services.add(columns)
        rows = self._provider_rows
        if rows.size and self._areas is not None:
            now = self.world.state.capacity.providers[rows]
            before = self._areas
            columns = {
                "time": np.full(rows.size, self._opened, np.int64),
                "capacity_provider": rows,
                **self._provider_counts,
                "cpu_reservation": _mean_percent(now, before, "cpu_area"),
                "memory_reservation": _mean_percent(now, before, "memory_area"),
            }
            self._providers.add(columns)

    def _write_deployments(self, now: int) -> None:
        """Write a row per deployment of each service that has one in progress or is not steady."""
        state = self.world.state
        steady = state.services.rows["steady_reported"].tolist()
        for service, record in enumerate(self.scheduler.records):
            if steady[service] and record.primary.state != IN_PROGRESS:
                continue
            ready = sum(int(state.sets.rows[each.task_set]["ready"]) for each in record.deployments)
            loaded = self.traffic.flow_of[service] >= 0
            for each in record.deployments:
                s = state.sets.rows[each.task_set]
                percent = 100.0 * int(s["ready"]) / ready if ready else None
                if record.shift is not None:
                    percent = record.shift.traffic_percent_of(each)
                self.recorder.append_row(
                    "deployment_series",
                    time=now,
                    service=self.world.names.services[service],
                    deployment_id=each.name,
                    running_count=int(s["running"]),
                    healthy_count=int(s["healthy"]),
                    traffic_percent=percent if loaded else None,
                )


def _mean_percent(now: Array, before: Array, area: str) -> Array:
    """Return the mean percentage of the registered amount reserved between two readings; NaN if it was zero."""
    registered = (now[f"registered_{area}"] - before[f"registered_{area}"]).astype(np.float64)
    registered[registered == 0] = np.nan
    percent: Array = 100.0 * (now[area] - before[area]) / registered
    return percent
