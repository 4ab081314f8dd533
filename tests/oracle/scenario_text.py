"""A scenario as it is written, and the prices that apply to it; no code of clustersim is used.

    text = ScenarioText(Path("scenario.yaml"))
    text.instance_price("m6i.large", spot=False)

Reads the file by itself, with the defaults of the contract for keys that are left out, and the price lists of the
package as data. It knows only what money depends on. `tests.oracle.bill` asks it for every price.
"""

from __future__ import annotations

import csv
import re
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

DATA = Path(__file__).parents[2] / "clustersim" / "data"
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
DEFAULT_START = 1_767_225_600_000  # 2026-01-01T00:00:00Z

Block = dict[str, Any]


class Plan(NamedTuple):
    """A Savings Plan; without a family it is a Compute Savings Plan."""

    name: str
    usd_per_hour: float
    ec2: float
    fargate: float
    family: str | None


class Reservation(NamedTuple):
    """Reserved Instances of one type; without a zone they are regional."""

    name: str
    instance_type: str
    count: int
    usd_per_hour: float
    zone: str | None


class ScenarioText:
    """The text of a scenario, read for money."""

    def __init__(self, path: Path) -> None:
        self.blocks: Block = yaml.safe_load(path.read_text(encoding="utf-8"))
        self.region: str = self.blocks.get("region", "us-east-1")
        self.duration = milliseconds(self.blocks.get("duration", "1d"))
        self.start = _instant(self.blocks.get("start"))
        self.period = milliseconds(self.blocks.get("sampling", {}).get("costPeriod", "1d"))
        self.pricing: Block = self.blocks.get("pricing", {})
        self._own_types = {block["name"]: block for block in self.blocks.get("instanceTypes", ())}
        self._definitions = self._number_revisions()

    # --- prices --------------------------------------------------------------------------------------------

    def instance_price(self, instance_type: str, spot: bool) -> float:
        """USD per hour of an instance, without volume and fee."""
        own = self._own_types.get(instance_type, {})
        listed = _table(f"prices/{self.region}.csv", "instance_type").get((instance_type,), {})
        on_demand = own.get("usdPerHour") or float(listed["usd_per_hour"])
        if not spot:
            return float(on_demand)
        return float(own.get("spotUsdPerHour") or listed.get("spot_usd_per_hour") or on_demand)

    def gib_month_price(self) -> float:
        """USD per GiB-month of a root volume."""
        return float(self.pricing.get("ebsUsdPerGibMonth", 0.08))

    def fargate_prices(self, arch: str, spot: bool) -> tuple[float, float, float]:
        """USD per hour of a vCPU, a GB of memory, and a GB of storage."""
        listed = _table("fargate_prices.csv", "arch", "region")
        row = listed[arch, self.region]
        storage = float(row["ephemeral_gb_usd_per_hour"])
        written = self.pricing.get("fargate")
        if written is None:
            vcpu, gb = float(row["vcpu_usd_per_hour"]), float(row["gb_usd_per_hour"])
            published = row["spot_vcpu_usd_per_hour"]
            if spot and published:
                return float(published), float(row["spot_gb_usd_per_hour"]), storage
        else:
            vcpu, gb = float(written["vcpuUsdPerHour"]), float(written["gbUsdPerHour"])
            storage = float(written.get("ephemeralGbUsdPerHour", storage))
        factor = self.pricing.get("fargateSpotFactor", 0.33) if spot else 1.0
        return vcpu * factor, gb * factor, storage

    # --- commitments ---------------------------------------------------------------------------------------

    def plans(self) -> list[Plan]:
        """The Savings Plans, in the order in which they are written."""
        written = [self.pricing["savingsPlan"]] if "savingsPlan" in self.pricing else []
        written = [*written, *self.pricing.get("savingsPlans", ())]
        plans = []
        for number, block in enumerate(written, 1):
            discount = block.get("discount", {})
            shares = float(discount.get("ec2", 0)), float(discount.get("fargate", 0))
            family = block.get("ec2InstanceFamily")
            plans.append(Plan(f"savings-plan/{number}", float(block["usdPerHour"]), *shares, family))
        return plans

    def reservations(self) -> list[Reservation]:
        """The Reserved Instances, in the order in which they are written."""
        return [
            Reservation(
                f"reserved-instances/{number}",
                block["instanceType"],
                block["count"],
                float(block["usdPerHour"]),
                block.get("availabilityZone"),
            )
            for number, block in enumerate(self.pricing.get("reservedInstances", ()), 1)
        ]

    # --- pools and task definitions ------------------------------------------------------------------------

    def volume_gib(self, provider: str | None, group: str | None) -> float:
        """The size of the root volume of an instance of a capacity provider or of a group."""
        block = self._provider(provider).get("managedInstancesProvider")
        if block is not None:
            storage = block.get("instanceLaunchTemplate", {}).get("storageConfiguration", {})
            return float(storage.get("storageSizeGiB", 80))
        inner = self._provider(provider).get("autoScalingGroupProvider", {}).get("autoScalingGroup", {})
        for each in self.blocks.get("autoScalingGroups", ()):
            if each["autoScalingGroupName"] == group:
                inner = each
        for each in self.blocks.get("services", ()):
            if f"virtualMachines/{each['serviceName']}" == group:
                inner = each["virtualMachines"]
        return _gib(inner.get("rootVolume", 30))

    def fee(self, provider: str | None) -> float:
        """The management fee of a provider's instances, as a share of the on-demand price."""
        if "managedInstancesProvider" in self._provider(provider):
            return float(self.pricing.get("managedInstancesFee", 0.12))
        return 0.0

    def definition(self, family: str, revision: int) -> Block:
        """A task definition."""
        return self._definitions[family, revision]

    def lists_images(self, definition: Block) -> bool:
        """Whether a registry holds an image of a task definition, so that its tasks pull."""
        listed = {_image(name) for name in self.blocks.get("images", {})}
        return any(_image(each["image"]) in listed for each in definition["containerDefinitions"])

    def _provider(self, name: str | None) -> Block:
        for block in self.blocks.get("capacityProviders", ()):
            if block["name"] == name:
                found: Block = block
                return found
        return {}

    def _number_revisions(self) -> dict[tuple[str, int], Block]:
        numbered: dict[tuple[str, int], Block] = {}
        last: dict[str, int] = {}
        for block in self.blocks.get("taskDefinitions", ()):
            family = block["family"]
            last[family] = block.get("revision", last.get(family, 0) + 1)
            numbered[family, last[family]] = block
        return numbered


def milliseconds(written: str | float) -> int:
    """A duration like `90m` or `1h30m` in ms; a number is seconds."""
    if not isinstance(written, str):
        return round(written * 1_000)
    parts = re.findall(r"([\d.]+)(ms|s|m|h|d)", written)
    return round(sum(float(number) * UNITS[unit] for number, unit in parts))


def _instant(written: str | datetime | None) -> int:
    if written is None:
        return DEFAULT_START
    if isinstance(written, str):
        written = datetime.fromisoformat(written)
    return round(written.timestamp() * 1_000)


def _gib(written: str | float) -> float:
    return float(re.sub(r"\s*GiB", "", str(written)))


def _image(name: str) -> str:
    """The repository and tag of an image, `latest` if there is none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


@cache
def _table(name: str, *keys: str) -> dict[tuple[str, ...], dict[str, str]]:
    """A data file as rows by their keys."""
    with (DATA / name).open(encoding="utf-8", newline="") as file:
        return {tuple(row[key] for key in keys): row for row in csv.DictReader(file)}
