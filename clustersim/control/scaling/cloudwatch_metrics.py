"""What CloudWatch would show: one number per metric and owner, filled anew each metric period.

Reads the world and the load and decides nothing. Owners are columns: the services, the Auto Scaling groups, the
cluster, the capacity providers; metrics are rows (`policy.scaling.cloudwatch_metrics.Metric`). Alarms read the
matrix; only what some alarm asks for is filled. The wiring calls `take` when the load of a period has been carried.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from clustersim.control.load.traffic import Traffic
from clustersim.policy.scaling.cloudwatch_metrics import Metric, Named, Subject
from clustersim.vocabulary import CPU_UNITS_PER_VCPU, TaskState
from clustersim.world.state.world import World

_OF_FLOWS = {
    Metric.CPU: "cpu_utilization",
    Metric.MEMORY: "memory_utilization",
    Metric.REQUESTS: "requests",
    Metric.REQUESTS_PER_TARGET: "per_target",
    Metric.FAILED_REQUESTS: "failed",
    Metric.QUEUE_DEPTH: "backlog",
    Metric.OLDEST_AGE: "oldest_age_s",
    Metric.RESPONSE_TIME: "response_s",
    Metric.MESSAGES_DELETED: "served",
}
_OF_SERVICES = {
    Metric.RUNNING_TASKS: "running",
    Metric.DESIRED_TASKS: "desired",
    Metric.HEALTHY_TARGETS: "healthy",
}


_OF_SETS = (
    *(Metric.UNHEALTHY_TARGETS, Metric.CPU_RESERVED, Metric.CPU_USED),
    *(Metric.MEMORY_RESERVED, Metric.MEMORY_USED, Metric.DEPLOYMENTS),
)

_SHARES = (Metric.CPU, Metric.MEMORY)  # what is used of the reserved is computed from them

Reservation = Callable[[str], float]
"""The CapacityProviderReservation of a provider, NaN where there is none."""


class Measures:
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
        for subject, those in owners.items():
            self._first[subject] = count
            count += len(those)
        self._target_groups = {
            target: number
            for number, service in enumerate(world.scenario.services)
            for target in service.target_groups
        }
        self.values: npt.NDArray[np.float64] = np.full((len(Metric), count), np.nan)
        loaded = traffic.flows["service"]  # ascending, so all of them are a stretch
        self._loaded = slice(loaded.size) if loaded.size == len(names.services) else loaded.copy()
        self._guest_vcpu = self._guests()
        self._asked: set[tuple[Metric, Subject]] = set()
        self._warmup_ms = np.zeros(max(1, len(names.pools)), np.int64)
        for number, group in enumerate(world.scenario.groups):
            self._warmup_ms[number] = group.policy_warmup_ms if group.policies else 0

    def _guests(self) -> npt.NDArray[np.float64]:
        """By class: the vCPUs that the guest operating system of a virtual machine takes, and uses."""
        classes, pools = self.world.state.classes, self.world.scenario.pools
        guests = np.array(
            [0 if pool.machines is None else pool.machines.guest_cpu for pool in pools], np.float64
        )
        return guests[classes["group"]] / CPU_UNITS_PER_VCPU if pools else np.zeros(classes.size)

    def column(self, named: Named, own: int) -> int:
        """The column of a named metric, that of owner `own` where nobody is named; it will be filled from now on.

        Raises ValueError for an owner that the scenario does not have.
        """
        self._asked.add((named.metric, named.subject))
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

    def take(self, now: int) -> None:
        """Fill the matrix for the metric period that ends at `now`."""
        values, services = self.values, self.world.state.services
        flows = self.traffic.flows
        of_sets = self._asked_of(Subject.SERVICE, *_OF_SETS)
        for metric, column in _OF_FLOWS.items():
            if (metric, Subject.SERVICE) in self._asked or (of_sets and metric in _SHARES):
                values[metric, self._loaded] = flows[column]
        for metric, column in _OF_SERVICES.items():
            if (metric, Subject.SERVICE) in self._asked:
                values[metric, : services.size] = services[column]
        if self._asked_of(Subject.SERVICE, Metric.PENDING_TASKS):
            values[Metric.PENDING_TASKS, : services.size] = services["pending"] + services["provisioning"]
        if of_sets:
            self._take_sets()
        if any(subject == Subject.CLUSTER for _, subject in self._asked):
            self._take_cluster()
        if any(subject == Subject.GROUP for _, subject in self._asked):
            self._take_groups(now)
        if any(subject == Subject.PROVIDER for _, subject in self._asked):
            first = self._first[Subject.PROVIDER]
            for number, name in enumerate(self.world.names.providers):
                values[Metric.PROVIDER_RESERVATION, first + number] = self.reservation(name)

    def _asked_of(self, subject: Subject, *metrics: Metric) -> bool:
        return any((metric, subject) in self._asked for metric in metrics)

    def _take_sets(self) -> None:
        """What a service's task sets add up to."""
        state = self.world.state
        count = state.services.size
        sets = state.sets[: self.world.sets_used]
        sets = sets[sets["service"] >= 0]
        live = sets["running"] + sets["pending"] + sets["provisioning"] > 0
        definitions = self.world.scenario.task_definitions
        cpu = np.array([d.cpu for d in definitions], np.float64)[sets["definition"]]
        memory = np.array([d.memory_mib for d in definitions], np.float64)[sets["definition"]]

        def summed(weights: Any) -> Any:
            return np.bincount(sets["service"], weights=weights, minlength=count)

        values = self.values
        values[Metric.UNHEALTHY_TARGETS, :count] = summed(sets["unwell"])
        values[Metric.DEPLOYMENTS, :count] = summed(live)
        values[Metric.CPU_RESERVED, :count] = summed(sets["running"] * cpu)
        values[Metric.MEMORY_RESERVED, :count] = summed(sets["running"] * memory)
        for used, reserved, share in (
            (Metric.CPU_USED, Metric.CPU_RESERVED, Metric.CPU),
            (Metric.MEMORY_USED, Metric.MEMORY_RESERVED, Metric.MEMORY),
        ):
            values[used, :count] = values[reserved, :count] * values[share, :count] / 100.0

    def _machines(self) -> npt.NDArray[np.int64]:
        """The slots of the virtual machines that have booted."""
        slots = self.world.live_instances()
        instances, pools = self.world.state.instances[slots], self.world.scenario.pools
        of_machines = np.array([pool.machines is not None for pool in pools] or [False])
        groups = self.world.state.classes["group"][instances["klass"]]
        found: npt.NDArray[np.int64] = slots[of_machines[groups] & (instances["registered"] >= 0)]
        return found

    def _take_cluster(self) -> None:
        """Reservations of all container instances, and their use; virtual machines are not of the cluster."""
        state = self.world.state
        apart = self._machines()
        hosts = state.instances[apart]
        machines = state.classes[hosts["klass"]]
        column = self._first[Subject.CLUSTER]
        providers = state.providers
        ec2 = providers["registered_cpu"] > 0
        values = self.values
        for metric, held in ((Metric.CPU_RESERVATION, "cpu"), (Metric.MEMORY_RESERVATION, "memory")):
            registered = float(providers[f"registered_{held}"].sum() - machines[held].sum())
            reserved = float(providers[held][ec2].sum() - hosts[f"used_{held}"].sum())
            values[metric, column] = 100.0 * reserved / registered if registered else np.nan
        values[Metric.IN_SERVICE_INSTANCES, column] = int(providers["registered"].sum()) - hosts.size
        values[Metric.RUNNING_TASKS, column] = int(providers["running"].sum() - hosts["task_count"].sum())
        if self._asked_of(Subject.CLUSTER, Metric.CPU):
            measured = np.ones(state.instances.size, np.bool_)
            measured[apart] = False
            used = self._used_vcpu(measured)
            registered = float(providers["registered_cpu"].sum() - machines["cpu"].sum()) / CPU_UNITS_PER_VCPU
            values[Metric.CPU, column] = 100.0 * float(used.sum()) / registered if registered else np.nan

    def _take_groups(self, now: int) -> None:
        """Sizes of the groups, and what their instances use of their CPU, without those that warm up."""
        state = self.world.state
        first, count = self._first[Subject.GROUP], len(self.world.names.pools)
        instances = state.instances[self.world.live_instances()]
        up = instances["registered"] >= 0
        groups = state.classes["group"][instances["klass"]]
        sizes = np.bincount(groups[up], minlength=count)
        self.values[Metric.IN_SERVICE_INSTANCES, first : first + count] = sizes
        self.values[Metric.DESIRED_CAPACITY, first : first + count] = np.bincount(groups, minlength=count)
        if self._asked_of(Subject.GROUP, Metric.CPU):
            warm = self.warm(self.world.live_instances(), now)
            guest = self._guest_vcpu[instances["klass"]]
            vcpu = state.classes["cpu"][instances["klass"]] / CPU_UNITS_PER_VCPU + guest
            registered = np.bincount(groups[warm], weights=vcpu[warm], minlength=count)
            measured = np.zeros(state.instances.size, np.bool_)
            measured[self.world.live_instances()] = warm
            with np.errstate(invalid="ignore", divide="ignore"):
                of_guests = np.bincount(groups[warm], weights=guest[warm], minlength=count)
                percent = 100.0 * (self._used_vcpu(measured) + of_guests) / registered
            self.values[Metric.CPU, first : first + count] = np.where(registered > 0, percent, np.nan)

    def warm(self, slots: npt.NDArray[np.int64], now: int) -> npt.NDArray[np.bool_]:
        """Which of the instances in `slots` are registered and past the warm-up of their group.

        Those of the first instant have been there before it.
        """
        instances = self.world.state.instances[slots]
        warmup = self._warmup_ms[self.world.state.classes["group"][instances["klass"]]]
        registered = instances["registered"]
        return np.asarray((registered == 0) | ((registered > 0) & (now - registered >= warmup)), np.bool_)

    def _used_vcpu(self, measured: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """vCPUs in use on those instances of each group whose slots are `measured`.

        A task that is called uses what its load says; one of a service without load uses nothing, a standalone
        task all that it reserves (MODEL.md: choices).
        """
        state = self.world.state
        tasks = state.tasks[self.world.live_tasks()]
        tasks = tasks[(tasks["state"] == TaskState.RUNNING) & (tasks["slot"] >= 0)]
        tasks = tasks[measured[tasks["slot"]]]
        sets = state.sets[tasks["set"]]
        share = np.where(sets["service"] >= 0, self.traffic.use_of_sets(state.sets.size)[tasks["set"]], 1.0)
        groups = state.classes["group"][state.instances["klass"][tasks["slot"]]]
        used = tasks["cpu"] / CPU_UNITS_PER_VCPU * share
        size = len(self.world.names.pools)
        return np.bincount(groups, weights=used, minlength=size).astype(np.float64)
