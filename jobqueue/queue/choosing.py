"""Which jobs a verb is about: those that were named, or all that match a filter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobqueue.errors import FilterRequired, InvalidJob, JobNotFound
from jobqueue.model.filter import Filter, make_filter
from jobqueue.model.status import Status, parse_statuses
from jobqueue.queue.handle import JobHandle
from jobqueue.store.base import Change, Located, Store

JobLike = str | JobHandle[Any]
FILTERS = "type, project, batch, tag, key, text, reason, since, until, older_than"
LEFT_OUT = frozenset({"cancelled", "rejected"})


def id_of(job: JobLike) -> str:
    return job if isinstance(job, str) else job.id


def ids_of(jobs: JobLike | Iterable[JobLike]) -> list[str]:
    """Ids from one job or many: texts, handles, or a column of a DataFrame."""
    return [id_of(jobs)] if isinstance(jobs, (str, JobHandle)) else [id_of(job) for job in jobs]


def read_filter(filters: Mapping[str, Any], now: datetime) -> Filter:
    try:
        return make_filter(now, **filters)
    except TypeError as error:
        word = str(error).rpartition("argument ")[2]
        raise InvalidJob(f"{word}: not a filter; the filters are status, {FILTERS}") from None


def choose(
    store: Store,
    verb: str,
    jobs: Any,
    filters: Mapping[str, Any],
    statuses: Sequence[Status],
    included: set[str],
    now: datetime,
) -> list[str]:
    """The ids of the jobs that were named, or of all (not a page) that match; some filter there must be.

    Cancelled and rejected ones are matched only where they are `included`.
    """
    if jobs is not None:
        if set(filters) - {"project"}:
            raise InvalidJob(f"{verb}: give jobs or filters, not both (project may stand beside jobs, as a check)")
        ids = ids_of(jobs)
        if filters:
            refuse_other_projects(store, verb, ids, filters["project"])
        return ids
    if not filters:
        raise FilterRequired(f"{verb}: without a filter this would be every job; say which, like {verb}(type='scan')")
    rest = {name: value for name, value in filters.items() if name != "status"}
    asked = parse_statuses(filters["status"]) if filters.get("status") is not None else tuple(statuses)
    page = store.scan(statuses=asked, where=read_filter(rest, now), order="urgent", limit=None)
    return [located.job.id for located in page.items if kind_of(located) not in LEFT_OUT - included]


def refuse_other_projects(store: Store, verb: str, ids: Sequence[str], project: str) -> None:
    """One job of another project refuses the whole call: the caller meant other jobs than were named."""
    for id in ids:
        owned_by = store.get(id).job.project
        if owned_by != str(project):
            where = "no project" if owned_by is None else f"the project {owned_by!r}"
            raise InvalidJob(f"{verb}: {id} belongs to {where}, not to {project!r}; nothing was changed")


def kind_of(located: Located) -> str:
    return "rejected" if located.reason is not None else "cancelled" if located.job.cancelled else ""


def rehearse(store: Store, verb: str, ids: Sequence[str], allowed: Sequence[Status]) -> list[Change]:
    """What a verb would do, without doing it."""
    return [rehearse_one(store, verb, id, allowed) for id in ids]


def rehearse_one(store: Store, verb: str, id: str, allowed: Sequence[Status]) -> Change:
    try:
        located = store.get(id)
    except JobNotFound as error:
        return Change(id, "missing", None, str(error))
    if located.status not in allowed:
        return Change(id, "refused", located, f"{id} is {located.status}, so it cannot be changed by {verb}")
    return Change(id, "changed", located)


def check_page(limit: int | None, offset: int, order: str) -> None:
    if limit is not None and limit < 0:
        raise InvalidJob(f"limit: {limit} is negative; give the size of a page, or None for all")
    if offset < 0:
        raise InvalidJob(f"offset: {offset} is negative")
    if order not in ("urgent", "newest", "oldest"):
        raise InvalidJob(f"order: {order!r} is unknown; give urgent, newest or oldest")
