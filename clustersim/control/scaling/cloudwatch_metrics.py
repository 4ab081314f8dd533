"""CloudWatch metrics: one number per metric and owner, computed anew each metric period.

Reads the world and the load and decides nothing. Owners are columns: the services, the Auto Scaling groups, the
cluster, the capacity providers; metrics are rows (`policy.scaling.cloudwatch_metrics.Metric`). Alarms read the matrix;
only the metrics that some alarm uses are filled in. The wiring calls `update` after the load of a period has been
advanced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.control.load.traffic import Traffic
from clustersim.policy.scaling.cloudwatch_metrics import Metric, MetricReference, Subject
from clustersim.scenario.sections.deployment import ROLLING
from clustersim.scenario.sections.scaling import REQUESTS_PER_TARGET, TargetTracking
from clustersim.scenario.sections.scenario import Service
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, TaskState
from clustersim.world.state.world import World

_FLOW_COLUMNS = {
    Metric.CPU: "cpu_utilization",
    Metric.MEMORY: "memory_utilization",
    Metric.REQUESTS: "requests",
    Metric.REQUESTS_PER_TARGET: "per_target",
    Metric.FAILED_REQUESTS: "failed",
    Metric.QUEUE_DEPTH: "visible",
    Metric.MESSAGES_IN_FLIGHT: "in_flight",
    Metric.OLDEST_AGE: "oldest_age_s",
    Metric.RESPONSE_TIME: "response_s",
    Metric.MESSAGES_DELETED: "served",
}
_SERVICE_COLUMNS = {
    Metric.RUNNING_TASKS: "running",
    Metric.DESIRED_TASKS: "desired",
    Metric.HEALTHY_TARGETS: "healthy",
}


_TASK_SET_METRICS = (
    *(Metric.UNHEALTHY_TARGETS, Metric.CPU_RESERVED, Metric.CPU_USED),
    *(Metric.MEMORY_RESERVED, Metric.MEMORY_USED, Metric.DEPLOYMENTS),
)

_SHARES = (Metric.CPU, Metric.MEMORY)  # used amounts are computed from these

Reservation = Callable[[str], float]
"""The CapacityProviderReservation of a provider, NaN where there is none."""


def _counts_requests_of_one_group(service: Service) -> bool:
    """Return whether a service shifts traffic between target groups and scales by the requests of one of them."""
    policies = service.auto_scaling.policies if service.auto_scaling is not None else ()
    counting = any(isinstance(p, TargetTracking) and p.metric == REQUESTS_PER_TARGET for p in policies)
    return counting and service.deployment.strategy != ROLLING


class CloudWatchMetrics:
    """The matrix `values[metric, owner]` of a run; NaN where there is no datapoint."""

    def __init__(self, world: World, traffic: Traffic, reservation: Reservation) -> None:
        self.world = world
        self.traffic = traffic
        self.reservation = reservation
        names = world.names
        owners = {
            Subject.SERVICE: names.services,
            Subject.GROUP: names.pools,
            Subject.CLUSTER: [""],
            Subject.PROVIDER: names.providers,
        }
        self._first: dict[Subject, int] = {}
        self._names = owners
        count = 0
        for subject, names_of_kind in owners.items():
            self._first[subject] = count
            count += len(names_of_kind)
        self._target_groups = {
            target: number
            for number, service in enumerate(world.scenario.services)
            for target in service.target_groups
        }
        self.values: npt.NDArray[np.float64] = np.full((len(Metric), count), np.nan)
        loaded = traffic.flows["service"]  # ascending, so they form a slice if all services have load
        self._loaded = slice(loaded.size) if loaded.size == len(names.services) else loaded.copy()
        self._labelled = np.array(
            [
                n
                for n, service in enumerate(world.scenario.services)
                if _counts_requests_of_one_group(service)
            ],
            np.int64,
        )
        self._guest_vcpu = self._guest_vcpu_by_class()
        self._requested: set[tuple[Metric, Subject]] = set()
        self._warmup_ms = np.zeros(max(1, len(names.pools)), np.int64)
        for number, group in enumerate(world.scenario.groups):
            self._warmup_ms[number] = group.policy_warmup_ms if group.policies else 0

    def _guest_vcpu_by_class(self) -> npt.NDArray[np.float64]:
        """Return, by class, the vCPUs that the guest operating system of a virtual machine takes and uses."""
        classes, pools = self.world.state.capacity.classes, self.world.scenario.pools
        guests = np.array(
            [0 if pool.machines is None else pool.machines.guest_cpu for pool in pools], np.float64
        )
        return guests[classes["pool"]] / CPU_UNITS_PER_VCPU if pools else np.zeros(classes.size)

    def column(self, named: MetricReference, own: int) -> int:
        """Return the column of a named metric, which is filled in from now on; `own` is the default owner.

        Raises ValueError for an owner that the scenario does not have.
        """
        self._requested.add((named.metric, named.subject))
        if named.subject == Subject.CLUSTER:
            return self._first[Subject.CLUSTER]
        if named.owner is None:
            return self._first[named.subject] + own
        if named.subject == Subject.SERVICE and named.owner in self._target_groups:
            return self._target_groups[named.owner]
        if named.owner not in self._names[named.subject]:
            kind = named.subject.name.lower()
            raise ValueError(f"the dimension names no {kind}: {named.owner!r}")
        return self._first[named.subject] + self._names[named.subject].index(named.owner)

    def update(self, now: int) -> None:
        """Fill in the matrix for the metric period that ends at `now`."""
        values, services = self.values, self.world.state.services.rows
        flows = self.traffic.flows
        of_sets = self._is_requested(Subject.SERVICE, *_TASK_SET_METRICS)
        for metric, column in _FLOW_COLUMNS.items():
            if (metric, Subject.SERVICE) in self._requested or (of_sets and metric in _SHARES):
                values[metric, self._loaded] = flows[column]
        for metric, column in _SERVICE_COLUMNS.items():
            if (metric, Subject.SERVICE) in self._requested:
                values[metric, : services.size] = services[column]
        if self._is_requested(Subject.SERVICE, Metric.PENDING_TASKS):
            values[Metric.PENDING_TASKS, : services.size] = services["pending"] + services["provisioning"]
        if self._labelled.size:
            self._keep_labelled_group()
        if of_sets:
            self._update_from_task_sets()
        if any(subject == Subject.CLUSTER for _, subject in self._requested):
            self._update_cluster()
        if any(subject == Subject.GROUP for _, subject in self._requested):
            self._update_groups(now)
        if any(subject == Subject.PROVIDER for _, subject in self._requested):
            first = self._first[Subject.PROVIDER]
            for number, name in enumerate(self.world.names.providers):
                values[Metric.PROVIDER_RESERVATION, first + number] = self.reservation(name)

    def _keep_labelled_group(self) -> None:
        """Reduce the requests per target of services that shift traffic to the target group that their policy names."""
        services = self.world.state.services.rows[self._labelled]
        targets = self.world.state.sets.rows["healthy"][services["label_set"]]
        with np.errstate(invalid="ignore", divide="ignore"):
            share = services["label_share"] * services["healthy"] / targets
        share = np.where(
            services["label_set"] < 0, 1.0, np.where(services["label_share"] > 0.0, share, np.nan)
        )
        self.values[Metric.REQUESTS_PER_TARGET, self._labelled] *= share

    def _is_requested(self, subject: Subject, *metrics: Metric) -> bool:
        return any((metric, subject) in self._requested for metric in metrics)

    def _update_from_task_sets(self) -> None:
        """Fill in the metrics that are sums over a service's task sets."""
        state = self.world.state
        count = state.services.rows.size
        sets = state.sets.rows[: self.world.sets_used]
        sets = sets[sets["service"] >= 0]
        live = sets["running"] + sets["pending"] + sets["provisioning"] > 0
        definitions = self.world.scenario.task_definitions
        cpu = np.array([d.cpu for d in definitions], np.float64)[sets["definition"]]
        memory = np.array([d.memory_mib for d in definitions], np.float64)[sets["definition"]]

        def summed(weights: Any) -> Any:
            return np.bincount(sets["service"], weights=weights, minlength=count)

        values = self.values
        values[Metric.UNHEALTHY_TARGETS, :count] = summed(sets["unhealthy"])
        values[Metric.DEPLOYMENTS, :count] = summed(live)
        values[Metric.CPU_RESERVED, :count] = summed(sets["running"] * cpu)
        values[Metric.MEMORY_RESERVED, :count] = summed(sets["running"] * memory)
        for used, reserved, share in (
            (Metric.CPU_USED, Metric.CPU_RESERVED, Metric.CPU),
            (Metric.MEMORY_USED, Metric.MEMORY_RESERVED, Metric.MEMORY),
        ):
            values[used, :count] = values[reserved, :count] * values[share, :count] / 100.0

    def _virtual_machines(self) -> npt.NDArray[np.int64]:
        """Return the slots of the virtual machines that have booted."""
        slots = self.world.live_instances()
        instances, pools = self.world.state.instances.rows[slots], self.world.scenario.pools
        of_machines = np.array([pool.machines is not None for pool in pools] or [False])
        groups = self.world.state.capacity.classes["pool"][instances["instance_class"]]
        booted: npt.NDArray[np.int64] = slots[of_machines[groups] & (instances["registered"] >= 0)]
        return booted

    def _update_cluster(self) -> None:
        """Fill in the reservation and use of all container instances; virtual machines are not in the cluster."""
        state = self.world.state
        virtual_machines = self._virtual_machines()
        hosts = state.instances.rows[virtual_machines]
        machines = state.capacity.classes[hosts["instance_class"]]
        column = self._first[Subject.CLUSTER]
        providers = state.capacity.providers
        ec2 = providers["registered_cpu"] > 0
        values = self.values
        for metric, resource in ((Metric.CPU_RESERVATION, "cpu"), (Metric.MEMORY_RESERVATION, "memory")):
            registered = float(providers[f"registered_{resource}"].sum() - machines[resource].sum())
            reserved = float(providers[resource][ec2].sum() - hosts[f"used_{resource}"].sum())
            values[metric, column] = 100.0 * reserved / registered if registered else np.nan
        values[Metric.IN_SERVICE_INSTANCES, column] = int(providers["registered"].sum()) - hosts.size
        values[Metric.RUNNING_TASKS, column] = int(providers["running"].sum() - hosts["task_count"].sum())
        if self._is_requested(Subject.CLUSTER, Metric.CPU):
            measured = np.ones(state.instances.rows.size, np.bool_)
            measured[virtual_machines] = False
            used = self._used_vcpu(measured)
            registered = float(providers["registered_cpu"].sum() - machines["cpu"].sum()) / CPU_UNITS_PER_VCPU
            values[Metric.CPU, column] = 100.0 * float(used.sum()) / registered if registered else np.nan

    def _update_groups(self, now: int) -> None:
        """Fill in the sizes of the groups, and the CPU use of their instances, except those warming up."""
        state = self.world.state
        first, count = self._first[Subject.GROUP], len(self.world.names.pools)
        instances = state.instances.rows[self.world.live_instances()]
        in_service = instances["registered"] >= 0
        groups = state.capacity.classes["pool"][instances["instance_class"]]
        sizes = np.bincount(groups[in_service], minlength=count)
        self.values[Metric.IN_SERVICE_INSTANCES, first : first + count] = sizes
        self.values[Metric.DESIRED_CAPACITY, first : first + count] = np.bincount(groups, minlength=count)
        if self._is_requested(Subject.GROUP, Metric.CPU):
            warm = self.warm(self.world.live_instances(), now)
            guest = self._guest_vcpu[instances["instance_class"]]
            vcpu = state.capacity.classes["cpu"][instances["instance_class"]] / CPU_UNITS_PER_VCPU + guest
            registered = np.bincount(groups[warm], weights=vcpu[warm], minlength=count)
            measured = np.zeros(state.instances.rows.size, np.bool_)
            measured[self.world.live_instances()] = warm
            with np.errstate(invalid="ignore", divide="ignore"):
                of_guests = np.bincount(groups[warm], weights=guest[warm], minlength=count)
                percent = 100.0 * (self._used_vcpu(measured) + of_guests) / registered
            self.values[Metric.CPU, first : first + count] = np.where(registered > 0, percent, np.nan)

    def warm(self, slots: npt.NDArray[np.int64], now: int) -> npt.NDArray[np.bool_]:
        """Return which of the instances in `slots` are registered and past the warm-up of their group.

        Those of the first instant count as warm.
        """
        instances = self.world.state.instances.rows[slots]
        warmup = self._warmup_ms[self.world.state.capacity.classes["pool"][instances["instance_class"]]]
        registered = instances["registered"]
        return np.asarray((registered == 0) | ((registered > 0) & (now - registered >= warmup)), np.bool_)

    def _used_vcpu(self, measured: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """Return the vCPUs in use on each group's instances whose slots are `measured`.

        A task of a service with load uses what its load says, one of a service without load nothing, a standalone task
        all that it reserves (MODEL.md: choices).
        """
        state = self.world.state
        tasks = state.tasks.rows[self.world.live_tasks()]
        tasks = tasks[(tasks["state"] == TaskState.RUNNING) & (tasks["instance_slot"] >= 0)]
        tasks = tasks[measured[tasks["instance_slot"]]]
        sets = state.sets.rows[tasks["set"]]
        share = np.where(
            sets["service"] >= 0, self.traffic.cpu_use_by_task_set(state.sets.rows.size)[tasks["set"]], 1.0
        )
        groups = state.capacity.classes["pool"][
            state.instances.rows["instance_class"][tasks["instance_slot"]]
        ]
        used = tasks["cpu"] / CPU_UNITS_PER_VCPU * share
        size = len(self.world.names.pools)
        return np.bincount(groups, weights=used, minlength=size).astype(np.float64)
