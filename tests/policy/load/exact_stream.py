"""One stream of exact requests on a few targets, driven by hand: for the tests of `policy.load.exact_requests`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from clustersim.engine.array_block import pointer
from clustersim.engine.random_streams import EXPONENTIAL
from clustersim.policy.load import exact_tables as records
from clustersim.policy.load import load_series as demand
from clustersim.policy.load.exact_requests import carry, first_arrivals
from clustersim.policy.load.latency import LATENCY_BUCKETS, latency_quantile

KEYS = {"arrival_key": 1, "service_key": 2, "route_key": 3, "denial_key": 4}


@dataclass
class Rates:
    times_ms: np.ndarray
    rates: np.ndarray
    period_ms: int = 0


@dataclass
class Kind:
    """What a request costs in the tasks of one set."""

    scale: float = 1.0
    need: float = 1.0
    vcpu: float = 1.0
    workers: int = 1
    failing: float = 0.0

    @property
    def floor(self) -> float:
        return max(1.0, self.need)


@dataclass
class Asked:
    """A stream, and the kinds of tasks it may be sent to (the newest first)."""

    rates: Rates
    kinds: list[Kind] = field(default_factory=lambda: [Kind()])
    code: int = EXPONENTIAL
    a: float = 1.0
    b: float = 0.0
    values: tuple[float, ...] = ()
    timeout_s: float = 1e9
    routing: int = records.ROUND_ROBIN
    slow_start_s: float = 0.0
    seed: int = 0


def constant(rate: float) -> Rates:
    return Rates(np.zeros(1, np.int64), np.array([rate]))


class Exact:
    """The records of `asked`, with room for a few targets; `state` are the arrays, `kernel` their pointer."""

    def __init__(self, asked: Asked, slots: int = 8, ring: int = 4_096) -> None:
        self.asked = asked
        count = len(asked.kinds)
        cursors, times, rates = demand.flatten([asked.rates])
        streams, servers = np.zeros(1, records.STREAM), np.zeros(count, records.SERVER)
        targets = np.zeros(slots, records.TARGET)
        targets["server"] = targets["pool"] = -1
        targets["next"] = np.append(np.arange(1, slots), -1)
        pools = np.zeros(1 + count, records.POOL)
        pools["turn"] = -1
        for name in ("code", "a", "b", "timeout_s", "routing", "slow_start_s"):
            streams[name] = getattr(asked, name)
        streams["last_value"] = len(asked.values)
        for name, key in KEYS.items():
            streams[name] = np.uint64(key + 16 * asked.seed)
        servers["weight"] = records.BY_TARGETS
        servers["next"] = np.append(np.arange(1, count), -1)
        for row, kind in zip(servers, asked.kinds, strict=True):
            row["scale"], row["need"], row["workers"] = kind.scale, kind.need, kind.workers
            row["failing"] = kind.failing
            row["floor"], row["crowding"] = kind.floor, kind.need / kind.vcpu
        self.state = records.Requests(
            streams=streams,
            servers=servers,
            targets=targets,
            rings=np.zeros((slots, ring), records.OUTSTANDING),
            pools=pools,
            cursors=cursors,
            times=times,
            rates=rates,
            values=np.array(asked.values or (0.0,)),
            histograms=np.zeros((1, LATENCY_BUCKETS)),
            whole=np.zeros((1, LATENCY_BUCKETS)),
            target_of=np.full(slots, -1, np.int64),
            counters=np.zeros(2, np.int64),
            span=np.zeros(1),
        )
        self.kernel: Any = pointer(self.state)
        first_arrivals(self.kernel)

    def period(self, until_ms: int, *changes: tuple[int, int, int, int, float]) -> dict[str, float]:
        """Carry the stream through changes (at, kind, slot, server, weight); the sums over all servers."""
        sums = ("served", "failed", "backlog", "busy_s", "inside_s", "response_s", "denied")
        for name in ("requests", *sums):
            self.state.servers[name] = 0.0
        self.state.streams["requests"] = self.state.streams["refused"] = 0.0
        assert carry(self.kernel, np.array(list(changes), records.CHANGE), until_ms), "the ring is too short"
        of_stream = {name: float(self.state.streams[name][0]) for name in ("requests", "refused")}
        return of_stream | {name: float(self.state.servers[name].sum()) for name in sums}

    def open(self, tasks: int, server: int = 0) -> dict[str, float]:
        """So many tasks are asked from the first instant on."""
        return self.period(0, *((0, records.OPENED, slot, server, 0.0) for slot in range(tasks)))

    def quantile(self, share: float) -> float:
        return latency_quantile(self.state.histograms[0], share)
