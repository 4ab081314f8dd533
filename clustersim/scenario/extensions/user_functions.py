"""Loads a function of the user by its name, `mypackage.module:function`.

A module is looked for in the scenario file's folder, then on `sys.path`. One from the folder is loaded by itself: it
does not stay in `sys.modules`, so that two scenarios may each have a module of the same name beside them, and a module
that was edited is loaded again. The modules that it imports from the folder are loaded with it, and are inputs of the
scenario as well: import them at the top of the module, not inside a function.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from clustersim.errors import ScenarioError
from clustersim.scenario.sections.resolved_section import InputFile, UserFunction

UserCallable = Callable[..., Any]
Answer = TypeVar("Answer")


class UserFunctionError(ValueError):
    """A function that cannot be loaded: what is wrong, and what would be right."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.message, self.hint = message, hint


class _LoadedModule(NamedTuple):
    """A module with the digests of the source files that came with it."""

    module: Any
    sources: tuple[tuple[Path, str], ...]


_loaded: dict[tuple[str, str], _LoadedModule] = {}


def find_user_function(reference: str, folder: Path) -> UserFunction:
    """Return the function named `mypackage.module:function` with the digests of its sources.

    Raises UserFunctionError if it cannot be imported or is no function.
    """
    module, _, name = reference.partition(":")
    parts = [*module.split("."), name]
    if not all(part.isidentifier() for part in parts):
        raise UserFunctionError(f"{reference!r} names no function", "mypackage.module:function")
    loaded = _load(module, folder)
    if not hasattr(loaded.module, name):
        raise UserFunctionError(f"the module {module} has no {name}", f"define {name} at its top level")
    if not callable(getattr(loaded.module, name)):
        kind = type(getattr(loaded.module, name)).__name__
        raise UserFunctionError(f"{reference} is not callable, it is of type {kind}", "name a function")
    inputs = tuple(
        InputFile(path=_input_name(file, module, folder), sha256=sha256) for file, sha256 in loaded.sources
    )
    return UserFunction(reference=reference, folder=str(folder.resolve()), inputs=inputs)


def load_user_function(function: UserFunction) -> UserCallable:
    """Return the function itself. Raises UserFunctionError if its sources are not those of the scenario."""
    found = find_user_function(function.reference, Path(function.folder))
    if found.inputs != function.inputs:
        raise UserFunctionError(
            f"the source of {function.reference} is not the one that the scenario was read with",
            "have the same files where the run takes place",
        )
    module, _, name = function.reference.partition(":")
    loaded: UserCallable = getattr(_load(module, Path(function.folder)).module, name)
    return loaded


class AskedFunction:
    """A function of the user in a run; what is wrong with it is an error of the scenario, at the place that names it.

    Raises ScenarioError if the function is not the one that the scenario was read with.
    """

    def __init__(self, function: UserFunction, place: str) -> None:
        self._reference = function.reference
        self._place = place
        try:
            self._call = load_user_function(function)
        except UserFunctionError as error:
            raise self._failure(str(error)) from error

    def ask(self, now: int, argument: Any, check: Callable[[Any], Answer]) -> Answer:
        """Call the function with its argument at an instant (ms), and return what `check` makes of its answer.

        Raises ScenarioError if the function raises, or if `check` raises ValueError.
        """
        try:
            returned = self._call(argument)
        except Exception as error:
            words = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
            raise self._failure(f"at {now} ms {self._reference} raised {words}") from error
        try:
            return check(returned)
        except ValueError as error:
            raise self._failure(f"at {now} ms {self._reference} {error}") from error

    def _failure(self, message: str) -> ScenarioError:
        return ScenarioError([f"{self._place}: {message}"])


def _load(module: str, folder: Path) -> _LoadedModule:
    """Return a module, loaded once as long as its sources stay the same."""
    key = module, str(folder.resolve())
    known = _loaded.get(key)
    if known is None or any(_sha256(file) != sha256 for file, sha256 in known.sources):
        known = _loaded[key] = _import(module, folder.resolve())
    return known


def _import(module: str, folder: Path) -> _LoadedModule:
    """Import a module from the folder, or else from `sys.path`."""
    top = module.partition(".")[0]
    importlib.invalidate_caches()
    local = importlib.machinery.PathFinder.find_spec(top, [str(folder)])
    try:
        if local is None or top in sys.stdlib_module_names or top == "clustersim":
            loaded = importlib.import_module(module)
            file = Path(getattr(loaded, "__file__", None) or "")
            return _LoadedModule(loaded, ((file, _sha256(file)),) if file.is_file() else ())
        with _importing_from(folder, top) as files:
            loaded = importlib.import_module(module)
        return _LoadedModule(loaded, tuple((file, _sha256(file)) for file in files))
    except (Exception, SystemExit) as error:  # it is the user's code
        missing = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
        if missing:
            message = f"no module {module} in {folder} or on sys.path"
            raise UserFunctionError(message, "put it beside the scenario file, or install it") from error
        words = f"{type(error).__name__}: {' '.join(str(error).split())}".removesuffix(": ")
        raise UserFunctionError(
            f"importing {module} failed: {words}", f"python -c 'import {module}' shows where"
        ) from error


@contextmanager
def _importing_from(folder: Path, top: str) -> Iterator[list[Path]]:
    """Import from `folder` for a while; gives the files that were loaded from it, sorted, when it is over.

    Nothing is written into the folder, and nothing from it stays in `sys.modules`.
    """
    aside = {name: sys.modules.pop(name) for name in list(sys.modules) if f"{name}.".startswith(f"{top}.")}
    before, writes = set(sys.modules), sys.dont_write_bytecode
    files: list[Path] = []
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    try:
        yield files
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(folder))
        for name in sorted(set(sys.modules) - before):
            file = Path(getattr(sys.modules[name], "__file__", None) or "")
            if file.is_relative_to(folder) or f"{name}.".startswith(f"{top}."):
                del sys.modules[name]
                files += [file] if file.is_file() else []
        sys.modules.update(aside)
        files.sort()


def _input_name(file: Path, module: str, folder: Path) -> str:
    """Return the path of a source as an input: below the scenario's folder, or else below the module's own root."""
    if file.is_relative_to(folder.resolve()):
        return file.relative_to(folder.resolve()).as_posix()
    steps = len(module.split(".")) + (file.name == "__init__.py")
    return Path(*file.parts[-steps:]).as_posix()


def _sha256(file: Path) -> str:
    """Return the digest of a file; empty if it is not there any more."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
