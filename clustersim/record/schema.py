"""The schema of every result table: its columns in order, with Arrow type, unit and description.

Decides the tables of a result directory. Must not know how a value is computed, nor where a file is. The recorder,
the reader of results and the reference page all read `TABLES`. While `SCHEMA_VERSION` is 1, tables and columns may
be added, never renamed or retyped.

A null means "has not happened" or "does not apply"; only a column declared nullable may have one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

SCHEMA_VERSION = 1
METADATA_KEY = "clustersim"  # the key of the JSON in each file's schema metadata

INSTANT = pa.timestamp("ms", tz="UTC")
NAME = pa.dictionary(pa.int32(), pa.string())  # one of few words, read as a category
TEXT = pa.string()  # a sentence or identity, often unique
INT64 = pa.int64()
INT32 = pa.int32()
FLOAT = pa.float64()


@dataclass(frozen=True)
class Column:
    """One column; `unit` and `description` are written to the metadata of the field."""

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
class TableSchema:
    """One table; `description` says what a row is."""

    name: str
    description: str
    columns: tuple[Column, ...]

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """The columns by name, in order."""
        return {column.name: column for column in self.columns}

    def arrow_schema(self, facts: Mapping[str, Any] | None = None) -> pa.Schema:
        """Return the schema of the file; `facts` (seed, digest ...) are added to the JSON under `METADATA_KEY`."""
        header = {"schema_version": SCHEMA_VERSION, "table": self.name, "description": self.description}
        metadata = {METADATA_KEY: json.dumps(header | dict(facts or {}), ensure_ascii=False)}
        return pa.schema([column.field for column in self.columns], metadata=metadata)

    def completed(self, read: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Return these columns of a table that was read; a column that an older version did not write is all null."""
        for name in columns:
            if name not in read.column_names:
                column = self.by_name[name]
                nulls = pa.nulls(read.num_rows, column.type)
                read = read.append_column(column.field.with_nullable(True), nulls)
        return read.select(list(columns))

    def empty(self) -> pa.Table:
        """Return the table without rows, for the result of a version that did not write it."""
        return self.arrow_schema().empty_table()


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


TASKS = TableSchema(
    "tasks",
    "One row per task of a service or of RunTask, including tasks that were refused or never placed.",
    (
        _count("task_id", "id", "number of the task, from 1"),
        _name("group", "task group: `service:NAME`, or the name of the runTasks entry"),
        _name("service", "service the task belongs to; null: standalone", null=True),
        _name("family", "family of the task definition; null: a trace row without one", null=True),
        _small("revision", "revision", "revision of the task definition", null=True),
        _name("deployment_id", "deployment that created the task; null: standalone", null=True),
        _text("reference_id", "identity of the task in the trace", null=True),
        _small("attempt", "attempts", "which attempt this is: 1, then one more per retry"),
        _name("launch_type", "EC2, FARGATE, MANAGED_INSTANCES or VIRTUAL_MACHINE"),
        _name("capacity_provider", "capacity provider; null: a launch type was requested", null=True),
        _name("availability_zone", "zone the task was placed in", null=True),
        _count("container_instance_id", "id", "container instance the task was placed on", null=True),
        _count("cpu", "CPU units", "CPU reserved; 1,024 units are one vCPU"),
        _count("memory_mib", "MiB", "memory reserved"),
        _small("gpus", "GPUs", "GPUs reserved"),
        _instant("created_at", "the task was created (PROVISIONING)"),
        _instant(
            "placed_at", "resources were reserved: until stopping_at, on Fargate until stopped_at", null=True
        ),
        _instant("pull_started_at", "the first image pull began", null=True),
        _instant("pull_stopped_at", "the last image pull was complete", null=True),
        _instant("started_at", "the task became RUNNING", null=True),
        _instant("healthy_at", "the task first counted as healthy", null=True),
        _instant("stopping_at", "the task left RUNNING, or was stopped before it ran", null=True),
        _instant("stopped_at", "the task was STOPPED and its host had its resources back", null=True),
        _name("last_status", "lastStatus at the end of the simulation"),
        _name(
            "wait_reason",
            "reason of the last placement failure, or HOST:...: why its agent last held it in PENDING",
            null=True,
        ),
        _name("stop_code", "stopCode of ECS", null=True),
        _name("stopped_reason", "stoppedReason of ECS", null=True),
        _small(
            "exit_code", "exit code", "exit code of the essential container; null: none exited", null=True
        ),
        _real(
            "cost_usd",
            "USD",
            "cost of the task between `start` and the end: its share of an instance, or Fargate",
        ),
        _name(
            "health_status",
            "healthStatus from the health checks of its containers; null: it has none",
            null=True,
        ),
        _instant(
            "admitted_at",
            "its container instance had the room for it, which stopping tasks may hold after placed_at",
            null=True,
        ),
        _name("entry", "entry of runTasks that started the task; null: a service did", null=True),
    ),
)

