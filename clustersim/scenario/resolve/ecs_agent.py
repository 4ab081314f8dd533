"""The container agent of a group's instances, resolved.

Converts `ecsConfig` to settings, and warns of variables of the agent that a simulation ignores although they would
change it. Must not know instances. `auto_scaling_groups` calls it for each group.
"""

from __future__ import annotations

from clustersim.policy.images.image_pulls import BEHAVIORS
from clustersim.scenario.aws.checked_block import CheckedBlock
from clustersim.scenario.images.image_references import canonical_reference
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.roles import warn_of_unlisted_role
from clustersim.scenario.sections.ecs_agent import (
    SYSTEM_DISK_GIB,
    UNSIMULATED_VARIABLES,
    AgentSettings,
    WrittenEcsConfig,
)
from clustersim.scenario.sections.own_keys import OwnAutoScalingGroupKeys
from clustersim.scenario.text.overrides import suggest_name


def resolve_agent_settings(
    context: Context, own: OwnAutoScalingGroupKeys, block: CheckedBlock
) -> AgentSettings:
    """Return the settings of a group's agent, and warn of variables and names that have no effect."""
    _warn_of_unused(context, own, block)
    preloaded = tuple(canonical_reference(reference) for reference in own.preloaded_images)
    return build_agent_settings(own.ecs_config, own.system_disk, preloaded)


def build_agent_settings(
    written: WrittenEcsConfig, system_disk_gib: int = SYSTEM_DISK_GIB, preloaded: tuple[str, ...] = ()
) -> AgentSettings:
    """Return the settings of an agent; a default `WrittenEcsConfig` gives those of an agent without a file."""
    return AgentSettings(
        pull_behavior=BEHAVIORS.index(written.image_pull_behavior),
        cleanup=written.cleans_up,
        cleanup_interval_ms=written.cleanup_interval_ms,
        minimum_age_ms=written.image_minimum_cleanup_age,
        images_per_cycle=written.images_per_cycle,
        container_wait_ms=written.container_wait_ms,
        pull_timeout_ms=written.image_pull_timeout,
        logs_by_execution_role=written.logs_by_execution_role,
        registry_credentials=written.engine_auth_data is not None,
        system_disk_gib=system_disk_gib,
        preloaded=preloaded,
        pulls_upfront=written.pull_dependent_upfront,
        stop_timeout_ms=written.stop_timeout_ms,
        start_timeout_ms=written.start_timeout_ms,
        reserved_memory_mib=written.reserved_memory,
        reserved_ports=written.reserved_ports,
    )


def _warn_of_unused(context: Context, own: OwnAutoScalingGroupKeys, block: CheckedBlock) -> None:
    """Warn of variables that are not simulated, and of roles and images that are not listed."""
    diagnostics = context.diagnostics
    written = block.value.get("ecsConfig")
    for variable, words in UNSIMULATED_VARIABLES.items():
        if isinstance(written, dict) and variable in written:
            diagnostics.warn_not_simulated((*block.field_path("ecsConfig"), variable), words)
    if own.instance_role is not None:
        warn_of_unlisted_role(context, own.instance_role, block.field_path("instanceRole"))
    listed = {canonical_reference(reference): reference for reference in context.file.images}
    for index, reference in enumerate(own.preloaded_images):
        if canonical_reference(reference) not in listed:
            hint = suggest_name(reference, sorted(listed.values()))
            hint = f"; {hint}" if hint.startswith("did") else ""
            location = (*block.field_path("preloadedImages"), index)
            diagnostics.warn(
                location, f"{reference} is not listed in images, so it needs no pull anyway{hint}"
            )
