"""Auto Scaling groups: brings each to its desired capacity, within its bounds and with its zones in balance.

Launches or terminates the difference between desired and actual, and replaces lost instances.
`policy.capacity.instance_allocation` decides what is launched next, `policy.capacity.termination_policies` what is
terminated. An instance that drains before its termination no longer counts as the group's (EC2: Terminating:Wait).
Knows nothing of tasks except whether an instance has any. `control.capacity.capacity` calls it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from clustersim.control.capacity.instance_launcher import InstanceLauncher, LaunchChoice
from clustersim.engine.compiled import Array
from clustersim.policy.capacity.instance_allocation import (
    TypeOffer,
    on_demand_count,
    order_types,
    order_zones,
    rebalancing_surplus,
)
from clustersim.policy.capacity.termination_policies import (
    PurchaseMix,
    TerminationCandidate,
    choose_instances_to_terminate,
)
from clustersim.policy.tasks.subnet_addresses import instance_address_error
from clustersim.scenario.sections.scenario import AutoScalingGroup
from clustersim.vocabulary import MS_PER_HOUR, InstanceState, TerminationReason
from clustersim.world.scheduling.capacity_demand import draw_tie_breaks
from clustersim.world.state.world import World

_NO_CAPACITY = (
    "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}). Our "
    "system will be working on provisioning additional capacity. Launching EC2 instance failed."
)
_NO_SPOT = "There is no Spot capacity available that matches your request. Launching EC2 instance failed."
MACHINE_DRAIN_MS = 48 * MS_PER_HOUR  # longer than any deregistration delay, for which EC2 Auto Scaling waits
_ALL_PROTECTED = (
    "Could not scale to desired capacity because all remaining instances are protected from scale-in."
)


class _Members(NamedTuple):
    """The instances that count towards a group, as columns."""

    slots: Array
    zones: Array
    spot: Array
    states: Array


class AutoScalingGroups:
    """The controller of all Auto Scaling groups."""

    def __init__(self, world: World, launcher: InstanceLauncher) -> None:
        self.world = world
        self.launcher = launcher
        scenario = world.scenario
        self.desired = [group.desired_capacity for group in scenario.groups]
        # Machines beyond the desired capacity, for an instance refresh.
        self.refresh_extra = [0] * len(scenario.groups)
        # Instances beyond the desired capacity, to balance the zones.
        self._balancing_surplus = [0] * len(scenario.groups)
        self._retry_at = [0] * len(scenario.groups)
        self._failing = [False] * len(scenario.groups)
        self._awaiting: set[int] = set()  # groups to reconcile when their launches register
        self._scale_in_blocked = [False] * len(scenario.groups)  # every instance is protected
        self._zones = [[world.names.zones.index(zone) for zone in group.zones] for group in scenario.groups]
        self._offers = [self._offers_of(group) for group in scenario.groups]
        providers = {provider.group: provider for provider in scenario.providers}
        self._providers = [providers.get(group.name) for group in scenario.groups]

    def _offers_of(self, group: AutoScalingGroup) -> list[TypeOffer]:
        types = {instance_type.name: instance_type for instance_type in self.world.scenario.instance_types}
        return [
            TypeOffer(
                name,
                types[name].usd_per_hour,
                types[name].spot_usd_per_hour or types[name].usd_per_hour,
                types[name].spot_interruption or 0.0,
            )
            for name in group.instance_types
        ]

    def drain_ms(self, group: int) -> int | None:
        """Return how long (ms) an instance may drain before it is terminated; None without managed draining.

        A virtual machine waits until its copy has stopped, which is ordered at once (EC2 Auto Scaling User Guide:
        connection draining of its load balancer).
        """
        if self.world.scenario.groups[group].machines is not None:
            return MACHINE_DRAIN_MS
        provider = self._providers[group]
        if provider is None or not provider.managed_draining:
            return None
        return provider.draining_timeout_ms

    def members(self, group: int) -> _Members:
        """Return the group's instances except terminating ones."""
        state = self.world.state
        slots = self.world.instances_of(group)
        slots = slots[state.instances.rows["terminating"][slots] == 0]
        classes = state.capacity.classes[state.instances.rows["instance_class"][slots]]
        return _Members(slots, classes["zone"], classes["spot"], state.instances.rows["state"][slots])

    def launch_initial(self, group: int, now: int) -> None:
        """Launch and register the first instances of a run at its first instant."""
        scenario = self.world.scenario
        if scenario.groups[group].machines is not None and scenario.initial_state == "empty":
            return  # an empty start has no machines yet
        choices, _ = self._choose(group, self.members(group), self.desired[group], now)
        self._protect_new(group, self.launcher.launch(group, choices, now, at_once=True))

    def act(self, now: int) -> None:
        """Bring every group to its desired capacity."""
        self._awaiting.clear()
        for group in range(len(self.desired)):
            self.reconcile(group, now)
        self.world.state.counters.awaited = len(self._awaiting)

    def reconcile(self, group: int, now: int) -> None:
        """Bring one group to its desired capacity."""
        members = self.members(group)
        surplus = self._balancing_surplus[group]
        missing = self.desired[group] + self.refresh_extra[group] + surplus - members.slots.size
        if missing > 0:
            self._launch(group, members, missing, now)
        elif surplus and missing == 0:
            if not self._awaits_registration(group, members):
                self._balancing_surplus[group] = 0
                self._terminate(group, members, surplus, now, TerminationReason.REBALANCING)
                self.launcher.wake_at(now)  # there may be more to balance
        elif missing < 0:
            self._terminate(group, members, -missing, now, TerminationReason.SCALE_IN)
        else:
            self._balance(group, members, now)

    # --- launching -----------------------------------------------------------------------------------------

    def _launch(self, group: int, members: _Members, count: int, now: int) -> None:
        if now < self._retry_at[group]:
            return
        choices, refused = self._choose(group, members, count, now)
        if choices:
            self._protect_new(group, self.launcher.launch(group, choices, now))
            noun = "container instances" if self.world.scenario.groups[group].machines is None else "machines"
            self.launcher.report(now, group, "INSTANCE_LAUNCHED", f"launching {len(choices)} {noun}.")
        if refused is None:
            self._failing[group] = False
            return
        self._balancing_surplus[group] = 0
        if not self._failing[group]:
            names = self.world.names
            message = _NO_SPOT if refused.spot else _NO_CAPACITY
            message = message.format(type=names.types[refused.type], zone=names.zones[refused.zone])
            subnet = self.launcher.full_subnet(group, refused)
            message = message if subnet is None else instance_address_error(subnet)
            self.launcher.report(now, group, "INSTANCE_LAUNCH_FAILED", message)
        self._failing[group] = True
        self._retry_at[group] = now + self.world.scenario.cluster.launch_retry_ms
        self.launcher.wake_at(self._retry_at[group])

    def _protect_new(self, group: int, slots: Array) -> None:
        if self.world.scenario.groups[group].new_instances_protected:
            self.world.state.instances.rows["protected"][slots] = 1

    def _choose(
        self, group: int, members: _Members, count: int, now: int
    ) -> tuple[list[LaunchChoice], LaunchChoice | None]:
        """Return up to `count` instances to launch, and the first choice of the first one that cannot be launched."""
        distribution = self.world.scenario.groups[group].distribution
        zones = {zone: int(np.count_nonzero(members.zones == zone)) for zone in self._zones[group]}
        counts_by_option = [int(np.count_nonzero(members.spot == 0)), int(np.count_nonzero(members.spot))]
        chosen: list[LaunchChoice] = []
        refused: dict[bool, LaunchChoice] = {}
        for _ in range(count):
            total = counts_by_option[False] + counts_by_option[True] + 1
            spot = counts_by_option[False] >= on_demand_count(
                total, distribution.on_demand_base, distribution.on_demand_percent
            )
            counts_by_option[spot] += 1  # even if unavailable: the other option is no substitute
            if spot in refused:
                continue
            available, first = self._find_choice(group, members, zones, spot, now)
            if available is None:
                refused[spot] = first
                continue
            chosen.append(available)
            zones[available.zone] += 1
        return chosen, next(iter(refused.values()), None)

    def _find_choice(
        self, group: int, members: _Members, zones: dict[int, int], spot: bool, now: int
    ) -> tuple[LaunchChoice | None, LaunchChoice]:
        """Return the first available type of the first zone that has one, and the choice tried first.

        With `balanced-only`, only the first zone is tried.
        """
        settings = self.world.scenario.groups[group]
        types = self.world.names.types
        first: LaunchChoice | None = None
        order = order_zones(zones)
        for zone in order[:1] if settings.balanced_only else order:
            for name in self._types_in_order(group, members, zone, spot):
                choice = LaunchChoice(types.index(name), zone, spot)
                first = first or choice
                ahead = zones[zone] - int(np.count_nonzero(members.zones == zone))
                if self.launcher.has_capacity(group, choice, now, ahead):
                    return choice, first
        assert first is not None
        return None, first

    def _types_in_order(self, group: int, members: _Members, zone: int, spot: bool) -> list[str]:
        distribution = self.world.scenario.groups[group].distribution
        if len(self._offers[group]) == 1:
            return [self._offers[group][0].name]
        running_types: dict[str, int] = {}
        if spot:
            state = self.world.state
            spot_slots = members.slots[(members.zones == zone) & (members.spot == 1)]
            for number in state.capacity.classes["type"][state.instances.rows["instance_class"][spot_slots]]:
                name = self.world.names.types[number]
                running_types[name] = running_types.get(name, 0) + 1
        strategy = distribution.spot_strategy if spot else distribution.on_demand_strategy
        return order_types(self._offers[group], strategy, spot, running_types, distribution.spot_pools)

    # --- terminating ---------------------------------------------------------------------------------------

    def _terminate(
        self, group: int, members: _Members, count: int, now: int, reason: TerminationReason
    ) -> None:
        """Terminate up to `count` instances that are not protected from scale-in."""
        chosen = self._instances_to_terminate(group, members, count, now)
        for slot in chosen:
            self.launcher.terminate(slot, now, reason, self.drain_ms(group))
        blocked = len(chosen) < count
        if blocked and not self._scale_in_blocked[group]:
            self.launcher.report(now, group, "INSTANCES_PROTECTED", _ALL_PROTECTED)
        self._scale_in_blocked[group] = blocked

    def _instances_to_terminate(self, group: int, members: _Members, count: int, now: int) -> list[int]:
        state = self.world.state
        settings = self.world.scenario.groups[group]
        unprotected = members.slots[self._protected(group, members.slots) == 0]
        tie_breaks = np.zeros(unprotected.size, np.float64)
        draw_tie_breaks(self.world.core, unprotected, tie_breaks)
        rows = state.instances.rows[unprotected]
        classes = state.capacity.classes[rows["instance_class"]]
        candidates = [
            TerminationCandidate(int(slot), int(zone), bool(spot), int(launched), float(tie_break))
            for slot, zone, spot, launched, tie_break in zip(
                unprotected, classes["zone"], classes["spot"], rows["launched"], tie_breaks, strict=True
            )
        ]
        counts = {zone: int(np.count_nonzero(members.zones == zone)) for zone in np.unique(members.zones)}
        spot = int(np.count_nonzero(members.spot))
        mix = PurchaseMix(
            settings.distribution.on_demand_base,
            settings.distribution.on_demand_percent,
            members.slots.size - spot,
            spot,
        )
        return choose_instances_to_terminate(
            candidates, counts, mix, settings.termination_policies, count, now
        )

    def _protected(self, group: int, slots: Array) -> Array:
        """Return which instances are protected from scale-in.

        With managed termination protection, those with a task other than a daemon are.
        """
        provider = self._providers[group]
        if provider is not None and provider.managed_termination_protection:
            return np.asarray(self.world.state.instances.rows["non_daemon_tasks"][slots] > 0, np.int8)
        return np.asarray(self.world.state.instances.rows["protected"][slots])

    # --- balance -------------------------------------------------------------------------------------------

    def _balance(self, group: int, members: _Members, now: int) -> None:
        """Launch, and terminate later, where a zone has two instances more than another zone with capacity."""
        zones = self._zones[group]
        counts = {zone: int(np.count_nonzero(members.zones == zone)) for zone in zones}
        least = min(counts.values())
        if max(counts.values()) - least <= 1 or self._awaits_registration(group, members):
            return
        usable = [zone for zone in zones if self._has_capacity(group, zone, now)]
        moves = rebalancing_surplus(counts, usable, self.world.scenario.groups[group].max_size)
        crowded = [zone for zone in zones if counts[zone] > least + 1]
        unprotected = self._protected(group, members.slots) == 0
        moves = min(moves, int(np.count_nonzero(unprotected & np.isin(members.zones, crowded))))
        if moves > 0:
            self._balancing_surplus[group] = moves
            self._awaiting.add(group)
            self.reconcile(group, now)

    def _awaits_registration(self, group: int, members: _Members) -> bool:
        """Return whether an instance of the group is still registering; if so, reconcile the group again then."""
        awaits = bool(np.any(members.states == InstanceState.REGISTERING))
        if awaits:
            self._awaiting.add(group)
        return awaits

    def _has_capacity(self, group: int, zone: int, now: int) -> bool:
        """Return whether the group could launch anything in a zone."""
        types = self.world.names.types
        return any(
            self.launcher.has_capacity(
                group, LaunchChoice(types.index(offer.name), zone, option == "spot"), now
            )
            for offer in self._offers[group]
            for option in self.world.scenario.groups[group].purchase_options
        )
