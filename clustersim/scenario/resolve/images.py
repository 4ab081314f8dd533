"""The sections `images` and `registries`, resolved: the table of layers, images with their versions, registries.

Decides which architectures an image is needed for, which registry it is in, and which layers are the same. Must not
know how layers are read (`scenario.images`) or pulled. `resolve.scenario` calls `resolve_registries_and_images` once
task definitions are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.images import registries
from clustersim.scenario.images.image_reader import ImageReader
from clustersim.scenario.images.image_references import parse_ecr_host, parse_reference, registry_host
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.images import (
    Image,
    ImagePulls,
    Images,
    ImageVersion,
    Layer,
    PullLimit,
    Registry,
    WrittenImage,
    WrittenPullLimit,
    WrittenRegistry,
)
from clustersim.scenario.sections.resolved_section import Architecture
from clustersim.scenario.text.document import FieldPath
from clustersim.scenario.text.overrides import suggest_name

_ARCHITECTURES: tuple[Architecture, ...] = ("x86_64", "arm64")
_LIMIT_FIELDS = ("anonymous_pulls", "authenticated_pulls", "layer_requests")
_PLAIN_FIELDS = ("private", "bandwidth", "total_bandwidth", "authentication")


@dataclass
class _LayerTable:
    """The table of layers while it is filled: one row per digest."""

    rows: list[Layer] = field(default_factory=list)
    first: dict[str, tuple[int, FieldPath]] = field(default_factory=dict)

    def number(self, context: Context, layer: Layer, path: FieldPath) -> int:
        """Return the row of a layer, added if it is new; layers of one digest must have the same sizes."""
        registries_by_name = self.first.get(layer.digest)
        if registries_by_name is None:
            self.first[layer.digest] = (len(self.rows), path)
            self.rows.append(layer)
            return len(self.rows) - 1
        row = self.rows[registries_by_name[0]]
        if (row.compressed_bytes, row.unpacked_bytes) != (layer.compressed_bytes, layer.unpacked_bytes):
            problem = f"layer {layer.digest} has another size elsewhere"
            hint = f"{row.unpacked_bytes / 2**20:g} MiB unpacked, {row.compressed_bytes / 2**20:g} MiB compressed"
            context.diagnostics.add_problem(path, problem, hint)
        return registries_by_name[0]


def resolve_image_pulls(context: Context) -> ImagePulls:
    """Return the resolved `cluster.imagePulls`."""
    written = context.file.cluster.image_pulls
    return ImagePulls(
        unpack_speed=written.unpack_speed,
        retry_for_ms=written.retry_for,
        fargate_bandwidth=written.fargate.bandwidth,
        fargate_unpack_speed=written.fargate.unpack_speed,
        lazy_share=written.fargate.lazy_share,
    )


def resolve_registries_and_images(context: Context) -> tuple[tuple[Registry, ...], Images]:
    """Return all registries, the built-in ones first, and all images in the order of the file."""
    registries_by_name = _resolve_registries(context)
    architectures = _list_architectures(context)
    reader = ImageReader(
        context.diagnostics, context.scenario, context.inputs, context.file.cluster.image_pulls.compression
    )
    layers, images = _LayerTable(), list[Image]()
    written_as: dict[str, str] = {}
    for reference, versions in context.file.images.items():
        path = ("images", reference)
        name = parse_reference(reference)
        if name is None:
            context.diagnostics.add_problem(path, "is not a reference to an image", "like shop/web:1")
            continue
        if name.canonical in written_as:
            problem = f"a second image named {name.canonical}"
            context.diagnostics.add_problem(path, problem, f"{written_as[name.canonical]} is the same")
            continue
        written_as[name.canonical] = reference
        registry = _find_registry(context, registries_by_name, versions, path)
        for arch in architectures.get(name.canonical, ("x86_64",)):
            resolved_versions = _resolve_versions(
                context, reader, layers, versions, arch, (path, name.canonical)
            )
            first = versions[0]
            images.append(
                Image(
                    reference=name.canonical,
                    arch=arch,
                    registry=list(registries_by_name).index(registry),
                    versions=resolved_versions,
                    soci=first.soci,
                    read_write_bytes=_read_write_bytes(context, first),
                )
            )
    _warn_of_unlisted(context, set(written_as))
    return tuple(registries_by_name.values()), Images(layers=tuple(layers.rows), images=tuple(images))


def _read_write_bytes(context: Context, image: WrittenImage) -> int:
    size_bytes = image.read_write_layer
    return context.file.cluster.image_pulls.read_write_layer if size_bytes is None else size_bytes


def _resolve_versions(
    context: Context,
    reader: ImageReader,
    layers: _LayerTable,
    versions: list[WrittenImage],
    arch: Architecture,
    path_and_name: tuple[FieldPath, str],
) -> tuple[ImageVersion, ...]:
    """Return the versions of a tag for one architecture, in order of time."""
    path, name = path_and_name
    resolved = [] if versions[0].from_ == 0 else [ImageVersion(from_ms=0, missing="manifest")]
    for index, written in enumerate(versions):
        location = (*path, index) if isinstance(context.diagnostics.data["images"][path[1]], list) else path
        if index and written.from_ <= versions[index - 1].from_:
            context.diagnostics.add_problem(
                (*location, "from"), "is not after the version before it", "a later instant"
            )
        for key in ("registry", "soci", "read_write_layer"):
            if index and key in written.model_fields_set:
                problem = f"{_key_name(key)} is the image's, not the version's"
                context.diagnostics.add_problem(
                    (*location, _key_name(key)), problem, "write it in the first version"
                )
        if written.missing:
            resolved.append(ImageVersion(from_ms=written.from_, missing="manifest"))
            continue
        contents = reader.read_contents(written, arch, location, f"{name}@{index}")
        if contents is None:
            continue
        numbers = dict.fromkeys(layers.number(context, layer, location) for layer in contents.layers)
        resolved.append(
            ImageVersion(
                from_ms=written.from_,
                layers=tuple(numbers),
                missing="" if contents.has_platform else "platform",
            )
        )
    return tuple(resolved)


def _key_name(key: str) -> str:
    return str(WrittenImage.model_fields[key].alias or key)


def _list_architectures(context: Context) -> dict[str, tuple[Architecture, ...]]:
    """Return the architectures for which task definitions use each image, by its reference in full."""
    by_reference: dict[str, set[str]] = {}
    for definition in context.definitions.values():
        for container in definition.containers:
            name = parse_reference(container.image or "")
            if name is not None:
                by_reference.setdefault(name.canonical, set()).add(definition.arch)
    return {
        name: tuple(arch for arch in _ARCHITECTURES if arch in architectures)
        for name, architectures in by_reference.items()
    }


def _warn_of_unlisted(context: Context, listed: set[str]) -> None:
    """Warn once of all images that need no pull because `images` does not list them."""
    if not context.file.images:
        return
    missing: dict[str, None] = {}
    for definition in context.definitions.values():
        for container in definition.containers:
            name = parse_reference(container.image or "")
            if name is not None and name.canonical not in listed:
                missing[str(container.image)] = None
    if missing:
        names = list(missing)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        hint = suggest_name(names[0], sorted(context.file.images)) if len(names) == 1 else ""
        hint = f"; {hint}" if hint.startswith("did") else ""
        context.diagnostics.warn(
            ("images",), f"not listed, so without a pull: {', '.join(names[:5])}{more}{hint}"
        )


# --- registries -----------------------------------------------------------------------------------------


def _resolve_registries(context: Context) -> dict[str, Registry]:
    """Return the built-in registries and the scenario's own, by name."""
    registries_by_name = registries.builtin_registries()
    for index, written in enumerate(context.file.registries):
        path = ("registries", index)
        context.declare_name("registry", written.name, (*path, "name"))
        base = registries_by_name.get(written.name) or registries.make_registry(written.name)
        registries_by_name[written.name] = _overlay_registry(context, base, written, path)
    return registries_by_name


