from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from jobqueue.model import transition
from jobqueue.model.job import Failure, Job
from jobqueue.model.retry import Backoff, RetryPolicy
from jobqueue.model.status import Status
from jobqueue.model.transition import Run

CREATED = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
BEGAN = CREATED + timedelta(minutes=1)
ENDED = CREATED + timedelta(minutes=2)
LATER = CREATED + timedelta(hours=1)
RUN = Run("worker-1", BEGAN, ENDED)
JOB = Job(id="x", type="scan", payload={"a": 1}, created_at=CREATED, progress=50)
BOOM = Failure(type="ValueError", message="boom")
WAIT = Backoff(base=8.0)


def times_of(attempt):
    return attempt.worker, attempt.claimed_at, attempt.finished_at


def test_complete_ends_done_with_the_result():
    decided = transition.complete(JOB, {"rows": 3}, RUN)

    job = decided.job
    assert decided.to is Status.DONE
    assert (job.result, job.error, job.attempts, job.progress) == ({"rows": 3}, None, 1, None)
    assert (job.locked_by, job.claimed_at, job.finished_at, job.updated_at) == ("worker-1", BEGAN, ENDED, ENDED)
    assert (job.id, job.type, job.payload, job.created_at) == (JOB.id, JOB.type, JOB.payload, JOB.created_at)
    assert (decided.attempt.number, decided.attempt.outcome, decided.attempt.error) == (1, "done", None)
    assert times_of(decided.attempt) == ("worker-1", BEGAN, ENDED)


def test_a_failure_waits_and_is_remembered():
    decided = transition.fail(JOB, BOOM, RUN, policy=RetryPolicy(backoff=WAIT))

    job = decided.job
    assert decided.to is Status.PENDING
    assert (job.attempts, job.run_after, job.updated_at) == (1, ENDED + timedelta(seconds=8), ENDED)
    assert (job.error, job.finished, job.last_error) == (None, False, BOOM)
    assert job.history == (decided.attempt,)
    assert (decided.attempt.number, decided.attempt.outcome, decided.attempt.error) == (1, "failed", BOOM)
    assert times_of(decided.attempt) == ("worker-1", BEGAN, ENDED)


def test_the_last_failure_ends_failed():
    tried = transition.fail(JOB, Failure(message="first"), RUN, policy=RetryPolicy(attempts=2)).job

    decided = transition.fail(tried, BOOM, RUN, policy=RetryPolicy(attempts=2))

    job = decided.job
    assert decided.to is Status.FAILED
    assert (job.attempts, job.error, job.finished_at, job.locked_by) == (2, BOOM, ENDED, "worker-1")
    assert [attempt.number for attempt in job.history] == [1]
    assert decided.attempt.number == 2


def test_what_a_job_says_goes_before_its_handlers_policy():
    policy = RetryPolicy(attempts=1, backoff=Backoff(base=100.0))
    own = Job(id="x", type="scan", max_attempts=2, backoff=WAIT)

    decided = transition.fail(own, BOOM, RUN, policy=policy)

    assert decided.to is Status.PENDING
    assert decided.job.run_after == ENDED + timedelta(seconds=8)
    assert transition.fail(decided.job, BOOM, RUN, policy=policy).to is Status.FAILED
    assert transition.fail(JOB, BOOM, RUN, policy=policy).to is Status.FAILED


def test_a_final_failure_leaves_attempts_unused():
    decided = transition.fail(JOB, BOOM, RUN, final=True)

    assert (decided.to, decided.job.attempts, decided.job.history) == (Status.FAILED, 1, ())


def test_a_given_delay_goes_before_the_backoff_and_chance_shortens_it():
    given = transition.fail(JOB, BOOM, RUN, delay=timedelta(minutes=5), chance=1.0)
    drawn = transition.fail(JOB, BOOM, RUN, policy=RetryPolicy(backoff=WAIT), chance=1.0)

    assert given.job.run_after == ENDED + timedelta(minutes=5)
    assert drawn.job.run_after == ENDED + timedelta(seconds=4)


