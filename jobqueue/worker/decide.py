"""From what a call came to, to where the job goes. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from jobqueue.errors import InvalidJob
from jobqueue.model.job import Failure, Job
from jobqueue.model.retry import RetryPolicy
from jobqueue.model.times import parse_moment
from jobqueue.model.transition import Run, Transition, cancel, complete, fail, release, snooze
from jobqueue.worker.run import Result


def decide(job: Job, result: Result, run: Run, policy: RetryPolicy, chance: float, *, cancel_asked: bool = False) -> Transition:
    """A result, the handler's retry policy and a random number make a transition.

    A handler that finished in spite of a cancel has finished; one that failed after it was asked to stop is cancelled.
    """
    if result.kind == "done":
        return complete(job, result.value, run)
    if result.kind == "cancelled" or (cancel_asked and result.kind != "handed_back"):
        message = result.error.message if result.error is not None and result.kind == "cancelled" else "cancelled while it ran"
        return cancel(job, run.finished_at, message, run)
    if result.kind == "handed_back":
        return release(job, run)
    if result.kind == "snoozed":
        return decide_snooze(job, result, run, policy, chance)
    error = result.error or Failure(message="failed")
    delay = None if result.delay is None else timedelta(seconds=result.delay)
    outcome = "crashed" if error.reason == "crashed" else "failed"
    return fail(job, error, run, policy=policy, chance=chance, final=result.kind == "final", delay=delay, outcome=outcome)


def explained(result: Result, killed_for: str, timeout: float | None) -> Result:
    """What a call came to, where the worker had to end it: its death is no crash. One that finished first has finished."""
    if result.kind == "done" or not killed_for:
        return result
    if killed_for == "shutdown":
        return Result("handed_back", seconds=result.seconds, told=result.told)
    peak = result.error.peak_memory if result.error is not None else None
    error = Failure(reason="timeout", message=f"ran longer than {timeout or 0:g} s", peak_memory=peak)
    return Result("failed", error=error, seconds=result.seconds, told=result.told)


def decide_snooze(job: Job, result: Result, run: Run, policy: RetryPolicy, chance: float) -> Transition:
    try:
        until: datetime = parse_moment(result.until, run.finished_at, "snooze")
    except InvalidJob as error:
        failure = Failure(type="InvalidTime", message=str(error))
        return fail(job, failure, run, policy=policy, chance=chance)
    return snooze(job, until, run)


def unknown_type(job: Job, run: Run) -> Transition:
    """A worker that takes every type and has no handler for this one."""
    error = Failure(reason="unknown_type", message=f"No processor registered for job type: {job.type}")
    return fail(job, error, run, final=True)
