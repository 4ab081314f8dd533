"""Termination policies of Auto Scaling groups: zones first, then purchase options, then the policies.

The order of the criteria is that of EC2 Auto Scaling (User Guide: termination policies): the zone with the most
instances that has a candidate; in a mixed group, the purchase option of which there are too many; then each policy
in turn, the default one last: closest to the next billing hour, then at random. Pure functions;
`control.capacity.auto_scaling_groups` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clustersim.policy.capacity.instance_allocation import on_demand_count
from clustersim.vocabulary import MS_PER_HOUR


class TerminationCandidate(NamedTuple):
    """An instance that may be terminated; `tie_break` is a random number used last."""

    slot: int
    zone: int
    spot: bool
    launched: int
    tie_break: float


class PurchaseMix(NamedTuple):
    """On-demand base and percentage of a group, and how many instances it has of each purchase option."""

    base: int
    percent: int
    on_demand: int
    spot: int


def _rank(candidate: TerminationCandidate, policies: Sequence[str], now: int) -> tuple[float, ...]:
    """Return the sort key of a candidate under the policies, lowest first.

    Instances of a group share one launch template, so its age does not matter.
    """
    to_next_hour = -(now - candidate.launched) % MS_PER_HOUR
    keys_by_policy = {
        "OldestInstance": float(candidate.launched),
        "NewestInstance": -float(candidate.launched),
        "ClosestToNextInstanceHour": float(to_next_hour),
    }
    keys = [keys_by_policy[policy] for policy in policies if policy in keys_by_policy]
    return (*keys, float(to_next_hour), candidate.tie_break)


def choose_instances_to_terminate(
    candidates: Sequence[TerminationCandidate],
    zone_counts: Mapping[int, int],
    mix: PurchaseMix,
    policies: Sequence[str],
    count: int,
    now: int,
) -> list[int]:
    """Return the slots of up to `count` candidates in order of termination; `zone_counts` count all instances."""
    queues: dict[tuple[int, bool], list[TerminationCandidate]] = {}
    for candidate in sorted(candidates, key=lambda candidate: _rank(candidate, policies, now), reverse=True):
        queues.setdefault((candidate.zone, candidate.spot), []).append(candidate)
    remaining = dict(zone_counts)
    on_demand, spot = mix.on_demand, mix.spot
    chosen: list[int] = []
    while len(chosen) < count and queues:
        fullest = max(sorted({zone for zone, _ in queues}), key=remaining.__getitem__)
        terminate_spot = on_demand <= on_demand_count(on_demand + spot - 1, mix.base, mix.percent)
        is_spot = terminate_spot if (fullest, terminate_spot) in queues else not terminate_spot
        queue = queues[fullest, is_spot]
        chosen.append(queue.pop().slot)
        if not queue:
            del queues[fullest, is_spot]
        remaining[fullest] -= 1
        spot, on_demand = spot - int(is_spot), on_demand - int(not is_spot)
    return chosen