def test_a_dead_worker_costs_an_attempt():
    decided = transition.lost(JOB, RUN)

    assert (decided.to, decided.job.attempts) == (Status.PENDING, 1)
    assert decided.attempt.outcome == "crashed"
    assert decided.attempt.error == Failure(reason="crashed", message="worker-1 died while it ran this attempt")


def test_a_job_that_kills_its_workers_ends_failed():
    decided = transition.lost(JOB, RUN, policy=RetryPolicy(attempts=1))

    assert (decided.to, decided.job.error.reason) == (Status.FAILED, "crashed")


CRASH = Failure(reason="crashed", message="killed by SIGSEGV", exit_code=-11)


NINE = RetryPolicy(attempts=9)


def crashing(job, errors, policy=NINE):
    """Where the job is after attempts with these errors, and how many there were."""
    for error in errors:
        decided = transition.fail(job, error, RUN, policy=policy)
        job = decided.job
        if decided.to is Status.FAILED:
            break
    return decided.to, job.attempts


def test_the_second_crash_is_the_last():
    assert crashing(JOB, [CRASH] * 5) == (Status.FAILED, 2)
    assert crashing(JOB, [CRASH, BOOM, BOOM, CRASH, BOOM]) == (Status.FAILED, 4)
    assert crashing(JOB, [CRASH, BOOM, BOOM]) == (Status.PENDING, 3)


def test_how_many_crashes_may_be_said_by_the_handler_and_before_that_by_the_job():
    assert crashing(JOB, [CRASH] * 5, RetryPolicy(attempts=9, crashes=3)) == (Status.FAILED, 3)
    once = replace(JOB, max_crashes=1)
    assert crashing(once, [CRASH] * 5, RetryPolicy(attempts=9, crashes=3)) == (Status.FAILED, 1)
    assert crashing(replace(JOB, max_crashes=50), [CRASH] * 5, RetryPolicy(attempts=4)) == (Status.FAILED, 4)


def test_the_death_of_a_worker_is_no_crash_of_the_job():
    job = transition.fail(JOB, CRASH, RUN, policy=RetryPolicy(attempts=9)).job
    for _ in range(3):
        decided = transition.lost(job, RUN, policy=RetryPolicy(attempts=9))
        assert decided.to is Status.PENDING
        job = decided.job


def test_a_retry_by_a_person_forgets_the_crashes():
    failed = JOB
    for _ in range(2):
        failed = transition.fail(failed, CRASH, RUN, policy=RetryPolicy(attempts=9)).job
    again = transition.retry(failed, LATER).job
    assert len(again.history) == 2
    assert crashing(again, [CRASH]) == (Status.PENDING, 1)
    assert crashing(again, [CRASH, CRASH]) == (Status.FAILED, 2)


def test_a_job_that_was_to_stop_does_not_come_back_from_a_dead_worker():
    decided = transition.lost(JOB, RUN, cancelled=True)

    assert (decided.to, decided.job.cancelled) == (Status.FAILED, True)


def test_snooze_gives_the_attempt_back():
    decided = transition.snooze(JOB, LATER, RUN)

    assert (decided.to, decided.job.attempts, decided.job.run_after) == (Status.PENDING, 0, LATER)
    assert (decided.job.history, decided.job.updated_at) == ((), ENDED)
    assert (decided.attempt.number, decided.attempt.outcome) == (1, "snoozed")


def test_release_leaves_the_job_as_it_was():
    delayed = Job(id="x", type="scan", attempts=1, run_after=CREATED)

    decided = transition.release(delayed, RUN)

    assert (decided.to, decided.job.attempts, decided.job.run_after) == (Status.PENDING, 1, CREATED)
    assert (decided.attempt.number, decided.attempt.outcome) == (2, "released")


def test_cancelled_before_it_ran_there_is_no_attempt():
    decided = transition.cancel(JOB, LATER, "superseded")

    job = decided.job
    assert (decided.to, decided.attempt, job.attempts) == (Status.FAILED, None, 0)
    assert job.error == Failure(reason="cancelled", message="superseded")
    assert (job.cancelled, job.finished_at, job.updated_at) == (True, LATER, LATER)


