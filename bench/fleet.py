"""A month of a fleet: the scenario used for profiling.

A thousand services of 20 tasks each on 2,000 instances, all scaled by target tracking on CPU from metrics of 60 s,
each with a daily load and its own peak hour; one task in a hundred fails per day; series are sampled every hour.

    python bench/fleet.py FILE.yaml [SERVICES] [DAYS]      (default: 1000 30)
    python -m cProfile -o fleet.prof .venv/bin/clustersim run FILE.yaml --out build/bench/results --quiet
"""

from __future__ import annotations

import sys
from pathlib import Path

TASKS_PER_SERVICE = 20
SERVICES_PER_INSTANCE = 0.5  # 8 vCPU hold 16 tasks of half a vCPU: on average 10 of them do
CPU_TIME_PER_REQUEST_S = 0.020
TARGET = 0.60
TASK_VCPU = 0.5

HEAD = """\
name: fleet-month
start: 2026-06-01T00:00:00Z
duration: {days}d
initialState: running
seed: 1
capacityProviders:
  - name: fleet
    autoScalingGroupProvider:
      autoScalingGroup:
        instanceTypes: [m6i.2xlarge]
        minSize: {instances}
        maxSize: {instances}
        desiredCapacity: {instances}
      managedScaling: {{status: ENABLED}}
taskDefinitions:
  - family: app
    requiresCompatibilities: [EC2]
    cpu: "512"
    memory: "1536"
    containerDefinitions: [{{name: app, image: fleet/app}}]
    behavior:
      startupTime: {{distribution: lognormal, median: 8s, sigma: 0.4}}
      timeToFailure: {{distribution: exponential, mean: 100d}}
sampling: {{interval: 1h}}
services:
"""

SERVICE = """\
  - serviceName: app-{number:04d}
    taskDefinition: app
    desiredCount: {tasks}
    capacityProviderStrategy: [{{capacityProvider: fleet, weight: 1}}]
    placementStrategy:
      - {{type: spread, field: attribute:ecs.availability-zone}}
      - {{type: binpack, field: memory}}
    autoScaling:
      minCapacity: {least}
      maxCapacity: {most}
      policies:
        - policyName: cpu
          policyType: TargetTrackingScaling
          targetTrackingScalingPolicyConfiguration:
            targetValue: {target:.0f}
            predefinedMetricSpecification: {{predefinedMetricType: ECSServiceAverageCPUUtilization}}
    load:
      requestsPerSecond: {{daily: {{low: {low:.0f}, high: {high:.0f}, peak: "{hour:02d}:{minute:02d}"}}}}
      cpuTimePerRequest: {cpu_ms:.0f}ms
"""


def scenario(services: int, days: int) -> str:
    """Return the YAML text; peak hours are spread over the day so that the fleet's size stays nearly constant."""
    at_target = TASKS_PER_SERVICE * TASK_VCPU * TARGET / CPU_TIME_PER_REQUEST_S  # requests/s of 20 tasks
    parts = [HEAD.format(days=days, instances=max(1, round(services / SERVICES_PER_INSTANCE)))]
    for number in range(services):
        peak_minute = number * 7 * 24 * 60 // services % (24 * 60)
        parts.append(
            SERVICE.format(
                number=number,
                tasks=TASKS_PER_SERVICE,
                least=TASKS_PER_SERVICE // 2,
                most=TASKS_PER_SERVICE * 3 // 2,
                target=TARGET * 100,
                low=at_target * 0.6,
                high=at_target * 1.4,
                hour=peak_minute // 60,
                minute=peak_minute % 60,
                cpu_ms=CPU_TIME_PER_REQUEST_S * 1_000,
            )
        )
    return "".join(parts)


if __name__ == "__main__":
    sizes = [int(argument) for argument in sys.argv[2:4]]
    Path(sys.argv[1]).write_text(scenario(*(sizes or [1000]), *([30] if len(sizes) < 2 else [])))
