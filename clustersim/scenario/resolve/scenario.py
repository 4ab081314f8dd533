"""The whole scenario, resolved: sections in the order in which they refer to each other.

Decides that order, what the sections of our own become, and which features are read but not simulated yet.
Must not know text, places or files. The reader calls `resolve` with a validated file.
"""

from __future__ import annotations

from typing import Any

from clustersim.scenario.aws.checked_block import check, check_all, in_camel_case
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.catalog.fargate_prices import FargateFactors, FargateUse
from clustersim.scenario.resolve.actions import actions, later_definitions
from clustersim.scenario.resolve.capacity_providers import groups_and_providers
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.failures import failures
from clustersim.scenario.resolve.images import image_pulls, registries_and_images
from clustersim.scenario.resolve.placement import strategy_items
from clustersim.scenario.resolve.roles import roles, with_access
from clustersim.scenario.resolve.run_tasks import run_tasks
from clustersim.scenario.resolve.service_scaling import check_source
from clustersim.scenario.resolve.services import service_blocks, services, target_groups
from clustersim.scenario.resolve.subnets import subnets
from clustersim.scenario.resolve.task_definitions import task_definitions
from clustersim.scenario.resolve.virtual_machines import with_machine_revisions
from clustersim.scenario.sections.scenario import (
    AutoScalingGroup,
    Cluster,
    FargatePrice,
    Pricing,
    Sampling,
    SavingsPlan,
)


def resolve(context: Context) -> dict[str, Any]:
    """The fields of `Scenario` that its sections fill; problems are in the findings."""
    listed_subnets = subnets(context)
    listed_roles = roles(context)
    _instance_types(context)
    capacity = groups_and_providers(context)
    context.default_strategy = _default_strategy(context)
    definitions = task_definitions(context)
    registries, images = registries_and_images(context)
    definitions = with_access(context, definitions, images, registries)
    groups = target_groups(context)
    blocks = service_blocks(context)
    alarms = _alarms(context)
    done = actions(context, blocks)
    found = services(context, capacity, blocks, groups, later_definitions(done))
    jobs = run_tasks(context)
    check_all(context.findings, "alarms")
    if not context.findings.data.get("services") and not context.findings.data.get("runTasks"):
        context.findings.add((), "nothing runs", "add services or runTasks")
    return {
        "groups": tuple(capacity.groups),
        "managed_instances": tuple(capacity.managed_instances),
        "providers": tuple(capacity.providers),
        "instance_types": tuple(capacity.instance_types.values()),
        "task_definitions": (*definitions, *context.machine_definitions),
        "target_groups": tuple(groups.values()),
        "services": found,
        "run_tasks": jobs,
        "actions": with_machine_revisions(done, found),
        "alarms": alarms,
        "cluster": _cluster(context),
        "failures": failures(context),
        "sampling": _sampling(context),
        "pricing": _pricing(context, capacity.groups),
        "images": images,
        "registries": registries,
        "roles": listed_roles,
        "subnets": listed_subnets,
    }


def _alarms(context: Context) -> tuple[dict[str, Any], ...]:
    """The CloudWatch alarms that deployments may name, in camelCase."""
    found = []
    for block in check_all(context.findings, "alarms"):
        name = block.value.get("AlarmName")
        if not isinstance(name, str):
            context.findings.add(block.path, "the alarm has no name", "add alarmName: too-many-errors")
            continue
        context.declare("alarm", name, block.at("AlarmName"))
        alarm = in_camel_case(block.value)
        if not block.sound:
            continue
        if not alarm.get("dimensions") and not alarm.get("metrics"):
            place = block.path
            context.findings.add(place, f"the alarm {name} says of no service", "add dimensions: ServiceName")
            continue
        check_source(context, alarm, block.path)
        found.append(alarm)
    return tuple(found)


def _instance_types(context: Context) -> None:
    """Every own instance type is looked up once, so that a mistake in it stands at its own place."""
    for index, written in enumerate(context.file.instance_types):
        path = ("instanceTypes", index)
        name = written.get("name")
        if not isinstance(name, str):
            context.findings.add(path, "the instance type has no name", "add name: rack.node")
            continue
        context.declare("instance type", name, (*path, "name"))
        try:
            context.catalog.instance_type(name, context.region, [written])
        except CatalogError as error:
            context.findings.add(path, error.what, error.right)


def _default_strategy(context: Context) -> Any:
    """The cluster's default strategy, checked like a strategy of RunTask."""
    items = context.file.cluster.default_capacity_provider_strategy
    path = ("cluster", "defaultCapacityProviderStrategy")
    problems = len(context.findings.problems)
    checked = check(context.findings, path, {"capacityProviderStrategy": items}, "strategy", "ecs.RunTask")
    if len(context.findings.problems) > problems:
        return ()
    return strategy_items(context, checked.value.get("capacityProviderStrategy") or (), path)


def _cluster(context: Context) -> Cluster:
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
        image_pulls=image_pulls(context),
    )


def _sampling(context: Context) -> Sampling:
    written = context.file.sampling
    return Sampling(
        interval_ms=written.interval,
        cost_period_ms=written.cost_period,
        cost_per_resource=written.cost_per_resource,
    )


def _pricing(context: Context, groups: list[AutoScalingGroup]) -> Pricing:
    """Prices of what is used: a region without Fargate prices matters only to who runs there."""
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
                _uses(context),
                FargateFactors(spot=written.fargate_spot_factor),
                written.fargate,
            )
            for warning in warnings:
                context.findings.warn(path, warning)
        except CatalogError as error:
            context.findings.add(path, error.what, error.right)
    plan = written.savings_plan
    return Pricing(
        fargate=prices,
        fargate_spot_factor=written.fargate_spot_factor,
        savings_plan=None
        if plan is None
        else SavingsPlan(
            usd_per_hour=plan.usd_per_hour,
            ec2_discount=plan.discount.ec2,
            fargate_discount=plan.discount.fargate,
        ),
        reserved_instances=tuple(each.model_dump(by_alias=True) for each in written.reserved_instances),
        ebs_usd_per_gib_month=written.ebs_usd_per_gib_month,
    )


def _uses(context: Context) -> list[FargateUse]:
    """The ways of using Fargate; who uses Spot also needs the on-demand price, which is the list price."""
    found: dict[FargateUse, None] = {}
    for use in context.fargate_uses:
        found[use._replace(spot=False)] = None
        found[use] = None
    return list(found)
