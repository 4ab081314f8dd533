"""Load on services: keeps the tables of load, advances them through each metric period, samples them.

Decides nothing itself (`policy.load.fluid_model` does); it knows which services have load, which task sets answer it
and the properties of their tasks. It must not know scaling, placement or result files. Deployments open and close
backends and set the traffic weights between them. The wiring calls `tick` at the end of each metric period with the
task times that the world has counted; `control.scaling.service_autoscaler` reads `flows`, the series sampler calls
`sample`. A sample is a whole number of ticks: sampling more often than the metric period gives rows without load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from clustersim.control.load.exact_requests import NO_CHANGES, ExactRequests, StreamKeyOf
from clustersim.engine.array_block import pointer
from clustersim.engine.random_streams import EXPONENTIAL, stream_key
from clustersim.engine.records import Table2D, as_table, new_table
from clustersim.policy.load import fluid_model, fluid_sampling, fluid_tables
from clustersim.policy.load.load_series import LoadCursorRow, flatten_series
from clustersim.policy.load.response_curves import CURVE_SIZE, LEVELS, ROUND_ROBIN, ROUTING
from clustersim.policy.load.response_times import BUCKETS
from clustersim.policy.tasks.iam_evaluation import evaluate_calls
from clustersim.scenario.catalog.response_times import read_response_times
from clustersim.scenario.sections.behavior import Behavior, Lifecycle
from clustersim.scenario.sections.distributions import (
    distribution_cv2,
    distribution_mean,
    distribution_quantile,
)
from clustersim.scenario.sections.scenario import (
    Distribution,
    Load,
    Roles,
    Service,
    TargetGroup,
    TaskDefinition,
)
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, NEVER
from clustersim.world.build.fatal_misconfiguration import memory_limit_mib

Int64s = npt.NDArray[np.int64]

_MS_PER_SECOND = 1_000.0
_EXPONENTIAL = Distribution(code=EXPONENTIAL, a=1.0)
_STOP_TIMEOUT_S = 30.0  # SIGTERM to SIGKILL, ECS's default
_NO_TABLE = np.zeros((1, CURVE_SIZE))
_NO_SEED = partial(stream_key, 0, 0)


class TrafficSummary(NamedTuple):
    """A service's requests over the summarised time; the response times are NaN where there are none."""

    requests: int
    requests_failed: int
    response_time_p50_s: float
    response_time_p99_s: float


