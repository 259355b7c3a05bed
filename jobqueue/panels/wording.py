"""The words of the panels: pure, and the same wherever they stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from jobqueue.model.job import Failure, Job
from jobqueue.model.times import short
from jobqueue.store.base import Cause

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


def problem_of(error: Failure | Cause | None, rejected: str | None) -> str:
    """Why a job failed, in one line."""
    if rejected is not None:
        return first_line(rejected)
    if error is None:
        return ""
    said = first_line(error.message)
    return f"{error.type}: {said}" if error.type else said or error.reason


def ended(jobs: Sequence[Job]) -> str:
    """What came of jobs that have ended: `8 cards generated`, `scan is done`, `3 jobs are done, 1 failed`."""
    failed = [job for job in jobs if job.error is not None]
    if len(jobs) == 1:
        name = jobs[0].name or jobs[0].type
        return f"{name} failed: {problem_of(jobs[0].error, None)}" if failed else generated(jobs) or f"{name} is done"
    done = [job for job in jobs if job.error is None]
    said = generated(done) or f"{count(len(done), 'job')} {'is' if len(done) == 1 else 'are'} done"
    return f"{said}, {len(failed):,} failed" if failed else said


def generated(jobs: Sequence[Job]) -> str:
    """What handlers counted, but for tokens, which are a cost; nothing where they counted nothing."""
    sums = Counter[str]()
    for job in jobs:
        sums.update({name: round(value) for name, value in job.metrics.items() if value == round(value) and name != "tokens"})
    counted = [f"{number:,} {name}" for name, number in sums.items() if number > 0]
    return f"{', '.join(counted)} generated" if counted else ""


def due_in(moment: datetime | None, now: datetime) -> str:
    """`due in 12 min` for a job that waits for its time."""
    if moment is None or moment <= now:
        return ""
    return f"due in {short((moment - now).total_seconds())}"
