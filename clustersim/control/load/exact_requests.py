"""The services whose requests are simulated one by one: their records, and what befell their targets.

Keeps what `policy.load.exact_requests` works on and decides nothing. It must not know how fluid load is carried;
`control.load.traffic` owns one, tells it of backends and shifted shares, and hands it the log of targets that the
world has kept since the last tick. Rows of servers are those of the traffic's backends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.engine.array_block import pointer
from clustersim.engine.random_streams import EXPONENTIAL
from clustersim.policy.load import exact_tables as records
from clustersim.policy.load import load_series as demand
from clustersim.policy.load.exact_requests import carry, first_arrivals
from clustersim.policy.load.latency import LATENCY_BUCKETS, latency_quantile
from clustersim.scenario.sections.distributions import mean_of
from clustersim.scenario.sections.scenario import Load, Service, TargetGroup
from clustersim.vocabulary import NEVER

Luck = Callable[[str], np.uint64]
Records = npt.NDArray[np.void]

MOST_WORKERS = 1_024  # of a task whose requests take no CPU, unless the scenario says how many
_MS_PER_SECOND = 1_000.0
_FIRST_RING = 32
_SUMS = ("requests", "served", "failed", "backlog", "busy_s", "inside_s", "response_s", "denied")
NO_CHANGES = np.zeros(0, records.CHANGE)
_PERCENTILES = {"response_time_p50_s": 0.50, "response_time_p90_s": 0.90, "response_time_p99_s": 0.99}


class ExactRequests:
    """All streams of a scenario; `stream_of[flow]` is the stream of a flow of the traffic, or -1."""

    def __init__(
        self,
        loaded: Sequence[tuple[int, Service]],
        target_groups: Mapping[str, TargetGroup],
        luck: Luck,
    ) -> None:
        """`loaded` are the services with load and their numbers, in the order of the traffic's flows."""
        exact = [(flow, item) for flow, item in enumerate(loaded) if _is_exact(item[1].load)]
        self.stream_of = np.full(len(loaded), NEVER, np.int64)
        self.streams: Records = np.zeros(len(exact), records.STREAM)
        self.servers: Records = np.zeros(0, records.SERVER)
        self._services = [number for _, (number, _) in exact]
        self._loads = [service.load for _, (_, service) in exact if service.load is not None]
        cursors, times, rates = demand.flatten([each.series for each in self._loads])
        values: list[float] = []
        for stream, (flow, (_, service)) in enumerate(exact):
            self.stream_of[flow] = stream
            group = target_groups.get(service.target_groups[0]) if service.target_groups else None
            _fill_stream(self.streams[stream], flow, service, group, luck, values)
        self._shifts: list[tuple[int, int, int, int, float]] = []
        self._state = records.Requests(
            streams=self.streams,
            servers=self.servers,
            targets=np.zeros(0, records.TARGET),
            rings=np.zeros((0, _FIRST_RING), records.OUTSTANDING),
            pools=_empty_pools(len(exact)),
            cursors=cursors,
            times=times,
            rates=rates,
            values=np.array(values or [0.0], np.float64),
            histograms=np.zeros((len(exact), LATENCY_BUCKETS)),
            whole=np.zeros((len(exact), LATENCY_BUCKETS)),
            target_of=np.zeros(0, np.int64),
            counters=np.array([NEVER, 0], np.int64),
            span=np.zeros(1, np.float64),
        )
        self._kernel = pointer(self._state)
        first_arrivals(self._kernel)

    def _replace(self, **arrays: Any) -> None:
        self._state = self._state._replace(**arrays)
        self.servers = self._state.servers
        self._kernel = pointer(self._state)

    # --- servers -------------------------------------------------------------------------------------------

    def make_room(self, backends: int) -> None:
        """Keep as many servers as the traffic has backends."""
        old = self.servers.size
        if backends > old and self.streams.size:
            servers = _longer(self.servers, backends)
            servers["stream"][old:] = NEVER
            pools = np.concatenate((self._state.pools, _empty_pools(backends - old)))
            self._replace(servers=servers, pools=pools)

    def open(self, server: int, flow: int, backend: np.void) -> None:
        """A task set of an exact service answers from now on; what its tasks are says the traffic's `backend`."""
        stream = int(self.stream_of[flow])
        if stream < 0:
            return
        asked = self._loads[stream]
        vcpu, cpu_time_s = float(backend["vcpu"]), float(backend["cpu_time_s"])
        row = self.servers[server]
        row["failing"] = backend["failing"]
        row["stream"], row["weight"] = stream, records.BY_TARGETS
        if asked.service_time is None:
            row["scale"], row["need"] = cpu_time_s, float(cpu_time_s > 0.0)
        else:
            mean_s = mean_of(asked.service_time) / _MS_PER_SECOND
            row["scale"] = 1.0 / _MS_PER_SECOND
            row["need"] = cpu_time_s / mean_s if mean_s > 0.0 else 0.0
        row["floor"] = max(1.0, row["need"])
        row["crowding"] = row["need"] / vcpu
        workers = asked.concurrency_per_task or workers_of(vcpu, float(row["need"]))
        row["workers"] = workers

    def close(self, server: int) -> None:
        """The traffic has given up this backend: nothing is outstanding there."""
        if self.streams.size:
            self.servers[server]["stream"] = NEVER

    def shift(self, now_ms: int, server: int, weight: float) -> None:
        """From `now_ms` on a server gets this share of its service's requests, or BY_TARGETS."""
        if self.streams.size and self.servers[server]["stream"] >= 0:
            self._shifts.append((now_ms, records.WEIGHED, NEVER, server, weight))

    # --- time ----------------------------------------------------------------------------------------------

    def tick(
        self, now_ms: int, log: Records, set_of: npt.NDArray[np.int64], flows: Records, rows: Records
    ) -> None:
        """Carry all requests to `now_ms` and write what came of them into the traffic's flows and backends.

        `log` are the world's `CHANGE`s since the last tick, `set_of` the task set of each backend.
        """
        if self.streams.size == 0:
            return
        self.streams["first"] = flows["first"][self.streams["flow"]]
        self.servers["next"] = rows["next"]
        self.streams["requests"] = self.streams["refused"] = 0.0
        for name in _SUMS:
            self.servers[name] = 0.0
        changes = self._changes(log, set_of)
        while not carry(self._kernel, changes, now_ms):
            self._grow_rings()
        mine = self.servers["stream"] >= 0
        for name in _SUMS:
            rows[name][mine] = self.servers[name][mine]
        flows["refused"][self.streams["flow"]] = self.streams["refused"]

    def _changes(self, log: Records, set_of: npt.NDArray[np.int64]) -> Records:
        """The world's log and the shifted shares in order of time, targets first; room for what they open."""
        changes = log.copy()
        if changes.size:
            servers = {int(row): server for server, row in enumerate(set_of) if row >= 0}
            changes["set"] = [servers.get(int(row), NEVER) for row in log["set"]]
            self._make_room_for(changes)
        if self._shifts:
            changes = np.concatenate((changes, np.array(self._shifts, records.CHANGE)))
            self._shifts = []
        ordered: Records = changes[np.argsort(changes["at"], kind="stable")]
        return ordered

    def _make_room_for(self, changes: Records) -> None:
        """Rows for the tasks that are asked for the first time, and for the slots of all."""
        slots = int(changes["slot"].max()) + 1
        if slots > self._state.target_of.size:
            target_of = np.full(2 * slots, NEVER, np.int64)
            target_of[: self._state.target_of.size] = self._state.target_of
            self._replace(target_of=target_of)
        opened = int(np.count_nonzero(changes["kind"] == records.OPENED))
        targets, rings = self._state.targets, self._state.rings
        old = targets.size
        free = int(np.count_nonzero(targets["server"] < 0))
        if opened <= free:
            return
        size = max(2 * old, old + opened, 8)
        targets = _longer(targets, size)
        targets["server"][old:] = NEVER
        targets["pool"][old:] = NEVER
        targets["next"][old:] = np.arange(old + 1, size + 1)
        targets["next"][size - 1] = self._state.counters[records.FREE_TARGET]
        self._state.counters[records.FREE_TARGET] = old
        self._replace(targets=targets, rings=_longer(rings, size))

    def _grow_rings(self) -> None:
        """Twice the room in every ring; what is in one begins at its first place again."""
        old = self._state.rings
        rings = np.zeros((old.shape[0], 2 * old.shape[1]), records.OUTSTANDING)
        targets = self._state.targets
        for row in np.flatnonzero(targets["count"] > 0):
            rings[row, : old.shape[1]] = np.roll(old[row], -int(targets["head"][row]))
        targets["head"] = 0
        self._replace(rings=rings)

    # --- what is said of it --------------------------------------------------------------------------------

    def sample(self, samples: Records) -> None:
        """Fill the response times of the exact services into the load samples, and begin anew."""
        for stream, service in enumerate(self._services):
            histogram = self._state.histograms[stream]
            for name, share in _PERCENTILES.items():
                samples[name][service] = latency_quantile(histogram, share)
            self._state.whole[stream] += histogram
            histogram[:] = 0.0

    def begin_summary(self) -> None:
        """Forget the response times so far (the warm-up)."""
        self._state.whole[:] = 0.0

    def whole_quantile(self, flow: int, share: float) -> float | None:
        """The response time (s) that `share` of all requests did not exceed; None: the flow is not exact."""
        stream = int(self.stream_of[flow])
        return latency_quantile(self._state.whole[stream], share) if stream >= 0 else None


