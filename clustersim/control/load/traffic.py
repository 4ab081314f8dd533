"""Who calls the services: keeps the records of load, carries them through each metric period, samples them.

Decides nothing itself (`policy.load.fluid_model` does); it knows which service has load, which task sets answer it
and what their tasks are. It must not know scaling, placement or results files. Deployments `open` and `close`
backends and `shift` traffic between them; the wiring calls `tick` at the end of each metric period with what the
world has counted of its task sets; `control.scaling.service_autoscaler` reads `flows`, the meter calls `sample`. A
sample is a whole number of ticks: sampling more often than the metric period gives rows without load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.control.load.exact_requests import NO_CHANGES, ExactRequests, Luck
from clustersim.engine.array_block import pointer
from clustersim.engine.random_streams import stream_key
from clustersim.policy.load import fluid_model as load
from clustersim.policy.load import fluid_sampling as load_sample
from clustersim.policy.load import fluid_tables as load_records
from clustersim.policy.load import load_series as demand
from clustersim.policy.load import response_times as response
from clustersim.policy.tasks.iam_evaluation import outcome
from clustersim.scenario.sections.scenario import Load, Roles, Service, TargetGroup, TaskDefinition
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, NEVER
from clustersim.world.build.fatal_misconfiguration import memory_limit_mib

Int64s = npt.NDArray[np.int64]

_MS_PER_SECOND = 1_000.0
_NO_SEED = partial(stream_key, 0, 0)


class TrafficSummary(NamedTuple):
    """A service's requests over the summarised time; the response times are NaN where there are none."""

    requests: int
    requests_failed: int
    response_time_p50_s: float
    response_time_p99_s: float


