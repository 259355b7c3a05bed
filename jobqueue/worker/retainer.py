"""Applies the retention rules, and packs old files of the journal, now and then and a slice at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from jobqueue.inert import inert_logger
from jobqueue.queue.queue import Queue
from jobqueue.queue.retaining import retain
from jobqueue.store.base import Change
from jobqueue.worker.piecework import Piecework

log = inert_logger("jobqueue.worker")

FIRST_AFTER = 30.0
"""Seconds from the start of a worker to its first look: what was started by mistake should not begin by clearing away."""
EVERY = 600.0


class Retainer(Piecework):
    def __init__(self, queue: Queue) -> None:
        super().__init__(queue.store, "retention", EVERY, self.steps_of_a_round)
        self.queue = queue

    def turn(self) -> float:
        return super().turn() if self.queue.config.retention.rules else EVERY

    def steps_of_a_round(self) -> Iterator[list[Change]]:
        counts: Counter[str] = Counter()
        for changes in retain(self.store, self.queue.config.retention, self.queue.clock.now()):
            counts.update(change.located.status.value for change in changes if done(change) and change.located)
            yield changes
        if counts:
            moved = " and ".join(f"{number} {status}" for status, number in sorted(counts.items()))
            log.info("retention: moved %s jobs to the trash (%s)", moved, self.queue.config.retention)


class Keeper(Piecework):
    """Keeps the journal: see `Store.keep_journal`."""

    def __init__(self, queue: Queue) -> None:
        super().__init__(queue.store, "journal", EVERY, self.steps_of_a_round)
        self.queue = queue

    def steps_of_a_round(self) -> Iterator[None]:
        counts: Counter[str] = Counter()
        for kept in self.store.keep_journal(self.queue.clock.now(), self.queue.config.retention.journal):
            if kept is not None:
                counts[kept.change] += 1
            yield
        for change, number in sorted(counts.items()):
            log.info("journal: %s %d file%s", change, number, "" if number == 1 else "s")


def done(change: Change) -> bool:
    return change.outcome == "changed"
