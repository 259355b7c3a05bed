"""Failures of one cause together: how many, since when, one example, and a button that runs them all again."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from jobqueue.analytics.errors import ErrorGroup, errors
from jobqueue.analytics.frames import attempts
from jobqueue.model.status import Status
from jobqueue.panels import wording
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, block, button, chip, details, joined, since, tag, text
from jobqueue.panels.pace import Pace
from jobqueue.panels.panel import Said, Told, changes
from jobqueue.panels.sections import two_step
from jobqueue.queue.queue import Queue

MOST = 20


@dataclass(frozen=True)
class Cause:
    """One group; `key` stays the same while it grows, `left` is how many of its jobs are failed now."""

    key: str
    title: str
    count: int
    left: int
    first_seen: datetime
    last_seen: datetime
    types: Sequence[str]
    versions: Sequence[str]
    example: str
    traceback: str
    place: str


@dataclass(frozen=True)
class Failures:
    now: datetime
    causes: Sequence[Cause]
    total: int


class Grouped:
    """Groups that are made anew when more has failed, or when somebody retried."""

    def __init__(self, queue: Queue, **filters: Any) -> None:
        self.queue = queue
        self.filters = filters
        self.groups: dict[str, ErrorGroup] = {}
        self.found: Failures | None = None
        self.mark: tuple[int, int] = (-1, -1)
        self.pace = Pace()

    def look(self, failed: int) -> Failures:
        """`failed` is how many jobs are failed now: it changes when somebody retries some."""
        if self.found is None or self.pace.is_time():
            began = time.monotonic()
            mark = (not_done(self.queue), failed)
            if self.found is None or mark != self.mark:
                with self.pace:
                    self.found, self.mark = self.made(), mark
            else:
                self.pace.held(time.monotonic() - began)
        return self.found

    def made(self) -> Failures:
        groups = errors(self.queue, **self.filters)
        self.groups = {key_of(group): group for group in groups[:MOST]}
        return Failures(self.queue.clock.now(), [cause(group) for group in self.groups.values()], len(groups))


def not_done(queue: Queue) -> int:
    """How many attempts have come to another end: only these tell of failures."""
    return int((attempts(queue)["outcome"] != "done").sum())


def key_of(group: ErrorGroup) -> str:
    return f"{group.reason} {group.cause}"[:200]


def cause(group: ErrorGroup) -> Cause:
    return Cause(
        key_of(group),
        group.cause,
        group.count,
        sum(1 for _ in group),
        group.first_seen,
        group.last_seen,
        group.types,
        group.versions,
        group.example,
        group.traceback or "",
        group.place or "",
    )


def shown(failures: Failures | None, told: Told, read_only: bool) -> str:
    if failures is None:
        return ""
    count = tag("span", wording.badge(len(failures.causes), failures.total), class_="jq-badge")
    head = f"<header><h3>Errors by cause {count}</h3>{GAP}</header>"
    rows = joined(row(one, failures.now, told, read_only) for one in failures.causes)
    body = f'<ol class="jq-rows">{rows}</ol>' if rows else '<p class="jq-empty">No failures.</p>'
    return f'<section class="jq-section jq-failures" aria-label="Errors by cause">{head}{body}</section>'


def row(one: Cause, now: datetime, told: Told, read_only: bool) -> str:
    words = chip(f"{one.count:,}×", "failed", title="failed attempts of this cause")
    words += since(one.last_seen, now, "Last") + since(one.first_seen, now, "First")
    words += tag("span", text(", ".join(one.types)), class_="jq-dim")
    words += tag("code", text(one.place), class_="jq-dim") if one.place else ""
    again = ""
    if one.left and not read_only:
        again = two_step(f"Retry {one.left:,}", "retry-group", "warn", told, f"group {one.key}", key=one.key)
    example = button("Open an example", "open", look="link", id=one.example)
    trace = f'<pre class="jq-trace" tabindex="0">{block(one.traceback)}</pre>' if one.traceback else ""
    below = details(tag("span", "Traceback", class_="jq-dim"), trace + example, f"group {one.key}") if trace else example
    title = tag("b", text(one.title), class_="jq-error")
    return (
        f'<li class="jq-row" data-key="{text(one.key)}"><div class="jq-what">{title}</div><div class="jq-words">{words}</div>'
        f'<div class="jq-acts">{again}</div><div class="jq-why">{below}</div></li>'
    )


class Regrouping(Acting):
    """A panel that shows error groups."""

    grouped: Grouped

    @changes
    def do_retry_group(self, key: str = "") -> Said | None:
        group = self.grouped.groups.get(key)
        if group is None:
            return Said("These failures are gone.", "info")
        return self.confirm(f"group {key}", "Retry {count} {jobs}?", lambda: self.queue.retry(list(group), dry_run=True))


class FailuresPanel(Regrouping):
    name: ClassVar[str] = "failures"
    parts: ClassVar[tuple[str, ...]] = ("problem", "groups", "drawer", "status")

    def __init__(self, queue: Queue, *, every: float | None, read_only: bool, **filters: Any) -> None:
        self.grouped = Grouped(queue, **filters)
        super().__init__(queue, every=every, read_only=read_only)

    def read(self) -> Failures:
        return self.grouped.look(self.queue.store.counts()[Status.FAILED])

    def texts(self, state: Failures | None, told: Told) -> Mapping[str, str]:
        return {"groups": shown(state, told, self.read_only)}


def failures(
    queue: Queue, *, since: Any = None, every: float | None = 2.0, read_only: bool = False, **filters: Any
) -> FailuresPanel:
    """Failures of one cause together; `since` and filters are those of `analytics.errors`."""
    return FailuresPanel(queue, every=every, read_only=read_only, since=since, **filters)
