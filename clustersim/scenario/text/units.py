"""Quantities as people write them: durations, sizes, counts, shares, money, distributions.

Decides what text or number is a quantity of which unit, and what is said when it is none. Must not know which
field a quantity stands in. The models of the written file use these types for their fields; the simulator
gets the results: int ms, MiB, plain numbers, `Distribution`.
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
_WORDS = {
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
_BYTES: TypeAdapter[int] = TypeAdapter(ByteSize)
_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_SCALES |= {"ki": 2.0**10, "mi": 2.0**20, "gi": 2.0**30, "ti": 2.0**40}
_RATE = re.compile(r"(?P<amount>\d+(?:\.\d+)?)\s*(?P<scale>[kKMGT]i?)?(?:bps|bit/s|b/s|(?P<bytes>B/s|Bps))")


def wrong(what: str, right: str = "") -> PydanticCustomError:
    """An error of a value that says what would be right."""
    return PydanticCustomError("quantity", "{what}", {"what": what, "right": right})


def shown(value: Any) -> str:
    """A value as a message quotes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    return text if len(text) <= 60 else text[:57] + "..."


def number(value: Any, noun: str = "a number", example: str = "write a number like 1.5") -> float:
    """A finite number; text and booleans are none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        hint = example
        if isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d+(\.\d+)?([eE][-+]?\d+)?\s*", value):
            hint = f"write {value.strip()} without quotes"
        raise wrong(f"{shown(value)} is not {noun}", hint)
    if abs(value) > MAX_NUMBER and value not in (math.inf, -math.inf):
        raise wrong(f"{shown(value)} is too large", f"at most {MAX_NUMBER:.0e}")
    if not math.isfinite(value):
        raise wrong(f"{value} is not a finite number", example)
    return float(value)


def positive(value: Any) -> float:
    """A number of at least 0."""
    result = number(value)
    if result < 0:
        raise wrong(f"{shown(value)} is negative", "at least 0")
    return result


def above_zero(value: Any) -> float:
    """A number above 0."""
    result = number(value)
    if result <= 0:
        raise wrong(f"{shown(value)} is not above 0", "a number above 0")
    return result


def share(value: Any) -> float:
    """A number from 0 to 1."""
    result = number(value, "a share", "write a number from 0 to 1")
    if not 0 <= result <= 1:
        right = f"write {result / 100:g} for {result:g} %" if 1 < result <= 100 else "a number from 0 to 1"
        raise wrong(f"{shown(value)} is not between 0 and 1", right)
    return result


def integer(value: Any) -> int:
    """A whole number, possibly negative, of at most a billion."""
    result = number(value, "a whole number", "write a whole number like 4")
    if result != int(result):
        raise wrong(f"{shown(value)} is not a whole number", f"{math.floor(result)} or {math.ceil(result)}")
    if abs(result) > MAX_COUNT:
        raise wrong(f"{shown(value)} is too large", f"at most {MAX_COUNT:,}")
    return int(result)


def count(value: Any) -> int:
    """A whole number of at least 0."""
    result = integer(value)
    if result < 0:
        raise wrong(f"{shown(value)} is negative", "at least 0")
    return result


def at_least_one(value: Any) -> int:
    """A whole number of at least 1."""
    result = integer(value)
    if result < 1:
        raise wrong(f"{shown(value)} is less than 1", "at least 1")
    return result


def duration_ms(value: Any) -> int:
    """A duration in ms: `90s`, `2h30m`, `7d`, ISO 8601 `PT90S`, or plain seconds."""
    if isinstance(value, str):
        result = _duration_text(value.strip())
    else:
        seconds = number(value, "a duration", "write it like 90s, 15m, 2h30m, 7d, or plain seconds")
        result = seconds * MS_PER_SECOND
    if result < 0:
        raise wrong(f"{shown(value)} is negative", "a duration is at least 0s")
    if result > MAX_MS:
        raise wrong(f"{shown(value)} is longer than 100 years", "a shorter duration")
    return round(result)


def _duration_text(text: str) -> float:
    """Milliseconds of a written duration."""
    if text.startswith("P") and len(text) > 1 and (match := _ISO.fullmatch(text)) and any(match.groups()):
        return sum(float(part) * _UNITS_MS[unit] for unit, part in match.groupdict().items() if part)
    compact = text.replace(" ", "")
    if _GO_DURATION.fullmatch(compact) and len(compact) < 60:
        try:
            return durationpy.from_str(compact) / timedelta(milliseconds=1)
        except (durationpy.DurationError, OverflowError, ValueError):
            raise wrong(f"{shown(text)} is longer than 100 years", "a shorter duration") from None
    right = "write it like 90s, 15m, 2h30m, 7d, or plain seconds"
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        right = f"write {compact}s, or {compact} without quotes"
    elif match := re.fullmatch(r"(\d+(?:\.\d+)?)([a-zA-Z]+)", compact):
        for unit, words in _WORDS.items():
            if re.fullmatch(words, match[2], flags=re.IGNORECASE) or match[2].lower() == unit:
                right = f"write {match[1]}{unit}"
    elif re.fullmatch(r"\d{1,2}:\d{2}(:\d{2})?", compact):
        parts = [int(part) for part in compact.split(":")]
        right = "write " + "".join(f"{part}{unit}" for part, unit in zip(parts, "hms", strict=False))
    raise wrong(f"{shown(text)} is not a duration", right)


def positive_duration_ms(value: Any) -> int:
    """A duration above 0, in ms."""
    result = duration_ms(value)
    if result == 0:
        raise wrong(f"{shown(value)} is no time at all", "a duration above 0s")
    return result


def precise_ms(value: Any) -> float:
    """A duration in ms with its fraction, for the cost of a request."""
    if isinstance(value, str) and (text := value.strip().replace(" ", "")) and _GO_DURATION.fullmatch(text):
        result = _duration_text(text)
        if 0 <= result <= MAX_MS:
            return result
    if isinstance(value, str):
        return float(duration_ms(value))
    duration_ms(value)
    return float(value) * MS_PER_SECOND


def memory_mib(value: Any) -> float:
    """A memory size in MiB: `512 MiB`, `2 GiB`; a plain number is MiB."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"\d+(\.\d+)?", text):
            raise wrong(f"{shown(value)} has no unit", f"write {text} MiB")
        try:
            result = _BYTES.validate_python(text) / 2**20
        except ValidationError:
            raise wrong(f"{shown(value)} is not a size", "write it like 512 MiB or 2 GiB") from None
        if re.fullmatch(r"[\d.]+\s*([kmgt]?bit|b)", text, flags=re.IGNORECASE):
            raise wrong(f"{shown(value)} is not a size in bytes", "write it like 512 MiB or 2 GiB")
    else:
        result = number(value, "a size", "write it like 512 MiB or 2 GiB")
    if result < 0:
        raise wrong(f"{shown(value)} is negative", "at least 0 MiB")
    if result > MAX_COUNT:
        raise wrong(f"{shown(value)} is too large", "a size that a machine can have")
    return result


