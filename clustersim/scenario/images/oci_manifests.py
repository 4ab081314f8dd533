"""Image manifests: the JSON that registries and `docker manifest inspect` give.

Decides which documents are manifests, which of an index's manifests is for an architecture, and which layers
one lists. It must not know where the files lie: an index that names manifests by digest asks `fetch` for
them. `scenario.images.image_reader` calls `layers_of`.

Read are OCI image manifests and indexes, Docker's schema 2 manifests and manifest lists, what `docker manifest
inspect --verbose` prints (an object, or a list of one per platform), and the answer of `aws ecr
batch-get-image`. Sizes in manifests are of compressed layers; a layer whose media type says that it is not
compressed has that size on the disk too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from clustersim.scenario.text.document import Document, Problem, Steps, read_text

MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEXES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_INSIDE = ("OCIManifest", "SchemaV2Manifest")
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_MOST_BYTES = 1 << 50
_DEEPEST = 4

_WHAT = "an OCI or Docker image manifest or index, as docker manifest inspect prints it"


class ManifestLayer(NamedTuple):
    """A layer as a manifest lists it; `unpacked` is known only where it is not compressed."""

    digest: str
    compressed: int
    unpacked: int | None


class Found(NamedTuple):
    """The layers for an architecture, base first; None where the document has none for it, or has problems."""

    layers: tuple[ManifestLayer, ...] | None
    document: Document
    problems: tuple[Problem, ...] = ()


Fetch = Callable[[str], Document | None]
"""Gives the document of a manifest by its digest, as far as it lies beside the index."""


def layers_of(document: Document, arch: str, fetch: Fetch) -> Found:
    """The layers for `arch` in a manifest's document; what is wrong stands at its place in `Found.document`."""
    return _read(document, document.value, (), arch, fetch, 0)


def _read(document: Document, value: Any, path: Steps, arch: str, fetch: Fetch, depth: int) -> Found:
    """What one value of a document is, and the layers in it."""
    if depth > _DEEPEST:
        return _wrong(document, path, "an index within indexes within indexes", "the image's own manifest")
    if isinstance(value, list):
        return _verbose(document, value, path, arch, fetch, depth)
    if not isinstance(value, Mapping):
        return _wrong(document, path, "is no manifest", _WHAT)
    kind = value.get("mediaType")
    inner = next((name for name in _INSIDE if isinstance(value.get(name), Mapping)), None)
    if inner is not None:
        return _verbose(document, [value], path, arch, fetch, depth)
    if isinstance(value.get("images"), list):
        return _ecr_answer(document, value["images"], path, arch, fetch, depth)
    if "manifests" in value or kind in INDEXES:
        return _index(document, value, path, arch, fetch, depth)
    if "layers" in value or kind in MANIFESTS:
        return _manifest(document, value, path)
    if "fsLayers" in value or value.get("schemaVersion") == 1:
        what = "a manifest of schema 1, which has no sizes"
        return _wrong(document, path, what, "push the image again with a newer Docker")
    return _wrong(document, path, "is no manifest", _WHAT)


def _manifest(document: Document, value: Mapping[str, Any], path: Steps) -> Found:
    """The layers of an image manifest."""
    items = value.get("layers")
    if not isinstance(items, list) or not items:
        return _wrong(document, (*path, "layers"), "lists no layers", "layers with digest and size")
    layers, problems = [], []
    for index, item in enumerate(items):
        place = (*path, "layers", index)
        if not isinstance(item, Mapping):
            problems.append(Problem(place, "is no layer", "a mapping with digest and size"))
            continue
        digest, size = item.get("digest"), item.get("size")
        if not isinstance(digest, str) or ":" not in digest:
            problems.append(Problem((*place, "digest"), "is no digest", "like sha256:e3b0c442..."))
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < _MOST_BYTES:
            problems.append(Problem((*place, "size"), "is no size in bytes", "a whole number"))
        if not problems:
            plain = str(item.get("mediaType", "")).endswith(".tar")
            layers.append(ManifestLayer(str(digest), int(size or 0), int(size or 0) if plain else None))
    return Found(None if problems else tuple(layers), document, tuple(problems))


def _index(
    document: Document, value: Mapping[str, Any], path: Steps, arch: str, fetch: Fetch, depth: int
) -> Found:
    """The layers of the manifest that an index names for `arch`."""
    items = value.get("manifests")
    if not isinstance(items, list):
        return _wrong(document, (*path, "manifests"), "is no list", "manifests with digest and platform")
    for index, item in enumerate(items):
        place = (*path, "manifests", index)
        if not isinstance(item, Mapping) or not isinstance(item.get("digest"), str):
            return _wrong(document, place, "names no manifest", "a mapping with digest and platform")
        nested = item.get("mediaType") in INDEXES
        if not nested and not _is_for(item.get("platform"), arch):
            continue
        digest = str(item["digest"])
        below = fetch(digest)
        if below is None:
            what = f"the manifest for {arch} is not here: {digest}"
            name = digest.partition(":")[2]
            right = f"save it beside this file as {name}.json, or use docker manifest inspect --verbose"
            return _wrong(document, (*place, "digest"), what, right)
        if below.faults:
            return Found(None, below)
        found = _read(below, below.value, (), arch, fetch, depth + 1)
        if found.layers is not None or found.problems or found.document.faults:
            return found
    return Found(None, document)


def _verbose(document: Document, items: list[Any], path: Steps, arch: str, fetch: Fetch, depth: int) -> Found:
    """What `docker manifest inspect --verbose` prints: each platform's descriptor with its manifest."""
    for index, item in enumerate(items):
        place = (*path, index) if isinstance(document.value, list) else path
        if not isinstance(item, Mapping):
            return _wrong(document, place, "is no manifest", _WHAT)
        descriptor = item.get("Descriptor")
        platform = descriptor.get("platform") if isinstance(descriptor, Mapping) else None
        inner = next((name for name in _INSIDE if isinstance(item.get(name), Mapping)), None)
        if inner is None:
            return _wrong(document, place, "holds no manifest", f"{' or '.join(_INSIDE)}")
        if _is_for(platform, arch):
            return _read(document, item[inner], (*place, inner), arch, fetch, depth + 1)
    return Found(None, document)


def _ecr_answer(
    document: Document, items: list[Any], path: Steps, arch: str, fetch: Fetch, depth: int
) -> Found:
    """What `aws ecr batch-get-image` prints: the manifest is a text in it."""
    place = (*path, "images", 0, "imageManifest")
    text = items[0].get("imageManifest") if items and isinstance(items[0], Mapping) else None
    if not isinstance(text, str):
        return _wrong(document, (*path, "images"), "holds no imageManifest", _WHAT)
    inner = read_text(text, document.label)
    if inner.faults:
        return _wrong(document, place, f"cannot be read: {inner.faults[0][2]}", _WHAT)
    return _read(document, inner.value, place, arch, fetch, depth + 1)


def _is_for(platform: Any, arch: str) -> bool:
    """Whether a platform is Linux on `arch`; one that says nothing is for all, an attestation for none."""
    if not isinstance(platform, Mapping):
        return True
    system, machine = platform.get("os", "linux"), platform.get("architecture", "")
    return system == "linux" and _ARCHITECTURES.get(str(machine)) == arch


def _wrong(document: Document, path: Steps, what: str, right: str) -> Found:
    return Found(None, document, (Problem(path, what, right),))
