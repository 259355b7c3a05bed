"""What is known of each job: a row, read in bulk once somebody asks for more than names tell, then kept up to date."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import nsmallest
from itertools import islice
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import replace

from jobqueue.analytics.jobs import told_and_untold
from jobqueue.model.status import FINISHED, Status
from jobqueue.panels.census import Census
from jobqueue.panels.pace import Pace
from jobqueue.panels.waiting import made_at
from jobqueue.panels.wording import first_line, problem_of
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Digest

FACETS = ("type", "project", "batch")
AT_ONCE = 500
"""Rows that one refresh reads anew, in 5 ms, and the next goes on."""
MANY = 300_000
"""More jobs than these are read when somebody asks for them, and finished ones from the journal: one file, not a million."""

MOST_VALUES = 200
"""To choose from, of a facet."""


class Row(msgspec.Struct, frozen=True, gc=False):  # the garbage collector would look through a hundred thousand of them
    """Texts are empty and numbers are -1 where there is nothing; times are in seconds since 1970."""

    id: str
    made: str
    status: str
    name: str
    type: str
    project: str
    batch: str
    attempts: int
    run: float
    finished: float
    error: str


faceted = attrgetter(*FACETS)


class KnownRows:
    """`follow` after each look of the census. Nothing is read before `begin`, and then in slices: whoever waits sees how far
    it is, and a click is answered between two of them."""

    def __init__(self, queue: Queue, census: Census) -> None:
        self.queue = queue
        self.census = census
        self.rows: dict[str, Row] = {}
        self.stale: dict[str, None] = {}
        """What is to be read again."""
        self.facets: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        """How many jobs have each type, project and batch."""
        self.whole = self.lost = False
        self.reading: Iterator[Row] | None = None
        self.so_far = self.to_read = 0
        """How far the reading of every job is."""
        self.spent = 0.0
        self.pace = Pace()
        self.changed: set[str] = set()
        """Whose row is another than it was; who takes them in empties it."""
        self.looks = 0

    # -- every job once

    @property
    def many(self) -> bool:
        return sum(self.census.counts.values()) > MANY

    def begin(self) -> None:
        """Reads every job anew; what is known stays until then."""
        self.stale, self.lost = {}, False
        self.so_far, self.to_read = 0, sum(self.census.counts.values())
        self.reading, self.spent = self.read_anew(), 0.0

    def go_on(self, seconds: float) -> None:
        """A slice of it."""
        began = time.monotonic()
        try:
            ended = self.take(began + seconds)
        except BaseException:
            self.reading = None  # what broke off has no end
            raise
        self.spent += time.monotonic() - began
        if ended:
            self.finish()

    def take(self, until: float) -> bool:
        """Whether there was time for all that was left."""
        for row in self.reading or ():
            self.so_far += 1
            status = self.census.status_of(row.id)
            if status is not None:  # it may have moved since it was read
                self.put(row if row.status == status.value else replace(row, status=status.value))
            if time.monotonic() > until:
                return False
        return True

    def finish(self) -> None:
        for id in [id for id in self.rows if self.census.status_of(id) is None]:
            self.drop(id)
        self.reading, self.whole = None, True
        self.pace.made(self.spent)

    def read_anew(self) -> Iterator[Row]:
        if self.many:
            known, unknown = told_and_untold(self.queue, tuple(Status))
            self.to_read = len(known) + len(unknown)
            yield from rows_of(known)
        else:
            unknown = [id for ids in self.census.ids.values() for id in ids]
        yield from self.read(unknown)

    def read(self, ids: Iterable[str]) -> Iterator[Row]:
        """Where the census knows them to be. One that has moved on since will be heard of, and is stale then."""
        here: dict[Status, list[str]] = {status: [] for status in Status}
        for id in ids:
            status = self.census.status_of(id)
            if status is not None:
                here[status].append(id)
        for status, some in here.items():
            yield from map(row_of, self.queue.store.digests((status,), some))

    @property
    def share_read(self) -> float | None:
        """How much is read, from 0 to 1, where not all of it ever was; None where there is nothing to wait for."""
        return None if self.whole or self.reading is None else self.so_far / max(1, self.to_read)

    # -- what is new

    def follow(self) -> bool:
        """Where a job lies now is known at once; what else is new of it is read by and by. Whether a look was missed."""
        missed = self.census.looks > self.looks + 1
        self.looks = self.census.looks
        if self.whole or self.reading is not None:
            self.lost = self.lost or missed or self.census.lost
            for id in self.census.touched:
                self.move(id, self.census.status_of(id))
        return missed

    def move(self, id: str, status: Status | None) -> None:
        row = self.rows.get(id)
        if status is None:
            self.drop(id)
            self.stale.pop(id, None)
            return
        if row is not None and row.status != status.value:
            self.rows[id] = replace(row, status=status.value)  # of which no facet counts anything
            self.changed.add(id)
        if row is None or status is Status.PENDING or status in FINISHED:
            self.stale[id] = None

    def read_some(self) -> None:
        some = list(islice(self.stale, AT_ONCE))
        for id in some:
            del self.stale[id]
        for row in self.read(some):
            self.put(row)

    def read_the_rest(self) -> None:
        """In bulk where too much has happened to be read one by one, as often as that is cheap."""
        if (self.lost or len(self.stale) > AT_ONCE) and self.pace.is_time():
            self.begin()
        else:
            self.read_some()

    def put(self, row: Row) -> None:
        known = self.rows.get(row.id)
        if known == row:
            return
        self.rows[row.id] = row
        self.changed.add(row.id)
        if known is None or faceted(known) != faceted(row):
            self.count(row, 1)
            if known is not None:
                self.count(known, -1)

    def drop(self, id: str) -> None:
        row = self.rows.pop(id, None)
        if row is not None:
            self.count(row, -1)
            self.changed.add(id)

    def count(self, row: Row, one: int) -> None:
        for counter, value in zip(self.facets.values(), faceted(row), strict=True):
            if value:
                counter[value] += one
                if not counter[value]:
                    del counter[value]

    def values(self, column: str) -> list[tuple[str, int]]:
        """The values of a column with their counts, the most frequent first; none before rows were read."""
        return nsmallest(MOST_VALUES, self.facets[column].items(), key=lambda one: (-one[1], one[0]))


def row_of(digest: Digest) -> Row:
    seconds = None if digest.ran is None else digest.ran.seconds
    return Row(
        digest.id,
        made_at(digest.id),
        digest.status.value,
        digest.name or "",
        digest.type,
        digest.project or "",
        digest.batch or "",
        digest.attempts,
        -1.0 if seconds is None else seconds,
        -1.0 if digest.finished_at is None else digest.finished_at.timestamp(),
        problem_of(digest.error, digest.rejected),
    )


def rows_of(frame: Any) -> Iterator[Row]:
    """From `analytics.jobs`, a column at a time."""
    texts = {
        name: frame[name].astype("object").where(frame[name].notna(), "").tolist()
        for name in ("name", "type", "project", "batch")
    }
    errors = frame["error"].astype("object").where(frame["error"].notna(), "").tolist()
    kinds = frame["error_type"].astype("object").where(frame["error_type"].notna(), "").tolist()
    run = frame["run"].dt.total_seconds().fillna(-1.0).tolist()
    finished = (frame["finished_at"].astype("int64") / 1e6).where(frame["finished_at"].notna(), -1.0).tolist()
    attempts = frame["attempts"].fillna(0).astype("int64").tolist()
    for place, (id, status) in enumerate(zip(frame["id"].tolist(), frame["status"].tolist(), strict=True)):
        said = first_line(errors[place]) if errors[place] else ""
        yield Row(
            id,
            made_at(id),
            status,
            texts["name"][place],
            texts["type"][place],
            texts["project"][place],
            texts["batch"][place],
            attempts[place],
            run[place],
            finished[place],
            f"{kinds[place]}: {said}" if kinds[place] and said else said,
        )
