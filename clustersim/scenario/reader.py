"""Reads a scenario file: text, included files, overrides, validation, resolution. Reports all problems at once.

Decides the order of these steps and the identity of a scenario (`resolved`, `digest`). It must not know the meaning
of any field. The command line and the library call `read_scenario`; a sweep keeps a `ScenarioSource` for its points.
"""

from __future__ import annotations

import copy
import gc
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from clustersim.errors import ScenarioError
from clustersim.scenario.aws.included_files import include_files
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.catalog.instance_types import load_catalog
from clustersim.scenario.checks.capacity_findings import add_capacity_findings
from clustersim.scenario.json_schema import json_schema
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.scenario import resolve_scenario
from clustersim.scenario.sections.compare import WrittenCompare
from clustersim.scenario.sections.scenario import InputFile, Scenario
from clustersim.scenario.sections.scenario_file import WrittenScenario
from clustersim.scenario.sections.sweep import WrittenSweep
from clustersim.scenario.sections.written_section import validate_section
from clustersim.scenario.text.assumptions import assumptions_of
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import EMPTY_FILE_ERROR, FieldPath, read_document
from clustersim.scenario.text.overrides import apply_override, suggest_name

__all__ = ["ScenarioSource", "check_unique_names", "json_schema", "read_scenario"]

DEFAULTS: Mapping[str, Any] = {
    "start": "2026-01-01T00:00:00Z",
    "duration": "1d",
    "warmUp": "0s",
    "initialState": "empty",
    "seed": 0,
    "region": "us-east-1",
    "pricing": {
        "fargateSpotFactor": 0.33,
        "ebsUsdPerGibMonth": 0.08,
        "managedInstancesFee": None,
        "operations": {"usdPerInstanceMonth": 0},
    },
    "cluster": {
        "provisioning": {"limit": 500, "timeout": "30m"},
        "fargateQuotaVcpu": "unlimited",
        "defaultCapacityProviderStrategy": [],
        "awsvpcTrunking": False,
        "fargateLaunchRate": {"burst": 100, "perSecond": 20},
        "eniAttachTime": "5s",
        "fargateStartTime": {"distribution": "lognormal", "median": "20s", "sigma": 0.2},
        "serviceLaunchRatePerMinute": 500,
        "launchRetryTime": "1m",
        "imagePulls": {
            "compression": 0.4,
            "unpackSpeed": "100 MiB/s",
            "readWriteLayer": "10 MiB",
            "retryFor": "10s",
            "fargate": {"bandwidth": "1 Gbps", "unpackSpeed": "30 MiB/s", "lazyShare": 0.36},
        },
    },
    "failures": {"spotInterruptions": "catalogue"},
    "sampling": {"costPeriod": "1d", "costPerResource": False},
}
"""The defaults of a scenario file, as they would be written; `WrittenScenario` has the same ones (tested)."""

GC_PAUSE_BYTES = 256 * 1024
"""The garbage collector is disabled while a larger file is read."""

STUDY_SECTIONS = ("sweep", "compare")
"""Sections about many runs, which do not belong to the scenario of a single run."""

RewriteDocument = Callable[[Diagnostics], None]
"""A function that changes the data of a scenario in place; the result is validated like any other document."""
PRIVATE_FIELDS = {"environment", "environmentfiles", "secrets", "secretoptions", "repositorycredentials"}
"""Fields of container definitions and overrides, in lower case, that no manifest holds."""

StudyModel = TypeVar("StudyModel", WrittenSweep, WrittenCompare)

_PLAIN_NAME = re.compile(r"\w[\w .+@=,-]{0,119}")


def read_scenario(path: Path, overrides: Sequence[str] = (), seed: int | None = None) -> Scenario:
    """Read the scenario in the file at `path`, with `overrides` (`PATH=VALUE`) and `seed` applied.

    Raises:
        ScenarioError: with all problems of the file.
    """
    return ScenarioSource(path).resolve(overrides, seed)


