"""What the kernel tells of the folders of a queue: what came, went and was written, and since when nothing can be trusted."""

from __future__ import annotations

import os
import struct
import weakref
from collections.abc import Iterator
from contextlib import suppress

from inotify_simple import INotify, flags

from jobqueue.inert import inert_logger
from jobqueue.model.status import Status

log = inert_logger("jobqueue")
FOLLOWED = (Status.PENDING, Status.DONE, Status.FAILED)
# plain numbers: to combine flags of an enum, once for each event, costs more than all the rest
CAME, WENT = int(flags.CREATE | flags.MOVED_TO), int(flags.MOVED_FROM | flags.DELETE)
GONE = int(flags.DELETE_SELF | flags.MOVE_SELF)
LOST = GONE | int(flags.Q_OVERFLOW | flags.IGNORED | flags.UNMOUNT)
CHANGED = int(flags.CLOSE_WRITE)
TELL = CAME | WENT | CHANGED | GONE | int(flags.ONLYDIR)
HEAD = struct.Struct("iIII")
AT_ONCE = 256 << 10
"""Bytes of events that are read in one call: some four thousand."""
Event = tuple[Status, int, str]
"""Of which folder, what happened (CAME, WENT, CHANGED), and the name."""


class FolderEvents:
    """`start` may fail, and `read` may end it; then `alive` is false, and all must be listed."""

    def __init__(self, url: str) -> None:
        self.paths = {status: os.path.join(url, status.value) for status in FOLLOWED}
        self.watches: dict[int, Status] = {}
        self.folders: list[tuple[int, int]] = []
        """Which those are that are watched: a queue may be moved away, and another put in its place."""
        self.notify: INotify | None = None
        EVENTS.add(self)

    @property
    def alive(self) -> bool:
        return len(self.watches) == len(FOLLOWED)

    def fileno(self) -> int | None:
        """Can be read once something has happened."""
        return self.notify.fileno() if self.notify is not None and self.alive else None

    def start(self) -> None:
        self.close()
        self.folders = self.identities()
        if not all(map(os.path.isdir, self.paths.values())):
            return
        try:
            self.notify = INotify(nonblocking=True)
            self.watches = {self.notify.add_watch(path, TELL): status for status, path in self.paths.items()}
        except OSError as error:
            log.debug("no file events for panels (%s); listing instead", error)
            self.close()

    def read(self) -> list[Event] | None:
        """None where there is nothing to be trusted."""
        if self.notify is None or not self.alive or self.identities() != self.folders:
            self.watches = {}
            return None
        found: list[Event] = []
        with suppress(BlockingIOError):
            while self.alive:
                found += self.told(os.read(self.notify.fileno(), AT_ONCE))
        return found if self.alive else None

    def told(self, data: bytes) -> Iterator[Event]:
        """Unpacked here: the library makes an object of each, which takes twice as long."""
        place = 0
        while place < len(data):
            watch, mask, _, size = HEAD.unpack_from(data, place)
            place += HEAD.size + size
            if mask & LOST:
                self.watches = {}
                return
            yield self.watches[watch], mask, data[place - size : place].rstrip(b"\0").decode("utf-8", "surrogateescape")

    def identities(self) -> list[tuple[int, int]]:
        try:
            found = [os.stat(path) for path in self.paths.values()]
        except OSError:
            return []
        return [(one.st_dev, one.st_ino) for one in found]

    def close(self) -> None:
        if self.notify is not None:
            self.notify.close()
        self.notify, self.watches = None, {}


EVENTS: weakref.WeakSet[FolderEvents] = weakref.WeakSet()


def after_fork() -> None:
    """A child would take events that its parent waits for, and keep the parent's watches alive."""
    for events in EVENTS:
        events.close()
    EVENTS.clear()


os.register_at_fork(after_in_child=after_fork)
