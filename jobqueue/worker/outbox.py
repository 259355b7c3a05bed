"""Outcomes wait here for one another, so that a busy worker shares the syncs of many; a lone one goes at once."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

from jobqueue.inert import inert_logger
from jobqueue.model.transition import Transition
from jobqueue.store.base import Claim, Store
from jobqueue.worker.run import one_line

log = inert_logger("jobqueue.worker")

LONGEST_WAIT = 0.05
LARGEST_GROUP = 256
TRY_AGAIN = (0.1, 0.5, 1, 2, 5, 10, 20, 30)
"""Seconds between the tries of a worker whose disk refuses an outcome; after the last it gives up and exits, and its
lock frees its jobs."""


class Outbox:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.lock = threading.RLock()
        self.waiting: list[tuple[Claim, Transition]] = []
        self.since = 0.0
        self.filled = threading.Event()
        self.watcher: threading.Thread | None = None
        self.closed = threading.Event()
        self.failed: BaseException | None = None

    def add(self, claim: Claim, transition: Transition) -> None:
        with self.lock:
            if not self.waiting:
                self.since = time.monotonic()
                self.filled.set()
            self.waiting.append((claim, transition))

    @property
    def due(self) -> bool:
        """Whether the group is large or old enough to be stored now, whatever else there is to do."""
        return len(self.waiting) >= LARGEST_GROUP or (bool(self.waiting) and time.monotonic() - self.since >= LONGEST_WAIT)

    @property
    def due_in(self) -> float:
        """Seconds until what waits shall be stored, whatever there is to do; a long time where nothing waits."""
        return max(0.0, self.since + LONGEST_WAIT - time.monotonic()) if self.waiting else 3600.0

    def flush(self) -> None:
        """Stores what waits; raises what made that impossible, whichever thread had tried."""
        with self.lock:
            if self.failed is not None:
                raise self.failed
            group, self.waiting = self.waiting, []
            self.filled.clear()
            if not group:
                return
            kept = self.store_or_try_again(group)
        for (claim, _), ok in zip(group, kept, strict=True):
            if not ok:
                log.warning("dropped the outcome of %s: the job was taken away while it ran", one_line(claim.job.id))

    def store_or_try_again(self, group: list[tuple[Claim, Transition]]) -> list[bool]:
        for pause in TRY_AGAIN:
            try:
                return self.store.apply(group)
            except OSError as error:
                log.error("cannot store %d outcomes (%s); trying again in %s s", len(group), error, pause)
                time.sleep(pause)
        try:
            return self.store.apply(group)
        except BaseException as error:
            self.failed = error
            raise

    def watch(self) -> None:
        """For handlers that run in the worker's own thread: stores a group that gets old while one of them is running."""
        self.watcher = threading.Thread(target=self.flush_old_ones, name="jobqueue-outbox", daemon=True)
        self.watcher.start()

    def flush_old_ones(self) -> None:
        while not self.closed.is_set():
            self.filled.wait()
            self.closed.wait(LONGEST_WAIT)
            if self.due:
                with suppress(OSError):  # the worker's own thread meets it at its next flush
                    self.flush()

    def close(self, *, store: bool = True) -> None:
        """Stores what waits (without `store` it is given up: it is not ours any more) and ends the watcher."""
        try:
            if store:
                self.flush()
        finally:
            self.closed.set()
            self.filled.set()
            if self.watcher is not None:
                self.watcher.join(1)
