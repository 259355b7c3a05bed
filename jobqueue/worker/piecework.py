"""Long work beside the jobs, in slices of a few milliseconds; one worker of a queue does it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack

from jobqueue.errors import JobQueueError
from jobqueue.inert import inert_logger
from jobqueue.store.base import Store

log = inert_logger("jobqueue.worker")

SLICE = 0.02
"""Seconds of work in one turn; a claim waits no longer than this and the step that was begun."""


class Piecework:
    """`begin` makes the steps of one round, `every` is the seconds between two. `duty` names what one worker at a time has;
    without one (the empty text) the work sees to that itself."""

    def __init__(self, store: Store, duty: str, every: float, begin: Callable[[], Iterator[object]]) -> None:
        self.store = store
        self.name = duty
        self.every = every
        self.begin = begin
        self.duty: ExitStack | None = None
        self.steps: Iterator[object] | None = None

    def turn(self) -> float:
        """Works for a moment; the seconds until the next turn."""
        if not self.on_duty():
            return self.every
        try:
            return self.work()
        except (JobQueueError, OSError) as error:
            log.error("%s: %s", self.name or "sweeping", error)
            self.stop()
            return self.every

    def on_duty(self) -> bool:
        """Whoever had the duty first keeps it until its worker ends, so that others need not look at all."""
        if self.name and self.duty is None:
            with ExitStack() as stack:
                if not stack.enter_context(self.store.duty(self.name)):
                    return False
                self.duty = stack.pop_all()
        return True

    def work(self) -> float:
        if self.steps is None:
            self.steps = self.begin()
        until = time.monotonic() + SLICE
        for _ in self.steps:
            if time.monotonic() >= until:
                return 0.0
        self.steps = None
        return self.every

    def stop(self) -> None:
        """Gives up what was begun: another round begins from the start."""
        steps, self.steps = self.steps, None
        if isinstance(steps, Generator):
            steps.close()

    def close(self) -> None:
        self.stop()
        if self.duty is not None:
            self.duty.close()
            self.duty = None
