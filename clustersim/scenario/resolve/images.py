"""The sections `images` and `registries`, resolved: the table of layers, images with their versions, registries.

Decides which architectures an image is needed for, which registry it is in, and which layers are one. Must not
know how layers are read (`images`) or moved. The reader's order calls `registries_and_images` once task
definitions are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from clustersim.scenario.images import registries
from clustersim.scenario.images.image_reader import Reader
from clustersim.scenario.images.image_references import ecr_host, named_host, parse
from clustersim.scenario.resolve.context import Context
from clustersim.scenario.sections.images import (
    Arch,
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
from clustersim.scenario.text.document import Steps
from clustersim.scenario.text.overrides import closest

_ARCHITECTURES: tuple[Arch, ...] = ("x86_64", "arm64")
_LIMITS = ("anonymous_pulls", "authenticated_pulls", "layer_requests")
_PLAIN = ("private", "bandwidth", "total_bandwidth", "authentication")


@dataclass
class _Layers:
    """The table of layers as it is filled: one row for a digest."""

    rows: list[Layer] = field(default_factory=list)
    first: dict[str, tuple[int, Steps]] = field(default_factory=dict)

    def number(self, context: Context, layer: Layer, path: Steps) -> int:
        """The row of a layer; two of one digest must agree on its sizes."""
        known = self.first.get(layer.digest)
        if known is None:
            self.first[layer.digest] = (len(self.rows), path)
            self.rows.append(layer)
            return len(self.rows) - 1
        row = self.rows[known[0]]
        if (row.compressed_bytes, row.unpacked_bytes) != (layer.compressed_bytes, layer.unpacked_bytes):
            what = f"layer {layer.digest} is not of the size that it has elsewhere"
            right = f"{row.unpacked_bytes / 2**20:g} MiB unpacked, {row.compressed_bytes / 2**20:g} MiB compressed"
            context.findings.add(path, what, right)
        return known[0]


def image_pulls(context: Context) -> ImagePulls:
    """`cluster.imagePulls`."""
    written = context.file.cluster.image_pulls
    return ImagePulls(
        unpack_speed=written.unpack_speed,
        retry_for_ms=written.retry_for,
        fargate_bandwidth=written.fargate.bandwidth,
        fargate_unpack_speed=written.fargate.unpack_speed,
        lazy_share=written.fargate.lazy_share,
    )


def registries_and_images(context: Context) -> tuple[tuple[Registry, ...], Images]:
    """All registries, those that stand by themselves first, and all images in the order of the file."""
    known = _registries(context)
    used = _used_architectures(context)
    reader = Reader(
        context.findings, context.scenario, context.inputs, context.file.cluster.image_pulls.compression
    )
    layers, images = _Layers(), list[Image]()
    spelled: dict[str, str] = {}
    for reference, versions in context.file.images.items():
        path = ("images", reference)
        name = parse(reference)
        if name is None:
            context.findings.add(path, "is no reference to an image", "like shop/web:1")
            continue
        if name.in_full in spelled:
            what = f"a second image named {name.in_full}"
            context.findings.add(path, what, f"{spelled[name.in_full]} is the same")
            continue
        spelled[name.in_full] = reference
        registry = _registry_of(context, known, versions, path)
        for arch in used.get(name.in_full, ("x86_64",)):
            found = _versions(context, reader, layers, versions, arch, (path, name.in_full))
            first = versions[0]
            images.append(
                Image(
                    reference=name.in_full,
                    arch=arch,
                    registry=list(known).index(registry),
                    versions=found,
                    soci=first.soci,
                    read_write_bytes=_read_write(context, first),
                )
            )
    _warn_of_unlisted(context, set(spelled))
    return tuple(known.values()), Images(layers=tuple(layers.rows), images=tuple(images))


def _read_write(context: Context, image: WrittenImage) -> int:
    given = image.read_write_layer
    return context.file.cluster.image_pulls.read_write_layer if given is None else given


def _versions(
    context: Context,
    reader: Reader,
    layers: _Layers,
    versions: list[WrittenImage],
    arch: Arch,
    whose: tuple[Steps, str],
) -> tuple[ImageVersion, ...]:
    """The versions of a tag for one architecture, in time."""
    path, name = whose
    found = [] if versions[0].from_ == 0 else [ImageVersion(from_ms=0, missing="manifest")]
    for index, written in enumerate(versions):
        place = (*path, index) if isinstance(context.findings.data["images"][path[1]], list) else path
        if index and written.from_ <= versions[index - 1].from_:
            context.findings.add((*place, "from"), "is not after the version before it", "a later instant")
        for key in ("registry", "soci", "read_write_layer"):
            if index and key in written.model_fields_set:
                what = f"{_camel(key)} is the image's, not the version's"
                context.findings.add((*place, _camel(key)), what, "write it in the first version")
        if written.missing:
            found.append(ImageVersion(from_ms=written.from_, missing="manifest"))
            continue
        contents = reader.contents(written, arch, place, f"{name}@{index}")
        if contents is None:
            continue
        numbers = dict.fromkeys(layers.number(context, layer, place) for layer in contents.layers)
        found.append(
            ImageVersion(
                from_ms=written.from_,
                layers=tuple(numbers),
                missing="" if contents.platform else "platform",
            )
        )
    return tuple(found)


def _camel(key: str) -> str:
    return str(WrittenImage.model_fields[key].alias or key)


def _used_architectures(context: Context) -> dict[str, tuple[Arch, ...]]:
    """The architectures for which task definitions use each image, by its reference in full."""
    found: dict[str, set[str]] = {}
    for definition in context.definitions.values():
        for container in definition.containers:
            name = parse(container.image or "")
            if name is not None:
                found.setdefault(name.in_full, set()).add(definition.arch)
    return {name: tuple(arch for arch in _ARCHITECTURES if arch in of) for name, of in found.items()}


def _warn_of_unlisted(context: Context, listed: set[str]) -> None:
    """One warning for all images that need no pull because `images` does not list them."""
    if not context.file.images:
        return
    missing: dict[str, None] = {}
    for definition in context.definitions.values():
        for container in definition.containers:
            name = parse(container.image or "")
            if name is not None and name.in_full not in listed:
                missing[str(container.image)] = None
    if missing:
        names = list(missing)
        more = f" and {len(names) - 5} more" if len(names) > 5 else ""
        hint = closest(names[0], sorted(context.file.images)) if len(names) == 1 else ""
        hint = f"; {hint}" if hint.startswith("did") else ""
        context.findings.warn(
            ("images",), f"not listed, so without a pull: {', '.join(names[:5])}{more}{hint}"
        )


# --- registries -----------------------------------------------------------------------------------------


def _registries(context: Context) -> dict[str, Registry]:
    """The standing registries and the scenario's own, by name."""
    known = registries.standing()
    for index, written in enumerate(context.file.registries):
        path = ("registries", index)
        context.declare("registry", written.name, (*path, "name"))
        below = known.get(written.name) or registries.other(written.name)
        known[written.name] = _laid_over(context, below, written, path)
    return known


