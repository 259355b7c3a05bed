"""The words of the panels: pure, and the same wherever they stand."""

from __future__ import annotations

from datetime import datetime

from jobqueue.model.job import Job
from jobqueue.model.times import short

TILES = (("pending", "Pending"), ("claimed", "Active"), ("done", "Done"), ("failed", "Failed"), ("total", "Total"))
EMPTY = {
    "claimed": "No jobs being processed right now.",
    "pending": "Queue is empty.",
    "done": "No completed jobs yet.",
    "failed": "No failed jobs.",
}
TITLES = {
    "claimed": "Currently Processing",
    "pending": "Up Next (Pending)",
    "done": "Completed",
    "failed": "Failed",
}
ROWS = {"claimed": 50, "pending": 50, "done": 20, "failed": 20}


def age(seconds: float) -> str:
    """`12s ago`, `5m ago`, `26h ago`: rounded down."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s ago"
    return f"{whole // 60}m ago" if whole < 3600 else f"{whole // 3600}h ago"


def count(number: int, one: str, many: str = "") -> str:
    """`1 job`, `1,204 jobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def attempts(number: int) -> str:
    return f"Took {count(number, 'attempt')}"


def badge(shown: int, total: int) -> str:
    """The true count; a list that was cut says so."""
    return f"{shown:,} of {total:,}" if shown < total else f"{total:,}"


def duration(job: Job) -> str:
    """How long its last attempt ran, or nothing where nobody knows."""
    seconds = None if job.ran is None else job.ran.seconds
    if seconds is None and job.finished and job.claimed_at is not None and job.finished_at is not None:
        seconds = (job.finished_at - job.claimed_at).total_seconds()
    return "" if seconds is None else f"ran {short(seconds)}"


def first_line(message: str) -> str:
    return next((line for line in message.splitlines() if line.strip()), "")


def problem_of(job: Job, reason: str | None) -> str:
    """Why a job failed, in one line."""
    if reason is not None:
        return first_line(reason)
    if job.error is None:
        return ""
    said = first_line(job.error.message)
    return f"{job.error.type}: {said}" if job.error.type else said or job.error.reason


def due_in(moment: datetime | None, now: datetime) -> str:
    """`due in 12 min` for a job that waits for its time."""
    if moment is None or moment <= now:
        return ""
    return f"due in {short((moment - now).total_seconds())}"
