"""Builds the catalogue's package data (clustersim/data) from CSV files given on the command line.

Decides which columns and rows the package contains: only those that the simulator reads. It does not import the
simulator. A maintainer runs it when new prices have been collected:

    python tools/build_catalogue.py --types T.csv --trunking E.csv --families M.csv --prices P.csv --spot S.csv \
        --fargate F.csv --out clustersim/data

The output is plain CSV, one file of prices per region, so that changes are readable as a diff.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path

TYPE_COLUMNS = {
    "instance_type": "instance_type",
    "arch": "arch",
    "vcpus": "vcpus",
    "memory_mib": "memory_mib",
    "gpu_count": "gpus",
    "max_enis": "max_enis",
    "tasks_with": "trunk_task_limit",
    "baseline_network_gbps": "network_gbps",
}
FAMILY_COLUMNS = ("family", "category")
PRICE_COLUMNS = ("instance_type", "usd_per_hour", "spot_usd_per_hour", "spot_interruption")
FARGATE_COLUMNS = {
    "region": "region",
    "vcpu_usd_per_hour": "vcpu_usd_per_hour",
    "gb_usd_per_hour": "gb_usd_per_hour",
    "ephemeral_gb_usd_per_hour": "ephemeral_gb_usd_per_hour",
    "spot_vcpu_usd_per_hour": "spot_vcpu_usd_per_hour",
    "spot_gb_usd_per_hour": "spot_gb_usd_per_hour",
    "on_demand_asof": "on_demand_asof",
    "spot_asof": "spot_asof",
}


def read_rows(path: Path) -> list[dict[str, str]]:
    """Return every row of a CSV file as a dict by column name."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Write a CSV file with Unix line ends, so that the same input gives the same bytes on every platform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)


def build_types(source: Path, trunking: Path, out: Path) -> set[str]:
    """Write instance_types.csv without EC2 Mac (ECS has no agent for macOS); return the names of the types.

    The Developer Guide's table of trunking decides which types support it, and how many tasks they take.
    """
    limits = {row["instance_type"]: row["tasks_with"] for row in read_rows(trunking)}
    types = [
        row | {"tasks_with": limits.get(row["instance_type"], "")}
        for row in read_rows(source)
        if row["arch"] in ("x86_64", "arm64")
    ]
    rows = ([row[column] for column in TYPE_COLUMNS] for row in types)
    write_rows(out / "instance_types.csv", TYPE_COLUMNS.values(), rows)
    return {row["instance_type"] for row in types}


def build_prices(prices: Path, spot: Path, out: Path, names: set[str]) -> dict[str, str]:
    """Write prices/REGION.csv, prices joined with Spot interruption bands; return the date of each region."""
    priced = read_rows(prices)
    bands = {(row["region"], row["instance_type"]): row["interruption_band"] for row in read_rows(spot)}
    dates: dict[str, str] = {}
    for region in dict.fromkeys(row["region"] for row in priced):
        rows = [row for row in priced if row["region"] == region and row["instance_type"] in names]
        dates[region] = max(row["price_asof"] for row in rows)
        lines = (
            [
                row["instance_type"],
                row["on_demand_usd_per_hour"],
                row["spot_usd_per_hour"],
                bands.get((region, row["instance_type"]), ""),
            ]
            for row in rows
        )
        write_rows(out / "prices" / f"{region}.csv", PRICE_COLUMNS, lines)
    return dates


def build_fargate(source: Path, out: Path) -> None:
    """Write fargate_prices.csv, Linux only (Windows tasks are not simulated)."""
    linux = [row for row in read_rows(source) if row["os_arch"].startswith("linux/")]
    rows = (
        [row["os_arch"].removeprefix("linux/"), *(row[column] for column in FARGATE_COLUMNS)] for row in linux
    )
    write_rows(out / "fargate_prices.csv", ["arch", *FARGATE_COLUMNS.values()], rows)


def build_families(source: Path, out: Path) -> None:
    """Write managed_instances_families.csv: the families of ECS Managed Instances, and their categories."""
    rows = ([row[column] for column in FAMILY_COLUMNS] for row in read_rows(source))
    write_rows(out / "managed_instances_families.csv", FAMILY_COLUMNS, rows)


def main() -> None:
    """Read the command line and write the data directory."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("types", "trunking", "families", "prices", "spot", "fargate", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--spot-asof", default="2025-06-28", help="date of the Spot interruption bands")
    options = parser.parse_args()
    names = build_types(options.types, options.trunking, options.out)
    build_families(options.families, options.out)
    dates = build_prices(options.prices, options.spot, options.out, names)
    build_fargate(options.fargate, options.out)
    index = {"regions": dates, "spot_interruption_asof": options.spot_asof}
    (options.out / "catalogue.json").write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
