"""Catalogue entries of a scenario: its own instance types and Fargate prices.

Decides which keys `instanceTypes` entries and `pricing.fargate` have, and the wording of errors. It must not read
the snapshot or know a region. The catalogue and the Fargate prices call it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from clustersim.errors import ClustersimError

HOW_TO_DECLARE_TYPE = "instanceTypes: [{name: NAME, vcpus: 4, memoryMiB: 16384, usdPerHour: 0.2}]"
HOW_TO_DECLARE_FARGATE = "pricing: {fargate: {vcpuUsdPerHour: 0.04048, gbUsdPerHour: 0.004445}}"


class CatalogError(ClustersimError):
    """An unknown type, region or price, or an invalid entry; `hint` tells how to fix it."""

    def __init__(self, message: str, hint: str) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}; {hint}")


def suggest_similar(word: str, known: Iterable[str]) -> str:
    """Return `did you mean A or B? ` with the known names close to `word`, or an empty text."""
    near = get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}? " if near else ""


def _to_camel_mib(name: str) -> str:
    """Return a field name in camelCase as a scenario has it: `memoryMiB`."""
    return to_camel(name).replace("Mib", "MiB")


class CatalogEntry(BaseModel):
    """A base for entries of a scenario: keys in camelCase, unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, alias_generator=_to_camel_mib
    )


class WrittenInstanceType(CatalogEntry):
    """An entry of `instanceTypes`; missing keys come from the catalogue's type of that name, if any."""

    name: str = Field(min_length=1)
    vcpus: int | None = Field(None, ge=1)
    memory_mib: int | None = Field(None, ge=1, description="advertised size, MiB")
    registered_memory_mib: int | None = Field(None, ge=1, description="what the agent registers, MiB")
    reserved_memory_mib: int = Field(0, ge=0, description="the agent's ECS_RESERVED_MEMORY, MiB")
    gpus: int | None = Field(None, ge=0)
    max_enis: int | None = Field(None, ge=1)
    trunk_task_limit: int | None = Field(None, ge=0, description="awsvpc tasks with trunking; 0: no trunking")
    arch: Literal["x86_64", "arm64"] | None = None
    usd_per_hour: float | None = Field(None, ge=0)
    spot_usd_per_hour: float | None = Field(None, ge=0)
    spot_interruption: float | None = Field(None, ge=0, lt=1, description="share reclaimed in a month")
    network_gbps: float | None = Field(None, ge=0)


class WrittenFargateRates(CatalogEntry):
    """Fargate prices of one architecture in USD; Spot needs both of its prices."""

    vcpu_usd_per_hour: float = Field(ge=0)
    gb_usd_per_hour: float = Field(ge=0)
    spot_vcpu_usd_per_hour: float | None = Field(None, ge=0)
    spot_gb_usd_per_hour: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _check_spot_prices(self) -> WrittenFargateRates:
        """Require both Spot prices or neither."""
        if (self.spot_vcpu_usd_per_hour is None) != (self.spot_gb_usd_per_hour is None):
            raise ValueError("spotVcpuUsdPerHour and spotGbUsdPerHour go together; give both or neither")
        return self

    def to_row(self) -> dict[str, float]:
        """Return the given prices by the snapshot's column names."""
        return {key: value for key, value in self if isinstance(value, float)}


class WrittenFargatePrices(WrittenFargateRates):
    """The section `pricing.fargate`: prices of x86_64 and of storage above 20 GiB; `arm64` holds those of arm64."""

    ephemeral_gb_usd_per_hour: float | None = Field(None, ge=0)
    arm64: WrittenFargateRates | None = None

    def to_rows(self) -> dict[str, dict[str, float]]:
        """Return the prices by architecture; storage has the same price for both."""
        rows = {"x86_64": self.to_row()}
        if self.arm64 is not None:
            storage = {key: value for key, value in self.to_row().items() if key.startswith("ephemeral")}
            rows["arm64"] = storage | self.arm64.to_row()
        return rows


EntryModel = TypeVar("EntryModel", bound=CatalogEntry)


def parse_entry(model: type[EntryModel], written: Mapping[str, Any], where: str) -> EntryModel:
    """Parse `written` as a `model`. Raises one `CatalogError` with all problems; `where` is the path of the entry."""
    try:
        return model.model_validate(dict(written))
    except ValidationError as error:
        problems = [
            f"{'.'.join([where, *map(str, detail['loc'])])}: {detail['msg']}" for detail in error.errors()
        ]
        keys = ", ".join(field.alias or name for name, field in model.model_fields.items())
        raise CatalogError("; ".join(problems), f"its keys are {keys}") from None
