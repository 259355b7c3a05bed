"""Which job lies in which folder, kept in memory: one listing, then what the kernel tells of each folder.

Events are hints: after an overflow, an error, and once a minute all is listed again. Where a file system tells nothing (or the
store is no folder) it is listed each time, and no more often than costs a twentieth of the time.
"""

from __future__ import annotations

import os
import struct
import time
import weakref
from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from heapq import nlargest
from itertools import islice
from operator import itemgetter

from inotify_simple import INotify, flags
from sortedcontainers import SortedList

from jobqueue.inert import inert_logger
from jobqueue.model.names import read_stamp, stamp
from jobqueue.model.status import FINISHED, Status
from jobqueue.queue.queue import Queue
from jobqueue.store.layout import SUFFIX, is_delayed_name, is_job_name, is_ours, job_id

log = inert_logger("jobqueue")
WATCHED = (Status.PENDING, Status.DONE, Status.FAILED)
# plain numbers: to combine flags of an enum, once for each event, costs more than all the rest
CAME, WENT = int(flags.CREATE | flags.MOVED_TO), int(flags.MOVED_FROM | flags.DELETE)
GONE = int(flags.DELETE_SELF | flags.MOVE_SELF)
LOST = GONE | int(flags.Q_OVERFLOW | flags.IGNORED | flags.UNMOUNT)
CHANGED = int(flags.CLOSE_WRITE)
TELL = CAME | WENT | CHANGED | GONE | int(flags.ONLYDIR)
LISTED_EVERY = 60.0
SHARE = 20
"""To list may take this part of the time at most, where there are no events."""
LATEST = 200
"""So many of the last to come are known in the order in which they came."""
RATE_OVER = 60.0
SLACK = 10_000
"""So many that have gone are kept beside those that wait, and their number once more."""
STAMP = 21
made_at = itemgetter(slice(3, 3 + STAMP))
"""Of an id: what sorts ids by when they were made, as far as they say it. No function, for of a million the calls cost most."""

Event = tuple[int, int, str]
"""Which watch, what happened, and the name."""
HEAD = struct.Struct("iIII")
AT_ONCE = 256 << 10
"""Bytes of events that are read in one call: some four thousand."""


