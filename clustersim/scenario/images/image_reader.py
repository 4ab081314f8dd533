"""What an image is made of: inline layers, a size, a manifest, a history, or a manifest with its history.

Decides where the layers of one written version come from, and the size that a scenario leaves open: compressed
bytes are the unpacked ones times `imagePulls.compression`, and the other way round. It must not know tags,
registries or tasks. `resolve_images` makes one `Reader` per scenario and asks it for each version and
architecture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from clustersim.scenario.images.docker_history import HistoryLayer, read_history
from clustersim.scenario.images.oci_manifests import Found, ManifestLayer, layers_of
from clustersim.scenario.sections.images import Layer, WrittenImage, WrittenLayer
from clustersim.scenario.text.diagnostics import Findings
from clustersim.scenario.text.document import Document, Problem, Steps, read_document

_TINY = 128
"""Compressed bytes of a layer that holds no file: a line of size 0 may still have one (WORKDIR in BuildKit)."""


class Contents(NamedTuple):
    """The layers of a version, base first; `platform` is False if there are none for the architecture."""

    layers: tuple[Layer, ...] = ()
    platform: bool = True


@dataclass
class Reader:
    """Reads the files that images name, each once, and reports what is wrong with them."""

    findings: Findings
    scenario: Path
    inputs: dict[str, str]
    compression: float
    _documents: dict[str, Document] = field(default_factory=dict)
    _histories: dict[str, tuple[HistoryLayer, ...] | None] = field(default_factory=dict)

    def contents(self, image: WrittenImage, arch: str, path: Steps, name: str) -> Contents | None:
        """The layers of one version for `arch`; None if something is wrong, which is reported."""
        if image.manifest is not None:
            return self._from_manifest(image, arch, path)
        if image.history is not None:
            lines = self._history(image.history, (*path, "history"))
            if lines is None:
                return None
            return Contents(tuple(self._layer(*line[:2], None, line.created_by) for line in lines))
        written = image.layers
        if written is None:
            digest = f"image:{name}"  # of a size alone: one layer that no other image has
            written = [
                WrittenLayer.model_construct(
                    digest=digest, size=image.size, compressed_size=image.compressed_size
                )
            ]
        return Contents(
            tuple(self._layer(layer.digest, layer.size, layer.compressed_size) for layer in written)
        )

    def _layer(self, digest: str, unpacked: int | None, compressed: int | None, line: str = "") -> Layer:
        """A layer of which at least one size is known."""
        if compressed is None:
            compressed = round((unpacked or 0) * self.compression)
        if unpacked is None:
            unpacked = round(compressed / self.compression)
        return Layer(digest=digest, compressed_bytes=compressed, unpacked_bytes=unpacked, created_by=line)

    def _from_manifest(self, image: WrittenImage, arch: str, path: Steps) -> Contents | None:
        name = str(image.manifest)
        place = (*path, "manifest")
        document = self._document(name)
        if document.faults:
            self._report(Found(None, document), place)
            return None
        found = layers_of(document, arch, lambda digest: self._beside(name, digest))
        if found.problems or found.document.faults:
            self._report(found, place)
            return None
        if found.layers is None:
            return Contents(platform=False)
        if image.history is None:
            return Contents(
                tuple(self._layer(layer.digest, layer.unpacked, layer.compressed) for layer in found.layers)
            )
        lines = self._history(image.history, (*path, "history"))
        return None if lines is None else self._paired(found.layers, lines, (*path, "history"))

    def _paired(
        self, layers: tuple[ManifestLayer, ...], lines: tuple[HistoryLayer, ...], path: Steps
    ) -> Contents | None:
        """A manifest's layers with the sizes and lines of the history, in order; empty layers have no line."""
        filled = [layer for layer in layers if layer.compressed > _TINY]
        if len(filled) != len(lines):
            what = f"{len(lines)} lines add something, but the manifest has {len(filled)} layers that hold something"
            self.findings.add(path, what, "the history and the manifest of one image")
            return None
        by_digest = dict(zip((layer.digest for layer in filled), lines, strict=True))
        made = []
        for layer in layers:
            line = by_digest.get(layer.digest)
            unpacked = layer.unpacked if line is None else line.unpacked
            made.append(
                self._layer(layer.digest, unpacked, layer.compressed, "" if line is None else line.created_by)
            )
        return Contents(tuple(made))

    def _report(self, found: Found, path: Steps) -> None:
        """Report what is wrong with a manifest, or with one that it names; faults of a file's text once."""
        if found.document.faults and not self.findings.found_at(path):
            self.findings.add_text(found.document, path)
        for problem in found.problems:
            self.findings.add_inside(path, found.document, problem)

    def _document(self, name: str) -> Document:
        """A JSON file by its path as written, relative to the scenario."""
        if name not in self._documents:
            target = self.scenario.parent / name
            document = self._documents[name] = read_document(target)
            if document.sha256:
                self.inputs[name] = document.sha256
        return self._documents[name]

    def _beside(self, index: str, digest: str) -> Document | None:
        """A manifest that an index names: in the blobs of an OCI layout, or as HEX.json beside the index."""
        algorithm, _, value = digest.partition(":")
        if not value.isalnum() or not algorithm.isalnum():
            return None
        folder = PurePosixPath(index).parent
        places = (folder / "blobs" / algorithm / value, folder / f"{value}.json", folder / value)
        for place in places:
            if (self.scenario.parent / place).is_file():
                return self._document(str(place))
        return None

    def _history(self, name: str, path: Steps) -> tuple[HistoryLayer, ...] | None:
        """The lines of a history that add layers; None if the file cannot be used."""
        if name not in self._histories:
            target = self.scenario.parent / name
            document, lines = read_history(target, str(target))
            if document.sha256:
                self.inputs[name] = document.sha256
            if document.faults:
                self.findings.add_text(document, path)
            elif not lines:
                self.findings.add_inside(
                    path, document, Problem((), "no line adds a layer", "the history of an image")
                )
            self._histories[name] = lines or None
        return self._histories[name]
