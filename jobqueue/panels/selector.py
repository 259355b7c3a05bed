"""Which subjects are new, processed, or need a re-run; those that are chosen are processed with a click."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

import pandas as pd

from jobqueue.analytics.coverage import (
    BADGES,
    NEEDS_RERUN,
    NEW,
    PROCESSED,
    RUN,
    STATUSES,
    Coverage,
    argument_of,
    coverage,
    type_of,
)
from jobqueue.analytics.frames import attempts, items
from jobqueue.errors import InvalidJob
from jobqueue.model.times import short
from jobqueue.panels import wording
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, button, chip, details, joined, since, tag, text, tick
from jobqueue.panels.pace import Pace
from jobqueue.panels.panel import Said, Told, changes
from jobqueue.panels.settings import developer_box, developer_mode
from jobqueue.queue.default import default_queue
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.here import handlers_here
from jobqueue.queue.queue import Queue

SHOWN = 200
LOOKS = {NEW: "claimed", PROCESSED: "done", NEEDS_RERUN: "pending"}


@dataclass(frozen=True)
class Subject:
    """One row: `place` is where it stands in the coverage, `run` what is known of its last run that went well."""

    place: int
    name: str
    status: str
    run: Mapping[str, Any]


@dataclass(frozen=True)
class State:
    """`chosen` are those of the rows, `count` all that are chosen, in sight or not."""

    now: datetime
    summary: str
    counts: Mapping[str, int]
    rows: Sequence[Subject]
    total: int
    chosen: frozenset[int]
    count: int
    all_chosen: bool
    only: str
    developer: bool
    force: bool
    verbose: bool

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
    boxes = tag("span", boxes_of(state, read_only), class_="jq-boxes")
    summary = f'<p class="jq-summary"><b>{text(state.summary)}</b></p><div class="jq-pills">{pills}{GAP}{boxes}</div>'
    rows = joined(row(subject, state) for subject in state.rows)
    left = state.total_in_view - len(state.rows)
    more = f'<p class="jq-dim">and {left:,} more</p>' if left > 0 else ""
    every = "" if read_only or not state.rows else tick(f"All {state.total_in_view:,}", "choose-all", state.all_chosen)
    inside = f'{every}<ul class="jq-subjects">{rows}</ul>{more}'
    listed = details(wording.count(state.total_in_view, "subject"), inside, "subjects")
    listed = listed.replace("<details", "<details open", 1)
    return f'<section class="jq-section jq-coverage">{head}<div class="jq-inner">{summary}{listed}</div></section>'


def label(state: State) -> str:
    if state.count:
        return f"Process Now ({state.count:,} selected)"
    todo = state.total if state.force else state.counts[NEW] + state.counts[NEEDS_RERUN]
    return f"Process Now ({todo:,})"


def pill(status: str, state: State) -> str:
    words = f"{BADGES[status]} {state.counts[status]:,}"
    pressed = str(state.only == status).lower()
    return tag("button", text(words), type="button", class_="jq-pill", data_do="only", data_value=status, aria_pressed=pressed)


def boxes_of(state: State, read_only: bool) -> str:
    """How the next ones are processed, for developers."""
    if read_only or not state.developer:
        return developer_box()
    force = tick("Force Reprocess", "reprocess", state.force, title="force=True: whatever was processed before")
    verbose = tick("Verbose log", "log", state.verbose, title='log_level="debug": all of logging goes into the job\'s log')
    return force + verbose + developer_box()


def row(subject: Subject, state: State) -> str:
    chosen = subject.place in state.chosen
    box = tag("input", "", type="checkbox", data_do="choose", data_id=subject.place, checked=chosen).removesuffix("</input>")
    told = run_line(subject.run, state.now) if state.developer and subject.run else ""
    return (
        f'<li data-key="{subject.place}"><label>{box} <span>{text(subject.name)}</span></label>'
        f"{chip(BADGES[subject.status], LOOKS[subject.status])}{told}</li>"
    )


def run_line(run: Mapping[str, Any], now: datetime) -> str:
    """At which version and by which code, when, for how long, at which try and where, with a way to the job."""
    found = [
        *(tag("code", text(run[name])) for name in ("version", "code") if name in run),
        since(run.get("at"), now),
        text(f"ran {short(run['run'].total_seconds())}") if "run" in run else "",
        text(f"attempt {run['attempt']}") if "attempt" in run else "",
        text(run.get("worker", "")),
    ]
    job = button("Open", "open", look="link", id=run["job"], title=f"Open job {run['job']}")
    return f'<div class="jq-run jq-dim">{" · ".join(filter(None, found))} {job}</div>'


class Covered:
    """A coverage that is asked for again when something has run since, at a pace that the number of subjects allows."""

    def __init__(self, found: Coverage) -> None:
        self.found = found
        self.mark: tuple[Any, ...] = ()
        self.pace = Pace()
        self.wanted = True  # it may have been asked a while ago

    def look(self) -> Coverage:
        if self.wanted or self.pace.is_time():
            began = time.monotonic()
            mark = self.marked()
            if mark != self.mark:
                with self.pace:
                    self.found, self.mark = self.found.again(), mark
            else:
                self.pace.held(time.monotonic() - began)
            self.wanted = False
        return self.found

    def marked(self) -> tuple[int, int, tuple[str | None, ...]]:
        """What the answer is made of: how much was recorded, and at which version live workers run it."""
        queue, type = self.found.queue, type_of(self.found.what)
        versions = tuple(info.versions.get(type) for info in queue.store.workers())
        return len(attempts(queue)), len(items(queue)), versions


class Selector(Acting):
    name: ClassVar[str] = "selector"
    parts: ClassVar[tuple[str, ...]] = ("problem", "coverage", "drawer", "status")

    def __init__(self, found: Coverage, payload: Any = None, **options: Any) -> None:
        self.covered = Covered(found)
        self.payload = payload
        self.chosen: set[int] = set()
        self.force = self.verbose = False
        self.only = ""
        super().__init__(found.queue, **options)

    def read(self) -> State:
        found = self.covered.look()
        frame, on = found.frame, developer_mode()
        wanted = self.in_view()
        head = wanted.head(SHOWN)
        rows = [subject_of(int(place), told) for place, told in zip(head.index, head.to_dict("records"), strict=True)]
        counts, count = found.counts, len(self.chosen)
        chosen = frozenset(row.place for row in rows if row.place in self.chosen)
        all_chosen = count >= len(wanted) and self.chosen.issuperset(wanted.index)
        now, ways = self.queue.clock.now(), (self.force and on, self.verbose and on)
        return State(now, found.summary, counts, rows, len(frame), chosen, count, all_chosen, self.only, on, *ways)

    def came_of_it(self) -> Said | None:
        news = super().came_of_it()
        self.covered.wanted = self.covered.wanted or news is not None
        return news

    def texts(self, state: State | None, told: Told) -> Mapping[str, str]:
        return {"coverage": shown(state, self.read_only)}

    def do_choose(self, id: str = "", value: bool = False) -> None:
        (self.chosen.add if value else self.chosen.discard)(int(id))

    def do_choose_all(self, value: bool = False) -> None:
        """All of the status in view, those that are too many for the list as well."""
        (self.chosen.update if value else self.chosen.difference_update)(self.in_view().index)

    def in_view(self) -> pd.DataFrame:
        frame = self.covered.found.frame
        return frame[frame["status"] == self.only] if self.only else frame

    def do_only(self, value: str = "") -> None:
        self.only = "" if value == self.only or value not in STATUSES else value

    def do_reprocess(self, value: bool = False) -> None:
        self.force = bool(value)

    def do_log(self, value: bool = False) -> None:
        self.verbose = bool(value)

    @changes
    def do_process(self) -> Said:
        """A job for each chosen subject, or for all that need one; a job that waits or runs already is not made twice."""
        found, ways = self.covered.found, self.ways()
        asked = found.again([found.subjects[place] for place in sorted(self.chosen)] or None)
        batch = asked.enqueue(self.payload, **({} if "force" in ways else {"idempotency_key": True}), **ways)
        self.chosen.clear()
        if not len(batch):
            return Said("Nothing to do: all of it is processed.", "info")
        jobs = [job if job.created or not job.finished else self.past(job, ways) for job in batch]
        made = [job for job in jobs if job.created]
        if not made:
            return Said("Job already running.", "info", job=jobs[0].id)
        return self.queued(made)

    def past(self, job: JobHandle[Any], ways: dict[str, Any]) -> JobHandle[Any]:
        """The same request although a finished job still holds its key, as it does unless its `key_scope` says otherwise."""
        key = {"idempotency_key": f"{job.idempotency_key} again", "key_scope": "active"}
        version = {} if job.pipeline_version is None else {"pipeline_version": job.pipeline_version}
        return self.queue.enqueue(job.type, job.payload, **key, **version, **ways)

    def ways(self) -> dict[str, Any]:
        """The options of what is processed next; what only developers may choose counts while they are that."""
        forced, verbose = (on and developer_mode() for on in (self.force, self.verbose))
        return ({"force": True} if forced else {}) | ({"log_level": "debug"} if verbose else {})


def subject_of(place: int, told: Mapping[Any, Any]) -> Subject:
    """A row of the coverage's frame, without what is not known of it."""
    run = {name: told[name] for name in RUN if known(told[name])}
    return Subject(place, str(told["subject"]), str(told["status"]), run)


