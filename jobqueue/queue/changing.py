"""What retry, cancel, purge and restore do: choose the jobs, rehearse or act, and refuse loudly where one job was named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jobqueue.errors import InvalidJob
from jobqueue.model.clock import Clock
from jobqueue.model.filter import Filter
from jobqueue.model.status import FINISHED, Status, parse_statuses
from jobqueue.model.times import parse_moment
from jobqueue.queue.bulk import Act, Bulk, in_groups
from jobqueue.queue.choosing import LEFT_OUT, JobLike, choose, ids_of, read_filter, rehearse
from jobqueue.queue.handle import JobHandle
from jobqueue.store.base import Change, Store
from jobqueue.store.recording import me

UNFINISHED = (Status.PENDING, Status.CLAIMED)
Chosen = JobLike | Iterable[JobLike] | Any
"""One job or many: ids, handles, a bulk, or any frame with a column of ids."""


def retry(store: Store, clock: Clock, jobs: Chosen, filters: Mapping[str, Any], dry_run: bool) -> Bulk:
    filters = dict(filters)
    delay = filters.pop("delay", None)
    included = set(filters.pop("include", ()))

    def act(ids: Sequence[str], seen: Any) -> list[Change]:
        return store.retry(ids, run_after=None if delay is None else parse_moment(delay, clock.now(), "delay"), seen=seen)

    ids = choose(store, "retry", jobs, filters, (Status.FAILED,), included, clock.now())
    return carry_out(store, "retry", jobs, ids, FINISHED, act, dry_run)


def cancel(store: Store, clock: Clock, jobs: Chosen, filters: Mapping[str, Any], dry_run: bool) -> Bulk:
    def act(ids: Sequence[str], seen: Any) -> list[Change]:
        return store.cancel(ids, f"cancelled by {me()}", seen=seen)

    ids = choose(store, "cancel", jobs, filters, UNFINISHED, set(LEFT_OUT), clock.now())
    return carry_out(store, "cancel", jobs, ids, UNFINISHED, act, dry_run)


def purge(store: Store, clock: Clock, jobs: Chosen, filters: Mapping[str, Any], dry_run: bool) -> Bulk:
    now = clock.now()
    statuses = parse_statuses(filters.get("status", "done"))
    if set(statuses) - set(FINISHED):
        raise InvalidJob("purge: only done and failed jobs can be purged; cancel the others first, or delete one by one")
    if jobs is None and not filters:
        filters = {"status": "done"}
    ids = choose(store, "purge", jobs, filters, statuses, set(LEFT_OUT), now)
    where = read_filter({name: value for name, value in filters.items() if name != "status"}, now)
    keep = None if where.empty else where

    def act(ids: Sequence[str], seen: Any) -> list[Change]:
        return store.purge(ids, where=keep, seen=seen)

    return carry_out(store, "purge", jobs, ids, FINISHED, act, dry_run)


def restore(store: Store, jobs: Chosen, dry_run: bool) -> Bulk:
    def act(ids: Sequence[str], seen: Any) -> list[Change]:
        return store.restore(ids)

    ids = ids_of(jobs)
    if not dry_run:
        return Bulk("restore", in_groups(act, ids, None), store=store)
    trashed = {job.id: job for job in store.trashed()}
    changes = [
        Change(id, "changed", None, "") if id in trashed else Change(id, "missing", None, f"no job {id!r} in the trash")
        for id in ids
    ]
    return Bulk("restore", changes, dry_run=True, store=store, act=act)


def carry_out(store: Store, verb: str, named: Any, ids: list[str], allowed: Sequence[Status], act: Act, dry_run: bool) -> Bulk:
    if dry_run:
        return Bulk(verb, rehearse(store, verb, ids, allowed), dry_run=True, store=store, act=act)
    bulk = Bulk(verb, in_groups(act, ids, None), store=store, act=act)
    if isinstance(named, (str, JobHandle)):
        bulk.raise_if_refused()
    return bulk


def batches_reset(store: Store, changes: Sequence[Change], rehearsed: bool = False) -> list[str]:
    """The batches of these jobs in which every job is cancelled, is asked to stop, or (rehearsed) would be."""
    gone = {change.id for change in changes if change.outcome in ("changed", "cancelling")}
    touched = {change.located.job.batch for change in changes if change.id in gone and change.located is not None}
    names = tuple(sorted(name for name in touched if name is not None))
    if not names:
        return []
    whole: defaultdict[str, bool] = defaultdict(lambda: True)
    for located in store.scan(where=Filter(batch=names), limit=None).items:
        ends = located.job.cancelled or located.cancelling or (rehearsed and located.job.id in gone)
        whole[located.job.batch or ""] &= ends
    return [name for name in names if whole[name]]
