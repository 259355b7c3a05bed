"""The handlers of a worker, loaded from modules and files; it runs these and nothing else."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from jobqueue.errors import HandlerError
from jobqueue.model.limit import NO_LIMIT, Limit, limit_name
from jobqueue.model.request import nearest
from jobqueue.model.retry import RetryPolicy
from jobqueue.queue.handler import Handler, handler_of, mark_of
from jobqueue.queue.shape import Function


class Registry:
    """The handlers of a worker by type. `names` are the modules they came from, as another process can load them."""

    def __init__(self, handlers: Iterable[Handler] = (), names: Iterable[str] = ()) -> None:
        self.names = tuple(names)
        self._handlers: dict[str, Handler] = {}
        for handler in handlers:
            self._add(handler)

    @classmethod
    def of(cls, *functions: Function) -> Registry:
        """A registry of marked functions that are at hand: for tests, and for a worker in the same process."""
        return cls(map(handler_of, functions))

    @classmethod
    def load(cls, names: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> Registry:
        """Imports modules (`shop.jobs`) and files (`handlers.py`) and takes the marked functions in them."""
        handlers: list[Handler] = []
        loaded: list[str] = []
        for given in [names] if isinstance(names, (str, os.PathLike)) else names:
            name = os.fspath(given)
            module, again = load_file(name) if is_file_name(name) else (load_module(name), name)
            marked = [handler_of(value) for value in vars(module).values() if mark_of(value)]
            if not marked:
                raise HandlerError(f"{name}: no handlers in it; write @handler above a function (from jobqueue import handler)")
            handlers += marked
            loaded.append(again)
        return cls(handlers, loaded)

    def _add(self, handler: Handler) -> None:
        known = self._handlers.setdefault(handler.type, handler)
        # The same source may have been imported under two names; that is one handler, not two.
        if known.function is not handler.function and known.place != handler.place:
            raise HandlerError(
                f"type {handler.type!r}: two handlers, {describe(known)} and {describe(handler)}; "
                "give one of them another type, with @handler(type=...)"
            )

    def get(self, type: str) -> Handler | None:
        return self._handlers.get(type)

    @property
    def types(self) -> frozenset[str]:
        return frozenset(self._handlers)

    @property
    def policies(self) -> dict[str, RetryPolicy]:
        return {type: handler.policy for type, handler in self._handlers.items()}

    @property
    def versions(self) -> dict[str, str]:
        """At which pipeline version each type runs."""
        return {type: handler.version for type, handler in self._handlers.items()}

    @property
    def codes(self) -> dict[str, str]:
        """The hash of the source of each."""
        return {type: handler.code for type, handler in self._handlers.items()}

    @property
    def subjects(self) -> dict[str, str]:
        """What tells the subject of a job, for those that have one."""
        return {type: handler.subject for type, handler in self._handlers.items() if handler.subject is not None}

    def told(self) -> dict[str, Any]:
        """What a worker tells of its handlers, for those who rescue, enqueue or ask in its place."""
        return {name: getattr(self, name) for name in ("policies", "versions", "codes", "subjects")}

    @property
    def limits(self) -> dict[str, Limit]:
        """What the marks of the handlers say, by the names of limits."""
        return {limit_name(type): handler.limit for type, handler in self._handlers.items() if handler.limit != NO_LIMIT}


def registry_of(handlers: Any) -> Registry:
    """A registry from itself, from marked functions, from modules, or from the names of modules and files."""
    if isinstance(handlers, Registry):
        return handlers
    alone = isinstance(handlers, (str, os.PathLike, ModuleType)) or callable(handlers)
    given = [handlers] if alone else list(handlers)
    if all(callable(one) for one in given):
        return Registry.of(*given)
    return Registry.load([one.__name__ if isinstance(one, ModuleType) else one for one in given])


def describe(handler: Handler) -> str:
    return f"{handler.function.__module__}.{handler.function.__qualname__} ({handler.place})"


being_run: dict[str, threading.RLock] = {}
"""A lock for each file that runs under a name of its own, as the import system has one for each module."""


def is_file_name(name: str) -> bool:
    return name.endswith(".py") or "/" in name or os.sep in name


def load_module(name: str) -> ModuleType:
    """A module by its dotted name; the current folder is searched last, as the command line starts elsewhere."""
    put_on_path(Path.cwd(), last=True)
    return run_import(name, lambda: importlib.import_module(name))


def load_file(name: str) -> tuple[ModuleType, str]:
    """The module in a .py file, and its absolute path."""
    path = Path(name).expanduser().absolute()
    if not path.is_file():
        files = sorted(entry.name for entry in path.parent.glob("*.py"))
        close = difflib.get_close_matches(path.name, files, n=1)
        raise HandlerError(f"{name}: no such file in {path.parent}" + (f" (did you mean {close[0]!r}?)" if close else ""))
    root, module_name = importable_name(path)
    put_on_path(root)
    put_on_path(path.parent, last=True)
    return run_import(name, lambda: import_file(module_name, path)), str(path)


def importable_name(path: Path) -> tuple[Path, str]:
    """The folder to search and the dotted name under which everybody else imports this file."""
    parts = [] if path.stem == "__init__" else [path.stem]
    folder = path.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def put_on_path(folder: Path, last: bool = False) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(len(sys.path) if last else 0, str(folder))


def import_file(name: str, path: Path) -> ModuleType:
    """Under its usual name, unless that means another file (a handlers file called queue.py); then under one of its own."""
    importlib.invalidate_caches()  # the file may be newer than what the import system remembers of its folder
    try:
        spec = importlib.util.find_spec(name) if path.stem.isidentifier() else None
    except ValueError:  # a module of this name is loaded that came from no file
        spec = None
    if spec is not None and spec.origin and os.path.exists(spec.origin) and os.path.samefile(spec.origin, path):
        return importlib.import_module(name)
    own_name = f"{path.stem}_{hashlib.blake2s(os.fsencode(path), digest_size=4).hexdigest()}"
    with being_run.setdefault(own_name, threading.RLock()):  # another thread may be in the middle of running it
        return sys.modules.get(own_name) or run_file(own_name, path)


def run_file(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise HandlerError("not a Python file; its name must end in .py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def run_import(name: str, load: Callable[[], ModuleType]) -> ModuleType:
    try:
        return load()
    except HandlerError as error:
        raise HandlerError(f"{name}: {error}") from None
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and f"{name}.".startswith(f"{error.name}."):
            files = [entry.stem for entry in Path.cwd().glob("*.py")]
            raise HandlerError(
                f"{name}: no module of this name{nearest(name, set(files))}; give a module, or the path of a .py file"
            ) from None
        raise HandlerError(f"{name}: fails on import: {type(error).__name__}: {error}{raised_at(error)}") from error


def raised_at(error: BaseException) -> str:
    """Where an import failed, in the user's code; empty where none of it ran (a syntax error names its own place)."""
    ours = ("<frozen importlib", importlib.__file__, __file__)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(ours)]
    return f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
