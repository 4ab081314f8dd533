"""Prices of usage over time: Fargate tasks, EC2 instances, root volumes.

Decides how time becomes cost: rounding to seconds, the minimum, and which size is multiplied by which price. Pure
arithmetic on numbers and numpy columns alike; it must not know the clock, the world or the catalogue. The billing
modules of `control` call it for accrued and invoiced usage; commitments are applied afterwards
(`policy.pricing.savings_plans`).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MIB_PER_GIB, MS_PER_SECOND

SECONDS_PER_HOUR = 3_600
HOURS_PER_MONTH = 730  # the month of AWS prices per GB-month
MINIMUM_S = 60  # per task and per instance, Linux (AWS Fargate and EC2 pricing)
INCLUDED_EPHEMERAL_GIB = 20  # included with every Fargate task (AWS Fargate pricing)

Int64s = npt.NDArray[np.int64]
Float64s = npt.NDArray[np.float64]
Amount = TypeVar("Amount", float, Float64s)
"""A number, or a column of them."""


class FargateRates(Protocol):
    """Prices of a vCPU-hour, of a GB-hour of memory, and of a GB-hour of ephemeral storage, USD."""

    @property
    def vcpu_usd_per_hour(self) -> float:
        """USD per vCPU-hour."""

    @property
    def gb_usd_per_hour(self) -> float:
        """USD per GB-hour of memory."""

    @property
    def ephemeral_gb_usd_per_hour(self) -> float:
        """USD per GB-hour of ephemeral storage above what is included."""


class FargateHours(NamedTuple):
    """The billed usage of a Fargate task: vCPU-hours, GB-hours of memory, GB-hours of extra storage."""

    vcpu: float
    memory_gb: float
    ephemeral_gb: float

    def usd(self, rates: FargateRates) -> float:
        """Return the price of these hours, USD."""
        return (
            self.vcpu * rates.vcpu_usd_per_hour
            + self.memory_gb * rates.gb_usd_per_hour
            + self.ephemeral_gb * rates.ephemeral_gb_usd_per_hour
        )


def billed_seconds(start_ms: int, stop_ms: int, minimum_s: int = MINIMUM_S) -> int:
    """Return the seconds billed for use from `start_ms` to `stop_ms`: rounded up, at least `minimum_s`.

    AWS Fargate and EC2 pricing: per second, rounded up, one minute at least. Usage that continues at the end of the
    simulation is billed without the minimum (MODEL.md: money): the caller passes `minimum_s=0`.
    """
    return max(-(-(stop_ms - start_ms) // MS_PER_SECOND), minimum_s)


def billed_seconds_column(start_ms: Int64s, stop_ms: Int64s, minimum_s: int | Int64s = MINIMUM_S) -> Int64s:
    """Return `billed_seconds` for whole columns; `minimum_s` may differ by row."""
    seconds: Int64s = -(-(stop_ms - start_ms) // MS_PER_SECOND)
    return np.maximum(seconds, minimum_s).astype(np.int64)


def fargate_hours(
    seconds: int, cpu: int, memory_mib: int, ephemeral_gib: int = INCLUDED_EPHEMERAL_GIB
) -> FargateHours:
    """Return the billed usage of a task of `cpu` units and `memory_mib` MiB over `seconds`.

    The configured size counts, not the actual use (AWS Fargate pricing). A GB is 1,024 MiB; storage counts above the
    included 20 GiB.
    """
    hours = seconds / SECONDS_PER_HOUR
    extra_gib = max(0, ephemeral_gib - INCLUDED_EPHEMERAL_GIB)
    return FargateHours(cpu / CPU_UNITS_PER_VCPU * hours, memory_mib / MIB_PER_GIB * hours, extra_gib * hours)


def instance_usd(seconds: Amount, usd_per_hour: float) -> Amount:
    """Return the price of an EC2 instance over billed `seconds`, without its volumes."""
    return seconds / SECONDS_PER_HOUR * usd_per_hour


def volume_usd(seconds: Amount, size_gib: int, usd_per_gib_month: float) -> Amount:
    """Return the price of an EBS volume of `size_gib` over `seconds`; a month is 730 hours (EBS pricing)."""
    return seconds / SECONDS_PER_HOUR * (size_gib * usd_per_gib_month / HOURS_PER_MONTH)