CONTAINER_INSTANCES = TableSchema(
    "container_instances",
    "One row per EC2 instance that was launched.",
    (
        _count("container_instance_id", "id", "number of the instance, from 1 in order of launch"),
        _name("auto_scaling_group", "Auto Scaling group that launched the instance", null=True),
        _name("capacity_provider", "capacity provider of the instance", null=True),
        _name("instance_type", "EC2 instance type"),
        _name("availability_zone", "zone of the instance"),
        _name("purchase_option", "on-demand or spot"),
        _instant("launched_at", "the instance was requested; billed from here"),
        _instant("registered_at", "its agent registered with the cluster", null=True),
        _instant("draining_at", "the instance began to drain", null=True),
        _instant("terminated_at", "the instance was terminated; billed until here", null=True),
        _name("termination_reason", "why it was terminated", null=True),
        _count("registered_cpu", "CPU units", "CPU registered for tasks"),
        _count("registered_memory_mib", "MiB", "memory registered for tasks"),
        _count("tasks_started", "tasks", "tasks that started on the instance"),
        _real(
            "cpu_reservation_mean",
            "percent",
            "mean share of registered CPU reserved, from registration on",
            null=True,
        ),
        _real(
            "memory_reservation_mean",
            "percent",
            "mean share of registered memory reserved, from registration on",
            null=True,
        ),
        _real("cost_usd", "USD", "cost of the instance between `start` and the end, with its root volume"),
    ),
)

SERVICE_SERIES = TableSchema(
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
        _real("request_count_per_target", "requests", "requests per healthy target", null=True),
        _real("failed_request_count", "requests", "requests without a successful response", null=True),
        _real("response_time_p50_s", "s", "median response time", null=True),
        _real("response_time_p90_s", "s", "90th percentile of the response time", null=True),
        _real("response_time_p99_s", "s", "99th percentile of the response time", null=True),
        _real("queue_depth", "messages", "visible messages of the service's queue", null=True),
        _real(
            "oldest_message_age_s",
            "s",
            "age of the oldest message of the queue that is not deleted",
            null=True,
        ),
        _real("messages_in_flight", "messages", "messages received and not deleted", null=True),
    ),
)

CAPACITY_PROVIDER_SERIES = TableSchema(
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
        _count("provisioning_tasks", "tasks", "tasks waiting for capacity of the provider"),
        _count("running_tasks", "tasks", "all tasks on the provider's instances or slots"),
        _real(
            "capacity_provider_reservation",
            "percent",
            "CapacityProviderReservation: needed / running instances",
            null=True,
        ),
        _real("cpu_reservation", "percent", "CPU reserved, of registered", null=True),
        _real("memory_reservation", "percent", "memory reserved, of registered", null=True),
        _real("cost_usd_per_hour", "USD/h", "current cost rate"),
    ),
)

SCALING_ACTIVITIES = TableSchema(
    "scaling_activities",
    "One row per decision of a scaling policy.",
    (
        _instant("time", "instant of the decision"),
        _name("target", "`service/NAME` or `capacityProvider/NAME`"),
        _name("policy", "policy, scheduled action or managed scaling that decided", null=True),
        _name("metric", "metric of the decision", null=True),
        _real("metric_value", "as the metric", "value of the metric at that instant", null=True),
        _count("from_count", "tasks or instances", "desired count or capacity before"),
        _count("to_count", "tasks or instances", "desired count or capacity after"),
        _text("cause", "description of the decision"),
    ),
)

