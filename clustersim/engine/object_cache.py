"""The cache of compiled programs: a folder that only its user can write to, and files with a checksum.

The folder is CLUSTERSIM_CACHE_DIR, else `clustersim` in the user's cache directory. Code that is loaded from it runs
with all rights of the user, so a folder or file that another user could have written is not read. A file is a header,
the SHA-256 of the object, and the object; one that is damaged counts as missing. Files are written beside their name
and renamed, so processes may share the folder.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import tempfile
from functools import cache
from pathlib import Path

MAGIC = b"clustersim program 1\n"
_CHECKSUM_BYTES = 32
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_log = logging.getLogger("clustersim")


def cache_folder() -> Path:
    """Return the folder where compiled code is kept."""
    chosen = os.environ.get("CLUSTERSIM_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "clustersim"


def make_cache_folder() -> Path:
    """Make the cache folder, for its user alone, unless it exists; raise OSError or RuntimeError where that fails."""
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def usable_folder() -> Path | None:
    """Return the cache folder, made if need be; None, with one line in the log, where it is of no use."""
    try:
        folder = make_cache_folder()
        _probe(folder)
    except (OSError, RuntimeError):
        _say_once(
            f"no writable cache directory ({cache_folder()}): kernels are compiled anew for each process; "
            "CLUSTERSIM_CACHE_DIR names another"
        )
        return None
    return folder if is_private(folder) else None


def _probe(folder: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise PermissionError(folder)


def is_private(folder: Path) -> bool:
    """Return whether only this user, or root, can write to a folder; if not, the log says so."""
    found = folder.stat()
    if _is_safe(found):
        return True
    way_out = f"chmod go-w {folder}, or " if found.st_uid == _user() else ""
    _say_once(
        f"another user can write to the cache directory {folder}: kernels there are not used but compiled anew for "
        f"each process; {way_out}name another folder in CLUSTERSIM_CACHE_DIR"
    )
    return False


def read(path: Path) -> bytes | None:
    """Return the object in a file; None where it is missing, damaged, or could be somebody else's."""
    try:
        if not is_private(path.parent):
            return None
        with path.open("rb") as file:
            if not _is_safe(os.fstat(file.fileno())):
                return None
            content = file.read()
    except (OSError, RuntimeError):
        return None
    start = len(MAGIC) + _CHECKSUM_BYTES
    code = content[start:]
    if content[:start] != MAGIC + hashlib.sha256(code).digest() or not code:
        _log.info("the compiled kernels in %s are damaged: they are compiled anew", path)
        return None
    return code


def write(path: Path, code: bytes) -> None:
    """Keep an object; where that is impossible, the log says so and nothing else happens."""
    if usable_folder() is None:
        return
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(handle, "wb") as file:
            file.write(MAGIC + hashlib.sha256(code).digest() + code)
        Path(beside).replace(path)
    except OSError as error:
        _say_once(
            f"the compiled kernels cannot be kept in {path.parent} ({error.strerror}): each process compiles them"
        )


def _is_safe(found: os.stat_result) -> bool:
    """Return whether nobody but this user and root could have written what was found."""
    user = _user()
    return user is None or (found.st_uid in (0, user) and not found.st_mode & _WRITABLE_BY_OTHERS)


def _user() -> int | None:
    """Return this user's number; None on systems whose files have no owner of that kind."""
    return os.geteuid() if hasattr(os, "geteuid") else None


@cache
def _say_once(sentence: str) -> None:
    _log.warning(sentence)
