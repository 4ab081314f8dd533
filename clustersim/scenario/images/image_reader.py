"""The layers of an image, from inline layers, a size, a manifest, a history, or a manifest with its history.

Decides the source of the layers of one image version, and estimates missing sizes: compressed bytes are unpacked
bytes times `imagePulls.compression`, and vice versa. It must not know tags, registries or tasks.
`scenario.resolve.images` creates one `ImageReader` per scenario and calls it for each version and architecture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from clustersim.scenario.images.docker_history import HistoryLayer, read_history
from clustersim.scenario.images.oci_manifests import ManifestLayer, ManifestResult, read_layers
from clustersim.scenario.sections.images import Layer, WrittenImage, WrittenLayer
from clustersim.scenario.text.diagnostics import Diagnostics
from clustersim.scenario.text.document import Document, FieldPath, Problem, read_document

_EMPTY_LAYER_BYTES = 128
"""Most compressed bytes of an empty layer: a line of size 0 may still have one (WORKDIR in BuildKit)."""


class ImageContents(NamedTuple):
    """The layers of a version, base first; `has_platform` is False if there are none for the architecture."""

    layers: tuple[Layer, ...] = ()
    has_platform: bool = True


@dataclass
class ImageReader:
    """Reads the files that images name, each once, and reports their problems."""

    diagnostics: Diagnostics
    scenario: Path
    inputs: dict[str, str]
    compression: float
    _documents: dict[str, Document] = field(default_factory=dict)
    _histories: dict[str, tuple[HistoryLayer, ...] | None] = field(default_factory=dict)

    def read_contents(
        self, image: WrittenImage, arch: str, path: FieldPath, name: str
    ) -> ImageContents | None:
        """Return the layers of one version for `arch`; None after reporting a problem."""
        if image.manifest is not None:
            return self._from_manifest(image, arch, path)
        if image.history is not None:
            lines = self._history(image.history, (*path, "history"))
            if lines is None:
                return None
            return ImageContents(tuple(self._layer(*line[:2], None, line.created_by) for line in lines))
        written = image.layers
        if written is None:
            digest = f"image:{name}"  # only a size is known: one layer that no other image shares
            written = [
                WrittenLayer.model_construct(
                    digest=digest, size=image.size, compressed_size=image.compressed_size
                )
            ]
        return ImageContents(
            tuple(self._layer(layer.digest, layer.size, layer.compressed_size) for layer in written)
        )

    def _layer(self, digest: str, unpacked: int | None, compressed: int | None, line: str = "") -> Layer:
        """Build a layer of which at least one size is known; the other is estimated."""
        if compressed is None:
            compressed = round((unpacked or 0) * self.compression)
        if unpacked is None:
            unpacked = round(compressed / self.compression)
        return Layer(digest=digest, compressed_bytes=compressed, unpacked_bytes=unpacked, created_by=line)

    def _from_manifest(self, image: WrittenImage, arch: str, path: FieldPath) -> ImageContents | None:
        name = str(image.manifest)
        manifest_path = (*path, "manifest")
        document = self._document(name)
        if document.errors:
            self._report_manifest(ManifestResult(None, document), manifest_path)
            return None
        result = read_layers(document, arch, lambda digest: self._find_manifest(name, digest))
        if result.problems or result.document.errors:
            self._report_manifest(result, manifest_path)
            return None
        if result.layers is None:
            return ImageContents(has_platform=False)
        if image.history is None:
            return ImageContents(
                tuple(self._layer(layer.digest, layer.unpacked, layer.compressed) for layer in result.layers)
            )
        lines = self._history(image.history, (*path, "history"))
        return None if lines is None else self._pair_with_history(result.layers, lines, (*path, "history"))

    def _pair_with_history(
        self, layers: tuple[ManifestLayer, ...], lines: tuple[HistoryLayer, ...], path: FieldPath
    ) -> ImageContents | None:
        """Combine a manifest's layers with the sizes and lines of the history, in order; empty layers have no line."""
        filled = [layer for layer in layers if layer.compressed > _EMPTY_LAYER_BYTES]
        if len(filled) != len(lines):
            message = (
                f"{len(lines)} lines add content, but the manifest has {len(filled)} layers with content"
            )
            self.diagnostics.add_problem(path, message, "the history and the manifest of one image")
            return None
        by_digest = dict(zip((layer.digest for layer in filled), lines, strict=True))
        result = []
        for layer in layers:
            line = by_digest.get(layer.digest)
            unpacked = layer.unpacked if line is None else line.unpacked
            result.append(
                self._layer(layer.digest, unpacked, layer.compressed, "" if line is None else line.created_by)
            )
        return ImageContents(tuple(result))

    def _report_manifest(self, result: ManifestResult, path: FieldPath) -> None:
        """Report the problems of a manifest, or of one that it names; text errors of a file only once."""
        if result.document.errors and not self.diagnostics.has_problem_under(path):
            self.diagnostics.add_text_errors(result.document, path)
        for problem in result.problems:
            self.diagnostics.add_file_problem(path, result.document, problem)

    def _document(self, name: str) -> Document:
        """Return the JSON file `name`, a path relative to the scenario."""
        if name not in self._documents:
            file = self.scenario.parent / name
            document = self._documents[name] = read_document(file)
            if document.sha256:
                self.inputs[name] = document.sha256
        return self._documents[name]

    def _find_manifest(self, index: str, digest: str) -> Document | None:
        """Return a manifest that an index names: in the blobs of an OCI layout, or as HEX.json beside the index."""
        algorithm, _, value = digest.partition(":")
        if not value.isalnum() or not algorithm.isalnum():
            return None
        folder = PurePosixPath(index).parent
        candidates = (folder / "blobs" / algorithm / value, folder / f"{value}.json", folder / value)
        for candidate in candidates:
            if (self.scenario.parent / candidate).is_file():
                return self._document(str(candidate))
        return None

    def _history(self, name: str, path: FieldPath) -> tuple[HistoryLayer, ...] | None:
        """Return the layers of a history; None after reporting a problem of the file."""
        if name not in self._histories:
            file = self.scenario.parent / name
            document, lines = read_history(file, str(file))
            if document.sha256:
                self.inputs[name] = document.sha256
            if document.errors:
                self.diagnostics.add_text_errors(document, path)
            elif not lines:
                self.diagnostics.add_file_problem(
                    path, document, Problem((), "no line adds a layer", "the history of an image")
                )
            self._histories[name] = lines or None
        return self._histories[name]
