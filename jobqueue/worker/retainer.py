"""Applies the retention rules, now and then, a slice at a time; one worker of a queue does it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

from jobqueue.errors import JobQueueError
from jobqueue.inert import inert_logger
from jobqueue.queue.queue import Queue
from jobqueue.queue.retaining import retain
from jobqueue.store.base import Change

log = inert_logger("jobqueue.worker")

FIRST_AFTER = 30.0
"""Seconds from the start of a worker to its first look: what was started by mistake should not begin by clearing away."""
EVERY = 600.0
SLICE = 0.02
"""Seconds of work in one turn; a claim waits no longer than this and the step that was begun."""


class Retainer:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.duty: ExitStack | None = None
        self.steps: Iterator[list[Change]] | None = None
        self.counts: Counter[str] = Counter()

    def turn(self) -> float:
        """Works for a moment; the seconds until the next turn."""
        if not self.queue.config.retention.rules or not self.on_duty():
            return EVERY
        try:
            return self.work()
        except (JobQueueError, OSError) as error:
            log.error("retention: %s", error)
            self.steps = None
            return EVERY

    def on_duty(self) -> bool:
        """Whoever had the duty first keeps it until its worker ends, so that others need not look at all."""
        if self.duty is None:
            with ExitStack() as stack:
                if not stack.enter_context(self.queue.store.duty("retention")):
                    return False
                self.duty = stack.pop_all()
        return True

    def work(self) -> float:
        if self.steps is None:
            self.steps = retain(self.queue.store, self.queue.config.retention, self.queue.clock.now())
            self.counts.clear()
        until = time.monotonic() + SLICE
        for changes in self.steps:
            self.counts.update(change.located.status.value for change in changes if done(change) and change.located)
            if time.monotonic() >= until:
                return 0.0
        self.steps = None
        if self.counts:
            moved = " and ".join(f"{number} {status}" for status, number in sorted(self.counts.items()))
            log.info("retention: moved %s jobs to the trash (%s)", moved, self.queue.config.retention)
        return EVERY

    def close(self) -> None:
        if self.duty is not None:
            self.duty.close()
            self.duty = None


def done(change: Change) -> bool:
    return change.outcome == "changed"
