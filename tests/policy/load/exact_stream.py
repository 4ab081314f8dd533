"""One stream of exact requests on a few targets, advanced period by period, for tests of
`policy.load.exact_requests`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clustersim.engine.array_block import pointer
from clustersim.engine.random_streams import EXPONENTIAL
from clustersim.policy.load import exact_tables, load_series
from clustersim.policy.load.exact_arrivals import start_streams
from clustersim.policy.load.exact_requests import advance_streams
from clustersim.policy.load.latency import LATENCY_BUCKETS, latency_quantile
from clustersim.policy.load.response_curves import ROUND_ROBIN

KEYS = {"arrival_key": 1, "service_key": 2, "route_key": 3, "denial_key": 4}


@dataclass
class Rates:
    times_ms: np.ndarray
    rates: np.ndarray
    period_ms: int = 0


@dataclass
class TaskKind:
    """The cost of a request in the tasks of one set; 0 workers: all requests share the CPU."""

    scale: float = 1.0
    need: float = 1.0
    vcpu: float = 1.0
    workers: int = 1
    denied_share: float = 0.0

    @property
    def min_stretch(self) -> float:
        return max(1.0, self.need)


@dataclass
class StreamSpec:
    """A stream, and the kinds of tasks that serve it (the newest first)."""

    rates: Rates
    kinds: list[TaskKind] = field(default_factory=lambda: [TaskKind()])
    code: int = EXPONENTIAL
    a: float = 1.0
    b: float = 0.0
    values: tuple[float, ...] = ()
    timeout_s: float = 1e9
    routing: int = ROUND_ROBIN
    slow_start_s: float = 0.0
    burstiness: float = 1.0
    seed: int = 0


def constant(rate: float) -> Rates:
    return Rates(np.zeros(1, np.int64), np.array([rate]))


class ExactStream:
    """The tables of `spec`, with room for a few targets; `state` are the arrays, `kernel` their pointer."""

    def __init__(self, spec: StreamSpec, slots: int = 8, ring: int = 4_096) -> None:
        self.spec = spec
        count = len(spec.kinds)
        cursors, times, rates = load_series.flatten_series([spec.rates])
        streams, servers = (
            np.zeros(1, exact_tables.RequestStreamRow.dtype),
            np.zeros(count, exact_tables.ServerRow.dtype),
        )
        targets = np.zeros(slots, exact_tables.TargetRow.dtype)
        targets["server"] = targets["pool"] = -1
        targets["next"] = np.append(np.arange(1, slots), -1)
        pools = np.zeros(1 + count, exact_tables.SamplePoolRow.dtype)
        pools["turn"] = -1
        for name in ("code", "a", "b", "timeout_s", "routing", "slow_start_s", "burstiness"):
            streams[name] = getattr(spec, name)
        streams["last_value"] = len(spec.values)
        for name, key in KEYS.items():
            streams[name] = np.uint64(key + 16 * spec.seed)
        servers["weight"] = exact_tables.BY_TARGETS
        servers["next"] = np.append(np.arange(1, count), -1)
        for row, kind in zip(servers, spec.kinds, strict=True):
            row["scale"], row["cpu_share"], row["workers"] = kind.scale, kind.need, kind.workers
            row["denied_share"], row["vcpu"] = kind.denied_share, kind.vcpu
            row["min_stretch"], row["contention"] = kind.min_stretch, kind.need / kind.vcpu
        self.state = exact_tables.RequestTables(
            streams=streams,
            servers=servers,
            targets=targets,
            rings=np.zeros((slots, ring), exact_tables.OutstandingRow.dtype),
            shares=np.zeros((slots, ring), exact_tables.ShareRow.dtype),
            pools=pools,
            cursors=cursors,
            times=times,
            rates=rates,
            values=np.array(spec.values or (0.0,)),
            histograms=np.zeros((1, LATENCY_BUCKETS)),
            run_histograms=np.zeros((1, LATENCY_BUCKETS)),
            target_of=np.full(slots, -1, np.int64),
            counters=np.zeros(2, np.int64),
            span=np.zeros(1),
        )
        self.kernel: Any = pointer(self.state)
        start_streams(self.kernel)

    def period(self, until_ms: int, *changes: tuple[int, int, int, int, float]) -> dict[str, float]:
        """Advance the stream through changes (at, kind, slot, server, weight); return the sums over all servers."""
        sums = ("served", "failed", "backlog", "busy_s", "in_system_s", "response_s", "denied")
        for name in ("requests", *sums):
            self.state.servers[name] = 0.0
        self.state.streams["requests"] = self.state.streams["refused"] = 0.0
        assert advance_streams(
            self.kernel, np.array(list(changes), exact_tables.TargetChangeRow.dtype), until_ms
        ), "the ring buffer is too short"
        of_stream = {name: float(self.state.streams[name][0]) for name in ("requests", "refused")}
        return of_stream | {name: float(self.state.servers[name].sum()) for name in sums}

    def open(self, tasks: int, server: int = 0) -> dict[str, float]:
        """Register that many tasks at the first instant."""
        return self.period(0, *((0, exact_tables.REGISTERED, slot, server, 0.0) for slot in range(tasks)))

    def quantile(self, share: float) -> float:
        return latency_quantile(self.state.histograms[0], share)
