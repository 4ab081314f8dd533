"""Exact load: the tables of services with individually simulated requests, and the changes of their targets.

Keeps the tables that `policy.load.exact_requests` works on and decides nothing. It must not know how fluid load is
computed. `control.load.traffic` owns it, passes it backends, traffic weights and the log of target changes that the
world has kept since the last tick. Rows of servers are those of the traffic's backends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.engine.array_block import pointer
from clustersim.engine.random_streams import EXPONENTIAL
from clustersim.engine.records import as_table, new_table, new_table_2d
from clustersim.policy.load import exact_tables
from clustersim.policy.load.exact_arrivals import start_streams
from clustersim.policy.load.exact_requests import advance_streams
from clustersim.policy.load.latency import LATENCY_BUCKETS, latency_quantile, latency_share_within
from clustersim.policy.load.load_series import LoadCursorRow, flatten_series
from clustersim.policy.load.response_curves import ROUND_ROBIN, ROUTING
from clustersim.scenario.sections.distributions import distribution_mean
from clustersim.scenario.sections.scenario import Load, Service, TargetGroup
from clustersim.vocabulary import NEVER

StreamKeyOf = Callable[[str], np.uint64]
"""The random key of a stream by its name."""
Records = npt.NDArray[np.void]
Int64s = npt.NDArray[np.int64]

_MS_PER_SECOND = 1_000.0
_FIRST_RING = 32
_SUMS = ("requests", "served", "failed", "backlog", "busy_s", "in_system_s", "response_s", "denied")
NO_CHANGES = new_table(exact_tables.TargetChangeRow, 0)
_PERCENTILES = {"response_time_p50_s": 0.50, "response_time_p90_s": 0.90, "response_time_p99_s": 0.99}


class ExactRequests:
    """The request streams of a scenario; `stream_of[flow]` is the stream of a flow of the traffic, or -1."""

    def __init__(
        self,
        loaded: Sequence[tuple[int, Service]],
        target_groups: Mapping[str, TargetGroup],
        key_of: StreamKeyOf,
    ) -> None:
        """Build the tables; `loaded` are the services with load and their numbers, in order of the traffic's flows."""
        exact = [(flow, item) for flow, item in enumerate(loaded) if _is_exact(item[1].load)]
        self.stream_of = np.full(len(loaded), NEVER, np.int64)
        self.streams: Records = new_table(exact_tables.RequestStreamRow, len(exact))
        self.servers: Records = new_table(exact_tables.ServerRow, 0)
        self._services = [number for _, (number, _) in exact]
        self._loads = [service.load for _, (_, service) in exact if service.load is not None]
        cursors, times, rates = flatten_series([each.series for each in self._loads])
        values: list[float] = []
        for stream, (flow, (_, service)) in enumerate(exact):
            self.stream_of[flow] = stream
            group = target_groups.get(service.target_groups[0]) if service.target_groups else None
            _fill_stream(self.streams[stream], flow, service, group, key_of, values)
        self._weight_changes: list[tuple[int, int, int, int, float]] = []
        self._state = exact_tables.RequestTables(
            streams=self.streams,
            servers=self.servers,
            targets=new_table(exact_tables.TargetRow, 0),
            rings=new_table_2d(exact_tables.OutstandingRow, 0, _FIRST_RING),
            shares=new_table_2d(exact_tables.ShareRow, 0, _FIRST_RING),
            pools=as_table(exact_tables.SamplePoolRow, _empty_pools(len(exact))),
            cursors=as_table(LoadCursorRow, cursors),
            times=times,
            rates=rates,
            values=np.array(values or [0.0], np.float64),
            histograms=np.zeros((len(exact), LATENCY_BUCKETS)),
            run_histograms=np.zeros((len(exact), LATENCY_BUCKETS)),
            target_of=np.zeros(0, np.int64),
            counters=np.array([NEVER, 0], np.int64),
            span=np.zeros(1, np.float64),
        )
        self._kernel = pointer(self._state)
        start_streams(self._kernel)

    def _replace(self, **arrays: Any) -> None:
        self._state = self._state._replace(**arrays)
        self.servers = self._state.servers
        self._kernel = pointer(self._state)

    # --- servers -------------------------------------------------------------------------------------------

    def make_room(self, backends: int) -> None:
        """Keep as many servers as the traffic has backends."""
        old = self.servers.size
        if backends > old and self.streams.size:
            servers = _extended(self.servers, backends)
            servers["stream"][old:] = NEVER
            pools = np.concatenate((self._state.pools, _empty_pools(backends - old)))
            self._replace(servers=servers, pools=pools)

    def open_backend(self, server: int, flow: int, backend: np.void) -> None:
        """Let a task set of an exact service answer from now on; `backend` describes its tasks."""
        stream = int(self.stream_of[flow])
        if stream < 0:
            return
        load = self._loads[stream]
        vcpu, cpu_time_s = float(backend["vcpu"]), float(backend["cpu_time_s"])
        row = self.servers[server]
        row["denied_share"] = backend["denied_share"]
        row["stream"], row["weight"] = stream, exact_tables.BY_TARGETS
        if load.service_time is None:
            row["scale"], row["cpu_share"] = cpu_time_s, float(cpu_time_s > 0.0)
        else:
            mean_s = distribution_mean(load.service_time) / _MS_PER_SECOND
            row["scale"] = 1.0 / _MS_PER_SECOND
            row["cpu_share"] = cpu_time_s / mean_s if mean_s > 0.0 else 0.0
        row["min_stretch"] = max(1.0, row["cpu_share"])
        row["contention"] = row["cpu_share"] / vcpu
        row["vcpu"], row["workers"] = vcpu, load.concurrency_per_task

    def close_backend(self, server: int) -> None:
        """Free a server whose backend the traffic has closed; no request is outstanding there."""
        if self.streams.size:
            self.servers[server]["stream"] = NEVER

    def set_weight(self, now_ms: int, server: int, weight: float) -> None:
        """Send this share of its service's requests to a server from `now_ms` on, or BY_TARGETS."""
        if self.streams.size and self.servers[server]["stream"] >= 0:
            self._weight_changes.append((now_ms, exact_tables.REWEIGHTED, NEVER, server, weight))

    # --- time ----------------------------------------------------------------------------------------------

    def tick(
        self, now_ms: int, log: Records, set_of: npt.NDArray[np.int64], flows: Records, rows: Records
    ) -> None:
        """Advance all requests to `now_ms` and write the sums into the traffic's flows and backends.

        `log` are the world's `CHANGE`s since the last tick, `set_of` the task set of each backend.
        """
        if self.streams.size == 0:
            return
        self.streams["first"] = flows["first"][self.streams["flow"]]
        self.servers["next"] = rows["next"]
        self.streams["requests"] = self.streams["refused"] = 0.0
        for name in _SUMS:
            self.servers[name] = 0.0
        changes = as_table(exact_tables.TargetChangeRow, self._changes(log, set_of))
        while not advance_streams(self._kernel, changes, now_ms):
            self._grow_rings()
        open_ = self.servers["stream"] >= 0
        for name in _SUMS:
            rows[name][open_] = self.servers[name][open_]
        flows["refused"][self.streams["flow"]] = self.streams["refused"]

    def _changes(self, log: Records, set_of: npt.NDArray[np.int64]) -> Records:
        """Return the world's log and the weight changes in order of time, targets first, with rows for new targets."""
        changes = log.copy()
        if changes.size:
            servers = {int(row): server for server, row in enumerate(set_of) if row >= 0}
            changes["set"] = [servers.get(int(row), NEVER) for row in log["set"]]
            self._make_room_for(changes)
        if self._weight_changes:
            changes = np.concatenate(
                (changes, np.array(self._weight_changes, exact_tables.TargetChangeRow.dtype))
            )
            self._weight_changes = []
        ordered: Records = changes[np.argsort(changes["at"], kind="stable")]
        return ordered

    def _make_room_for(self, changes: Records) -> None:
        """Make room for the targets that the changes open, and for the slots of all."""
        slots = int(changes["slot"].max()) + 1
        if slots > self._state.target_of.size:
            target_of = np.full(2 * slots, NEVER, np.int64)
            target_of[: self._state.target_of.size] = self._state.target_of
            self._replace(target_of=target_of)
        opened = int(np.count_nonzero(changes["kind"] == exact_tables.REGISTERED))
        targets, rings = self._state.targets, self._state.rings
        old = targets.size
        free = int(np.count_nonzero(targets["server"] < 0))
        if opened <= free:
            return
        size = max(2 * old, old + opened, 8)
        targets = as_table(exact_tables.TargetRow, _extended(targets, size))
        targets["server"][old:] = NEVER
        targets["pool"][old:] = NEVER
        targets["next"][old:] = np.arange(old + 1, size + 1)
        targets["next"][size - 1] = self._state.counters[exact_tables.FREE_TARGET]
        self._state.counters[exact_tables.FREE_TARGET] = old
        self._replace(
            targets=targets, rings=_extended(rings, size), shares=_extended(self._state.shares, size)
        )

    def _grow_rings(self) -> None:
        """Double the size of every ring; its content moves to the beginning."""
        targets = self._state.targets
        rings = _doubled(self._state.rings, targets["head"], targets["count"])
        shares = _doubled(self._state.shares, targets["first"], targets["sharing"])
        targets["head"] = targets["first"] = 0
        self._replace(rings=rings, shares=shares)

    # --- results ------------------------------------------------------------------------------------------

    def sample(self, samples: Records) -> None:
        """Write the response times of the exact services into the load samples, and start new histograms."""
        for stream, service in enumerate(self._services):
            histogram = self._state.histograms[stream]
            for name, share in _PERCENTILES.items():
                samples[name][service] = latency_quantile(histogram, share)
            self._state.run_histograms[stream] += histogram
            histogram[:] = 0.0

    def begin_summary(self) -> None:
        """Forget the response times so far (the warm-up)."""
        self._state.run_histograms[:] = 0.0

    def summary_quantile(self, flow: int, share: float) -> float | None:
        """Return the response time (s) that `share` of all requests did not exceed; None if the flow is not exact."""
        stream = int(self.stream_of[flow])
        return latency_quantile(self._state.run_histograms[stream], share) if stream >= 0 else None

    def summary_share_within(self, flow: int, seconds: float) -> float | None:
        """Return the share of all requests that took at most `seconds`; None if the flow is not exact."""
        stream = int(self.stream_of[flow])
        return latency_share_within(self._state.run_histograms[stream], seconds) if stream >= 0 else None


