"""Which subjects are new, processed, or need a re-run; those that are chosen are processed with a click."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from jobqueue.analytics.coverage import BADGES, NEEDS_RERUN, NEW, PROCESSED, STATUSES, Coverage, coverage
from jobqueue.panels import wording
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, button, chip, details, joined, tag, text
from jobqueue.panels.panel import Said, Told, changes
from jobqueue.panels.sections import said
from jobqueue.panels.settings import developer_mode

SHOWN = 200
LOOKS = {NEW: "claimed", PROCESSED: "done", NEEDS_RERUN: "pending"}


@dataclass(frozen=True)
class State:
    """One row for each subject: its place, its text, its status and the version of its last run that went well."""

    summary: str
    counts: Mapping[str, int]
    rows: Sequence[tuple[int, str, str, str]]
    total: int
    chosen: frozenset[int]
    developer: bool
    force: bool
    only: str

    @property
    def total_in_view(self) -> int:
        return self.counts[self.only] if self.only else self.total


def shown(state: State | None, read_only: bool) -> str:
    if state is None:
        return ""
    badge = tag("span", f"{state.total:,}", class_="jq-badge")
    go = "" if read_only else button(label(state), "process", look="go")
    head = f"<header><h3>Coverage {badge}</h3>{GAP}{go}</header>"
    pills = joined(pill(status, state) for status in STATUSES)
    summary = f'<p class="jq-summary"><b>{text(state.summary)}</b></p><div class="jq-pills">{pills}{tick_boxes(state)}</div>'
    rows = joined(row(*one, state) for one in state.rows)
    left = state.total_in_view - len(state.rows)
    more = f'<p class="jq-dim">and {left:,} more</p>' if left > 0 else ""
    listed = details(wording.count(state.total_in_view, "subject"), f'<ul class="jq-subjects">{rows}</ul>{more}', "subjects")
    listed = listed.replace("<details", "<details open", 1)
    return f'<section class="jq-section jq-coverage">{head}<div class="jq-inner">{summary}{listed}</div></section>'


def label(state: State) -> str:
    if state.chosen:
        return f"Process {len(state.chosen):,} selected"
    todo = state.total if state.force else state.counts[NEW] + state.counts[NEEDS_RERUN]
    return f"Process {todo:,}"


def pill(status: str, state: State) -> str:
    words = f"{BADGES[status]} {state.counts[status]:,}"
    pressed = str(state.only == status).lower()
    return tag("button", text(words), type="button", class_="jq-pill", data_do="only", data_value=status, aria_pressed=pressed)


def tick_boxes(state: State) -> str:
    if not state.developer:
        return ""
    box = tag("input", "", type="checkbox", data_do="force", checked=state.force).removesuffix("</input>")
    return f'<label class="jq-box">{box} Force Reprocess</label>'


def row(place: int, subject: str, status: str, version: str, state: State) -> str:
    chosen = place in state.chosen
    box = tag("input", "", type="checkbox", data_do="choose", data_id=place, checked=chosen).removesuffix("</input>")
    at = tag("code", text(version), class_="jq-dim") if state.developer and version else ""
    return (
        f'<li data-key="{place}"><label>{box} <span>{text(subject)}</span></label>'
        f"{chip(BADGES[status], LOOKS[status])}{at}</li>"
    )


class Selector(Acting):
    name: ClassVar[str] = "selector"
    parts: ClassVar[tuple[str, ...]] = ("coverage", "status")

    def __init__(self, found: Coverage, payload: Any = None, **options: Any) -> None:
        self.found = found
        self.payload = payload
        self.chosen: set[int] = set()
        self.force = False
        self.only = ""
        super().__init__(found.queue, **options)

    def read(self) -> State:
        version = self.found.asked if self.found.given else None
        self.found = coverage(self.queue, self.found.subjects, self.found.what, version=version)
        frame = self.found.frame
        wanted = frame[frame["status"] == self.only] if self.only else frame
        head = wanted.head(SHOWN)
        lines = zip(head.index, head["subject"], head["status"], head["version"], strict=True)
        rows = [(int(place), str(subject), str(status), plain(version)) for place, subject, status, version in lines]
        developer = developer_mode()
        force = self.force and developer
        return State(
            self.found.summary, self.found.counts, rows, len(frame), frozenset(self.chosen), developer, force, self.only
        )

    def texts(self, state: State | None, told: Told) -> Mapping[str, str]:
        return {"coverage": shown(state, self.read_only), "status": said(told)}

    def do_choose(self, id: str = "", value: bool = False) -> None:
        (self.chosen.add if value else self.chosen.discard)(int(id))

    def do_only(self, value: str = "") -> None:
        self.only = "" if value == self.only or value not in STATUSES else value

    def do_force(self, id: str = "", value: bool = False) -> Said | None:
        self.force = bool(value)
        return None

    @changes
    def do_process(self) -> Said:
        """A job for each chosen subject, or for all that need one; a job that waits or runs already is not made twice."""
        picked = [self.found.subjects[place] for place in sorted(self.chosen)]
        version = self.found.asked if self.found.given else None
        asked = coverage(self.queue, picked or self.found.subjects, self.found.what, version=version)
        forced = self.force and developer_mode()
        batch = asked.enqueue(self.payload, force=forced, **({} if forced else {"idempotency_key": True}))
        self.chosen.clear()
        made = [job for job in batch if job.created]
        if not len(batch):
            return Said("Nothing to do: all of it is processed.", "info")
        if not made:
            return Said("Job already running.", "info", job=batch[0].id)
        return self.queued(made)


def plain(value: Any) -> str:
    return "" if value is None or value != value else str(value)


def selector(found: Coverage, payload: Any = None, *, every: float | None = 2.0, read_only: bool = False) -> Selector:
    """Which subjects are new, processed or need a re-run, live, and a button that processes them.

    `found` is what `analytics.coverage(queue, subjects, type)` answers with; `payload` makes the payload of a subject, where
    the handler does not say it.
    """
    return Selector(found, payload, every=every, read_only=read_only)
