"""CPU time per request of the exact model, for both routing algorithms.

One service on 16 tasks at 80 % of their capacity, from demand to percentiles, with the same code as a run. Each
figure is the median over interleaved rounds of the CPU time of this process.

    python -m bench.requests [REQUESTS]      (default: 2,000,000 a round)
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from clustersim.control.load.traffic import Traffic
from clustersim.policy.load.exact_tables import REGISTERED, TargetChangeRow
from clustersim.scenario.sections.distributions import parse_distribution
from clustersim.scenario.sections.scenario import (
    Distribution,
    Load,
    Routing,
    Series,
    Service,
    TargetGroup,
    TaskDefinition,
)
from clustersim.scenario.text.units import parse_number

TASKS = 16
UTILIZATION = 0.8
CPU_TIME_S = 0.025
RATE = UTILIZATION * TASKS / CPU_TIME_S  # requests a second
PERIOD_MS = 60_000
ROUNDS = 7
BARS_NS = {"round_robin": 150, "least_outstanding_requests": 400}
SERVICE_TIMES = {
    "exponential": None,
    "lognormal": parse_distribution({"distribution": "lognormal", "mean": 25.0, "sigma": 1.0}, parse_number),
}


def build_traffic(routing: Routing, service_time: Distribution | None) -> Traffic:
    """Return the traffic of the service, without requests so far."""
    load = Load(
        kind="requests",
        model="exact",
        series=Series(times_ms=np.zeros(1, np.int64), rates=np.array([RATE])),
        cpu_time_ms=CPU_TIME_S * 1_000,
        memory_base_mib=0.0,
        memory_per_request_mib=0.0,
        timeout_ms=10_000,
        processing_time_ms=0.0,
        service_time=service_time,
        concurrency_per_task=0,
    )
    definition = TaskDefinition(
        family="web",
        revision=1,
        key="web:1",
        cpu=1_024,
        memory_mib=1_024,
        has_task_size=True,
        ephemeral_gib=20,
    )
    service = Service(
        name="web",
        task_definition="web:1",
        desired_count=TASKS,
        zones=("a",),
        load=load,
        target_groups=("web",),
    )
    group = TargetGroup(
        name="web", routing=routing, deregistration_delay_ms=0, initial_health_checks=1, slow_start_ms=0
    )
    result = Traffic([service], [definition], target_groups=[group])
    result.open_backend(0, 0, "web:1")
    return result


def ns_per_request(routing: Routing, service_time: Distribution | None, requests: int) -> tuple[float, float]:
    """Return the CPU ns per request of one round, and the mean response time (s) of its last period."""
    traffic_model = build_traffic(routing, service_time)
    log = np.zeros(TASKS, TargetChangeRow.dtype)
    log["kind"], log["slot"] = REGISTERED, np.arange(TASKS)
    answered = 0.0
    started_ns = time.process_time_ns()
    now_ms = 0
    while answered < requests:
        now_ms += PERIOD_MS
        traffic_model.tick(now_ms, np.array([[TASKS * now_ms], [TASKS * now_ms], [0]]), log)
        log = log[:0]
        answered += float(traffic_model.flows["requests"][0])
    return (time.process_time_ns() - started_ns) / answered, float(traffic_model.flows["response_s"][0])


def main(requests: int) -> None:
    """Print a row for each routing and distribution of service times."""
    cases: list[tuple[Routing, str]] = [
        (routing, name) for routing in ("round_robin", "least_outstanding_requests") for name in SERVICE_TIMES
    ]
    timings: dict[tuple[Routing, str], list[float]] = {case: [] for case in cases}
    for routing, name in cases:  # builds or loads the kernels before the measurement
        ns_per_request(routing, SERVICE_TIMES[name], 1)
    for _ in range(ROUNDS):
        for routing, name in cases:
            timings[routing, name].append(ns_per_request(routing, SERVICE_TIMES[name], requests)[0])
    print(f"CPU time per request, {TASKS} tasks, {requests:,} requests, median of {ROUNDS} rounds")
    print(f"{'routing':28} {'service times':14} {'ns':>6} {'bar':>6}")
    for routing, name in cases:
        median, bar = statistics.median(timings[routing, name]), BARS_NS[routing]
        print(f"{routing:28} {name:14} {median:6.0f} {bar:6d}  {'pass' if median <= bar else 'MISS'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
