"""What the journal says: one entry for each finished attempt, each item that an attempt was through with, each thing that
somebody did to the queue. Pure: records, and how they are made.

    {"job":"10-...","type":"scan","number":1,"outcome":"done","worker":"worker-...",...}      an attempt
    {"what":"item","job":"10-...","type":"scan","track":"items","key":"octo/cat",...}         an item of `ctx.track`
    {"what":"purge","at":"...","by":"ann","count":12,"jobs":["10-...",...]}                   something that was done
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any

import msgspec
from msgspec.structs import replace

from jobqueue.model.job import Attempt, Aware, Failure, Job

ITEM = "item"
MOST_IDS = 100
"""So many ids stand in one entry; `count` tells how many there were."""


class AttemptEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One finished attempt. Times are aware UTC; `wait_ms` is from `due_at` to the claim, `run_ms` how long it ran.

    The traceback stays with the job. (job, number, claimed_at, outcome) tells an entry that was written twice.
    """

    job: str
    type: str
    number: int
    outcome: str
    worker: str | None = None
    host: str | None = None
    name: str | None = None
    project: str | None = None
    batch: str | None = None
    subject: str | None = None
    version: str | None = None
    code: str | None = None
    created_at: Aware | None = None
    due_at: Aware | None = None
    claimed_at: Aware | None = None
    finished_at: Aware | None = None
    wait_ms: float | None = None
    run_ms: float | None = None
    error: Failure | None = None
    metrics: dict[str, float] = {}

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.job, self.number, self.claimed_at, self.outcome)


class ItemEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One item that an attempt was through with: the run record of that item at this version."""

    what: str
    job: str
    type: str
    track: str
    key: str
    round: int = 0
    number: int = 1
    project: str | None = None
    version: str | None = None
    code: str | None = None
    at: Aware | None = None
    seconds: float | None = None
    metrics: dict[str, float] = {}


class EventEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that was done to the queue, or to jobs that did not run. `what` is enqueue, cancel, end (expired, skipped
    and the like), reject, retry, purge, restore, pause or resume; `jobs` are the first of them."""

    what: str
    at: Aware
    by: str | None = None
    host: str | None = None
    count: int | None = None
    jobs: Sequence[str] = ()
    type: str | None = None
    project: str | None = None
    batch: str | None = None
    reason: str | None = None


Entry = AttemptEntry | ItemEntry | EventEntry


def attempt_entry(job: Job, attempt: Attempt, host: str | None = None) -> AttemptEntry:
    ran, error = attempt.ran, attempt.error
    due_at = None if ran is None else ran.due_at
    seconds = None if ran is None else ran.seconds
    run_ms = milliseconds(attempt.claimed_at, attempt.finished_at) if seconds is None else round(seconds * 1000, 3)
    return AttemptEntry(
        job=printable(job.id),
        type=job.type,
        number=attempt.number,
        outcome=attempt.outcome,
        worker=attempt.worker,
        host=host,
        name=job.name,
        project=job.project,
        batch=job.batch,
        subject=None if ran is None else ran.subject,
        version=job.pipeline_version if ran is None or ran.version is None else ran.version,
        code=None if ran is None else ran.code,
        created_at=job.created_at,
        due_at=due_at,
        claimed_at=attempt.claimed_at,
        finished_at=attempt.finished_at,
        wait_ms=milliseconds(due_at, attempt.claimed_at),
        run_ms=run_ms,
        error=error if error is None or error.traceback is None else replace(error, traceback=None),
        metrics=attempt.metrics,
    )


def item_entries(job: Job, attempt: Attempt, items: Iterable[Mapping[str, Any]]) -> list[ItemEntry]:
    """Of items that are not in the journal yet: one for each round, track and key. What is no item is left out."""
    found: dict[tuple[Any, ...], ItemEntry] = {}
    for item in items:
        entry = item_entry(job, attempt, item)
        if entry is not None:
            found.setdefault((entry.round, entry.track, entry.key), entry)
    return list(found.values())


def item_entry(job: Job, attempt: Attempt, item: Mapping[str, Any]) -> ItemEntry | None:
    ran = attempt.ran
    fields = {
        "what": ITEM,
        "job": printable(job.id),
        "type": job.type,
        "track": item.get("track"),
        "key": item_key(item.get("key")),
        "round": item.get("round", 0),
        "number": item.get("attempt", attempt.number),
        "project": job.project,
        "version": item.get("version") or (None if ran is None else ran.version),
        "code": None if ran is None else ran.code,
        "at": item.get("at"),
        "seconds": item.get("seconds"),
        "metrics": item.get("metrics") or {},
    }
    try:
        return msgspec.convert(fields, ItemEntry)
    except msgspec.ValidationError:
        return None


def item_key(key: Any) -> str:
    """The text by which an item is known; a number and its digits are the same item."""
    return printable(str(key))


def enqueue_entries(jobs: Sequence[Job], at: datetime, by: str, host: str) -> list[EventEntry]:
    """One for each type, project and batch of a call."""
    groups: dict[tuple[str, str | None, str | None], list[Job]] = {}
    for job in jobs:
        groups.setdefault((job.type, job.project, job.batch), []).append(job)
    return [
        EventEntry(
            what="enqueue",
            at=at,
            by=by,
            host=host,
            count=len(group),
            jobs=first_ids(job.id for job in group),
            type=type,
            project=project,
            batch=batch,
        )
        for (type, project, batch), group in groups.items()
    ]


def first_ids(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(map(printable, islice(ids, MOST_IDS)))


def milliseconds(start: datetime | None, end: datetime | None) -> float | None:
    """Negative where the clock was put back in between."""
    return None if start is None or end is None else round((end - start).total_seconds() * 1000, 3)


def printable(text: str) -> str:
    """Text that any JSON reader takes: file names need not be UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
