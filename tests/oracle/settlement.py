"""What commitments cover in one clock hour, a second time: dictionaries, one usage after the other.

The order is AWS's: zonal Reserved Instances, regional ones, EC2 Instance plans, Compute plans, each plan where it
saves the largest share, of equal shares at the lowest rate. No code of clustersim is used.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from tests.oracle.scenario_text import Plan, Reservation

EC2, FARGATE = "EC2", "FARGATE"


class Usage(NamedTuple):
    """Something that a commitment may cover: what is billed in one zone, and its on-demand price."""

    kind: str
    sku: str
    zone: str
    price: float
    instance_type: str = ""


class Cover(NamedTuple):
    """A part of a usage that a commitment covers, and what a unit of it costs then."""

    commitment: str
    share: float
    rate: float


class Hour:
    """One clock hour: `covers` of each usage, the share that is left, and what each commitment leaves unused."""

    def __init__(self, used: dict[Usage, float], part: float) -> None:
        self.covers: dict[Usage, list[Cover]] = defaultdict(list)
        self.unused: dict[str, float] = {}
        self.part = part
        self._used = used
        self._left = dict(used)

    def rest(self, usage: Usage) -> float:
        """The share of a usage that no commitment covers."""
        return self._left[usage] / self._used[usage]

    def settle(self, plans: list[Plan], reservations: list[Reservation]) -> None:
        """Apply all commitments."""
        for zonal in (True, False):
            for each in reservations:
                if (each.zone is not None) == zonal:
                    self._reserve(each)
        for of_family in (True, False):
            for plan in plans:
                if (plan.family is not None) == of_family:
                    self._plan(plan)

    def _reserve(self, terms: Reservation) -> None:
        matching = [
            usage
            for usage in self._used
            if usage.instance_type == terms.instance_type and terms.zone in (None, usage.zone)
        ]
        hours = terms.count * self.part
        wanted = sum(self._left[usage] for usage in matching)
        for usage in matching:
            self._cover(usage, terms.name, min(1.0, hours / wanted) if wanted else 0.0, terms.usd_per_hour)
        self.unused[terms.name] = max(0.0, hours - wanted) * terms.usd_per_hour

    def _plan(self, plan: Plan) -> None:
        money = plan.usd_per_hour * self.part
        groups: dict[tuple[float, float], list[Usage]] = defaultdict(list)
        for usage in self._used:
            discount = plan.ec2 if usage.kind == EC2 else plan.fargate
            family = usage.instance_type.split(".")[0]
            covers = plan.family is None or (usage.kind == EC2 and family == plan.family)
            if covers and usage.price > 0:
                groups[-discount, usage.price * (1 - discount)].append(usage)
        for (_, rate), usages in sorted(groups.items(), key=lambda group: group[0]):
            wanted = sum(self._left[usage] for usage in usages) * rate
            share = min(1.0, money / wanted) if wanted else 0.0
            for usage in usages:
                self._cover(usage, plan.name, share, rate)
            money -= share * wanted
        self.unused[plan.name] = max(0.0, money)

    def _cover(self, usage: Usage, name: str, share: float, rate: float) -> None:
        if share > 0 and self._used[usage]:
            self.covers[usage].append(Cover(name, share * self._left[usage] / self._used[usage], rate))
            self._left[usage] *= 1 - share