@contextmanager
def _gc_paused(path: Path) -> Iterator[None]:
    """Disable the garbage collector while a large file is read: it costs a third of the time and frees nothing.

    It stays enabled for small files: a sweep reads one for every point, and the worlds of earlier points are garbage.
    """
    pause = gc.isenabled() and path.is_file() and path.stat().st_size > GC_PAUSE_BYTES
    if not pause:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class ScenarioSource:
    """A scenario file that is parsed once and can be resolved many times, with different overrides.

    Raises:
        ScenarioError: the file is not a YAML mapping.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _gc_paused(path):
            document = read_document(path)
        diagnostics = Diagnostics(document)
        if document.errors:
            diagnostics.data = document.value
            if document.errors == [(1, 1, EMPTY_FILE_ERROR)]:
                document.errors = [(1, 1, f"{EMPTY_FILE_ERROR}; it needs `services` or `runTasks`")]
            diagnostics.add_text_errors(document)
            diagnostics.raise_problems()
        if not isinstance(document.value, dict):
            diagnostics.add_problem((), "is not a mapping", "write keys like services:")
            diagnostics.raise_problems()
        diagnostics.data = document.value
        self._inputs = {path.name: document.sha256}
        include_files(diagnostics, path, self._inputs)
        self._diagnostics = diagnostics

    def resolve(
        self, overrides: Sequence[str] = (), seed: int | None = None, rewrite: RewriteDocument | None = None
    ) -> Scenario:
        """Return the scenario with `overrides` and `seed` applied.

        `rewrite` changes the document before it is validated; a comparison uses it to build its launch options.

        Raises:
            ScenarioError: with all problems of the file.
        """
        with _gc_paused(self.path):
            return self._resolve(overrides, seed, rewrite)

    def _resolve(
        self, overrides: Sequence[str], seed: int | None, rewrite: RewriteDocument | None
    ) -> Scenario:
        path, inputs, diagnostics = self.path, dict(self._inputs), self._diagnostics.fork()
        _apply_overrides(diagnostics, overrides, seed)
        if rewrite is not None:
            rewrite(diagnostics)
        file = validate_section(WrittenScenario, diagnostics.data, (), diagnostics) or WrittenScenario()
        name = _scenario_name(diagnostics, file, path)
        zones = _availability_zones(diagnostics, file)
        context = Context(diagnostics, file, path, load_catalog(), file.region, zones, inputs)
        fields = resolve_scenario(context)
        diagnostics.raise_problems()
        add_capacity_findings(context, fields)
        resolved = _resolved_document(diagnostics.data, name, zones)
        files = tuple(InputFile(path=key, sha256=value) for key, value in inputs.items())
        scenario = Scenario(
            name=name,
            start_ms=file.start,
            duration_ms=file.duration,
            warm_up_ms=file.warm_up,
            initial_state=file.initial_state,
            seed=file.seed,
            region=file.region,
            zones=zones,
            inputs=files,
            warnings=diagnostics.sorted_warnings(),
            findings=diagnostics.sorted_findings(),
            resolved=resolved,
            digest=_digest(resolved, files),
            **fields,
        )
        made = assumptions_of(scenario, diagnostics.data)
        return scenario.model_copy(update={"assumptions": made})

    def read_sweep(self) -> WrittenSweep:
        """Return the `sweep` section of the file, an empty one if absent. Raises `ScenarioError`."""
        return self._read_study(WrittenSweep, "sweep")

    def read_compare(self, overrides: Sequence[str] = ()) -> WrittenCompare:
        """Return the `compare` section of the file with `overrides` applied. Raises `ScenarioError`."""
        return self._read_study(WrittenCompare, "compare", overrides)

    def _read_study(self, model: type[StudyModel], key: str, overrides: Sequence[str] = ()) -> StudyModel:
        diagnostics = self._diagnostics.fork()
        _apply_overrides(diagnostics, overrides, None)
        section = validate_section(model, diagnostics.data.get(key, {}), (key,), diagnostics)
        diagnostics.raise_problems()
        return section or model()

    def locate(self, path: FieldPath) -> str:
        """Return the `FILE:LINE:COL` of the longest prefix of `path` that is in the file."""
        line, column, _ = self._diagnostics.document.locate(path)
        return f"{self._diagnostics.document.label}:{line}:{column}"


def _apply_overrides(diagnostics: Diagnostics, overrides: Sequence[str], seed: int | None) -> None:
    """Apply the overrides to the data in order, and `seed` last."""
    texts = [*overrides, *([] if seed is None else [f"seed={seed}"])]
    for text in texts:
        path = text.partition("=")[0].strip()
        if path.endswith(".file"):
            message = "files are included before overrides are applied"
            diagnostics.problems.append(_override_problem(path, message, "override the fields themselves"))
            continue
        written, steps, problems = apply_override(diagnostics.data, text)
        diagnostics.problems.extend(_override_problem(written, p.message, p.hint) for p in problems)
        if not problems:
            diagnostics.overridden.append((steps, written))


def _override_problem(written: str, message: str, hint: str) -> tuple[int, int, str]:
    return 1 << 40, 0, f"--set {written}: {message}" + (f"; {hint}" if hint else "")


def _scenario_name(diagnostics: Diagnostics, file: WrittenScenario, path: Path) -> str:
    """Return the scenario's name; it must be usable as a directory name."""
    name = path.stem if file.name is None else file.name
    if not _PLAIN_NAME.fullmatch(name) or name != name.strip(" ."):
        field_path = () if file.name is None else ("name",)
        message = f"{name!r} is not a valid file name"
        diagnostics.add_problem(field_path, message, "name: letters, digits, dots, dashes, underscores")
    return name