def known(value: Any) -> bool:
    return value is not None and value is not pd.NA and value == value


def selector(
    what: Coverage | Iterable[Any],
    payload: Callable[[Any], Mapping[str, Any]] | None = None,
    *,
    type: str | Callable[..., Any] | None = None,
    queue: Queue | None = None,
    every: float | None = 2.0,
    read_only: bool = False,
) -> Selector:
    """Which subjects are new, processed or need a re-run, live, and a button that processes them.

    `what` is an answer of `analytics.coverage(queue, subjects, type)`, or the subjects themselves (a list, a column, a
    DataFrame with a column that is named like the handler's subject) and the `type` that processes them, in the default
    queue or another. For a DataFrame the type may be left out where one handler of this notebook (or of jobqueue.yaml) has
    such a subject. `payload` makes the payload of a subject, where the handler does not say it.
    """
    if not isinstance(what, Coverage):
        queue = queue or default_queue()
        what = coverage(queue, what, type or the_handler_for(what, queue))
    return Selector(what, payload, every=every, read_only=read_only)


def the_handler_for(subjects: Iterable[Any], queue: Queue) -> Callable[..., Any]:
    """The one handler at hand whose subject is a column of these subjects."""
    found = []
    if isinstance(subjects, pd.DataFrame):
        handlers = handlers_here(queue)
        known = [handlers.get(type) for type in sorted(handlers.types)]
        found = [one.function for one in known if one is not None and argument_of(one.function) in subjects.columns]
    if len(found) != 1:
        fitting = f" ({', '.join(one.__name__ for one in found)} would do)" if found else ""
        raise InvalidJob(f"selector: say which handler processes them, as in panels.selector(df, type=cards){fitting}")
    return found[0]
