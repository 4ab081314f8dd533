"""The whole scenario, resolved: its sections in the order in which they refer to each other.

Decides that order, and resolves `cluster`, `sampling`, `pricing`, `alarms` and `instanceTypes`. Must not know text,
locations or files. The reader calls `resolve_scenario` with a validated file.
"""

from __future__ import annotations

from typing import Any

from clustersim.policy.pricing.commitments import ReservedInstances, SavingsPlan
from clustersim.scenario.aws.checked_block import read_block, read_blocks, with_camel_case_keys
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.catalog.fargate_prices import FargateFactors, FargateUse
from clustersim.scenario.resolve.actions import collect_updated_definitions, resolve_actions
from clustersim.scenario.resolve.capacity_providers import resolve_capacity
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.failures import resolve_failures
from clustersim.scenario.resolve.images import resolve_image_pulls, resolve_registries_and_images
from clustersim.scenario.resolve.placement import resolve_strategy
from clustersim.scenario.resolve.roles import add_image_needs, resolve_roles
from clustersim.scenario.resolve.run_tasks import resolve_run_tasks
from clustersim.scenario.resolve.service_scaling import check_metric
from clustersim.scenario.resolve.services import check_services, resolve_services, resolve_target_groups
from clustersim.scenario.resolve.subnets import resolve_subnets
from clustersim.scenario.resolve.task_definitions import resolve_task_definitions
from clustersim.scenario.resolve.virtual_machines import rename_machine_revisions
from clustersim.scenario.sections.pricing import FargatePrice, Pricing, WrittenSavingsPlan
from clustersim.scenario.sections.scenario import Cluster, Sampling
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name


def resolve_scenario(context: Context) -> dict[str, Any]:
    """Return the fields of `Scenario` that its sections fill; problems are in the context's diagnostics."""
    resolved_subnets = resolve_subnets(context)
    resolved_roles = resolve_roles(context)
    _check_instance_types(context)
    capacity = resolve_capacity(context)
    context.default_strategy = _resolve_default_strategy(context)
    definitions = resolve_task_definitions(context)
    registries, images = resolve_registries_and_images(context)
    definitions = add_image_needs(context, definitions, images, registries)
    groups = resolve_target_groups(context)
    service_blocks = check_services(context)
    alarms = _resolve_alarms(context)
    all_actions = resolve_actions(context, service_blocks)
    all_services = resolve_services(
        context, capacity, service_blocks, groups, collect_updated_definitions(all_actions)
    )
    all_run_tasks = resolve_run_tasks(context)
    read_blocks(context.diagnostics, "alarms")
    if not context.diagnostics.data.get("services") and not context.diagnostics.data.get("runTasks"):
        context.diagnostics.add_problem((), "nothing runs", "add services or runTasks")
    return {
        "groups": tuple(capacity.groups),
        "managed_instances": tuple(capacity.managed_instances),
        "providers": tuple(capacity.providers),
        "instance_types": tuple(capacity.instance_types.values()),
        "task_definitions": (*definitions, *context.machine_definitions),
        "target_groups": tuple(groups.values()),
        "services": all_services,
        "run_tasks": all_run_tasks,
        "actions": rename_machine_revisions(all_actions, all_services),
        "alarms": alarms,
        "cluster": _resolve_cluster(context),
        "failures": resolve_failures(context),
        "sampling": _resolve_sampling(context),
        "pricing": _resolve_pricing(context),
        "images": images,
        "registries": registries,
        "roles": resolved_roles,
        "subnets": resolved_subnets,
    }


def _resolve_alarms(context: Context) -> tuple[dict[str, Any], ...]:
    """Return the CloudWatch alarms that deployments may name, in camelCase."""
    alarms = []
    for block in read_blocks(context.diagnostics, "alarms"):
        name = block.value.get("AlarmName")
        if not isinstance(name, str):
            context.diagnostics.add_problem(
                block.path, "the alarm has no name", "add alarmName: too-many-errors"
            )
            continue
        context.declare_name("alarm", name, block.field_path("AlarmName"))
        alarm = with_camel_case_keys(block.value)
        if not block.valid:
            continue
        if not alarm.get("dimensions") and not alarm.get("metrics"):
            location = block.path
            context.diagnostics.add_problem(
                location, f"the alarm {name} has no dimensions", "add dimensions: ServiceName"
            )
            continue
        check_metric(context, alarm, block.path)
        alarms.append(alarm)
    return tuple(alarms)


def _check_instance_types(context: Context) -> None:
    """Look up every custom instance type once, so that a mistake in it is reported at its own location."""
    for index, written in enumerate(context.file.instance_types):
        path = ("instanceTypes", index)
        name = written.get("name")
        if not isinstance(name, str):
            context.diagnostics.add_problem(path, "the instance type has no name", "add name: rack.node")
            continue
        context.declare_name("instance type", name, (*path, "name"))
        try:
            context.catalog.instance_type(name, context.region, [written])
        except CatalogError as error:
            context.diagnostics.add_problem(path, error.message, error.hint)


def _resolve_default_strategy(context: Context) -> Any:
    """Return the cluster's default strategy, checked like a strategy of RunTask."""
    items = context.file.cluster.default_capacity_provider_strategy
    path = ("cluster", "defaultCapacityProviderStrategy")
    problems = len(context.diagnostics.problems)
    checked = read_block(
        context.diagnostics, path, {"capacityProviderStrategy": items}, "strategy", "ecs.RunTask"
    )
    if len(context.diagnostics.problems) > problems:
        return ()
    return resolve_strategy(context, checked.value.get("capacityProviderStrategy") or (), path)


