"""What a running handler may ask for and tell: who it is, how far it is, what it keeps, what shall follow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, TypeVar, overload

from jobqueue.errors import JobCancelled, JobQueueError, Snooze, Unsupported
from jobqueue.model.job import Job

if TYPE_CHECKING:
    from jobqueue.model.told import Told
    from jobqueue.queue.handle import JobHandle
    from jobqueue.queue.output import JobLogger, Output
    from jobqueue.queue.queue import Queue
    from jobqueue.queue.telling import Telling
    from jobqueue.queue.tracking import Key
    from jobqueue.store.base import Notes

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class JobContext:
    """Given to a handler whose first parameter is annotated with this class (or any parameter named `ctx`).

    `job` is the record of the job, `attempt` the number of this try (1 is the first). In a test of a handler,
    `JobContext(Job(id="1", type="scan"), 1)` will do: what is told then stays in this process.
    """

    def __init__(
        self,
        job: Job,
        attempt: int,
        is_cancelled: Callable[[], bool] = lambda: False,
        *,
        notes: Notes | None = None,
        open_queue: Callable[[], Queue] | None = None,
        worker: str = "",
    ) -> None:
        self.job = job
        self.attempt = attempt
        self.is_cancelled = is_cancelled
        self.given_notes = notes
        self.open_queue = open_queue
        self.worker = worker
        self.version: str | None = None
        """At which pipeline version the handler runs; None where nobody has said."""
        self.made: dict[str, Any] = {}
        """What is made when it is first asked for: most handlers ask for nothing."""

    @property
    def id(self) -> str:
        return self.job.id

    # -- being asked to stop, and asking for another time

    @property
    def cancelled(self) -> bool:
        """Whether somebody asked this job to stop; a handler in a loop looks at it now and then."""
        return self.is_cancelled()

    def check_cancelled(self) -> None:
        """Raises `JobCancelled` once somebody asked this job to stop."""
        if self.is_cancelled():
            raise JobCancelled("asked to stop")

    def snooze(self, until: datetime | timedelta | float | str) -> NoReturn:
        """Ends this run: the job runs again at that time (or after that long), and the attempt is given back."""
        raise Snooze(until)

    # -- how far it is

    def progress(self, value: float, message: str | None = None, *, total: float | None = None) -> None:
        """How far this attempt is, 0 to 100, or `value` of `total`; numbers beyond are taken as the nearest.

        May be called thousands of times a second. The message stays until another one is given.
        """
        self.telling.say(value, message, total)

    def metric(self, name: str, value: float = 1) -> None:
        """Adds a number to a sum of this attempt, which is kept with the attempt for good: `ctx.metric("tokens", 512)`."""
        self.telling.count(name, value)

    def track(
        self,
        iterable: Iterable[T],
        *,
        key: Key = None,
        total: int | None = None,
        message: str | None = None,
        name: str = "items",
        once: bool = False,
    ) -> Iterator[T]:
        """The items, with progress, the time left, a place to stop at on a cancel, and a record of each one that is done.

        An item counts as done when the loop comes round to the next one. A later attempt of the same run gets only the
        items that were not done. `key` tells them apart: a name of a field (of a row, a dict, an object), a function, or
        None for their position, where the order is always the same. It must be a text or a number; two items with one
        key are both done. Two loops of one handler need two `name`s. `total` is needed where the iterable has no len().

        With `once=True` (it needs a `key`) items are left out that any job of this type has done at the version that runs
        now, in a loop of this name. Another `pipeline_version` (or, where there is none, other source) does them again, and
        so does a job that was enqueued with `force=True`.
        """
        from jobqueue.queue.tracking import track

        return track(self, iterable, key, total, message, name, once)

    # -- what it keeps

    def checkpoint(self, state: Any) -> None:
        """Saves a JSON value for the next attempt, which finds it in `state`; as safe as the job itself."""
        _ = self.telling  # as in `state`
        self.notes.set_checkpoint(self.id, {"round": self.round, "state": state})

    @property
    def state(self) -> Any:
        """What this or an earlier attempt has saved last; None where none has. A job that was done starts anew."""
        saved = self.notes.checkpoint(self.id)
        if not isinstance(saved, dict) or saved.get("round") != self.round:
            return None
        _ = self.telling  # there is something to clear away when the job is done
        return saved.get("state")

    def artifact(self, path: str | os.PathLike[str], name: str | None = None) -> None:
        """Copies a file into the queue folder, where `job.artifacts` finds it under its name (or `name`).

        A file of the same name from before is replaced. Raises `InvalidJob` for a folder, a name that is a path, and what is
        more than a job may keep: 1,000 files, 4 GiB.
        """
        name = os.path.basename(os.fspath(path)) if name is None else name
        self.telling.keep(path, name)

    @property
    def log(self) -> JobLogger:
        """`ctx.log("read %d rows", n)` writes a line to the job's log; it is a logger too: `ctx.log.warning(...)`."""
        if "log" not in self.made:
            from jobqueue.queue.output import JobLogger

            self.made["log"] = JobLogger(self.job, self.attempt)
        logger: JobLogger = self.made["log"]
        return logger

    # -- what shall follow

    @property
    def queue(self) -> Queue:
        """The queue of this job; what is enqueued through it belongs to the same project and batch unless it says otherwise."""
        if "queue" not in self.made:
            if self.open_queue is None:
                raise Unsupported("there is no queue here: this JobContext was made by hand, without open_queue")
            inherited = {"project": self.job.project, "batch": self.job.batch}
            self.made["queue"] = self.open_queue().with_options(**inherited)
        queue: Queue = self.made["queue"]
        return queue

    @overload
    def enqueue(self, type: str, payload: Mapping[str, Any] | None = None, /, **options: Any) -> JobHandle[Any]: ...
    @overload
    def enqueue(
        self, handler: Callable[Concatenate[JobContext, P], R], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle[R]: ...
    @overload
    def enqueue(self, handler: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle[R]: ...
    def enqueue(self, what: Any, /, *args: Any, **kwargs: Any) -> JobHandle[Any]:
        """Adds a job that follows from this one: as `Queue.enqueue`, in the same project and batch.

        It is added at once, whatever becomes of this attempt; with an idempotency key, a second attempt adds no second job.
        """
        return self.queue.enqueue(what, *args, **kwargs)

    # -- for the worker

    @property
    def round(self) -> int:
        """How often the job was done before: what earlier rounds have recorded is not for this one."""
        return sum(attempt.outcome == "done" for attempt in self.job.history)

    @property
    def notes(self) -> Notes:
        """Where what is told goes."""
        if self.given_notes is None:
            from jobqueue.store.memory_notes import MemoryNotes

            self.given_notes = MemoryNotes()
        return self.given_notes

    @property
    def telling(self) -> Telling:
        if "telling" not in self.made:
            from jobqueue.queue.telling import Telling

            self.made.setdefault("telling", Telling(self.notes, self.id, self.attempt))  # another thread may have made it
        telling: Telling = self.made["telling"]
        return telling

    @property
    def output(self) -> Output:
        """What is written here goes to the job's log."""
        if "output" not in self.made:
            from jobqueue.queue.output import Output, heading

            title = heading(self.attempt, self.worker, datetime.now(timezone.utc))
            self.made.setdefault("output", Output(self.notes.open_log(self.id, title)))
        output: Output = self.made["output"]
        return output

    def close(self) -> Told | None:
        """The attempt is over: what it told, or None where it told nothing."""
        if not self.made:
            return None
        if "output" in self.made:
            self.output.close()
        return self.telling.close() if "telling" in self.made else None


running: ContextVar[JobContext] = ContextVar("running")


def current_job() -> JobContext:
    """The context of the job that runs here, for code deep inside a handler."""
    try:
        return running.get()
    except LookupError:
        raise JobQueueError("no job runs here: current_job() works inside a handler that a worker called") from None
