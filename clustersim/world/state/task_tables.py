"""The records of tasks: a task, what equal tasks share, a container definition, a container of a live task.

A part of `world.state.tables`, which says what all tables have in common. It declares; `transitions`, `lives`, `health`
and `containers` move.
"""

from __future__ import annotations

import numpy as np

TASK = np.dtype(
    [
        ("task_id", np.int64),
        ("ordinal", np.int64),  # n-th of its service or entry: the address of its luck
        ("created", np.int64),
        ("placed", np.int64),
        ("pull_started", np.int64),
        ("pull_stopped", np.int64),
        ("started", np.int64),
        ("healthy", np.int64),
        ("stopping", np.int64),
        ("stopped", np.int64),
        ("duration", np.int64),  # ms from RUNNING to its own end; -1: until stopped
        ("accrued", np.int64),  # cost is accrued up to this instant
        ("protected_until", np.int64),  # task scale-in protection; -1: none
        ("instance_id", np.int64),
        ("cost", np.float64),  # USD, so far
        ("set", np.int64),
        ("lane", np.int64),
        ("shape", np.int64),
        ("slot", np.int64),  # of the container instance; -1: none
        ("reference", np.int32),  # row of the trace; -1: none
        ("gpus", np.int32),
        ("attempt", np.int64),
        ("cpu", np.int64),
        ("memory", np.int64),
        ("next_of_group", np.int64),
        ("previous_of_group", np.int64),
        ("next_on_host", np.int64),
        ("previous_on_host", np.int64),
        ("promised", np.int64),  # slot of the instance that is launched for it; -1: none
        ("next_waiting", np.int64),  # in the queue of its shape, or among those promised to its instance
        ("previous_waiting", np.int64),
        ("exit_code", np.int16),  # -1: null
        ("next_exit_code", np.int16),  # what the end that is due will show
        ("subnet", np.int16),  # of its address; -1: it has none
        ("next_reason", np.int8),  # and why
        ("state", np.int8),
        ("zone", np.int8),
        ("stop_code", np.int8),
        ("reason", np.int8),
        ("wait", np.int8),
        ("waiting", np.int8),  # in the queue of its shape
        ("ready", np.int8),  # counted among those that answer
        ("hung", np.int8),  # counted among those that are asked and no longer answer
        ("unwell", np.int8),  # found unhealthy: 1 by its containers, 2 by the load balancer
        ("health", np.int8),  # healthStatus
        ("leaving", np.int8),  # on a draining instance, or to be replaced for another reason
        ("sentence", np.int32),  # the words of its reason, where they name what it was about
    ],
    align=True,
)

TASK_SET = np.dtype(
    [  # what equal tasks share: a deployment of a service, or an entry (and group) of runTasks
        ("service", np.int64),  # -1: standalone
        ("group", np.int64),  # who pays, and whose tasks are spread
        ("definition", np.int64),
        ("deployment", np.int64),  # number for `ecs-svc/N`; -1: none
        ("first_shape", np.int64),
        ("first_lane", np.int64),
        ("lanes", np.int64),
        ("provisioning", np.int64),  # live tasks by state
        ("pending", np.int64),
        ("running", np.int64),
        ("healthy", np.int64),
        ("unwell", np.int64),
        ("ready", np.int64),
        ("hung", np.int64),
        ("stopping", np.int64),
        ("leaving", np.int64),  # PENDING or RUNNING, and to be replaced
        ("touched", np.int64),  # the areas below reach up to this instant; task x ms
        ("running_area", np.int64),
        ("ready_area", np.int64),
        ("hung_area", np.int64),
        ("failed_starts", np.int64),  # since the last task that reached RUNNING
        ("never_ran", np.int64),  # tasks that failed to start, so far
        ("ran", np.int64),  # tasks that reached RUNNING, so far
        ("settled", np.int64),  # tasks that became healthy, so far
        ("retries", np.int64),
        ("startup", np.int64),  # rows of the distributions; -1: does not apply
        ("failure", np.int64),
        ("hang", np.int64),
        ("stop", np.int64),
        ("duration", np.int64),
        ("start_failure", np.float64),
        ("ready_ms", np.int64),  # RUNNING until the application answers; -1: it never does
        ("check_ms", np.int64),  # container health check: interval (-1: none), failures, time without any
        ("check_retries", np.int64),
        ("check_start_ms", np.int64),
        ("target_ms", np.int64),  # target group: interval (-1: no load balancer), and three thresholds
        ("target_checks", np.int64),  # of a new target
        ("target_healthy", np.int64),  # of one that was unhealthy
        ("target_unhealthy", np.int64),
        ("grace_ms", np.int64),
        ("protect_ms", np.int64),  # task scale-in protection that every task asks for; 0: none
        ("first_container", np.int64),  # rows of CONTAINER; -1: the task has but one life
        ("containers", np.int64),
        ("main", np.int64),  # which of them answers
        ("first_pull", np.int64),  # rows of PULL: containers whose images are listed
        ("pulls", np.int64),
        ("ephemeral", np.int64),  # Fargate: bytes of storage
        ("deregistration_ms", np.int64),
        ("stop_timeout_ms", np.int64),  # the longest that its containers say; 0: none says any
        ("extra_gib", np.int64),  # Fargate ephemeral storage above the free 20 GiB
        ("exit_code", np.int16),
        ("stop_exit_code", np.int16),
        ("daemon", np.int8),  # of a DAEMON service: its tasks keep no instance busy
        ("distinct", np.int8),
        ("asks", np.int8),  # its start asks registries, or may be refused by IAM
        ("agent_stops", np.int8),  # a container leaves its stopTimeout to the agent
        ("failure_reason", np.int8),  # of the end that `failure` draws
        ("counts", np.int8),  # placement needs the tasks per instance of its group
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
    [  # a container definition of a task set whose containers have lives of their own; dependencies stand first
        ("essential", np.int8),
        ("restarts", np.int8),  # has a restart policy
        ("exit_code", np.int16),
        ("complete_code", np.int16),  # of one that has done its work
        ("startup", np.int64),  # rows of the distributions; -1: does not apply
        ("duration", np.int64),  # until it has done its work; -1: it runs until stopped
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
        ("pull", np.int64),  # which of its set's pulls; -1: none
        ("ignored_from", np.int64),  # rows of State.exit_codes
        ("ignored_to", np.int64),
        ("needs_from", np.int64),  # rows of State.dependencies
        ("needs_to", np.int64),
        ("key", np.uint64),
    ],
    align=True,
)

CELL = np.dtype(
    [  # a container of a live task
        ("begun", np.int64),  # its dependencies were met
        ("started", np.int64),
        ("exits", np.int64),  # when it will, or did, end by itself; -1: not before it is stopped
        ("well", np.int64),  # when its health check first passes; -1: never, or it has none
        ("restarts", np.int32),
        ("exit_code", np.int16),
        ("health", np.int8),
        ("reason", np.int8),  # of its end
    ],
    align=True,
)
