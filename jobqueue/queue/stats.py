"""Counts at this moment, without pandas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from jobqueue.model.limit import QUEUE
from jobqueue.model.status import Status
from jobqueue.queue.showing import mimebundle
from jobqueue.store.base import Digest, Store, WorkerInfo

if TYPE_CHECKING:
    from jobqueue.queue.queue import Queue


class WorkerStats(msgspec.Struct, frozen=True, kw_only=True):
    """The workers of a queue together. `requests_per_minute` is what the whole queue is limited to, or None."""

    is_running: bool
    active_jobs: int
    requests_per_minute: float | None
    max_concurrency: int
    count: int


class Stats(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """How many jobs there are. The four statuses add up to `total`; the parts are inside them:

    `delayed` and `retrying` in pending, `cancelled` and `rejected` in failed. `oldest_age` is how long the oldest due
    pending job has waited, in seconds, or None. `paused` says who paused the queue, since when and why, or is None.
    """

    pending: int
    claimed: int
    done: int
    failed: int
    total: int
    delayed: int
    retrying: int
    cancelled: int
    rejected: int
    oldest_age: float | None
    paused: str | None
    workers: WorkerStats

    @property
    def queue(self) -> Queue | None:
        """The queue that was counted, where all of it was: no field, so equal counts are equal wherever they come from."""
        return self.__dict__.get("counted")

    def __str__(self) -> str:
        line = f"{self.pending} pending, {self.claimed} claimed, {self.done} done, {self.failed} failed"
        parts = [
            f"{getattr(self, part)} {part}" for part in ("delayed", "retrying", "cancelled", "rejected") if getattr(self, part)
        ]
        return line + (f" ({', '.join(parts)})" if parts else "")

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        return mimebundle(self)


def count(
    digests: Iterable[Digest], now: datetime, workers: Sequence[WorkerInfo], paused: str | None, rate: float | None = None
) -> Stats:
    """Pure: what a set of jobs adds up to."""
    by_status = dict.fromkeys(Status, 0)
    delayed = retrying = cancelled = rejected = 0
    oldest: datetime | None = None
    for digest in digests:
        by_status[digest.status] += 1
        if digest.status is Status.PENDING:
            waits = digest.run_after is not None and digest.run_after > now
            delayed += waits
            retrying += digest.attempts > 0
            since = digest.run_after or digest.created_at
            if not waits and since is not None and (oldest is None or since < oldest):
                oldest = since
        elif digest.status is Status.FAILED:
            cancelled += digest.reason == "cancelled"
            rejected += digest.reason == "rejected"
    return Stats(
        pending=by_status[Status.PENDING],
        claimed=by_status[Status.CLAIMED],
        done=by_status[Status.DONE],
        failed=by_status[Status.FAILED],
        total=sum(by_status.values()),
        delayed=delayed,
        retrying=retrying,
        cancelled=cancelled,
        rejected=rejected,
        oldest_age=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        paused=paused,
        workers=worker_stats(workers, by_status[Status.CLAIMED], rate),
    )


def worker_stats(workers: Sequence[WorkerInfo], active: int, rate: float | None = None) -> WorkerStats:
    return WorkerStats(
        is_running=bool(workers),
        active_jobs=active,
        requests_per_minute=rate,
        max_concurrency=sum(worker.concurrency for worker in workers),
        count=len(workers),
    )


def stats_of(queue: Queue, project: str | None, type: str | None) -> Stats:
    """The body of `Queue.stats`."""
    stats = read_stats(queue.store, queue.clock.now(), project, type)
    if project is None and type is None:
        stats.__dict__["counted"] = queue
    return stats


def read_stats(store: Store, now: datetime, project: str | None = None, type: str | None = None) -> Stats:
    """Counts of a whole store come from its folders; done jobs are opened only to tell projects and types apart."""
    pause = store.control().paused
    paused = None if pause is None else pause.sentence("the queue")
    if project is None and type is None:
        stats = count(
            store.digests((Status.PENDING, Status.CLAIMED, Status.FAILED)), now, store.workers(), paused, rate_of(store)
        )
        done = store.counts()[Status.DONE]
        return msgspec.structs.replace(stats, done=done, total=stats.total + done)
    chosen = [
        digest
        for digest in store.digests(tuple(Status))
        if (project is None or digest.project == project) and (type is None or digest.type == type)
    ]
    return count(chosen, now, store.workers(), paused, rate_of(store))


def rate_of(store: Store) -> float | None:
    """How many jobs of all types together may start in a minute; None where nobody has limited that."""
    limit = store.limits().get(QUEUE)
    return None if limit is None or limit.rate is None else limit.rate.per_minute


def stats_by(store: Store, now: datetime, field: str) -> dict[str, Stats]:
    """Counts for each type or each project (`field`); jobs without a project stand under the empty text."""
    groups: dict[str, list[Digest]] = {}
    for digest in store.digests(tuple(Status)):
        groups.setdefault(getattr(digest, field) or "", []).append(digest)
    pause = store.control().paused
    paused = None if pause is None else pause.sentence("the queue")
    workers, rate = store.workers(), rate_of(store)
    return {name: count(group, now, workers, paused, rate) for name, group in sorted(groups.items())}