def workers_of(vcpu: float, need: float) -> int:
    """As many requests at work as keep a task's vCPUs busy, at least one."""
    if need <= 0.0:
        return MOST_WORKERS
    return min(max(1, math.ceil(vcpu / min(need, 1.0) - 1e-9)), MOST_WORKERS)


def _is_exact(load: Load | None) -> bool:
    return load is not None and load.model == "exact"


def _fill_stream(
    row: Any, flow: int, service: Service, group: TargetGroup | None, luck: Luck, values: list[float]
) -> None:
    """What of a stream does not change."""
    asked = service.load
    if asked is None:
        raise AssertionError("a stream is of a service with load")
    drawn = asked.service_time
    row["flow"], row["timeout_s"] = flow, asked.timeout_ms / _MS_PER_SECOND
    row["code"], row["a"], row["b"] = (
        (EXPONENTIAL, 1.0, 0.0) if drawn is None else (drawn.code, drawn.a, drawn.b)
    )
    row["first_value"] = len(values)
    values.extend(() if drawn is None else drawn.values)
    row["last_value"] = len(values)
    row["routing"] = records.ROUTING[group.routing] if group is not None else records.ROUND_ROBIN
    row["slow_start_s"] = group.slow_start_ms / _MS_PER_SECOND if group is not None else 0.0
    for purpose in ("arrival", "service", "route", "denial"):
        row[f"{purpose}_key"] = luck(f"service/{service.name}/request_{purpose}")


def _empty_pools(count: int) -> Records:
    pools = np.zeros(count, records.POOL)
    pools["turn"] = NEVER
    return pools


def _longer(array: Records, size: int) -> Records:
    """A copy of `array` with its first axis `size` long, zeros behind."""
    longer = np.zeros((size, *array.shape[1:]), array.dtype)
    longer[: array.shape[0]] = array
    return longer
