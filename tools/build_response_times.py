"""Build `clustersim/data/response_times.csv`: response times of tasks that share their CPU among their requests.

Simulates tasks of one vCPU that serve all their requests at once (processor sharing) behind the two algorithms of a
load balancer that look at more than one task: round robin and least outstanding requests (ties in turn). Weighted
random needs no simulation of its own: it is one task with less bursty arrivals. Arrivals are a renewal process;
times between arrivals and CPU times are constant (squared coefficient of variation, CV2, of 0), gamma (below 1),
exponential (1) or hyperexponential with balanced means (above 1).

A row holds the mean and the quantiles of the response time in units of the mean CPU time; at utilisation 0 they are
those of the CPU time itself. The error of a row is that of a simulation: a percent where the utilisation is low, three
percent of p99 at 95 % (runs with other seeds). The program does not import clustersim; `bench/response_times.py`
measures the error of the finished model with a program of its own. It takes 15 minutes of one processor.

    python tools/build_response_times.py [--share PART] [--workers N] TARGET.csv
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import multiprocessing
import time
from pathlib import Path

import numba
import numpy as np
from scipy import optimize, stats

ROUND_ROBIN, LEAST_OUTSTANDING = range(2)
ALGORITHMS = {"round_robin": ROUND_ROBIN, "least_outstanding_requests": LEAST_OUTSTANDING}
TASKS = (1, 2, 4, 16, 64)
UTILIZATIONS = (0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95)
SERVICE_CV2 = (0.0, 0.5, 1.0, 4.0, 16.0)
ARRIVAL_CV2 = (0.0, 1.0, 4.0, 16.0)
LEVELS = (
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999,
)  # fmt: skip
SEED = 20_261_130

_FEWEST, _MOST = 1_000_000, 32_000_000  # requests of a cell
_BUSY_CYCLES = 8_000  # that many times the time that a queue takes to forget its length
_PER_OCTAVE = 128  # buckets of the histogram
_LOWEST_OCTAVE, _OCTAVES = -16, 36


@numba.njit
def _draw(cv2: float) -> float:
    """Draw a time with mean 1."""
    if cv2 == 0.0:
        return 1.0
    if cv2 == 1.0:
        return -math.log(1.0 - np.random.random())
    if cv2 < 1.0:
        return np.random.gamma(1.0 / cv2, cv2)
    slow = 0.5 * (1.0 - math.sqrt((cv2 - 1.0) / (cv2 + 1.0)))
    share = slow if np.random.random() < slow else 1.0 - slow
    return -math.log(1.0 - np.random.random()) / (2.0 * share)


@numba.njit
def _push(ends: np.ndarray, arrivals: np.ndarray, count: int, end: float, arrival: float) -> None:
    """Add a request to the heap of a task."""
    place = count
    while place > 0:
        parent = (place - 1) >> 1
        if ends[parent] <= end:
            break
        ends[place], arrivals[place] = ends[parent], arrivals[parent]
        place = parent
    ends[place], arrivals[place] = end, arrival


@numba.njit
def _pop(ends: np.ndarray, arrivals: np.ndarray, count: int) -> None:
    """Remove the first request of the heap of a task, which has `count`."""
    last = count - 1
    end, arrival = ends[last], arrivals[last]
    place = 0
    while True:
        child = 2 * place + 1
        if child >= last:
            break
        if child + 1 < last and ends[child + 1] < ends[child]:
            child += 1
        if end <= ends[child]:
            break
        ends[place], arrivals[place] = ends[child], arrivals[child]
        place = child
    ends[place], arrivals[place] = end, arrival


@numba.njit
def simulate(
    algorithm: int, tasks: int, utilization: float, service: float, arrival: float, requests: int, seed: int
) -> tuple[np.ndarray, float]:
    """Return the histogram of the response times of `requests`, and their mean; the first twentieth does not count."""
    np.random.seed(seed)
    room = 65_536 // max(tasks // 4, 1)
    ends, arrivals = np.zeros((tasks, room)), np.zeros((tasks, room))
    count = np.zeros(tasks, np.int64)
    share = np.zeros(tasks)  # the CPU time that each request of the task has had since the task was idle
    since = np.zeros(tasks)
    next_end = np.full(tasks, np.inf)
    histogram = np.zeros(_OCTAVES * _PER_OCTAVE, np.int64)
    now, total, turn, counted = 0.0, 0.0, 0, 0
    gap = 1.0 / (utilization * tasks)
    for number in range(requests):
        now += gap * _draw(arrival)
        turn = turn + 1 if turn + 1 < tasks else 0
        first, last = (turn, turn + 1) if algorithm == ROUND_ROBIN else (0, tasks)
        for task in range(first, last):
            while next_end[task] <= now:
                at = next_end[task]
                spent = at - arrivals[task, 0]
                share[task], since[task] = ends[task, 0], at
                _pop(ends[task], arrivals[task], count[task])
                count[task] -= 1
                next_end[task] = np.inf
                if count[task] > 0:
                    next_end[task] = at + (ends[task, 0] - share[task]) * count[task]
                if number * 20 >= requests:
                    bucket = int((math.log2(spent) - _LOWEST_OCTAVE) * _PER_OCTAVE)
                    histogram[min(max(bucket, 0), histogram.size - 1)] += 1
                    total += spent
                    counted += 1
        if algorithm == LEAST_OUTSTANDING:
            best = turn
            for task in range(turn + 1, tasks):
                if count[task] < count[best]:
                    best = task
            for task in range(turn):
                if count[task] < count[best]:
                    best = task
            turn = best
        if count[turn] > 0:
            share[turn] += (now - since[turn]) / count[turn]
        else:
            share[turn] = 0.0
        since[turn] = now
        if count[turn] == room:
            raise MemoryError
        _push(ends[turn], arrivals[turn], count[turn], share[turn] + _draw(service), now)
        count[turn] += 1
        next_end[turn] = now + (ends[turn, 0] - share[turn]) * count[turn]
    return histogram, total / counted


def _quantile(histogram: np.ndarray, level: float) -> float:
    """Return the time that `level` of the requests do not exceed, log-linear within a bucket."""
    below = np.cumsum(histogram)
    rank = level * below[-1]
    bucket = int(np.searchsorted(below, rank))
    part = (rank - (below[bucket] - histogram[bucket])) / histogram[bucket]
    return float(2.0 ** (_LOWEST_OCTAVE + (bucket + part) / _PER_OCTAVE))


def requests_of(utilization: float, service: float, arrival: float, share: float) -> int:
    """Return how many requests a cell needs: the burstier and the busier, the longer a queue remembers."""
    memory = max(service + arrival, 0.5) / (1.0 - utilization) ** 2
    return int(share * min(max(_BUSY_CYCLES * memory, _FEWEST), _MOST))


def build_cell(cell: tuple[int, str, int, float, float, float, float]) -> list[str]:
    """Return the row of one combination of number, algorithm, tasks, CV2 of both, utilisation, share of requests."""
    number, algorithm, tasks, service, arrival, utilization, share = cell
    requests = requests_of(utilization, service, arrival, share)
    code = ALGORITHMS[algorithm]
    histogram, mean = simulate(code, tasks, utilization, service, arrival, requests, SEED + number)
    times = [mean, *(_quantile(histogram, level) for level in LEVELS)]
    return [
        algorithm,
        f"{tasks}",
        f"{service:g}",
        f"{arrival:g}",
        f"{utilization:g}",
        *(f"{t:.4g}" for t in times),
    ]


def idle_cell(algorithm: str, tasks: int, service: float, arrival: float) -> list[str]:
    """Return the row of a utilisation of 0: the mean and the quantiles of the CPU time of a request."""
    times = [1.0, *(_service_quantile(service, level) for level in LEVELS)]
    return [algorithm, f"{tasks}", f"{service:g}", f"{arrival:g}", "0", *(f"{t:.4g}" for t in times)]


def _service_quantile(cv2: float, level: float) -> float:
    """Return a quantile of the CPU times of `_draw`."""
    if cv2 == 0.0:
        return 1.0
    if cv2 <= 1.0:
        return float(stats.gamma.ppf(level, 1.0 / cv2, scale=cv2))
    slow = 0.5 * (1.0 - math.sqrt((cv2 - 1.0) / (cv2 + 1.0)))

    def excess(seconds: float) -> float:
        beyond = slow * math.exp(-2.0 * slow * seconds) + (1.0 - slow) * math.exp(
            -2.0 * (1.0 - slow) * seconds
        )
        return 1.0 - beyond - level

    return float(optimize.brentq(excess, 0.0, 1e4))


def write_table(target: Path, rows: list[list[str]]) -> None:
    """Write the rows, each utilisation of 0 before those it belongs to."""
    with target.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        keys = ["algorithm", "tasks", "service_cv2", "arrival_cv2", "utilization"]
        writer.writerow([*keys, "mean", *(f"{level:g}" for level in LEVELS)])
        for number, row in enumerate(rows):
            if number % len(UTILIZATIONS) == 0:
                writer.writerow(idle_cell(row[0], int(row[1]), float(row[2]), float(row[3])))
            writer.writerow(row)


def main(target: Path, share: float, workers: int) -> None:
    """Simulate all cells and write the table."""
    keys = itertools.product(ALGORITHMS, TASKS, SERVICE_CV2, ARRIVAL_CV2, UTILIZATIONS)
    cells = [
        (number, *key, share)
        for number, key in enumerate(keys)
        if key[1] > 1 or ALGORITHMS[key[0]] == ROUND_ROBIN  # one task: both are the same
    ]
    started = time.process_time()
    simulate(ROUND_ROBIN, 2, 0.5, 1.0, 1.0, 1_000, SEED)
    simulate(LEAST_OUTSTANDING, 2, 0.5, 1.0, 1.0, 1_000, SEED)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        rows = list(pool.imap(build_cell, cells, chunksize=8))
    write_table(target, rows)
    print(f"{target}: {len(rows)} rows, {time.process_time() - started:.0f} s of CPU here")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", type=Path)
    parser.add_argument("--share", type=float, default=1.0, help="of the requests, for a try")
    parser.add_argument("--workers", type=int, default=1)
    given = parser.parse_args()
    main(given.target, given.share, given.workers)
