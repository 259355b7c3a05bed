"""How an attempt ends."""

from __future__ import annotations

from datetime import timedelta

from jobqueue.model import transition
from jobqueue.model.job import Failure
from jobqueue.model.retry import Backoff
from jobqueue.testing.contract.words import DONE, FAILED, PENDING, Words


class Endings(Words):
    def test_complete_stores_the_result(self) -> None:
        id = self.add()

        claim = self.claim()
        assert self.complete(claim, {"rows": [1, {"ok": True}], "größe": 1.5})

        job = self.stored(id)
        assert self.status(id) is DONE
        assert job.result == {"rows": [1, {"ok": True}], "größe": 1.5}
        assert (job.attempts, job.error, job.locked_by) == (1, None, self.owner)
        assert (job.claimed_at, job.finished_at, job.updated_at) == (claim.claimed_at, self.clock.now(), self.clock.now())
        assert self.claim_all() == []

    def test_nothing_is_a_result_too(self) -> None:
        id = self.reach(DONE)

        assert self.stored(id).result is None
        assert self.stored(id).finished

    def test_a_final_failure_keeps_its_text(self) -> None:
        id = self.add()

        assert self.fail(self.claim(), "no such répo", final=True)

        job = self.stored(id)
        assert self.status(id) is FAILED
        assert job.error == Failure(reason="error", type="ValueError", message="no such répo")
        assert job.attempts == 1
        assert self.claim_all() == []

    def test_a_failed_attempt_is_tried_again_after_a_wait(self) -> None:
        id = self.add(backoff=Backoff(base=60.0, jitter=0.0))

        assert self.fail(self.claim(), "first try")

        job = self.stored(id)
        assert (self.status(id), job.attempts, job.finished) == (PENDING, 1, False)
        assert [(attempt.number, attempt.outcome) for attempt in job.history] == [(1, "failed")]
        assert job.last_error is not None
        assert job.last_error.message == "first try"

        self.clock.advance("59s")
        assert self.claim_all() == []
        self.clock.advance("1s")
        assert self.claim_all() == [id]

    def test_attempts_run_out(self) -> None:
        id = self.add(max_attempts=2)

        assert self.fail(self.claim(), "first")
        assert self.status(id) is PENDING
        self.clock.advance("1h")
        assert self.fail(self.claim(), "second")

        job = self.stored(id)
        assert (self.status(id), job.attempts) == (FAILED, 2)
        assert job.error is not None
        assert job.error.message == "second"
        assert [(line.job, line.type, line.number) for line in self.journal()] == [(id, "scan", 1), (id, "scan", 2)]

    def test_a_snooze_gives_the_attempt_back(self) -> None:
        id = self.add()
        until = self.clock.now() + timedelta(hours=1)

        claim = self.claim()
        self.store.apply([(claim, transition.snooze(claim.job, until, self.run(claim)))])

        job = self.stored(id)
        assert (self.status(id), job.attempts, job.run_after) == (PENDING, 0, until)
        assert [attempt.outcome for attempt in self.journal()] == ["snoozed"]
        assert self.claim_all() == []
        self.clock.advance("1h")
        assert self.claim_all() == [id]

    def test_a_released_job_is_pending_as_it_was(self) -> None:
        self.needs("order")
        released, younger = self.add(), self.add()

        claim = self.claim()
        self.store.apply([(claim, transition.release(claim.job, self.run(claim)))])

        assert self.stored(released).attempts == 0
        assert [attempt.outcome for attempt in self.journal()] == ["released"]
        assert self.claim_all() == [released, younger]
