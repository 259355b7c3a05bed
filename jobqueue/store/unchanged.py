"""Whether a job is still what somebody has looked at, asked at the last moment before it is changed."""

from __future__ import annotations

from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.store.base import Seen


def has_changed(id: str, job: Job | None, status: Status, seen: Seen) -> bool:
    """Whether a job is no longer as it was seen. A rejected drop says nothing of itself: only its folder counts."""
    if seen is None:
        return False
    before = seen.get(id)
    if before is None or before.status is not status:
        return True
    return job is not None and before.reason is None and job.updated_at != before.job.updated_at


def changed_since(id: str, status: Status | None = None) -> str:
    now = "" if status is None else f"; it is {status} now"
    return f"{id} has changed since it was looked at{now}"
