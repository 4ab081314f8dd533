"""Quantities in a scenario file: durations, sizes, rates of data, counts, shares, instants.

Decides which texts and numbers are accepted for each unit and the error message for the rest. It must not know
which field a quantity belongs to. The models of the written file use these types for their fields; the simulator
gets the results: int ms, MiB, bytes per ms, plain numbers.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import durationpy
from pydantic import BeforeValidator, ByteSize, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError

from clustersim.vocabulary import CPU_UNITS_PER_VCPU, MS_PER_DAY, MS_PER_HOUR, MS_PER_MINUTE, MS_PER_SECOND

MAX_MS = 100 * 366 * MS_PER_DAY  # 100 years
MAX_COUNT = 1_000_000_000
MAX_NUMBER = 1e15

_UNITS_MS = {"w": 7 * MS_PER_DAY, "d": MS_PER_DAY, "h": MS_PER_HOUR, "m": MS_PER_MINUTE, "s": MS_PER_SECOND}
_UNIT_WORDS = {
    "ms": r"milli(second)?s?|msecs?",
    "s": r"secs?|seconds?",
    "m": r"mins?|minutes?",
    "h": r"hrs?|hours?",
    "d": r"days?",
    "w": r"weeks?",
}
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<h>\d+(?:\.\d+)?)H)?(?:(?P<m>\d+(?:\.\d+)?)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?"
)
_GO_DURATION = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|ms|s|m|h|d|w))+")
_BYTE_SIZE: TypeAdapter[int] = TypeAdapter(ByteSize)
_RATE_PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_RATE_PREFIXES |= {"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40}
_RATE = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<scale>[kKMGT]i?)?(?:bps|bit/s|b/s|(?P<bytes>B/s|Bps))")


def value_error(message: str, hint: str = "") -> PydanticCustomError:
    """Return the validation error of a value, with a hint how to fix it in the error's context."""
    return PydanticCustomError("quantity", "{message}", {"message": message, "hint": hint})


def quote_value(value: Any) -> str:
    """Return a value as an error message quotes it, shortened to 60 characters."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return text if len(text) <= 60 else text[:57] + "..."


def parse_number(value: Any, noun: str = "a number", example: str = "write a number like 1.5") -> float:
    """Return a finite number; text and booleans are errors. `noun` and `example` go into the message."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = example
        if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?\s*", value):
            hint = f"write {value.strip()} without quotes"
        raise value_error(f"{quote_value(value)} is not {noun}", hint)
    if abs(value) > MAX_NUMBER and value not in (math.inf, -math.inf):
        raise value_error(f"{quote_value(value)} is too large", f"at most {MAX_NUMBER:.0e}")
    if not math.isfinite(value):
        raise value_error(f"{value} is not a finite number", example)
    return float(value)


def parse_non_negative(value: Any) -> float:
    """Return a number of at least 0."""
    result = parse_number(value)
    if result < 0:
        raise value_error(f"{quote_value(value)} is negative", "at least 0")
    return result


def parse_above_zero(value: Any) -> float:
    """Return a number above 0."""
    result = parse_number(value)
    if result <= 0:
        raise value_error(f"{quote_value(value)} is not above 0", "a number above 0")
    return result


def parse_share(value: Any) -> float:
    """Return a number from 0 to 1."""
    result = parse_number(value, "a share", "write a number from 0 to 1")
    if not 0 <= result <= 1:
        hint = f"write {result / 100:g} for {result:g} %" if 1 < result <= 100 else "a number from 0 to 1"
        raise value_error(f"{quote_value(value)} is not between 0 and 1", hint)
    return result


def parse_integer(value: Any) -> int:
    """Return a whole number, possibly negative, of at most a billion."""
    result = parse_number(value, "a whole number", "write a whole number like 4")
    if result != int(result):
        raise value_error(
            f"{quote_value(value)} is not a whole number", f"{math.floor(result)} or {math.ceil(result)}"
        )
    if abs(result) > MAX_COUNT:
        raise value_error(f"{quote_value(value)} is too large", f"at most {MAX_COUNT:,}")
    return int(result)


def parse_count(value: Any) -> int:
    """Return a whole number of at least 0."""
    result = parse_integer(value)
    if result < 0:
        raise value_error(f"{quote_value(value)} is negative", "at least 0")
    return result


def parse_at_least_one(value: Any) -> int:
    """Return a whole number of at least 1."""
    result = parse_integer(value)
    if result < 1:
        raise value_error(f"{quote_value(value)} is less than 1", "at least 1")
    return result