class Census:
    """Not for several threads at once. `close()` frees its descriptor."""

    def __init__(self, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self.queue = queue
        self.clock = clock
        self.ids: dict[Status, set[str]] = {status: set() for status in Status}
        self.latest: dict[Status, deque[str]] = {status: deque(maxlen=LATEST) for status in FINISHED}
        """The newest first; one that has gone since is no longer among the ids."""
        self.waiting = SortedList()
        """The ids in pending/ whose names say where they stand in the order, in that order."""
        self.strangers: dict[str, None] = {}
        """Those of them whose names do not say where they stand: dropped files."""
        self.due: list[str] = []
        """When each was made that waits for nothing, and its id behind it: sorted, and some have gone since."""
        self.held = SortedList()
        """Until when the others wait."""
        self.came: dict[Status, deque[float]] = {status: deque() for status in FINISHED}
        self.version = 0
        """Counts the changes."""
        self.looks = 0
        self.touched: dict[str, Status | None] = {}
        """What came, went or was written since the look before the last, and where it lay before that."""
        self.lost = True
        """More may have been touched: something that came back to where it was between two listings."""
        self.listed_at = self.listing_took = 0.0
        self.watches: dict[int, Status] = {}
        self.folders: list[tuple[int, int]] = []
        """Which those are that are watched: a queue may be moved away, and another put in its place."""
        self.notify: INotify | None = None
        CENSUSES.add(self)
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
        return len(self.held) - int(self.held.bisect_right(stamp(now)))

    def oldest_due(self) -> datetime | None:
        """Since when the oldest one waits that has no time to wait for, as far as names tell."""
        pending = self.ids[Status.PENDING]
        gone = next((place for place, one in enumerate(self.due) if one[STAMP:] in pending), len(self.due))
        del self.due[:gone]
        return read_stamp(self.due[0][:STAMP]) if self.due else None

    def rate(self, status: Status) -> float:
        """So many came in a minute, by those of the last minute."""
        came, since = self.came[status], self.clock() - RATE_OVER
        while came and came[0] < since:
            came.popleft()
        return len(came) * 60 / RATE_OVER

    # -- looking

    def look(self) -> int:
        """Takes in what has happened since; the version, which is another where something has."""
        self.looks += 1
        self.touched, self.lost = {}, False
        self.look_at_claimed()
        events = self.read_events()
        age = self.clock() - self.listed_at
        if events is not None:
            self.take_in(events)
            self.find_claimed()
        if events is not None and age < LISTED_EVERY:
            return self.version
        self.lost = events is None
        if self.notify is not None or age > SHARE * self.listing_took:
            self.list_all()
        return self.version

    def take_in(self, events: Iterable[Event]) -> None:
        for wd, mask, name in events:
            status = self.watches.get(wd)
            if status is not None and is_job_name(name):
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
        self.version += 1
        self.ids[status].add(id)
        self.ids[Status.CLAIMED].discard(id)  # where it was when those were listed
        if status is Status.PENDING:
            if not is_ours(id + SUFFIX):
                self.strangers[id] = None
                return
            self.waiting.add(id)
            if is_delayed_name(id):
                self.held.add(made_at(id))
            else:
                insort(self.due, made_at(id) + id)
                if len(self.due) > 2 * len(self.waiting) + SLACK:
                    self.note_due(self.waiting)
        elif status in FINISHED:
            self.came[status].append(self.clock())

    def drop(self, status: Status, id: str) -> None:
        if id in self.ids[status]:
            self.version += 1
            self.ids[status].discard(id)
            if status is Status.PENDING:
                if id in self.strangers:
                    del self.strangers[id]
                    return
                self.waiting.remove(id)
                if is_delayed_name(id):
                    self.held.remove(made_at(id))

    def look_at_claimed(self) -> None:
        """A few folders with a few files each: cheaper to list than to watch."""
        found = set(self.queue.store.ids(Status.CLAIMED))
        if found != self.ids[Status.CLAIMED]:
            self.version += 1
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
        if not self.watching:
            self.close()
            self.notify = self.watch()
        found = {status: set(self.queue.store.ids(status)) for status in Status}
        if found != self.ids:
            self.version += 1
            for id in set().union(*(found[status] ^ self.ids[status] for status in Status)):
                self.touch(id)
            for status in FINISHED:
                fresh = sorted(found[status] - self.ids[status], key=made_at) if self.listed_at else []
                self.latest[status].extendleft(fresh[-LATEST:])
                self.came[status].extend([started] * len(fresh))
            ours = [id for id in found[Status.PENDING] if is_ours(id + SUFFIX)]
            self.waiting = SortedList(ours)
            self.strangers = dict.fromkeys(found[Status.PENDING].difference(ours))
            self.note_due(ours)
            self.held = SortedList(made_at(id) for id in ours if is_delayed_name(id))
            self.ids = found
        self.listed_at = self.clock()
        self.listing_took = self.listed_at - started

    def note_due(self, waiting: Iterable[str]) -> None:
        self.due = sorted(made_at(id) + id for id in waiting if not is_delayed_name(id))

    # -- watching

    @property
    def watching(self) -> bool:
        return len(self.watches) == len(WATCHED)

    def fileno(self) -> int | None:
        """Can be read once something has happened."""
        return self.notify.fileno() if self.notify is not None and self.watching else None

    def folder(self, status: Status) -> str:
        return os.path.join(self.queue.store.url, status.value)

    def identities(self) -> list[tuple[int, int]]:
        try:
            found = [os.stat(self.folder(status)) for status in WATCHED]
        except OSError:
            return []
        return [(one.st_dev, one.st_ino) for one in found]

    def watch(self) -> INotify | None:
        self.watches = {}
        folders = {status: self.folder(status) for status in WATCHED}
        self.folders = self.identities()
        if not all(map(os.path.isdir, folders.values())):
            return None
        notify = None
        try:
            notify = INotify(nonblocking=True)
            self.watches = {notify.add_watch(path, TELL): status for status, path in folders.items()}
        except OSError as error:
            log.debug("no file events for panels (%s); listing instead", error)
            if notify is not None:
                notify.close()
            self.watches = {}
            return None
        return notify

    def read_events(self) -> list[Event] | None:
        """None where there is nothing to be trusted: all must be listed."""
        if self.notify is None or not self.watching or self.identities() != self.folders:
            self.watches = {}
            return None
        found: list[Event] = []
        with suppress(BlockingIOError):
            while True:
                found += told(os.read(self.notify.fileno(), AT_ONCE))
        if any(mask & LOST for _, mask, _ in found):
            self.watches = {}
            return None
        return found

    def close(self) -> None:
        if self.notify is not None:
            self.notify.close()
        self.notify, self.watches = None, {}


CENSUSES: weakref.WeakSet[Census] = weakref.WeakSet()


def after_fork() -> None:
    """A child would take events that its parent waits for, and keep the parent's watches alive."""
    for census in CENSUSES:
        census.close()
    CENSUSES.clear()


os.register_at_fork(after_in_child=after_fork)


def told(data: bytes) -> Iterator[Event]:
    """The events in what the kernel tells. Ours is not to make an object of each: that takes twice as long."""
    place = 0
    while place < len(data):
        watch, mask, _, size = HEAD.unpack_from(data, place)
        place += HEAD.size + size
        yield watch, mask, data[place - size : place].rstrip(b"\0").decode("utf-8", "surrogateescape")
