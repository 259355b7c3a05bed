"""The record of a job: what one JSON file holds. Immutable; a change is a new record."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from jobqueue.model.names import slug
from jobqueue.model.progress import Progress
from jobqueue.model.retry import DEFAULT_ATTEMPTS, Backoff

PRIORITIES = {"urgent": 0, "high": 5, "normal": 10, "low": 20}
DEFAULT_PRIORITY = 10
LOWEST_PRIORITY = 99
MOST_COUNTED = 1_000_000
ON_PARENT_FAILURE = ("skip", "run", "fail")
ON_CONFLICT = ("wait", "reject", "supersede")
LOG_LEVELS = ("debug", "info", "warning", "error")

Aware = Annotated[datetime, Meta(tz=True)]
Text = Annotated[str, Meta(max_length=1000)]


class Failure(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why an attempt, or a whole job, failed.

    `reason` is one word for programs: error (the handler raised), crashed, timeout, cancelled, expired,
    skipped (a parent failed), unknown_type, payload, result.
    `type` is the exception's class, `message` its text, `traceback` where it was raised. Of a process that died:
    `exit_code` (negative: the number of the signal) and `peak_memory`, the most it held, in bytes.
    """

    reason: str = "error"
    type: str | None = None
    message: str = ""
    traceback: str | None = None
    exit_code: int | None = None
    peak_memory: int | None = None


class Ran(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What ran in an attempt. `due_at` is from when on it could have run, and `seconds` how long the handler took, by a
    clock that nobody can set. `code` is a hash of the handler's source, `version` its pipeline version (or, where it has
    none, `code:` and that hash), `subject` what the job was about, by the handler's own words.
    """

    due_at: Aware | None = None
    seconds: float | None = None
    code: str | None = None
    version: str | None = None
    subject: str | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished try of a job: `outcome` is done, failed, crashed, cancelled, snoozed or released.

    `metrics` are the numbers that the handler counted in this attempt, each one summed.
    """

    number: int
    outcome: str
    worker: str | None = None
    claimed_at: Aware | None = None
    finished_at: Aware | None = None
    error: Failure | None = None
    metrics: dict[str, float] = {}
    ran: Ran | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One request to call one handler, as its file holds it. Times are aware UTC; `timeout` is in seconds.

    `id` is the name of the file without `.json`. The status is the folder and stands nowhere in here.
    `attempts` counts finished attempts; while a job is claimed its running attempt is number `next_attempt`.
    """

    id: str
    type: Annotated[str, Meta(min_length=1, max_length=20_000)]
    name: Text | None = None
    payload: dict[str, Any] = {}

    priority: Annotated[int, Meta(ge=0, le=LOWEST_PRIORITY)] = DEFAULT_PRIORITY
    run_after: Aware | None = None
    expires_at: Aware | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] | None = None
    max_crashes: Annotated[int, Meta(ge=1, le=1000)] | None = None
    backoff: Backoff | None = None
    timeout: Annotated[float, Meta(gt=0)] | None = None
    after: tuple[str, ...] = ()
    on_parent_failure: Literal["skip", "run", "fail"] = "skip"

    idempotency_key: Text | None = None
    key_scope: Text | None = None
    concurrency_key: Text | None = None
    on_conflict: Literal["wait", "reject", "supersede"] = "wait"
    pipeline_version: Text | None = None
    project: Text | None = None
    batch: Text | None = None
    redo_of: Any = None
    row: Any = None
    """Where its payload stood in the frame that its batch was made of: `{"number": 3, "run": ..., "index": ...}`."""
    run_id: str | int | None = None
    tags: tuple[str, ...] = ()
    force: bool = False
    """Items that were processed before are processed again: `ctx.track(..., once=True)` leaves none out."""
    log_level: Literal["debug", "info", "warning", "error"] | None = None
    """From which level on `logging` goes into the job's log: `debug` is the verbose one. None is that of its process."""

    created_at: Aware | None = None
    updated_at: Aware | None = None

    attempts: Annotated[int, Meta(ge=0, le=MOST_COUNTED)] = 0
    claimed_at: Aware | None = None
    finished_at: Aware | None = None
    locked_by: str | None = None
    error: Failure | None = None
    result: Any = None
    progress: Progress | None = None
    metrics: dict[str, float] = {}
    artifacts: dict[str, Any] = {}
    ran: Ran | None = None
    history: tuple[Attempt, ...] = ()
    written_by: str | None = None
    """The claim folder in which this file was last written: what tells a recorded outcome from an old one."""
    extra: dict[str, Any] = {}
    """Keys of a dropped file that mean nothing here, kept so that nothing its owner wrote is lost."""

    @property
    def title(self) -> str:
        """The name, or else a slug: the first words of the payload (or the type), and when the job was made in epoch ms."""
        if self.name is not None:
            return self.name
        made = 0 if self.created_at is None else int(self.created_at.timestamp() * 1000)
        return slug(self.payload, self.type, made)

    @property
    def finished(self) -> bool:
        """Whether the file carries the outcome of a whole job."""
        return self.finished_at is not None

    @property
    def last_error(self) -> Failure | None:
        """Why the job, or its latest attempt, failed."""
        if self.error is not None or self.finished:
            return self.error
        return next((attempt.error for attempt in reversed(self.history) if attempt.error is not None), None)

    @property
    def last_ran(self) -> Ran:
        """What ran in its latest attempt; all None where none has ended."""
        return self.ran or next((attempt.ran for attempt in reversed(self.history) if attempt.ran is not None), Ran())

    @property
    def due_at(self) -> datetime | None:
        """From when on a pending job may run, or a claimed one might have: its last change, or the time it waited for."""
        since = self.updated_at or self.created_at
        return since if self.run_after is None or (since is not None and self.run_after < since) else self.run_after

    @property
    def next_attempt(self) -> int:
        """The number of the attempt that runs now, or next; a file may claim that it has had the most there may be."""
        return min(self.attempts + 1, MOST_COUNTED)

    @property
    def most_attempts(self) -> int:
        return self.max_attempts or DEFAULT_ATTEMPTS

    @property
    def cancelled(self) -> bool:
        return self.error is not None and self.error.reason == "cancelled"
