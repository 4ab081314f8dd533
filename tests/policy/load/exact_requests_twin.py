"""The plain-Python twin of the exact model: it keeps every request of every task, and counts over all of them.

Nothing is kept in order of ends, and no worker is inferred: a task has a list of workers with the instant at which
each is free, and the state at an instant is found by counting.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from clustersim.engine.random_streams import sample, uniform
from clustersim.policy.load import exact_tables
from clustersim.policy.load.response_curves import LEAST_OUTSTANDING
from tests.policy.load.exact_stream import KEYS, StreamSpec, TaskKind


@dataclass
class Request:
    number: int
    arrival_s: float
    start_s: float
    finish_s: float
    work_s: float  # negative: it is not served
    busy: tuple[float, float, float] = (0.0, 0.0, 0.0)  # from, to, vCPUs
    fails: bool = False
    lost: bool = False
    denied: bool = False


@dataclass
class Task:
    slot: int
    server: int
    kind: TaskKind
    registered_s: float
    free_s: list[float]
    requests: list[Request] = field(default_factory=list)
    ramp_end_s: float = 0.0
    credit: float = 0.0
    hung: bool = False

    def outstanding(self, at_s: float) -> list[Request]:
        return [each for each in self.requests if each.arrival_s <= at_s < each.finish_s]


class Twin:
    """`spec`, request by request: `advance` to an instant, `change` a task, `sums` over a period."""

    def __init__(self, spec: StreamSpec) -> None:
        self.spec = spec
        self.weights = [exact_tables.BY_TARGETS] * len(spec.kinds)
        self.tasks: dict[int, Task] = {}
        self.ended: list[Task] = []
        self.pools: dict[int, list[Task]] = {pool: [] for pool in range(1 + len(spec.kinds))}
        self.refused: list[float] = []  # instants
        self.lost: list[float] = []  # of those that waited too long or whose task ended
        self.arrivals: list[float] = []
        self.at_s, self.remaining = 0.0, self.draw("arrival_key", 0)

    def draw(self, key: str, ordinal: int) -> float:
        u = float(uniform(KEYS[key] + 16 * self.spec.seed, 0, ordinal))
        return -math.log(u) if key == "arrival_key" else u

    # --- arrivals ------------------------------------------------------------------------------------------

    def rate_until(self, at_s: float) -> tuple[float, float]:
        """Return the rate at an instant, and the instant until which it applies."""
        rates, cycle = self.spec.rates, 0.0
        period = rates.period_ms / 1_000
        while period and at_s >= cycle + period:
            cycle += period
        rate, until = 0.0, math.inf
        for time, value in zip(rates.times_ms, rates.rates, strict=True):
            if at_s < cycle + time / 1_000:
                return rate, cycle + time / 1_000
            rate = float(value)
        return rate, cycle + period if period else until

    def next_arrival(self, until_s: float) -> float:
        at_s, need = self.at_s, self.remaining
        while at_s < until_s:
            rate, end_s = self.rate_until(at_s)
            if rate > 0 and at_s + need / rate < end_s:
                return at_s + need / rate
            need -= rate * (end_s - at_s) if rate else 0.0
            at_s = end_s
        return math.inf

    def advance(self, until_s: float) -> None:
        """Simulate all requests before an instant."""
        while (at_s := self.next_arrival(until_s)) < until_s:
            self.serve(at_s, len(self.arrivals))
            self.arrivals.append(at_s)
            self.at_s, self.remaining = at_s, self.draw("arrival_key", len(self.arrivals))

    def serve(self, at_s: float, ordinal: int) -> None:
        spec = self.spec
        pool_tasks = self.pools[self.pool(ordinal)]
        if not pool_tasks:
            self.refused.append(at_s)
            return
        if spec.routing == LEAST_OUTSTANDING:
            task = min(pool_tasks, key=lambda each: len(each.outstanding(at_s)))
        else:
            task = self.next_in_turn(pool_tasks, at_s)
        while pool_tasks[-1] is not task:
            pool_tasks.append(pool_tasks.pop(0))
        values = np.array(spec.values or (0.0,))
        service_draw = float(sample(spec.code, spec.a, spec.b, values, self.draw("service_key", ordinal)))
        self.send(task, ordinal, at_s, service_draw)

    def pool(self, ordinal: int) -> int:
        weighted = [(server, weight) for server, weight in enumerate(self.weights) if weight >= 0]
        if not weighted:
            return 0
        total = sum(weight for _, weight in weighted)
        unweighted = len(weighted) < len(self.weights)
        if not unweighted and total <= 0:
            return 1
        point = self.draw("route_key", ordinal) * (1.0 if unweighted else total)
        for server, weight in weighted:
            if weight > 0:
                point -= weight
                if point < 0:
                    return 1 + server
        return 0

    def next_in_turn(self, pool_tasks: list[Task], at_s: float) -> Task:
        for task in pool_tasks:
            if task.ramp_end_s <= at_s:
                return task
            task.credit += max(0.0, 1.0 - (task.ramp_end_s - at_s) / self.spec.slow_start_s)
            if task.credit >= 1.0:
                task.credit -= 1.0
                return task
        return pool_tasks[0]

    def send(self, task: Task, number: int, at_s: float, service_draw: float) -> None:
        timeout_s, kind = self.spec.timeout_s, task.kind
        if task.hung:
            task.requests.append(Request(number, at_s, at_s, at_s + timeout_s, -1.0, fails=True))
            return
        worker = min(range(kind.workers), key=lambda each: task.free_s[each])
        start_s = max(at_s, task.free_s[worker])
        if start_s - at_s > timeout_s:
            self.lost.append(at_s)
            return
        busy = 1 + sum(each.start_s <= start_s < each.finish_s for each in task.requests)
        alone_s = service_draw * kind.scale
        service_s = alone_s * max(1.0, kind.need, kind.need / kind.vcpu * busy)
        finish_s, work_s = start_s + service_s, alone_s * kind.need
        task.free_s[worker] = finish_s
        use = (start_s, finish_s, work_s / service_s if service_s else 0.0)
        task.requests.append(Request(number, at_s, start_s, finish_s, work_s, use))
        task.requests[-1].denied = self.draw("denial_key", number) < kind.denied_share

    # --- changes -------------------------------------------------------------------------------------------

    def change(self, at_s: float, kind: int, slot: int, server: int, weight: float) -> None:
        if kind == exact_tables.REWEIGHTED:
            self.set_weight(server, weight)
            return
        task = self.tasks.get(slot)
        if kind == exact_tables.REGISTERED:
            self.register(at_s, slot, server)
        elif task is not None and kind == exact_tables.HUNG:
            self.hang(task, at_s)
        elif task is not None:
            for pool_tasks in self.pools.values():
                if task in pool_tasks:
                    pool_tasks.remove(task)
                    task.ramp_end_s = 0.0
            if kind == exact_tables.ENDED:
                self.end(task, at_s)

    def register(self, at_s: float, slot: int, server: int) -> None:
        task = self.tasks.get(slot)
        if task is None:
            kind = self.spec.kinds[server]
            task = self.tasks[slot] = Task(slot, server, kind, at_s, [0.0] * kind.workers)
        elif any(task in pool_tasks for pool_tasks in self.pools.values()):
            return
        pool_tasks = self.pools[1 + task.server if self.weights[task.server] >= 0 else 0]
        task.registered_s, task.credit, task.hung, task.ramp_end_s = at_s, 0.0, False, 0.0
        if self.spec.slow_start_s and any(o.registered_s < at_s and o.ramp_end_s <= at_s for o in pool_tasks):
            task.ramp_end_s = at_s + self.spec.slow_start_s
        pool_tasks.append(task)

    def set_weight(self, server: int, weight: float) -> None:
        before = 1 + server if self.weights[server] >= 0 else 0
        self.weights[server] = weight
        after = 1 + server if weight >= 0 else 0
        if before != after:
            moved = [task for task in self.pools[before] if task.server == server]
            self.pools[before] = [task for task in self.pools[before] if task.server != server]
            self.pools[after] += moved

    def hang(self, task: Task, at_s: float) -> None:
        task.hung = True
        for each in task.outstanding(at_s):
            begin, _, vcpus = each.busy
            each.busy = (begin, max(begin, at_s), vcpus)
            each.start_s, each.work_s, each.fails = at_s, -1.0, True
            each.finish_s = each.arrival_s + self.spec.timeout_s
            if each.finish_s <= at_s:
                self.fail(each, at_s)

    def end(self, task: Task, at_s: float) -> None:
        for each in task.outstanding(at_s):
            begin, ends, vcpus = each.busy
            each.busy = (begin, max(begin, min(ends, at_s)), vcpus)
            self.fail(each, at_s)
        self.ended.append(self.tasks.pop(task.slot))

    def fail(self, request: Request, at_s: float) -> None:
        """Fail a request by a change, which belongs to the period that starts at that instant."""
        request.finish_s, request.lost = at_s, True
        self.lost.append(at_s)

    # --- sums over a period --------------------------------------------------------------------------

    def sums(self, begin_s: float, end_s: float) -> dict[str, float]:
        """Return the sums of `policy.load.exact_requests` from one instant (exclusive) to another (inclusive)."""
        every = [each for task in (*self.tasks.values(), *self.ended) for each in task.requests]
        ended = [each for each in every if begin_s < each.finish_s <= end_s and not each.lost]
        answered = [each for each in ended if not each.fails]
        lost = sum(begin_s <= at_s < end_s for at_s in self.lost)
        return {
            "requests": sum(begin_s <= at_s < end_s for at_s in self.arrivals),
            "refused": sum(begin_s <= at_s < end_s for at_s in self.refused),
            "served": len(answered),
            "denied": sum(each.denied for each in answered),
            "failed": len(ended) - len(answered) + lost,
            "backlog": sum(len(task.outstanding(end_s)) for task in self.tasks.values()),
            "response_s": sum(each.finish_s - each.arrival_s for each in answered),
            "in_system_s": sum(_overlap(each.arrival_s, each.finish_s, begin_s, end_s) for each in every),
            "busy_s": sum(_overlap(*each.busy[:2], begin_s, end_s) * each.busy[2] for each in every),
        }


def _overlap(begin: float, ended: float, begin_s: float, end_s: float) -> float:
    return max(0.0, min(ended, end_s) - max(begin, begin_s))
