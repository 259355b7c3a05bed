"""What the store in memory says to what people ask of its jobs: no, and why not."""

from __future__ import annotations

from collections.abc import Callable

from jobqueue.model.filter import Filter
from jobqueue.model.status import FINISHED, Status
from jobqueue.store.base import Change, Located, Seen
from jobqueue.store.unchanged import changed_since, has_changed

Act = Callable[[Located], Change]
May = Callable[[Located], str]
"""Why something may not be done to a job; empty where it may."""


def refused(located: Located, why: str) -> Change:
    return Change(located.job.id, "refused", located, why)


def refusal(id: str, located: Located | None, may: May, seen: Seen) -> Change | None:
    """None where it may be done."""
    if located is None:
        return Change(id, "missing", None, f"no job {id!r} in this queue")
    if has_changed(id, located.job, located.status, seen):
        return refused(located, changed_since(id, located.status))
    why = may(located)
    return refused(located, why) if why else None


def may_cancel(located: Located) -> str:
    return f"it has already finished: {located.status}" if located.status in FINISHED else ""


def may_uncancel(located: Located) -> str:
    return "" if located.status is Status.FAILED else f"it has not been cancelled: {located.status}"


def may_retry(located: Located) -> str:
    return "" if located.status in FINISHED else f"it has not finished: {located.status}"


def may_purge(where: Filter | None, pending: bool) -> May:
    def may(located: Located) -> str:
        if located.status is Status.CLAIMED:
            return "it is being worked on; cancel it first"
        if located.status is Status.PENDING and not pending:
            return "it has not run yet; cancel it first, or purge with pending=True"
        return "" if where is None or where.matches(located.job) else "it no longer matches the filter"

    return may