def parse_duration_ms(value: Any) -> int:
    """Return a duration in ms from `90s`, `2h30m`, `7d`, ISO 8601 `PT90S`, or plain seconds."""
    if isinstance(value, str):
        result = _parse_duration_text(value.strip())
    else:
        seconds = parse_number(value, "a duration", "write it like 90s, 15m, 2h30m, 7d, or plain seconds")
        result = seconds * MS_PER_SECOND
    if result < 0:
        raise value_error(f"{quote_value(value)} is negative", "a duration is at least 0s")
    if result > MAX_MS:
        raise value_error(f"{quote_value(value)} is longer than 100 years", "a shorter duration")
    return round(result)


def _parse_duration_text(text: str) -> float:
    """Return the ms of a duration given as text."""
    if text.startswith("P") and len(text) > 1 and (match := _ISO.fullmatch(text)) and any(match.groups()):
        return sum(float(part) * _UNITS_MS[unit] for unit, part in match.groupdict().items() if part)
    compact = text.replace(" ", "")
    if _GO_DURATION.fullmatch(compact) and len(compact) < 60:
        try:
            return durationpy.from_str(compact) / timedelta(milliseconds=1)
        except (durationpy.DurationError, OverflowError, ValueError):
            raise value_error(f"{quote_value(text)} is longer than 100 years", "a shorter duration") from None
    hint = "write it like 90s, 15m, 2h30m, 7d, or plain seconds"
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        hint = f"write {compact}s, or {compact} without quotes"
    elif match := re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]+)", compact):
        for unit, pattern in _UNIT_WORDS.items():
            if re.fullmatch(pattern, match[2], flags=re.IGNORECASE) or match[2].lower() == unit:
                hint = f"write {match[1]}{unit}"
    elif re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", compact):
        parts = [int(part) for part in compact.split(":")]
        hint = "write " + "".join(f"{part}{unit}" for part, unit in zip(parts, "hms", strict=False))
    raise value_error(f"{quote_value(text)} is not a duration", hint)


def parse_positive_duration_ms(value: Any) -> int:
    """Return a duration above 0, in ms."""
    result = parse_duration_ms(value)
    if result == 0:
        raise value_error(f"{quote_value(value)} is not longer than 0s", "write a duration above 0s")
    return result


def parse_fractional_ms(value: Any) -> float:
    """Return a duration in ms with its fraction, for the CPU time of a request."""
    if isinstance(value, str) and (text := value.strip().replace(" ", "")) and _GO_DURATION.fullmatch(text):
        result = _parse_duration_text(text)
        if 0 <= result <= MAX_MS:
            return result
    if isinstance(value, str):
        return float(parse_duration_ms(value))
    parse_duration_ms(value)
    return float(value) * MS_PER_SECOND


def parse_memory_mib(value: Any) -> float:
    """Return a memory size in MiB from `512 MiB`, `2 GiB`; a plain number is MiB."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            raise value_error(f"{quote_value(value)} has no unit", f"write {text} MiB")
        try:
            result = _BYTE_SIZE.validate_python(text) / 2**20
        except ValidationError:
            raise value_error(
                f"{quote_value(value)} is not a size", "write it like 512 MiB or 2 GiB"
            ) from None
        if re.fullmatch(r"[\d.]+\s*([kmgt]?bit|b)", text, flags=re.IGNORECASE):
            raise value_error(
                f"{quote_value(value)} is not a size in bytes", "write it like 512 MiB or 2 GiB"
            )
    else:
        result = parse_number(value, "a size", "write it like 512 MiB or 2 GiB")
    if result < 0:
        raise value_error(f"{quote_value(value)} is negative", "at least 0 MiB")
    if result > MAX_COUNT:
        raise value_error(f"{quote_value(value)} is too large", f"at most {MAX_COUNT:,} MiB")
    return result


def parse_size_bytes(value: Any) -> int:
    """Return a size in whole bytes from `50 MiB`, `48.1 MB`; a plain number is MiB."""
    return round(parse_memory_mib(value) * 2**20)


def parse_bytes_per_ms(value: Any) -> float:
    """Return a data rate in bytes per ms from `400 Mbps`, `1 Gbps`, `50 MiB/s`; a plain number is Mbps."""
    hint = "write it like 400 Mbps, 1 Gbps or 50 MiB/s"
    if not isinstance(value, str):
        return _bytes_per_ms_from(value, parse_number(value, "a rate of data", hint) * 1e6 / 8)
    match = _RATE.fullmatch(value.strip())
    if match is None:
        is_plain_number = re.fullmatch(r"\d+(\.\d+)?", value.strip())
        raise value_error(
            f"{quote_value(value)} is not a rate of data",
            f"write {value.strip()} Mbps" if is_plain_number else hint,
        )
    size = float(match["amount"]) * _RATE_PREFIXES[(match["scale"] or "").lower()]
    return _bytes_per_ms_from(value, size if match["bytes"] else size / 8)


def _bytes_per_ms_from(value: Any, bytes_per_second: float) -> float:
    if bytes_per_second < 1:
        raise value_error(
            f"{quote_value(value)} is less than a byte per second", "a rate above 0, like 400 Mbps"
        )
    return bytes_per_second / MS_PER_SECOND


def parse_disk_gib(value: Any) -> int:
    """Return a disk size in whole GiB from `30 GiB`; a plain number is GiB, the unit of EBS."""
    if isinstance(value, str):
        return math.ceil(parse_memory_mib(value) / 1024)
    return parse_count(value)


def parse_task_cpu(value: Any) -> int:
    """Return a task size in CPU units from `512`, `"512"`, `1 vCPU` (ECS API: RegisterTaskDefinition.cpu)."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+|\d*\.\d+)\s*(vcpu|vcpus)?\s*", value, flags=re.IGNORECASE)
        if match is None or ("." in match[1] and not match[2]):
            raise value_error(f"{quote_value(value)} is not a CPU size", 'write "512" (units) or "0.5 vCPU"')
        scaled = float(match[1]) * (CPU_UNITS_PER_VCPU if match[2] else 1)
        return parse_count(round(scaled))
    return parse_count(value)


