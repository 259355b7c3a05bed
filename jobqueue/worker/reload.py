"""`--reload`, for development: the worker starts anew when the code of its handlers changes.

Looked at are the .py files beside the handlers, and those of all modules that were loaded from their folders or from the
current one; what is installed is left alone.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from jobqueue.errors import HandlerError
from jobqueue.inert import inert_logger
from jobqueue.queue.registry import Registry

log = inert_logger("jobqueue.worker")

LOOK_EVERY = 0.5
INSTALLED = ("site-packages", "dist-packages")
Stamps = dict[str, tuple[int, int]]
"""By path: when a file was changed (ns), and its size."""


class Reloader:
    """`handlers` are the modules and files that the worker was given."""

    def __init__(self, handlers: Sequence[str]) -> None:
        self.handlers = handlers
        self.changed = ""
        """The file that was changed; empty while there is none."""
        self.seen: Stamps = {}
        self.looked_at = 0.0

    def load(self) -> Registry:
        """The handlers. Where they cannot be imported it says why, waits for the next change, and starts anew."""
        before = self.stamps()  # what is changed while it is imported has changed
        problem = ""
        try:
            registry = Registry.load(self.handlers)
        except HandlerError as error:
            problem = str(error)
        self.seen = self.stamps() | before
        if not problem:
            return registry
        log.error("%s", problem)
        log.error("waiting for a change of the code")
        while not self.look():
            time.sleep(LOOK_EVERY)
        return self.start_anew()

    def look(self) -> bool:
        """Whether a file has changed since the handlers were loaded; looks at most twice a second."""
        if not self.changed and time.monotonic() - self.looked_at >= LOOK_EVERY:
            self.looked_at = time.monotonic()
            now = self.stamps()
            self.changed = min((path for path in now.keys() | self.seen if now.get(path) != self.seen.get(path)), default="")
        return bool(self.changed)

    def stamps(self) -> Stamps:
        folders = {Path.cwd(), *(Path(name).expanduser().absolute().parent for name in self.handlers if name.endswith(".py"))}
        return stamps_of({*loaded_from(folders), *beside(self.handlers)})

    def start_anew(self) -> NoReturn:
        """The same command in the same process, with everything imported again."""
        log.info("%s changed: starting anew", os.path.relpath(self.changed))
        logging.shutdown()
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def loaded_from(folders: Iterable[Path]) -> Iterator[str]:
    """The files of the modules that were imported from these folders."""
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if isinstance(file, str) and file.endswith(".py") and is_own(Path(file), folders):
            yield file


def is_own(file: Path, folders: Iterable[Path]) -> bool:
    return any(file.is_relative_to(folder) for folder in folders) and not set(INSTALLED) & set(file.parts)


def beside(handlers: Iterable[str]) -> Iterator[str]:
    """The handlers' own files and their neighbours: one that was not imported may be just the one that was missing."""
    for name in handlers:
        if name.endswith(".py"):
            yield from map(str, Path(name).expanduser().absolute().parent.glob("*.py"))
        else:
            place = Path(*name.split("."))
            yield from map(str, (place.with_suffix(".py").absolute(), *place.absolute().glob("*.py")))


def stamps_of(paths: Iterable[str]) -> Stamps:
    stamps = {}
    for path in paths:
        try:
            status = os.stat(path)
        except OSError:  # not there (now): that it comes is a change
            continue
        stamps[path] = (status.st_mtime_ns, status.st_size)
    return stamps
