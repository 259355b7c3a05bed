"""One job in full, or the jobs that need looking after with a click to each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from jobqueue.model.status import Status
from jobqueue.panels import detail, wording
from jobqueue.panels.acting import Acting
from jobqueue.panels.detail import Detail
from jobqueue.panels.html import GAP, joined, since, tag, text
from jobqueue.panels.panel import Told
from jobqueue.panels.sections import progress_of, said
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located

SHOWN = {Status.CLAIMED: 20, Status.PENDING: 20, Status.FAILED: 10, Status.DONE: 5}


@dataclass(frozen=True)
class State:
    now: datetime
    open: Detail | None
    jobs: Sequence[Located]


def listed(state: State) -> str:
    """Jobs with their chips, the running ones first."""
    rows = joined(row(located, state.now) for located in state.jobs)
    body = f'<ol class="jq-rows">{rows}</ol>' if rows else f'<p class="jq-empty">{wording.EMPTY["pending"]}</p>'
    return f'<section class="jq-section"><header><h3>Jobs</h3>{GAP}</header>{body}</section>'


def row(located: Located, now: datetime) -> str:
    job = located.job
    title = tag("button", text(job.name or job.type), type="button", class_="jq-name", data_do="open", data_id=job.id)
    words = detail.status_chip(located) + since(job.finished_at or job.claimed_at or job.created_at, now)
    running = located.status is Status.CLAIMED and job.progress is not None
    below = progress_of(job.progress, job.id) if running and job.progress is not None else ""
    return (
        f'<li class="jq-row" data-key="{text(job.id)}"><div class="jq-what">{title}<code class="jq-id">{text(job.id)}</code>'
        f'</div><div class="jq-words">{words}</div>{below}</li>'
    )


class Drawer(Acting):
    name: ClassVar[str] = "drawer"
    parts: ClassVar[tuple[str, ...]] = ("jobs", "drawer", "status")

    def __init__(self, queue: Queue, id: str | None = None, **options: Any) -> None:
        self.open_id = self.only = id
        self.about = id or ""
        super().__init__(queue, **options)

    def read(self) -> State:
        if self.open_id is not None:
            return State(self.queue.clock.now(), detail.look_at(self.queue, self.open_id), [])
        pages = (self.queue.store.scan(statuses=[status], order="newest", limit=most) for status, most in SHOWN.items())
        return State(self.queue.clock.now(), None, [located for page in pages for located in page.items])

    def texts(self, state: State | None, told: Told) -> Mapping[str, str]:
        found = dict.fromkeys(self.parts, "") | {"status": said(told)}
        if state is not None and state.open is not None:
            found["drawer"] = detail.shown(state.open, told, self.read_only, close=self.open_id != self.only)
        elif state is not None:
            found["jobs"] = listed(state)
        return found

    def do_close(self) -> None:
        self.open_id = self.only


def drawer(
    what: Queue | JobHandle[Any], id: str | None = None, *, every: float | None = 2.0, read_only: bool = False
) -> Drawer:
    """One job in full (`drawer(job)`, `drawer(queue, id)`), or with a queue alone the latest jobs, each to be opened."""
    if isinstance(what, JobHandle):
        return Drawer(what.queue, what.id, every=every, read_only=read_only)
    return Drawer(what, id, every=every, read_only=read_only)