def test_cancelled_while_it_ran_the_attempt_is_told():
    decided = transition.cancel(JOB, ENDED, run=RUN)

    assert (decided.to, decided.job.attempts, decided.job.cancelled) == (Status.FAILED, 1, True)
    assert (decided.attempt.number, decided.attempt.outcome) == (1, "cancelled")
    assert times_of(decided.attempt) == ("worker-1", BEGAN, ENDED)


def test_end_fails_a_job_for_good_with_its_reason():
    expired = Failure(reason="expired", message="too late")

    unrun = transition.end(JOB, expired, LATER)
    run = transition.end(JOB, expired, LATER, RUN)

    assert (unrun.to, unrun.job.error, unrun.attempt) == (Status.FAILED, expired, None)
    assert (run.to, run.job.error, run.attempt.outcome) == (Status.FAILED, expired, "failed")


@pytest.mark.parametrize(
    ("ended", "outcome"),
    [
        (transition.complete(JOB, 7, RUN), "done"),
        (transition.fail(JOB, BOOM, RUN, final=True), "failed"),
        (transition.cancel(JOB, ENDED, run=RUN), "cancelled"),
    ],
)
def test_retry_makes_a_finished_job_new_and_keeps_what_happened(ended, outcome):
    decided = transition.retry(ended.job, LATER)

    job = decided.job
    assert (decided.to, decided.attempt) == (Status.PENDING, None)
    assert (job.attempts, job.error, job.result, job.run_after) == (0, None, None, None)
    assert (job.finished_at, job.claimed_at, job.locked_by, job.updated_at) == (None, None, None, LATER)
    [last] = job.history
    assert (last.number, last.outcome, last.error) == (1, outcome, ended.job.error)
    assert times_of(last) == ("worker-1", BEGAN, ENDED)


def test_retry_may_wait_and_forgets_the_expiry():
    old = Job(id="x", type="scan", expires_at=BEGAN, run_after=BEGAN, finished_at=ENDED)

    decided = transition.retry(old, ENDED, run_after=LATER)

    assert (decided.job.run_after, decided.job.expires_at) == (LATER, None)


def test_reopening_what_has_not_finished_adds_no_history():
    assert transition.reopened(JOB, LATER).history == ()


def happen(event, job, policy):
    if event == "snooze":
        return transition.snooze(job, LATER, RUN)
    if event == "release":
        return transition.release(job, RUN)
    return transition.fail(job, BOOM, RUN, policy=policy) if event == "fail" else transition.lost(job, RUN, policy=policy)


@given(st.integers(1, 20), st.lists(st.sampled_from(["fail", "lost", "snooze", "release"]), max_size=60))
def test_only_failures_and_crashes_use_attempts_up(attempts, events):
    policy = RetryPolicy(attempts=attempts)
    job, to, told = JOB, Status.PENDING, []
    for event in events:
        if to is not Status.PENDING:
            break
        decided = happen(event, job, policy)
        job, to = decided.job, decided.to
        told.append((event, decided.attempt.number))

    used = [number for event, number in told if event in ("fail", "lost")]
    assert used == list(range(1, len(used) + 1))
    assert job.attempts == len(used) <= attempts
    assert (to is Status.FAILED) == (len(used) == attempts)
    assert [attempt.number for attempt in job.history] == used[: len(used) - (to is Status.FAILED)]
    assert job.finished == (to is Status.FAILED)


@given(st.lists(st.booleans(), min_size=1, max_size=10))
def test_the_history_grows_by_one_with_every_retry(successes):
    job = JOB
    for number, success in enumerate(successes):
        ended = transition.complete(job, None, RUN) if success else transition.fail(job, BOOM, RUN, final=True)
        job = transition.retry(ended.job, LATER).job

        assert len(job.history) == number + 1
    assert [attempt.outcome == "done" for attempt in job.history] == successes
