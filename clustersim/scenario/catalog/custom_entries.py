"""What a scenario may add to the catalogue: instance types and Fargate prices of its own.

Decides which keys `instanceTypes` entries and `pricing.fargate` have, and how a refusal is worded. It must
not read the snapshot or know a region. The catalogue and the Fargate prices call it; a scenario's JSON Schema
may take its models from here.
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
    """Something the catalogue does not have: `what` is missing, and what would be `right`."""

    def __init__(self, what: str, right: str) -> None:
        self.what = what
        self.right = right
        super().__init__(f"{what}; {right}")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`did you mean A, B? ` from the names near `word`, or nothing."""
    near = get_close_matches(word, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}? " if near else ""


def _camel_mib(name: str) -> str:
    """camelCase as a scenario writes it: `memoryMiB`."""
    return to_camel(name).replace("Mib", "MiB")


class Written(BaseModel):
    """Keys as people write them: camelCase, unknown ones refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, allow_inf_nan=False, alias_generator=_camel_mib
    )


class WrittenInstanceType(Written):
    """An entry of `instanceTypes`; what is left out comes from the catalogue's type of that name, if any."""

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


class WrittenFargateRates(Written):
    """Fargate prices of one architecture in USD; Spot needs both of its prices."""

    vcpu_usd_per_hour: float = Field(ge=0)
    gb_usd_per_hour: float = Field(ge=0)
    spot_vcpu_usd_per_hour: float | None = Field(None, ge=0)
    spot_gb_usd_per_hour: float | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _spot_is_whole(self) -> WrittenFargateRates:
        """A Spot price of vCPUs without one of memory prices nothing."""
        if (self.spot_vcpu_usd_per_hour is None) != (self.spot_gb_usd_per_hour is None):
            raise ValueError("spotVcpuUsdPerHour and spotGbUsdPerHour go together; give both or neither")
        return self

    def row(self) -> dict[str, float]:
        """The prices under the snapshot's column names, without the gaps."""
        return {key: value for key, value in self if isinstance(value, float)}


class WrittenFargatePrices(WrittenFargateRates):
    """`pricing.fargate`: prices of x86_64 and of storage above 20 GiB; `arm64` holds those of arm64."""

    ephemeral_gb_usd_per_hour: float | None = Field(None, ge=0)
    arm64: WrittenFargateRates | None = None

    def rows(self) -> dict[str, dict[str, float]]:
        """The prices by architecture; storage costs the same under both."""
        rows = {"x86_64": self.row()}
        if self.arm64 is not None:
            storage = {key: value for key, value in self.row().items() if key.startswith("ephemeral")}
            rows["arm64"] = storage | self.arm64.row()
        return rows


WrittenModel = TypeVar("WrittenModel", bound=Written)


def validated(model: type[WrittenModel], written: Mapping[str, Any], where: str) -> WrittenModel:
    """`written` as a `model`; what is wrong with it is one CatalogError that names the keys under `where`."""
    try:
        return model.model_validate(dict(written))
    except ValidationError as error:
        faults = [
            f"{'.'.join([where, *map(str, detail['loc'])])}: {detail['msg']}" for detail in error.errors()
        ]
        keys = ", ".join(field.alias or name for name, field in model.model_fields.items())
        raise CatalogError("; ".join(faults), f"its keys are {keys}") from None
