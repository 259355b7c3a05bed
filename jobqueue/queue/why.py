"""One sentence that says why a job is where it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from jobqueue.inert import inert
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.model.times import short
from jobqueue.store.base import Located, Store, WorkerInfo


def why(store: Store, located: Located, now: datetime) -> str:
    """The first of the possible causes that holds, with what it was seen by."""
    if located.status is Status.PENDING:
        sentence = not_started(store, located)
    elif located.status is Status.CLAIMED:
        sentence = running(located, store.workers(), now)
    else:
        sentence = finished(located, now)
    return inert(sentence)


def finished(located: Located, now: datetime) -> str:
    job = located.job
    if located.reason is not None:
        return f"Failed: the dropped file cannot be a job: {located.reason}"
    ago = "" if job.finished_at is None else f" {short(max(0.0, (now - job.finished_at).total_seconds()))} ago"
    attempts = f"{job.attempts} attempt{'' if job.attempts == 1 else 's'}"
    if job.error is None:
        return f"Done{ago}, after {attempts}."
    message = (job.error.message.strip().splitlines() or [""])[0]
    return f"Failed{ago}, after {attempts}: {job.error.reason}: {message}"


def running(located: Located, workers: Sequence[WorkerInfo], now: datetime) -> str:
    job, owner = located.job, located.owner
    since = "" if job.claimed_at is None else f" for {short(max(0.0, (now - job.claimed_at).total_seconds()))}"
    if owner is not None and owner.startswith("op-"):
        return "Being moved by a retry, cancel or purge at this moment."
    if owner not in {worker.owner for worker in workers}:
        return f"Its worker {owner} has died; any live worker takes it back within a second."
    asked = "; it was asked to stop" if located.cancelling else ""
    return f"Running{since} as attempt {job.attempts} on {owner}{asked}."


def not_started(store: Store, located: Located) -> str:
    job = located.job
    verdict = store.judge(located)
    if verdict.action != "run":
        return f"Not started: {verdict.why}.{last_failure(job)}"
    workers = store.workers()
    if not workers:
        return f"Not started: no live worker serves {job.type!r}; none is running. Start one: python -m jobqueue.worker"
    serving = [worker for worker in workers if worker.serves(job.type)]
    if not serving:
        served = sorted({type for worker in workers for type in worker.types or ()})
        return f"Not started: no live worker serves {job.type!r}; {len(workers)} alive serve {', '.join(served)}."
    place = store.position(job.id)
    slots = sum(worker.concurrency for worker in serving)
    position = "" if place is None else f" at position {place} of {store.counts()[Status.PENDING]}"
    return f"Not started: it waits{position} for one of {slots} slot{'' if slots == 1 else 's'} of {serving[0].owner}."


def last_failure(job: Job) -> str:
    error = job.last_error
    if not job.attempts or error is None:
        return ""
    message = (error.message.strip().splitlines() or [""])[0]
    return f" Attempt {job.attempts} of {job.most_attempts} failed: {message}"
