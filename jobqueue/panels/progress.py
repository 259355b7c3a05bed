"""How far a batch has come: one bar in the colours of the statuses, the time left, and the jobs that failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from jobqueue.model.status import Status
from jobqueue.model.times import short
from jobqueue.panels import wording
from jobqueue.panels.acting import Acting
from jobqueue.panels.html import GAP, joined, tag, text
from jobqueue.panels.panel import Said, Told, changes
from jobqueue.panels.sections import failed_row, two_step
from jobqueue.queue.batch import Batch, BatchProgress
from jobqueue.store.base import Located

MOST_FAILED = 10


@dataclass(frozen=True)
class State:
    now: datetime
    name: str
    progress: BatchProgress
    failed: Sequence[Located]


PARTS = {"done": "done", "failed": "failed", "running": "claimed", "pending": "pending", "gone": "plain"}
"""The counts of a batch, and the colours that they have."""


def shown(state: State | None, told: Told, read_only: bool) -> str:
    if state is None:
        return ""
    now = state.progress
    counts = {name: count for name in PARTS if (count := getattr(now, name))}
    pieces = joined(
        f'<i class="jq-{PARTS[name]}" style="width:{100 * count / now.total:.2f}%" title="{count:,} {name}"></i>'
        for name, count in counts.items()
    )
    words = joined(f'<span class="jq-{PARTS[name]}"><b>{count:,}</b> {name}</span>' for name, count in counts.items())
    label = f'role="progressbar" aria-valuenow="{now.percent:.0f}" aria-valuemin="0" aria-valuemax="100"'
    left = "" if now.seconds_left is None else f"{short(now.seconds_left)} left"
    badge = tag("span", wording.count(now.total, "job"), class_="jq-badge")
    head = f"<header><h3>{text(state.name or 'Batch')} {badge}</h3>{GAP}{'' if read_only else buttons(counts, told)}</header>"
    sums = f'<div class="jq-sums"><b>{now.percent:.0f} %</b>{words}{GAP}<span class="jq-dim">{left}</span></div>'
    drawn = f'<div class="jq-stack" {label} aria-label="{text(state.name or "batch")}">{pieces}</div>'
    rows = joined(failed_row(one, place, state.now, told, read_only) for place, one in enumerate(state.failed, 1))
    failed = f'<ol class="jq-rows">{rows}</ol>' if rows else ""
    return f'<section class="jq-section jq-batch">{head}<div class="jq-inner">{drawn}{sums}</div>{failed}</section>'


def buttons(counts: Mapping[str, int], told: Told) -> str:
    again = two_step(f"Retry {counts['failed']:,}", "retry-batch", "warn", told) if "failed" in counts else ""
    unfinished = "pending" in counts or "running" in counts
    return again + (two_step("Cancel", "cancel-batch", "quiet", told) if unfinished else "")


class Progress(Acting):
    name: ClassVar[str] = "progress"
    parts: ClassVar[tuple[str, ...]] = ("problem", "batch", "drawer", "status")

    def __init__(self, batch: Batch[Any], **options: Any) -> None:
        self.batch = batch
        self.about = batch.name or (batch.id or "")
        super().__init__(batch[0].queue, **options)

    def read(self) -> State:
        progress = self.batch.progress
        failed = []
        if progress.failed:
            found = (job for job in self.batch if job.queue.store.where(job.id) is Status.FAILED)
            failed = [job.located for job, _ in zip(found, range(MOST_FAILED), strict=False)]
        return State(self.queue.clock.now(), self.batch.name, progress, failed)

    def texts(self, state: State | None, told: Told) -> Mapping[str, str]:
        return {"batch": shown(state, told, self.read_only)}

    @changes
    def do_retry_batch(self) -> Said | None:
        failed = [job.id for job in self.batch if job.queue.store.where(job.id) is Status.FAILED]
        return self.confirm("retry-batch", "Retry {count} {jobs}?", lambda: self.queue.retry(failed, dry_run=True))

    @changes
    def do_cancel_batch(self) -> Said | None:
        unfinished = (Status.PENDING, Status.CLAIMED)
        ids = [job.id for job in self.batch if job.queue.store.where(job.id) in unfinished]
        return self.confirm("cancel-batch", "Cancel {count} {jobs}?", lambda: self.queue.cancel(ids, dry_run=True))


def progress(batch: Batch[Any], *, every: float | None = 2.0, read_only: bool = False) -> Progress:
    """How far a batch has come, live; raises `ValueError` for an empty one, of which there is nothing to see."""
    if not len(batch):
        raise ValueError("progress: this batch has no jobs")
    return Progress(batch, every=every, read_only=read_only)
