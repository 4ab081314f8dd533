"""The section `failures`, resolved.

Checks the names in each entry, and decides the default rates: EC2's Spot instances are interrupted as the catalogue
says, Fargate's tasks by an assumption, with a warning. Must not know how a failure is carried out. `resolve.scenario`
calls it last, when all names are known.
"""

from __future__ import annotations

from clustersim.scenario.resolve.context import FARGATE_PROVIDERS, Context
from clustersim.scenario.sections.failures import (
    CapacityShortage,
    Failures,
    SpotInterruptions,
    WrittenCapacityShortage,
    WrittenSpotInterruptions,
    ZoneOutage,
)
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name

MAX_LISTED_TYPES = 3
"""The most types that one warning names."""
FARGATE_SPOT_MONTHLY_SHARE = 0.075
"""The middle of 5 to 10 %: AWS publishes no figure for Fargate Spot (MODEL.md)."""


def resolve_failures(context: Context) -> Failures:
    """Return the failures of the scenario."""
    written = context.file.failures
    _warn_of_types_without_rate(context)
    return Failures(
        **written.resolved_alone(),
        spot=_resolve_interruptions(written.spot_interruptions),
        fargate_spot=_resolve_fargate_spot(context),
        zone_outages=_resolve_outages(context),
        capacity_shortages=tuple(
            _resolve_shortage(context, each, ("failures", "capacityShortages", index))
            for index, each in enumerate(written.capacity_shortages)
        ),
    )


def _warn_of_types_without_rate(context: Context) -> None:
    """Warn of Spot types without a published interruption rate."""
    written = context.file.failures.spot_interruptions
    by_catalogue = written == "catalogue" or (
        isinstance(written, WrittenSpotInterruptions)
        and written.time_to_interruption is None
        and written.monthly_share is None
    )
    by_path: dict[FieldPath, list[str]] = {}
    for name, path in context.spot_types_without_rate.items() if by_catalogue else ():
        by_path.setdefault(path, []).append(name)
    for path, names in by_path.items():
        more = f" and {len(names) - MAX_LISTED_TYPES} more types" if len(names) > MAX_LISTED_TYPES else ""
        listed = f"{', '.join(names[:MAX_LISTED_TYPES])}{more}"
        context.diagnostics.warn(
            path,
            f"how often Spot instances of {listed} are reclaimed is not published: they are "
            f"not interrupted; instanceTypes: [{{name: {names[0]}, spotInterruption: 0.075}}] sets a share lost in a "
            "month, failures.spotInterruptions: {monthlyShare: 0.075} one for all",
        )


def _resolve_interruptions(written: WrittenSpotInterruptions | str) -> SpotInterruptions | None:
    """Return the interruptions of EC2's Spot instances; None: there are none."""
    if written == "none":
        return None
    if isinstance(written, str):
        written = WrittenSpotInterruptions()
    if written.time_to_interruption is not None:
        return SpotInterruptions(time_to_interruption=written.time_to_interruption)
    return SpotInterruptions(
        monthly_share=written.monthly_share,
        pool_share=written.pool_share,
        pool_fraction=written.pool_fraction,
    )


def _resolve_fargate_spot(context: Context) -> SpotInterruptions | None:
    """Return the interruptions of Fargate Spot tasks: as written, else like the instances, else as assumed."""
    written = context.file.failures
    if "fargate_spot_interruptions" in written.model_fields_set:
        written_rate = written.fargate_spot_interruptions
    else:
        written_rate = written.spot_interruptions
    if isinstance(written_rate, WrittenSpotInterruptions) and (
        written_rate.time_to_interruption or written_rate.monthly_share is not None
    ):
        return _resolve_interruptions(written_rate)
    if written_rate == "none":
        return None
    shares = (
        written_rate if isinstance(written_rate, WrittenSpotInterruptions) else WrittenSpotInterruptions()
    )
    if context.fargate_spot_used_at is not None:
        share = f"{100 * FARGATE_SPOT_MONTHLY_SHARE:g} %"
        context.diagnostics.warn(
            context.fargate_spot_used_at,
            f"AWS publishes no interruption rate of Fargate Spot: {share} a month are assumed; "
            "failures.fargateSpotInterruptions sets another, or none",
        )
    return SpotInterruptions(
        monthly_share=FARGATE_SPOT_MONTHLY_SHARE,
        pool_share=shares.pool_share,
        pool_fraction=shares.pool_fraction,
    )


def _resolve_outages(context: Context) -> tuple[ZoneOutage, ...]:
    outages = []
    for index, outage in enumerate(context.file.failures.zone_outages):
        _check_zone(context, outage.availability_zone, ("failures", "zoneOutages", index, "availabilityZone"))
        outages.append(
            ZoneOutage(zone=outage.availability_zone, at_ms=outage.at, until_ms=outage.at + outage.duration)
        )
    return tuple(outages)


def _resolve_shortage(
    context: Context, written: WrittenCapacityShortage, path: FieldPath
) -> CapacityShortage:
    """Return a shortage, and report unknown names in it; it has to name a provider or an instance type."""
    provider = written.capacity_provider
    if provider is None and written.instance_type is None:
        context.diagnostics.add_problem(
            path, "names no capacity", "add capacityProvider: NAME or instanceType: TYPE"
        )
    if provider is not None:
        name = context.resolve_name(
            "capacity provider", provider, (*path, "capacityProvider"), FARGATE_PROVIDERS
        )
        provider = name if name is not None else provider
    instance_type = written.instance_type
    if instance_type is not None and instance_type not in context.launched_types:
        problem, hint = (
            f"nothing launches {instance_type}",
            suggest_name(instance_type, sorted(context.launched_types)),
        )
        context.diagnostics.add_problem((*path, "instanceType"), problem, hint)
    if written.availability_zone is not None:
        _check_zone(context, written.availability_zone, (*path, "availabilityZone"))
    return CapacityShortage(
        provider=provider,
        instance_type=instance_type,
        purchase_option=written.purchase_option,
        zone=written.availability_zone,
        at_ms=written.at,
        until_ms=written.at + written.duration,
        reclaim=written.reclaim,
    )


def _check_zone(context: Context, zone: str, path: FieldPath) -> None:
    if zone not in context.zones:
        problem = f"{zone} is not a zone of this scenario"
        context.diagnostics.add_problem(path, problem, suggest_name(zone, context.zones))
