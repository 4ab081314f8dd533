"""The sizes of Fargate tasks.

Decides whether a pair of task CPU and memory, an ephemeral storage size and an operating system exist on Fargate,
and gives ECS's own error message if they do not. It must not know prices or launch times. The `resolve` modules
call it for task definitions that run on Fargate; the variants call it for the nearest size.

Sizes: ECS API, RegisterTaskDefinition `memory` (botocore). 32 vCPU is not in botocore yet, but in the
CloudFormation schema of 2026-10 (cfn-lint); it is accepted. Windows is on Fargate but not simulated.
"""

from __future__ import annotations

from clustersim.policy.pricing.billed_time import INCLUDED_EPHEMERAL_GIB
from clustersim.vocabulary import MIB_PER_GIB

__all__ = [
    "CONFIGURABLE_EPHEMERAL_GIB",
    "FARGATE_SIZES",
    "INCLUDED_EPHEMERAL_GIB",
    "ephemeral_problem",
    "memory_choices",
    "nearest_size",
    "platform_problem",
    "size_problem",
    "size_suggestion",
]

CONFIGURABLE_EPHEMERAL_GIB = (21, 200)


def _memory_steps(low_gib: int, high_gib: int, step_gib: int) -> tuple[int, ...]:
    """Return the memory choices in MiB from `low_gib` to `high_gib`, both included."""
    return tuple(gib * MIB_PER_GIB for gib in range(low_gib, high_gib + 1, step_gib))


FARGATE_SIZES: dict[int, tuple[int, ...]] = {
    256: (512, 1_024, 2_048),
    512: _memory_steps(1, 4, 1),
    1_024: _memory_steps(2, 8, 1),
    2_048: _memory_steps(4, 16, 1),
    4_096: _memory_steps(8, 30, 1),
    8_192: _memory_steps(16, 60, 4),
    16_384: _memory_steps(32, 120, 8),
    32_768: tuple(gib * MIB_PER_GIB for gib in (60, 120, 244)),
}
"""The memory sizes in MiB that exist for each number of CPU units, both ascending."""


def memory_choices(cpu: int) -> tuple[int, ...]:
    """Return the memory sizes in MiB that exist with `cpu` units; empty if the CPU size itself does not exist."""
    return FARGATE_SIZES.get(cpu, ())


def size_problem(cpu: int, memory_mib: int) -> str | None:
    """Return ECS's error for a size that does not exist, else None. `cpu` in units, `memory_mib` in MiB.

    The wording is that of RegisterTaskDefinition's ClientException, which does not suggest a size: see
    `size_suggestion` for that.
    """
    if memory_mib in memory_choices(cpu):
        return None
    return (
        f"No Fargate configuration exists for given values: {cpu} CPU, {memory_mib} memory. "
        "See the Amazon ECS documentation for the valid values."
    )


def nearest_size(cpu: int, memory_mib: int) -> tuple[int, int] | None:
    """Return the smallest size with at least `cpu` units and `memory_mib` MiB; None if all are smaller."""
    for units, choices in FARGATE_SIZES.items():
        if units >= cpu and choices[-1] >= memory_mib:
            return units, next(choice for choice in choices if choice >= memory_mib)
    return None


def size_suggestion(cpu: int, memory_mib: int) -> str:
    """Return a hint for a size that does not exist: the memory choices of its CPU size and the nearest size."""
    choices = memory_choices(cpu)
    parts = []
    if choices:
        step = f" in steps of {choices[-1] - choices[-2]}" if len(choices) > 3 else ""
        listed = f"{choices[0]} to {choices[-1]}{step}" if step else ", ".join(map(str, choices))
        parts.append(f"{cpu} CPU goes with {listed} MiB")
    else:
        parts.append(f"CPU is one of {', '.join(map(str, FARGATE_SIZES))}")
    nearest = nearest_size(cpu, memory_mib)
    if nearest is not None:
        parts.append(f"the smallest size that holds this is {nearest[0]} CPU, {nearest[1]} memory")
    return "; ".join(parts)


def ephemeral_problem(size_gib: int) -> str | None:
    """Return the error of a configured `ephemeralStorage.sizeInGiB`, or None (ECS API: 21 to 200 GiB)."""
    low, high = CONFIGURABLE_EPHEMERAL_GIB
    if low <= size_gib <= high:
        return None
    included = f"leave it out for the {INCLUDED_EPHEMERAL_GIB} GiB that are included"
    return f"ephemeral storage of {size_gib} GiB does not exist; it is {low} to {high} GiB, or {included}"


def platform_problem(operating_system_family: str | None) -> str | None:
    """Return the error of an `operatingSystemFamily` that is not simulated on Fargate; None for Linux, the default."""
    if operating_system_family is None or operating_system_family.upper() == "LINUX":
        return None
    return f"{operating_system_family} tasks on Fargate are not simulated; use LINUX"
