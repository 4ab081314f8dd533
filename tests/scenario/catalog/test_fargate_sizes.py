"""Tests of Fargate's task sizes, and of ECS's error for sizes that do not exist."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustersim.scenario.catalog.fargate_sizes import (
    FARGATE_SIZES,
    ephemeral_problem,
    memory_choices,
    nearest_size,
    platform_problem,
    size_problem,
    size_suggestion,
)


@pytest.mark.golden(66)
@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        (256, 512),
        (256, 2_048),
        (512, 4_096),
        (1_024, 2_048),
        (2_048, 16_384),
        (4_096, 30_720),
        (8_192, 16_384),
        (16_384, 122_880),
    ],
)
def test_sizes_that_exist_are_accepted(cpu: int, memory: int) -> None:
    """RegisterTaskDefinition: the ends of each CPU size's range."""
    assert size_problem(cpu, memory) is None


@pytest.mark.golden(66)
@pytest.mark.parametrize(
    ("cpu", "memory"),
    [
        (256, 4_096),
        (512, 512),
        (512, 1_536),
        (1_024, 1_024),
        (4_096, 4_096),
        (4_096, 31_744),
        (8_192, 18_432),
        (16_384, 36_864),
        (300, 512),
    ],
)
def test_sizes_that_do_not_exist_are_refused_in_the_words_of_ecs(cpu: int, memory: int) -> None:
    """Outside the range, off the step, or no such CPU size."""
    assert size_problem(cpu, memory) == (
        f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. "
        "See the Amazon ECS documentation for the valid values."
    )


def test_there_are_77_sizes() -> None:
    """3 + 4 + 7 + 13 + 23 + 12 + 12 of botocore, and 3 of 32 vCPU."""
    assert sum(len(choices) for choices in FARGATE_SIZES.values()) == 77
    assert memory_choices(300) == ()


@given(cpu=st.integers(1, 40_000), memory=st.integers(1, 300_000))
def test_the_nearest_size_exists_holds_the_wish_and_is_the_smallest(cpu: int, memory: int) -> None:
    """Against a search of all sizes."""
    fitting = [
        (units, choice)
        for units, choices in FARGATE_SIZES.items()
        for choice in choices
        if units >= cpu and choice >= memory
    ]

    assert nearest_size(cpu, memory) == min(fitting, default=None)


def test_the_suggestion_names_the_choices_and_the_nearest_size() -> None:
    """1 vCPU with 1 GiB does not exist; 2 GiB does."""
    assert size_suggestion(1_024, 1_024) == (
        "1024 CPU goes with 2048 to 8192 in steps of 1024 MiB; "
        "the smallest size that holds this is 1024 CPU, 2048 memory"
    )
    assert "256 CPU goes with 512, 1024, 2048 MiB" in size_suggestion(256, 4_096)
    assert size_suggestion(99_999, 1).startswith("CPU is one of 256, 512")


def test_ephemeral_storage_is_21_to_200_gib() -> None:
    """EphemeralStorage of the ECS API; 20 is what a task has without asking."""
    assert [ephemeral_problem(size) is None for size in (20, 21, 200, 201)] == [False, True, True, False]


def test_windows_is_not_simulated_on_fargate() -> None:
    """Its licence fee and five-minute minimum are not modelled, so it must not pass for Linux."""
    assert platform_problem(None) is None
    assert platform_problem("LINUX") is None
    assert "WINDOWS_SERVER_2022_CORE" in str(platform_problem("WINDOWS_SERVER_2022_CORE"))
