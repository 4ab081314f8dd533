"""The records of container instances, and of the classes of instances that nothing distinguishes.

Part of `world.state.tables`, which describes all tables. Declares the records; `world.instances.lifecycle` and
`world.resources.allocation` change them.
"""

from __future__ import annotations

from clustersim.engine.records import (
    Flag,
    Float64,
    Int8,
    Int64,
    Milliseconds,
    RandomKey,
    Record,
)


class InstanceRow(Record):
    """A row of the table of instances."""

    instance_id: Int64
    ordinal: Int64
    """N-th of its group: the entity of its random draws."""
    launched: Milliseconds
    registered: Milliseconds
    draining: Milliseconds
    terminated: Milliseconds
    notice_at: Milliseconds
    """Spot: when the interruption notice came, two minutes before the end."""
    last_task_change: Milliseconds
    """When a task was last placed here or ended here."""
    integrated_until: Milliseconds
    """The areas below reach up to this instant."""
    accrued_until: Milliseconds
    """So does the accrued cost."""
    cpu_area: Int64
    """Reserved CPU units x ms since registration."""
    memory_area: Int64
    """Reserved MiB x ms."""
    tasks_started: Int64
    cost: Float64
    instance_class: Int64
    """Row of INSTANCE_CLASS."""
    first_task: Int64
    first_assigned: Int64
    """Head of the list of tasks that wait for this instance."""
    first_held: Int64
    """Head of the agent's queue: tasks placed here that wait for room which stopping tasks still hold."""
    last_held: Int64
    task_count: Int64
    """Tasks placed here that are not STOPPED, as the three below."""
    non_daemon_tasks: Int64
    busy_tasks: Int64
    """Those of them that are not stopping: without any the instance is empty for managed scaling."""
    stopping_tasks: Int64
    """Tasks that ECS no longer counts and that are not STOPPED, daemons too."""
    used_cpu: Int64
    """Reserved, as ECS counts."""
    used_memory: Int64
    lingering_cpu: Int64
    """What stopping tasks still hold and ECS counts as free, less what held tasks are still to take."""
    lingering_memory: Int64
    lingering_gpus: Int64
    lingering_enis: Int64
    lingering_ports: Int64
    subnet: Int64
    """Of its addresses; -1: none."""
    state: Int8
    reason: Int8
    gained_room: Flag
    """In the list of hosts that gained room at this instant."""
    terminating: Flag
    """To be terminated by its group or provider once it has drained."""
    protected: Flag
    """From scale-in."""
    connected: Flag
    """Its agent; without one nothing is placed, and running tasks continue."""


class HazardRow(Record):
    """What may befall a single instance of a class, as an entry of the calendar of one kind."""

    time: Int64
    """Distribution of the time until it happens; -1: never."""
    lasts: Int64
    """Distribution of how long it lasts; -1: not for a time."""
    key: RandomKey
    from_launch: Flag
    """The time counts from the launch of the instance, not from its registration."""


class InstanceClassRow(Record):
    """Instances that nothing distinguishes: same pool, type, zone, attributes and purchase option."""

    pool: Int64
    """Position in the scenario's pools: its groups, then its managed instances."""
    provider: Int64
    """Row of PROVIDER; groups without a provider share the last."""
    type: Int64
    zone: Int64
    cpu: Int64
    memory: Int64
    gpus: Int64
    enis: Int64
    launch: Int64
    """Distribution of the time from request to registration."""
    weight: Int64
    addresses: Int64
    """Of a subnet that an instance itself takes."""
    host_ports: Int64
    """Available to tasks."""
    usd_per_hour: Float64
    """Instance, root volume and fee."""
    launch_key: RandomKey
    pool_key: RandomKey
    spot: Flag
    drains_on_notice: Flag
    """At its Spot notice: managed draining of its provider, or ECS_ENABLE_SPOT_INSTANCE_DRAINING of its agent."""
