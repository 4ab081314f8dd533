"""Who calls the services: keeps the load records, carries them through each metric period, samples them.

Decides nothing itself (`policy.load` does); it knows which service has load and what its tasks are. It must
not know scaling, placement or results files. The wiring calls `tick` at the end of each metric period with
the ready task-milliseconds of that period, `control.autoscaler` reads `rows`, the meter calls `sample`. A
sample is a whole number of ticks: sampling more often than the metric period gives rows without load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clustersim.engine.pointer import pointer
from clustersim.policy import demand, load, response
from clustersim.scenario.model import Load, Service, TaskDefinition
from clustersim.vocabulary import CPU_UNITS_PER_VCPU

Int64s = npt.NDArray[np.int64]

_MS_PER_SECOND = 1_000.0


class TrafficSummary(NamedTuple):
    """A service's requests over the summarised time; the response times are NaN where there are none."""

    requests: int
    requests_failed: int
    response_time_p50_s: float
    response_time_p99_s: float


class Traffic:
    """The load of all services of a scenario.

    `rows` are `policy.load.LOAD` records, one per service with load; `row_of[service]` is its row or -1.
    """

    def __init__(self, services: Sequence[Service], task_definitions: Sequence[TaskDefinition]) -> None:
        self._services = services
        self._definitions: Mapping[str, TaskDefinition] = {each.key: each for each in task_definitions}
        loaded = [(index, each.load) for index, each in enumerate(services) if each.load is not None]
        self.row_of: Int64s = np.full(len(services), -1, np.int64)
        self.rows: npt.NDArray[np.void] = np.zeros(len(loaded), load.LOAD)
        cursors, times, rates = demand.flatten([each.series for _, each in loaded])
        histograms = np.zeros((len(loaded), response.BUCKETS))
        self._whole = np.zeros_like(histograms)
        readers = np.stack((cursors, cursors), axis=1)
        self._flows = pointer(load.Flows(self.rows, readers, times, rates, histograms, self._whole))
        self._now_ms = 0
        for row, (index, each) in enumerate(loaded):
            self.row_of[index] = row
            _fill(self.rows[row], index, each)
            self.resize(index, services[index].task_definition)

    def resize(self, service: int, task_definition: str) -> None:
        """From now on all tasks of `service` are of `task_definition`: their size, what a request costs.

        A task without a CPU reservation counts as one vCPU, since it needs some speed. While two revisions
        run side by side the load model knows one of them only; the caller says which.
        """
        if self.row_of[service] < 0:
            return
        row = self.rows[self.row_of[service]]
        definition = self._definitions[task_definition]
        row["vcpu"] = (definition.cpu or CPU_UNITS_PER_VCPU) / CPU_UNITS_PER_VCPU
        row["memory_mib"] = max(definition.memory_mib, 1)
        asked = self._services[service].load
        assert asked is not None
        behavior = dict(self._services[service].behaviors).get(task_definition)
        cpu_time_ms, memory = asked.cpu_time_ms, None
        if behavior is not None:
            if behavior.cpu_time_per_request_ms is not None:
                cpu_time_ms = behavior.cpu_time_per_request_ms
            memory = behavior.memory_per_task
        row["cpu_time_s"] = cpu_time_ms / _MS_PER_SECOND
        row["memory_base_mib"] = asked.memory_base_mib if memory is None else memory.base_mib
        per_request = asked.memory_per_request_mib if memory is None else memory.per_concurrent_request_mib
        row["memory_per_request_mib"] = per_request
        load.derive(self._flows, int(self.row_of[service]))

    def tick(self, now_ms: int, running: Int64s, ready_ms: Int64s) -> None:
        """Carry all load to `now_ms`, the end of a metric period (ms).

        `running` is the running count of each service now, `ready_ms` the integral since the last tick of its
        tasks that can answer (task-milliseconds). Nothing happens when no time has passed.
        """
        if now_ms <= self._now_ms or self.rows.size == 0:
            self._now_ms = max(now_ms, self._now_ms)
            return
        load.tick(self._flows, self._now_ms, now_ms, running, ready_ms)
        self._now_ms = now_ms

    def sample(self) -> npt.NDArray[np.void]:
        """The `policy.load.SAMPLE` of each service since the last call; NaN for a service without load."""
        samples = np.zeros(len(self._services), load.SAMPLE)
        for column in load.SAMPLE.names or ():
            samples[column] = np.nan
        load.close_sample(self._flows, samples)
        return samples

    def begin_summary(self) -> None:
        """Forget what was counted for the summary so far (the warm-up); call it right after a `sample`."""
        self._whole[:] = 0.0
        self.rows["total_requests"] = 0.0
        self.rows["total_failed"] = 0.0

    def summary(self, service: int) -> TrafficSummary | None:
        """What the summary says of a service's requests up to the last `sample`; None: it has no load."""
        index = int(self.row_of[service])
        if index < 0:
            return None
        row = self.rows[index]
        return TrafficSummary(
            round(float(row["total_requests"])),
            round(float(row["total_failed"])),
            load.whole_quantile(self._flows, index, 0.50),
            load.whole_quantile(self._flows, index, 0.99),
        )


def _fill(row: np.void, service: int, asked: Load) -> None:
    """What of a load record does not depend on the task definition."""
    row["service"] = service
    row["kind"] = load.MESSAGES if asked.kind == "messages" else load.REQUESTS
    row["timeout_s"] = asked.timeout_ms / _MS_PER_SECOND
    row["processing_s"] = asked.processing_time_ms / _MS_PER_SECOND
    row["concurrency"] = max(asked.concurrency_per_task, 1)
    row["cpu_utilization"] = row["memory_utilization"] = row["per_target"] = np.nan
