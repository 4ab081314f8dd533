"""Task sets: what equal tasks share, written into the tables that kernels read.

A service has a task set per deployment, an entry of runTasks one per group of its trace. A set has a *lane* per
capacity provider of its strategy (one for a launch type), and a lane a *shape* per size of task. Names, units
and defaults of a spec (`set_specs`) end here. `simulation` adds the first sets, `control.services.scheduler` those of
later deployments.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clustersim.engine.compiled import Array
from clustersim.engine.random_streams import stream_key
from clustersim.policy.placement.constraint_program import (
    KNOWN,
    ConstraintProgram,
    FactRows,
    compile_constraints,
)
from clustersim.policy.placement.hosts import (
    BINPACK_CPU,
    BINPACK_MEMORY,
    ELIGIBLE,
    EXCLUDED_BY_MEMBER_OF,
    FEWEST_OF_GROUP,
    LACKS_ATTRIBUTE,
    RANDOM,
    SPREAD_ATTRIBUTE,
    SPREAD_INSTANCE,
    ZONE,
    chain_of,
    needs_counts,
)
from clustersim.policy.placement.member_of import parse
from clustersim.scenario.sections.scenario import Distribution, Scenario, StrategyItem, TaskDefinition
from clustersim.vocabulary import NEVER, StoppedReason
from clustersim.world.build.build_world import (
    ARCHITECTURES,
    Distributions,
    classes_of,
    names_of,
    spread_attributes,
)
from clustersim.world.build.container_tables import containers_apart, write_containers
from clustersim.world.build.fatal_misconfiguration import Doom, doom_of
from clustersim.world.build.hazard_tables import single_interruptions
from clustersim.world.build.pull_tables import asks, write_lane, write_pulls
from clustersim.world.build.task_set_specs import SetSpec
from clustersim.world.state.tables import SETS_USED
from clustersim.world.state.world import World

LUCK = (
    *("startup", "failure", "hang", "start_failure", "stop", "duration", "provision", "place"),
    *("interruption", "retirement"),
)
"""What is drawn for a task, each from a stream of its own."""

FREE_STORAGE_GIB = 20  # Fargate's ephemeral storage without charge (MODEL.md)
FARGATE_NAMES = ("FARGATE", "FARGATE_SPOT")


class TaskSets:
    """Writes specs into a world's tables."""

    def __init__(self, scenario: Scenario, replication: int, groups: list[str]) -> None:
        self.scenario = scenario
        self.replication = replication
        self.groups = groups
        self.distributions = Distributions()
        self.facts = FactRows()
        names = names_of(scenario)
        _, self.attributes, self.class_numbers = classes_of(scenario, names)
        self.spread = spread_attributes(scenario)
        self.managed = {pool.name for pool in scenario.managed_instances}
        self.ports = {
            port: bit
            for bit, port in enumerate(sorted({p for d in scenario.task_definitions for p in d.static_ports}))
        }
        self._programs: dict[tuple[str, ...], ConstraintProgram] = {}

    def program(self, spec: SetSpec) -> ConstraintProgram:
        """The compiled memberOf constraints of `spec`; asking early fixes the rows of facts."""
        key = tuple(c.expression or "" for c in spec.constraints if c.type == "memberOf")
        if key not in self._programs:
            self._programs[key] = compile_constraints(
                [parse(expression) for expression in key],
                self.attributes,
                self.facts,
                self.groups,
                self.scenario.start_ms - self.scenario.warm_up_ms,
            )
        return self._programs[key]

    def add(self, world: World, spec: SetSpec, deployment: int) -> int:
        """Write `spec` as the next task set of `world`; returns its row."""
        row = world.sets_used
        shapes = self._items(spec)
        self._make_room(world, len(shapes), len(shapes) * len(spec.sizes))
        state = world.state
        s = state.sets[row]
        for name, value in self._set_values(spec, deployment).items():
            s[name] = value
        s["first_lane"], s["lanes"] = world.lanes_used, len(shapes)
        if spec.definition is not None:
            write_pulls(world, row, spec.definition, spec.service >= 0)
            self._write_containers(world, row, spec, spec.definition)
            state = world.state
        chain = self._chain(spec)
        state.chains[row, : len(chain)] = chain
        s["counts"] = needs_counts(chain, int(s["distinct"]))
        first_shape = world.shapes_used
        s["first_shape"] = first_shape
        program = self.program(spec)
        span = self._append_program(world, program)
        for position, item in enumerate(shapes):
            self._write_lane(world, row, spec, item, program, span)
            for n, (cpu, memory, gpus) in enumerate(spec.sizes):
                q = world.state.shapes[first_shape + n * len(shapes) + position]
                q["lane"] = world.lanes_used
                q["cpu"], q["memory"], q["gpus"] = cpu, memory, gpus
                q["host_ports"] = len(spec.definition.static_ports) if spec.definition else 0
                q["head"] = q["tail"] = q["position"] = q["tried"] = NEVER
            world.lanes_used += 1
        s["asks"] = asks(world, row)
        world.shapes_used += len(shapes) * len(spec.sizes)
        world.sets_used += 1
        world.state.clock[SETS_USED] = world.sets_used
        world.first_shape.append(first_shape)
        if spec.target_group is not None:
            world.names.target_groups[row] = spec.target_group.name
        self._refresh(world)
        return row

    def _write_containers(self, world: World, row: int, spec: SetSpec, definition: TaskDefinition) -> None:
        """The containers, where they have lives of their own; and what its own fault does to the application."""
        doom = self._doom(spec)
        if not containers_apart(definition, spec.behavior):
            return
        stream = (self.scenario.seed, self.replication, spec.stream)
        write_containers(world, row, definition, spec.behavior, spec.balanced, self.distributions, stream)
        if doom is not None:
            s = world.state.sets[row]
            main = world.state.containers[s["first_container"] + s["main"]]
            main["failure"] = self.distributions.row(doom.life)
            main["exit_code"], main["failure_reason"] = doom.exit_code, doom.reason

    def _doom(self, spec: SetSpec) -> Doom | None:
        if spec.definition is None:
            return None
        own = spec.behavior.memory_per_task
        base = spec.memory_base_mib if own is None else own.base_mib
        return doom_of(self.scenario, spec.definition, spec.behavior, spec.balanced, base)

    def _items(self, spec: SetSpec) -> list[StrategyItem | None]:
        """The strategy's items; a launch type is one lane without a provider."""
        return [None] if spec.launch_type is not None else list(spec.strategy)

    def _set_values(self, spec: SetSpec, deployment: int) -> dict[str, Any]:
        """The columns of TASK_SET that do not depend on the tables."""
        behavior, target, definition = spec.behavior, spec.target_group, spec.definition
        check = definition.health_check if definition else None
        extra = max(0, definition.ephemeral_gib - FREE_STORAGE_GIB) if definition else 0
        row = self.distributions.row
        trivial = behavior.startup_time == Distribution()
        doom = self._doom(spec)
        stops = [c.stop_timeout_ms for c in definition.containers] if definition else [None]
        values: dict[str, Any] = {
            "service": spec.service,
            "group": spec.group,
            "definition": self.scenario.task_definitions.index(definition) if definition else NEVER,
            "deployment": deployment,
            "retries": spec.retries,
            "startup": NEVER if trivial else row(behavior.startup_time),
            "failure": row(behavior.time_to_failure if doom is None else doom.life),
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
            "exit_code": behavior.exit_code if doom is None else doom.exit_code,
            "failure_reason": StoppedReason.ESSENTIAL_CONTAINER_EXITED if doom is None else doom.reason,
            "stop_exit_code": behavior.stop_exit_code,
            "distinct": int(any(c.type == "distinctInstance" for c in spec.constraints)),
        }
        for purpose in LUCK:
            name = f"{spec.stream}/{purpose}"
            values[f"{purpose}_key"] = stream_key(self.scenario.seed, self.replication, name)
        return values

    def _chain(self, spec: SetSpec) -> Array:
        """The placement strategy as codes; the defaults are those of MODEL.md"""
        rules: list[tuple[int, int]] = []
        for rule in spec.rules:
            field = (rule.field or "").removeprefix("attribute:")
            if rule.type == "random":
                rules.append((RANDOM, 0))
            elif rule.type == "binpack":
                rules.append((BINPACK_CPU if field.lower() == "cpu" else BINPACK_MEMORY, 0))
            elif field in ("instanceId", "host"):
                rules.append((SPREAD_INSTANCE, 0))
            else:
                rules.append((SPREAD_ATTRIBUTE, self.spread.index(field)))
        if any(item.capacity_provider in self.managed for item in spec.strategy):
            rules = [(SPREAD_ATTRIBUTE, ZONE), (BINPACK_MEMORY, 0)]  # ECS itself places on Managed Instances
        elif not rules and spec.service >= 0:
            rules = [(SPREAD_ATTRIBUTE, ZONE), (FEWEST_OF_GROUP, 0)]
        return chain_of(*rules)

    def _write_lane(
        self,
        world: World,
        row: int,
        spec: SetSpec,
        item: StrategyItem | None,
        program: ConstraintProgram,
        span: tuple[int, int],
    ) -> None:
        """One lane: provider, price, who may host it."""
        names, state = world.names, world.state
        number = world.lanes_used
        lane = state.lanes[number]
        provider = (
            item.capacity_provider if item else (spec.launch_type if spec.launch_type == "FARGATE" else "")
        )
        fargate = provider in FARGATE_NAMES
        awsvpc = spec.definition is not None and spec.definition.network_mode == "awsvpc"
        arch = spec.definition.arch if spec.definition else ARCHITECTURES[0]
        cluster = self.scenario.cluster
        lane["set"] = row
        lane["provider"] = names.providers.index(provider)
        lane["weight"] = item.weight if item else 1
        lane["base"] = item.base if item else 0
        lane["fargate"], lane["queues"] = int(fargate), int(item is not None)
        lane["managed"] = int(provider in self.managed)
        lane["eni"] = int(awsvpc and not fargate)
        lane["bucket"] = int(provider == "FARGATE_SPOT")
        lane["price"] = 2 * ARCHITECTURES.index(arch) + int(provider == "FARGATE_SPOT")
        failures = self.scenario.failures
        spot = lane["bucket"] == 1
        fargate_spot = failures.fargate_spot if fargate and spot else None
        share = fargate_spot.monthly_share if fargate_spot else None
        lane["interruption"] = self.distributions.row(single_interruptions(fargate_spot, share))
        lane["retirement"] = self.distributions.row(failures.fargate_task_retirement if fargate else None)
        lane["provision"] = self.distributions.row(
            cluster.fargate_start if fargate else (cluster.eni_attach if awsvpc else None)
        )
        lane["program_from"], lane["program_to"] = span
        write_lane(world, number, spec.definition, fargate, (spec.subnets, spec.public_address))
        ports = spec.definition.static_ports if spec.definition else ()
        for port in ports:
            bit = self.ports[port]
            state.lane_ports[number, bit // 64] |= np.uint64(1 << (bit % 64))
        distinct = any(c.type == "distinctInstance" for c in spec.constraints)
        lane["plain"] = int(not ports and not distinct and span[0] == span[1])
        for zone in spec.zones:
            state.lane_zones[number, names.zones.index(zone)] = 1
        for c, attributes in enumerate(self.attributes):
            if not attributes or fargate or not self._may_host(state.classes[c], lane, item, spec):
                continue
            if not state.lane_zones[number, state.classes[c]["zone"]]:
                continue
            built_for = attributes["ecs.cpu-architecture"] == arch or spec.definition is None
            allowed = ELIGIBLE if program.allowed[c] else EXCLUDED_BY_MEMBER_OF
            state.eligible[number, c] = allowed if built_for else LACKS_ATTRIBUTE

    def _may_host(self, klass: Any, lane: Any, item: StrategyItem | None, spec: SetSpec) -> bool:
        """Whether instances of a class are among those that a lane leads to; machines take their service's alone."""
        machines = self.scenario.pools[klass["group"]].machines
        if machines is not None or spec.machines is not None:
            return machines is not None and machines.service == spec.machines
        return item is None or bool(klass["provider"] == lane["provider"])

    def _append_program(self, world: World, compiled: ConstraintProgram) -> tuple[int, int]:
        """Append a program to the common one; its rows of truth follow those already there."""
        first = world.state.program.shape[0]
        if compiled.program.shape[0] == 0:
            return first, first
        rows = compiled.program.copy()
        rows[rows[:, 0] == KNOWN, 1] += world.state.truth.shape[0]
        world.state = world.state._replace(
            program=np.concatenate([world.state.program, rows]),
            truth=np.concatenate([world.state.truth, compiled.truth]),
        )
        return first, first + rows.shape[0]

    def _make_room(self, world: World, lanes: int, shapes: int) -> None:
        """Double the growing tables that are full."""
        state = world.state
        wanted = {
            "sets": world.sets_used + 1,
            "chains": world.sets_used + 1,
            "lanes": world.lanes_used + lanes,
            "eligible": world.lanes_used + lanes,
            "lane_zones": world.lanes_used + lanes,
            **dict.fromkeys(
                ("lane_ports", "lane_subnets", "address_words", "denials"), world.lanes_used + lanes
            ),
            "shapes": world.shapes_used + shapes,
        }
        longer: dict[str, Any] = {}
        for name, rows in wanted.items():
            array: Array = getattr(state, name)
            if array.shape[0] < rows:
                grown = np.zeros((max(2 * array.shape[0], rows), *array.shape[1:]), array.dtype)
                grown[: array.shape[0]] = array
                longer[name] = grown
        if longer:
            world.state = state._replace(**longer)
        world.make_room()

    def _refresh(self, world: World) -> None:
        """Bring the distributions and the rows of facts up to what has been interned."""
        if len(self.distributions) != world.state.distributions.size or world.sets_used == 1:
            table, values = self.distributions.arrays()
            world.state = world.state._replace(distributions=table, values=values)
        for name, row in self.facts.groups.items():
            if name in self.groups:
                world.state.fact_row[self.groups.index(name)] = row
