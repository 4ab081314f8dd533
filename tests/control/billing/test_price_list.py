"""The price list: the SKUs of instances and of Fargate, and the columns that commitments may cover."""

from __future__ import annotations

from pathlib import Path

from clustersim.control.billing.price_list import PriceList
from clustersim.policy.pricing.commitments import UsageKind
from tests.harness import fargate_definition, on, provider, service
from tests.world.small import small_world

A = ["us-east-1a"]


def test_an_instance_has_a_sku_and_its_root_volume_another(tmp_path: Path) -> None:
    """30 GiB at 0.08 a month of 730 hours; only the instance is a column that commitments cover."""
    prices = PriceList(small_world(tmp_path, capacityProviders=[provider(count=1, availabilityZones=A)]))
    instance, volume = (prices.skus[number] for number in prices.of_class[0, :2])
    assert (instance.name, instance.price, instance.spot) == ("BoxUsage:test.node", 0.36, False)
    assert (volume.name, volume.price, volume.units_per_hour) == (
        *("EBS:VolumeUsage.gp3", 0.08 * (30 / 730)),
        30 / 730,
    )
    assert [column.kind for column in prices.columns] == [UsageKind.UNCOVERED, UsageKind.EC2]
    assert prices.class_columns.tolist() == [1]
    assert prices.column[prices.of_class[0, 1]] == 0


def test_spot_is_in_no_column(tmp_path: Path) -> None:
    """Its SKU has the on-demand list price and the Spot price."""
    kind = {"name": "test.node", "vcpus": 4, "memoryMiB": 8192, "usdPerHour": 0.36, "spotUsdPerHour": 0.1}
    group = provider(count=1, purchaseOption="spot", availabilityZones=A)
    prices = PriceList(small_world(tmp_path, instanceTypes=[kind], capacityProviders=[group]))
    sku = prices.skus[prices.of_class[0, 0]]
    assert (sku.name, sku.list_price, sku.price, sku.spot) == ("SpotUsage:test.node", 0.36, 0.1, True)
    assert prices.class_columns.tolist() == [0]


def test_classes_that_differ_in_an_attribute_have_equal_skus(tmp_path: Path) -> None:
    """Two racks in one zone: the second rack's instance and volume are equal to the first's."""
    group = provider(count=2, attributes={"rack": ["r1", "r2"]}, availabilityZones=A)
    prices = PriceList(small_world(tmp_path, capacityProviders=[group]))
    assert prices.equal_to.tolist() == [0, 1, 0, 1]
    assert len(prices.columns) == 2


def test_fargate_has_three_skus_for_each_price_and_zone(tmp_path: Path) -> None:
    """vCPU and memory may be covered, storage may not; Spot's are in no column."""
    both = [on("FARGATE"), on("FARGATE_SPOT")]
    keys = {"taskDefinitions": [fargate_definition()], "capacityProviders": [], "instanceTypes": []}
    services = [service("web", 0, capacityProviderStrategy=both)]
    prices = PriceList(small_world(tmp_path, 0, services=services, runTasks=[], **keys))
    assert len(prices.skus) == 2 * 3 * 3
    covered = [sku.name for sku, column in zip(prices.skus, prices.column, strict=True) if column > 0]
    assert set(covered) == {"Fargate-vCPU-Hours:perCPU", "Fargate-GB-Hours"}
    assert len(prices.columns) == 1 + 2 * 3