def _is_exact(load: Load | None) -> bool:
    return load is not None and load.model == "exact"


def _fill_stream(
    row: Any, flow: int, service: Service, group: TargetGroup | None, key_of: StreamKeyOf, values: list[float]
) -> None:
    """Fill in the constant fields of a stream."""
    load = service.load
    if load is None:
        raise AssertionError("a stream is of a service with load")
    distribution = load.service_time
    row["flow"], row["timeout_s"] = flow, load.timeout_ms / _MS_PER_SECOND
    row["burstiness"] = load.burstiness
    row["code"], row["a"], row["b"] = (
        (EXPONENTIAL, 1.0, 0.0)
        if distribution is None
        else (distribution.code, distribution.a, distribution.b)
    )
    row["first_value"] = len(values)
    values.extend(() if distribution is None else distribution.values)
    row["last_value"] = len(values)
    row["routing"] = ROUTING[group.routing] if group is not None else ROUND_ROBIN
    row["slow_start_s"] = group.slow_start_ms / _MS_PER_SECOND if group is not None else 0.0
    for use in ("arrival", "service", "route", "denial"):
        row[f"{use}_key"] = key_of(f"service/{service.name}/request_{use}")


def _empty_pools(count: int) -> Records:
    pools = new_table(exact_tables.SamplePoolRow, count)
    pools["turn"] = NEVER
    return pools


def _extended(array: Records, size: int) -> Records:
    """Return a copy of `array` with `size` rows, the new ones zero."""
    longer = np.zeros((size, *array.shape[1:]), array.dtype)
    longer[: array.shape[0]] = array
    return longer


def _doubled(rings: Records, heads: Int64s, counts: Int64s) -> Records:
    """Return ring buffers of twice the size, with the content of each at its beginning."""
    rows, size = rings.shape
    longer = np.zeros((rows, 2 * size), rings.dtype)
    for row in np.flatnonzero(counts > 0):
        longer[row, :size] = np.roll(rings[row], -int(heads[row]))
    return longer
