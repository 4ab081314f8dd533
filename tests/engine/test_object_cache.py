"""The cache of compiled programs: what is damaged or could be another user's is not loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from clustersim.engine import object_cache, program
from clustersim.engine.sources import CHECKS

CODE = bytes(range(256)) * 40
ROOT = Path(__file__).parent.parent.parent

CHECKS_ARE_LOADED = """
import logging
logging.basicConfig(level=logging.INFO)
import clustersim.world.checks.invariants
from clustersim.engine import program
from clustersim.engine.compiled import ENTRIES
symbol = next(symbol for symbol, entry in ENTRIES.items() if entry.program == "checks")
print(program.address(symbol, "checks") > 0, program.path("checks"))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet, and a log that has said nothing."""
    monkeypatch.setenv("CLUSTERSIM_CACHE_DIR", str(tmp_path / "cache"))
    object_cache._say_once.cache_clear()
    return tmp_path / "cache"


def _kept(folder: Path) -> Path:
    path = folder / "kernels-0.program"
    object_cache.write(path, CODE)
    return path


def test_what_was_written_is_read(folder: Path) -> None:
    path = _kept(folder)
    assert object_cache.read(path) == CODE
    assert list(folder.iterdir()) == [path]


def test_a_missing_file_is_none(folder: Path) -> None:
    assert object_cache.read(folder / "kernels-0.program") is None
    folder.mkdir()
    assert object_cache.read(folder / "kernels-0.program") is None


@pytest.mark.parametrize(
    "kept", [0, 10, len(object_cache.MAGIC) + 31, len(object_cache.MAGIC) + 32, 5_000, -1]
)
def test_a_truncated_file_is_not_loaded(folder: Path, kept: int, caplog: pytest.LogCaptureFixture) -> None:
    """The loader would follow its tables beyond the end: every later run ended with a segmentation fault."""
    path = _kept(folder)
    path.write_bytes(path.read_bytes()[:kept])
    with caplog.at_level("INFO"):
        assert object_cache.read(path) is None
    assert caplog.messages == [f"the compiled kernels in {path} are damaged: they are compiled anew"]


@pytest.mark.parametrize("at", [0, 25, 60, 5_000, -1])
def test_a_flipped_bit_is_noticed(folder: Path, at: int) -> None:
    """In the header, the checksum, or the object."""
    path = _kept(folder)
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    assert object_cache.read(path) is None


def test_a_bare_object_of_an_earlier_version_is_not_loaded(folder: Path) -> None:
    path = _kept(folder)
    path.write_bytes(CODE)
    assert object_cache.read(path) is None


def test_the_folder_is_its_users_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        _kept(folder)
    finally:
        os.umask(before)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o1777])
def test_a_folder_that_others_can_write_to_is_not_used(
    folder: Path, mode: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever can write there could have any code run; one line names the folder and the way out."""
    path = _kept(folder)
    folder.chmod(mode)
    assert object_cache.read(path) is None
    object_cache.write(folder / "kernels-1.program", CODE)
    assert list(folder.iterdir()) == [path]
    assert len(caplog.messages) == 1
    assert f"another user can write to the cache directory {folder}" in caplog.messages[0]
    assert f"chmod go-w {folder}, or name another folder in CLUSTERSIM_CACHE_DIR" in caplog.messages[0]


def test_a_folder_of_another_user_is_not_used(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its owner can write there at any time; root's is taken, as all that root installs is."""
    path = _kept(folder)
    monkeypatch.setattr(object_cache, "_user", lambda: os.geteuid() + 1)
    if os.geteuid() == 0:
        assert object_cache.read(path) == CODE
        return
    assert object_cache.read(path) is None
    assert "chmod" not in caplog.messages[0]


def test_a_file_that_others_can_write_to_is_not_loaded(folder: Path) -> None:
    path = _kept(folder)
    path.chmod(0o622)
    assert object_cache.read(path) is None


def test_where_nothing_can_be_written_the_log_says_so_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("CLUSTERSIM_CACHE_DIR", str(tmp_path / "file" / "cache"))
    object_cache._say_once.cache_clear()
    for _ in range(2):
        object_cache.write(tmp_path / "file" / "cache" / "kernels-0.program", CODE)
    assert len(caplog.messages) == 1
    assert "no writable cache directory" in caplog.messages[0]


def test_the_next_process_compiles_a_damaged_program_again(folder: Path) -> None:
    """By the smaller of the two programs; it lies where that is looked for and is cut off in the middle."""
    path = folder / program.path(CHECKS).name
    object_cache.write(path, CODE)
    path.write_bytes(path.read_bytes()[:5_000])
    done = subprocess.run(
        [sys.executable, "-c", CHECKS_ARE_LOADED],
        env={**os.environ, "PYTHONPATH": str(ROOT), "CLUSTERSIM_KERNELS": "program"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["True", str(path)]
    assert "are damaged: they are compiled anew" in done.stderr
    assert object_cache.read(path) not in (None, CODE)
