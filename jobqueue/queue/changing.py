"""What retry, cancel and purge do: choose the jobs, rehearse or act, and refuse loudly where one job was named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobqueue.errors import InvalidJob
from jobqueue.model.status import FINISHED, Status, parse_statuses
from jobqueue.model.times import parse_moment
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.choosing import LEFT_OUT, JobLike, choose, read_filter, rehearse
from jobqueue.queue.handle import JobHandle
from jobqueue.store.base import Change, Store
from jobqueue.store.recording import me

UNFINISHED = (Status.PENDING, Status.CLAIMED)
Chosen = JobLike | Iterable[JobLike] | None


def retry(store: Store, now: datetime, jobs: Chosen, filters: Mapping[str, Any], dry_run: bool) -> Bulk:
    filters = dict(filters)
    delay = filters.pop("delay", None)
    run_after = None if delay is None else parse_moment(delay, now, "delay")
    included = set(filters.pop("include", ()))
    ids = choose(store, "retry", jobs, filters, (Status.FAILED,), included, now)
    return carry_out(store, "retry", jobs, ids, FINISHED, lambda: store.retry(ids, run_after=run_after), dry_run)


def cancel(store: Store, now: datetime, jobs: Chosen, filters: Mapping[str, Any], dry_run: bool) -> Bulk:
    ids = choose(store, "cancel", jobs, filters, UNFINISHED, set(LEFT_OUT), now)
    return carry_out(store, "cancel", jobs, ids, UNFINISHED, lambda: store.cancel(ids, f"cancelled by {me()}"), dry_run)


def purge(store: Store, now: datetime, jobs: Chosen, filters: Mapping[str, Any], dry_run: bool) -> Bulk:
    statuses = parse_statuses(filters.get("status", "done"))
    if set(statuses) - set(FINISHED):
        raise InvalidJob("purge: only done and failed jobs can be purged; cancel the others first, or delete one by one")
    if jobs is None and not filters:
        filters = {"status": "done"}
    ids = choose(store, "purge", jobs, filters, statuses, set(LEFT_OUT), now)
    where = read_filter({name: value for name, value in filters.items() if name != "status"}, now)
    keep = None if where.empty else where
    return carry_out(store, "purge", jobs, ids, FINISHED, lambda: store.purge(ids, where=keep), dry_run)


def carry_out(
    store: Store,
    verb: str,
    named: Any,
    ids: list[str],
    allowed: Sequence[Status],
    act: Callable[[], list[Change]],
    dry_run: bool,
) -> Bulk:
    if dry_run:
        return Bulk(verb, rehearse(store, verb, ids, allowed), dry_run=True)
    bulk = Bulk(verb, act())
    if isinstance(named, (str, JobHandle)):
        bulk.raise_if_refused()
    return bulk
