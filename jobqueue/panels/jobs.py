"""A panel of all jobs: the table, its filters, and what can be done to those that are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import ipywidgets as W

from jobqueue.panels import refresh
from jobqueue.panels.acting import Acting
from jobqueue.panels.glance import Glancing
from jobqueue.panels.listing import COLUMNS, Listing
from jobqueue.panels.panel import Said, Told, changes, framed
from jobqueue.panels.rows import FACETS, Row
from jobqueue.panels.table import Rows, toolbar
from jobqueue.queue.bulk import Bulk
from jobqueue.queue.queue import Queue

FILTERS = ("status", *FACETS)


@dataclass(frozen=True)
class Shown:
    """The rows in sight, and how many jobs there are in all."""

    rows: list[Row]
    total: int


class Tabling(Acting):
    """A panel with the table of all jobs in it. `glancing` follows the folders."""

    glancing: Glancing
    listing: Listing
    rows: Rows
    going_on = False

    def begin_table(self, queue: Queue) -> None:
        self.glancing = Glancing(queue)
        self.listing = Listing(queue, self.glancing.census)
        self.rows = Rows(self.listing, self.on_event)

    def read_table(self) -> Shown:
        """After the folders were looked at."""
        self.listing.refresh()
        if self.listing.known.reading is not None:
            self.go_on_soon()
        if self.rows.start >= len(self.listing.ids):
            self.rows.start = 0
        found = self.listing.window(self.rows.start, self.rows.count, self.glancing.found)
        return Shown(found, sum(self.glancing.census.counts.values()))

    def go_on_soon(self) -> None:
        """The next slice of all jobs: where somebody waits for them, after what else was asked for meanwhile."""
        if not self.listing.needs_rows:
            refresh.REFRESHER.hurry(self)
        elif not self.going_on:
            self.going_on = True
            refresh.REFRESHER.command(self.go_on)

    def go_on(self) -> None:
        self.going_on = False
        self.refresh()

    def fileno(self) -> int | None:
        return self.glancing.census.fileno()

    def let_go(self) -> None:
        self.glancing.close()

    # -- what the table and its filters ask for

    def do_window(self, start: int = 0, count: int = 0) -> None:
        self.rows.scroll(start, count)

    def do_sort(self, column: str = "made") -> None:
        """A second click turns the order round."""
        if column in COLUMNS:
            query = self.listing.query
            descending = not query.descending if query.sort == column else column in ("made", "attempts", "run", "finished")
            self.listing.ask(sort=column, descending=descending)

    def do_find(self, value: str = "") -> None:
        self.rows.start = 0
        self.listing.ask(text=str(value).strip())

    def do_filter(self, what: str = "", value: str = "") -> None:
        if what in FILTERS:
            self.rows.start = 0
            self.listing.ask(**{what: str(value)})

    def do_facets(self) -> None:
        """Types, projects and batches to choose from, where there are too many jobs to read them unasked."""
        self.listing.facets_wanted = True

    def do_choose(self, ids: Any = (), value: bool = False) -> None:
        self.listing.choose([str(id) for id in ids], bool(value))

    def do_choose_all(self, value: bool = False) -> None:
        self.listing.choose_all(bool(value))

    def of_chosen(self, verb: str, act: Callable[..., Bulk]) -> Said | None:
        ask = f"{verb.capitalize()} {{count}} {{jobs}}?"
        return self.confirm(f"{verb}-chosen", ask, lambda: act(self.listing.choice, dry_run=True), self.do_choose_all)

    @changes
    def do_retry_chosen(self) -> Said | None:
        return self.of_chosen("retry", self.queue.retry)

    @changes
    def do_cancel_chosen(self) -> Said | None:
        return self.of_chosen("cancel", self.queue.cancel)

    @changes
    def do_purge_chosen(self) -> Said | None:
        return self.of_chosen("purge", self.queue.purge)


class JobsPanel(Tabling):
    name: ClassVar[str] = "jobs"
    parts: ClassVar[tuple[str, ...]] = ("problem", "tools", "drawer", "status")

    def __init__(self, queue: Queue, **options: Any) -> None:
        self.begin_table(queue)
        super().__init__(queue, **options)

    def make_widget(self) -> W.Widget:
        return framed(self.name, self.view, self.rows.widget)

    def read(self) -> Shown:
        self.glancing.follow()
        return self.read_table()

    def draw(self, state: Shown | None, told: Told) -> None:
        super().draw(state, told)
        if state is not None:
            self.rows.draw(state.rows)

    def texts(self, state: Shown | None, told: Told) -> Mapping[str, str]:
        return {"tools": "" if state is None else toolbar(self.listing, state.total, told, self.read_only)}


def jobs(queue: Queue, *, every: float | None = 2.0, read_only: bool = False) -> JobsPanel:
    """All jobs in a table that scrolls: sort, filter, choose some or all that match, and retry, cancel or purge them."""
    return JobsPanel(queue, every=every, read_only=read_only)