def size_bytes(value: Any) -> int:
    """A size in whole bytes: `50 MiB`, `48.1 MB`; a plain number is MiB."""
    return round(memory_mib(value) * 2**20)


def bytes_per_ms(value: Any) -> float:
    """A rate of data in bytes per ms: `400 Mbps`, `1 Gbps`, `50 MiB/s`; a plain number is Mbps."""
    right = "write it like 400 Mbps, 1 Gbps or 50 MiB/s"
    if not isinstance(value, str):
        return _fast_enough(value, number(value, "a rate of data", right) * 1e6 / 8)
    match = _RATE.fullmatch(value.strip())
    if match is None:
        plain = re.fullmatch(r"\d+(\.\d+)?", value.strip())
        raise wrong(
            f"{shown(value)} is not a rate of data", f"write {value.strip()} Mbps" if plain else right
        )
    size = float(match["amount"]) * _SCALES[(match["scale"] or "").lower()]
    return _fast_enough(value, size if match["bytes"] else size / 8)


def _fast_enough(value: Any, bytes_per_second: float) -> float:
    if bytes_per_second < 1:
        raise wrong(f"{shown(value)} moves nothing", "a rate above 0, like 400 Mbps")
    return bytes_per_second / MS_PER_SECOND


def disk_gib(value: Any) -> int:
    """A disk in whole GiB: `30 GiB`; a plain number is GiB, as EBS counts."""
    if isinstance(value, str):
        return math.ceil(memory_mib(value) / 1024)
    return count(value)


