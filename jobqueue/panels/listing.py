"""The jobs of a table: which match, in which order, and which of them are chosen. A hundred thousand of them, and more.

By status and the time at which they were made, names and folders say it all. Else a row of each is needed (`rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

from jobqueue.model.status import Status
from jobqueue.panels.census import Census
from jobqueue.panels.ordered import Ordered
from jobqueue.panels.pace import Pace
from jobqueue.panels.rows import KnownRows, Row, row_of
from jobqueue.panels.waiting import made_at
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located, digest

SLICE = 0.25
"""Seconds that a refresh reads at most, so that a click between two of them is answered soon: 25,000 jobs."""
FEW = 1000
"""So many changes are taken in one by one, and of many jobs a quarter; above that it is quicker to sort them all."""
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

    @property
    def key(self) -> Callable[[Row], Any]:
        return attrgetter(self.sort, "made")

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
        self.ids = Ordered()
        self.keys: dict[str, Any] = {}
        """By what they are ordered, where their names do not say it."""
        self.changed: dict[str, Status | None] = {}
        """What may match now and did not, or the other way round, or stand elsewhere; and where it lay before."""
        self.pace = Pace()
        self.made_for: Query | None = None
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
        """At once for another question, and where a few jobs have changed; else at a pace that their number allows."""
        if self.known.follow():
            self.made_for = None
        if self.query.by_names:
            self.changed = self.census.touched | self.changed
        self.read(asked_anew=self.made_for != self.query)
        changed, self.known.changed = self.known.changed, set()
        if not self.query.by_names:
            self.changed |= dict.fromkeys(changed)
        if self.made_for != self.query:
            self.make_anew()
        elif len(self.changed) <= max(FEW, sum(self.census.counts.values()) // 4):
            self.follow()
        elif self.pace.is_time():
            self.make_anew()

    def read(self, asked_anew: bool) -> None:
        """Jobs are read once the panel is seen; very many of them when somebody asks, who has an answer from what is known,
        and the rest with the next refreshes."""
        known = self.known
        if known.reading is not None:
            known.go_on(SLICE)
            if known.reading is None:
                self.made_for = None  # now all is known: what is shown was made of less
        elif not known.whole:
            if self.needs_rows or (self.made_for is not None and not known.many):
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

    def make_anew(self) -> None:
        with self.pace:
            self.keys = {}
            if self.query.by_names:
                wanted = [self.census.ids[status] for status in Status if self.query.status in ("", status.value)]
                self.ids = Ordered((id for ids in wanted for id in ids), made_at, self.query.descending)
            else:
                key = self.query.key
                self.keys = {row.id: key(row) for row in filter(self.query.matches, self.known.rows.values())}
                self.ids = Ordered(self.keys, self.keys.__getitem__, self.query.descending)
        self.made_for, self.changed = self.query, {}

    def follow(self) -> None:
        """Takes in what has changed, one by one."""
        for id, was in self.changed.items():
            old, new = self.key_before(id, was), self.key_now(id)
            if old == new:
                continue
            if old is not None:
                self.ids.remove(id)
                self.keys.pop(id, None)
            if new is not None:
                if not self.query.by_names:
                    self.keys[id] = new
                self.ids.add(id)
        self.changed = {}

    def key_before(self, id: str, was: Status | None) -> Any:
        """None where it is not among those that match, here and below."""
        return self.key_of_name(id, was) if self.query.by_names else self.keys.get(id)

    def key_now(self, id: str) -> Any:
        if self.query.by_names:
            return self.key_of_name(id, self.census.status_of(id))
        row = self.known.rows.get(id)
        return self.query.key(row) if row is not None and self.query.matches(row) else None

    def key_of_name(self, id: str, status: Status | None) -> str | None:
        return made_at(id) if status is not None and self.query.status in ("", status.value) else None

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
