"""AWS service quotas that do not stop a run: exceeding one is logged once, with its name.

The two quotas that are enforced, tasks in PROVISIONING and Fargate vCPUs, are settings of `cluster:`. Figures from the
ECS Developer Guide: service quotas (MODEL.md).
"""

from __future__ import annotations

from clustersim.scenario.sections.scenario import Scenario

TASKS_PER_SERVICE = 5_000
SERVICES_PER_CLUSTER = 5_000
INSTANCES_PER_CLUSTER = 5_000
PROVIDERS_PER_CLUSTER = 20


def exceeded_quotas(scenario: Scenario) -> list[str]:
    """Return one sentence for each quota that the scenario exceeds."""
    messages = []
    most = 0
    for service in scenario.services:
        ceiling = service.auto_scaling.max_capacity if service.auto_scaling else 0
        most = max(most, service.desired_count, ceiling)
    figures = (
        ("tasks per service", most, TASKS_PER_SERVICE),
        ("services per cluster", len(scenario.services), SERVICES_PER_CLUSTER),
        (
            "container instances per cluster",
            sum(group.desired_capacity for group in scenario.groups),
            INSTANCES_PER_CLUSTER,
        ),
        ("capacity providers per cluster", len(scenario.providers), PROVIDERS_PER_CLUSTER),
    )
    for quota, used, limit in figures:
        if used > limit:
            messages.append(
                f"the AWS quota of {limit:,} {quota} is exceeded ({used:,}); the simulation continues"
            )
    return messages