def task_cpu_units(value: Any) -> int:
    """A task size in CPU units: `512`, `"512"`, `1 vCPU` (ECS API: RegisterTaskDefinition.cpu)."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+|\d*\.\d+)\s*(vcpu|vcpus)?\s*", value, flags=re.IGNORECASE)
        if match is None or ("." in match[1] and not match[2]):
            raise wrong(f"{shown(value)} is no CPU size", 'write "512" (units) or "0.5 vCPU"')
        scaled = float(match[1]) * (CPU_UNITS_PER_VCPU if match[2] else 1)
        return count(round(scaled))
    return count(value)


def task_memory_mib(value: Any) -> int:
    """A task size in MiB: `1024`, `"1024"`, `2GB`, `2 GB` (ECS API: RegisterTaskDefinition.memory)."""
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+|\d*\.\d+)\s*(gi?b|mi?b)?\s*", value, flags=re.IGNORECASE)
        if match is None or ("." in match[1] and not match[2]):
            raise wrong(f"{shown(value)} is no memory size", 'write "1024" (MiB) or "2 GB"')
        return count(round(float(match[1]) * (1024 if (match[2] or "m").lower().startswith("g") else 1)))
    return count(value)


def instant_ms(value: Any) -> int:
    """An instant as epoch ms: ISO 8601 with a zone; without one it is UTC."""
    right = "write it like 2026-06-01T00:00:00Z"
    if not isinstance(value, str):
        raise wrong(f"{shown(value)} is not an instant", right)
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        raise wrong(f"{shown(value)} is not an instant", right) from None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if not 1970 <= instant.year <= 2200:
        raise wrong(f"{shown(value)} is outside the years 1970 to 2200", right)
    return round(instant.timestamp() * MS_PER_SECOND)


_NUMBER = {"type": "number"}
_TEXT_OR_NUMBER = {"type": ["string", "number"]}

Number = Annotated[float, BeforeValidator(number), WithJsonSchema(_NUMBER)]
Positive = Annotated[float, BeforeValidator(positive), WithJsonSchema({**_NUMBER, "minimum": 0})]
AboveZero = Annotated[float, BeforeValidator(above_zero), WithJsonSchema({**_NUMBER, "exclusiveMinimum": 0})]
Share = Annotated[float, BeforeValidator(share), WithJsonSchema({**_NUMBER, "minimum": 0, "maximum": 1})]
Integer = Annotated[int, BeforeValidator(integer), WithJsonSchema({"type": "integer"})]
Count = Annotated[int, BeforeValidator(count), WithJsonSchema({"type": "integer", "minimum": 0})]
AtLeastOne = Annotated[int, BeforeValidator(at_least_one), WithJsonSchema({"type": "integer", "minimum": 1})]
DurationMs = Annotated[
    int,
    BeforeValidator(duration_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "90s, 15m, 2h30m, 7d, or plain seconds"}),
]
PositiveDurationMs = Annotated[
    int,
    BeforeValidator(positive_duration_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "90s, 15m, 2h30m, 7d, or plain seconds; above 0"}),
]
PreciseMs = Annotated[
    float,
    BeforeValidator(precise_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "25ms, 1.5s, or plain seconds"}),
]
MemoryMib = Annotated[
    float,
    BeforeValidator(memory_mib),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "512 MiB, 2 GiB; a plain number is MiB"}),
]
SizeBytes = Annotated[
    int,
    BeforeValidator(size_bytes),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "50 MiB, 1.2 GB; a plain number is MiB"}),
]
BytesPerMs = Annotated[
    float,
    BeforeValidator(bytes_per_ms),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "400 Mbps, 50 MiB/s; a plain number is Mbps"}),
]
DiskGib = Annotated[
    int,
    BeforeValidator(disk_gib),
    WithJsonSchema({**_TEXT_OR_NUMBER, "description": "30 GiB; a plain number is GiB"}),
]
TaskCpu = Annotated[int, BeforeValidator(task_cpu_units), WithJsonSchema(_TEXT_OR_NUMBER)]
TaskMemory = Annotated[int, BeforeValidator(task_memory_mib), WithJsonSchema(_TEXT_OR_NUMBER)]
InstantMs = Annotated[
    int, BeforeValidator(instant_ms), WithJsonSchema({"type": "string", "format": "date-time"})
]
