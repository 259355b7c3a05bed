"""What a running handler may ask for: who it is, whether it was asked to stop, and a way to be run later."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from datetime import datetime, timedelta
from typing import NoReturn

from jobqueue.errors import JobCancelled, JobQueueError, Snooze
from jobqueue.model.job import Job


class JobContext:
    """Given to a handler whose first parameter is annotated with this class (or any parameter named `ctx`).

    `job` is the record of the job, `attempt` the number of this try (1 is the first).
    """

    def __init__(self, job: Job, attempt: int, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        self.job = job
        self.attempt = attempt
        self.is_cancelled = is_cancelled

    @property
    def id(self) -> str:
        return self.job.id

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


running: ContextVar[JobContext] = ContextVar("running")


def current_job() -> JobContext:
    """The context of the job that runs here, for code deep inside a handler."""
    try:
        return running.get()
    except LookupError:
        raise JobQueueError("no job runs here: current_job() works inside a handler that a worker called") from None
