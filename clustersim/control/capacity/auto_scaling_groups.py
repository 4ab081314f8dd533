"""Auto Scaling groups: each brought to its desired capacity, within its bounds, its zones in balance.

Compares desired with actual and launches or terminates the difference; what it loses it replaces. What is launched
next is decided in `policy.capacity.instance_allocation`, what goes in `policy.capacity.termination_policies`. An
instance that drains before its termination counts no longer as the group's (EC2: Terminating:Wait). Knows nothing of
tasks but whether an instance has any. `control.capacity.capacity` calls it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.capacity.instance_launcher import Choice, Launcher
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.instance_allocation import (
    TypeOffer,
    on_demand_of,
    surplus_for_balance,
    type_order,
    zone_order,
)
from clustersim.policy.capacity.termination_policies import Candidate, Mix, choose_victims
from clustersim.policy.tasks.subnet_addresses import instance_words
from clustersim.scenario.sections.scenario import AutoScalingGroup
from clustersim.vocabulary import MS_PER_HOUR, InstanceState, TerminationReason
from clustersim.world.scheduling.capacity_demand import lots
from clustersim.world.state.tables import AWAITED
from clustersim.world.state.world import World

_NO_CAPACITY = (
    "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our "
    "system will be working on provisioning additional capacity. Launching EC2 instance failed."
)
_NO_SPOT = "There is no Spot capacity available that matches your request. Launching EC2 instance failed."
MACHINE_DRAIN_MS = 48 * MS_PER_HOUR  # longer than any deregistration delay: EC2 Auto Scaling waits as long
_ALL_PROTECTED = (
    "Could not scale to desired capacity because all remaining instances are protected from scale-in."
)


class _Members(NamedTuple):
    """The instances of a group that count as its own, as columns."""

    slots: Array
    zones: Array
    spot: Array
    states: Array


class Groups:
    """All Auto Scaling groups."""

    def __init__(self, world: World, launcher: Launcher) -> None:
        self.world = world
        self.launcher = launcher
        scenario = world.scenario
        self.desired = [group.desired_capacity for group in scenario.groups]
        self.extra = [0] * len(scenario.groups)  # machines that an instance refresh wants beyond the desired
        self._surplus = [0] * len(scenario.groups)  # instances beyond the desired, to balance the zones
        self._retry_at = [0] * len(scenario.groups)
        self._failing = [False] * len(scenario.groups)
        self._awaiting: set[int] = set()  # groups that go on when what they have launched is registered
        self._stuck = [False] * len(scenario.groups)  # scale-in finds every instance protected
        self._zones = [[world.names.zones.index(zone) for zone in group.zones] for group in scenario.groups]
        self._offers = [self._offers_of(group) for group in scenario.groups]
        providers = {provider.group: provider for provider in scenario.providers}
        self._providers = [providers.get(group.name) for group in scenario.groups]

    def _offers_of(self, group: AutoScalingGroup) -> list[TypeOffer]:
        kinds = {kind.name: kind for kind in self.world.scenario.instance_types}
        return [
            TypeOffer(
                name,
                kinds[name].usd_per_hour,
                kinds[name].spot_usd_per_hour or kinds[name].usd_per_hour,
                kinds[name].spot_interruption or 0.0,
            )
            for name in group.instance_types
        ]

    def drain_ms(self, group: int) -> int | None:
        """How long an instance may drain before it is terminated; None without managed draining.

        A virtual machine waits until its copy has stopped, which is asked of it at once (EC2 Auto Scaling User
        Guide: connection draining of its load balancer).
        """
        if self.world.scenario.groups[group].machines is not None:
            return MACHINE_DRAIN_MS
        provider = self._providers[group]
        if provider is None or not provider.managed_draining:
            return None
        return provider.draining_timeout_ms

    def members(self, group: int) -> _Members:
        """The group's instances but for those it has given up."""
        state = self.world.state
        slots = self.world.instances_of(group)
        slots = slots[state.instances["terminating"][slots] == 0]
        classes = state.classes[state.instances["klass"][slots]]
        return _Members(slots, classes["zone"], classes["spot"], state.instances["state"][slots])

    def launch_first(self, group: int, now: int) -> None:
        """The first instances of a run are there, and registered, at its first instant."""
        scenario = self.world.scenario
        if scenario.groups[group].machines is not None and scenario.initial_state == "empty":
            return  # nothing is there yet, and machines are what is to be there
        choices, _ = self._choose(group, self.members(group), self.desired[group], now)
        self._launched(group, self.launcher.launch(group, choices, now, at_once=True))

    def act(self, now: int) -> None:
        """Bring every group to its desired capacity."""
        self._awaiting.clear()
        for group in range(len(self.desired)):
            self.reconcile(group, now)
        self.world.state.clock[AWAITED] = len(self._awaiting)

    def reconcile(self, group: int, now: int) -> None:
        """Bring one group to its desired capacity."""
        members = self.members(group)
        surplus = self._surplus[group]
        short = self.desired[group] + self.extra[group] + surplus - members.slots.size
        if short > 0:
            self._launch(group, members, short, now)
        elif surplus and short == 0:
            if not self._awaits(group, members):
                self._surplus[group] = 0
                self._terminate(group, members, surplus, now, TerminationReason.REBALANCING)
                self.launcher.wake_at(now)  # there may be more to balance
        elif short < 0:
            self._terminate(group, members, -short, now, TerminationReason.SCALE_IN)
        else:
            self._balance(group, members, now)

    # --- launching -----------------------------------------------------------------------------------------

    def _launch(self, group: int, members: _Members, count: int, now: int) -> None:
        if now < self._retry_at[group]:
            return
        choices, refused = self._choose(group, members, count, now)
        if choices:
            self._launched(group, self.launcher.launch(group, choices, now))
            noun = "container instances" if self.world.scenario.groups[group].machines is None else "machines"
            self.launcher.say(now, group, "INSTANCE_LAUNCHED", f"launching {len(choices)} {noun}.")
        if refused is None:
            self._failing[group] = False
            return
        self._surplus[group] = 0
        if not self._failing[group]:
            names = self.world.names
            words = _NO_SPOT if refused.spot else _NO_CAPACITY
            words = words.format(type=names.types[refused.type], zone=names.zones[refused.zone])
            subnet = self.launcher.full_subnet(group, refused)
            words = words if subnet is None else instance_words(subnet)
            self.launcher.say(now, group, "INSTANCE_LAUNCH_FAILED", words)
        self._failing[group] = True
        self._retry_at[group] = now + self.world.scenario.cluster.launch_retry_ms
        self.launcher.wake_at(self._retry_at[group])

    def _launched(self, group: int, slots: Array) -> None:
        if self.world.scenario.groups[group].protects_new:
            self.world.state.instances["protected"][slots] = 1

    def _choose(
        self, group: int, members: _Members, count: int, now: int
    ) -> tuple[list[Choice], Choice | None]:
        """Up to `count` instances to launch, and the first choice of the first one that cannot be had."""
        of = self.world.scenario.groups[group].distribution
        zones = {zone: int(np.count_nonzero(members.zones == zone)) for zone in self._zones[group]}
        bought = [int(np.count_nonzero(members.spot == 0)), int(np.count_nonzero(members.spot))]
        chosen: list[Choice] = []
        refused: dict[bool, Choice] = {}
        for _ in range(count):
            total = bought[False] + bought[True] + 1
            spot = bought[False] >= on_demand_of(total, of.on_demand_base, of.on_demand_percent)
            bought[spot] += 1  # whether it can be had or not: the other option does not step in
            if spot in refused:
                continue
            found, first = self._find(group, members, zones, spot, now)
            if found is None:
                refused[spot] = first
                continue
            chosen.append(found)
            zones[found.zone] += 1
        return chosen, next(iter(refused.values()), None)

    def _find(
        self, group: int, members: _Members, zones: dict[int, int], spot: bool, now: int
    ) -> tuple[Choice | None, Choice]:
        """The first open type of the first zone that has one (of the first zone only: `balanced-only`), and the
        choice that came first."""
        of = self.world.scenario.groups[group]
        types = self.world.names.types
        first: Choice | None = None
        order = zone_order(zones)
        for zone in order[:1] if of.balanced_only else order:
            for name in self._types_in(group, members, zone, spot):
                choice = Choice(types.index(name), zone, spot)
                first = first or choice
                ahead = zones[zone] - int(np.count_nonzero(members.zones == zone))
                if self.launcher.is_open(group, choice, now, ahead):
                    return choice, first
        assert first is not None
        return None, first

    def _types_in(self, group: int, members: _Members, zone: int, spot: bool) -> list[str]:
        of = self.world.scenario.groups[group].distribution
        if len(self._offers[group]) == 1:
            return [self._offers[group][0].name]
        held: dict[str, int] = {}
        if spot:
            state = self.world.state
            there = members.slots[(members.zones == zone) & (members.spot == 1)]
            for number in state.classes["type"][state.instances["klass"][there]]:
                name = self.world.names.types[number]
                held[name] = held.get(name, 0) + 1
        strategy = of.spot_strategy if spot else of.on_demand_strategy
        return type_order(self._offers[group], strategy, spot, held, of.spot_pools)

    # --- terminating ---------------------------------------------------------------------------------------

    def _terminate(
        self, group: int, members: _Members, count: int, now: int, reason: TerminationReason
    ) -> None:
        """Give up `count` instances that are not protected from scale-in."""
        victims = self._victims(group, members, count, now)
        for slot in victims:
            self.launcher.give_up(slot, now, reason, self.drain_ms(group))
        stuck = len(victims) < count
        if stuck and not self._stuck[group]:
            self.launcher.say(now, group, "INSTANCES_PROTECTED", _ALL_PROTECTED)
        self._stuck[group] = stuck

    def _victims(self, group: int, members: _Members, count: int, now: int) -> list[int]:
        state = self.world.state
        of = self.world.scenario.groups[group]
        free = members.slots[self._protected(group, members.slots) == 0]
        drawn = np.zeros(free.size, np.float64)
        lots(self.world.core, free, drawn)
        rows = state.instances[free]
        classes = state.classes[rows["klass"]]
        candidates = [
            Candidate(int(slot), int(zone), bool(spot), int(launched), float(lot))
            for slot, zone, spot, launched, lot in zip(
                free, classes["zone"], classes["spot"], rows["launched"], drawn, strict=True
            )
        ]
        counts = {zone: int(np.count_nonzero(members.zones == zone)) for zone in np.unique(members.zones)}
        spot = int(np.count_nonzero(members.spot))
        mix = Mix(
            of.distribution.on_demand_base, of.distribution.on_demand_percent, members.slots.size - spot, spot
        )
        return choose_victims(candidates, counts, mix, of.termination_policies, count, now)

    def _protected(self, group: int, slots: Array) -> Array:
        """Who is protected from scale-in: with managed termination protection, who has a task that is no daemon."""
        provider = self._providers[group]
        if provider is not None and provider.managed_termination_protection:
            return np.asarray(self.world.state.instances["working"][slots] > 0, np.int8)
        return np.asarray(self.world.state.instances["protected"][slots])

    # --- balance -------------------------------------------------------------------------------------------

    def _balance(self, group: int, members: _Members, now: int) -> None:
        """Where a zone has two instances more than another that has capacity, launch first, then terminate."""
        zones = self._zones[group]
        counts = {zone: int(np.count_nonzero(members.zones == zone)) for zone in zones}
        least = min(counts.values())
        if max(counts.values()) - least <= 1 or self._awaits(group, members):
            return
        usable = [zone for zone in zones if self._has_capacity(group, zone, now)]
        moves = surplus_for_balance(counts, usable, self.world.scenario.groups[group].max_size)
        crowded = [zone for zone in zones if counts[zone] > least + 1]
        free = self._protected(group, members.slots) == 0
        moves = min(moves, int(np.count_nonzero(free & np.isin(members.zones, crowded))))
        if moves > 0:
            self._surplus[group] = moves
            self._awaiting.add(group)
            self.reconcile(group, now)

    def _awaits(self, group: int, members: _Members) -> bool:
        """Whether an instance of the group is still on its way; the group will look again when it is there."""
        awaits = bool(np.any(members.states == InstanceState.REGISTERING))
        if awaits:
            self._awaiting.add(group)
        return awaits

    def _has_capacity(self, group: int, zone: int, now: int) -> bool:
        """Whether the group could launch anything in a zone."""
        types = self.world.names.types
        return any(
            self.launcher.is_open(group, Choice(types.index(offer.name), zone, option == "spot"), now)
            for offer in self._offers[group]
            for option in self.world.scenario.groups[group].purchase_options
        )