class Traffic:
    """The load of all services of a scenario.

    `flows` are `policy.load.fluid_tables.FLOW` records, one per service with load; `flow_of[service]` is its row or -1.
    """

    def __init__(
        self,
        services: Sequence[Service],
        task_definitions: Sequence[TaskDefinition],
        roles: Roles | None = None,
        target_groups: Sequence[TargetGroup] = (),
        key_of: StreamKeyOf = _NO_SEED,
    ) -> None:
        """Build the tables; `key_of` returns the random key of a stream by its name."""
        self._services = services
        self._roles = roles or Roles()
        self._definitions: Mapping[str, TaskDefinition] = {each.key: each for each in task_definitions}
        services_with_load = [(index, each) for index, each in enumerate(services) if each.load is not None]
        loaded = [(index, each.load) for index, each in services_with_load if each.load is not None]
        self._groups = {group.name: group for group in target_groups}
        self._exact = ExactRequests(services_with_load, self._groups, key_of)
        shares_cpu = any(each.kind == "requests" and each.model == "fluid" for _, each in loaded)
        self._response_table = read_response_times() if shares_cpu else _NO_TABLE
        self.flow_of: Int64s = np.full(len(services), NEVER, np.int64)
        self.flows: npt.NDArray[np.void] = new_table(fluid_tables.FlowRow, len(loaded))
        self.backends: npt.NDArray[np.void] = new_table(fluid_tables.BackendRow, 0)
        cursors, self._times, self._rates = flatten_series([each.series for _, each in loaded])
        self._cursors = np.stack((cursors, cursors), axis=1)
        self._histograms = np.zeros((len(loaded), BUCKETS))
        self._summary_histograms = np.zeros_like(self._histograms)
        self._set_of: Int64s = np.zeros(0, np.int64)  # of each backend; -1: the row is free
        self._closing: set[int] = set()
        self._seen: Int64s = np.zeros((3, 0), np.int64)  # task times of each backend, as last read
        self._last: Int64s = np.zeros((3, 0), np.int64)  # task times as of the last tick
        self._weight = np.zeros(0)  # of each backend, now
        self._weight_ms: npt.NDArray[np.float64] = np.zeros(0)  # weight x ms since the last tick
        self._weight_since: Int64s = np.zeros(0, np.int64)
        self.capacities: npt.NDArray[np.float64] = np.zeros(0)
        """The vCPUs that a ready task of each backend can use in the next metric period; by default its own."""
        self._service_quantiles = np.zeros((0, LEVELS.size))
        self._curves = np.zeros((0, CURVE_SIZE))
        self._any_weight = False  # a weight has been set
        self._any_memory_limit = False  # some task may exceed its memory limit
        self._now_ms = 0
        for row, (index, each) in enumerate(loaded):
            self.flow_of[index] = row
            _fill_flow(self.flows[row], index, each)
        self._grow(max(8, 2 * len(loaded)))

    def _grow(self, size: int) -> None:
        """Make room for `size` backends."""
        old = self.backends.size
        backends = new_table(fluid_tables.BackendRow, size)
        backends[:old] = self.backends
        backends["flow"][old:] = NEVER
        self.backends = backends
        self._exact.make_room(size)
        self._set_of = np.append(self._set_of, np.full(size - old, NEVER, np.int64))
        self._seen = np.append(self._seen, np.zeros((3, size - old), np.int64), axis=1)
        # The mean weight of each backend since the last tick.
        self._shares = np.full(size, fluid_tables.BY_TARGETS)
        self.capacities = np.append(self.capacities, np.ones(size - old))
        self._service_quantiles = np.append(
            self._service_quantiles, np.zeros((size - old, LEVELS.size)), axis=0
        )
        self._curves = np.append(self._curves, np.zeros((size - old, CURVE_SIZE)), axis=0)
        self._weight = np.append(self._weight, np.full(size - old, fluid_tables.BY_TARGETS))
        self._weight_ms = np.append(self._weight_ms, np.zeros(size - old))
        self._weight_since = np.append(self._weight_since, np.zeros(size - old, np.int64))
        self._kernel = pointer(
            fluid_tables.LoadTables(
                as_table(fluid_tables.FlowRow, self.flows),
                backends,
                cast(Table2D[LoadCursorRow], self._cursors),
                self._times,
                self._rates,
                self._histograms,
                self._summary_histograms,
                self._set_of,
                self._seen,
                np.zeros((3, size), np.int64),
                self._shares,
                self.capacities,
                self._response_table,
                self._curves,
                self._service_quantiles,
                np.zeros(LEVELS.size),
                new_table(fluid_tables.LoadSumsRow, 1),
            )
        )

    # --- backends ------------------------------------------------------------------------------------------

    def open_backend(self, service: int, row: int, task_definition: str) -> None:
        """Let task set `row` of `service` answer requests from now on; its tasks are of `task_definition`.

        A task without a CPU reservation counts as one vCPU, since it needs some speed.
        """
        flow = int(self.flow_of[service])
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
        if row < self._last.shape[1]:  # a rollback opens a task set again
            self._seen[:, index] = self._last[:, row]
        self._weight[index] = fluid_tables.BY_TARGETS
        self._weight_ms[index] = 0.0
        self._weight_since[index] = self._now_ms
        self.backends[index] = np.zeros((), fluid_tables.BackendRow.dtype)
        backend = self.backends[index]
        backend["flow"], backend["next"] = flow, self.flows[flow]["first"]
        self.flows[flow]["first"] = index
        self._fill_backend(backend, service, task_definition)
        self._fill_service_time(index, service)
        self._exact.open_backend(index, flow, backend)

    def _fill_backend(self, row: np.void, service: int, task_definition: str) -> None:
        """Fill in the properties of a revision's tasks, and the resources that a request takes."""
        definition = self._definitions[task_definition]
        load = self._services[service].load
        assert load is not None
        behavior = dict(self._services[service].behaviors).get(task_definition)
        cpu_time_ms, memory = load.cpu_time_ms, None
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
            row["denied_share"] = evaluate_calls(behavior.calls, role).failing_share
        row["cpu_time_s"] = cpu_time_ms / _MS_PER_SECOND
        row["memory_base_mib"] = load.memory_base_mib if memory is None else memory.base_mib
        per_request = load.memory_per_request_mib if memory is None else memory.per_concurrent_request_mib
        row["memory_per_request_mib"] = per_request
        uses_memory = bool(row["memory_base_mib"] > 0 or per_request > 0)
        self._any_memory_limit = self._any_memory_limit or (uses_memory and bool(row["memory_limit_mib"] > 0))
        row["stop_s"] = _mean_stop_s(behavior)
        row["processing_s"] = load.processing_time_ms / _MS_PER_SECOND
        row["concurrency"] = max(load.concurrency_per_task, 1)

    def _fill_service_time(self, index: int, service: int) -> None:
        """Fill in how the service times of a backend vary, and what the load balancer does."""
        load, row = self._services[service].load, self.backends[index]
        assert load is not None
        self.capacities[index] = row["vcpu"]
        groups = self._services[service].target_groups
        group = self._groups.get(groups[0]) if groups else None
        row["routing"] = ROUTING[group.routing] if group is not None else ROUND_ROBIN
        given = load.service_time or _EXPONENTIAL
        mean = distribution_mean(given)
        row["service_cv2"] = distribution_cv2(given)
        if load.service_time is not None:
            row["wait_s"] = max(mean / _MS_PER_SECOND - row["cpu_time_s"], 0.0)
        self._service_quantiles[index] = [
            distribution_quantile(given, share) / mean if mean > 0.0 else 1.0 for share in LEVELS
        ]

    def task_sets_over_memory_limit(self) -> list[int]:
        """Return the task sets whose tasks used more memory than allowed in the metric period that just ended."""
        if not self._any_memory_limit:
            return []
        rows = self.backends
        over_limit = (rows["memory_limit_mib"] > 0) & (rows["memory_use_mib"] > rows["memory_limit_mib"])
        return [int(row) for row in self._set_of[over_limit & (rows["flow"] >= 0)]]

    def close_backend(self, row: int) -> None:
        """Close the backend of task set `row`, which has no task left, once its backlog has been counted."""
        self._closing |= {int(index) for index in np.flatnonzero(self._set_of == row)}

    def _unlink(self, index: int) -> None:
        """Remove a backend from the list of its flow."""
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
        self._exact.close_backend(index)

    def set_weights(self, now_ms: int, weights: Mapping[int, float]) -> None:
        """Give the task sets these shares (0 to 1) of their service's requests from now on.

        BY_TARGETS means the share of its targets, and then applies to the whole metric period.
        """
        for row, weight in weights.items():
            for index in np.flatnonzero(self._set_of == row):
                before = self._weight[index] if self._weight[index] >= 0.0 else weight
                since = max(int(self._weight_since[index]), self._now_ms)
                self._weight_ms[index] += max(before, 0.0) * (now_ms - since)
                self._any_weight = self._any_weight or weight >= 0.0
                self._weight_since[index] = now_ms
                self._weight[index] = weight
                self._exact.set_weight(now_ms, int(index), weight)

    # --- time ----------------------------------------------------------------------------------------------

    def tick(self, now_ms: int, times: Int64s, log: npt.NDArray[np.void] = NO_CHANGES) -> None:
        """Advance all load to `now_ms`, the end of a metric period; do nothing if no time has passed.

        `times` [3, task set] are the task-milliseconds of each so far: running, able to answer, addressed but no longer
        able; they must not change before the next tick. `log` are the changes of the targets of exact services since
        the last tick.
        """
        if now_ms <= self._now_ms or self.flows.size == 0:
            self._now_ms = max(now_ms, self._now_ms)
            return
        fluid_model.record_elapsed(self._kernel, times)
        self._last = times
        if self._any_weight:
            self._update_shares(now_ms)
        self._exact.tick(now_ms, log, self._set_of, self.flows, self.backends)
        fluid_model.advance_load(self._kernel, self._now_ms, now_ms)
        self._now_ms = now_ms
        for index in sorted(self._closing):
            if self.backends["backlog"][index] == 0.0:
                self._unlink(index)
                self._closing.discard(index)

    def _update_shares(self, now_ms: int) -> None:
        """Compute the mean weight of each backend since the last tick; BY_TARGETS where it has none now."""
        weighed = self._weight_ms + self._weight * (now_ms - self._weight_since)
        means = weighed / (now_ms - self._now_ms)
        self._shares[:] = np.where(self._weight >= 0.0, means, fluid_tables.BY_TARGETS)
        self._weight_ms[:] = 0.0
        self._weight_since[:] = now_ms

    def cpu_use_by_task_set(self, size: int) -> npt.NDArray[np.float64]:
        """Return the share of its reserved CPU that a running task of each of `size` task sets uses; 0 without load."""
        use = np.zeros(size)
        open_ = np.flatnonzero(self._set_of >= 0)
        use[self._set_of[open_]] = np.nan_to_num(self.backends["cpu_utilization"][open_]) / 100.0
        return use

    def sample(self) -> npt.NDArray[np.void]:
        """Return the `policy.load.fluid_sampling.SAMPLE` of each service since the last call; NaN for a service without
        load.
        """
        samples = new_table(fluid_sampling.LoadSampleRow, len(self._services))
        for column in fluid_sampling.LoadSampleRow.dtype.names or ():
            samples[column] = np.nan
        fluid_sampling.close_sample(self._kernel, samples)
        self._exact.sample(samples)
        return samples

    def begin_summary(self) -> None:
        """Forget the counts for the summary so far (the warm-up); call it right after a `sample`."""
        self._summary_histograms[:] = 0.0
        self._exact.begin_summary()
        self.flows["total_requests"] = 0.0
        self.flows["total_failed"] = 0.0

    def summary(self, service: int) -> TrafficSummary | None:
        """Return the summary of a service's requests up to the last `sample`; None if it has no load."""
        index = int(self.flow_of[service])
        if index < 0:
            return None
        flow = self.flows[index]
        return TrafficSummary(
            round(float(flow["total_requests"])),
            round(float(flow["total_failed"])),
            self._summary_quantile(index, 0.50),
            self._summary_quantile(index, 0.99),
        )

    def share_within(self, service: int, seconds: float) -> float:
        """Return the share of a service's answered requests that took at most `seconds`; NaN without requests."""
        index = int(self.flow_of[service])
        if index < 0:
            return float("nan")
        exact = self._exact.summary_share_within(index, seconds)
        return fluid_sampling.run_share_within(self._kernel, index, seconds) if exact is None else exact

    def _summary_quantile(self, flow: int, share: float) -> float:
        """Return the response time (s) that `share` of a flow's requests did not exceed; NaN without requests."""
        exact = self._exact.summary_quantile(flow, share)
        return fluid_sampling.run_quantile(self._kernel, flow, share) if exact is None else exact


def _mean_stop_s(behavior: Behavior | None) -> float:
    """Return the mean time (s) in which a task that is stopped may finish its messages; None never exits by itself."""
    stop_time = Lifecycle().stop_time if behavior is None else behavior.stop_time
    return _STOP_TIMEOUT_S if stop_time is None else distribution_mean(stop_time) / _MS_PER_SECOND


def _fill_flow(row: Any, service: int, load: Load) -> None:
    """Fill in the constant fields of a flow."""
    row["service"], row["first"] = service, NEVER
    row["kind"] = fluid_tables.MESSAGES if load.kind == "messages" else fluid_tables.REQUESTS
    if load.model == "exact":
        row["kind"] = fluid_tables.EXACT
    row["timeout_s"] = load.timeout_ms / _MS_PER_SECOND
    row["burstiness"] = load.burstiness
    row["visibility_s"] = load.visibility_timeout_ms / _MS_PER_SECOND
    row["cpu_utilization"] = row["memory_utilization"] = row["per_target"] = np.nan
