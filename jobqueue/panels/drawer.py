"""One job in full, or the jobs that need looking after with a click to each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from jobqueue.model.status import Status
from jobqueue.panels import detail, wording
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, button, joined, since, tag, text
from jobqueue.panels.panel import Told
from jobqueue.panels.sections import progress_of, two_step
from jobqueue.queue.handle import JobHandle
from jobqueue.queue.queue import Queue
from jobqueue.store.base import Located

SHOWN = {Status.CLAIMED: 20, Status.PENDING: 20, Status.FAILED: 10, Status.DONE: 5}


def listed(jobs: Sequence[Located], now: datetime, told: Told, read_only: bool) -> str:
    """Jobs with their chips, the running ones first."""
    rows = joined(row(located, now, "" if read_only else act(located, told)) for located in jobs)
    body = f'<ol class="jq-rows">{rows}</ol>' if rows else f'<p class="jq-empty">{wording.EMPTY["pending"]}</p>'
    return f'<section class="jq-section"><header><h3>Jobs</h3>{GAP}</header>{body}</section>'


def act(located: Located, told: Told) -> str:
    """What is most wanted of it."""
    id = located.job.id
    if located.status is Status.FAILED:
        return button("Retry", "retry", look="warn", id=id)
    if located.status is Status.DONE or located.cancelling:
        return ""
    return two_step("Cancel", "cancel", "quiet", told, f"cancel {id}", id=id)


def row(located: Located, now: datetime, buttons: str) -> str:
    job = located.job
    title = tag("button", text(job.name or job.type), type="button", class_="jq-name", data_do="open", data_id=job.id)
    words = detail.status_chip(located) + since(job.finished_at or job.claimed_at or job.created_at, now)
    running = located.status is Status.CLAIMED and job.progress is not None
    below = progress_of(job.progress, job.id) if running and job.progress is not None else ""
    return (
        f'<li class="jq-row" data-key="{text(job.id)}"><div class="jq-what">{title}<code class="jq-id">{text(job.id)}</code>'
        f'</div><div class="jq-words">{words}</div><div class="jq-acts">{buttons}</div>{below}</li>'
    )


class Drawer(Acting):
    name: ClassVar[str] = "drawer"
    parts: ClassVar[tuple[str, ...]] = ("problem", "jobs", "drawer", "status")

    def __init__(self, queue: Queue, id: str | None = None, **options: Any) -> None:
        self.open_id = self.only = id
        self.about = id or ""
        super().__init__(queue, **options)

    def read(self) -> list[Located] | None:
        """The latest jobs, or None while one is open."""
        if self.open_id is not None:
            return None
        pages = (self.queue.store.scan(statuses=[status], order="newest", limit=most) for status, most in SHOWN.items())
        return [located for page in pages for located in page.items]

    def texts(self, state: list[Located] | None, told: Told) -> Mapping[str, str]:
        return {"jobs": "" if state is None else listed(state, self.queue.clock.now(), told, self.read_only)}

    def drawer(self, told: Told) -> str:
        closes = self.open_id != self.only
        return "" if self.opened is None else detail.shown(self.opened, told, self.read_only, close=closes)

    def do_close(self) -> None:
        self.open_id = self.only


def drawer(
    what: Queue | JobHandle[Any], id: str | None = None, *, every: float | None = 2.0, read_only: bool = False
) -> Drawer:
    """One job in full (`drawer(job)`, `drawer(queue, id)`), or with a queue alone the latest jobs, each to be opened."""
    if isinstance(what, JobHandle):
        return Drawer(what.queue, what.id, every=every, read_only=read_only)
    return Drawer(what, id, every=every, read_only=read_only)
