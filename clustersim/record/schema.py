"""Every result table: its columns in order, with Arrow type, unit and meaning.

This module decides what the files of a result directory look like, and is the one place that does: recorder,
reader and reference page all read `TABLES`. It must not know how a value comes about, nor where a file lies.
Names only grow: while `SCHEMA_VERSION` is 1, tables and columns may be added, never renamed or retyped.

A null means "has not happened" or "does not apply"; only a column declared nullable may hold one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 1
METADATA_KEY = "clustersim"  # the key of the JSON in each file's schema metadata

INSTANT = pa.timestamp("ms", tz="UTC")
NAME = pa.dictionary(pa.int32(), pa.string())  # one of a modest number of words, read as a category
TEXT = pa.string()  # a sentence; often the only one of its kind
INT64 = pa.int64()
INT32 = pa.int32()
FLOAT = pa.float64()


@dataclass(frozen=True)
class Column:
    """One column: `unit` and `description` go into the field's metadata as they stand."""

    name: str
    type: pa.DataType
    unit: str
    description: str
    nullable: bool = False

    @property
    def field(self) -> pa.Field:
        """The column as an Arrow field."""
        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=metadata)


@dataclass(frozen=True)
class Table:
    """One table; `doc` says what a row is."""

    name: str
    doc: str
    columns: tuple[Column, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name, in order."""
        return {column.name: column for column in self.columns}

    def arrow_schema(self, facts: Mapping[str, Any] | None = None) -> pa.Schema:
        """The schema of the table's file; `facts` (seed, digest ...) join the JSON under `METADATA_KEY`."""
        told = {"schema_version": SCHEMA_VERSION, "table": self.name, "description": self.doc}
        metadata = {METADATA_KEY: json.dumps(told | dict(facts or {}), ensure_ascii=False)}
        return pa.schema([column.field for column in self.columns], metadata=metadata)


def _instant(name: str, description: str, *, null: bool = False) -> Column:
    return Column(name, INSTANT, "instant, UTC", description, null)


def _name(name: str, description: str, *, null: bool = False) -> Column:
    return Column(name, NAME, "name", description, null)


def _count(name: str, unit: str, description: str, *, null: bool = False) -> Column:
    return Column(name, INT64, unit, description, null)


def _small(name: str, unit: str, description: str, *, null: bool = False) -> Column:
    return Column(name, INT32, unit, description, null)


def _real(name: str, unit: str, description: str, *, null: bool = False) -> Column:
    return Column(name, FLOAT, unit, description, null)


def _text(name: str, description: str, *, null: bool = False) -> Column:
    return Column(name, TEXT, "text", description, null)


TASKS = Table(
    "tasks",
    "One row per task a service created or RunTask was asked for, refused and never placed ones included.",
    (
        _count("task_id", "id", "number of the task, from 1"),
        _name("group", "task group: `service:NAME`, or the name of the runTasks entry"),
        _name("service", "service the task belongs to; null: standalone", null=True),
        _name("family", "family of the task definition; null: a trace row without one", null=True),
        _small("revision", "revision", "revision of the task definition", null=True),
        _name("deployment_id", "deployment that created the task; null: standalone", null=True),
        _text("reference_id", "identity the trace gives the task", null=True),
        _small("attempt", "attempts", "which attempt this is: 1, then one more per retry"),
        _name("launch_type", "EC2, FARGATE, MANAGED_INSTANCES or VIRTUAL_MACHINE"),
        _name("capacity_provider", "capacity provider; null: a launch type was asked for", null=True),
        _name("availability_zone", "zone the task was placed in", null=True),
        _count("container_instance_id", "id", "container instance the task was placed on", null=True),
        _count("cpu", "CPU units", "CPU reserved; 1,024 units are one vCPU"),
        _count("memory_mib", "MiB", "memory reserved"),
        _small("gpus", "GPUs", "GPUs reserved"),
        _instant("created_at", "the task was created (PROVISIONING)"),
        _instant("placed_at", "resources were found; held until stopped_at", null=True),
        _instant("pull_started_at", "the first image pull began", null=True),
        _instant("pull_stopped_at", "the last image pull was complete", null=True),
        _instant("started_at", "the task became RUNNING", null=True),
        _instant("healthy_at", "it first counted as healthy", null=True),
        _instant("stopping_at", "it left RUNNING, or was told to stop before it ran", null=True),
        _instant("stopped_at", "it was STOPPED and its resources were free", null=True),
        _name("last_status", "lastStatus at the end of the simulation"),
        _name("wait_reason", "last reason why placement was refused", null=True),
        _name("stop_code", "stopCode as ECS gives it", null=True),
        _name("stopped_reason", "stoppedReason as ECS words it", null=True),
        _small(
            "exit_code", "exit code", "exit code of the essential container; null: none exited", null=True
        ),
        _real(
            "cost_usd",
            "USD",
            "what the task cost between `start` and the end: its share of an instance, or Fargate",
        ),
        _name(
            "health_status",
            "healthStatus by its containers' health checks; null: it has none",
            null=True,
        ),
    ),
)

CONTAINER_INSTANCES = Table(
    "container_instances",
    "One row per EC2 instance that was launched.",
    (
        _count("container_instance_id", "id", "number of the instance, from 1 in order of launch"),
        _name("auto_scaling_group", "Auto Scaling group that launched it", null=True),
        _name("capacity_provider", "capacity provider it belongs to", null=True),
        _name("instance_type", "EC2 instance type"),
        _name("availability_zone", "zone it runs in"),
        _name("purchase_option", "on-demand or spot"),
        _instant("launched_at", "it was requested; billed from here"),
        _instant("registered_at", "its agent registered with the cluster", null=True),
        _instant("draining_at", "it began to drain", null=True),
        _instant("terminated_at", "it was terminated; billed until here", null=True),
        _name("termination_reason", "why it was terminated", null=True),
        _count("registered_cpu", "CPU units", "CPU it registered for tasks"),
        _count("registered_memory_mib", "MiB", "memory it registered for tasks"),
        _count("tasks_started", "tasks", "tasks that started on it"),
        _real(
            "cpu_reservation_mean",
            "percent",
            "mean share of registered CPU reserved, from registration on",
            null=True,
        ),
        _real("memory_reservation_mean", "percent", "the same of memory", null=True),
        _real("cost_usd", "USD", "what it cost between `start` and the end, with its root volume"),
    ),
)

SERVICE_SERIES = Table(
    "service_series",
    "One row per service and sample: counts as of `time`, the rest over the interval that begins there.",
    (
        _instant("time", "beginning of the sampled interval"),
        _name("service", "service"),
        _count("desired_count", "tasks", "desired count"),
        _count("running_count", "tasks", "tasks in RUNNING"),
        _count("pending_count", "tasks", "tasks created and not yet RUNNING"),
        _count("healthy_count", "tasks", "running tasks that count as healthy"),
        _real("cpu_utilization", "percent", "CPU used, of what the service reserved", null=True),
        _real("memory_utilization", "percent", "memory used, of what the service reserved", null=True),
        _real("request_count", "requests", "requests or messages in the interval; null: no load", null=True),
        _real("request_count_per_target", "requests", "the same per healthy target", null=True),
        _real("failed_request_count", "requests", "those without a good answer", null=True),
        _real("response_time_p50_s", "s", "median response time", null=True),
        _real("response_time_p90_s", "s", "90th percentile of the response time", null=True),
        _real("response_time_p99_s", "s", "99th percentile of the response time", null=True),
        _real("queue_depth", "messages", "visible messages of the service's queue", null=True),
        _real("oldest_message_age_s", "s", "age of the oldest message of the queue", null=True),
    ),
)

CAPACITY_PROVIDER_SERIES = Table(
    "capacity_provider_series",
    "One row per capacity provider and sample: counts as of `time`.",
    (
        _instant("time", "beginning of the sampled interval"),
        _name("capacity_provider", "capacity provider"),
        _count(
            "desired_instances",
            "instances",
            "desired capacity of its group; null: it has no instances",
            null=True,
        ),
        _count("running_instances", "instances", "launched and not terminated", null=True),
        _count(
            "registered_instances", "instances", "registered and not terminated, draining or not", null=True
        ),
        _count("provisioning_tasks", "tasks", "tasks that wait for its capacity"),
        _count("running_tasks", "tasks", "all tasks on its instances or slots"),
        _real(
            "capacity_provider_reservation",
            "percent",
            "CapacityProviderReservation: needed / running instances",
            null=True,
        ),
        _real("cpu_reservation", "percent", "CPU reserved, of registered", null=True),
        _real("memory_reservation", "percent", "memory reserved, of registered", null=True),
        _real("cost_usd_per_hour", "USD/h", "what it costs at this rate"),
    ),
)

SCALING_ACTIVITIES = Table(
    "scaling_activities",
    "One row per decision of a scaling policy.",
    (
        _instant("time", "instant of the decision"),
        _name("target", "`service/NAME` or `capacityProvider/NAME`"),
        _name("policy", "policy, scheduled action or managed scaling that decided", null=True),
        _name("metric", "metric it looked at", null=True),
        _real("metric_value", "as the metric", "value of the metric at that instant", null=True),
        _count("from_count", "tasks or instances", "desired count or capacity before"),
        _count("to_count", "tasks or instances", "desired count or capacity after"),
        _text("cause", "the decision in words"),
    ),
)

DEPLOYMENTS = Table(
    "deployments",
    "One row per deployment of a service.",
    (
        _name("deployment_id", "deployment, as ECS writes it: `ecs-svc/1`"),
        _name("service", "service"),
        _name("task_definition", "task definition it rolls out: `FAMILY:REVISION`"),
        _instant("created_at", "it was created"),
        _instant("completed_at", "it reached COMPLETED or FAILED", null=True),
        _name("rollout_state", "IN_PROGRESS, COMPLETED or FAILED at the end of the simulation"),
        _text("rollout_state_reason", "rolloutStateReason as ECS words it", null=True),
        _count("failed_tasks", "tasks", "tasks of it that failed to start or to become healthy"),
        _count("desired_count", "tasks", "desired count of its service when it was last looked at"),
    ),
)

DEPLOYMENT_SERIES = Table(
    "deployment_series",
    "One row per deployment and sample, while a deployment of the service is in progress.",
    (
        _instant("time", "beginning of the sampled interval"),
        _name("service", "service"),
        _name("deployment_id", "deployment"),
        _count("running_count", "tasks", "its tasks in RUNNING"),
        _count("healthy_count", "tasks", "those that count as healthy"),
        _real("traffic_percent", "percent", "share of the service's requests that goes to it", null=True),
    ),
)

EVENTS = Table(
    "events",
    "One row per service event or incident.",
    (
        _instant("time", "instant of the event"),
        _name("service", "service it is about", null=True),
        _name("kind", "kind of event"),
        _count("task_id", "id", "task it is about", null=True),
        _count("container_instance_id", "id", "container instance it is about", null=True),
        _text("message", "the message in the words ECS uses"),
    ),
)

COSTS = Table(
    "costs",
    "One row per cost period, SKU, zone, provider and payer, with FOCUS column names.",
    (
        _instant("ChargePeriodStart", "beginning of the period, inclusive"),
        _instant("ChargePeriodEnd", "end of the period, exclusive"),
        _name("ChargeCategory", "Usage"),
        _name("ServiceName", "service of AWS that bills it"),
        _name("RegionId", "region"),
        _name("AvailabilityZone", "zone; null: not bound to one", null=True),
        _name("ResourceId", "resource, if sampling.costPerResource is set", null=True),
        _name("ResourceType", "kind of resource", null=True),
        _name("SkuId", "what is billed: an instance type, Fargate vCPU, memory ..."),
        _real("PricingQuantity", "PricingUnit", "quantity billed"),
        _name("PricingUnit", "unit of PricingQuantity"),
        _real("ListUnitPrice", "USD/PricingUnit", "on-demand price of one unit, also for Spot", null=True),
        _real("BilledCost", "USD", "what the invoice shows"),
        _real("EffectiveCost", "USD", "the same with commitments spread over what they cover"),
        _name("BillingCurrency", "USD"),
        _name("x_CapacityProvider", "capacity provider", null=True),
        _name("x_Service", "service that pays; null with x_Group: idle capacity", null=True),
        _name("x_Group", "task group that pays; null with x_Service: idle capacity", null=True),
    ),
)

COSTS_PER_RESOURCE = Table(
    "costs",
    "One row per cost period, SKU, zone, provider, payer and resource, with FOCUS column names.",
    tuple(
        _text(
            column.name, "`container-instance/ID` (its root volume too) or `task/ID`; null: none", null=True
        )
        if column.name == "ResourceId"
        else column
        for column in COSTS.columns
    ),
)
"""`costs` with sampling.costPerResource: its ids are as many as its rows, too many for a dictionary."""

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        TASKS,
        CONTAINER_INSTANCES,
        SERVICE_SERIES,
        CAPACITY_PROVIDER_SERIES,
        SCALING_ACTIVITIES,
        DEPLOYMENTS,
        DEPLOYMENT_SERIES,
        EVENTS,
        COSTS,
    )
}


def tables_of(cost_per_resource: bool) -> dict[str, Table]:
    """The tables of a run with `sampling.costPerResource`, or without it."""
    return TABLES | {"costs": COSTS_PER_RESOURCE} if cost_per_resource else TABLES