def parse_task_memory_mib(value: Any) -> int:
    """Return a task size in MiB from `1024`, `"1024"`, `2GB`, `2 GB` (ECS API: RegisterTaskDefinition.memory)."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+|\d*\.\d+)\s*(gi?b|mi?b)?\s*", value, flags=re.IGNORECASE)
        if match is None or ("." in match[1] and not match[2]):
            raise value_error(f"{quote_value(value)} is not a memory size", 'write "1024" (MiB) or "2 GB"')
        return parse_count(
            round(float(match[1]) * (1024 if (match[2] or "m").lower().startswith("g") else 1))
        )
    return parse_count(value)


def parse_instant_ms(value: Any) -> int:
    """Return an instant as epoch ms from ISO 8601; without a time zone it is UTC."""
    hint = "write it like 2026-06-01T00:00:00Z"
    if not isinstance(value, str):
        raise value_error(f"{quote_value(value)} is not an instant", hint)
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        raise value_error(f"{quote_value(value)} is not an instant", hint) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if not 1970 <= instant.year <= 2200:
        raise value_error(f"{quote_value(value)} is outside the years 1970 to 2200", hint)
    return round(instant.timestamp() * MS_PER_SECOND)


_NUMBER = {"type": "number"}
_TEXT_OR_NUMBER = {"type": ["string", "number"]}

Number = Annotated[float, BeforeValidator(parse_number), WithJsonSchema(_NUMBER)]
NonNegative = Annotated[float, BeforeValidator(parse_non_negative), WithJsonSchema({**_NUMBER, "minimum": 0})]
AboveZero = Annotated[
    float, BeforeValidator(parse_above_zero), WithJsonSchema({**_NUMBER, "exclusiveMinimum": 0})
]
Share = Annotated[
    float, BeforeValidator(parse_share), WithJsonSchema({**_NUMBER, "minimum": 0, "maximum": 1})
]
Integer = Annotated[int, BeforeValidator(parse_integer), WithJsonSchema({"type": "integer"})]
Count = Annotated[int, BeforeValidator(parse_count), WithJsonSchema({"type": "integer", "minimum": 0})]
AtLeastOne = Annotated[
    int, BeforeValidator(parse_at_least_one), WithJsonSchema({"type": "integer", "minimum": 1})
]
DurationMs = Annotated[
    int,
    BeforeValidator(parse_duration_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "90s, 15m, 2h30m, 7d, or plain seconds"}),
]
PositiveDurationMs = Annotated[
    int,
    BeforeValidator(parse_positive_duration_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "90s, 15m, 2h30m, 7d, or plain seconds; above 0"}),
]
FractionalMs = Annotated[
    float,
    BeforeValidator(parse_fractional_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "25ms, 1.5s, or plain seconds"}),
]
MemoryMib = Annotated[
    float,
    BeforeValidator(parse_memory_mib),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "512 MiB, 2 GiB; a plain number is MiB"}),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(parse_size_bytes),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "50 MiB, 1.2 GB; a plain number is MiB"}),
]
BytesPerMs = Annotated[
    float,
    BeforeValidator(parse_bytes_per_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "400 Mbps, 50 MiB/s; a plain number is Mbps"}),
]
DiskGib = Annotated[
    int,
    BeforeValidator(parse_disk_gib),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "30 GiB; a plain number is GiB"}),
]
TaskCpu = Annotated[int, BeforeValidator(parse_task_cpu), WithJsonSchema(_TEXT_OR_NUMBER)]
TaskMemory = Annotated[int, BeforeValidator(parse_task_memory_mib), WithJsonSchema(_TEXT_OR_NUMBER)]
InstantMs = Annotated[
    int, BeforeValidator(parse_instant_ms), WithJsonSchema({"type": "string", "format": "date-time"})
]
