"""The frame of every HTML page: one file with its charts and scripts, which opens without a network.

Decides how the parts of a page become HTML, and how the Vega scripts are bundled and cached. Must not know which
study a page shows. The pages of sweeps and comparisons call `render_page` if the extra `report` is installed.

The same parts give the same bytes: no time and no duration appears on a page.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

from clustersim.engine.object_cache import cache_folder

LIBRARIES = ("altair", "vl_convert", "jinja2")  # of the extra `report`


def can_make_pages() -> bool:
    """Return whether the libraries of the extra `report` are installed."""
    return all(find_spec(name) is not None for name in LIBRARIES)


def preload_libraries() -> None:
    """Import in a thread what a page needs: it takes a second, in which this process waits for its workers."""

    def load() -> None:
        for name in ("scipy.stats", *(LIBRARIES if can_make_pages() else ())):
            import_module(name)

    Thread(target=load, name="clustersim-imports", daemon=True).start()


def render_page(**parts: Any) -> str:
    """Return a page as HTML.

    `parts` are the variables of the template: `title`, `subtitle`, `facts` (pairs of texts), `sections` (with the
    names of their charts), `tables`, `charts` (specifications by name) and `footer`.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    text = files("clustersim").joinpath("study/pages/page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(text).render(bundle=_load_vega_bundle(), **parts)


def format_footer(manifest: Mapping[str, Any], tables: str) -> str:
    """Return the footer of a page from the manifest of its result; `tables` says where the data of the page are."""
    versions, digest = manifest["versions"], manifest["scenario_digest"]
    return (
        f"clustersim {versions['clustersim']}, seed {manifest['seed']}, scenario {digest[:12]}. manifest.json beside "
        f"this page has all that is needed to reproduce it; {tables}"
    )


def _load_vega_bundle() -> str:
    """Return Vega, Vega-Lite and vega-embed as one script; bundling takes two seconds, so it is cached in a file."""
    import altair
    import vl_convert

    vega_lite_version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    cached = cache_folder() / f"vega-{version('vl-convert-python')}-{vega_lite_version}.js"
    try:
        return cached.read_text(encoding="utf-8")
    except (OSError, RuntimeError):
        pass
    bundle: str = vl_convert.javascript_bundle(vl_version=vega_lite_version)  # type: ignore[call-arg]  # its stub is wrong
    # HTML ends a script at the first closing tag, even inside a JavaScript string.
    bundle = bundle.replace("</script", "<\\/script")
    _cache(cached, bundle)
    return bundle


def _cache(path: Path, text: str) -> None:
    """Write a file of the cache atomically, if its folder is writable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(partial).replace(path)
    except (OSError, RuntimeError):  # without a cache the next page takes two seconds again
        return
