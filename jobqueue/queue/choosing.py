"""Which jobs a verb is about: those that were named, or all that match a filter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from msgspec.structs import replace

from jobqueue.errors import FilterRequired, InvalidJob, JobNotFound
from jobqueue.model.filter import Filter, make_filter
from jobqueue.model.json_value import brief
from jobqueue.model.status import Status, parse_statuses
from jobqueue.queue.handle import JobHandle
from jobqueue.store.base import Change, Located, Store

JobLike = str | JobHandle[Any]
ID_COLUMNS = ("job", "id")
"""What a column of ids is called: in frames of attempts and results, and in frames of jobs."""
SHOWN = 20
FILTERS = "type, project, batch, tag, key, text, reason, since, until, older_than"
LEFT_OUT = frozenset({"cancelled", "rejected"})


def id_of(job: JobLike) -> str:
    return job if isinstance(job, str) else job.id


def ids_of(jobs: Any) -> list[str]:
    """Ids from one job or many, each once: texts, handles, a frame with a column (or an index) of ids, a column of a frame.

    Frames are told by their shape, whoever makes them: nothing here loads pandas.
    """
    if isinstance(jobs, (str, JobHandle)):
        return [id_of(jobs)]
    return list(dict.fromkeys(checked_id(job, number) for number, job in enumerate(ids_in(jobs))))


def ids_in(jobs: Any) -> Iterable[Any]:
    columns = getattr(jobs, "column_names", None)  # of an Arrow table, where `columns` are the data
    columns = getattr(jobs, "columns", None) if columns is None else columns
    index = getattr(jobs, "index", None)
    names = list(getattr(index, "names", None) or ())
    if columns is not None:
        named = [name for name in ID_COLUMNS if name in list(columns)]
        if named:
            return values_of(jobs[named[0]])
        if level := [name for name in ID_COLUMNS if name in names]:
            return values_of(index.get_level_values(level[0]))  # type: ignore[union-attr]
        raise InvalidJob(no_ids_in([*columns]))
    if getattr(jobs, "name", None) not in ID_COLUMNS and (level := [name for name in ID_COLUMNS if name in names]):
        return values_of(index.get_level_values(level[0]))  # type: ignore[union-attr]
    if isinstance(jobs, Iterable):
        return values_of(jobs)
    raise InvalidJob(f"jobs: a {type(jobs).__name__} names no jobs; give ids, handles, or a frame with a column 'id' or 'job'")


def no_ids_in(columns: Sequence[Any]) -> str:
    shown = ", ".join(map(brief, columns[:SHOWN])) + (", ..." if len(columns) > SHOWN else "")
    return (
        f"jobs: this frame has no column 'id' or 'job' with the ids of jobs (its columns: {shown or 'none'}); "
        "give the column that has them, as in df['my_ids'], or df.rename(columns={'my_ids': 'id'})"
    )


def values_of(column: Any) -> Iterable[Any]:
    """The values of a column as Python has them: pandas and numpy, polars, Arrow and DuckDB each call it something else."""
    for word in ("tolist", "to_list", "to_pylist"):
        if callable(values := getattr(column, word, None)):
            found: Iterable[Any] = values()
            return found
    if callable(rows := getattr(column, "fetchall", None)):
        return [row[0] for row in rows()]
    return cast("Iterable[Any]", column)


def checked_id(job: Any, number: int) -> str:
    if isinstance(job, (str, JobHandle)):
        return str(id_of(job))
    raise InvalidJob(f"jobs: number {number} is {brief(job)}, not the id of a job; drop what is missing, or give other ids")


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
        located = slim(store.get(id))
    except JobNotFound as error:
        return Change(id, "missing", None, str(error))
    if located.status not in allowed:
        return Change(id, "refused", located, f"{id} is {located.status}, so it cannot be changed by {verb}")
    if verb == "cancel" and located.status is Status.CLAIMED:
        return Change(id, "cancelling", located, "it runs; it would be asked to stop")
    return Change(id, "changed", located)


def slim(located: Located) -> Located:
    """Without what may be large: a plan for 100,000 jobs is kept in memory, and shown."""
    job = located.job
    if not (job.payload or job.result or job.history or job.extra):
        return located
    return replace(located, job=replace(job, payload={}, result=None, history=(), extra={}))


def check_page(limit: int | None, offset: int, order: str) -> None:
    if limit is not None and limit < 0:
        raise InvalidJob(f"limit: {limit} is negative; give the size of a page, or None for all")
    if offset < 0:
        raise InvalidJob(f"offset: {offset} is negative")
    if order not in ("urgent", "newest", "oldest"):
        raise InvalidJob(f"order: {order!r} is unknown; give urgent, newest or oldest")
