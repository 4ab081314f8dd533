"""Tests of the catalogue: sizes, prices, estimates of missing prices, and errors."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.resources import files
from typing import Any

import pytest

from clustersim.scenario.catalog.instance_types import (
    Catalog,
    CatalogError,
    FargateFactors,
    FargateUse,
    load_catalog,
)
from clustersim.scenario.catalog.registered_memory import registered_memory_mib

CATALOG = load_catalog()


@pytest.mark.golden(33)
def test_m4_large_registers_7985_mib_so_a_task_of_8192_never_fits() -> None:
    """ECS Developer Guide: 8,373,026,816 bytes of an m4.large's 8 GiB are seen by the operating system."""
    registered = CATALOG.instance_type("m4.large", "us-east-1").registered_memory_mib

    assert registered == 8_373_026_816 // 2**20 == 7_985
    assert registered < 8_192


@pytest.mark.golden(33)
def test_reserved_memory_is_taken_off_what_is_registered() -> None:
    """ECS_RESERVED_MEMORY=256 on an m4.large: 7,985 - 256 = 7,729 MiB."""
    reserved = {"name": "m4.large", "reservedMemoryMiB": 256}

    assert CATALOG.instance_type("m4.large", "us-east-1", [reserved]).registered_memory_mib == 7_729


def test_t4g_large_registers_7813_mib() -> None:
    """The second measured point of the specification: Nitro, arm64."""
    assert CATALOG.instance_type("t4g.large", "us-east-1").registered_memory_mib == 7_813


@pytest.mark.parametrize(
    ("name", "measured", "over"),
    [
        ("t2.micro", 993, 0),
        ("m4.xlarge", 16_048, 0),
        ("m4.16xlarge", 257_953, 0),
        ("r4.large", 15_292, 1),
        ("m5.large", 7_690, 0),
        ("m5.24xlarge", 378_665, 0),
        ("c5.large", 3_714, 0),
        ("c5.18xlarge", 140_780, 0),
        ("m6i.large", 7_817, 0),
    ],
)
def test_registered_memory_never_promises_more_than_was_measured(name: str, measured: int, over: int) -> None:
    """A simulated task that fits must fit in truth; the Xen rule may be 1 MiB above the 2018 AMI's figure."""
    registered = CATALOG.instance_type(name, "us-east-1").registered_memory_mib

    assert 0.97 * measured < registered <= measured + over


@pytest.mark.golden(34)
def test_three_tasks_of_2_gib_fit_an_m5_large_by_what_it_registers_not_four() -> None:
    """Four would fill its nominal 8 GiB; about 7.5 GiB are registered."""
    assert CATALOG.instance_type("m5.large", "us-east-1").registered_memory_mib // 2_048 == 3


def test_registered_memory_grows_with_memory_and_is_never_negative() -> None:
    """The bounce buffer must not make a larger type register less than a smaller one."""
    for name, arch in (("m4.x", "x86_64"), ("t3.x", "x86_64"), ("t4g.x", "arm64"), ("m7g.x", "arm64")):
        sizes = [registered_memory_mib(name, arch, memory, 2) for memory in (64, 512, 1_024, 4_096, 8_192)]
        assert sizes == sorted(sizes)
        assert sizes[0] >= 0


@pytest.mark.parametrize(
    ("name", "plain", "trunked"),
    [
        ("c5.large", 2, 10),
        ("m5.xlarge", 3, 20),
        ("m5.16xlarge", 14, 120),
        ("m6g.medium", 1, 4),
        ("t3.large", 2, 0),
    ],
)
def test_awsvpc_task_limits_are_those_of_the_developer_guide(name: str, plain: int, trunked: int) -> None:
    """The primary ENI is taken; t3 does not support trunking."""
    found = CATALOG.instance_type(name, "us-east-1")

    assert (found.eni_task_limit, found.eni_trunk_limit) == (plain, trunked)


def test_a_listed_type_has_its_size_and_its_region_s_prices() -> None:
    """m6i.large: 2 vCPU, 8 GiB; 0.096 USD in us-east-1, 0.107 in eu-west-1 (price list)."""
    found = CATALOG.instance_type("m6i.large", "us-east-1")

    assert (found.vcpus, found.registered_cpu, found.memory_mib, found.arch) == (2, 2_048, 8_192, "x86_64")
    assert found.usd_per_hour == 0.096
    assert found.spot_usd_per_hour is not None
    assert found.spot_usd_per_hour < found.usd_per_hour
    assert CATALOG.instance_type("m6i.large", "eu-west-1").usd_per_hour == 0.107