def _overlay_registry(
    context: Context, base: Registry, written: WrittenRegistry, path: FieldPath
) -> Registry:
    """Return the registry `base` with the keys of a written entry in place of its own."""
    changed: dict[str, Any] = {
        name: getattr(written, name) for name in _PLAIN_FIELDS if name in written.model_fields_set
    }
    for name in _LIMIT_FIELDS:
        if name in written.model_fields_set:
            changed[name] = _resolve_limit(getattr(written, name))
    if written.latency is not None:
        changed["latency_ms"] = written.latency
    if written.timeout is not None:
        changed["timeout_ms"] = written.timeout
    if written.host is not None:
        changed["hosts"] = (*base.hosts, written.host)
    changed["outages"] = tuple(sorted((outage.at, outage.at + outage.duration) for outage in written.outages))
    for (_, end), (begin, _) in zip(changed["outages"], changed["outages"][1:], strict=False):
        if begin < end:
            context.diagnostics.add_problem(
                (*path, "outages"), "two outages overlap", "one outage after the other"
            )
    return base.model_copy(update=changed)


def _resolve_limit(written: WrittenPullLimit | None) -> PullLimit | None:
    return None if written is None else PullLimit(limit=written.limit, per_ms=written.per, by=written.by)


def _find_registry(
    context: Context,
    registries_by_name: dict[str, Registry],
    versions: Iterable[WrittenImage],
    path: FieldPath,
) -> str:
    """Return the name of an image's registry: the one it names, else that of its host, else ECR."""
    first = next(iter(versions))
    if first.registry is not None:
        if first.registry in registries_by_name:
            return first.registry
        location = (*path, 0) if isinstance(context.diagnostics.data["images"][path[1]], list) else path
        problem = f"no registry is named {first.registry}"
        context.diagnostics.add_problem(
            (*location, "registry"), problem, suggest_name(first.registry, sorted(registries_by_name))
        )
        return registries.ECR
    return _find_registry_of_host(registries_by_name, registry_host(str(path[1])))


def _find_registry_of_host(registries_by_name: dict[str, Registry], host: str) -> str:
    """Return the name of the registry of a host; an unknown host becomes a registry of its own.

    A reference without a host means ECR (contract: `images`), though to Docker it means Docker Hub.
    """
    if not host or parse_ecr_host(host) is not None:
        return registries.ECR
    for registry in registries_by_name.values():
        if host in registry.hosts or registry.name == host:
            return registry.name
    registries_by_name[host] = registries.make_registry(host, (host,))
    return host
