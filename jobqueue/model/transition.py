"""Decide, then move: each function takes a job and what happened, and says where it goes. Nothing here touches a disk.

pending --claim--> claimed --complete--> done
   ^                  |-----fail-------> pending (a retry is due later) or failed
   |                  |-----snooze, release --> pending, the attempt given back
   |                  '-----lost (its worker died) --> pending or failed, the attempt counts
   |---cancel, end----------------------> failed
   '---retry (by a person)--- done, failed
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
from msgspec.structs import replace

from jobqueue.model.job import Attempt, Failure, Job, Ran
from jobqueue.model.retry import Backoff, RetryPolicy
from jobqueue.model.status import Status

NO_POLICY = RetryPolicy()
SUPERSEDED = "superseded by "


class Transition(msgspec.Struct, frozen=True):
    """A decided move: the job as it will be written, the folder it goes to, and the attempt that ended, if one did."""

    job: Job
    to: Status
    attempt: Attempt | None = None
    noted: bool = False
    """The attempt may have left a progress file or a checkpoint."""


class Run(msgspec.Struct, frozen=True):
    """What is known of the attempt that just ended: who ran it, from when to when, and what it was that ran."""

    worker: str
    claimed_at: datetime
    finished_at: datetime
    ran: Ran = Ran()


def ended(job: Job, run: Run, outcome: str, error: Failure | None = None) -> Attempt:
    """The attempt of a claimed job that a run was."""
    return Attempt(
        number=job.next_attempt,
        outcome=outcome,
        worker=run.worker,
        claimed_at=run.claimed_at,
        finished_at=run.finished_at,
        error=error,
        ran=replace(run.ran, due_at=job.due_at),
    )


def complete(job: Job, result: Any, run: Run) -> Transition:
    """The handler returned: done, with its result."""
    return Transition(finish(job, run, result=result), Status.DONE, ended(job, run, "done"))


def fail(
    job: Job,
    error: Failure,
    run: Run,
    *,
    policy: RetryPolicy = NO_POLICY,
    chance: float = 0.0,
    final: bool = False,
    delay: timedelta | None = None,
    outcome: str = "failed",
) -> Transition:
    """The attempt failed: back to pending while attempts are left, else to failed.

    `policy` is the handler's; what the job says of itself goes before it. `chance` is a random number from 0 to 1
    for the jitter. `final` ends the job whatever is left; `delay` overrides the backoff. An attempt whose own process
    died (it has an exit code) counts against the crashes too.
    """
    number = job.next_attempt
    attempt = ended(job, run, outcome, error)
    if final or number >= (job.max_attempts or policy.attempts) or crashed_enough(job, error, policy):
        return Transition(finish(job, run, error=error), Status.FAILED, attempt)
    wait = delay if delay is not None else next_wait(job.backoff or policy.backoff, number, chance)
    waiting = replace(
        job,
        attempts=number,
        run_after=run.finished_at + wait,
        updated_at=run.finished_at,
        history=(*job.history, attempt),
    )
    return Transition(waiting, Status.PENDING, attempt)


def crashed_enough(job: Job, error: Failure, policy: RetryPolicy) -> bool:
    """Whether its process has died too often since somebody last asked for it. The death of a worker proves nothing."""
    if error.exit_code is None:
        return False
    earlier = job.history[len(job.history) - min(job.attempts, len(job.history)) :]
    crashes = 1 + sum(attempt.error is not None and attempt.error.exit_code is not None for attempt in earlier)
    return crashes >= (job.max_crashes or policy.crashes)


def next_wait(backoff: Backoff, number: int, chance: float) -> timedelta:
    return timedelta(seconds=backoff.wait(number, chance))


def lost(job: Job, run: Run, *, policy: RetryPolicy = NO_POLICY, cancelled: bool = False) -> Transition:
    """The worker died while it held the job: the attempt counts, since it may have run; the next may start at once."""
    if cancelled:
        return cancel(job, run.finished_at, "cancelled while its worker died", run)
    error = Failure(reason="crashed", message=f"{run.worker} died while it ran this attempt")
    return fail(job, error, run, policy=policy, delay=timedelta(0), outcome="crashed")


def snooze(job: Job, until: datetime, run: Run) -> Transition:
    """The handler asked to be run later: pending, and the attempt is given back."""
    return give_back(job, run, "snoozed", run_after=until)


def release(job: Job, run: Run) -> Transition:
    """The worker is shutting down: pending as it was, and the attempt is given back."""
    return give_back(job, run, "released", run_after=job.run_after)


def give_back(job: Job, run: Run, outcome: str, run_after: datetime | None) -> Transition:
    attempt = ended(job, run, outcome)
    return Transition(replace(job, run_after=run_after, updated_at=run.finished_at), Status.PENDING, attempt)


def cancel(job: Job, now: datetime, message: str = "cancelled", run: Run | None = None) -> Transition:
    """Asked to stop: failed, with the reason `cancelled`. `run` is given where a running attempt was ended."""
    return end(job, Failure(reason="cancelled", message=message), now, run)


def end(job: Job, error: Failure, now: datetime, run: Run | None = None) -> Transition:
    """Failed for good: by hand, because it expired, or because a parent failed."""
    if run is None:
        return Transition(replace(job, error=error, result=None, finished_at=now, updated_at=now), Status.FAILED)
    attempt = ended(job, run, "cancelled" if error.reason == "cancelled" else "failed", error)
    return Transition(finish(job, run, error=error), Status.FAILED, attempt)


def retry(job: Job, now: datetime, *, run_after: datetime | None = None) -> Transition:
    """Run a finished job again: attempts go back to 0, and what happened so far stays in the history."""
    return Transition(reopened(job, now, run_after), Status.PENDING)


def reopened(job: Job, now: datetime, run_after: datetime | None = None) -> Job:
    """The job as if new, with its last outcome moved into the history."""
    return replace(
        job,
        attempts=0,
        history=(*job.history, final_attempt(job)) if job.finished else job.history,
        run_after=run_after,
        expires_at=None,
        updated_at=now,
        claimed_at=None,
        finished_at=None,
        locked_by=None,
        error=None,
        result=None,
        progress=None,
        metrics={},
        ran=None,
    )


def final_attempt(job: Job) -> Attempt:
    """The last attempt of a finished job, which stands in the job's own fields and not yet in its history."""
    return Attempt(
        number=job.attempts,
        outcome="done" if job.error is None else "cancelled" if job.cancelled else "failed",
        worker=job.locked_by,
        claimed_at=job.claimed_at,
        finished_at=job.finished_at,
        error=job.error,
        metrics=job.metrics,
        ran=job.ran,
    )


def finish(job: Job, run: Run, *, result: Any = None, error: Failure | None = None) -> Job:
    return replace(
        job,
        attempts=job.next_attempt,
        claimed_at=run.claimed_at,
        finished_at=run.finished_at,
        updated_at=run.finished_at,
        locked_by=run.worker,
        result=result,
        error=error,
        progress=None,
        metrics={},
        ran=replace(run.ran, due_at=job.due_at),
    )


def said_why(transition: Transition, why: str) -> Transition:
    """The end of a job that made way for another names that job."""
    job, attempt = transition.job, transition.attempt
    if job.error is None or not why.startswith(SUPERSEDED):
        return transition
    error = replace(job.error, message=why)
    told = attempt if attempt is None or attempt.error is None else replace(attempt, error=error)
    return replace(transition, job=replace(job, error=error), attempt=told)