def _laid_over(context: Context, below: Registry, written: WrittenRegistry, path: Steps) -> Registry:
    """A registry with a written entry's keys in place of its own."""
    changed: dict[str, Any] = {
        name: getattr(written, name) for name in _PLAIN if name in written.model_fields_set
    }
    for name in _LIMITS:
        if name in written.model_fields_set:
            changed[name] = _limit(getattr(written, name))
    if written.latency is not None:
        changed["latency_ms"] = written.latency
    if written.timeout is not None:
        changed["timeout_ms"] = written.timeout
    if written.host is not None:
        changed["hosts"] = (*below.hosts, written.host)
    changed["outages"] = tuple(sorted((outage.at, outage.at + outage.duration) for outage in written.outages))
    for (_, end), (begin, _) in zip(changed["outages"], changed["outages"][1:], strict=False):
        if begin < end:
            context.findings.add((*path, "outages"), "two outages overlap", "one outage after the other")
    return below.model_copy(update=changed)


def _limit(written: WrittenPullLimit | None) -> PullLimit | None:
    return None if written is None else PullLimit(limit=written.limit, per_ms=written.per, by=written.by)


def _registry_of(
    context: Context,
    known: dict[str, Registry],
    versions: Iterable[WrittenImage],
    path: Steps,
) -> str:
    """The registry that an image is in: the one it names, else that of its host, else ECR."""
    first = next(iter(versions))
    if first.registry is not None:
        if first.registry in known:
            return first.registry
        place = (*path, 0) if isinstance(context.findings.data["images"][path[1]], list) else path
        what = f"no registry is named {first.registry}"
        context.findings.add((*place, "registry"), what, closest(first.registry, sorted(known)))
        return registries.ECR
    return _registry_of_host(known, named_host(str(path[1])))


def _registry_of_host(known: dict[str, Registry], host: str) -> str:
    """The registry of a reference's host; a host that nobody knows becomes a registry of its own.

    A reference without a host means ECR (contract: `images`), though to Docker it means Docker Hub.
    """
    if not host or ecr_host(host) is not None:
        return registries.ECR
    for registry in known.values():
        if host in registry.hosts or registry.name == host:
            return registry.name
    known[host] = registries.other(host, (host,))
    return host
