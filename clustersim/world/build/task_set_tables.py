"""Task sets: what equal tasks share, written into the tables that kernels read.

A service has a task set per deployment, a runTasks entry has one per group of its trace. A set has a *strategy item*
per capacity provider of its strategy (one for a launch type), and an item has a *resource shape* per task size.
Names, units and defaults of a spec (`task_set_specs`) are resolved here. `simulation` adds the first sets,
`control.services.scheduler` those of later deployments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.random_streams import stream_key
from clustersim.engine.records import Array
from clustersim.policy.placement.constraint_program import (
    FROM_TABLE,
    ConstraintProgram,
    FactRows,
    compile_constraints,
)
from clustersim.policy.placement.hosts import ELIGIBLE, EXCLUDED_BY_MEMBER_OF, LACKS_ATTRIBUTE
from clustersim.policy.placement.member_of import parse_constraint
from clustersim.policy.placement.placement_strategies import (
    BINPACK_MEMORY,
    CUSTOM,
    FEWEST_OF_GROUP,
    SPREAD_ATTRIBUTE,
    STRATEGIES,
    ZONE,
    needs_group_counts,
    strategy_chain,
)
from clustersim.scenario.sections.scenario import (
    CustomPlacement,
    Distribution,
    Scenario,
    StrategyItem,
    TaskDefinition,
)
from clustersim.vocabulary import NEVER, StoppedReason
from clustersim.world.build.build_world import ARCHITECTURES, build_names
from clustersim.world.build.container_tables import have_own_lifecycles, write_containers
from clustersim.world.build.distribution_table import Distributions
from clustersim.world.build.fatal_misconfiguration import StartupCrash, startup_crash
from clustersim.world.build.hazard_tables import time_to_single_interruption
from clustersim.world.build.instance_classes import build_instance_classes, spread_attributes
from clustersim.world.build.pull_tables import needs_checks_at_start, write_network_and_denials, write_pulls
from clustersim.world.build.task_set_specs import SetSpec
from clustersim.world.scheduling.custom_placement import CustomPlacer
from clustersim.world.state.world import AnyArray, World, longer

RNG_PURPOSES = (
    *("startup", "failure", "hang", "start_failure", "stop", "duration", "provision", "place"),
    *("interruption", "retirement"),
)
"""The random draws of a task, each from a stream of its own."""

FREE_STORAGE_GIB = 20  # Fargate's ephemeral storage without charge (MODEL.md)
FARGATE_NAMES = ("FARGATE", "FARGATE_SPOT")


class TaskSets:
    """Writes task set specs into the tables of a world."""

    def __init__(self, scenario: Scenario, replication: int, groups: list[str]) -> None:
        self.scenario = scenario
        self.replication = replication
        self.groups = groups
        self.distributions = Distributions()
        self.facts = FactRows()
        names = build_names(scenario)
        _, self.attributes, self.class_numbers = build_instance_classes(scenario, names)
        self.spread = spread_attributes(scenario)
        self.managed = {pool.name for pool in scenario.managed_instances}
        scaled = {provider.name for provider in scenario.providers if provider.managed_scaling is not None}
        self._queueing = {*FARGATE_NAMES, *self.managed, *scaled}
        self.ports = {
            port: bit
            for bit, port in enumerate(sorted({p for d in scenario.task_definitions for p in d.static_ports}))
        }
        self.placers: list[CustomPlacer] = []
        """The functions of custom strategies; kernels call them by address, so they live as long as the run."""
        self._programs: dict[tuple[str, ...], ConstraintProgram] = {}

    def program(self, spec: SetSpec) -> ConstraintProgram:
        """Return the compiled memberOf constraints of `spec`; calling it early fixes the rows of facts."""
        key = tuple(c.expression or "" for c in spec.constraints if c.type == "memberOf")
        if key not in self._programs:
            self._programs[key] = compile_constraints(
                [parse_constraint(expression) for expression in key],
                self.attributes,
                self.facts,
                self.groups,
                self.scenario.start_ms - self.scenario.warm_up_ms,
            )
        return self._programs[key]

    def add(self, world: World, spec: SetSpec, deployment: int) -> int:
        """Write `spec` as the next task set of `world` and return its row."""
        row = world.sets_used
        items = self._strategy_items(spec)
        self._make_room(world, len(items), len(items) * len(spec.sizes))
        state = world.state
        s = state.sets.rows[row]
        for name, value in self._set_values(spec, deployment).items():
            s[name] = value
        s["first_item"], s["item_count"] = world.strategy_items_used, len(items)
        if spec.definition is not None:
            write_pulls(world, row, spec.definition, spec.service >= 0)
            self._write_containers(world, row, spec, spec.definition)
            state = world.state
        chain = self._chain(world, spec)
        state.placement.chains[row, : len(chain)] = chain
        s["counts_group_per_host"] = needs_group_counts(chain, int(s["distinct"]))
        first_shape = world.shapes_used
        s["first_shape"] = first_shape
        program = self.program(spec)
        span = self._append_program(world, program)
        for position, item in enumerate(items):
            self._write_item(world, row, spec, item, program, span)
            for n, (cpu, memory, gpus) in enumerate(spec.sizes):
                q = world.state.sets.shapes[first_shape + n * len(items) + position]
                q["strategy_item"] = world.strategy_items_used
                q["cpu"], q["memory"], q["gpus"] = cpu, memory, gpus
                q["host_ports"] = len(spec.definition.static_ports) if spec.definition else 0
                q["head"] = q["tail"] = q["position"] = q["tried_round"] = NEVER
            world.strategy_items_used += 1
        s["checked_at_start"] = needs_checks_at_start(world, row)
        world.shapes_used += len(items) * len(spec.sizes)
        world.sets_used += 1
        world.state.counters.sets_used = world.sets_used
        world.first_shape.append(first_shape)
        if spec.target_group is not None:
            world.names.target_groups[row] = spec.target_group.name
        self._refresh(world)
        return row

    def _write_containers(self, world: World, row: int, spec: SetSpec, definition: TaskDefinition) -> None:
        """Write the containers, if they have lifecycles of their own, and the startup crash of the main one."""
        crash = self._crash(spec)
        if not have_own_lifecycles(definition, spec.behavior):
            return
        stream = (self.scenario.seed, self.replication, spec.stream)
        write_containers(world, row, definition, spec.behavior, spec.balanced, self.distributions, stream)
        if crash is not None:
            s = world.state.sets.rows[row]
            main = world.state.sets.containers[s["first_container"] + s["main_container"]]
            main["failure"] = self.distributions.row(crash.time_to_crash)
            main["exit_code"], main["failure_reason"] = crash.exit_code, crash.reason

    def _crash(self, spec: SetSpec) -> StartupCrash | None:
        if spec.definition is None:
            return None
        own = spec.behavior.memory_per_task
        base = spec.memory_base_mib if own is None else own.base_mib
        return startup_crash(self.scenario, spec.definition, spec.behavior, spec.balanced, base)

    def _strategy_items(self, spec: SetSpec) -> list[StrategyItem | None]:
        """Return the items of the strategy; a launch type is one item without a provider."""
        return [None] if spec.launch_type is not None else list(spec.strategy)

    def _set_values(self, spec: SetSpec, deployment: int) -> dict[str, Any]:
        """Return the columns of TASK_SET that do not depend on other tables."""
        behavior, target, definition = spec.behavior, spec.target_group, spec.definition
        check = definition.health_check if definition else None
        extra = max(0, definition.ephemeral_gib - FREE_STORAGE_GIB) if definition else 0
        row = self.distributions.row
        trivial = behavior.startup_time == Distribution()
        crash = self._crash(spec)
        stops = [c.stop_timeout_ms for c in definition.containers] if definition else [None]
        values: dict[str, Any] = {
            "service": spec.service,
            "group": self.groups.index(spec.task_group),
            "payer": spec.group,
            "definition": self.scenario.task_definitions.index(definition) if definition else NEVER,
            "deployment": deployment,
            "retries": spec.retries,
            "startup": NEVER if trivial else row(behavior.startup_time),
            "failure": row(behavior.time_to_failure if crash is None else crash.time_to_crash),
            "hang": row(behavior.time_to_hang),
            "stop": row(behavior.stop_time),
            "duration": row(spec.duration),
            "start_failure": behavior.start_failure_probability,
            "ready_ms": NEVER if behavior.ready_time_ms is None else behavior.ready_time_ms,
            "check_ms": check.interval_ms if check else NEVER,
            "check_retries": check.retries if check else 0,
            "check_start_ms": check.start_period_ms if check else 0,
            "target_ms": target.interval_ms if target else NEVER,
            "target_checks": target.initial_health_checks if target else 0,
            "target_healthy": target.healthy_threshold if target else 0,
            "target_unhealthy": target.unhealthy_threshold if target else 0,
            "grace_ms": spec.grace_ms,
            "protect_ms": behavior.protection_ms if spec.service >= 0 else 0,
            "daemon": int(spec.daemon),
            "first_container": NEVER,
            "deregistration_ms": target.deregistration_delay_ms if target else 0,
            "stop_timeout_ms": max(stop or 0 for stop in stops),
            "agent_stops": int(None in stops),
            "extra_gib": extra,
            "exit_code": behavior.exit_code if crash is None else crash.exit_code,
            "failure_reason": StoppedReason.ESSENTIAL_CONTAINER_EXITED if crash is None else crash.reason,
            "stop_exit_code": behavior.stop_exit_code,
            "distinct": int(any(c.type == "distinctInstance" for c in spec.constraints)),
        }
        for purpose in RNG_PURPOSES:
            name = f"{spec.stream}/{purpose}"
            values[f"{purpose}_key"] = stream_key(self.scenario.seed, self.replication, name)
        return values

    def _chain(self, world: World, spec: SetSpec) -> Array:
        """Return the placement strategy as codes; the defaults are those of MODEL.md."""
        rules: list[tuple[int, int]] = []
        for rule in spec.rules:
            if isinstance(rule, CustomPlacement):
                key = stream_key(self.scenario.seed, self.replication, f"{spec.stream}/custom placement")
                placer = CustomPlacer(world, rule, spec.group, key)
                self.placers.append(placer)
                rules.append((CUSTOM, placer.address))
                continue
            code = STRATEGIES[rule.type].code(rule.field)
            by_attribute = code == SPREAD_ATTRIBUTE
            rules.append(
                (code, self.spread.index(str(rule.field).removeprefix("attribute:")) if by_attribute else 0)
            )
        if any(item.capacity_provider in self.managed for item in spec.strategy):
            rules = [
                (SPREAD_ATTRIBUTE, ZONE),
                (BINPACK_MEMORY, 0),
            ]  # ECS itself places tasks on Managed Instances
        elif not rules and spec.service >= 0:
            rules = [(SPREAD_ATTRIBUTE, ZONE), (FEWEST_OF_GROUP, 0)]
        return strategy_chain(*rules)

    def _write_item(
        self,
        world: World,
        row: int,
        spec: SetSpec,
        item: StrategyItem | None,
        program: ConstraintProgram,
        span: tuple[int, int],
    ) -> None:
        """Write one strategy item: provider, price, and the instance classes that may host it."""
        names, state = world.names, world.state
        item_row = world.strategy_items_used
        record = state.sets.strategy_items[item_row]
        provider = (
            item.capacity_provider if item else (spec.launch_type if spec.launch_type == "FARGATE" else "")
        )
        fargate = provider in FARGATE_NAMES
        awsvpc = spec.definition is not None and spec.definition.network_mode == "awsvpc"
        arch = spec.definition.arch if spec.definition else ARCHITECTURES[0]
        cluster = self.scenario.cluster
        record["set"] = row
        record["provider"] = names.providers.index(provider)
        record["weight"] = item.weight if item else 1
        record["base"] = item.base if item else 0
        record["fargate"], record["of_provider"] = int(fargate), int(item is not None)
        record["can_wait"] = int(item is not None and provider in self._queueing)
        record["managed"] = int(provider in self.managed)
        record["eni"] = int(awsvpc and not fargate)
        record["bucket"] = int(provider == "FARGATE_SPOT")
        record["price"] = 2 * ARCHITECTURES.index(arch) + int(provider == "FARGATE_SPOT")
        failures = self.scenario.failures
        spot = record["bucket"] == 1
        fargate_spot = failures.fargate_spot if fargate and spot else None
        share = fargate_spot.monthly_share if fargate_spot else None
        record["interruption"] = self.distributions.row(time_to_single_interruption(fargate_spot, share))
        record["retirement"] = self.distributions.row(failures.fargate_task_retirement if fargate else None)
        record["provision"] = self.distributions.row(
            cluster.fargate_start if fargate else (cluster.eni_attach if awsvpc else None)
        )
        record["program_from"], record["program_to"] = span
        write_network_and_denials(
            world, item_row, spec.definition, fargate, (spec.subnets, spec.public_address)
        )
        ports = spec.definition.static_ports if spec.definition else ()
        for port in ports:
            bit = self.ports[port]
            state.placement.item_ports[item_row, bit // 64] |= np.uint64(1 << (bit % 64))
        distinct = any(c.type == "distinctInstance" for c in spec.constraints)
        record["resources_only"] = int(not ports and not distinct and span[0] == span[1])
        for zone in spec.zones:
            state.placement.item_zones[item_row, names.zones.index(zone)] = 1
        for c, attributes in enumerate(self.attributes):
            if not attributes or fargate or not self._may_host(state.capacity.classes[c], record, item, spec):
                continue
            if not state.placement.item_zones[item_row, state.capacity.classes[c]["zone"]]:
                continue
            built_for = attributes["ecs.cpu-architecture"] == arch or spec.definition is None
            allowed = ELIGIBLE if program.allowed[c] else EXCLUDED_BY_MEMBER_OF
            state.placement.eligible[item_row, c] = allowed if built_for else LACKS_ATTRIBUTE

    def _may_host(self, instance_class: Any, record: Any, item: StrategyItem | None, spec: SetSpec) -> bool:
        """Return whether a strategy item may use instances of a class; virtual machines serve one service only."""
        machines = self.scenario.pools[instance_class["pool"]].machines
        if machines is not None or spec.machines is not None:
            return machines is not None and machines.service == spec.machines
        return item is None or bool(instance_class["provider"] == record["provider"])

    def _append_program(self, world: World, compiled: ConstraintProgram) -> tuple[int, int]:
        """Append a constraint program to the common one, and its rows of `truth` to those already there."""
        placement = world.state.placement
        first = placement.program.shape[0]
        if compiled.program.shape[0] == 0:
            return first, first
        rows = compiled.program.copy()
        rows[rows[:, 0] == FROM_TABLE, 1] += placement.truth.shape[0]
        placement = placement._replace(
            program=np.concatenate([placement.program, rows]),
            truth=np.concatenate([placement.truth, compiled.truth]),
        )
        world.state = world.state._replace(placement=placement)
        return first, first + rows.shape[0]

    def _make_room(self, world: World, items: int, shapes: int) -> None:
        """Double the growing tables that are full."""
        state = world.state
        set_rows, item_rows = world.sets_used + 1, world.strategy_items_used + items
        sets = state.sets._replace(
            rows=_at_least(state.sets.rows, set_rows),
            strategy_items=_at_least(state.sets.strategy_items, item_rows),
            shapes=_at_least(state.sets.shapes, world.shapes_used + shapes),
            denials=_at_least(state.sets.denials, item_rows),
            address_words=_at_least(state.sets.address_words, item_rows),
        )
        placement = state.placement
        placement = placement._replace(
            chains=_at_least(placement.chains, set_rows),
            eligible=_at_least(placement.eligible, item_rows),
            item_zones=_at_least(placement.item_zones, item_rows),
            item_ports=_at_least(placement.item_ports, item_rows),
            item_subnets=_at_least(placement.item_subnets, item_rows),
            waiting_shapes=_at_least(placement.waiting_shapes, sets.shapes.size),
        )
        world.state = state._replace(sets=sets, placement=placement)

    def _refresh(self, world: World) -> None:
        """Bring the distributions and the rows of facts up to date with what has been interned."""
        if len(self.distributions) != world.state.calendar.distributions.size or world.sets_used == 1:
            self.write_distributions(world)
        for name, row in self.facts.groups.items():
            if name in self.groups:
                world.state.placement.fact_row[self.groups.index(name)] = row

    def write_distributions(self, world: World) -> None:
        """Write all distributions that have been interned into the world."""
        rows, values = self.distributions.arrays()
        calendar = world.state.calendar._replace(distributions=rows, distribution_values=values)
        world.state = world.state._replace(calendar=calendar)


def _at_least(array: AnyArray, rows: int) -> AnyArray:
    """Return `array`, or a longer copy of it if it has fewer rows than that."""
    return array if array.shape[0] >= rows else longer(array, max(2 * array.shape[0], rows))
