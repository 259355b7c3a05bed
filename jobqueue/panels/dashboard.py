"""The dashboard: everything of a queue at a glance, and what can be done about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import ipywidgets as W

from jobqueue.model.status import Status
from jobqueue.panels import groups, measures, refresh, sections, settings, staff, static
from jobqueue.panels.glance import Glance
from jobqueue.panels.groups import Failures, Grouped, Regrouping
from jobqueue.panels.jobs import Shown, Tabling
from jobqueue.panels.measures import Figures, Measured
from jobqueue.panels.panel import Told, framed
from jobqueue.panels.plain import plain
from jobqueue.panels.staff import Staff
from jobqueue.panels.table import toolbar
from jobqueue.queue.queue import Queue

MANY = 200_000


@dataclass(frozen=True)
class State:
    glance: Glance
    staff: Staff
    figures: Figures
    failures: Failures
    shown: Shown


class Dashboard(Regrouping, Tabling):
    name: ClassVar[str] = "dashboard"
    parts: ClassVar[tuple[str, ...]] = (
        *("head", "problem", "banners", "tiles", "claimed", "pending", "done", "failed", "groups", "metrics", "workers"),
        *("tools", "drawer", "status"),
    )

    def __init__(self, queue: Queue, **options: Any) -> None:
        self.grouped, self.measured = Grouped(queue), Measured(queue)
        self.begin_table(queue)
        super().__init__(queue, **options)

    def make_widget(self) -> W.Widget:
        return framed(self.name, self.view, self.rows.widget)

    def read(self) -> State:
        glance = self.glancing.look()
        failures = self.grouped.look(glance.counts[Status.FAILED])
        figures = self.measured.look(glance.counts[Status.PENDING])
        return State(glance, staff.look(self.queue), figures, failures, self.shown_first(glance) or self.read_table())

    def shown_first(self, glance: Glance) -> Shown | None:
        """To put a million jobs into an order takes a second: the rest is seen before."""
        if self.state is not None or glance.total < MANY:
            return None
        refresh.REFRESHER.hurry(self)
        return Shown([], glance.total)

    def draw(self, state: State | None, told: Told) -> None:
        super().draw(state, told)
        if state is not None:
            self.rows.draw(state.shown.rows)

    def still(self) -> str:
        if self.state is None:
            return super().still()
        glance = self.state.glance
        names = ("problem", "banners", "claimed", "pending", "done", "failed", "groups", "workers")
        body = plain(getattr(self.view, part) for part in names) + measures.still(self.state.figures)
        return f"<h2>Queue Dashboard</h2>{static.counts(glance)}{body}{static.taken(glance.now, glance.url)}"

    def do_range(self, value: str = "24h") -> None:
        self.measured.range = value if value in measures.RANGES else measures.RANGES[0]

    def texts(self, state: State | None, told: Told) -> Mapping[str, str]:
        glance = None if state is None else state.glance
        found = dict.fromkeys(self.parts, "") | {
            "head": sections.head(glance, self.read_only, settings.shown()),
            "banners": sections.banners(glance, told, self.read_only),
            "tiles": sections.tiles(glance),
        }
        if state is not None:
            found |= {status.value: sections.section(status, state.glance, told, self.read_only) for status in Status}
            found["groups"] = groups.shown(state.failures, told, self.read_only) if state.failures.causes else ""
            found["metrics"] = measures.shown(state.figures)
            found["tools"] = toolbar(self.listing, state.shown.total, told, self.read_only)
            found["workers"] = staff.shown(state.staff, told, self.read_only)
        return found


def dashboard(queue: Queue, *, every: float | None = 2.0, read_only: bool = False) -> Dashboard:
    """The live dashboard of a queue, for the last line of a cell.

    `every`: seconds between two refreshes without events (None: on events alone); with `read_only` it has no buttons.
    """
    return Dashboard(queue, every=every, read_only=read_only)
