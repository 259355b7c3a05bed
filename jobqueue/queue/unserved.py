"""Nothing is more puzzling than a job that nobody will ever run: say so, once in a while."""

from __future__ import annotations

import sys
import time
import warnings

from jobqueue.errors import NoWorkerWarning
from jobqueue.store.base import Store, WorkerInfo

LOOK_EVERY = 5.0
WARN_EVERY = 60.0


class Unserved:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.seen: tuple[float, list[WorkerInfo]] = (-LOOK_EVERY, [])
        self.warned: dict[str, float] = {}

    def warn(self, type: str) -> None:
        """Warns where no live worker serves this type: at most once a minute, and never by an old look at the workers."""
        now = time.monotonic()
        if now - self.warned.get(type, -WARN_EVERY) < WARN_EVERY:
            return
        if now - self.seen[0] < LOOK_EVERY and self.is_served(type):
            return
        self.seen = (now, self.store.workers())
        if not self.is_served(type):
            self.warned[type] = now
            text = (
                f"no live worker serves {type!r} in {self.store.url}; the job waits. Start one: python -m jobqueue.worker, or "
                "queue.ensure_worker('handlers.py'); or run it here: queue.drain()"
            )
            warnings.warn(text, NoWorkerWarning, stacklevel=callers_level())

    def is_served(self, type: str) -> bool:
        return any(worker.serves(type) for worker in self.seen[1])


def callers_level() -> int:
    """The stack level of the first line outside this package: the one to which a warning should point."""
    package = __name__.partition(".")[0]
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    return level
