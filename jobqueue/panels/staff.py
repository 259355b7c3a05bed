"""The live workers: who they are, what they run, and a way to stop and to start one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from jobqueue.model.job import Job
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, button, chip, joined, since, tag, text
from jobqueue.panels.panel import Told
from jobqueue.panels.sections import two_step
from jobqueue.queue.queue import Queue
from jobqueue.queue.seen import held_by
from jobqueue.store.base import WorkerInfo


@dataclass(frozen=True)
class Staff:
    now: datetime
    workers: Sequence[tuple[WorkerInfo, Sequence[Job]]]


def look(queue: Queue) -> Staff:
    found = sorted(queue.store.workers(), key=lambda info: info.started_at)
    return Staff(queue.clock.now(), [(info, [one.job for one in held_by(queue.store, info.owner)]) for info in found])


def shown(staff: Staff | None, told: Told, read_only: bool) -> str:
    if staff is None:
        return ""
    start = "" if read_only else button("Start a worker", "start-worker", look="quiet")
    count = tag("span", f"{len(staff.workers):,}", class_="jq-badge")
    head = f"<header><h3>Workers {count}</h3>{GAP}{start}</header>"
    rows = joined(row(info, jobs, staff.now, told, read_only) for info, jobs in staff.workers)
    body = f'<ul class="jq-rows">{rows}</ul>' if rows else '<p class="jq-empty">No worker is alive.</p>'
    return f'<section class="jq-section jq-workers" aria-label="Workers">{head}{body}</section>'


def row(info: WorkerInfo, jobs: Sequence[Job], now: datetime, told: Told, read_only: bool) -> str:
    serves = "every type" if info.types is None else ", ".join(info.types)
    where = f"{info.host}, pid {info.pid}, {info.executor}"
    words = chip(f"{len(jobs)} of {info.concurrency} busy", "claimed" if jobs else "plain", pulse=bool(jobs))
    words += since(info.started_at, now, "Started") + tag("span", text(f"serves {serves}"), class_="jq-dim")
    stop = "" if read_only else two_step("Stop", "stop-worker", "quiet", told, f"stop {info.owner}", id=info.owner)
    links = joined(
        f"<li>{tag('button', text(job.name or job.type), type='button', class_='jq-name', data_do='open', data_id=job.id)}"
        f" {since(job.claimed_at, now)}</li>"
        for job in jobs
    )
    below = f'<ul class="jq-held">{links}</ul>' if links else ""
    return (
        f'<li class="jq-row" data-key="{text(info.owner)}"><div class="jq-what"><b>{text(info.owner)}</b>'
        f'<span class="jq-dim">{text(where)}</span></div><div class="jq-words">{words}</div>'
        f'<div class="jq-acts">{stop}</div>{below}</li>'
    )


class WorkersPanel(Acting):
    name: ClassVar[str] = "workers"
    parts: ClassVar[tuple[str, ...]] = ("problem", "workers", "drawer", "status")

    def read(self) -> Staff:
        return look(self.queue)

    def texts(self, state: Staff | None, told: Told) -> Mapping[str, str]:
        return {"workers": shown(state, told, self.read_only)}


def workers(queue: Queue, *, every: float | None = 2.0, read_only: bool = False) -> WorkersPanel:
    """The live workers of a queue, what each runs, and buttons to stop and start them."""
    return WorkersPanel(queue, every=every, read_only=read_only)
