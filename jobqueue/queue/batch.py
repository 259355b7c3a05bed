"""Many jobs at once: what `enqueue_many` answers with, and what `queue.batch(name)` finds again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

import msgspec

from jobqueue.errors import InvalidJob, JobFailed, JobNotFound
from jobqueue.inert import inert
from jobqueue.model.filter import LONG_AGO, Filter
from jobqueue.model.status import Status
from jobqueue.model.times import Duration, short
from jobqueue.model.transition import SUPERSEDED
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.choosing import read_filter
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.showing import mimebundle
from jobqueue.queue.waiting import Patience, as_completed, ending, has_ended

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue

R = TypeVar("R")
T = TypeVar("T")


class BatchProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a batch has come; `total` is the sum of the five counts behind it.

    `gone` jobs were deleted or purged. `percent` counts a running job by its own progress; `seconds_left` is an estimate
    from what ended since this batch was first asked, None where nothing tells it, or nothing is left.
    """

    total: int
    done: int = 0
    failed: int = 0
    running: int = 0
    pending: int = 0
    gone: int = 0
    percent: float = 0.0
    seconds_left: float | None = None

    def __call__(self) -> BatchProgress:
        """`batch.progress()` is `batch.progress`."""
        return self

    def __float__(self) -> float:
        return self.percent

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        words = ("done", "failed", "running", "pending", "gone")
        parts = [f"{getattr(self, word):,} {word}" for word in words if getattr(self, word)]
        left = "" if self.seconds_left is None else f", {short(self.seconds_left)} left"
        return f"{self.percent:.0f} % of {self.total:,} jobs ({', '.join(parts) or 'none'}){left}"


class Batch(list[JobHandle[R]]):
    """A list of handles, in the order in which they were enqueued, and what one may ask of all of them together."""

    def __init__(self, jobs: Iterable[JobHandle[R]] = (), *, name: str = "", superseded: int = 0) -> None:
        super().__init__(jobs)
        self.name = name
        self.superseded = superseded
        self.first_seen: tuple[float, float] | None = None

    @overload
    def results(self, timeout: Duration | None = None, errors: Literal["raise"] = "raise") -> list[R]: ...
    @overload
    def results(self, timeout: Duration | None = None, *, errors: Literal["return"]) -> list[R | Exception]: ...
    def results(self, timeout: Duration | None = None, errors: str = "raise") -> list[Any]:
        """What the handlers returned, in order; waits for all of them.

        The first `JobFailed` is raised; with `errors="return"` it stands in the place of the result instead, as
        `JobNotFound` does for a job that was deleted.
        """
        if errors not in ("raise", "return"):
            raise InvalidJob(f"errors: {errors!r} is unknown; give raise or return")
        self.wait(timeout)
        return [result_of(job, errors) for job in self]

    @property
    def id(self) -> str | None:
        """That of the first job."""
        return self[0].id if self else None

    @property
    def ids(self) -> list[str]:
        return [job.id for job in self]

    @property
    def message(self) -> str:
        """What enqueueing it did, in one sentence."""
        text = f"{count_of(len(self), 'job')} in the batch {self.name!r}" if self.name else count_of(len(self), "job")
        earlier = f", {count_of(self.superseded, 'unfinished job')} of an earlier run cancelled" if self.superseded else ""
        return inert(text + earlier)

    def wait(self, timeout: Duration | None = None) -> Batch[R]:
        """Waits until all have ended; raises `StillRunning`, saying how many have not, when `timeout` is over."""
        for _ in ending(self, Patience(timeout)):
            pass
        return self

    def as_completed(self, timeout: Duration | None = None) -> Iterator[JobHandle[R]]:
        """Each job when it has finished, in the order of finishing."""
        return as_completed(self, timeout)

    @property
    def progress(self) -> BatchProgress:
        """Counts at this moment, and how far it is in percent."""
        places = [job.queue.store.where(job.id) for job in self]
        running = [job for job, status in zip(self, places, strict=True) if status is Status.CLAIMED]
        counts = Counter(places)
        ended = len(self) - counts[Status.CLAIMED] - counts[Status.PENDING]
        share = ended + sum(percent_of(job) for job in running) / 100
        return BatchProgress(
            total=len(self),
            done=counts[Status.DONE],
            failed=counts[Status.FAILED],
            running=counts[Status.CLAIMED],
            pending=counts[Status.PENDING],
            gone=counts[None],
            percent=100.0 * share / len(self) if self else 100.0,
            seconds_left=self.estimate(share),
        )

    def estimate(self, share: float) -> float | None:
        """Seconds until all have ended, if it goes on as since the first look; `share` is how many have, with parts."""
        now = time.monotonic()
        if self.first_seen is None:
            self.first_seen = (now, share)
        since, before = self.first_seen
        return (len(self) - share) * (now - since) / (share - before) if before < share < len(self) else None

    def cancel(self) -> Bulk:
        """Cancels those that have not finished."""
        return self.act("cancel", [job for job in self if not has_ended(job)])

    def retry(self) -> Bulk:
        """Runs the failed ones again, cancelled ones too."""
        return self.act("retry", [job for job in self if job.queue.store.where(job.id) is Status.FAILED])

    def act(self, verb: str, jobs: list[JobHandle[R]]) -> Bulk:
        return getattr(jobs[0].queue, verb)(jobs) if jobs else Bulk(verb, [])

    def __repr__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return inert(f"<Batch{name}: {self.progress}>")

    _repr_mimebundle_ = mimebundle


def result_of(job: JobHandle[Any], errors: str) -> Any:
    try:
        return job.result()
    except (JobFailed, JobNotFound) as error:
        if errors == "raise":
            raise
        return error


def percent_of(job: JobHandle[Any]) -> float:
    progress = job.queue.store.notes.progress(job.id)
    return 0.0 if progress is None else progress.percent


def count_of(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def superseding(queue: Queue, batches: Set[tuple[str | None, str]], put: Callable[[], T]) -> tuple[T, int]:
    """Puts a new run of some batches in the place of what is unfinished of earlier ones: how many jobs that ended.

    First the new jobs, then the end of the old ones: a crash in between leaves both, and the next run ends them. Of two
    producers one comes first, so that the jobs of one of them are left.
    """
    with ExitStack() as stack:
        for project, name in sorted(batches, key=repr):
            stack.enter_context(queue.store.alone(f"batch:{project or ''}/{name}"))
        where = Filter(batch=tuple(name for _, name in batches))
        found = queue.store.scan(statuses=(Status.PENDING, Status.CLAIMED), where=where, limit=None).items
        older = [located.job.id for located in found if (located.job.project, located.job.batch) in batches]
        made = put()
        if not older:
            return made, 0
        by = ", ".join(sorted(name for _, name in batches))
        changes = queue.store.cancel(older, f"{SUPERSEDED}a new run of the batch {by:.200}")
        return made, sum(change.outcome in ("changed", "cancelling") for change in changes)


def find_batch(queue: Queue, name: str) -> Batch[Any]:
    """The jobs whose `batch` is this, in the order in which they were made; `JobNotFound` where there is none.

    Where a frame was enqueued under this name, its newest run, row by row.
    """
    from jobqueue.queue.frame import frame_batch

    items = queue.store.scan(where=read_filter({"batch": name}, queue.clock.now()), limit=None).items
    if not items:
        raise JobNotFound(f"batch {name}")
    items.sort(key=lambda located: (located.job.created_at or LONG_AGO, located.job.id))
    handles = [JobHandle[Any](queue, located) for located in items]
    return frame_batch(queue, name, handles) or Batch(handles, name=name)
