"""The section `failures`, resolved.

Decides what each entry names, and which rate holds where nothing is written: EC2's Spot instances are interrupted as
the catalogue says, Fargate's tasks by an assumption that deserves a warning. Must not know how a failure is carried
out. `resolve` calls it last, when all names are known.
"""

from __future__ import annotations

from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.sections.failures import (
    AgentDisconnects,
    Failures,
    Interruptions,
    Outage,
    Shortage,
    WrittenInterruptions,
    WrittenShortage,
)
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest

LISTED = 3  # types that one warning names
FARGATE_SPOT_MONTHLY_SHARE = 0.075
"""The middle of 5 to 10 %: AWS publishes no figure for Fargate Spot (MODEL.md)."""


def failures(context: Context) -> Failures:
    """What breaks in the scenario."""
    written = context.file.failures
    instances, retirement, agents = (
        written.container_instances,
        written.fargate_task_retirement,
        written.agent_disconnects,
    )
    disconnects = None
    if agents is not None:
        disconnects = AgentDisconnects(time_to_disconnect=agents.time_to_disconnect, duration=agents.duration)
    _warn_of_unknown_types(context)
    return Failures(
        container_instances=None if instances is None else instances.time_to_failure,
        agent_disconnects=disconnects,
        spot=_interruptions(written.spot_interruptions),
        fargate_spot=_fargate_spot(context),
        fargate_task_retirement=None if retirement is None else retirement.time_to_retirement,
        zone_outages=_outages(context),
        capacity_shortages=tuple(
            _shortage(context, each, ("failures", "capacityShortages", index))
            for index, each in enumerate(written.capacity_shortages)
        ),
    )


def _warn_of_unknown_types(context: Context) -> None:
    """Spot types of which nobody publishes how often they are reclaimed."""
    written = context.file.failures.spot_interruptions
    by_catalogue = written == "catalogue" or (
        isinstance(written, WrittenInterruptions)
        and written.time_to_interruption is None
        and written.monthly_share is None
    )
    by_place: dict[Steps, list[str]] = {}
    for name, path in context.spot_types_without_band.items() if by_catalogue else ():
        by_place.setdefault(path, []).append(name)
    for path, names in by_place.items():
        more = f" and {len(names) - LISTED} more types" if len(names) > LISTED else ""
        context.findings.warn(
            path,
            f"how often Spot instances of {', '.join(names[:LISTED])}{more} are reclaimed is not published: they are "
            f"not interrupted; instanceTypes: [{{name: {names[0]}, spotInterruption: 0.075}}] sets a share lost in a "
            "month, failures.spotInterruptions: {monthlyShare: 0.075} one for all",
        )


def _interruptions(written: WrittenInterruptions | str) -> Interruptions | None:
    """How EC2's Spot instances are interrupted; None: never."""
    if written == "none":
        return None
    if isinstance(written, str):
        written = WrittenInterruptions()
    if written.time_to_interruption is not None:
        return Interruptions(time_to_interruption=written.time_to_interruption)
    return Interruptions(
        monthly_share=written.monthly_share,
        pool_share=written.pool_share,
        pool_fraction=written.pool_fraction,
    )


def _fargate_spot(context: Context) -> Interruptions | None:
    """How Fargate's Spot tasks are interrupted: as written, else like the instances, else as assumed."""
    written = context.file.failures
    if "fargate_spot_interruptions" in written.model_fields_set:
        mine = written.fargate_spot_interruptions
    else:
        mine = written.spot_interruptions
    if isinstance(mine, WrittenInterruptions) and (
        mine.time_to_interruption or mine.monthly_share is not None
    ):
        return _interruptions(mine)
    if mine == "none":
        return None
    known = mine if isinstance(mine, WrittenInterruptions) else WrittenInterruptions()
    if context.fargate_spot_used_at is not None:
        share = f"{100 * FARGATE_SPOT_MONTHLY_SHARE:g} %"
        context.findings.warn(
            context.fargate_spot_used_at,
            f"AWS publishes no interruption rate of Fargate Spot: {share} a month are assumed; "
            "failures.fargateSpotInterruptions sets another, or none",
        )
    return Interruptions(
        monthly_share=FARGATE_SPOT_MONTHLY_SHARE,
        pool_share=known.pool_share,
        pool_fraction=known.pool_fraction,
    )


def _outages(context: Context) -> tuple[Outage, ...]:
    found = []
    for index, outage in enumerate(context.file.failures.zone_outages):
        _check_zone(context, outage.availability_zone, ("failures", "zoneOutages", index, "availabilityZone"))
        found.append(
            Outage(zone=outage.availability_zone, at_ms=outage.at, until_ms=outage.at + outage.duration)
        )
    return tuple(found)


def _shortage(context: Context, written: WrittenShortage, path: Steps) -> Shortage:
    """A shortage whose names exist; it has to say of what."""
    provider = written.capacity_provider
    if provider is None and written.instance_type is None:
        context.findings.add(path, "of nothing", "add capacityProvider: NAME or instanceType: TYPE")
    if provider is not None:
        found = context.find("capacity provider", provider, (*path, "capacityProvider"), FARGATE_PROVIDERS)
        provider = found if found is not None else provider
    kind = written.instance_type
    if kind is not None and kind not in context.types_used:
        what, right = f"nothing launches {kind}", closest(kind, sorted(context.types_used))
        context.findings.add((*path, "instanceType"), what, right)
    if written.availability_zone is not None:
        _check_zone(context, written.availability_zone, (*path, "availabilityZone"))
    return Shortage(
        provider=provider,
        instance_type=kind,
        purchase_option=written.purchase_option,
        zone=written.availability_zone,
        at_ms=written.at,
        until_ms=written.at + written.duration,
        reclaim=written.reclaim,
    )


def _check_zone(context: Context, zone: str, path: Steps) -> None:
    if zone not in context.zones:
        what = f"{zone} is no zone of this scenario"
        context.findings.add(path, what, closest(zone, context.zones))
