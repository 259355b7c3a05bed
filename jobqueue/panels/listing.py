"""The jobs of a table: which match, in which order, and which of them are chosen. A hundred thousand of them, and more.

Without a filter and by the time at which they were made their names say it all, and nothing is read. Else a row for each is
read once (of finished ones the journal tells) and kept until its job moves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from jobqueue.analytics.jobs import jobs as jobs_frame
from jobqueue.errors import JobNotFound
from jobqueue.model.status import Status
from jobqueue.panels.census import Census, made_at
from jobqueue.panels.pace import Pace
from jobqueue.panels.wording import first_line, problem_of
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located

AT_ONCE = 300
"""Rows that one refresh reads anew; the next goes on."""
COLUMNS = ("made", "status", "name", "type", "project", "batch", "attempts", "run", "finished", "error")


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


@dataclass(frozen=True)
class Query:
    """What the table shows. `text` is looked for in ids, names, types, projects, batches and errors."""

    status: str = ""
    type: str = ""
    project: str = ""
    batch: str = ""
    text: str = ""
    sort: str = "made"
    descending: bool = True

    @property
    def by_names(self) -> bool:
        """Whether the names of the files answer it."""
        return self.sort == "made" and not (self.type or self.project or self.batch or self.text)

    def matches(self, row: Row) -> bool:
        if (self.status and row.status != self.status) or (self.type and row.type != self.type):
            return False
        if (self.project and row.project != self.project) or (self.batch and row.batch != self.batch):
            return False
        words = self.text.lower()
        return not words or any(
            words in value.lower() for value in (row.id, row.name, row.type, row.project, row.batch, row.error)
        )


class Listing:
    """`refresh` after each look of the census; `ids` are those that match, in order."""

    def __init__(self, queue: Queue, census: Census) -> None:
        self.queue = queue
        self.census = census
        self.query = Query()
        self.rows: dict[str, Row] | None = None
        self.stale: dict[str, None] = {}
        self.ids: Sequence[str] = ()
        self.pace = Pace()
        self.done_for: tuple[Query, int] | None = None
        self.chosen: set[str] = set()
        self.all_chosen = False

    # -- what matches

    def ask(self, **words: Any) -> None:
        """Another filter or order. What was chosen stays, but for "all that match": that was said of another filter."""
        self.query = replace(self.query, **words)
        self.all_chosen = False

    def refresh(self) -> None:
        """At once for another question; else at a pace that the number of jobs allows."""
        self.note(self.census.touched)
        asked = (self.query, self.census.version)
        if self.done_for == asked:
            return
        if self.done_for is None or self.done_for[0] != self.query or self.pace.is_time():
            with self.pace:
                self.ids = self.by_names() if self.query.by_names else self.by_rows()
            self.done_for = asked

    def note(self, touched: set[str] | None) -> None:
        """What moved is to be read again."""
        if self.rows is not None:
            every = (id for ids in self.census.ids.values() for id in ids)
            self.stale.update(dict.fromkeys(every if touched is None else touched))

    def by_names(self) -> Sequence[str]:
        wanted = [self.census.ids[status] for status in Status if self.query.status in ("", status.value)]
        return sorted((id for ids in wanted for id in ids), key=made_at, reverse=self.query.descending)

    def by_rows(self) -> Sequence[str]:
        self.read_rows()
        assert self.rows is not None
        rows = self.rows.values()
        column = COLUMNS.index(self.query.sort) + 1
        found = sorted(filter(self.query.matches, rows), key=lambda row: (row[column], row.made), reverse=self.query.descending)
        return [row.id for row in found]

    def read_rows(self) -> None:
        if self.rows is None:
            self.rows = {row.id: row for row in rows_of(jobs_frame(self.queue, progress=False))}
            self.stale = {}
        for id in list(self.stale)[:AT_ONCE]:
            del self.stale[id]
            self.rows.pop(id, None)
            try:
                located = self.queue.store.get(id)
            except JobNotFound:
                continue
            self.rows[id] = row_of(located)
        gone = [id for id in self.rows if self.census.status_of(id) is None]
        for id in gone:
            del self.rows[id]

    # -- a window of it

    def window(self, start: int, count: int, read: Callable[[Iterable[str]], Iterable[Located]]) -> list[Row]:
        return [row_of(located) for located in read(self.ids[start : start + count])]

    # -- what is chosen

    def choose(self, ids: Iterable[str], chosen: bool) -> None:
        if self.all_chosen:
            self.chosen, self.all_chosen = set(self.ids), False
        (self.chosen.update if chosen else self.chosen.difference_update)(ids)

    def choose_all(self, chosen: bool) -> None:
        self.all_chosen = chosen
        self.chosen = set()

    @property
    def choice(self) -> list[str]:
        """The chosen ids, in the order of the table."""
        if self.all_chosen:
            return list(self.ids)
        return [id for id in self.ids if id in self.chosen] + sorted(self.chosen.difference(self.ids))

    @property
    def chosen_count(self) -> int:
        return len(self.ids) if self.all_chosen else len(self.chosen)


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


def facets(rows: Mapping[str, Row] | None, column: str) -> list[tuple[str, int]]:
    """The values of a column with their counts, the most frequent first; none before rows were read."""
    if rows is None:
        return []
    place = Row._fields.index(column)
    counts = Counter(str(row[place]) for row in rows.values() if row[place])
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))
