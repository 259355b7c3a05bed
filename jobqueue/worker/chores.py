"""What every worker does beside running jobs. Any worker may do it at any time, and twice does no harm."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from jobqueue.errors import QueueFolderError
from jobqueue.inert import inert_logger
from jobqueue.queue.queue import Queue
from jobqueue.worker.piecework import Piecework
from jobqueue.worker.retainer import EVERY, FIRST_AFTER, Keeper, Retainer
from jobqueue.worker.run import one_line
from jobqueue.worker.scheduler import LOOK_EVERY as SCHEDULES_EVERY
from jobqueue.worker.scheduler import Scheduler

log = inert_logger("jobqueue.worker")

RESCUE_EVERY = 0.4
"""Seconds between two looks at dead owners: well below the second that is promised."""
SWEEP_EVERY = 600.0


@dataclass
class Chore:
    """Something to be done every so many seconds."""

    every: float
    act: Callable[[], float | None]
    """It may answer in how many seconds its next turn shall be, should that be another time."""
    due_at: float = 0.0


class Chores:
    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.retainer = Retainer(queue)
        self.said = ""
        self.keeper = Keeper(queue)
        self.sweeper = Piecework(queue.store, "", SWEEP_EVERY, queue.store.sweeping)
        self.all = [
            Chore(RESCUE_EVERY, self.rescue),
            Chore(SWEEP_EVERY, self.sweeper.turn, time.monotonic() + SWEEP_EVERY * random.random()),
            Chore(SCHEDULES_EVERY, Scheduler(queue).turn),
            Chore(EVERY, self.retainer.turn, time.monotonic() + FIRST_AFTER * (1 + random.random())),
            Chore(EVERY, self.keeper.turn, time.monotonic() + FIRST_AFTER * (1 + random.random())),
        ]

    def do_due(self) -> None:
        """Does what its time has come for."""
        for chore in self.all:
            if time.monotonic() >= chore.due_at:
                seconds = self.attempt(chore)
                chore.due_at = time.monotonic() + (chore.every if seconds is None else seconds)

    def attempt(self, chore: Chore) -> float | None:
        """A disk that refuses a chore stops no worker: the next turn tries again."""
        try:
            return chore.act()
        except QueueFolderError:
            raise
        except OSError as error:
            if str(error) != self.said:  # once, and not at every turn
                self.said = str(error)
                log.error("a chore could not be done (%s); trying again", error)
            return None

    def rescue(self) -> None:
        if rescued := self.queue.store.rescue():
            more = f" and {len(rescued) - 3} more" if len(rescued) > 3 else ""
            log.warning("took back what dead workers held: %s%s", ", ".join(map(one_line, rescued[:3])), more)

    def close(self) -> None:
        """Leaves to others what one worker has as its duty."""
        for work in (self.retainer, self.keeper, self.sweeper):
            work.close()
