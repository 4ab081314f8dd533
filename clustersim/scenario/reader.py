"""Reads a scenario file: text, included files, overrides, checks, resolution; all problems at once.

Decides the order of these steps and what identifies a scenario (`resolved`, `digest`). Must not know what any
field means. The command line and the library call `read_scenario`; a sweep keeps a `Source` for its points.
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
from clustersim.scenario.catalog import instance_types as catalog
from clustersim.scenario.catalog.custom_entries import CatalogError
from clustersim.scenario.json_schema import json_schema
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.resolve.scenario import resolve
from clustersim.scenario.sections.compare import Compare
from clustersim.scenario.sections.scenario import InputFile, Scenario
from clustersim.scenario.sections.scenario_file import ScenarioFile
from clustersim.scenario.sections.sweep import Sweep
from clustersim.scenario.sections.written_section import validate
from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.document import EMPTY, Steps, read_document
from clustersim.scenario.text.overrides import apply_override, closest

__all__ = ["Source", "check_same_names", "json_schema", "read_scenario"]

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
        "managedInstancesFee": 0.12,
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
"""What a file that says nothing means, as it would be written; `ScenarioFile` has the same (tested)."""

LARGE_BYTES = 256 * 1024

STUDIES = ("sweep", "compare")
"""Blocks about many runs, which are no part of any of them."""

Rewrite = Callable[[Findings], None]
"""Changes the data of a scenario; what is wrong with that is reported like everything else."""
Study = TypeVar("Study", Sweep, Compare)

_PLAIN_NAME = re.compile(r"\w[\w .+@=,-]{0,119}")


def read_scenario(path: Path, overrides: Sequence[str] = (), seed: int | None = None) -> Scenario:
    """The scenario in the file at `path` with `overrides` (`PATH=VALUE`) laid over it.

    Raises `ScenarioError` with every problem that was found.
    """
    return Source(path).scenario(overrides, seed)


@contextmanager
def _uncollected(path: Path) -> Iterator[None]:
    """Nothing is garbage of what a large file becomes, and looking for some would take a third of the time.

    A sweep reads its small file again and again, and leaves worlds behind that had better go soon.
    """
    collecting = gc.isenabled() and path.is_file() and path.stat().st_size > LARGE_BYTES
    if not collecting:
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Source:
    """A scenario file, parsed once, as a sweep reads it often.

    Raises `ScenarioError` where the file is no mapping of YAML.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with _uncollected(path):
            document = read_document(path)
        findings = Findings(document)
        if document.faults:
            findings.data = document.value
            if document.faults == [(1, 1, EMPTY)]:
                document.faults = [(1, 1, f"{EMPTY}; it needs `services` or `runTasks`")]
            findings.add_text(document)
            findings.check()
        if not isinstance(document.value, dict):
            findings.add((), "is not a mapping", "write keys like services:")
            findings.check()
        findings.data = document.value
        self._inputs = {path.name: document.sha256}
        include_files(findings, path, self._inputs)
        self._findings = findings

    def scenario(
        self, overrides: Sequence[str] = (), seed: int | None = None, rewrite: Rewrite | None = None
    ) -> Scenario:
        """The file with `overrides` laid over it, resolved; as often as one likes.

        `rewrite` may change the document before it is checked: a comparison makes its options of it.
        """
        with _uncollected(self.path):
            return self._scenario(overrides, seed, rewrite)

    def _scenario(self, overrides: Sequence[str], seed: int | None, rewrite: Rewrite | None) -> Scenario:
        path, inputs, findings = self.path, dict(self._inputs), self._findings.fork()
        _override(findings, overrides, seed)
        if rewrite is not None:
            rewrite(findings)
        file = validate(ScenarioFile, findings.data, (), findings) or ScenarioFile()
        name = _name(findings, file, path)
        zones = _zones(findings, file)
        context = Context(findings, file, path, catalog.load(), file.region, zones, inputs)
        fields = resolve(context)
        findings.check()
        resolved = _resolved(findings.data, name, zones)
        files = tuple(InputFile(path=key, sha256=value) for key, value in inputs.items())
        return Scenario(
            name=name,
            start_ms=file.start,
            duration_ms=file.duration,
            warm_up_ms=file.warm_up,
            initial_state=file.initial_state,
            seed=file.seed,
            region=file.region,
            zones=zones,
            inputs=files,
            warnings=findings.warning_lines(),
            resolved=resolved,
            digest=_digest(resolved, files),
            **fields,
        )

    def sweep(self) -> Sweep:
        """The file's `sweep` block; one of nothing where it has none. Raises `ScenarioError`."""
        return self._study(Sweep, "sweep")

    def compare(self, overrides: Sequence[str] = ()) -> Compare:
        """The file's `compare` block, with `overrides` laid over it. Raises `ScenarioError`."""
        return self._study(Compare, "compare", overrides)

    def _study(self, model: type[Study], key: str, overrides: Sequence[str] = ()) -> Study:
        findings = self._findings.fork()
        _override(findings, overrides, None)
        written = validate(model, findings.data.get(key, {}), (key,), findings)
        findings.check()
        return written or model()

    def place(self, path: Steps) -> str:
        """`FILE:LINE:COL` of what stands at `path`, or of the longest part of it that stands anywhere."""
        line, column, _ = self._findings.document.place(path)
        return f"{self._findings.document.label}:{line}:{column}"


