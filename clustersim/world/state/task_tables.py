"""Dtypes of tasks: a task, a task set, a container definition, and a container of a live task.

Declarations only, a part of `world.state.tables`, which documents the conventions of all tables. The kernels of
`state.task_states`, `tasks.lifecycle`, `tasks.health` and `tasks.containers` change them.
"""

from __future__ import annotations

from clustersim.engine.records import (
    Flag,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    Milliseconds,
    RandomKey,
    Record,
)


class TaskRow(Record):
    """A row of the table of tasks."""

    task_id: Int64
    ordinal: Int64
    """N-th of its service or entry: the entity of its random draws."""
    created: Milliseconds
    placed: Milliseconds
    admitted: Milliseconds
    """When its container instance had room for it; -1 on Fargate."""
    pull_started: Milliseconds
    pull_stopped: Milliseconds
    started: Milliseconds
    healthy: Milliseconds
    stopping: Milliseconds
    stopped: Milliseconds
    duration: Milliseconds
    """Ms from RUNNING to its own end; -1: until stopped."""
    accrued_until: Milliseconds
    """Cost is accrued up to this instant."""
    protected_until: Milliseconds
    """Task scale-in protection; -1: none."""
    instance_id: Int64
    cost: Float64
    """USD, so far."""
    set: Int64
    strategy_item: Int64
    resource_shape: Int64
    """Row of RESOURCE_SHAPE."""
    instance_slot: Int64
    """Slot of the container instance; -1: none."""
    reference: Int32
    """Row of the trace; -1: none."""
    gpus: Int32
    attempt: Int64
    cpu: Int64
    memory: Int64
    next_of_group: Int64
    previous_of_group: Int64
    next_on_host: Int64
    previous_on_host: Int64
    assigned_instance: Int64
    """Slot of the instance that is launched for it; -1: none."""
    next_waiting: Int64
    """In the queue of its shape, among the tasks assigned to its instance, or in the queue of its agent."""
    previous_waiting: Int64
    exit_code: Int16
    """-1: null."""
    next_exit_code: Int16
    """The exit code of the end that is due."""
    subnet: Int16
    """Of its address; -1: none."""
    next_reason: Int8
    """And the reason."""
    state: Int8
    zone: Flag
    stop_code: Int8
    reason: Int8
    wait_reason: Flag
    waiting: Flag
    """In the queue of its shape."""
    ready: Flag
    """Counted among the tasks that answer requests."""
    hung: Flag
    """Counted among the tasks that get requests and no longer answer."""
    unhealthy: Int8
    """1: by its containers, 2: by the load balancer."""
    health: Int8
    """HealthStatus."""
    leaving: Flag
    """To be replaced, for example on a draining instance."""
    sentence: Int32
    """Number of the stopped reason, if it is a sentence of its own."""


