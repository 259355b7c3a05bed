"""The jobs of a table: which match, in which order, and which of them are chosen. A hundred thousand of them, and more.

By status and the time at which they were made, names and folders say it all. Else a row of each is needed (`rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from jobqueue.model.status import Status
from jobqueue.panels.census import Census, made_at
from jobqueue.panels.pace import Pace
from jobqueue.panels.rows import KnownRows, Row, row_of
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located, digest

SLICE = 0.25
"""Seconds that a refresh reads at most, so that a click between two of them is answered soon: 25,000 jobs."""
COLUMNS = ("made", "status", "name", "type", "project", "batch", "attempts", "run", "finished", "error")


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
        self.known = KnownRows(queue, census)
        self.ids: Sequence[str] = ()
        self.pace = Pace()
        self.done_for: tuple[Query, int, int] | None = None
        self.chosen: set[str] = set()
        self.all_chosen = False
        self.facets_wanted = False
        """Somebody wants to choose by type, project or batch."""

    # -- what matches

    def ask(self, **words: Any) -> None:
        """Another filter or order. What was chosen stays, but for "all that match": that was said of another filter."""
        self.query = replace(self.query, **words)
        self.all_chosen = False

    def refresh(self) -> None:
        """At once for another question; else at a pace that the number of jobs allows."""
        self.known.follow()
        self.read(self.is_asked_anew)
        now = (self.query, self.census.version, 0 if self.query.by_names else self.known.version)
        if self.done_for == now:
            return
        if self.is_asked_anew or self.pace.is_time():
            with self.pace:
                self.ids = self.by_names() if self.query.by_names else self.by_rows()
            self.done_for = now

    @property
    def is_asked_anew(self) -> bool:
        return self.done_for is None or self.done_for[0] != self.query

    def read(self, asked_anew: bool) -> None:
        """Jobs are read once the panel is seen; very many of them when somebody asks, who has an answer from what is known,
        and the rest with the next refreshes."""
        known = self.known
        if known.reading is not None:
            known.go_on(SLICE)
            if known.reading is None:
                self.done_for = None  # now all is known: what is shown was made of less
        elif not known.whole:
            if self.needs_rows or (self.done_for is not None and not known.many):
                known.begin()
                if not known.many:
                    known.go_on(SLICE)
        elif self.query.by_names or asked_anew:
            known.read_some()
        else:
            known.read_the_rest()

    @property
    def needs_rows(self) -> bool:
        """Whether somebody waits for what only a row of each job tells."""
        return self.facets_wanted or not self.query.by_names

    @property
    def share_read(self) -> float | None:
        """How much is read of what somebody waits for; None where nobody does."""
        return self.known.share_read if self.needs_rows else None

    def by_names(self) -> Sequence[str]:
        wanted = [self.census.ids[status] for status in Status if self.query.status in ("", status.value)]
        return sorted((id for ids in wanted for id in ids), key=made_at, reverse=self.query.descending)

    def by_rows(self) -> Sequence[str]:
        rows = self.known.rows.values()
        key = attrgetter(self.query.sort, "made")
        found = sorted(filter(self.query.matches, rows), key=key, reverse=self.query.descending)
        return [row.id for row in found]

    # -- a window of it

    def window(self, start: int, count: int, read: Callable[[Iterable[str]], Iterable[Located]]) -> list[Row]:
        return [row_of(digest(located)) for located in read(self.ids[start : start + count])]

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
