"""Which job lies in which folder, kept in memory: one listing, then what the kernel tells of each folder.

Events are hints: after an overflow, an error, and once a minute all is listed again. Where a file system tells nothing (or the
store is no folder) it is listed each time, and no more often than costs a twentieth of the time.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from heapq import nlargest
from itertools import islice

from jobqueue.model.status import FINISHED, Status
from jobqueue.panels.events import CAME, WENT, Event, FolderEvents
from jobqueue.panels.waiting import Waiting, made_at
from jobqueue.queue.queue import Queue
from jobqueue.store.layout import is_job_name, job_id

LISTED_EVERY = 60.0
SHARE = 20
"""To list may take this part of the time at most, where there are no events."""
LATEST = 200
"""So many of the last to come are known in the order in which they came."""
RATE_OVER = 60.0


class Census:
    """Not for several threads at once. `close()` frees its descriptor."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self.queue = queue
        self.clock = clock
        self.ids: dict[Status, set[str]] = {status: set() for status in Status}
        self.latest: dict[Status, deque[str]] = {status: deque(maxlen=LATEST) for status in FINISHED}
        """The newest first; one that has gone since is no longer among the ids."""
        self.waiting = Waiting()
        self.came: dict[Status, deque[float]] = {status: deque() for status in FINISHED}
        self.looks = 0
        self.touched: dict[str, Status | None] = {}
        """What came, went or was written since the look before the last, and where it lay before that."""
        self.lost = True
        """More may have been touched: something that came back to where it was between two listings."""
        self.listed_at = self.listing_took = 0.0
        self.events = FolderEvents(queue.store.url)
        self.list_all()

    # -- what is known

    @property
    def counts(self) -> dict[Status, int]:
        return {status: len(ids) for status, ids in self.ids.items()}

    def newest(self, status: Status, count: int) -> list[str]:
        """Of the done or failed ones, those that came last, the newest first."""
        here, latest = self.ids[status], self.latest[status]
        found = list(islice(dict.fromkeys(id for id in latest if id in here), count))
        if len(found) < min(count, len(here)):
            latest.clear()
            latest.extend(nlargest(LATEST, here, key=made_at))
            found = list(latest)[:count]
        return found

    def status_of(self, id: str) -> Status | None:
        for status, ids in self.ids.items():
            if id in ids:
                return status
        return None

    def delayed(self, now: datetime) -> int:
        """How many wait for a time that their names tell."""
        return self.waiting.delayed(now)

    def oldest_due(self) -> datetime | None:
        """Since when the oldest one waits that has no time to wait for, as far as names tell."""
        return self.waiting.oldest_due(self.ids[Status.PENDING])

    def rate(self, status: Status) -> float:
        """So many came in a minute, by those of the last minute."""
        came, since = self.came[status], self.clock() - RATE_OVER
        while came and came[0] < since:
            came.popleft()
        return len(came) * 60 / RATE_OVER

    # -- looking

    def look(self) -> None:
        """Takes in what has happened since."""
        self.looks += 1
        self.touched, self.lost = {}, False
        self.look_at_claimed()
        events = self.events.read()
        age = self.clock() - self.listed_at
        if events is not None:
            self.take_in(events)
            self.find_claimed()
        if events is not None and age < LISTED_EVERY:
            return
        self.lost = events is None
        if self.events.notify is not None or age > SHARE * self.listing_took:
            self.list_all()

    def take_in(self, events: Iterable[Event]) -> None:
        for status, mask, name in events:
            if is_job_name(name):
                id = job_id(name)
                self.touch(id)
                if mask & CAME:
                    self.add(status, id)
                elif mask & WENT:
                    self.drop(status, id)

    def touch(self, id: str) -> None:
        if id not in self.touched:
            self.touched[id] = self.status_of(id)

    def add(self, status: Status, id: str) -> None:
        if status in FINISHED:  # also one that we know: it may have gone and come back between two looks
            self.latest[status].appendleft(id)
        if id in self.ids[status]:
            return
        self.ids[status].add(id)
        self.ids[Status.CLAIMED].discard(id)  # where it was when those were listed
        if status is Status.PENDING:
            self.waiting.add(id)
        elif status in FINISHED:
            self.came[status].append(self.clock())

    def drop(self, status: Status, id: str) -> None:
        if id in self.ids[status]:
            self.ids[status].discard(id)
            if status is Status.PENDING:
                self.waiting.drop(id)

    def look_at_claimed(self) -> None:
        """A few folders with a few files each: cheaper to list than to watch."""
        found = set(self.queue.store.ids(Status.CLAIMED))
        if found != self.ids[Status.CLAIMED]:
            for id in found ^ self.ids[Status.CLAIMED]:
                self.touch(id)
            self.ids[Status.CLAIMED] = found

    def find_claimed(self) -> None:
        """What was claimed between that listing and the events is in none of the folders until they are listed once more."""
        if any(self.status_of(id) is None for id in self.touched):
            nowhere = {id for id in self.queue.store.ids(Status.CLAIMED) if self.status_of(id) is None}
            self.ids[Status.CLAIMED] |= nowhere

    def list_all(self) -> None:
        started = self.clock()
        if not self.events.alive:
            self.events.start()
        found = {status: set(self.queue.store.ids(status)) for status in Status}
        if found != self.ids:
            for id in set().union(*(found[status] ^ self.ids[status] for status in Status)):
                self.touch(id)
            for status in FINISHED:
                fresh = sorted(found[status] - self.ids[status], key=made_at) if self.listed_at else []
                self.latest[status].extendleft(fresh[-LATEST:])
                self.came[status].extend([started] * len(fresh))
            self.waiting = Waiting(found[Status.PENDING])
            self.ids = found
        self.listed_at = self.clock()
        self.listing_took = self.listed_at - started

    def fileno(self) -> int | None:
        """Can be read once something has happened."""
        return self.events.fileno()

    def close(self) -> None:
        self.events.close()
