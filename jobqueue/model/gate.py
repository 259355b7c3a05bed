"""Whether a pending job may run now, and if not, why not: one pure function for stores, `why` and tests."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from datetime import datetime

import msgspec

from jobqueue.model.control import Control
from jobqueue.model.job import Failure, Job
from jobqueue.model.limit import KEY, Limit, limited_type
from jobqueue.model.times import UTC, short

ParentState = Callable[[str], str]
"""The state of a parent: `waiting`, `done`, `failed` or `gone`."""


class Verdict(msgspec.Struct, frozen=True):
    """`action` is run, wait (until a time), hold (until `hold` changes) or end (with `error`); `why` is for people."""

    action: str
    why: str = ""
    until: datetime | None = None
    hold: str = ""
    error: Failure | None = None


RUN = Verdict("run")


def judge(job: Job, now: datetime, *, control: Control, types: Set[str] | None, parent_state: ParentState) -> Verdict:
    """The first reason, in this order, that keeps a job from running: expiry, pause, type, time, parents.

    `types` are those the worker has handlers for and was told to serve; None means it takes every type.
    """
    if job.expires_at is not None and job.expires_at <= now:
        message = f"expired {short(now - job.expires_at)} ago, before a worker was free"
        return Verdict("end", message, error=Failure(reason="expired", message=message))
    if control.paused is not None and control.paused.holds(now):
        return Verdict("hold", control.paused.sentence("the queue"), hold="pause")
    if (pause := control.paused_types.get(job.type)) is not None and pause.holds(now):
        return Verdict("hold", pause.sentence(f"the type {job.type!r}"), hold="pause")
    if types is not None and job.type not in types:
        return Verdict("hold", f"the type {job.type!r} is not served here", hold="type")
    if job.run_after is not None and job.run_after > now:
        return Verdict("wait", f"due in {short(job.run_after - now)}", until=job.run_after)
    return judge_parents(job, parent_state) if job.after else RUN


def judge_parents(job: Job, parent_state: ParentState) -> Verdict:
    for parent in job.after:
        state = parent_state(parent)
        if state == "waiting":
            return Verdict("hold", f"waits for {parent}, which has not finished", hold=f"parent:{parent}")
        if state != "done" and job.on_parent_failure != "run":
            reason = "skipped" if job.on_parent_failure == "skip" else "parent_failed"
            message = f"{parent}, which this job waits for, {'is gone' if state == 'gone' else 'failed'}"
            return Verdict("end", message, error=Failure(reason=reason, message=message))
    return RUN


def judge_limit(name: str, limit: Limit, running: Sequence[str], starts: Sequence[float], now: datetime) -> Verdict:
    """Whether one more job may start under this limit: `running` are the ids of those that hold a place, `starts` the
    times (epoch seconds) of the last starts."""
    if limit.concurrency is not None and len(running) >= limit.concurrency:
        return Verdict("hold", sentence_of_places(name, limit.concurrency, running), hold=name)
    opens_at = None if limit.rate is None else limit.rate.opens_at(starts, now.timestamp())
    if opens_at is None:
        return RUN
    until = datetime.fromtimestamp(opens_at, UTC)
    why = f"the rate of {shown(name)} ({limit.rate}) is used up until {until:%H:%M:%S} UTC"
    return Verdict("wait", why, until=until, hold=name)


def sentence_of_places(name: str, places: int, running: Sequence[str]) -> str:
    if name.startswith(KEY):
        return f"its concurrency key is held by {running[0]}"
    type = limited_type(name)
    return f"{len(running)} of {places} {'' if type is None else repr(type) + ' '}jobs are running"


def shown(name: str) -> str:
    type = limited_type(name)
    return "the queue" if type is None else repr(type)