class TaskSetRow(Record):
    """What equal tasks share: a deployment of a service, or an entry (and group) of runTasks."""

    service: Int64
    """-1: standalone."""
    group: Int64
    """The task group of ECS: what placement strategies spread and distinctInstance looks at."""
    payer: Int64
    """Pays for its tasks, and is the label of their rows."""
    definition: Int64
    deployment: Int64
    """Number for `ecs-svc/N`; -1: none."""
    first_shape: Int64
    first_item: Int64
    item_count: Int64
    """Of strategy items."""
    provisioning: Int64
    """Live tasks by state."""
    pending: Int64
    running: Int64
    healthy: Milliseconds
    unhealthy: Int64
    ready: Int64
    hung: Int64
    stopping: Milliseconds
    leaving: Int64
    """PENDING or RUNNING, and to be replaced."""
    integrated_until: Milliseconds
    """The areas below reach up to this instant; task x ms."""
    running_area: Int64
    ready_area: Int64
    hung_area: Int64
    failed_starts: Int64
    """Since the last task that reached RUNNING."""
    never_ran: Int64
    """Tasks that failed to start, so far."""
    crashed: Int64
    """Tasks that exited by themselves after RUNNING, before they were healthy, so far."""
    ran: Int64
    """Tasks that reached RUNNING, so far."""
    became_healthy: Int64
    """Tasks that became healthy, so far."""
    retries: Int64
    startup: Int64
    """Rows of the distributions; -1: does not apply."""
    failure: Int64
    hang: Int64
    stop: Int64
    duration: Milliseconds
    start_failure: Float64
    ready_ms: Milliseconds
    """RUNNING until the application answers; -1: never."""
    check_ms: Milliseconds
    """Container health check: interval (-1: none), retries, start period."""
    check_retries: Int64
    check_start_ms: Milliseconds
    target_ms: Milliseconds
    """Target group: interval (-1: no load balancer), and three thresholds."""
    target_checks: Int64
    """Of a new target."""
    target_healthy: Int64
    """Of one that has been unhealthy."""
    target_unhealthy: Int64
    grace_ms: Milliseconds
    protect_ms: Milliseconds
    """Task scale-in protection that every task requests; 0: none."""
    first_container: Int64
    """Rows of CONTAINER; -1: the task has a single lifecycle."""
    containers: Int64
    main_container: Int64
    """Position of the container that answers requests."""
    first_pull: Int64
    """Rows of PULL: containers whose images are listed."""
    pulls: Int64
    ephemeral_bytes: Int64
    """Fargate: bytes of storage."""
    deregistration_ms: Milliseconds
    stop_timeout_ms: Milliseconds
    """The longest of its containers; 0: none has one."""
    extra_gib: Int64
    """Fargate ephemeral storage above the free 20 GiB."""
    exit_code: Int16
    stop_exit_code: Int16
    daemon: Flag
    """Of a DAEMON service: its tasks do not keep an instance busy."""
    distinct: Flag
    checked_at_start: Flag
    """Its start pulls images, or IAM may deny it."""
    agent_stops: Flag
    """A container leaves its stopTimeout to the agent."""
    failure_reason: Int8
    """Of an end drawn from `failure`."""
    counts_group_per_host: Flag
    """Placement needs the tasks per instance of its group."""
    startup_key: RandomKey
    failure_key: RandomKey
    hang_key: RandomKey
    start_failure_key: RandomKey
    stop_key: RandomKey
    duration_key: RandomKey
    provision_key: RandomKey
    place_key: RandomKey
    interruption_key: RandomKey
    retirement_key: RandomKey


class ContainerRow(Record):
    """A container definition with a lifecycle of its own; dependencies come first."""

    essential: Flag
    restarts: Flag
    """Has a restart policy."""
    exit_code: Int16
    complete_code: Int16
    """Of one that has completed."""
    startup: Int64
    """Rows of the distributions; -1: does not apply."""
    duration: Milliseconds
    """Until it completes; -1: it runs until stopped."""
    failure: Int64
    hang: Int64
    stop: Int64
    ready_ms: Milliseconds
    check_ms: Milliseconds
    """-1: no health check."""
    check_retries: Int64
    check_start_ms: Milliseconds
    restart_period_ms: Milliseconds
    start_timeout_ms: Milliseconds
    """-1: the agent's."""
    stop_timeout_ms: Milliseconds
    """-1: the agent's."""
    stop_exit_code: Int16
    failure_reason: Int8
    start_failure: Float64
    pull: Int64
    """Position among the pulls of its set; -1: none."""
    ignored_from: Int64
    """Rows of State.sets.exit_codes."""
    ignored_to: Int64
    needs_from: Int64
    """Rows of State.sets.dependencies."""
    needs_to: Int64
    key: RandomKey


class ContainerStateRow(Record):
    """A container of a live task."""

    begun: Int64
    """When its dependencies were met."""
    started: Milliseconds
    exits_at: Int64
    """When it exits, or exited, by itself; -1: not before it is stopped."""
    healthy_at: Int64
    """When its health check first passes; -1: never, or it has none."""
    restarts: Int32
    exit_code: Int16
    health: Int8
    reason: Int8
    """Of its exit."""
