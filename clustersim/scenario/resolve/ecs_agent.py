"""The container agent of a group's instances, resolved.

Decides what `ecsConfig` comes to, and warns of the agent's variables that would change what is simulated, but do
not yet. Must not know instances. `resolve_capacity` calls it for each group.
"""

from __future__ import annotations

from clustersim.policy.images.image_pulls import BEHAVIORS
from clustersim.scenario.aws.checked_block import Block
from clustersim.scenario.images.image_references import in_full
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.roles import note_reference
from clustersim.scenario.sections.ecs_agent import NOT_SIMULATED
from clustersim.scenario.sections.images import AgentSettings
from clustersim.scenario.sections.own_keys import OwnGroup
from clustersim.scenario.text.overrides import closest


def agent_settings(context: Context, own: OwnGroup, block: Block) -> AgentSettings:
    """The settings of a group's agent, the disk of its own, and the images that its instances come with."""
    written = own.ecs_config
    _note(context, own, block)
    return AgentSettings(
        pull_behavior=BEHAVIORS.index(written.image_pull_behavior),
        cleanup=written.cleans_up,
        cleanup_interval_ms=written.cleanup_interval_ms,
        minimum_age_ms=written.image_minimum_cleanup_age,
        images_per_cycle=written.images_per_cycle,
        container_wait_ms=written.wait_ms,
        pull_timeout_ms=written.image_pull_timeout,
        logs_by_execution_role=written.logs_by_execution_role,
        registry_credentials=written.engine_auth_data is not None,
        system_disk_gib=own.system_disk,
        preloaded=tuple(in_full(reference) for reference in own.preloaded_images),
        pulls_upfront=written.pull_dependent_upfront,
        stop_timeout_ms=written.stop_timeout_ms,
        start_timeout_ms=written.start_timeout_ms,
        reserved_memory_mib=written.reserved_memory,
        reserved_ports=written.reserved_ports,
    )


def _note(context: Context, own: OwnGroup, block: Block) -> None:
    """Warn of what is read without being simulated, and of names that nothing has."""
    findings = context.findings
    written = block.value.get("ecsConfig")
    for variable, words in NOT_SIMULATED.items():
        if isinstance(written, dict) and variable in written:
            findings.not_simulated((*block.at("ecsConfig"), variable), words)
    if own.instance_role is not None:
        note_reference(context, own.instance_role, block.at("instanceRole"))
    listed = {in_full(reference): reference for reference in context.file.images}
    for index, reference in enumerate(own.preloaded_images):
        if in_full(reference) not in listed:
            hint = closest(reference, sorted(listed.values()))
            hint = f"; {hint}" if hint.startswith("did") else ""
            place = (*block.at("preloadedImages"), index)
            findings.warn(place, f"{reference} is not listed in images, so it needs no pull anyway{hint}")
