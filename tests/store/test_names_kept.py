"""A dropped file keeps its name, by which its owner finds it, whoever reaches for it at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from jobqueue.model.job import Failure
from jobqueue.model.transition import Run, fail
from jobqueue.store.base import Claim


def test_a_worker_that_was_too_slow_gives_a_job_back_under_its_own_name(
    make_bench: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, fast = make_bench(), make_bench()
    slow.drop("x.json", '{"type": "scan"}')
    taken = slow.spool.folder.taken
    attempts: list[Claim] = []

    def looked_at_in_the_wrong_moment(name: str) -> bool:
        """The other worker has it just then, and is through with an attempt at once."""
        if attempts:
            return taken(name)
        attempts.extend(fast.claim())
        answer = taken(name)
        (claim,) = attempts
        run = Run(fast.owner, claim.claimed_at, fast.spool.clock.now())
        assert fast.spool.apply([(claim, fail(claim.job, Failure(message="no"), run, delay=timedelta(0)))]) == [True]
        return answer

    monkeypatch.setattr(slow.spool.folder, "taken", looked_at_in_the_wrong_moment)
    claims = slow.claim()

    assert [claim.job.id for claim in attempts] == ["x"]
    assert [(claim.job.id, claim.job.attempts) for claim in claims or slow.claim()] == [("x", 1)]
