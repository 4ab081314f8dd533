"""Dtypes of tasks: a task, a task set, a container definition, and a container of a live task.

Declarations only, a part of `world.state.tables`, which documents the conventions of all tables. The kernels of
`state.task_states`, `tasks.lifecycle`, `tasks.health` and `tasks.containers` change them.
"""

from __future__ import annotations

import numpy as np

TASK = np.dtype(
    [
        ("task_id", np.int64),
        ("ordinal", np.int64),  # n-th of its service or entry: the entity of its random draws
        ("created", np.int64),
        ("placed", np.int64),
        ("pull_started", np.int64),
        ("pull_stopped", np.int64),
        ("started", np.int64),
        ("healthy", np.int64),
        ("stopping", np.int64),
        ("stopped", np.int64),
        ("duration", np.int64),  # ms from RUNNING to its own end; -1: until stopped
        ("accrued_until", np.int64),  # cost is accrued up to this instant
        ("protected_until", np.int64),  # task scale-in protection; -1: none
        ("instance_id", np.int64),
        ("cost", np.float64),  # USD, so far
        ("set", np.int64),
        ("strategy_item", np.int64),
        ("resource_shape", np.int64),  # row of RESOURCE_SHAPE
        ("instance_slot", np.int64),  # slot of the container instance; -1: none
        ("reference", np.int32),  # row of the trace; -1: none
        ("gpus", np.int32),
        ("attempt", np.int64),
        ("cpu", np.int64),
        ("memory", np.int64),
        ("next_of_group", np.int64),
        ("previous_of_group", np.int64),
        ("next_on_host", np.int64),
        ("previous_on_host", np.int64),
        ("assigned_instance", np.int64),  # slot of the instance that is launched for it; -1: none
        ("next_waiting", np.int64),  # in the queue of its shape, or among the tasks assigned to its instance
        ("previous_waiting", np.int64),
        ("exit_code", np.int16),  # -1: null
        ("next_exit_code", np.int16),  # the exit code of the end that is due
        ("subnet", np.int16),  # of its address; -1: none
        ("next_reason", np.int8),  # and the reason
        ("state", np.int8),
        ("zone", np.int8),
        ("stop_code", np.int8),
        ("reason", np.int8),
        ("wait_reason", np.int8),
        ("waiting", np.int8),  # in the queue of its shape
        ("ready", np.int8),  # counted among the tasks that answer requests
        ("hung", np.int8),  # counted among the tasks that get requests and no longer answer
        ("unhealthy", np.int8),  # 1: by its containers, 2: by the load balancer
        ("health", np.int8),  # healthStatus
        ("leaving", np.int8),  # to be replaced, for example on a draining instance
        ("sentence", np.int32),  # number of the stopped reason, if it is a sentence of its own
    ],
    align=True,
)