def test_every_priced_type_of_every_region_resolves() -> None:
    """No row of the data is broken: 12,000 prices name a type, and are positive."""
    for region in CATALOG.regions:
        assert CATALOG.price_date(region) == "2026-05"
        for name in CATALOG._region_prices(region):
            found = CATALOG.instance_type(name, region)
            assert found.usd_per_hour > 0
            assert 0 < found.registered_memory_mib < found.memory_mib


OWN = {"name": "rack.node", "vcpus": 16, "memoryMiB": 100_000, "usdPerHour": 0.5}


def test_a_type_of_the_scenario_needs_no_catalogue_not_even_its_region() -> None:
    """The contract's rack.node: registered memory, ENIs and price as written."""
    entry = OWN | {"registeredMemoryMiB": 100_000, "maxEnis": 64}
    found = CATALOG.instance_type("rack.node", "moon-south-1", [entry])

    assert (found.registered_cpu, found.registered_memory_mib, found.eni_task_limit) == (16_384, 100_000, 63)
    assert (found.usd_per_hour, found.spot_usd_per_hour, found.eni_trunk_limit) == (0.5, None, 0)


def test_an_entry_with_a_listed_name_lays_its_keys_over_the_catalogue_s() -> None:
    """A negotiated price changes the price and nothing else."""
    listed = CATALOG.instance_type("m6i.large", "us-east-1")
    found = CATALOG.instance_type("m6i.large", "us-east-1", [{"name": "m6i.large", "usdPerHour": 0.05}])

    assert found == listed.model_copy(update={"usd_per_hour": 0.05})


@pytest.mark.parametrize(
    ("call", "parts"),
    [
        (
            ("m6i.lage", "us-east-1"),
            ["'m6i.lage' is not in the catalogue", "did you mean m6i.large", "vcpus: 4"],
        ),
        (
            ("m6i.large", "us-eats-1"),
            ["'us-eats-1' has no EC2 prices", "did you mean us-east-1", "usdPerHour"],
        ),
        (("x2gd.medium", "sa-east-1"), ["no on-demand price in sa-east-1", "it has one in us-east-1"]),
        (("rack", "us-east-1", [{"name": "rack", "vcpus": 2}]), ["lacks memoryMiB, usdPerHour"]),
        (
            ("rack", "us-east-1", [OWN | {"name": "rack", "cpus": 2}]),
            ["instanceTypes.rack.cpus", "its keys are"],
        ),
        (("rack", "us-east-1", [OWN | {"name": "rack", "vcpus": 0}]), ["instanceTypes.rack.vcpus"]),
    ],
)
def test_what_is_missing_is_named_with_what_would_be_right(call: tuple[Any, ...], parts: list[str]) -> None:
    """A user must not have to look anything up to repair the scenario."""
    with pytest.raises(CatalogError) as refusal:
        CATALOG.instance_type(*call)

    assert all(part in str(refusal.value) for part in parts), str(refusal.value)


def test_a_missing_spot_price_is_an_error_only_where_spot_is_asked_for() -> None:
    """c8ine.large had an on-demand price but no Spot price in us-east-1."""
    assert CATALOG.instance_type("c8ine.large", "us-east-1").spot_usd_per_hour is None
    with pytest.raises(CatalogError, match=r"c8ine\.large has no Spot price in us-east-1.*spotUsdPerHour"):
        CATALOG.instance_type("c8ine.large", "us-east-1", spot=True)


def test_zones_are_the_region_s_a_b_and_c() -> None:
    """Contract: the default Availability Zones; a region that is none is refused."""
    assert CATALOG.zones("us-east-1") == ("us-east-1a", "us-east-1b", "us-east-1c")
    with pytest.raises(CatalogError, match="did you mean us-east-1"):
        CATALOG.zones("us-east1")


def test_spot_bands_give_bounds_and_middle() -> None:
    """Spot Instance Advisor: c4.xlarge between 10 and 15 %; what is not listed has none."""
    band = CATALOG.spot_band("us-east-1", "c4.xlarge")

    assert band == (0.10, 0.15, pytest.approx(0.125))
    assert CATALOG.spot_band("us-east-1", "no.such") is None
    assert CATALOG.spot_band("moon-south-1", "m4.large") is None


def test_a_known_fargate_price_comes_without_a_warning() -> None:
    """us-east-1 on-demand is published for both architectures."""
    prices, warnings = CATALOG.fargate_prices(
        "us-east-1", [FargateUse(), FargateUse("arm64", ephemeral=True)]
    )

    assert [(price.arch, price.vcpu_usd_per_hour, price.gb_usd_per_hour) for price in prices] == [
        ("x86_64", 0.04048, 0.004445),
        ("arm64", 0.03238, 0.00356),
    ]
    assert prices[1].ephemeral_gb_usd_per_hour == 0.000111
    assert warnings == ()


