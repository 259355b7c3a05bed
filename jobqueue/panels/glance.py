"""One look at a queue: what the dashboard draws, as plain data."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from heapq import merge
from itertools import islice

from jobqueue.errors import JobNotFound
from jobqueue.model.control import Pause
from jobqueue.model.filter import when
from jobqueue.model.names import stamp
from jobqueue.model.status import FINISHED, Status
from jobqueue.panels.census import Census
from jobqueue.panels.wording import ROWS
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located, WorkerInfo
from jobqueue.store.layout import order_key

FRESH_FOR = 10.0
"""Seconds for which a file that has not moved is not read again: somebody may edit it where it is."""
KEPT = 500
"""So many jobs stay in memory between two looks: those of all lists and of the table in sight."""
MOST_STRANGE = 200
"""So many dropped files are opened in one look, for the place in the order that their names do not say."""


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
    """Jobs in a minute, by what became of them, over the last one."""

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def unserved(self) -> list[str]:
        types = {located.job.type for located in self.lists[Status.PENDING] if located.reason is None}
        return sorted(type for type in types if not any(worker.serves(type) for worker in self.workers))


class Glancing:
    """Looks again and again: folders are followed, and a file that has not moved is not read each time."""

    def __init__(self, queue: Queue) -> None:
        self.queue = queue
        self.census = Census(queue)
        self.read: dict[tuple[Status, str], tuple[float, Located]] = {}
        self.strange: dict[str, str] = {}
        """Where dropped files stand in the order, by id."""

    def look(self) -> Glance:
        store, census, now = self.queue.store, self.census, self.queue.clock.now()
        self.follow()
        claimed = list(islice(sorted(census.ids[Status.CLAIMED]), ROWS["claimed"]))
        lists = {
            Status.CLAIMED: self.located(Status.CLAIMED, claimed),
            Status.PENDING: self.located(Status.PENDING, self.first_waiting(ROWS["pending"])),
            **{status: self.located(status, census.newest(status, ROWS[status.value])) for status in FINISHED},
        }
        control = store.control()
        return Glance(
            now,
            store.url,
            census.counts,
            lists,
            store.workers(),
            control.paused,
            control.paused_types,
            census.oldest_due(),
            census.delayed(now),
            {status.value: census.rate(status) for status in FINISHED},
        )

    def follow(self) -> None:
        """Takes in what moved; that is to be read again."""
        self.census.look()
        lost, touched = self.census.lost, self.census.touched
        kept = [] if lost else [(key, known) for key, known in self.read.items() if key[1] not in touched]
        self.read = dict(kept[-KEPT:])

    def located(self, status: Status, ids: Iterable[str]) -> list[Located]:
        """What has moved on since is left out: the next look finds it where it is."""
        found = []
        moment = time.monotonic()
        for id in ids:
            known = self.read.get((status, id))
            if known is None or status is Status.CLAIMED or moment - known[0] > FRESH_FOR:
                try:
                    known = (moment, self.queue.store.get(id))
                except JobNotFound:
                    continue
                self.read[status, id] = known
            if known[1].status is status:
                found.append(known[1])
        return found

    def found(self, ids: Iterable[str]) -> list[Located]:
        """The jobs, wherever each of them is now."""
        known = ((id, self.census.status_of(id)) for id in ids)
        return [one for id, status in known if status is not None for one in self.located(status, [id])]

    def first_waiting(self, count: int) -> list[str]:
        """In the order in which workers take them; of a dropped file only its body says where it stands."""
        strangers = self.census.waiting.strangers
        self.strange = {id: key for id, key in self.strange.items() if id in strangers}
        for id in list(islice((id for id in strangers if id not in self.strange), MOST_STRANGE)):
            self.strange[id] = self.key_of(id)
        dropped = sorted((key, id) for id, key in self.strange.items())
        return [id for _, id in islice(merge(((id, id) for id in self.census.waiting), dropped), count)]

    def key_of(self, id: str) -> str:
        try:
            job = self.queue.store.get(id).job
        except JobNotFound:
            return id
        return order_key(job.priority, stamp(when(job)), id)

    def close(self) -> None:
        self.census.close()