class Traffic:
    """The load of all services of a scenario.

    `flows` are `policy.load.fluid_tables.FLOW` records, one per service with load; `row_of[service]` is its row or -1.
    """

    def __init__(
        self,
        services: Sequence[Service],
        task_definitions: Sequence[TaskDefinition],
        roles: Roles | None = None,
        target_groups: Sequence[TargetGroup] = (),
        luck: Luck = _NO_SEED,
    ) -> None:
        """`luck` gives the key of a stream of luck by its name."""
        self._services = services
        self._roles = roles or Roles()
        self._definitions: Mapping[str, TaskDefinition] = {each.key: each for each in task_definitions}
        called = [(index, each) for index, each in enumerate(services) if each.load is not None]
        loaded = [(index, each.load) for index, each in called if each.load is not None]
        self._exact = ExactRequests(called, {group.name: group for group in target_groups}, luck)
        self.row_of: Int64s = np.full(len(services), NEVER, np.int64)
        self.flows: npt.NDArray[np.void] = np.zeros(len(loaded), load_records.FLOW)
        self.backends: npt.NDArray[np.void] = np.zeros(0, load_records.BACKEND)
        cursors, self._times, self._rates = demand.flatten([each.series for _, each in loaded])
        self._readers = np.stack((cursors, cursors), axis=1)
        self._histograms = np.zeros((len(loaded), response.BUCKETS))
        self._whole = np.zeros_like(self._histograms)
        self._set_of: Int64s = np.zeros(0, np.int64)  # of each backend; -1: the row is free
        self._closing: set[int] = set()
        self._seen: Int64s = np.zeros((3, 0), np.int64)  # task times of each backend, as last read
        self._last: Int64s = np.zeros((3, 0), np.int64)  # task times as of the last tick
        self._weight = np.zeros(0)  # of each backend, now
        self._weighed_ms: npt.NDArray[np.float64] = np.zeros(0)  # weight x ms since the last tick
        self._weight_since: Int64s = np.zeros(0, np.int64)
        self._weighing = False  # a weight was ever given
        self._limited = False  # a task may use more memory than it has
        self._now_ms = 0
        for row, (index, each) in enumerate(loaded):
            self.row_of[index] = row
            _fill_flow(self.flows[row], index, each)
        self._grow(max(8, 2 * len(loaded)))

    def _grow(self, size: int) -> None:
        """Make room for `size` backends."""
        old = self.backends.size
        backends = np.zeros(size, load_records.BACKEND)
        backends[:old] = self.backends
        backends["flow"][old:] = NEVER
        self.backends = backends
        self._exact.make_room(size)
        self._set_of = np.append(self._set_of, np.full(size - old, NEVER, np.int64))
        self._seen = np.append(self._seen, np.zeros((3, size - old), np.int64), axis=1)
        self._shares = np.full(
            size, load_records.BY_TARGETS
        )  # the mean weight of each backend since the last tick
        self._weight = np.append(self._weight, np.full(size - old, load_records.BY_TARGETS))
        self._weighed_ms = np.append(self._weighed_ms, np.zeros(size - old))
        self._weight_since = np.append(self._weight_since, np.zeros(size - old, np.int64))
        parts = (
            self.flows,
            self.backends,
            self._readers,
            self._times,
            self._rates,
            self._histograms,
            self._whole,
            self._set_of,
            self._seen,
            np.zeros((3, size), np.int64),
            self._shares,
            np.zeros(1, load_records.SUMS),
        )
        self._load = pointer(load_records.Load(*parts))

    # --- backends ------------------------------------------------------------------------------------------

    def open(self, service: int, row: int, task_definition: str) -> None:
        """Task set `row` of `service` answers from now on; its tasks are of `task_definition`.

        A task without a CPU reservation counts as one vCPU, since it needs some speed.
        """
        flow = int(self.row_of[service])
        if flow < 0:
            return
        if row in self._set_of:
            self._closing.discard(int(np.flatnonzero(self._set_of == row)[0]))
            return
        if not np.any(self._set_of < 0):
            self._grow(2 * self._set_of.size)
        index = int(np.argmax(self._set_of < 0))
        self._set_of[index] = row
        self._seen[:, index] = 0
        if row < self._last.shape[1]:  # a rollback comes back to a task set
            self._seen[:, index] = self._last[:, row]
        self._weight[index] = load_records.BY_TARGETS
        self._weighed_ms[index] = 0.0
        self._weight_since[index] = self._now_ms
        self.backends[index] = np.zeros((), load_records.BACKEND)
        backend = self.backends[index]
        backend["flow"], backend["next"] = flow, self.flows[flow]["first"]
        self.flows[flow]["first"] = index
        self._fill_backend(backend, service, task_definition)
        load.derive(self._load, index)
        self._exact.open(index, flow, backend)

    def _fill_backend(self, row: np.void, service: int, task_definition: str) -> None:
        """What a task of this revision is, and what a request costs it."""
        definition = self._definitions[task_definition]
        asked = self._services[service].load
        assert asked is not None
        behavior = dict(self._services[service].behaviors).get(task_definition)
        cpu_time_ms, memory = asked.cpu_time_ms, None
        if behavior is not None:
            if behavior.cpu_time_per_request_ms is not None:
                cpu_time_ms = behavior.cpu_time_per_request_ms
            memory = behavior.memory_per_task
        row["vcpu"] = (definition.cpu or CPU_UNITS_PER_VCPU) / CPU_UNITS_PER_VCPU
        row["memory_mib"] = max(definition.memory_mib, 1)
        row["memory_limit_mib"] = (
            memory_limit_mib(definition, self._services[service].balanced_container) or 0
        )
        if behavior is not None:
            role = self._roles.statements(definition.access.task_role)
            row["failing"] = outcome(behavior.calls, role).failing_share
        row["cpu_time_s"] = cpu_time_ms / _MS_PER_SECOND
        row["memory_base_mib"] = asked.memory_base_mib if memory is None else memory.base_mib
        per_request = asked.memory_per_request_mib if memory is None else memory.per_concurrent_request_mib
        row["memory_per_request_mib"] = per_request
        uses_memory = bool(row["memory_base_mib"] > 0 or per_request > 0)
        self._limited = self._limited or (uses_memory and bool(row["memory_limit_mib"] > 0))
        row["processing_s"] = asked.processing_time_ms / _MS_PER_SECOND
        row["concurrency"] = max(asked.concurrency_per_task, 1)

    def beyond_memory(self) -> list[int]:
        """The task sets whose tasks used more memory than they may in the metric period that just ended."""
        if not self._limited:
            return []
        rows = self.backends
        beyond = (rows["memory_limit_mib"] > 0) & (rows["memory_use_mib"] > rows["memory_limit_mib"])
        return [int(row) for row in self._set_of[beyond & (rows["flow"] >= 0)]]

    def close(self, row: int) -> None:
        """Task set `row` has no task left; its backend goes when what waited there has been counted."""
        self._closing |= {int(index) for index in np.flatnonzero(self._set_of == row)}

    def _unlink(self, index: int) -> None:
        """Take a backend out of the list of its flow."""
        flow, after = int(self.backends["flow"][index]), int(self.backends["next"][index])
        before = int(self.flows["first"][flow])
        if before == index:
            self.flows["first"][flow] = after
        else:
            while self.backends["next"][before] != index:
                before = int(self.backends["next"][before])
            self.backends["next"][before] = after
        self.backends["flow"][index] = NEVER
        self._set_of[index] = NEVER
        self._exact.close(index)

    def shift(self, now_ms: int, weights: Mapping[int, float]) -> None:
        """From now on the task sets get these shares (0 to 1) of their service's requests; BY_TARGETS: as many
        as their targets' part, which then holds for the whole metric period."""
        for row, weight in weights.items():
            for index in np.flatnonzero(self._set_of == row):
                before = self._weight[index] if self._weight[index] >= 0.0 else weight
                since = max(int(self._weight_since[index]), self._now_ms)
                self._weighed_ms[index] += max(before, 0.0) * (now_ms - since)
                self._weighing = self._weighing or weight >= 0.0
                self._weight_since[index] = now_ms
                self._weight[index] = weight
                self._exact.shift(now_ms, int(index), weight)

    # --- time ----------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, times: Int64s, log: npt.NDArray[np.void] = NO_CHANGES) -> None:
        """Carry all load to `now_ms`, the end of a metric period; nothing happens when no time has passed.

        `times` [3, task set] are the task-milliseconds of each so far: running, able to answer, asked but no longer
        able; they must not change before the next tick. `log` is what befell the targets of exact services since then.
        """
        if now_ms <= self._now_ms or self.flows.size == 0:
            self._now_ms = max(now_ms, self._now_ms)
            return
        load.elapse(self._load, times)
        self._last = times
        if self._weighing:
            self._weigh(now_ms)
        self._exact.tick(now_ms, log, self._set_of, self.flows, self.backends)
        load.tick(self._load, self._now_ms, now_ms)
        self._now_ms = now_ms
        for index in sorted(self._closing):
            if self.backends["backlog"][index] == 0.0:
                self._unlink(index)
                self._closing.discard(index)

    def _weigh(self, now_ms: int) -> None:
        """Find the mean weight of each backend since the last tick; BY_TARGETS where it is not weighed now."""
        weighed = self._weighed_ms + self._weight * (now_ms - self._weight_since)
        means = weighed / (now_ms - self._now_ms)
        self._shares[:] = np.where(self._weight >= 0.0, means, load_records.BY_TARGETS)
        self._weighed_ms[:] = 0.0
        self._weight_since[:] = now_ms

    def use_of_sets(self, size: int) -> npt.NDArray[np.float64]:
        """The share of its reserved CPU that a running task of each of `size` task sets uses; 0 without load."""
        use = np.zeros(size)
        open_ = np.flatnonzero(self._set_of >= 0)
        use[self._set_of[open_]] = np.nan_to_num(self.backends["cpu_utilization"][open_]) / 100.0
        return use

    def sample(self) -> npt.NDArray[np.void]:
        """The `policy.load.fluid_sampling.SAMPLE` of each service since the last call; NaN for a service without
        load.
        """
        samples = np.zeros(len(self._services), load_sample.SAMPLE)
        for column in load_sample.SAMPLE.names or ():
            samples[column] = np.nan
        load_sample.close_sample(self._load, samples)
        self._exact.sample(samples)
        return samples

    def begin_summary(self) -> None:
        """Forget what was counted for the summary so far (the warm-up); call it right after a `sample`."""
        self._whole[:] = 0.0
        self._exact.begin_summary()
        self.flows["total_requests"] = 0.0
        self.flows["total_failed"] = 0.0

    def summary(self, service: int) -> TrafficSummary | None:
        """What the summary says of a service's requests up to the last `sample`; None: it has no load."""
        index = int(self.row_of[service])
        if index < 0:
            return None
        flow = self.flows[index]
        return TrafficSummary(
            round(float(flow["total_requests"])),
            round(float(flow["total_failed"])),
            self._whole_quantile(index, 0.50),
            self._whole_quantile(index, 0.99),
        )

    def _whole_quantile(self, flow: int, share: float) -> float:
        """The response time (s) that `share` of a flow's requests did not exceed; NaN: none."""
        exact = self._exact.whole_quantile(flow, share)
        return load_sample.whole_quantile(self._load, flow, share) if exact is None else exact


def _fill_flow(row: Any, service: int, asked: Load) -> None:
    """What of a flow does not change."""
    row["service"], row["first"] = service, NEVER
    row["kind"] = load_records.MESSAGES if asked.kind == "messages" else load_records.REQUESTS
    if asked.model == "exact":
        row["kind"] = load_records.EXACT
    row["timeout_s"] = asked.timeout_ms / _MS_PER_SECOND
    row["cpu_utilization"] = row["memory_utilization"] = row["per_target"] = np.nan