DEPLOYMENTS = TableSchema(
    "deployments",
    "One row per deployment of a service.",
    (
        _name("deployment_id", "deployment as in ECS: `ecs-svc/1`"),
        _name("service", "service"),
        _name("task_definition", "task definition of the deployment: `FAMILY:REVISION`"),
        _instant("created_at", "the deployment was created"),
        _instant("completed_at", "the deployment reached COMPLETED or FAILED", null=True),
        _name("rollout_state", "IN_PROGRESS, COMPLETED or FAILED at the end of the simulation"),
        _text("rollout_state_reason", "rolloutStateReason of ECS", null=True),
        _count("failed_tasks", "tasks", "its tasks that failed to start or to become healthy"),
        _count("desired_count", "tasks", "desired count of its service at its last evaluation"),
    ),
)

DEPLOYMENT_SERIES = TableSchema(
    "deployment_series",
    "One row per deployment and sample, while a deployment of the service is in progress.",
    (
        _instant("time", "beginning of the sampled interval"),
        _name("service", "service"),
        _name("deployment_id", "deployment"),
        _count("running_count", "tasks", "its tasks in RUNNING"),
        _count("healthy_count", "tasks", "its running tasks that count as healthy"),
        _real("traffic_percent", "percent", "share of the service's requests sent to it", null=True),
    ),
)

EVENTS = TableSchema(
    "events",
    "One row per service event or incident.",
    (
        _instant("time", "instant of the event"),
        _name("service", "service of the event", null=True),
        _name("kind", "kind of event"),
        _count("task_id", "id", "task of the event", null=True),
        _count("container_instance_id", "id", "container instance of the event", null=True),
        _text("message", "message as in ECS"),
    ),
)

COSTS = TableSchema(
    "costs",
    "One row per cost period, SKU, zone, provider, payer, share, commitment and its status, with FOCUS column names.",
    (
        _instant("ChargePeriodStart", "beginning of the period, inclusive"),
        _instant("ChargePeriodEnd", "end of the period, exclusive"),
        _name("ChargeCategory", "Usage; Purchase: the fee of a commitment"),
        _name("ServiceName", "AWS service that bills the cost"),
        _name("RegionId", "region"),
        _name("AvailabilityZone", "zone; null: not bound to one", null=True),
        _name("ResourceId", "resource, if sampling.costPerResource is set", null=True),
        _name("ResourceType", "kind of resource", null=True),
        _name("SkuId", "billed unit: an instance type, Fargate vCPU, memory ..."),
        _real("PricingQuantity", "PricingUnit", "quantity billed"),
        _name("PricingUnit", "unit of PricingQuantity"),
        _real("ListUnitPrice", "USD/PricingUnit", "on-demand price of one unit, also for Spot", null=True),
        _real("BilledCost", "USD", "cost on the invoice; what a commitment covers is in its purchase"),
        _real(
            "EffectiveCost",
            "USD",
            "cost with the fees of commitments spread over what they cover and leave unused",
        ),
        _name("BillingCurrency", "USD"),
        _name("x_CapacityProvider", "capacity provider", null=True),
        _name("x_Service", "service that pays; null: `x_Group` or nobody", null=True),
        _name("x_Group", "task group that pays; null: nobody", null=True),
        _name("x_Share", "task, charge, idle, commitment or shared: the part of the bill it belongs to"),
        _name("PricingCategory", "Standard, Dynamic (Spot) or Committed"),
        _name("CommitmentDiscountId", "commitment that is bought, used or unused", null=True),
        _name("CommitmentDiscountStatus", "Used or Unused", null=True),
    ),
)

COSTS_PER_RESOURCE = TableSchema(
    "costs",
    "One row per cost period, SKU, zone, provider, payer, share, commitment, its status and resource, with FOCUS column"
    " names.",
    tuple(
        _text(
            column.name, "`container-instance/ID` (its root volume too) or `task/ID`; null: none", null=True
        )
        if column.name == "ResourceId"
        else column
        for column in COSTS.columns
    ),
)
"""`costs` with sampling.costPerResource: nearly every row has another id, too many for a dictionary."""

TABLES: dict[str, TableSchema] = {
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


def run_tables(cost_per_resource: bool) -> dict[str, TableSchema]:
    """Return the tables of a run, with `sampling.costPerResource` or without it."""
    return TABLES | {"costs": COSTS_PER_RESOURCE} if cost_per_resource else TABLES
