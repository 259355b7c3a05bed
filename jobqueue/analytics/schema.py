"""The columns of every frame, and their dtypes. Names are those of the job's file wherever they mean the same.

Times are aware UTC, durations are timedeltas; a value that is not known is missing (NaT, NaN, <NA>), never 0. What takes few
values (types, workers, projects, ...) is a category. Each metric that a handler counted has a column `metrics.<name>`.
"""

from __future__ import annotations

TIME = "datetime64[us, UTC]"
SPAN = "timedelta64[us]"

ATTEMPTS = {
    "job": "str",
    "type": "category",
    "name": "str",
    "project": "category",
    "batch": "category",
    "subject": "str",
    "attempt": "int32",
    "outcome": "category",
    "worker": "category",
    "host": "category",
    "version": "category",
    "code": "category",
    "created_at": TIME,
    "due_at": TIME,
    "claimed_at": TIME,
    "finished_at": TIME,
    "wait": SPAN,
    "run": SPAN,
    "reason": "category",
    "error_type": "category",
    "error": "str",
    "exit_code": "Int16",
    "clock_jump": "bool",
}
"""One row for each finished attempt, by `finished_at`. `wait` is from `due_at` to the claim, `run` how long it ran. Where the
clock was put back or forward meanwhile (`clock_jump`: one of them is negative, or the times contradict each other) they stay
as they were written, and no average counts them. `reason`, `error_type`, `error` and `exit_code` are those of the failure."""

ITEMS = {
    "job": "str",
    "type": "category",
    "project": "category",
    "track": "category",
    "key": "str",
    "round": "int32",
    "attempt": "int32",
    "version": "category",
    "code": "category",
    "at": TIME,
    "run": SPAN,
}
"""One row for each item that an attempt was through with: the run record of that item."""

EVENTS = {
    "what": "category",
    "at": TIME,
    "by": "category",
    "host": "category",
    "count": "Int64",
    "type": "category",
    "project": "category",
    "batch": "category",
    "reason": "str",
    "jobs": "object",
}
"""One row for each thing that was done: enqueue, cancel, end (expired, skipped, ...), reject, retry, purge, restore, pause,
resume. `jobs` are the first hundred ids, `count` how many there were."""

JOBS = {
    "id": "str",
    "type": "category",
    "name": "str",
    "status": "category",
    "priority": "Int16",
    "project": "category",
    "batch": "category",
    "tags": "object",
    "attempts": "Int32",
    "version": "category",
    "subject": "str",
    "created_at": TIME,
    "run_after": TIME,
    "claimed_at": TIME,
    "finished_at": TIME,
    "wait": SPAN,
    "run": SPAN,
    "reason": "category",
    "error_type": "category",
    "error": "str",
}
"""One row for each job that is in one of the four folders now, in the order of the queue."""