def _resolve_cluster(context: Context) -> Cluster:
    written = context.file.cluster
    return Cluster(
        provisioning_limit=written.provisioning.limit,
        provisioning_timeout_ms=written.provisioning.timeout,
        fargate_quota_vcpu=written.fargate_quota_vcpu,
        default_strategy=context.default_strategy,
        awsvpc_trunking=written.awsvpc_trunking,
        fargate_launch_burst=written.fargate_launch_rate.burst,
        fargate_launch_per_second=written.fargate_launch_rate.per_second,
        eni_attach=written.eni_attach_time,
        fargate_start=written.fargate_start_time,
        service_launch_per_minute=written.service_launch_rate_per_minute,
        launch_retry_ms=written.launch_retry_time,
        image_pulls=resolve_image_pulls(context),
        stopping_tasks_hold_interfaces=written.stopping_tasks.hold_network_interfaces,
        stopping_tasks_protect_instances=written.stopping_tasks.protect_instances,
    )


def _resolve_sampling(context: Context) -> Sampling:
    written = context.file.sampling
    _check_row_count(context)
    return Sampling(
        interval_ms=written.interval,
        cost_period_ms=written.cost_period,
        cost_per_resource=written.cost_per_resource,
    )


def _check_row_count(context: Context) -> None:
    """Report an interval or a cost period that would make a table longer than `sampling.maxRows`."""
    file = context.file
    written = file.sampling
    series = max(len(file.services), len(file.capacity_providers), 1)
    for key, width, rows_each, table in (
        ("interval", written.interval, series, "service_series or capacity_provider_series"),
        ("costPeriod", written.cost_period, 1, "costs"),
    ):
        rows = 0 if width is None else rows_each * -(-file.duration // width)
        if rows > written.max_rows:
            context.diagnostics.add_problem(
                ("sampling", key),
                f"{table} would have {rows:,} rows, more than {written.max_rows:,}",
                f"a longer {key}, or sampling.maxRows: {rows}",
            )


def _resolve_pricing(context: Context) -> Pricing:
    """Return the prices in use: missing Fargate prices of a region matter only to tasks on Fargate."""
    written = context.file.pricing
    prices: tuple[FargatePrice, ...] = ()
    if context.fargate_uses:
        path = (
            ("pricing", "fargate")
            if written.fargate is not None
            else next(iter(context.fargate_uses.values()))
        )
        try:
            prices, warnings = context.catalog.fargate_prices(
                context.region,
                _list_fargate_uses(context),
                FargateFactors(spot=written.fargate_spot_factor),
                written.fargate,
            )
            for warning in warnings:
                context.diagnostics.warn(path, warning)
        except CatalogError as error:
            context.diagnostics.add_problem(path, error.message, error.hint)
    return Pricing(
        fargate=prices,
        fargate_spot_factor=written.fargate_spot_factor,
        savings_plans=_resolve_savings_plans(context),
        reserved_instances=_resolve_reserved_instances(context),
        ebs_usd_per_gib_month=written.ebs_usd_per_gib_month,
    )


def _resolve_savings_plans(context: Context) -> tuple[SavingsPlan, ...]:
    """Return the Savings Plans: `savingsPlan`, then those of `savingsPlans`."""
    written = context.file.pricing
    plans: list[tuple[FieldPath, WrittenSavingsPlan]] = []
    if written.savings_plan is not None:
        plans.append((("pricing", "savingsPlan"), written.savings_plan))
    plans += [(("pricing", "savingsPlans", n), plan) for n, plan in enumerate(written.savings_plans)]
    for path, plan in plans:
        _check_savings_plan(context, path, plan)
    return tuple(
        SavingsPlan(
            plan.usd_per_hour, plan.discount.ec2, plan.discount.fargate, plan.ec2_instance_family or ""
        )
        for _, plan in plans
    )


def _check_savings_plan(context: Context, path: FieldPath, plan: WrittenSavingsPlan) -> None:
    """Report a plan that saves nothing, and one whose type and family or discounts do not agree."""
    report = context.diagnostics.add_problem
    family, kind = plan.ec2_instance_family, plan.savings_plan_type
    if (kind == "EC2Instance") != (family is not None):
        what = (
            "an EC2Instance plan names no family"
            if family is None
            else f"a {kind or 'Compute'} plan has a family"
        )
        report(path, what, "savingsPlanType: EC2Instance with ec2InstanceFamily: m6i, or neither")
    elif family is not None and plan.discount.fargate > 0:
        report(
            (*path, "discount", "fargate"),
            "an EC2Instance plan does not cover Fargate",
            "discount: {ec2: 0.3}",
        )
    elif max(plan.discount.ec2, plan.discount.fargate) == 0:
        right = "discount: {ec2: 0.4}" if family else "discount: {ec2: 0.28, fargate: 0.2}"
        report(path, "a Savings Plan without a discount saves nothing", f"{right}, or no plan")


def _resolve_reserved_instances(context: Context) -> tuple[ReservedInstances, ...]:
    """Return the Reserved Instances, zonal ones in a zone of the scenario."""
    reserved = []
    for index, entry in enumerate(context.file.pricing.reserved_instances):
        zone = entry.availability_zone
        if zone is not None and zone not in context.zones:
            context.diagnostics.add_problem(
                ("pricing", "reservedInstances", index, "availabilityZone"),
                f"{zone} is not a zone of this scenario",
                suggest_name(zone, context.zones),
            )
        reserved.append(ReservedInstances(entry.instance_type, entry.count, entry.usd_per_hour, zone or ""))
    return tuple(reserved)


def _list_fargate_uses(context: Context) -> list[FargateUse]:
    """Return the ways of using Fargate; Spot also needs the on-demand price, which is the list price."""
    uses: dict[FargateUse, None] = {}
    for use in context.fargate_uses:
        uses[use._replace(spot=False)] = None
        uses[use] = None
    return list(uses)
