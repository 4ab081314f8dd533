"""Distributions as people write them, and the rows that the simulator samples.

Decides which parameters a kind takes and how a mean becomes them; a plain number or duration is a constant.
Must not know what is drawn. The models of the written file use `DurationDistribution` for their fields;
`engine.random_streams` samples what comes out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from clustersim.engine.random_streams import DISTRIBUTION_CODES
from clustersim.scenario.sections.resolved_section import Distribution
from clustersim.scenario.text.overrides import closest
from clustersim.scenario.text.units import MAX_MS, above_zero, positive, precise_ms, shown, wrong

_ALIASES = {"stddev": "sd", "standardDeviation": "sd", "sigma": "sd"}
_PARAMETERS = {
    "constant": ("value", "mean"),
    "exponential": ("mean",),
    "lognormal": ("median", "mean", "sigma"),
    "uniform": ("low", "high", "mean"),
    "normal": ("mean", "sd"),
    "weibull": ("shape", "scale", "mean"),
    "empirical": ("values", "mean"),
}
_LARGEST_SIGMA = 10.0  # of a lognormal; beyond it the mean is over e^50 medians


def distribution(value: Any, quantity: Callable[[Any], float]) -> Distribution:
    """The row of a written distribution whose values `quantity` reads; a plain value is a constant."""
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, dict):
        return Distribution(a=quantity(value))
    kinds = sorted(_PARAMETERS)
    kind = value.get("distribution")
    if kind is None:
        raise wrong("the distribution has no kind", f"add `distribution:`, one of: {', '.join(kinds)}")
    if not isinstance(kind, str) or kind not in _PARAMETERS:
        raise wrong(f"{shown(kind)} is no distribution", closest(str(kind), kinds))
    given = {}
    for name, parameter in value.items():
        known = _ALIASES.get(name, name) if kind == "normal" else name
        if known == "distribution":
            continue
        if known not in _PARAMETERS[kind]:
            raise wrong(f"a {kind} distribution has no {name}", f"it takes {', '.join(_PARAMETERS[kind])}")
        if known in given:
            raise wrong(f"{name} and {known} are the same parameter", "write one of them")
        given[known] = parameter
    row = _READERS[kind](given, quantity)
    if max(row.a, row.b) > MAX_MS * 10:
        raise wrong("the distribution reaches beyond 1000 years", "smaller parameters")
    return row


def _need(given: dict[str, Any], kind: str, *names: str) -> None:
    for name in names:
        if name not in given:
            raise wrong(f"a {kind} distribution needs {name}", f"add {name}")


def _constant(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    if len(given) != 1:
        raise wrong("a constant distribution needs one value", "add value")
    return Distribution(a=quantity(next(iter(given.values()))))


def _exponential(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    _need(given, "exponential", "mean")
    return Distribution(code=DISTRIBUTION_CODES["exponential"], a=_over_zero(quantity(given["mean"]), "mean"))


def _lognormal(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    """Mean of a lognormal: median * exp(sigma^2 / 2)."""
    _need(given, "lognormal", "sigma")
    sigma = positive(given["sigma"])
    if sigma > _LARGEST_SIGMA:
        raise wrong(f"sigma {sigma:g} is too large", f"at most {_LARGEST_SIGMA:g}")
    if ("median" in given) == ("mean" in given):
        raise wrong("a lognormal distribution needs median or mean, one of them", "like median: 90s")
    scale = quantity(given["median"]) if "median" in given else quantity(given["mean"])
    median = scale if "median" in given else scale * math.exp(-sigma * sigma / 2)
    return Distribution(code=DISTRIBUTION_CODES["lognormal"], a=_over_zero(median, "median"), b=sigma)


def _uniform(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    """Two of low, high and mean; mean alone is uniform from 0 to twice the mean."""
    low = quantity(given["low"]) if "low" in given else None
    high = quantity(given["high"]) if "high" in given else None
    if "mean" in given:
        mean = quantity(given["mean"])
        if low is not None and high is not None:
            raise wrong("low, high and mean are one parameter too many", "write two of them")
        if low is None:
            low = 0.0 if high is None else 2 * mean - high
        high = 2 * mean - low
    if low is None or high is None:
        raise wrong("a uniform distribution needs low and high, or mean", "add the other")
    if not 0 <= low <= high:
        raise wrong("a uniform distribution needs 0 <= low <= high", "swap or change them")
    return Distribution(code=DISTRIBUTION_CODES["uniform"], a=low, b=high)


def _normal(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    _need(given, "normal", "mean", "sd")
    return Distribution(code=DISTRIBUTION_CODES["normal"], a=quantity(given["mean"]), b=quantity(given["sd"]))


def _weibull(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    """Mean of a Weibull: scale * gamma(1 + 1 / shape)."""
    _need(given, "weibull", "shape")
    shape = above_zero(given["shape"])
    if not 0.1 <= shape <= 1_000:
        raise wrong(f"shape {shape:g} is out of range", "from 0.1 to 1000")
    if ("scale" in given) == ("mean" in given):
        raise wrong("a weibull distribution needs scale or mean, one of them", "like scale: 20d")
    by_mean = "mean" in given
    scale = quantity(given["mean"]) / math.gamma(1 + 1 / shape) if by_mean else quantity(given["scale"])
    return Distribution(code=DISTRIBUTION_CODES["weibull"], a=_over_zero(scale, "scale"), b=shape)


def _empirical(given: dict[str, Any], quantity: Callable[[Any], float]) -> Distribution:
    """Equally likely values; with `mean` they are scaled to it."""
    _need(given, "empirical", "values")
    values = given["values"]
    if not isinstance(values, list) or not values:
        raise wrong("values is not a list with something in it", "like values: [90s, 95s, 120s]")
    numbers = sorted(quantity(item) for item in values)
    if "mean" in given:
        mean = sum(numbers) / len(numbers)
        if mean == 0:
            raise wrong("values that are all 0 have no other mean", "leave mean out")
        numbers = [item * quantity(given["mean"]) / mean for item in numbers]
    return Distribution(code=DISTRIBUTION_CODES["empirical"], values=tuple(numbers))


def _over_zero(number: float, name: str) -> float:
    if number <= 0:
        raise wrong(f"{name} is not above 0", "a duration above 0s")
    return number


_READERS: dict[str, Callable[[dict[str, Any], Callable[[Any], float]], Distribution]] = {
    "constant": _constant,
    "exponential": _exponential,
    "lognormal": _lognormal,
    "uniform": _uniform,
    "normal": _normal,
    "weibull": _weibull,
    "empirical": _empirical,
}


def mean_of(row: Distribution) -> float:
    """The mean of a distribution row (a normal's before it is cut at 0)."""
    if row.code == DISTRIBUTION_CODES["lognormal"]:
        return row.a * math.exp(row.b * row.b / 2)
    if row.code == DISTRIBUTION_CODES["uniform"]:
        return (row.a + row.b) / 2
    if row.code == DISTRIBUTION_CODES["weibull"]:
        return row.a * math.gamma(1 + 1 / row.b)
    if row.code == DISTRIBUTION_CODES["empirical"]:
        return sum(row.values) / len(row.values)
    return row.a


def duration_distribution(value: Any) -> Distribution:
    """A distribution of durations, in ms."""
    return distribution(value, precise_ms)


DurationDistribution = Annotated[
    Distribution,
    BeforeValidator(duration_distribution),
    WithJsonSchema(
        {
            "description": "a duration, or {distribution: KIND, ...} with the kind's parameters",
            "anyOf": [
                {"type": ["string", "number"]},
                {
                    "type": "object",
                    "required": ["distribution"],
                    "properties": {"distribution": {"enum": sorted(_PARAMETERS)}},
                    "additionalProperties": True,
                },
            ],
        }
    ),
]
