"""What is known of each job: a row, read in bulk once somebody asks for more than names tell, then kept up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from heapq import nsmallest
from typing import Any, NamedTuple

from jobqueue.analytics.jobs import jobs as jobs_frame
from jobqueue.errors import JobNotFound
from jobqueue.model.status import FINISHED, Status
from jobqueue.panels.census import Census, made_at
from jobqueue.panels.pace import Pace
from jobqueue.panels.wording import first_line, problem_of
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located

FACETS = ("type", "project", "batch")
AT_ONCE = 60
"""Rows that one refresh reads anew; the next goes on."""

MOST_VALUES = 200
"""To choose from, of a facet."""


class Row(NamedTuple):
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


class KnownRows:
    """`follow` after each look of the census. Nothing is read before `read_all`."""

    def __init__(self, queue: Queue, census: Census) -> None:
        self.queue = queue
        self.census = census
        self.rows: dict[str, Row] = {}
        self.stale: dict[str, None] = {}
        """What is to be read again."""
        self.facets: dict[str, Counter[str]] = {name: Counter() for name in FACETS}
        """How many jobs have each type, project and batch."""
        self.whole = self.lost = False
        self.pace = Pace()
        self.version = 0
        """Counts the changes."""
        self.looks = 0

    def read_all(self) -> None:
        """Of what has finished the journal tells; the rest is read, some 50 us each."""
        with self.pace:
            self.rows, self.stale, self.lost = {}, {}, False
            self.facets = {name: Counter() for name in FACETS}
            for row in rows_of(jobs_frame(self.queue, progress=False)):
                self.put(row)
            self.whole = True

    def follow(self) -> None:
        """Where a job lies now is known at once; what else is new of it is read by and by."""
        missed = self.census.lost or self.census.looks > self.looks + 1
        self.looks = self.census.looks
        if not self.whole:
            return
        self.lost = self.lost or missed
        for id in self.census.touched:
            self.move(id, self.census.status_of(id))

    def move(self, id: str, status: Status | None) -> None:
        row = self.rows.get(id)
        if status is None:
            self.drop(id)
            self.stale.pop(id, None)
            return
        if row is not None and row.status != status.value:
            self.put(row._replace(status=status.value))
        if row is None or status is Status.PENDING or status in FINISHED:
            self.stale[id] = None

    def read_some(self) -> None:
        for id in list(self.stale)[:AT_ONCE]:
            del self.stale[id]
            try:
                self.put(row_of(self.queue.store.get(id)))
            except JobNotFound:
                self.drop(id)

    def read_the_rest(self) -> None:
        """In bulk where too much has happened to be read one by one, as often as that is cheap."""
        if (self.lost or len(self.stale) > AT_ONCE) and self.pace.is_time():
            self.read_all()
        else:
            self.read_some()

    def put(self, row: Row) -> None:
        self.drop(row.id)
        self.rows[row.id] = row
        self.count(row, 1)
        self.version += 1

    def drop(self, id: str) -> None:
        row = self.rows.pop(id, None)
        if row is not None:
            self.count(row, -1)
            self.version += 1

    def count(self, row: Row, one: int) -> None:
        for name in FACETS:
            value = getattr(row, name)
            if value:
                self.facets[name][value] += one
                if not self.facets[name][value]:
                    del self.facets[name][value]

    def values(self, column: str) -> list[tuple[str, int]]:
        """The values of a column with their counts, the most frequent first; none before rows were read."""
        return nsmallest(MOST_VALUES, self.facets[column].items(), key=lambda one: (-one[1], one[0]))


def row_of(located: Located) -> Row:
    job = located.job
    seconds = None if job.ran is None else job.ran.seconds
    return Row(
        job.id,
        made_at(job.id),
        located.status.value,
        job.name or "",
        job.type,
        job.project or "",
        job.batch or "",
        job.attempts,
        -1.0 if seconds is None else seconds,
        -1.0 if job.finished_at is None else job.finished_at.timestamp(),
        problem_of(job, located.reason),
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
