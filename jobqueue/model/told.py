"""What a handler told of its attempt beside the result, and its way into the job."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import replace

from jobqueue.model.job import Job
from jobqueue.model.progress import Progress
from jobqueue.model.status import Status
from jobqueue.model.transition import Transition


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """`metrics` are sums; `artifacts` is what the job's file says of each, by name. `at_once`: the next job may ask what
    this one has done, so that its outcome is stored before that one begins."""

    progress: Progress | None = None
    metrics: dict[str, float] = {}
    artifacts: dict[str, Any] = {}
    at_once: bool = False


def tell(transition: Transition, told: Told) -> Transition:
    """The same move, with what was told in the job and in its attempt.

    The progress of a job that is done is 100; any other keeps where it stood.
    """
    job, attempt = transition.job, transition.attempt
    history = job.history
    if attempt is not None:
        counted = replace(attempt, metrics=told.metrics)
        if history and history[-1] is attempt:
            history = (*history[:-1], counted)
        attempt = counted
    progress = told.progress
    if progress is not None:
        progress = replace(progress, metrics={})  # they stand beside it
        if transition.to is Status.DONE:
            progress = replace(progress, percent=100.0, seconds_left=None)
    job = replace(job, progress=progress, metrics=told.metrics, artifacts={**job.artifacts, **told.artifacts}, history=history)
    return replace(transition, job=job, attempt=attempt, noted=True)


def shown_running(job: Job, said: Progress | None) -> Job:
    """A running job, its attempts counted from their beginning, with what its running attempt has said, if it has."""
    if said is None or said.attempt != job.attempts:
        return replace(job, progress=None, metrics={})
    return replace(job, progress=said, metrics=said.metrics)
