"""Waiting for jobs, one or many.

A job may end in any process, so waiting means looking: one `stat` for a job that is pending, a few for any other. The
looks come often at first and after news, later seldom, and never so often that they take more than a share of the time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from jobqueue.errors import StillRunning
from jobqueue.model.filter import LONG_AGO
from jobqueue.model.status import FINISHED
from jobqueue.model.times import Duration, parse_duration

if TYPE_CHECKING:
    from jobqueue.queue.handle import JobHandle
    from jobqueue.store.base import Located

R = TypeVar("R")
FIRST, LAST = 0.005, 0.1
"""Seconds between two looks: at the beginning, and when nothing has happened for a while."""
SHARE = 20.0
"""A rest is at least so many times what the look before it took."""


class Pace:
    """How long to rest between two looks, in seconds. Pure."""

    def __init__(self) -> None:
        self.rest = FIRST

    def after(self, cost: float, news: bool) -> float:
        """`cost` is how many seconds the look took, `news` whether it found something."""
        rest = FIRST if news else self.rest
        self.rest = min(rest * 1.5, LAST)
        return max(rest, SHARE * cost)


class Patience:
    """A timeout as it was given, and the moment when it is over."""

    def __init__(self, timeout: Duration | None) -> None:
        self.given = timeout
        seconds = math.inf if timeout is None else parse_duration(timeout, "timeout").total_seconds()
        self.deadline = time.monotonic() + seconds

    @property
    def left(self) -> float:
        return max(0.0, self.deadline - time.monotonic())


def has_ended(job: JobHandle[Any]) -> bool:
    """Done, failed or gone: it will not change by itself any more."""
    status = job.queue.store.where(job.id)
    return status is None or status in FINISHED


def ending(jobs: Iterable[JobHandle[R]], patience: Patience) -> Iterator[list[JobHandle[R]]]:
    """The jobs that have ended since the look before, until none is left; raises `StillRunning` when time is up."""
    left = dict.fromkeys(jobs)
    total, pace = len(left), Pace()
    while left:
        started = time.monotonic()
        ended = [job for job in left if has_ended(job)]
        rest = pace.after(time.monotonic() - started, bool(ended))
        for job in ended:
            del left[job]
        if ended:
            yield ended
        elif not patience.left:
            raise still_running(next(iter(left)), len(left), total, patience)
        if left:
            time.sleep(min(rest, patience.left))


def still_running(first: JobHandle[Any], left: int, total: int, patience: Patience) -> StillRunning:
    one = f"job {first.id}"
    what = f"{one} has" if total == 1 else f"{left:,} of {total:,} jobs (the first is {one}) have"
    return StillRunning(f"{what} not finished in {patience.given}: {first.why()}")


def wait(job: JobHandle[Any], timeout: Duration | None) -> Located:
    """Where the job was when it had finished; raises `JobNotFound` once it is gone."""
    patience = Patience(timeout)
    while True:
        for _ in ending([job], patience):
            pass
        if (located := job.located).status in FINISHED:  # else somebody was quick to retry it
            return located


def as_completed(jobs: Iterable[JobHandle[R]], timeout: Duration | None = None) -> Iterator[JobHandle[R]]:
    """Each job when it has finished, in the order of finishing; a job that is in there twice comes once.

    Failed, cancelled and deleted ones come too: their `result()` raises. Raises `StillRunning`, saying how many are left,
    when `timeout` is over.
    """
    for ended in ending(jobs, Patience(timeout)):
        yield from sorted(ended, key=lambda job: job.finished_at or LONG_AGO)
