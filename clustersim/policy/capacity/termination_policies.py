"""Which instances an Auto Scaling group terminates: zones first, then purchase option, then its policies.

The order of the criteria is EC2 Auto Scaling's (User Guide: termination policies): the zone with the most
instances that has one to give; of a mixed group, the purchase option of which there are too many; then each policy
in turn, the default one last: closest to the next billing hour, then by lot. Pure;
`control.capacity.auto_scaling_groups` calls it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from clustersim.policy.capacity.instance_allocation import on_demand_of
from clustersim.vocabulary import MS_PER_HOUR


class Candidate(NamedTuple):
    """An instance that may go; `lot` decides what nothing else decides."""

    slot: int
    zone: int
    spot: bool
    launched: int
    lot: float


class Mix(NamedTuple):
    """On-demand base and percentage of a group, and how many it has of each purchase option."""

    base: int
    percent: int
    on_demand: int
    spot: int


def _rank(candidate: Candidate, policies: Sequence[str], now: int) -> tuple[float, ...]:
    """What the policies say of a candidate, least first.

    Instances of a group share one launch template, so its age decides nothing.
    """
    to_next_hour = -(now - candidate.launched) % MS_PER_HOUR
    words = {
        "OldestInstance": float(candidate.launched),
        "NewestInstance": -float(candidate.launched),
        "ClosestToNextInstanceHour": float(to_next_hour),
    }
    said = [words[policy] for policy in policies if policy in words]
    return (*said, float(to_next_hour), candidate.lot)


def choose_victims(
    candidates: Sequence[Candidate],
    zone_counts: Mapping[int, int],
    mix: Mix,
    policies: Sequence[str],
    count: int,
    now: int,
) -> list[int]:
    """The slots of up to `count` candidates, in the order in which they go; `zone_counts` count all instances."""
    waiting: dict[tuple[int, bool], list[Candidate]] = {}
    for candidate in sorted(candidates, key=lambda each: _rank(each, policies, now), reverse=True):
        waiting.setdefault((candidate.zone, candidate.spot), []).append(candidate)
    left = dict(zone_counts)
    on_demand, spot = mix.on_demand, mix.spot
    chosen: list[int] = []
    while len(chosen) < count and waiting:
        fullest = max(sorted({zone for zone, _ in waiting}), key=left.__getitem__)
        spot_goes = on_demand <= on_demand_of(on_demand + spot - 1, mix.base, mix.percent)
        option = spot_goes if (fullest, spot_goes) in waiting else not spot_goes
        queue = waiting[fullest, option]
        chosen.append(queue.pop().slot)
        if not queue:
            del waiting[fullest, option]
        left[fullest] -= 1
        spot, on_demand = spot - int(option), on_demand - int(not option)
    return chosen