TASK_SET = np.dtype(
    [  # what equal tasks share: a deployment of a service, or an entry (and group) of runTasks
        ("service", np.int64),  # -1: standalone
        ("group", np.int64),  # pays for its tasks, and is what placement strategies spread
        ("definition", np.int64),
        ("deployment", np.int64),  # number for `ecs-svc/N`; -1: none
        ("first_shape", np.int64),
        ("first_item", np.int64),
        ("item_count", np.int64),  # of strategy items
        ("provisioning", np.int64),  # live tasks by state
        ("pending", np.int64),
        ("running", np.int64),
        ("healthy", np.int64),
        ("unhealthy", np.int64),
        ("ready", np.int64),
        ("hung", np.int64),
        ("stopping", np.int64),
        ("leaving", np.int64),  # PENDING or RUNNING, and to be replaced
        ("integrated_until", np.int64),  # the areas below reach up to this instant; task x ms
        ("running_area", np.int64),
        ("ready_area", np.int64),
        ("hung_area", np.int64),
        ("failed_starts", np.int64),  # since the last task that reached RUNNING
        ("never_ran", np.int64),  # tasks that failed to start, so far
        ("ran", np.int64),  # tasks that reached RUNNING, so far
        ("became_healthy", np.int64),  # tasks that became healthy, so far
        ("retries", np.int64),
        ("startup", np.int64),  # rows of the distributions; -1: does not apply
        ("failure", np.int64),
        ("hang", np.int64),
        ("stop", np.int64),
        ("duration", np.int64),
        ("start_failure", np.float64),
        ("ready_ms", np.int64),  # RUNNING until the application answers; -1: never
        ("check_ms", np.int64),  # container health check: interval (-1: none), retries, start period
        ("check_retries", np.int64),
        ("check_start_ms", np.int64),
        ("target_ms", np.int64),  # target group: interval (-1: no load balancer), and three thresholds
        ("target_checks", np.int64),  # of a new target
        ("target_healthy", np.int64),  # of one that has been unhealthy
        ("target_unhealthy", np.int64),
        ("grace_ms", np.int64),
        ("protect_ms", np.int64),  # task scale-in protection that every task requests; 0: none
        ("first_container", np.int64),  # rows of CONTAINER; -1: the task has a single lifecycle
        ("containers", np.int64),
        ("main_container", np.int64),  # position of the container that answers requests
        ("first_pull", np.int64),  # rows of PULL: containers whose images are listed
        ("pulls", np.int64),
        ("ephemeral_bytes", np.int64),  # Fargate: bytes of storage
        ("deregistration_ms", np.int64),
        ("stop_timeout_ms", np.int64),  # the longest of its containers; 0: none has one
        ("extra_gib", np.int64),  # Fargate ephemeral storage above the free 20 GiB
        ("exit_code", np.int16),
        ("stop_exit_code", np.int16),
        ("daemon", np.int8),  # of a DAEMON service: its tasks do not keep an instance busy
        ("distinct", np.int8),
        ("checked_at_start", np.int8),  # its start pulls images, or IAM may deny it
        ("agent_stops", np.int8),  # a container leaves its stopTimeout to the agent
        ("failure_reason", np.int8),  # of an end drawn from `failure`
        ("counts_group_per_host", np.int8),  # placement needs the tasks per instance of its group
        ("startup_key", np.uint64),
        ("failure_key", np.uint64),
        ("hang_key", np.uint64),
        ("start_failure_key", np.uint64),
        ("stop_key", np.uint64),
        ("duration_key", np.uint64),
        ("provision_key", np.uint64),
        ("place_key", np.uint64),
        ("interruption_key", np.uint64),
        ("retirement_key", np.uint64),
    ],
    align=True,
)

CONTAINER = np.dtype(
    [  # a container definition with a lifecycle of its own; dependencies come first
        ("essential", np.int8),
        ("restarts", np.int8),  # has a restart policy
        ("exit_code", np.int16),
        ("complete_code", np.int16),  # of one that has completed
        ("startup", np.int64),  # rows of the distributions; -1: does not apply
        ("duration", np.int64),  # until it completes; -1: it runs until stopped
        ("failure", np.int64),
        ("hang", np.int64),
        ("stop", np.int64),
        ("ready_ms", np.int64),
        ("check_ms", np.int64),  # -1: no health check
        ("check_retries", np.int64),
        ("check_start_ms", np.int64),
        ("restart_period_ms", np.int64),
        ("start_timeout_ms", np.int64),  # -1: the agent's
        ("stop_timeout_ms", np.int64),  # -1: the agent's
        ("stop_exit_code", np.int16),
        ("failure_reason", np.int8),
        ("start_failure", np.float64),
        ("pull", np.int64),  # position among the pulls of its set; -1: none
        ("ignored_from", np.int64),  # rows of State.exit_codes
        ("ignored_to", np.int64),
        ("needs_from", np.int64),  # rows of State.dependencies
        ("needs_to", np.int64),
        ("key", np.uint64),
    ],
    align=True,
)

CONTAINER_STATE = np.dtype(
    [  # a container of a live task
        ("begun", np.int64),  # when its dependencies were met
        ("started", np.int64),
        ("exits_at", np.int64),  # when it exits, or exited, by itself; -1: not before it is stopped
        ("healthy_at", np.int64),  # when its health check first passes; -1: never, or it has none
        ("restarts", np.int32),
        ("exit_code", np.int16),
        ("health", np.int8),
        ("reason", np.int8),  # of its exit
    ],
    align=True,
)
