"""Every error this package raises on purpose, in one tree.

    JobQueueError
    ├── InvalidJob            what was asked for cannot be a job        (ValueError)
    │   ├── NotJSON           a value that JSON cannot hold              (TypeError)
    │   ├── InvalidTime       a naive datetime, an unreadable duration
    │   └── UnreadableJob     bytes in the queue folder that are no job
    ├── HandlerError          a handler that a worker could not run
    │   └── HandlerNotImportable
    ├── ConfigError           jobqueue.yaml or an environment variable  (ValueError)
    ├── QueueFolderError      the folder cannot be used as a queue      (OSError)
    ├── NotAcknowledged       the disk refused; the job may or may not exist (OSError)
    ├── JobNotFound           no job has this id                        (KeyError)
    ├── ScheduleNotFound      no schedule has this name                 (KeyError)
    ├── WrongStatus           the job is not where this verb needs it
    ├── JobFailed             the result was asked for of a job that failed
    ├── StillRunning          the job had not finished in the time given  (TimeoutError)
    ├── WorkerNotStarted      a worker process that was started has ended, or has not signed on
    ├── FilterRequired        a destructive call without a filter       (ValueError)
    ├── Unsupported           this store cannot do what was asked
    └── control flow of a handler
        ├── Snooze            run me later, the attempt is given back
        ├── Retry             this attempt failed, try again
        ├── Discard           this attempt failed, do not try again
        └── JobCancelled      somebody asked this job to stop

A message says what happened, to which job, and what to do next.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jobqueue.inert import inert, inert_lines


def in_lines(error: Exception) -> str:
    """The text of an error that has several lines."""
    return inert_lines(Exception.__str__(error))


class JobQueueError(Exception):
    """The root: `except JobQueueError` catches all that this package raises on purpose."""

    def __str__(self) -> str:
        """One line that is safe to show, whatever the names and values in it are made of."""
        return inert(super().__str__())


class InvalidJob(JobQueueError, ValueError):
    """What was asked for cannot be a job; the message names the field and the fix."""


class NotJSON(InvalidJob, TypeError):
    """A value that JSON cannot hold; `path` names it, like `payload.rows[3].when`."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path


class InvalidTime(InvalidJob):
    """A naive datetime, or a duration or time that cannot be read."""


class UnreadableJob(InvalidJob):
    """The bytes of a file that cannot be a job, with line and column where they are known."""


class HandlerError(JobQueueError):
    """A handler module or function that a worker cannot use."""

    __str__ = in_lines


class HandlerNotImportable(HandlerError):
    """A function that a worker could not import: it lives in a notebook cell or inside another function."""


class ConfigError(JobQueueError, ValueError):
    """A wrong setting; the message names file, line, key and the nearest valid key."""


class QueueFolderError(JobQueueError, OSError):
    """The folder is missing, read-only, on two file systems, or writable by others."""

    def __str__(self) -> str:
        return inert(str(self.args[0])) if self.args else ""


class NotAcknowledged(JobQueueError, OSError):
    """The disk failed after the job was put in place: it may exist, but nothing promises that it survives."""

    def __str__(self) -> str:
        return inert(str(self.args[0])) if self.args else ""


class JobNotFound(JobQueueError, KeyError):
    """No job has this id. It never looks like a pending one."""

    def __init__(self, id: str, hint: str = "") -> None:
        super().__init__(id)
        self.id = id
        self.hint = hint

    def __str__(self) -> str:
        return inert(f"no job {self.id!r} in this queue" + (f"; {self.hint}" if self.hint else ""))


class ScheduleNotFound(JobQueueError, KeyError):
    """No schedule of this queue has this name."""

    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.hint = hint

    def __str__(self) -> str:
        return inert(f"no schedule {self.name!r} in this queue{self.hint}")


class WrongStatus(JobQueueError):
    """The job is not in a folder from which this verb can move it; `id` and `status` say where it is."""

    def __init__(self, id: str, status: str, message: str) -> None:
        super().__init__(message)
        self.id = id
        self.status = status


class JobFailed(JobQueueError):
    """The result was asked for, and the job failed: `str()` is one short text, and whatever shows this exception shows
    the remote `traceback` below it."""

    __str__ = in_lines

    def __init__(self, id: str, reason: str, message: str, traceback: str | None = None) -> None:
        super().__init__(f"job {id} failed ({reason}): {message}")
        self.id = id
        self.reason = reason
        self.message = message
        self.traceback = traceback
        if traceback:
            self.add_note(f"\nWhere the job failed:\n\n{inert_lines(traceback.rstrip())}")

    def __reduce__(self) -> tuple[type[JobFailed], tuple[str, str, str, str | None]]:
        return JobFailed, (self.id, self.reason, self.message, self.traceback)


class StillRunning(JobQueueError, TimeoutError):
    """The job had not finished in the time that was given."""


class WorkerNotStarted(JobQueueError):
    """A worker process that was started has ended at once, or has not signed on in time; the message has its last words."""

    __str__ = in_lines


class FilterRequired(JobQueueError, ValueError):
    """A call that would change many jobs was given no filter."""


class Unsupported(JobQueueError):
    """This store, platform or executor cannot do what was asked."""


class NoWorkerWarning(UserWarning):
    """A job was added, and no live worker serves its type."""


class Snooze(JobQueueError):
    """Raised by a handler: run this job later; the attempt is given back.

    `until` is an aware datetime, a timedelta, seconds, or a text such as `"10m"`.
    """

    def __init__(self, until: datetime | timedelta | float | str) -> None:
        super().__init__(until)
        self.until = until

    __str__ = Exception.__str__


class Retry(JobQueueError):
    """Raised by a handler: this attempt failed; try again, after `delay` if one is given."""

    def __init__(self, message: str = "", *, delay: timedelta | float | str | None = None) -> None:
        super().__init__(message)
        self.delay = delay

    __str__ = Exception.__str__


class Discard(JobQueueError):
    """Raised by a handler: this attempt failed for good, do not try again."""

    __str__ = Exception.__str__


class JobCancelled(JobQueueError):
    """Raised in a handler that was asked to stop."""

    __str__ = Exception.__str__
