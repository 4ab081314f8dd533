"""Random virtual machines for the swarm, and the laws of their tables.

The laws use only the result files and the scenario, like `tests.swarm.checks`, which calls `virtual_machine_laws`;
`tests.swarm.scenarios` calls `add_virtual_machines`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.harness import Block, FinishedRun, definition
from tests.swarm.services import Drawing

VIRTUAL_MACHINE_FEATURES = ("virtual_machines", "machine_scaling", "machine_trouble", "machine_refresh")
CENT = 0.005


def add_virtual_machines(drawing: Drawing) -> None:
    """Add a service on its own virtual machines, of a given type or the cheapest of several."""
    rng = drawing.rng
    if not drawing.pick("virtual_machines", 0.8):
        return
    for _ in range(2):
        port = {"portMappings": [{"containerPort": 80}]}
        drawing.definitions.append(definition("app-vm", rng.choice((256, 1024)), 512, container=port))
    given = rng.choice(
        ({"instanceType": "swarm.middle"}, {"instanceTypes": ["swarm.wide", "swarm.middle"]}, {})
    )
    written: Block = {
        "serviceName": "vm",
        "taskDefinition": "app-vm:1",
        "desiredCount": rng.randint(1, 5),
        "virtualMachines": {
            **given,
            "purchaseOption": rng.choice(("on-demand", "on-demand", "spot")),
            "bootTime": rng.choice(("40s", {"distribution": "lognormal", "median": "90s", "sigma": 0.4})),
            "guestOs": {"memory": rng.choice((200, 400)), "cpu": rng.choice((0, 64))},
            "instanceWarmup": rng.choice(("0s", "2m")),
        },
        "behavior": {"startupTime": f"{rng.randint(0, 20)}s"},
    }
    if rng.random() < 0.5:
        written["loadBalancers"] = [{"targetGroupArn": "slow", "containerName": "main", "containerPort": 80}]
    if drawing.pick("machine_trouble"):
        written["behavior"]["timeToFailure"] = {"distribution": "exponential", "mean": "15m"}
        written["behavior"]["timeToHang"] = {"distribution": "exponential", "mean": "30m"}
    if drawing.pick("machine_refresh"):
        low, high = rng.choice(((50, 100), (90, 100), (100, 150), (0, 100)))
        percents = {"minimumHealthyPercent": low, "maximumPercent": high}
        written["deploymentConfiguration"] = percents
    if drawing.pick("machine_scaling"):
        written["load"] = {"requestsPerSecond": rng.choice((5, 40)), "cpuTimePerRequest": "60ms"}
        metric = rng.choice(("ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget"))
        target = {"targetValue": 45, "predefinedMetricSpecification": {"predefinedMetricType": metric}}
        policy = {"policyName": "vm", "policyType": "TargetTrackingScaling"}
        policy["targetTrackingScalingPolicyConfiguration"] = target
        written["autoScaling"] = {"minCapacity": 1, "maxCapacity": 8, "policies": [policy]}
    drawing.services.append(written)


def virtual_machine_laws(ran: FinishedRun) -> Iterator[str]:
    """Yield the violations of all laws of virtual machines."""
    for law in (_alone, _paid, _guests):
        for message in law(ran):
            yield f"virtual_machines{law.__name__}: {message}"


def _alone(ran: FinishedRun) -> Iterator[str]:
    """The virtual machines of a service run only its copies, one at a time, and its copies run nowhere else."""
    groups = {service.machines: service.name for service in ran.scenario.services if service.machines}
    owner = {
        host["container_instance_id"]: groups.get(host["auto_scaling_group"]) for host in ran.instances()
    }
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for task in ran.tasks():
        host = task["container_instance_id"]
        at_home = task["service"] in groups.values()
        if (task["launch_type"] == "VIRTUAL_MACHINE") != at_home:
            yield f"task {task['task_id']} of {task['service']} is of launch type {task['launch_type']}"
        if host is None:
            continue
        if (owner[host] or at_home) and owner[host] != task["service"]:
            yield f"task {task['task_id']} of {task['service']} is on a machine of {owner[host]}"
        if at_home:
            last = ran.scenario.duration_ms if task["stopped_at"] is None else task["stopped_at"]
            spans[host].append((task["placed_at"], last))
    for host, of in spans.items():
        for (_, last), (first, _) in zip(sorted(of), sorted(of)[1:], strict=False):
            if first < last:
                yield f"machine {host} had two copies at {first} ms"


def _paid(ran: FinishedRun) -> Iterator[str]:
    """A service pays for its virtual machines while they run a copy; their boot is idle capacity without a payer."""
    for service in ran.scenario.services:
        if service.machines is None:
            continue
        cost = sum(host["cost_usd"] for host in ran.instances(auto_scaling_group=service.machines))
        reported = ran.summary["services"][service.name]["cost_usd"]
        copies = sum(task["cost_usd"] for task in ran.tasks(service=service.name))
        if abs(copies - reported) > CENT or reported > cost + CENT:
            yield f"{service.name} costs {reported}, its copies {copies}, its machines {cost}"


def _guests(ran: FinishedRun) -> Iterator[str]:
    """The resources of guest operating systems are those of instances beyond their registered size."""
    kinds = {kind.name: kind for kind in ran.scenario.instance_types}
    gib_ms = cpu_ms = 0.0
    for host in ran.instances():
        kind, first = kinds[host["instance_type"]], max(0, host["launched_at"])
        last = ran.scenario.duration_ms if host["terminated_at"] is None else host["terminated_at"]
        if host["terminated_at"] is not None and host["launched_at"] >= 0:
            last = first + max(60_000, -(-(last - first) // 1_000) * 1_000)
        gib_ms += max(0, last - first) * (kind.memory_mib - host["registered_memory_mib"]) / 1024
        cpu_ms += max(0, last - first) * (kind.vcpus - host["registered_cpu"] / 1024)
    for name, total_ms in (("memory_gib", gib_ms), ("vcpu", cpu_ms)):
        reported = ran.summary[f"guest_os_{name}_hours"]
        if abs(reported - total_ms / 3_600_000) > 1e-6 * (1 + reported):
            yield f"guest_os_{name}_hours is {reported}, the instances show {total_ms / 3_600_000}"
