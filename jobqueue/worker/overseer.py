"""Looks after the jobs that run now: asked to stop, lost, or running too long."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from jobqueue.inert import inert_logger
from jobqueue.queue.handler import Handler
from jobqueue.store.base import Claim, Store
from jobqueue.worker.executor import Ending, Slots
from jobqueue.worker.run import one_line

log = inert_logger("jobqueue.worker")

CANCEL_GRACE = 5.0
LONGEST_START = 60.0
"""Seconds that the process of a job may take to load the handlers before that counts as running."""


@dataclass
class Running:
    """A job that is in the executor now. It may run for `timeout` seconds from `started_at` on (on the monotonic clock);
    `killed_for` says why it was ended."""

    claim: Claim
    future: Ending
    handler: Handler
    timeout: float | None = None
    started_at: float = 0.0
    waited: float = 0.0
    """How long its process took to start, which does not count."""
    asked_at: float | None = None
    terminated_at: float | None = None
    killed_for: str = ""


class Overseer:
    """`grace` is how many seconds a job gets between being asked to stop and SIGTERM, and from there to SIGKILL."""

    def __init__(self, store: Store, slots: Slots, owner: str, grace: float = CANCEL_GRACE) -> None:
        self.store = store
        self.slots = slots
        self.owner = owner
        self.grace = grace

    def look_after(self, running: Iterable[Running]) -> None:
        """One sign of life for all of them, and a step further for each that has to end.

        Raises `QueueFolderError` where this worker can no longer know that it is the only one who holds them.
        """
        jobs = list(running)
        states = self.store.extend(self.owner, [job.claim for job in jobs])
        for job in jobs:
            self.step(job, states.get(job.claim.job.id, "ok"))

    def step(self, running: Running, state: str) -> None:
        """One step at a time: ask (a mark that the handler can see), then SIGTERM, then SIGKILL."""
        now = time.monotonic()
        if running.terminated_at is not None:
            if now - running.terminated_at >= self.grace:
                self.slots.kill(running.future, hard=True)
        elif running.timeout is not None and self.ran_for(running, now) >= running.timeout:
            running.killed_for = "timeout"
            self.terminate(running, "it ran longer than its timeout")
        elif state != "ok" and running.asked_at is None:
            running.asked_at = now
        elif running.asked_at is not None and now - running.asked_at >= self.grace:
            self.terminate(running, "it was asked to stop")

    def ran_for(self, running: Running, now: float) -> float:
        """Seconds that it ran: those in which its process was still starting count only beyond a limit."""
        if self.slots.starting(running.future) and now - running.started_at < LONGEST_START:
            running.waited = now - running.started_at
        return now - running.started_at - running.waited

    def terminate(self, running: Running, why: str) -> None:
        running.terminated_at = time.monotonic()
        if self.slots.can_kill:
            log.warning("ending the process of %s: %s", one_line(running.claim.job.id), why)
            self.slots.kill(running.future, hard=False)