def _availability_zones(diagnostics: Diagnostics, file: WrittenScenario) -> tuple[str, ...]:
    """Return the Availability Zones of the file, checked against the region; by default the region's a, b and c."""
    try:
        defaults = load_catalog().zones(file.region)
    except CatalogError as error:
        diagnostics.add_problem(("region",), error.message, error.hint)
        return tuple(file.availability_zones or ())
    if file.availability_zones is None:
        return defaults
    for index, zone in enumerate(file.availability_zones):
        field_path = ("availabilityZones", index)
        if not re.fullmatch(re.escape(file.region) + r"(-[a-z]+-\d+)?[a-z]", zone):
            diagnostics.add_problem(
                field_path, f"{zone} is not a zone of {file.region}", suggest_name(zone, defaults)
            )
        elif zone in file.availability_zones[:index]:
            diagnostics.add_problem(field_path, f"{zone} is listed twice", "name each zone once")
    return tuple(file.availability_zones)


def _resolved_document(data: Mapping[str, Any], name: str, zones: tuple[str, ...]) -> dict[str, Any]:
    """Return the document with all defaults filled in; a file with this content gives the same run.

    Environment variables and secrets of containers change nothing in a run and are left out: people publish manifests.
    """
    merged = _merge(DEFAULTS, {key: value for key, value in data.items() if key not in STUDY_SECTIONS})
    _drop_private_fields(merged)
    merged["name"] = name
    merged["availabilityZones"] = list(zones)
    return merged


def _drop_private_fields(value: Any) -> None:
    """Remove the fields that hold values of environment variables or names of secrets, wherever they stand."""
    if isinstance(value, dict):
        for key in [key for key in value if str(key).lower() in PRIVATE_FIELDS]:
            del value[key]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        _drop_private_fields(child)


def _merge(defaults: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `defaults` updated with `data`, mappings key by key; a distribution is replaced as a whole."""
    result = copy.deepcopy(dict(defaults))
    for key, value in data.items():
        default = result.get(key)
        is_distribution = isinstance(value, dict) and "distribution" in value
        if isinstance(value, dict) and isinstance(default, dict) and not is_distribution:
            result[key] = _merge(default, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _digest(resolved: Mapping[str, Any], files: Sequence[InputFile]) -> str:
    """Return the SHA-256 of the canonical JSON of the resolved document and the digests of its files."""
    content = {"scenario": resolved, "inputs": [[file.path, file.sha256] for file in files]}
    canonical = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def check_unique_names(scenarios: Sequence[Scenario]) -> None:
    """Raise `ScenarioError` if two scenarios have the same name and would be written to the same directory."""
    seen: dict[str, str] = {}
    problems = []
    for scenario in scenarios:
        file = scenario.inputs[0].path
        first = seen.setdefault(scenario.name.casefold(), file)
        if any(
            candidate is not scenario and candidate.name.casefold() == scenario.name.casefold()
            for candidate in scenarios
        ):
            suffix = f"; {first} has it too" if first != file else ""
            problems.append(f"{file}:1:1: name: two scenarios are named {scenario.name}{suffix}; rename one")
    if problems:
        raise ScenarioError(problems)
