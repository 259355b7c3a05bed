"""A worker dies while one of its jobs is asked to stop: its attempt is told once, and as what it was."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from jobqueue.model.job import Failure, Job
from jobqueue.model.transition import Run, fail, release
from jobqueue.store.base import WorkerInfo
from jobqueue.store.spool import Spool

ID = "10-20260101T000000000000-00000000"


def told(spool: Spool) -> list[tuple[int, str]]:
    return [(attempt.number, attempt.outcome) for attempt in spool.attempts()]


def work(path: Path, how: str) -> None:
    """Claims the job, is asked to stop it, and ends the attempt in another way; or does not come to that."""
    spool = Spool(path, durability="relaxed")
    owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=spool.clock.now()))
    (claim,) = spool.claim(owner)
    assert spool.cancel([ID])[0].outcome == "cancelling"
    run = Run(owner, claim.claimed_at, spool.clock.now())
    if how == "failed":
        spool.apply([(claim, fail(claim.job, Failure(message="no"), run, delay=timedelta(0)))])
    elif how == "released":
        spool.apply([(claim, release(claim.job, run))])


def dies_at_each_step(path: Path, how: str, forked: Callable[..., int]) -> list[tuple[str, int, list[tuple[int, str]]]]:
    """For each step at which it may die once it has the job: how the job ended, its attempts, and the journal."""
    ends = []
    for step in range(200):
        folder = path / str(step)
        spool = Spool(folder, durability="relaxed")
        spool.put([Job(id=ID, type="scan", max_attempts=3)], given_ids=True)
        code = forked(lambda folder=folder: work(folder, how), crash_at=step)
        spool.rescue()
        job = spool.get(ID).job
        if spool.get(ID).status == "failed":
            assert job.cancelled
            ends.append((str(spool.get(ID).status), job.attempts, told(spool)))
        spool.close()
        if code == 0:
            break
    return ends


@pytest.mark.parametrize("how", ["failed", "nothing"])
def test_the_attempt_stands_in_the_journal_once_whenever_its_worker_died(
    tmp_path: Path, forked: Callable[..., int], how: str
) -> None:
    ends = dies_at_each_step(tmp_path, how, forked)

    assert len(ends) > (3 if how == "failed" else 0)
    assert {attempts for _, attempts, _ in ends} == {1}
    assert {tuple(lines) for _, _, lines in ends} <= {((1, "cancelled"),), ((1, "failed"),)}


def test_an_attempt_that_was_given_back_is_never_told_as_another_one(tmp_path: Path, forked: Callable[..., int]) -> None:
    ends = dies_at_each_step(tmp_path, "released", forked)

    assert (0, [(1, "released")]) in [(attempts, lines) for _, attempts, lines in ends]
    for _, attempts, lines in ends:
        assert (attempts, lines) in [(0, [(1, "released")]), (0, []), (1, [(1, "cancelled")])]
