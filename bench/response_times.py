"""The error of the fluid model's response times, against a simulation of tasks that share their CPU.

The simulation here has nothing in common with the exact model or with the program that made the table of the fluid
model: it keeps the CPU time that each request still needs, and subtracts from it at each event. It prints, for each
algorithm, number of tasks and utilisation, the largest error of p50, p90 and p99 over the variabilities of CPU times
and arrivals (squared coefficients of variation; gamma, exponential and hyperexponential), and where it is. The table of
`MODEL.md` is its output.

    python -m bench.response_times [--between] [--share PART]     (15 minutes; --between: values that the table lacks)
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from functools import cache
from itertools import product

import numba
import numpy as np

from clustersim.control.load.traffic import Traffic
from clustersim.policy.load.response_curves import ROUTING, WEIGHTED_RANDOM
from clustersim.scenario.sections.scenario import (
    Distribution,
    Load,
    Routing,
    Series,
    Service,
    TargetGroup,
    TaskDefinition,
)

CPU_TIME_S = 0.05
PERIOD_MS, WARM_UP, PERIODS = 60_000, 600, 60
SHARES = (0.50, 0.90, 0.99)
PERCENTILES = ("response_time_p50_s", "response_time_p90_s", "response_time_p99_s")
ALGORITHMS: tuple[Routing, ...] = ("round_robin", "least_outstanding_requests", "weighted_random")
GRADED = ((1, 2, 4, 16, 64), (0.5, 0.7, 0.8, 0.9, 0.95), (0.5, 1.0, 4.0), (1.0, 4.0))
BETWEEN = ((3, 8, 32), (0.55, 0.75, 0.93), (0.25, 2.0, 8.0), (0.5, 2.0))
WORST = 0.15
Cell = tuple[int, float, float, float]  # tasks, utilisation, CV2 of CPU times, CV2 of arrivals


@numba.njit
def draw(rng: np.random.Generator, cv2: float) -> float:
    """Draw a time with mean 1."""
    if cv2 <= 1.0:
        return rng.gamma(1.0 / cv2, cv2)
    odds = math.sqrt((cv2 - 1.0) / (cv2 + 1.0))
    share = 0.5 * (1.0 + odds) if rng.random() < 0.5 * (1.0 + odds) else 0.5 * (1.0 - odds)
    return rng.exponential(0.5 / share)


@numba.njit
def simulate(
    rng: np.random.Generator,
    algorithm: int,
    tasks: int,
    utilization: float,
    service: float,
    arrival: float,
    size: int,
) -> np.ndarray:
    """Return the response times of `size` requests, in units of the mean CPU time, after as many tenths of warm-up."""
    left = np.zeros((tasks, 1 << 16))  # CPU time that each request still needs
    since = np.zeros((tasks, 1 << 16))
    inside = np.zeros(tasks, np.int64)
    seen = np.zeros(tasks)  # up to when the work of a task has been subtracted
    ends = np.full(tasks, np.inf)
    times = np.empty(size)
    now = next_arrival = 0.0
    turn, number = tasks - 1, -size // 10
    while number < size:
        ending = int(np.argmin(ends))
        arrives = next_arrival < ends[ending]
        if arrives:
            now = next_arrival
            next_arrival += draw(rng, arrival) / (utilization * tasks)
            if algorithm == 0:
                turn = (turn + 1) % tasks
                task = turn
            elif algorithm == 2:
                task = int(rng.integers(0, tasks))
            else:
                task = int(rng.integers(0, tasks))  # ties at random
                for other in range(tasks):
                    at = (task + other) % tasks
                    if inside[at] < inside[turn] or other == 0:
                        turn = at
                task = turn
        else:
            task, now = ending, ends[ending]
        count = inside[task]
        if count > 0:
            step = (now - seen[task]) / count
            for place in range(count):
                left[task, place] -= step
        seen[task] = now
        if arrives:
            left[task, count], since[task, count] = draw(rng, service), now
            inside[task] += 1
        else:
            place = int(np.argmin(left[task, :count]))
            if number >= 0:
                times[number] = now - since[task, place]
            number += 1
            left[task, place], since[task, place] = left[task, count - 1], since[task, count - 1]
            inside[task] -= 1
        ends[task] = np.inf
        if inside[task] > 0:
            ends[task] = now + left[task, : inside[task]].min() * inside[task]
    return times


@cache
def service_times(cv2: float) -> Distribution:
    """Return the distribution of CPU times (ms) of the simulation, as many equally likely values."""
    if cv2 == 1.0:
        return Distribution(code=1, a=CPU_TIME_S * 1_000)
    rng = np.random.default_rng(1)
    values = np.sort([draw(rng, cv2) for _ in range(200_000)])
    return Distribution(code=6, values=tuple(values / values.mean() * CPU_TIME_S * 1_000))


def fluid_times(algorithm: Routing, cell: Cell) -> list[float]:
    """Return p50, p90 and p99 (s) of the fluid model in a steady load."""
    tasks, utilization, service, arrival = cell
    load = Load(
        kind="requests",
        model="fluid",
        series=Series(times_ms=np.zeros(1, np.int64), rates=np.array([utilization * tasks / CPU_TIME_S])),
        cpu_time_ms=CPU_TIME_S * 1_000,
        memory_base_mib=0.0,
        memory_per_request_mib=0.0,
        timeout_ms=1_000_000,
        processing_time_ms=0.0,
        service_time=service_times(service),
        concurrency_per_task=0,
        burstiness=arrival,
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
    web = Service(
        name="web",
        task_definition="web:1",
        desired_count=tasks,
        zones=("a",),
        load=load,
        target_groups=("web",),
    )
    group = TargetGroup(
        name="web", routing=algorithm, deregistration_delay_ms=0, initial_health_checks=1, slow_start_ms=0
    )
    traffic = Traffic([web], [definition], target_groups=[group])
    traffic.open_backend(0, 0, "web:1")
    for period in range(1, WARM_UP + PERIODS + 1):
        busy_ms = tasks * period * PERIOD_MS
        traffic.tick(period * PERIOD_MS, np.array([[busy_ms], [busy_ms], [0]]))
        if period == WARM_UP:
            traffic.sample()
    sample = traffic.sample()
    return [float(sample[name][0]) for name in PERCENTILES]


def errors(algorithm: Routing, cell: Cell, share: float) -> list[float]:
    """Return the relative errors of the three percentiles in one cell."""
    tasks, utilization, service, arrival = cell
    memory = (service + arrival) / (1.0 - utilization) ** 2
    size = int(share * min(max(4_000 * memory, 600_000), 16_000_000))
    rng = np.random.default_rng(hash(cell) & 0xFFFFFFFF)
    times = simulate(rng, ROUTING[algorithm], tasks, utilization, service, arrival, size)
    exact = np.quantile(times, SHARES) * CPU_TIME_S
    return [found / right - 1.0 for found, right in zip(fluid_times(algorithm, cell), exact, strict=True)]


def worst_cells(between: bool, share: float) -> Iterator[tuple[Routing, int, float, float, str]]:
    """Yield algorithm, tasks, utilisation, the largest error there, and where it is."""
    tasks, utilizations, services, arrivals = BETWEEN if between else GRADED
    for algorithm, count, utilization in product(ALGORITHMS, tasks, utilizations):
        found = [
            (error, f"p{round(100 * level)}, CV2 {service:g} of CPU times, {arrival:g} of arrivals")
            for service, arrival in product(services, arrivals)
            for level, error in zip(
                SHARES, errors(algorithm, (count, utilization, service, arrival), share), strict=True
            )
        ]
        yield (algorithm, count, utilization, *max(found, key=lambda each: abs(each[0])))


def main(between: bool, share: float) -> None:
    """Print a row for each algorithm, number of tasks and utilisation."""
    print("| algorithm | tasks | utilisation | largest error | of |\n| --- | --- | --- | --- | --- |")
    for algorithm, tasks, utilization, error, where in worst_cells(between, share):
        verdict = "" if abs(error) <= WORST or ROUTING[algorithm] == WEIGHTED_RANDOM else " MISS"
        print(f"| {algorithm} | {tasks} | {utilization:.0%} | {error:+.0%}{verdict} | {where} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--between", action="store_true")
    parser.add_argument("--share", type=float, default=1.0, help="of the requests, for a try")
    given = parser.parse_args()
    main(given.between, given.share)
