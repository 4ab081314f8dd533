"""Image manifests: the JSON of registries and of `docker manifest inspect`.

Decides which documents are manifests, which manifest of an index is for an architecture, and which layers it lists.
It must not know where the files are: manifests that an index names by digest are read with `fetch`.
`scenario.images.image_reader` calls `read_layers`.

Accepted are OCI image manifests and indexes, Docker's schema 2 manifests and manifest lists, the output of `docker
manifest inspect --verbose` (an object, or a list of one per platform), and the output of `aws ecr batch-get-image`.
Sizes in manifests are of compressed layers; a layer with an uncompressed media type has the same size on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from clustersim.scenario.text.document import Document, FieldPath, Problem, parse_document

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_VERBOSE_KEYS = ("OCIManifest", "SchemaV2Manifest")
_ARCHITECTURES = {"amd64": "x86_64", "x86_64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}
_MAX_BYTES = 1 << 50
_MAX_DEPTH = 4

_MANIFEST_HINT = "an OCI or Docker image manifest or index, as docker manifest inspect prints it"


class ManifestLayer(NamedTuple):
    """A layer in a manifest; sizes in bytes, `unpacked` is known only if the layer is not compressed."""

    digest: str
    compressed: int
    unpacked: int | None


class ManifestResult(NamedTuple):
    """The layers for an architecture, base first; None if the document has none for it, or has problems.

    `document` is the file that `problems` refer to: the given one, or a manifest that an index names.
    """

    layers: tuple[ManifestLayer, ...] | None
    document: Document
    problems: tuple[Problem, ...] = ()


FetchManifest = Callable[[str], Document | None]
"""A function that returns the document of a manifest by its digest; None if there is no such file."""


def read_layers(document: Document, arch: str, fetch: FetchManifest) -> ManifestResult:
    """Return the layers for `arch` in a manifest's document, or its problems."""
    return _read_value(document, document.value, (), arch, fetch, 0)


def _read_value(
    document: Document, value: Any, path: FieldPath, arch: str, fetch: FetchManifest, depth: int
) -> ManifestResult:
    """Detect the kind of a value and return the layers in it."""
    if depth > _MAX_DEPTH:
        return _fail(document, path, "indexes are nested too deep", "the image's own manifest")
    if isinstance(value, list):
        return _read_verbose(document, value, path, arch, fetch, depth)
    if not isinstance(value, Mapping):
        return _fail(document, path, "is not a manifest", _MANIFEST_HINT)
    kind = value.get("mediaType")
    inner = next((name for name in _VERBOSE_KEYS if isinstance(value.get(name), Mapping)), None)
    if inner is not None:
        return _read_verbose(document, [value], path, arch, fetch, depth)
    if isinstance(value.get("images"), list):
        return _read_ecr_output(document, value["images"], path, arch, fetch, depth)
    if "manifests" in value or kind in INDEX_TYPES:
        return _read_index(document, value, path, arch, fetch, depth)
    if "layers" in value or kind in MANIFEST_TYPES:
        return _read_manifest(document, value, path)
    if "fsLayers" in value or value.get("schemaVersion") == 1:
        message = "a manifest of schema 1, which has no sizes"
        return _fail(document, path, message, "push the image again with a newer Docker")
    return _fail(document, path, "is not a manifest", _MANIFEST_HINT)


def _read_manifest(document: Document, value: Mapping[str, Any], path: FieldPath) -> ManifestResult:
    """Return the layers of an image manifest."""
    items = value.get("layers")
    if not isinstance(items, list) or not items:
        return _fail(document, (*path, "layers"), "lists no layers", "layers with digest and size")
    layers, problems = [], []
    for index, item in enumerate(items):
        field_path = (*path, "layers", index)
        if not isinstance(item, Mapping):
            problems.append(Problem(field_path, "is not a layer", "a mapping with digest and size"))
            continue
        digest, size = item.get("digest"), item.get("size")
        if not isinstance(digest, str) or ":" not in digest:
            problems.append(Problem((*field_path, "digest"), "is not a digest", "like sha256:e3b0c442..."))
        if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < _MAX_BYTES:
            problems.append(Problem((*field_path, "size"), "is not a size in bytes", "a whole number"))
        if not problems:
            uncompressed = str(item.get("mediaType", "")).endswith(".tar")
            layers.append(
                ManifestLayer(str(digest), int(size or 0), int(size or 0) if uncompressed else None)
            )
    return ManifestResult(None if problems else tuple(layers), document, tuple(problems))


