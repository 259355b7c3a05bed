"""One look at a queue: what the dashboard draws, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from jobqueue.model.control import Pause
from jobqueue.model.status import Status
from jobqueue.panels.wording import ROWS
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located, Page, WorkerInfo

ORDER = {Status.CLAIMED: "oldest", Status.PENDING: "urgent", Status.DONE: "newest", Status.FAILED: "newest"}


@dataclass(frozen=True)
class Glance:
    """`lists` has the first rows of each status, `counts` how many there are in all. `oldest` is since when the oldest due
    job waits, `unserved` the types of pending jobs in sight that no live worker takes."""

    now: datetime
    url: str
    counts: Mapping[Status, int]
    lists: Mapping[Status, Sequence[Located]]
    workers: Sequence[WorkerInfo] = ()
    paused: Pause | None = None
    paused_types: Mapping[str, Pause] = field(default_factory=dict)
    oldest: datetime | None = None
    delayed: int = 0
    rates: Mapping[str, float] = field(default_factory=dict)
    """Jobs in a minute, by what became of them, over the last minutes."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def unserved(self) -> list[str]:
        types = {located.job.type for located in self.lists[Status.PENDING] if located.reason is None}
        return sorted(type for type in types if not any(worker.serves(type) for worker in self.workers))


def look(queue: Queue) -> Glance:
    store, now = queue.store, queue.clock.now()
    pages = {status: page(queue, status) for status in Status}
    control = store.control()
    pending = pages[Status.PENDING].items
    due = [since for located in pending if (since := waits_since(located, now)) is not None]
    return Glance(
        now,
        store.url,
        {status: found.total for status, found in pages.items()},
        {status: found.items for status, found in pages.items()},
        store.workers(),
        control.paused,
        control.paused_types,
        min(due, default=None),
        sum(is_delayed(located, now) for located in pending),
    )


def page(queue: Queue, status: Status) -> Page:
    return queue.store.scan(statuses=[status], order=ORDER[status], limit=ROWS[status.value])


def is_delayed(located: Located, now: datetime) -> bool:
    return located.job.run_after is not None and located.job.run_after > now


def waits_since(located: Located, now: datetime) -> datetime | None:
    return None if is_delayed(located, now) else located.job.run_after or located.job.created_at
