"""Distributions as users write them, and the rows that the simulator samples.

Decides which parameters a kind takes and how a mean is converted to them; a plain number or duration is a constant.
Must not know what a distribution is used for. Written sections use `DurationDistribution` for their fields;
`engine.random_streams` samples the resulting rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from clustersim.engine.random_streams import DISTRIBUTION_CODES
from clustersim.scenario.sections.resolved_section import Distribution
from clustersim.scenario.text.overrides import suggest_name
from clustersim.scenario.text.units import (
    MAX_MS,
    parse_above_zero,
    parse_fractional_ms,
    parse_non_negative,
    quote_value,
    value_error,
)

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


def parse_distribution(value: Any, parse_value: Callable[[Any], float]) -> Distribution:
    """Return the row of a written distribution whose values `parse_value` reads; a plain value is a constant."""
    if isinstance(value, Distribution):
        return value
    if not isinstance(value, dict):
        return Distribution(a=parse_value(value))
    kinds = sorted(_PARAMETERS)
    kind = value.get("distribution")
    if kind is None:
        raise value_error("the distribution has no kind", f"add `distribution:`, one of: {', '.join(kinds)}")
    if not isinstance(kind, str) or kind not in _PARAMETERS:
        raise value_error(f"{quote_value(kind)} is not a distribution", suggest_name(str(kind), kinds))
    given = {}
    for name, parameter in value.items():
        known = _ALIASES.get(name, name) if kind == "normal" else name
        if known == "distribution":
            continue
        if known not in _PARAMETERS[kind]:
            raise value_error(
                f"a {kind} distribution has no {name}", f"it takes {', '.join(_PARAMETERS[kind])}"
            )
        if known in given:
            raise value_error(f"{name} and {known} are the same parameter", "write one of them")
        given[known] = parameter
    row = _PARSERS[kind](given, parse_value)
    if max(row.a, row.b) > MAX_MS * 10:
        raise value_error("the distribution reaches beyond 1000 years", "smaller parameters")
    return row


def _require(given: dict[str, Any], kind: str, *names: str) -> None:
    for name in names:
        if name not in given:
            raise value_error(f"a {kind} distribution needs {name}", f"add {name}")


def _parse_constant(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    if len(given) != 1:
        raise value_error("a constant distribution needs one value", "add value")
    return Distribution(a=parse_value(next(iter(given.values()))))


def _parse_exponential(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    _require(given, "exponential", "mean")
    return Distribution(
        code=DISTRIBUTION_CODES["exponential"], a=_check_above_zero(parse_value(given["mean"]), "mean")
    )


def _parse_lognormal(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    """Return a lognormal row; its mean is median * exp(sigma^2 / 2)."""
    _require(given, "lognormal", "sigma")
    sigma = parse_non_negative(given["sigma"])
    if sigma > _LARGEST_SIGMA:
        raise value_error(f"sigma {sigma:g} is too large", f"at most {_LARGEST_SIGMA:g}")
    if ("median" in given) == ("mean" in given):
        raise value_error("a lognormal distribution needs median or mean, one of them", "like median: 90s")
    scale = parse_value(given["median"]) if "median" in given else parse_value(given["mean"])
    median = scale if "median" in given else scale * math.exp(-sigma * sigma / 2)
    return Distribution(code=DISTRIBUTION_CODES["lognormal"], a=_check_above_zero(median, "median"), b=sigma)


def _parse_uniform(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    """Return a uniform row of two of low, high and mean; mean alone is uniform from 0 to twice the mean."""
    low = parse_value(given["low"]) if "low" in given else None
    high = parse_value(given["high"]) if "high" in given else None
    if "mean" in given:
        mean = parse_value(given["mean"])
        if low is not None and high is not None:
            raise value_error("low, high and mean are one parameter too many", "write two of them")
        if low is None:
            low = 0.0 if high is None else 2 * mean - high
        high = 2 * mean - low
    if low is None or high is None:
        raise value_error("a uniform distribution needs low and high, or mean", "add the other")
    if not 0 <= low <= high:
        raise value_error("a uniform distribution needs 0 <= low <= high", "swap or change them")
    return Distribution(code=DISTRIBUTION_CODES["uniform"], a=low, b=high)


def _parse_normal(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    _require(given, "normal", "mean", "sd")
    return Distribution(
        code=DISTRIBUTION_CODES["normal"], a=parse_value(given["mean"]), b=parse_value(given["sd"])
    )


def _parse_weibull(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    """Return a Weibull row; its mean is scale * gamma(1 + 1 / shape)."""
    _require(given, "weibull", "shape")
    shape = parse_above_zero(given["shape"])
    if not 0.1 <= shape <= 1_000:
        raise value_error(f"shape {shape:g} is out of range", "from 0.1 to 1000")
    if ("scale" in given) == ("mean" in given):
        raise value_error("a weibull distribution needs scale or mean, one of them", "like scale: 20d")
    by_mean = "mean" in given
    scale = parse_value(given["mean"]) / math.gamma(1 + 1 / shape) if by_mean else parse_value(given["scale"])
    return Distribution(code=DISTRIBUTION_CODES["weibull"], a=_check_above_zero(scale, "scale"), b=shape)


def _parse_empirical(given: dict[str, Any], parse_value: Callable[[Any], float]) -> Distribution:
    """Return a row of equally likely values; with `mean` they are scaled to it."""
    _require(given, "empirical", "values")
    values = given["values"]
    if not isinstance(values, list) or not values:
        raise value_error("values is not a list, or is empty", "like values: [90s, 95s, 120s]")
    numbers = sorted(parse_value(item) for item in values)
    if "mean" in given:
        mean = sum(numbers) / len(numbers)
        if mean == 0:
            raise value_error("values that are all 0 cannot be scaled to a mean", "leave mean out")
        numbers = [item * parse_value(given["mean"]) / mean for item in numbers]
    return Distribution(code=DISTRIBUTION_CODES["empirical"], values=tuple(numbers))


def _check_above_zero(number: float, name: str) -> float:
    if number <= 0:
        raise value_error(f"{name} is not above 0", "a duration above 0s")
    return number


_PARSERS: dict[str, Callable[[dict[str, Any], Callable[[Any], float]], Distribution]] = {
    "constant": _parse_constant,
    "exponential": _parse_exponential,
    "lognormal": _parse_lognormal,
    "uniform": _parse_uniform,
    "normal": _parse_normal,
    "weibull": _parse_weibull,
    "empirical": _parse_empirical,
}


def distribution_mean(row: Distribution) -> float:
    """Return the mean of a distribution row (of a normal before it is cut at 0)."""
    if row.code == DISTRIBUTION_CODES["lognormal"]:
        return row.a * math.exp(row.b * row.b / 2)
    if row.code == DISTRIBUTION_CODES["uniform"]:
        return (row.a + row.b) / 2
    if row.code == DISTRIBUTION_CODES["weibull"]:
        return row.a * math.gamma(1 + 1 / row.b)
    if row.code == DISTRIBUTION_CODES["empirical"]:
        return sum(row.values) / len(row.values)
    return row.a


def distribution_cv2(row: Distribution) -> float:
    """Return the squared coefficient of variation of a distribution row; 0 if its mean is 0."""
    mean = distribution_mean(row)
    if mean <= 0.0 or row.code == DISTRIBUTION_CODES["constant"]:
        return 0.0
    if row.code == DISTRIBUTION_CODES["lognormal"]:
        return math.expm1(row.b * row.b)
    if row.code == DISTRIBUTION_CODES["uniform"]:
        return (row.b - row.a) ** 2 / 12.0 / mean**2
    if row.code == DISTRIBUTION_CODES["normal"]:
        return (row.b / mean) ** 2
    if row.code == DISTRIBUTION_CODES["weibull"]:
        return math.gamma(1 + 2 / row.b) / math.gamma(1 + 1 / row.b) ** 2 - 1.0
    if row.code == DISTRIBUTION_CODES["empirical"]:
        return sum((value - mean) ** 2 for value in row.values) / len(row.values) / mean**2
    return 1.0  # exponential


def distribution_quantile(row: Distribution, share: float) -> float:
    """Return the value that `share` (above 0, below 1) of a distribution row do not exceed."""
    if row.code == DISTRIBUTION_CODES["exponential"]:
        return -row.a * math.log1p(-share)
    if row.code == DISTRIBUTION_CODES["lognormal"]:
        return row.a * math.exp(row.b * NormalDist().inv_cdf(share))
    if row.code == DISTRIBUTION_CODES["uniform"]:
        return row.a + (row.b - row.a) * share
    if row.code == DISTRIBUTION_CODES["normal"]:
        return max(row.a + row.b * NormalDist().inv_cdf(share), 0.0)
    if row.code == DISTRIBUTION_CODES["weibull"]:
        return float(row.a * (-math.log1p(-share)) ** (1.0 / row.b))
    if row.code == DISTRIBUTION_CODES["empirical"]:
        return row.values[min(int(share * len(row.values)), len(row.values) - 1)]
    return row.a


def parse_duration_distribution(value: Any) -> Distribution:
    """Return a written distribution of durations as a row in ms."""
    return parse_distribution(value, parse_fractional_ms)


DurationDistribution = Annotated[
    Distribution,
    BeforeValidator(parse_duration_distribution),
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
