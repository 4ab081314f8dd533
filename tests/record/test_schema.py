"""The schema of a result directory: users' scripts depend on its names."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from clustersim.record.schema import (
    FLOAT,
    INSTANT,
    METADATA_KEY,
    NAME,
    SCHEMA_VERSION,
    TABLES,
    TEXT,
    run_tables,
)

CONTRACT = {
    "tasks": """task_id group service family revision deployment_id reference_id attempt launch_type
        capacity_provider availability_zone container_instance_id cpu memory_mib gpus created_at placed_at
        pull_started_at pull_stopped_at started_at healthy_at stopping_at stopped_at last_status wait_reason
        stop_code stopped_reason exit_code cost_usd health_status admitted_at entry""",
    "container_instances": """container_instance_id auto_scaling_group capacity_provider instance_type
        availability_zone purchase_option launched_at registered_at draining_at terminated_at
        termination_reason registered_cpu registered_memory_mib tasks_started cpu_reservation_mean
        memory_reservation_mean cost_usd""",
    "service_series": """time service desired_count running_count pending_count healthy_count cpu_utilization
        memory_utilization request_count request_count_per_target failed_request_count response_time_p50_s
        response_time_p90_s response_time_p99_s queue_depth oldest_message_age_s messages_in_flight""",
    "capacity_provider_series": """time capacity_provider desired_instances running_instances
        registered_instances provisioning_tasks running_tasks capacity_provider_reservation cpu_reservation
        memory_reservation cost_usd_per_hour""",
    "scaling_activities": "time target policy metric metric_value from_count to_count cause",
    "deployments": """deployment_id service task_definition created_at completed_at rollout_state
        rollout_state_reason failed_tasks desired_count""",
    "deployment_series": "time service deployment_id running_count healthy_count traffic_percent",
    "events": "time service kind task_id container_instance_id message",
    "costs": """ChargePeriodStart ChargePeriodEnd ChargeCategory ServiceName RegionId AvailabilityZone
        ResourceId ResourceType SkuId PricingQuantity PricingUnit ListUnitPrice BilledCost EffectiveCost
        BillingCurrency x_CapacityProvider x_Service x_Group x_Share PricingCategory CommitmentDiscountId
        CommitmentDiscountStatus""",
}

every_table = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))


def test_tables_and_columns_are_the_published_ones_in_their_order() -> None:
    """A renamed column breaks every notebook: names only grow, so this list may only get longer."""
    assert {name: list(table.by_name) for name, table in TABLES.items()} == {
        name: columns.split() for name, columns in CONTRACT.items()
    }


def test_rows_per_resource_change_the_type_of_one_column_and_nothing_else() -> None:
    """Without the key not a byte may change; with it only the ids, of which there are as many as rows."""
    assert run_tables(False) is TABLES
    left, right = (run_tables(key)["costs"].by_name for key in (False, True))
    assert list(left) == list(right)
    assert [name for name in left if left[name] != right[name]] == ["ResourceId"]
    assert (left["ResourceId"].type, right["ResourceId"].type) == (NAME, TEXT)


@every_table
def test_every_field_has_a_unit_and_a_description(table) -> None:
    """A reader of a file without the documentation must be able to distinguish seconds from milliseconds."""
    for field in table.arrow_schema():
        assert field.metadata[b"unit"].strip()
        assert field.metadata[b"description"].strip()


@every_table
def test_the_type_follows_the_name(table) -> None:
    """Instants end in `_at` (or are `time`), durations in `_s` and money in `_usd`: one rule, no lookup."""
    for column in table.columns:
        if column.name.endswith("_at") or column.name == "time" or column.name.startswith("ChargePeriod"):
            assert column.type == INSTANT == pa.timestamp("ms", tz="UTC")
        elif column.name.endswith("_s"):
            assert (column.type, column.unit) == (FLOAT, "s")
        elif column.name.endswith("_usd"):
            assert (column.type, column.unit) == (FLOAT, "USD")
        elif column.name in ("task_id", "container_instance_id"):
            assert column.type == pa.int64()
        elif column.name == "reference_id":  # as many words as rows: a dictionary would only cost
            assert column.type == TEXT
        elif column.name.endswith("_id"):
            assert column.type == NAME
        elif column.name in ("message", "cause", "rollout_state_reason"):
            assert column.type == TEXT


def test_the_metadata_has_the_schema_version_and_the_facts_of_the_run() -> None:
    """A file without its directory still identifies itself."""
    told = json.loads(TABLES["events"].arrow_schema({"seed": 7}).metadata[METADATA_KEY.encode()])
    assert told["schema_version"] == SCHEMA_VERSION == 1
    assert (told["table"], told["seed"]) == ("events", 7)


def test_a_task_that_was_never_placed_fits_the_schema() -> None:
    """Only what every task has from its creation on may be required."""
    required = {column.name for column in TABLES["tasks"].columns if not column.nullable}
    assert required == {
        *("task_id", "group", "attempt", "launch_type", "cpu", "memory_mib", "gpus"),
        *("created_at", "last_status", "cost_usd"),
    }
