"""A handle on one job: what `enqueue` answers with, and what `queue.get(id)` finds again in any process."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from jobqueue.errors import JobFailed, JobNotFound, StillRunning
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.times import Duration, parse_duration
from jobqueue.store.base import Located

if TYPE_CHECKING:
    from jobqueue.queue.bulk import Bulk
    from jobqueue.queue.queue import Queue

R = TypeVar("R")
T = TypeVar("T")
FIRST_LOOK, LAST_LOOK = 0.005, 0.1


class Field(Generic[T]):
    """A field of the job's file, read when it is asked for, so that a handle is never out of date."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, handle: None, owner: type) -> Field[T]: ...
    @overload
    def __get__(self, handle: JobHandle[Any], owner: type) -> T: ...
    def __get__(self, handle: JobHandle[Any] | None, owner: type) -> Field[T] | T:
        if handle is None:
            return self
        value: T = getattr(handle.record, self.name)
        return value


class JobHandle(Generic[R]):
    """One job, wherever it is by now. Each attribute reads the job's file; times are aware UTC.

    `outcome` says what `enqueue` did: `created`, or `exists` where an idempotency key or id was taken already.
    A job that was purged keeps the values last seen; its `status` raises `JobNotFound`.
    """

    type: Field[str] = Field()
    payload: Field[dict[str, Any]] = Field()
    priority: Field[int] = Field()
    attempts: Field[int] = Field()
    run_after: Field[datetime | None] = Field()
    expires_at: Field[datetime | None] = Field()
    timeout: Field[float | None] = Field()
    after: Field[tuple[str, ...]] = Field()
    idempotency_key: Field[str | None] = Field()
    concurrency_key: Field[str | None] = Field()
    pipeline_version: Field[str | None] = Field()
    project: Field[str | None] = Field()
    batch: Field[str | None] = Field()
    run_id: Field[str | int | None] = Field()
    tags: Field[tuple[str, ...]] = Field()
    created_at: Field[datetime | None] = Field()
    updated_at: Field[datetime | None] = Field()
    claimed_at: Field[datetime | None] = Field()
    finished_at: Field[datetime | None] = Field()
    locked_by: Field[str | None] = Field()
    history: Field[tuple[Attempt, ...]] = Field()
    progress: Field[Any] = Field()
    metrics: Field[dict[str, float]] = Field()
    artifacts: Field[dict[str, Any]] = Field()

    def __init__(self, queue: Queue, located: Located, outcome: str = "found") -> None:
        self.queue = queue
        self.id = located.job.id
        self.outcome = outcome
        self._located = located

    @property
    def created(self) -> bool:
        """Whether this call made the job; False where an idempotency key or id led to one that existed."""
        return self.outcome == "created"

    @property
    def located(self) -> Located:
        """The job and where it is, read at this moment; raises `JobNotFound` once it is gone."""
        self._located = self.queue.store.get(self.id)
        return self._located

    @property
    def record(self) -> Job:
        """All fields at this moment, or as last seen where the job was purged."""
        try:
            return self.located.job
        except JobNotFound:
            return self._located.job

    @property
    def status(self) -> Status:
        return self.located.status

    @property
    def name(self) -> str:
        """The name it was given, or else a slug: the first words of its payload and when it was made, in epoch ms."""
        return self.record.title

    @property
    def max_attempts(self) -> int:
        """All attempts, the first included; 3 where neither the job nor its handler says otherwise."""
        return self.record.most_attempts

    @property
    def error(self) -> Failure | None:
        """Why the job, or its latest attempt, failed."""
        return self.record.last_error

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def cancelling(self) -> bool:
        """Whether it runs and was asked to stop."""
        return self.located.cancelling

    def wait(self, timeout: Duration | None = None) -> JobHandle[R]:
        """Waits until the job is done or failed; raises `StillRunning` when `timeout` is over. Ctrl-C works."""
        deadline = None if timeout is None else time.monotonic() + parse_duration(timeout, "timeout").total_seconds()
        pause = FIRST_LOOK
        while not self.finished:
            if deadline is not None and time.monotonic() >= deadline:
                raise StillRunning(f"job {self.id} has not finished in {timeout}: {self.queue.why(self.id)}")
            time.sleep(pause)
            pause = min(pause * 1.5, LAST_LOOK)
        return self

    def result(self, timeout: Duration | None = None) -> R:
        """What the handler returned, as JSON holds it; waits for it, and raises `JobFailed` where the job failed."""
        self.wait(timeout)
        located = self._located
        if located.status is Status.FAILED:
            error = located.job.error or Failure(reason="rejected", message=located.reason or "it could not be read as a job")
            raise JobFailed(self.id, error.reason, error.message, error.traceback)
        value: R = located.job.result
        return value

    def why(self) -> str:
        """One sentence: why it has not run yet, or what became of it."""
        return self.queue.why(self.id)

    def cancel(self) -> Bulk:
        """Ends it if it waits, asks it to stop if it runs; raises `WrongStatus` if it has finished."""
        return self.queue.cancel(self.id)

    def retry(self) -> JobHandle[R]:
        """Runs a finished job again; raises `WrongStatus` if it has not finished."""
        self.queue.retry(self.id)
        return self

    def delete(self) -> str:
        """Moves it to the trash and returns its id; a claimed job must be cancelled first."""
        return self.queue.delete(self.id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, JobHandle) and (self.id, self.queue.store.url) == (other.id, other.queue.store.url)

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        try:
            status = self.status.value
        except JobNotFound:
            status = "gone"
        return f"<Job {self.id} {self._located.job.type} {status}>"