def _read_index(
    document: Document, value: Mapping[str, Any], path: FieldPath, arch: str, fetch: FetchManifest, depth: int
) -> ManifestResult:
    """Return the layers of the manifest that an index names for `arch`."""
    items = value.get("manifests")
    if not isinstance(items, list):
        return _fail(document, (*path, "manifests"), "is not a list", "manifests with digest and platform")
    for index, item in enumerate(items):
        field_path = (*path, "manifests", index)
        if not isinstance(item, Mapping) or not isinstance(item.get("digest"), str):
            return _fail(document, field_path, "names no manifest", "a mapping with digest and platform")
        nested = item.get("mediaType") in INDEX_TYPES
        if not nested and not _matches_platform(item.get("platform"), arch):
            continue
        digest = str(item["digest"])
        manifest = fetch(digest)
        if manifest is None:
            message = f"the manifest for {arch} was not found: {digest}"
            name = digest.partition(":")[2]
            hint = f"save it beside this file as {name}.json, or use docker manifest inspect --verbose"
            return _fail(document, (*field_path, "digest"), message, hint)
        if manifest.errors:
            return ManifestResult(None, manifest)
        result = _read_value(manifest, manifest.value, (), arch, fetch, depth + 1)
        if result.layers is not None or result.problems or result.document.errors:
            return result
    return ManifestResult(None, document)


def _read_verbose(
    document: Document, items: list[Any], path: FieldPath, arch: str, fetch: FetchManifest, depth: int
) -> ManifestResult:
    """Read the output of `docker manifest inspect --verbose`: each platform's descriptor with its manifest."""
    for index, item in enumerate(items):
        field_path = (*path, index) if isinstance(document.value, list) else path
        if not isinstance(item, Mapping):
            return _fail(document, field_path, "is not a manifest", _MANIFEST_HINT)
        descriptor = item.get("Descriptor")
        platform = descriptor.get("platform") if isinstance(descriptor, Mapping) else None
        inner = next((name for name in _VERBOSE_KEYS if isinstance(item.get(name), Mapping)), None)
        if inner is None:
            return _fail(document, field_path, "has no manifest", f"{' or '.join(_VERBOSE_KEYS)}")
        if _matches_platform(platform, arch):
            return _read_value(document, item[inner], (*field_path, inner), arch, fetch, depth + 1)
    return ManifestResult(None, document)


def _read_ecr_output(
    document: Document, items: list[Any], path: FieldPath, arch: str, fetch: FetchManifest, depth: int
) -> ManifestResult:
    """Read the output of `aws ecr batch-get-image`, which holds the manifest as text."""
    field_path = (*path, "images", 0, "imageManifest")
    text = items[0].get("imageManifest") if items and isinstance(items[0], Mapping) else None
    if not isinstance(text, str):
        return _fail(document, (*path, "images"), "has no imageManifest", _MANIFEST_HINT)
    inner = parse_document(text, document.label)
    if inner.errors:
        return _fail(document, field_path, f"cannot be read: {inner.errors[0][2]}", _MANIFEST_HINT)
    return _read_value(document, inner.value, field_path, arch, fetch, depth + 1)


def _matches_platform(platform: Any, arch: str) -> bool:
    """Return whether a platform is Linux on `arch`; a missing platform matches all, an attestation none."""
    if not isinstance(platform, Mapping):
        return True
    system, machine = platform.get("os", "linux"), platform.get("architecture", "")
    return system == "linux" and _ARCHITECTURES.get(str(machine)) == arch


def _fail(document: Document, path: FieldPath, message: str, hint: str) -> ManifestResult:
    return ManifestResult(None, document, (Problem(path, message, hint),))