def test_spot_not_known_is_a_factor_of_on_demand_with_one_warning() -> None:
    """0.04048 x 0.33 = 0.0133584; a service that uses it twice still warns once."""
    uses = [FargateUse(spot=True), FargateUse(spot=True, ephemeral=True)]
    (price,), warnings = CATALOG.fargate_prices("us-east-1", uses)

    assert price.vcpu_usd_per_hour == pytest.approx(0.0133584)
    assert len(warnings) == 1
    assert "0.33 of on-demand" in warnings[0]
    half, _ = CATALOG.fargate_price("us-east-1", FargateUse(spot=True), FargateFactors(spot=0.5))
    assert half.gb_usd_per_hour == pytest.approx(0.0022225)


def test_a_known_spot_price_is_used_as_it_is() -> None:
    """eu-west-1 publishes Spot: 0.01379631, whatever the factor says."""
    price, warnings = CATALOG.fargate_price("eu-west-1", FargateUse(spot=True), FargateFactors(spot=0.9))

    assert (price.vcpu_usd_per_hour, warnings) == (0.01379631, ())


def test_arm64_not_known_is_0_8_of_x86_64_and_its_spot_a_factor_of_that() -> None:
    """ap-northeast-1: 0.05056 x 0.8 = 0.040448; x 0.33 = 0.01334784; two rules, two warnings."""
    price, warnings = CATALOG.fargate_price("ap-northeast-1", FargateUse("arm64", spot=True))

    assert price.vcpu_usd_per_hour == pytest.approx(0.01334784)
    assert ["x86_64 price is used" in warnings[0], "of on-demand is used" in warnings[1]] == [True, True]


def test_storage_not_known_costs_what_it_does_in_us_east_1_and_warns_when_used() -> None:
    """us-west-2 has no published storage price; a task with 20 GiB does not need one."""
    price, silent = CATALOG.fargate_price("us-west-2", FargateUse())
    _, warnings = CATALOG.fargate_price("us-west-2", FargateUse(ephemeral=True))

    assert (price.ephemeral_gb_usd_per_hour, silent, len(warnings)) == (0.000111, (), 1)


def test_a_region_without_fargate_prices_says_how_to_declare_them() -> None:
    """eu-north-1 has EC2 prices only; what the scenario writes replaces them."""
    with pytest.raises(CatalogError, match=r"no Fargate prices for region 'eu-north-1'.*vcpuUsdPerHour"):
        CATALOG.fargate_price("eu-north-1", FargateUse())
    written = {
        "vcpuUsdPerHour": 0.04,
        "gbUsdPerHour": 0.004,
        "spotVcpuUsdPerHour": 0.01,
        "spotGbUsdPerHour": 0.001,
        "ephemeralGbUsdPerHour": 0.0002,
        "arm64": {"vcpuUsdPerHour": 0.03, "gbUsdPerHour": 0.003},
    }
    uses = [FargateUse(spot=True), FargateUse("arm64", ephemeral=True)]
    prices, warnings = CATALOG.fargate_prices("eu-north-1", uses, written=written)

    assert [(price.vcpu_usd_per_hour, price.ephemeral_gb_usd_per_hour) for price in prices] == [
        (0.01, 0.0002),
        (0.03, 0.0002),
    ]
    assert warnings == ()


def test_half_a_spot_price_is_refused() -> None:
    """A vCPU price without a memory price would bill memory for nothing."""
    written = {"vcpuUsdPerHour": 0.04, "gbUsdPerHour": 0.004, "spotVcpuUsdPerHour": 0.01}
    with pytest.raises(CatalogError, match="give both or neither"):
        CATALOG.fargate_price("us-east-1", FargateUse(), written=written)


def test_the_catalogue_is_read_once_and_needs_no_data_frames() -> None:
    """A scenario is validated in milliseconds: pandas and pyarrow stay unimported."""
    assert load_catalog() is load_catalog()
    assert isinstance(load_catalog(), Catalog)
    code = (
        "import sys; from clustersim.scenario.catalog.instance_types import load_catalog; "
        "load_catalog().instance_type('m5.large', 'us-east-1'); "
        "sys.exit(bool({'pandas', 'pyarrow'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_data_is_small_and_says_where_it_comes_from() -> None:
    """Package data: under 1 MB in all, with its sources beside it."""
    data = files(importlib.import_module("clustersim")).joinpath("data")
    shipped = (*data.iterdir(), *data.joinpath("prices").iterdir())
    sizes = [len(file.read_bytes()) for file in shipped if file.is_file()]

    assert sum(sizes) < 1_000_000
    assert data.joinpath("SOURCES.md").is_file()
