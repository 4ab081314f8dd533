"""Random scenarios: a seed and a number give a scenario whose features are switched on and off.

A feature whose switch is on may be in the scenario, one that is off cannot; `Drawn.features` are those that are in
it. So each is tested with and without every other. Everything else (sizes, counts, times) is drawn too, within
bounds that give two hundred tasks or more in a few simulated hours. The module uses the format of scenarios, not the
simulator.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import Block, definition, job, on, service
from tests.swarm import services as swarm_services
from tests.swarm.capacity import (
    CAPACITY_FEATURES,
    SPOT_PRICES,
    add_group_options,
    add_provider_options,
    draw_failures,
    draw_managed_instances_provider,
)
from tests.swarm.images import IMAGE_FEATURES, add_images
from tests.swarm.services import SERVICE_FEATURES
from tests.swarm.virtual_machines import VIRTUAL_MACHINE_FEATURES, add_virtual_machines

STOPPING = {"interfaces_released": "holdNetworkInterfaces", "unprotected_stopping": "protectInstances"}
ROWS = (
    *("cost_per_resource", "ec2_instance_plan", "zonal_reservations", "odd_start", "odd_periods"),
    *STOPPING,
)
"""Features that were added later: they have their own random stream, so that the cluster of a known seed stays."""
FEATURES = (
    *("spare_group", "several_groups", "spot_group", "few_zones", "attributes", "instance_failures"),
    *("slow_launch", "gpus", "trunking", "fargate", "fargate_spot", "fargate_quota", "fargate_rate"),
    *("ephemeral_storage", "spread", "binpack", "random_placement", "distinct_instance", "member_of"),
    *("member_of_group", "member_of_count", "static_ports", "awsvpc", "mixed_strategy", "launch_type"),
    *("load_balancer", "container_check", "startup_time", "ready_time", "start_failures", "task_failures"),
    *("stop_never", "slow_stop", "target_tracking", "step_scaling", "scheduled_scaling", "requests", "queue"),
    *("tight_percents", "desired_changes", "deployments", "forced_deployments", "draining", "activating"),
    *("terminating", "stop_task", "set_capacity", "at", "cron", "rate", "arrivals", "trace", "trace_groups"),
    *("endless_jobs", "retries", "limit", "timeout", "initial_running", "warm_up", "cost_periods"),
    *("savings_plan", "reserved_instances", "empty_service", "exact_requests", "load_shapes"),
    *CAPACITY_FEATURES,
    *SERVICE_FEATURES,
    *IMAGE_FEATURES,
    *VIRTUAL_MACHINE_FEATURES,
    *ROWS,
)

LEAST_TASKS = 200
NODE_TYPES = {
    "swarm.small": {"vcpus": 2, "memoryMiB": 4000, "maxEnis": 3, "usdPerHour": 0.1},
    "swarm.middle": {"vcpus": 4, "memoryMiB": 16000, "maxEnis": 4, "usdPerHour": 0.2},
    "swarm.wide": {"vcpus": 16, "memoryMiB": 30000, "maxEnis": 15, "usdPerHour": 0.7},
    "swarm.gpu": {"vcpus": 8, "memoryMiB": 32000, "maxEnis": 4, "usdPerHour": 1.5, "gpus": 2},
}
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
EXACT: tuple[Block, ...] = (
    {},
    {"concurrencyPerTask": 3},
    {"serviceTime": {"distribution": "lognormal", "mean": "300ms", "sigma": 1}},
    {"serviceTime": {"distribution": "empirical", "values": ["200ms", "2s"]}, "concurrencyPerTask": 20},
)
SHAPES: tuple[Block, ...] = (
    {"constant": 3, "growth": "40%"},
    {"weekly": {"weekdays": 4, "sunday": list(range(24))}},
    {"spikes": [{"at": "20m", "factor": 5, "for": "10m"}, {"at": "25m", "factor": 0, "for": "1m"}]},
)
ROUTING: tuple[Block, ...] = (
    {},
    {"slowStart": "60s"},
    {"loadBalancingAlgorithmType": "least_outstanding_requests"},
    {"loadBalancingAlgorithmType": "weighted_random"},
)


@dataclass
class Drawn:
    """A drawn scenario: the content of its file, its trace, and the features that are on."""

    number: int
    features: frozenset[str]
    written: Block
    trace: str = ""
    fargate: list[str] = field(default_factory=list)

    def write(self, directory: Path) -> None:
        """Write the trace to the file that the scenario names."""
        directory.mkdir(parents=True, exist_ok=True)
        if self.trace:
            (directory / "jobs.csv").write_text(self.trace, encoding="utf-8")


def draw(seed: int, number: int) -> Drawn:
    """Draw the scenario `number` of the swarm `seed`."""
    rng = random.Random(f"clustersim swarm {seed} {number}")
    switches = {name for name in FEATURES if name not in ROWS and rng.random() < 0.5}
    apart = random.Random(f"clustersim swarm {seed} {number} rows")
    switches |= {name for name in ROWS if apart.random() < 0.5}
    return _Drawing(rng, frozenset(switches), apart).drawn(number)


def count_features(drawn: list[Drawn]) -> dict[str, int]:
    """Return the number of these scenarios in which each feature is on."""
    return {name: sum(name in each.features for each in drawn) for name in FEATURES}


class _Drawing:
    """The scenario that is being drawn."""

    def __init__(self, rng: random.Random, switches: frozenset[str], apart: random.Random) -> None:
        self.rng, self.apart = rng, apart
        self.switches = switches
        self.features: set[str] = set()
        self.minutes = rng.randint(60, 180)
        self.nodes = 0
        self.definitions: list[Block] = []
        self.providers: list[Block] = []
        self.groups: list[Block] = []
        self.services: list[Block] = []
        self.jobs: list[Block] = []
        self.actions: list[Block] = []
        self.trace = ""
        self.container_behaviors: dict[str, Block] = {}  # of the containers of each family

    def can(self, *names: str) -> bool:
        """Return whether the switch of any of these features is on."""
        return any(name in self.switches for name in names)

    def pick(self, name: str, chance: float = 1.0) -> bool:
        """Decide whether feature `name` is used here; if so it counts as on."""
        chosen = name in self.switches and self.rng.random() < chance
        if chosen:
            self.features.add(name)
        return chosen

    def drawn(self, number: int) -> Drawn:
        self._capacity()
        self._services()
        self._jobs()
        self._actions()
        written: Block = {
            "name": f"swarm-{number}",
            "duration": f"{self.minutes}m",
            "seed": self.rng.randint(0, 10**9),
            "instanceTypes": [
                {"name": name, **SPOT_PRICES, **of, "spotUsdPerHour": of["usdPerHour"] / 4}
                for name, of in NODE_TYPES.items()
            ],
            "cluster": self._cluster(),
            "autoScalingGroups": self.groups,
            "capacityProviders": self.providers,
            "taskDefinitions": self.definitions,
            "targetGroups": [
                {
                    **{"name": "slow", "healthCheckIntervalSeconds": 10, "deregistrationDelay": "45s"},
                    **(self.rng.choice(ROUTING) if self.can("exact_requests") else {}),
                }
            ],
            "services": self.services,
            "runTasks": self.jobs,
            "actions": sorted(self.actions, key=lambda action: int(action["at"][:-1])),
            "alarms": swarm_services.draw_alarms(self),
            "failures": {
                **draw_failures(self, [each["name"] for each in self.providers]),
                **self._failures(),
            },
            "pricing": {"fargateSpotFactor": 0.33, **self._pricing()},
        }
        if self.pick("initial_running"):
            written["initialState"] = "running"
        if self.pick("warm_up"):
            written["warmUp"] = f"{self.rng.randint(1, 40)}m"
        if self.pick("cost_periods"):
            written["sampling"] = {"costPeriod": "20m", "interval": "5m"}
        add_images(self, written)
        if self.pick("cost_per_resource"):
            written.setdefault("sampling", {})["costPerResource"] = True
        self._money(written)
        return Drawn(number, frozenset(self.features), written, self.trace)

    def _cluster(self) -> Block:
        rng = self.rng
        limit = rng.randint(5, 60) if self.pick("limit") else "unlimited"
        timeout = f"{rng.randint(1, 15)}m" if self.pick("timeout") else "unlimited"
        cluster: Block = {"provisioning": {"limit": limit, "timeout": timeout}}
        if self.pick("fargate_quota"):
            cluster["fargateQuotaVcpu"] = rng.randint(1, 12)
        if self.pick("fargate_rate"):
            cluster["fargateLaunchRate"] = {
                "burst": rng.randint(1, 10),
                "perSecond": rng.choice((0.2, 1, 3)),
            }
        if self.pick("trunking"):
            cluster["awsvpcTrunking"] = True
        given = {name for name in STOPPING if self.can(name)}
        self.features |= given
        cluster["stoppingTasks"] = {STOPPING[name]: False for name in sorted(given)}
        return cluster

    def _failures(self) -> Block:
        if not self.pick("instance_failures"):
            return {}
        life = {"distribution": "exponential", "mean": f"{self.rng.randint(30, 400)}m"}
        return {"containerInstances": {"timeToFailure": life}}

    def _pricing(self) -> Block:
        pricing: Block = {}
        if self.pick("savings_plan"):
            pricing["savingsPlan"] = {"usdPerHour": 0.3, "discount": {"ec2": 0.28, "fargate": 0.2}}
        if self.pick("reserved_instances"):
            pricing["reservedInstances"] = [{"instanceType": "swarm.small", "count": 2, "usdPerHour": 0.06}]
        return pricing

    def _money(self, written: Block) -> None:
        """Draw more commitments, a start within an hour, and periods that no hour divides.

        They come from a random stream of their own; of the cluster only what follows the clock may change.
        """
        rng, pricing = self.apart, written["pricing"]
        if self.pick("ec2_instance_plan"):
            plan = {"savingsPlanType": "EC2Instance", "ec2InstanceFamily": rng.choice(("swarm", "m6i"))}
            pricing["savingsPlans"] = [
                {**plan, "usdPerHour": rng.choice((0.05, 0.7)), "discount": {"ec2": rng.choice((0.2, 0.45))}},
                {"usdPerHour": 0.1, "discount": {"fargate": 0.3}},
            ]
        if self.pick("zonal_reservations"):
            kinds = (kind for kind in ("swarm.middle", "swarm.wide", "swarm.small"))
            pricing["reservedInstances"] = [
                *pricing.get("reservedInstances", []),
                *(
                    {
                        "instanceType": kind,
                        "count": 1,
                        "usdPerHour": 0.05,
                        "availabilityZone": rng.choice(ZONES),
                    }
                    for kind in kinds
                ),
            ]
        if self.pick("odd_start"):
            seconds = rng.choice((17 * 60, 30 * 60, 3_599))
            written["start"] = f"2026-01-01T00:{seconds // 60:02}:{seconds % 60:02}Z"
        if self.pick("odd_periods"):
            period = rng.choice(("15m", "25m", "1h", "90m", "1d"))
            written.setdefault("sampling", {})["costPeriod"] = period

    # --- capacity ------------------------------------------------------------------------------------------

    def _group(self, kind: str) -> Block:
        rng = self.rng
        count = rng.randint(2, 9)
        self.nodes += count
        group: Block = {"instanceTypes": [kind], "minSize": 0, "maxSize": 12, "desiredCapacity": count}
        if self.pick("few_zones"):
            group["availabilityZones"] = rng.sample(ZONES, rng.randint(1, 2))
        if self.pick("attributes") or self.can("member_of"):
            group["attributes"] = {"disk": ["ssd", "hdd"], "rack": rng.choice(("r1", ["r1", "r2", "r3"]))}
        if self.pick("slow_launch"):
            group["launchTime"] = {"distribution": "uniform", "low": "30s", "high": "10m"}
        if self.pick("spot_group"):
            group["purchaseOption"] = "spot"
            group["instanceTypes"] = ["m6i.large" if kind == "swarm.small" else "m6i.xlarge"]
        add_group_options(self, group)
        return group

    def _capacity(self) -> None:
        kind = self.rng.choice(("swarm.small", "swarm.middle", "swarm.wide"))
        self.providers.append(self._provider("nodes", kind))
        if self.pick("several_groups") or self.can("mixed_strategy"):
            self.providers.append(self._provider("more", self.rng.choice(tuple(NODE_TYPES)[:3])))
        if self.pick("gpus"):
            gpus = self._provider("gpus", "swarm.gpu")
            group = gpus["autoScalingGroupProvider"]["autoScalingGroup"]
            group["instanceTypes"] = ["swarm.gpu"]
            group.pop("purchaseOption", None)
            group.pop("mixedInstancesPolicy", None)
            self.providers.append(gpus)
        if self.pick("managed_instances"):
            self.providers.append(draw_managed_instances_provider(self))
        if self.pick("spare_group"):
            group = {"autoScalingGroupName": "spare", **self._group("swarm.middle")}
            group["scalingPolicies"] = swarm_services.draw_group_policies(self)
            self.groups.append(group)

    def _provider(self, name: str, kind: str) -> Block:
        made: Block = {"name": name, "autoScalingGroupProvider": {"autoScalingGroup": self._group(kind)}}
        add_provider_options(self, made)
        return made

    # --- workload ------------------------------------------------------------------------------------------

    def _definition(self, family: str, fargate: bool, gpus: int = 0) -> str:
        """Add a task definition and return its family."""
        rng = self.rng
        more: Block = {}
        container: Block = {}
        cpu, memory = rng.choice(((256, 512), (256, 1024), (512, 1024), (1024, 2048)))
        if fargate:
            more = {"networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"]}
            if self.pick("ephemeral_storage"):
                more["ephemeralStorage"] = {"sizeInGiB": rng.randint(21, 60)}
        elif self.pick("awsvpc", 0.5):
            more = {"networkMode": "awsvpc"}
        elif self.pick("static_ports", 0.6):
            container["portMappings"] = [
                {"containerPort": port, "hostPort": port} for port in rng.sample((80, 81, 8080), 2)
            ]
        if gpus:
            container["resourceRequirements"] = [{"type": "GPU", "value": str(gpus)}]
        if self.pick("container_check", 0.6):
            container["healthCheck"] = {"command": ["CMD", "true"], "interval": rng.randint(5, 60)}
        if self.pick("slow_stop"):
            container["stopTimeout"] = rng.choice((2, 30, 60))
        if not fargate and self.pick("member_of", 0.4):
            rule = rng.choice(
                ("attribute:disk == ssd", "attribute:rack in [r1, r2]", "not(attribute:disk == ssd)")
            )
            more["placementConstraints"] = [{"type": "memberOf", "expression": rule}]
        beside, self.container_behaviors[family] = swarm_services.draw_side_containers(self, container)
        revisions = 2 if self.pick("deployments") else 1
        for revision in range(revisions):
            size = {"cpu": cpu, "memory": memory * (1 + revision * int(rng.random() < 0.3))}
            self.definitions.append(definition(family, **size, container=container, **more))
            self.definitions[-1]["containerDefinitions"] += beside
        return family

    def _behavior(self) -> Block:
        rng = self.rng
        of: Block = {}
        if self.pick("startup_time", 0.7):
            of["startupTime"] = {
                "distribution": "lognormal",
                "median": f"{rng.randint(1, 60)}s",
                "sigma": 0.5,
            }
        if self.pick("ready_time", 0.7):
            of["readyTime"] = f"{rng.randint(1, 90)}s"
        if self.pick("start_failures", 0.7):
            of["startFailureProbability"] = rng.choice((0.05, 0.3, 1.0))
        if self.pick("task_failures", 0.8):
            of["timeToFailure"] = {"distribution": "exponential", "mean": f"{rng.randint(5, 90)}m"}
            of["exitCode"] = rng.choice((0, 1, 3))
        if self.pick("stop_never", 0.6):
            of["stopTime"] = "never"
        elif self.pick("slow_stop"):
            of["stopTime"] = {"distribution": "uniform", "low": "0s", "high": "90s"}
        return of

    def _capacity_options(self) -> list[str]:
        options = ("fargate", "fargate_spot", "launch_type", "mixed_strategy", "managed_instances")
        return [name for name in options if self.can(name)]

    def _where(self, wanted: str | None = None) -> tuple[Block, bool]:
        """Draw the keys of the capacity, and return whether it is Fargate."""
        rng = self.rng
        choice = wanted or rng.choice(["nodes", *self._capacity_options()])
        self.pick(choice)
        if choice == "launch_type":
            return {"launchType": "EC2"}, False
        if choice == "fargate" and rng.random() < 0.5:
            return {"launchType": "FARGATE"}, True
        if choice in ("fargate", "fargate_spot"):
            spot = choice == "fargate_spot"
            items = [on("FARGATE_SPOT" if spot else "FARGATE", 1)]
            if self.pick("fargate") and spot:
                items = [on("FARGATE", 1, rng.randint(0, 3)), on("FARGATE_SPOT", rng.randint(1, 3))]
            return {"capacityProviderStrategy": items}, True
        items = [on("own" if choice == "managed_instances" else "nodes", rng.randint(1, 3))]
        if choice == "mixed_strategy":
            items = [on("nodes", rng.randint(0, 2), rng.randint(0, 4)), on("more", rng.randint(1, 3))]
        return {"capacityProviderStrategy": items}, False

    def _placement(self) -> Block:
        """Draw a placement strategy and constraints for EC2."""
        rng = self.rng
        rules: list[Block] = []
        if self.pick("spread", 0.6):
            attributes = ["attribute:ecs.availability-zone", "instanceId"]
            attributes += ["attribute:disk"] if self.can("attributes", "member_of") else []
            rules += [{"type": "spread", "field": name} for name in rng.sample(attributes, rng.randint(1, 2))]
        if self.pick("binpack", 0.6):
            rules += [{"type": "binpack", "field": rng.choice(("cpu", "memory"))}]
        elif self.pick("random_placement", 0.6):
            rules += [{"type": "random"}]
        constraints: list[Block] = []
        if self.pick("distinct_instance", 0.3):
            constraints.append({"type": "distinctInstance"})
        if self.pick("member_of_count", 0.4):
            constraints.append({"type": "memberOf", "expression": f"runningTasksCount < {rng.randint(2, 9)}"})
        if self.pick("member_of_group", 0.4):
            rule = rng.choice(("not(task:group == service:one)", "task:group == service:one"))
            constraints.append({"type": "memberOf", "expression": rule})
        result: Block = {}
        if rules:
            result["placementStrategy"] = rules
        if constraints:
            result["placementConstraints"] = constraints
        return result

    def _services(self) -> None:
        names = ("one", "two", "three", "four")[: self.rng.randint(1, 4)]
        wanted = self._capacity_options()
        self.rng.shuffle(wanted)
        for position, name in enumerate(names):
            self._service(name, wanted[position] if position < len(wanted) else None)
        swarm_services.add_daemon(self)
        add_virtual_machines(self)
        if self.pick("empty_service"):
            self.services.append({**self.services[0], "serviceName": "empty", "desiredCount": 0})
            self.services[-1].pop("autoScaling", None)

    def _service(self, name: str, wanted: str | None) -> None:
        rng = self.rng
        where, fargate = self._where(wanted)
        keys: Block = {"taskDefinition": f"{self._definition(f'app-{name}', fargate)}:1", **where}
        if not fargate:
            keys |= self._placement()
        percents = {}
        if self.pick("tight_percents"):
            low, high = rng.choice(((100, 100), (50, 100), (0, 100), (66, 150), (90, 110)))
            percents = {"minimumHealthyPercent": low, "maximumPercent": high}
        if self.pick("load_balancer", 0.7):
            group = rng.choice(("slow", "unlisted"))
            keys["loadBalancers"] = [
                {"targetGroupArn": group, "containerName": "main", "containerPort": 9000}
            ]
            for each in self.definitions:
                if each["family"] == f"app-{name}":
                    container = each["containerDefinitions"][0]
                    container["portMappings"] = [*container.get("portMappings", ()), {"containerPort": 9000}]
        keys |= swarm_services.draw_deployment(self, percents, "loadBalancers" in keys)
        keys["behavior"] = {**self._behavior(), **swarm_services.draw_service_behavior(self)}
        if self.container_behaviors[f"app-{name}"]:
            keys["behavior"]["containers"] = self.container_behaviors[f"app-{name}"]
        keys |= self._load()
        self.services.append(service(name, rng.randint(1, 14), **keys))

    def _load(self) -> Block:
        rng = self.rng
        scales = self.can("target_tracking", "step_scaling", "scheduled_scaling")
        kind = rng.choice([name for name in ("requests", "queue") if self.can(name)] or [""])
        self.pick(kind)
        keys: Block = {}
        series: Block = {"daily": {"low": 1, "high": rng.randint(5, 60), "peak": f"0{rng.randint(0, 2)}:30"}}
        if kind and self.pick("load_shapes"):
            series |= rng.choice(SHAPES)
        if kind == "requests":
            keys["load"] = {"requestsPerSecond": series, "cpuTimePerRequest": f"{rng.randint(10, 200)}ms"}
            if self.pick("exact_requests", 0.9):
                keys["load"] |= {"model": "exact", **rng.choice(EXACT)}
                series["burstiness"] = rng.choice((0, 0.5, 1, 4))
        elif kind == "queue":
            keys["load"] = {"messagesPerSecond": series, "processingTime": f"{rng.randint(1, 4)}s"}
            keys["load"]["concurrencyPerTask"] = rng.randint(1, 4)
            keys["load"]["visibilityTimeout"] = rng.choice(("0s", "30s", "10m"))
        if not scales:
            return keys
        scaling: Block = {
            "minCapacity": rng.randint(0, 3),
            "maxCapacity": rng.randint(8, 25),
            "policies": [],
        }
        if self.pick("target_tracking"):
            metric = rng.choice(("ECSServiceAverageCPUUtilization", "ECSServiceAverageMemoryUtilization"))
            body = {"targetValue": 50, "predefinedMetricSpecification": {"predefinedMetricType": metric}}
            body |= {"scaleOutCooldown": 60, "scaleInCooldown": rng.choice((60, 300))}
            scaling["policies"].append(_scaling_policy("track", "TargetTracking", body))
        if self.pick("step_scaling"):
            scaling["policies"].append(_draw_step_policy(rng))
        if self.pick("scheduled_scaling"):
            target = {"minCapacity": rng.randint(2, 6), "maxCapacity": rng.randint(6, 20)}
            action = {"scheduledActionName": "morning", "schedule": "rate(35 minutes)"}
            scaling["scheduledActions"] = [{**action, "scalableTargetAction": target}]
        if self.pick("fine_metrics", 0.5):
            scaling["metricResolution"] = "20s"
        keys["autoScaling"] = scaling
        return keys

    # --- jobs ----------------------------------------------------------------------------------------------

    def _jobs(self) -> None:
        rng = self.rng
        kinds = [name for name in ("at", "cron", "rate", "arrivals", "trace") if self.can(name)]
        for kind in kinds:
            self._job(kind, kind, rng.randint(1, 12))
        if self.pick("gpus"):
            self._definition("app-gpu", False, gpus=1)
            keys = {"taskDefinition": "app-gpu", "capacityProviderStrategy": [on("gpus")]}
            self.jobs.append(job("gpu", 3, schedule="rate(9 minutes)", duration="12m", **keys))
        bulk = [
            kind for kind in kinds if kind != "trace"
        ]  # two entries with one trace would share its groups
        self._job("bulk", rng.choice(["rate", *bulk]), 0)

    def _job(self, name: str, kind: str, count: int) -> None:
        """Add an entry whose times are given by `kind`; count 0 requests at least `LEAST_TASKS` tasks."""
        rng = self.rng
        self.pick(kind)
        bulk = count == 0
        keys: Block = {}
        if kind == "at":
            keys = {"at": f"{rng.randint(0, self.minutes // 2)}m"}
            count = count or LEAST_TASKS
        elif kind == "cron":
            keys = {"schedule": "cron(0/10 * * * ? *)"}
            count = count or 2 + LEAST_TASKS // (self.minutes // 10)
        elif kind == "rate":
            keys = {"schedule": "rate(5 minutes)"}
            count = count or 2 + LEAST_TASKS // (self.minutes // 5 - 1)
        elif kind == "arrivals":
            keys = {"arrivals": {"ratePerHour": 1.5 * LEAST_TASKS * 60 / self.minutes if bulk else 20}}
            count = 1 if bulk else min(count, 3)
        where, fargate = self._where()
        if kind == "trace":
            where, fargate = {"capacityProviderStrategy": [on("nodes")]}, False
            self.trace = self.trace or self._trace()
            self.jobs.append({"name": name, "trace": "jobs.csv", **where, **self._placement()})
        else:
            if bulk or not self.pick("endless_jobs", 0.3):
                middle = rng.randint(1, 15)
                keys["duration"] = {"distribution": "lognormal", "median": f"{middle}m", "sigma": 0.7}
            keys["taskDefinition"] = self._definition(f"job-{name}", fargate)
            keys |= {} if fargate else self._placement()
            self.jobs.append(job(name, count, **keys, **where))
        self.jobs[-1]["behavior"] = self._behavior()
        if self.container_behaviors.get(f"job-{name}"):
            self.jobs[-1]["behavior"]["containers"] = self.container_behaviors[f"job-{name}"]
        if self.pick("retries"):
            self.jobs[-1]["retries"] = rng.randint(1, 3)
        if rng.random() < 0.3 and kind != "trace":
            self.jobs[-1]["group"] = f"batch-{name}"

    def _trace(self) -> str:
        """Draw a trace of tasks of many sizes, several at one instant."""
        rng = self.rng
        names = ["submit_s", "duration_s", "vcpu", "memory_mib", "instances", "reference_id"]
        names += ["group"] if self.pick("trace_groups") else []
        lines = [",".join(names)]
        at = 0.0
        for row in range(LEAST_TASKS):
            at += rng.choice((0, 0, rng.expovariate(LEAST_TASKS / (self.minutes * 50))))
            values: list[Any] = [f"{at:.3f}", f"{rng.expovariate(1 / 300):.3f}", rng.choice((0.25, 0.5, 1))]
            values += [rng.choice((100, 512, 1024)), rng.choice((1, 1, 1, 3)), f"row-{row}"]
            values += [rng.choice(("red", "blue"))] if self.pick("trace_groups") else []
            lines.append(",".join(str(value) for value in values))
        return "\n".join(lines) + "\n"

    # --- scripted actions ----------------------------------------------------------------------------------

    def _at(self) -> str:
        return f"{self.rng.randint(60, self.minutes * 60 - 60)}s"

    def _act(self, operation: str, **body: Any) -> None:
        self.actions.append({"at": self._at(), operation: body})

    def _actions(self) -> None:
        rng = self.rng
        some = range(rng.randint(1, 4))
        names = [each["serviceName"] for each in self.services]
        ids = [str(identity) for identity in range(1, self.nodes + 1)]
        for _ in some:
            name = rng.choice(names)
            if name == "agent":
                if self.pick("deployments"):
                    self._act("updateService", service=name, taskDefinition=f"agent:{rng.randint(1, 2)}")
                continue
            if self.pick("desired_changes"):
                self._act("updateService", service=name, desiredCount=rng.randint(0, 20))
            if self.pick("deployments") and name != "empty":
                self._act("updateService", service=name, taskDefinition=f"app-{name}:{rng.randint(1, 2)}")
            if self.pick("forced_deployments"):
                self._act("updateService", service=name, forceNewDeployment=True)
            chosen = rng.sample(ids, min(len(ids), rng.randint(1, 3)))
            if self.pick("draining"):
                self._act("updateContainerInstancesState", containerInstances=chosen, status="DRAINING")
            if self.pick("activating"):
                self._act("updateContainerInstancesState", containerInstances=chosen, status="DRAINING")
                self._act("updateContainerInstancesState", containerInstances=chosen, status="ACTIVE")
            if self.pick("terminating"):
                self._act("terminateInstances", instanceIds=chosen)
            if self.pick("stop_task"):
                self._act("stopTask", task=str(rng.randint(1, 60)))
            if self.pick("set_capacity"):
                groups = [each["name"] for each in self.providers if "autoScalingGroupProvider" in each]
                of = rng.choice(groups)
                self._act("setDesiredCapacity", autoScalingGroupName=of, desiredCapacity=rng.randint(0, 12))


def _scaling_policy(name: str, kind: str, body: Block) -> Block:
    key = f"{kind[0].lower()}{kind[1:]}ScalingPolicyConfiguration"
    return {"policyName": name, "policyType": f"{kind}Scaling", key: body}


def _draw_step_policy(rng: random.Random) -> Block:
    """Draw a step policy on CPU, up or down."""
    up = rng.random() < 0.6
    sign = 1 if up else -1
    steps = [{"metricIntervalLowerBound": 0}, {"metricIntervalUpperBound": 0}][not up]
    body = {"adjustmentType": "ChangeInCapacity", "cooldown": 60}
    body["stepAdjustments"] = [{**steps, "scalingAdjustment": sign * rng.randint(1, 3)}]
    alarm = {"alarmName": "busy", "metricName": "CPUUtilization", "threshold": 40, "evaluationPeriods": 1}
    alarm |= {"comparisonOperator": "GreaterThanThreshold" if up else "LessThanThreshold", "period": 60}
    return {**_scaling_policy("step", "Step", body), "alarm": {**alarm, "statistic": "Average"}}
