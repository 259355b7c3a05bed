"""What the store in memory does with jobs: copies them, orders them, says no."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from jobqueue.model.filter import LONG_AGO, Filter, when
from jobqueue.model.job import Job
from jobqueue.model.names import ID
from jobqueue.model.retention import Resting
from jobqueue.model.status import FINISHED, Status
from jobqueue.model.times import parse_duration
from jobqueue.model.told import shown_running, tell
from jobqueue.model.transition import NO_POLICY, Run, Transition, lost, release
from jobqueue.store.base import Claim, Located, Notes, Page, WorkerInfo, left_behind


def copied(job: Job) -> Job:
    """What a file would give back: tuples in a payload have become lists, and nobody else can change it."""
    return msgspec.json.decode(msgspec.json.encode(job), type=Job)


def urgency(located: Located) -> tuple[int, str]:
    """The order of the queue: priority, then the time that an id says; an id given by hand says none."""
    job = located.job
    made = ID.fullmatch(job.id)
    return job.priority, made[2] if made else f"{job.created_at or LONG_AGO:%Y%m%dT%H%M%S%f}"


def key_holds(located: Located, exists: bool, now: datetime) -> bool:
    """Whether the idempotency key of a job is taken; one that does not exist any more lies in the trash."""
    job = located.job
    if exists and located.status not in FINISHED:
        return True
    if job.key_scope in (None, "exists", "active"):
        return exists and job.key_scope != "active"
    return (job.created_at or LONG_AGO) + parse_duration(job.key_scope) > now


def last_change(located: Located) -> datetime:
    return when(located.job)


def page(found: Sequence[Located], where: Filter | None, order: str, limit: int | None, offset: int) -> Page:
    matching = [located for located in found if where is None or where.matches(located.job)]
    matching.sort(key=urgency if order == "urgent" else last_change)
    if order == "newest":
        matching.reverse()
    return Page(matching[offset : None if limit is None else offset + limit], len(matching))


def resting(jobs: Mapping[str, Located], status: Status, ids: Sequence[str] | None) -> Iterator[Resting]:
    known = jobs.values() if ids is None else [jobs[id] for id in ids if id in jobs]
    found = [located.job for located in known if located.status is status]
    return (Resting(when(job), job.id, len(msgspec.json.encode(job))) for job in found)


def live(located: Located, notes: Notes) -> Located:
    """With what a running attempt has said so far."""
    if located.status is not Status.CLAIMED:
        return located
    return replace(located, job=shown_running(located.job, notes.progress(located.job.id)))


def rescued(claim: Claim, info: WorkerInfo, now: datetime, cancelled: bool, notes: Notes) -> Transition:
    """What becomes of a job whose worker is gone."""
    job = claim.job
    run = Run(claim.owner, claim.claimed_at, now, info.ran(job))
    if info.handed_back and not cancelled:
        decided = release(job, run)
    else:
        decided = lost(job, run, policy=info.policies.get(job.type, NO_POLICY), cancelled=cancelled)
    told = left_behind(notes, job.id, job.next_attempt)
    return decided if told is None else tell(decided, told)
