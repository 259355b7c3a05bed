"""A handle on one job: what `enqueue` answers with, and what `queue.get(id)` finds again in any process."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from jobqueue.errors import JobFailed, JobNotFound
from jobqueue.inert import inert, inert_lines
from jobqueue.model.job import Attempt, Failure, Job
from jobqueue.model.progress import Progress
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.times import Duration
from jobqueue.queue.following import artifacts, follow, items, read_log
from jobqueue.queue.showing import mimebundle
from jobqueue.queue.waiting import wait
from jobqueue.store.base import Located

if TYPE_CHECKING:
    from jobqueue.queue.bulk import Bulk
    from jobqueue.queue.queue import Queue

R = TypeVar("R")
T = TypeVar("T")


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

    `outcome` says what `enqueue` did: `created`, `exists` where an idempotency key or id was taken already, or `rejected`
    where another job has its concurrency key (then this is that job). `superseded` is how many jobs it took the place of.
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
    progress: Field[Progress | None] = Field()
    metrics: Field[dict[str, float]] = Field()

    def __init__(self, queue: Queue, located: Located, outcome: str = "found", superseded: int = 0) -> None:
        self.queue = queue
        self.id = located.job.id
        self.outcome = outcome
        self.superseded = superseded
        self._located = located

    @property
    def created(self) -> bool:
        """Whether this call made the job; False where an idempotency key or id led to one that existed, or it was rejected."""
        return self.outcome == "created"

    @property
    def conflict(self) -> str:
        """Why `enqueue` made no job, where it was rejected; else empty."""
        return f"Another process is running: {self.id}" if self.outcome == "rejected" else ""

    @property
    def located(self) -> Located:
        """The job and where it is, read at this moment; raises `JobNotFound` once it is gone."""
        self._located = self.queue.store.get(self.id)
        return self._located

    @property
    def last_seen(self) -> Located:
        """The job and where it was when it was looked at last, without a look: what was enqueued does not change."""
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
    def version(self) -> str | None:
        """At which pipeline version its latest attempt ran (`code:...` where the handler has none); None before the first."""
        return self.record.last_ran.version

    @property
    def code(self) -> str | None:
        """The hash of the source that ran in its latest attempt."""
        return self.record.last_ran.code

    @property
    def subject(self) -> str | None:
        """What its latest attempt was about, by the `subject` of its handler."""
        return self.record.last_ran.subject

    @property
    def finished(self) -> bool:
        return self.status in FINISHED

    @property
    def cancelling(self) -> bool:
        """Whether it runs and was asked to stop."""
        return self.located.cancelling

    def wait(self, timeout: Duration | None = None) -> JobHandle[R]:
        """Waits until the job is done or failed; raises `StillRunning` when `timeout` is over.

        Ctrl-C ends the waiting, and the job goes on. In an async function, `await job` instead.
        """
        self._located = wait(self, timeout)
        return self

    def result(self, timeout: Duration | None = None) -> R:
        """What the handler returned, as JSON holds it; waits for it, and raises `JobFailed` where the job failed."""
        return self.outcome_of(wait(self, timeout))

    def __await__(self) -> Generator[Any, None, R]:
        """`await job` is `job.result()` without blocking the event loop; who cancels it stops waiting, and the job goes on."""
        from jobqueue.queue.awaiting import wait_in_loop

        located = yield from wait_in_loop(self).__await__()
        return self.outcome_of(located)

    def outcome_of(self, located: Located) -> R:
        if located.status is Status.FAILED:
            error = located.job.error or Failure(reason="rejected", message=located.reason or "it could not be read as a job")
            raise JobFailed(self.id, error.reason, error.message, error.traceback)
        value: R = located.job.result
        return value

    def run_here(self, handler: Callable[..., Any] | str | os.PathLike[str] | None = None) -> Any:
        """Calls the job's handler in this process, with the job's exact payload, and returns what it returns.

        Exceptions come out as they are, so that `%debug` works; the job itself is not changed. The handler is
        `handler` (a function, or the module or .py file it is in), else the one of this type in `__main__` (a notebook's
        cells) or in the `handlers` of jobqueue.yaml. What it tells its context stays in this process.
        """
        from jobqueue.queue.here import run_here

        return run_here(self, handler)

    def to_notebook(self, path: str | os.PathLike[str]) -> Path:
        """Writes a notebook with the payload, the error and a cell that runs the job again; never over a file."""
        from jobqueue.queue.notebook_of import to_notebook

        return to_notebook(self, path)

    def bundle(self, path: str | os.PathLike[str]) -> Path:
        """Writes the job with its log, items, artifacts and environment into one zip file; never over a file.

        `queue.import_bundle(path)` opens it in another queue.
        """
        from jobqueue.queue.bundle import bundle

        return bundle(self, path)

    def log(self, tail: int | None = 200) -> str:
        """The last lines (with None: all) of what its attempts printed and logged, during the run and after it."""
        return read_log(self, tail)

    def follow(self, tail: int | None = None) -> None:
        """Prints the log as it grows, and at last what became of the job. Ctrl-C ends the following, and the job goes on."""
        try:
            for text in follow(self, tail):
                print(inert_lines(text), end="", flush=True)
            print(self.why())
        except KeyboardInterrupt:
            print(f"\nno longer following {inert(self.id)}; it goes on")

    def items(self) -> list[dict[str, Any]]:
        """What `ctx.track` has done, oldest first: {track, key, seconds, metrics, at, attempt, round} for each item."""
        return items(self)

    @property
    def artifacts(self) -> dict[str, dict[str, Any]]:
        """The files that the handler kept: `{name: {"size": bytes, "path": where the copy lies}}`."""
        return artifacts(self)

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
        note = f"; rejected: {self.conflict}" if self.outcome == "rejected" else ""
        return inert(f"<Job {self.id} {self._located.job.type} {status}{note}>")

    _repr_mimebundle_ = mimebundle
