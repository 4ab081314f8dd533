"""Functions of the user: where they are looked for, what becomes an input, what is said of one that is missing."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from clustersim.scenario.extensions.user_functions import (
    UserFunctionError,
    find_user_function,
    load_user_function,
)


def save(folder: Path, **sources: str) -> Path:
    """Write modules; a name with two underscores is one in a package."""
    for name, source in sources.items():
        path = folder / (name.replace("__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return folder


def call(reference: str, folder: Path) -> object:
    return load_user_function(find_user_function(reference, folder))(None)


def test_two_folders_may_have_modules_of_the_same_name(tmp_path: Path) -> None:
    """Also those that they import; nothing of them stays loaded."""
    source = "from mine_helper import NUMBER\ndef answer(_):\n    return NUMBER\n"
    one = save(tmp_path / "one", mine=source, mine_helper="NUMBER = 1\n")
    two = save(tmp_path / "two", mine=source, mine_helper="NUMBER = 2\n")
    assert [call("mine:answer", folder) for folder in (one, two, one)] == [1, 2, 1]
    assert not {"mine", "mine_helper"} & set(sys.modules)
    assert str(one) not in sys.path


def test_a_module_of_a_package_is_found_in_the_folder_and_nothing_is_written_there(tmp_path: Path) -> None:
    folder = save(tmp_path, mine__deep__rules="def answer(_):\n    return 3\n")
    assert call("mine.deep.rules:answer", folder) == 3
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["rules.py"]


def test_the_folder_goes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that was imported from elsewhere stays what it is for all others."""
    elsewhere = save(tmp_path / "path", mine_both="def answer(_):\n    return 'path'\n")
    monkeypatch.syspath_prepend(str(elsewhere))
    import mine_both  # type: ignore[import-not-found]  # it has just been written

    folder = save(tmp_path / "folder", mine_both="def answer(_):\n    return 'folder'\n")
    assert call("mine_both:answer", folder) == "folder"
    assert sys.modules["mine_both"] is mine_both
    assert call("mine_both:answer", tmp_path / "empty") == "path"


def test_the_sources_beside_the_scenario_are_inputs(tmp_path: Path) -> None:
    folder = save(tmp_path, mine__rules="import mine.more\ndef answer(_): ...\n", mine__more="", other="")
    inputs = find_user_function("mine.rules:answer", folder).inputs
    assert [each.path for each in inputs] == ["mine/more.py", "mine/rules.py"]
    assert inputs[1].sha256 == hashlib.sha256((folder / "mine/rules.py").read_bytes()).hexdigest()


def test_a_source_that_was_edited_is_loaded_again(tmp_path: Path) -> None:
    folder = save(tmp_path, mine="def answer(_):\n    return 1\n")
    before = find_user_function("mine:answer", folder)
    save(folder, mine="def answer(_):\n    return 2\n")
    assert call("mine:answer", folder) == 2
    with pytest.raises(UserFunctionError, match="not the one that the scenario was read with"):
        load_user_function(before)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("mine", "'mine' names no function; mypackage.module:function"),
        ("mine:", "names no function"),
        ("mine.py:answer", "no module mine.py in .* or on sys.path; put it beside the scenario file"),
        ("../mine:answer", "names no function"),
        ("theirs.rules:answer", "no module theirs.rules in"),
        ("mine:question", "the module mine has no question; define question at its top level"),
        ("mine:NUMBER", "mine:NUMBER is not callable, it is of type int"),
        ("broken:answer", "importing broken failed: ZeroDivisionError: division by zero; python -c"),
        ("leaves:answer", "importing leaves failed: SystemExit: 3"),
        ("lacking:answer", "importing lacking failed: ModuleNotFoundError: No module named 'theirs'"),
        ("wrong:answer", "importing wrong failed: SyntaxError"),
    ],
)
def test_what_cannot_be_loaded_is_said(tmp_path: Path, reference: str, words: str) -> None:
    folder = save(
        tmp_path,
        mine="NUMBER = 1\n",
        broken="1 / 0\n",
        leaves="raise SystemExit(3)\n",
        lacking="import theirs\n",
        wrong="def answer(:\n",
    )
    with pytest.raises(UserFunctionError, match=words):
        find_user_function(reference, folder)