def _override(findings: Findings, overrides: Sequence[str], seed: int | None) -> None:
    """Lay the overrides over the data, in order; a seed given apart is the last of them."""
    texts = [*overrides, *([] if seed is None else [f"seed={seed}"])]
    for text in texts:
        path = text.partition("=")[0].strip()
        if path.endswith(".file"):
            what = "files are included before overrides"
            findings.problems.append(_set_problem(path, what, "override the fields themselves"))
            continue
        written, steps, problems = apply_override(findings.data, text)
        findings.problems.extend(_set_problem(written, p.what, p.right) for p in problems)
        if not problems:
            findings.overridden.append((steps, written))


def _set_problem(written: str, what: str, right: str) -> tuple[int, int, str]:
    return 1 << 40, 0, f"--set {written}: {what}" + (f"; {right}" if right else "")


def _name(findings: Findings, file: ScenarioFile, path: Path) -> str:
    """The scenario's name: it becomes a directory's."""
    name = path.stem if file.name is None else file.name
    if not _PLAIN_NAME.fullmatch(name) or name != name.strip(" ."):
        place = () if file.name is None else ("name",)
        what = f"{name!r} is no plain file name"
        findings.add(place, what, "name: letters, digits, dots, dashes, underscores")
    return name


def _zones(findings: Findings, file: ScenarioFile) -> tuple[str, ...]:
    """The zones: those of the file, if they are of the region, else the region's a, b and c."""
    try:
        defaults = catalog.load().zones(file.region)
    except CatalogError as error:
        findings.add(("region",), error.what, error.right)
        return tuple(file.availability_zones or ())
    if file.availability_zones is None:
        return defaults
    for index, zone in enumerate(file.availability_zones):
        place = ("availabilityZones", index)
        if not re.fullmatch(re.escape(file.region) + r"(-[a-z]+-\d+)?[a-z]", zone):
            findings.add(place, f"{zone} is no zone of {file.region}", closest(zone, defaults))
        elif zone in file.availability_zones[:index]:
            findings.add(place, f"{zone} stands there twice", "name each zone once")
    return tuple(file.availability_zones)


def _resolved(data: Mapping[str, Any], name: str, zones: tuple[str, ...]) -> dict[str, Any]:
    """The scenario as understood: a file that says it would make the same run."""
    merged = _over(DEFAULTS, {key: value for key, value in data.items() if key not in STUDIES})
    merged["name"] = name
    merged["availabilityZones"] = list(zones)
    return merged


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, mappings key by key; a distribution is one value."""
    result = copy.deepcopy(dict(below))
    for key, value in above.items():
        under = result.get(key)
        whole = isinstance(value, dict) and "distribution" in value
        if isinstance(value, dict) and isinstance(under, dict) and not whole:
            result[key] = _over(under, value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def _digest(resolved: Mapping[str, Any], files: Sequence[InputFile]) -> str:
    """SHA-256 of the canonical JSON of the scenario as understood, and of the digests of its files."""
    content = {"scenario": resolved, "inputs": [[file.path, file.sha256] for file in files]}
    canonical = json.dumps(
        content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def check_same_names(scenarios: Sequence[Scenario]) -> None:
    """Raise `ScenarioError` if two scenarios would be written to the same directory."""
    seen: dict[str, str] = {}
    problems = []
    for scenario in scenarios:
        file = scenario.inputs[0].path
        first = seen.setdefault(scenario.name.casefold(), file)
        if any(
            other is not scenario and other.name.casefold() == scenario.name.casefold() for other in scenarios
        ):
            others = f"; {first} has it too" if first != file else ""
            problems.append(f"{file}:1:1: name: two scenarios are named {scenario.name}{others}; rename one")
    if problems:
        raise ScenarioError(problems)
