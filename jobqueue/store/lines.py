"""Who waits for a limit: a line for each, in the order of the queue, so that waiting costs nothing.

While a limit is closed, its jobs join its line without being tried. When it may be open again (a job that held a place
ended, its time has come, or it is time for another look) the first of the line is tried, and then the next, for as long as
the limit lets them through. So thousands in one line cost one try for each look, and nothing stands in the way of others.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from jobqueue.model.clock import Clock
from jobqueue.store.arrivals import ANY
from jobqueue.store.index import Index
from jobqueue.store.keys import key_file_name

LOOK_EVERY = 0.2
"""Seconds between two tries at a limit without news of it; the news (a ring of the doorbell) is what makes it prompt."""
LOCKED_FOR = 0.1


class Closed(NamedTuple):
    """Not before this moment of the monotonic clock; `until` is when a rate opens, by the clock of the store."""

    again_at: float
    until: datetime | None = None


class Lines:
    """Not thread-safe: its store guards it. Limits go by their names."""

    def __init__(self, index: Index, clock: Clock) -> None:
        self.index = index
        self.clock = clock
        self.closed: dict[str, Closed] = {}
        self.hashes: dict[str, str] = {}
        self.leads: dict[str, str] = {}
        """The names that are tried for their whole line, and its limit."""

    def __bool__(self) -> bool:
        return bool(self.index.lines or self.closed)

    def closed_one(self, limits: Iterable[str]) -> str | None:
        return next((limit for limit in limits if limit in self.closed), None)

    def join(self, name: str, limit: str) -> None:
        self.index.line_up(name, limit)

    def close(self, limit: str, seconds: float, until: datetime | None = None) -> None:
        self.closed[limit] = Closed(time.monotonic() + seconds, until)
        self.hashes[key_file_name(limit)] = limit

    def went(self, name: str) -> None:
        """A name was tried, whatever came of it: unless that has closed its limit, the next of the line has its turn."""
        limit = self.leads.pop(name, None)
        if limit is not None and limit not in self.closed:
            self.open(limit)

    def open(self, limit: str) -> None:
        """Lets the first of a line be tried."""
        if self.closed.pop(limit, None) is not None:
            self.hashes.pop(key_file_name(limit), None)
        name = self.index.release_first(limit)
        if name is not None:
            self.leads[name] = limit

    def open_freed(self, hashes: Iterable[str]) -> None:
        """Jobs that held a place have ended, under these limits or under any."""
        freed = list(hashes)
        if ANY in freed:
            freed = list(self.hashes)
        for hash in freed:
            if (limit := self.hashes.get(hash)) is not None and self.closed[limit].until is None:
                self.open(limit)

    def open_all(self) -> None:
        """What holds may have changed."""
        for limit in [*self.closed, *self.index.lines]:
            self.open(limit)

    def look(self) -> None:
        """Opens what its time has come for, and lines whose first has vanished before it was tried."""
        now, moment = time.monotonic(), self.clock.now()
        for limit in [limit for limit, closed in self.closed.items() if is_over(closed, now, moment)]:
            self.open(limit)
        for name in [name for name in self.leads if name not in self.index.keys]:
            self.went(name)

    def next_look(self) -> float | None:
        """Seconds until something is to be tried again; None where nobody waits."""
        now = time.monotonic()
        waits = [closed.again_at - now for limit, closed in self.closed.items() if limit in self.index.lines]
        return max(0.0, min(waits)) if waits else None

    def opens_in(self) -> float | None:
        """Seconds until a rate opens for which somebody waits."""
        now = time.monotonic()
        rates = [closed.again_at - now for limit, closed in self.closed.items() if closed.until and limit in self.index.lines]
        return max(0.0, min(rates)) if rates else None


def is_over(closed: Closed, now: float, moment: datetime) -> bool:
    """By either clock: one of them may have been put back."""
    return now >= closed.again_at or (closed.until is not None and moment >= closed.until)
