"""What the worker's log says of each job: done, failed with the reason, given back."""

from __future__ import annotations

from jobqueue.inert import inert_logger
from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Transition
from jobqueue.worker.run import one_line

log = inert_logger("jobqueue.worker")


def report(job: Job, transition: Transition, seconds: float) -> None:
    """One line for the end of one attempt."""
    attempt = transition.attempt
    error = attempt.error if attempt is not None else transition.job.error
    if transition.to is Status.DONE:
        log.info("done %s (%s) in %.3f s", one_line(job.id), one_line(job.type), seconds)
    elif error is None:
        log.info("given back %s (%s)", one_line(job.id), one_line(job.type))
    else:
        outcome = attempt.outcome if attempt is not None else "failed"
        log.warning(
            "%s %s (%s): %s%s", outcome, one_line(job.id), one_line(job.type), one_line(error.message), when_next(transition)
        )


def when_next(transition: Transition) -> str:
    due = transition.job.run_after
    return "" if transition.to is Status.FAILED or due is None else f"; next try at {due:%H:%M:%S} UTC"
