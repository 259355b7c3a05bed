"""What people do: cancel, retry, purge and restore."""

from __future__ import annotations

from datetime import timedelta

from jobqueue.errors import JobNotFound
from jobqueue.model import transition
from jobqueue.model.filter import Filter, make_filter
from jobqueue.model.job import Failure
from jobqueue.store.base import Claim
from jobqueue.testing.contract.words import CLAIMED, DONE, FAILED, PENDING, Words


class Verbs(Words):
    # -- cancel

    def test_a_cancelled_pending_job_never_runs(self) -> None:
        id = self.add()

        [change] = self.store.cancel([id], "superseded by batch 7")

        assert (change.id, change.outcome) == (id, "changed")
        assert change.located is not None
        assert change.located.status is FAILED
        assert self.reason(id) == "cancelled"
        assert self.stored(id).error == Failure(reason="cancelled", message="superseded by batch 7")
        assert self.claim_all() == []
        assert self.journal() == []

    def test_a_cancelled_running_job_is_asked_to_stop(self) -> None:
        id = self.add()
        claim = self.claim()

        [change] = self.store.cancel([id])

        assert change.outcome == "cancelling"
        assert self.store.get(id).cancelling
        assert self.status(id) is CLAIMED
        assert self.store.extend(claim.owner, [claim]) == {id: "cancel"}

        run = self.run(claim)
        assert self.store.apply([(claim, transition.cancel(claim.job, run.finished_at, run=run))]) == [True]

        assert self.reason(id) == "cancelled"
        assert [attempt.outcome for attempt in self.journal()] == ["cancelled"]

    def test_a_job_that_finished_before_it_could_stop_is_done(self) -> None:
        id = self.add()
        claim = self.claim()
        self.store.cancel([id])

        assert self.complete(claim, "just in time")

        assert (self.status(id), self.stored(id).result) == (DONE, "just in time")

    def test_a_cancel_does_not_outlive_the_claim_it_was_meant_for(self) -> None:
        id = self.add()
        claim = self.claim()
        self.store.cancel([id])
        self.complete(claim)

        self.store.retry([id])
        again = self.claim()

        assert self.store.extend(again.owner, [again]) == {id: "ok"}
        assert not self.store.get(id).cancelling

    def test_a_job_that_was_asked_to_stop_is_not_tried_again(self) -> None:
        for hand_back in (self.fail, self.release):
            id = self.add()
            claim = self.claim()
            self.store.cancel([id])

            hand_back(claim)

            self.clock.advance("1h")
            assert self.claim_all() == []
            assert self.reason(id) == "cancelled"

        assert [attempt.outcome for attempt in self.journal()] == ["failed", "released"]

    def release(self, claim: Claim) -> bool:
        return self.store.apply([(claim, transition.release(claim.job, self.run(claim)))])[0]

    def test_a_finished_job_cannot_be_cancelled(self) -> None:
        for id, status in [(self.reach(DONE), DONE), (self.reach(FAILED), FAILED)]:
            [change] = self.store.cancel([id])

            assert (change.outcome, self.status(id)) == ("refused", status)
            assert change.why

    def test_a_bulk_verb_answers_for_each_id_in_its_order(self) -> None:
        done, running, waiting = self.reach(DONE), self.reach(CLAIMED), self.reach(PENDING)

        changes = self.store.cancel([waiting, "nobody", done, running])

        assert [change.id for change in changes] == [waiting, "nobody", done, running]
        assert [change.outcome for change in changes] == ["changed", "missing", "refused", "cancelling"]

    # -- retry

    def test_a_failed_job_is_retried_as_if_new(self) -> None:
        id = self.add(max_attempts=2)
        self.fail(self.claim(), "first")
        self.clock.advance("1h")
        self.fail(self.claim(), "second")

        [change] = self.store.retry([id])

        job = self.stored(id)
        assert change.outcome == "changed"
        assert (self.status(id), job.attempts, job.error, job.run_after, job.finished_at) == (PENDING, 0, None, None, None)
        assert [attempt.error.message for attempt in job.history if attempt.error] == ["first", "second"]
        assert self.claim_all() == [id]

    def test_a_done_job_can_be_run_again(self) -> None:
        id = self.add()
        self.complete(self.claim(), "old")

        self.store.retry([id])

        job = self.stored(id)
        assert (self.status(id), job.attempts, job.result) == (PENDING, 0, None)
        assert [(attempt.number, attempt.outcome) for attempt in job.history] == [(1, "done")]
        self.complete(self.claim(), "new")
        assert (self.status(id), self.stored(id).result, len(self.stored(id).history)) == (DONE, "new", 1)

    def test_a_cancelled_job_can_be_run_after_all(self) -> None:
        id = self.add()
        self.store.cancel([id])

        self.store.retry([id])

        assert [attempt.outcome for attempt in self.stored(id).history] == ["cancelled"]
        assert self.claim_all() == [id]

    def test_a_retry_may_wait_for_its_time(self) -> None:
        id = self.reach(FAILED)

        self.store.retry([id], run_after=self.clock.now() + timedelta(hours=1))

        assert self.claim_all() == []
        self.clock.advance("1h")
        assert self.claim_all() == [id]

    def test_a_job_that_has_not_finished_is_not_retried(self) -> None:
        for id, status in [(self.reach(CLAIMED), CLAIMED), (self.reach(PENDING), PENDING)]:
            [change] = self.store.retry([id])

            assert (change.outcome, self.status(id)) == ("refused", status)
            assert change.why

    # -- purge and restore

    def test_purged_jobs_are_gone(self) -> None:
        import pytest

        done, failed, kept = self.reach(DONE), self.reach(FAILED), self.reach(DONE)

        changes = self.store.purge([done, failed])

        assert [(change.id, change.outcome) for change in changes] == [(done, "changed"), (failed, "changed")]
        for id in (done, failed):
            with pytest.raises(JobNotFound):
                self.store.get(id)
        assert self.listed() == [kept]

    def test_a_claimed_job_is_never_purged(self) -> None:
        id = self.add()
        claim = self.claim()

        [change] = self.store.purge([id], pending=True)

        assert (change.outcome, self.status(id)) == ("refused", CLAIMED)
        assert change.why
        assert self.complete(claim)

    def test_a_pending_job_is_purged_only_on_request(self) -> None:
        id = self.add()

        [refused] = self.store.purge([id])

        assert (refused.outcome, self.status(id)) == ("refused", PENDING)
        assert refused.why

        [change] = self.store.purge([id], pending=True)

        assert change.outcome == "changed"
        assert self.claim_all() == []
        assert self.store.counts()[PENDING] == 0

    def test_purge_looks_at_its_filter_again(self) -> None:
        self.needs("filter")
        id = self.reach(DONE)

        [too_young] = self.store.purge([id], where=make_filter(self.clock.now(), older_than="7d"))
        [other_type] = self.store.purge([id], where=Filter(types=("mail",)))

        assert (too_young.outcome, other_type.outcome, self.status(id)) == ("refused", "refused", DONE)

        self.clock.advance("8d")
        [old] = self.store.purge([id], where=make_filter(self.clock.now(), older_than="7d"))

        assert old.outcome == "changed"

    def test_a_purge_can_be_undone(self) -> None:
        self.needs("trash")
        ids = [self.reach(DONE), self.reach(FAILED), self.reach(PENDING)]
        before = [self.store.get(id) for id in ids]
        self.store.purge(ids, pending=True)

        changes = self.store.restore(ids)

        assert [change.outcome for change in changes] == ["changed"] * 3
        assert [self.store.get(id) for id in ids] == before
        assert self.claim_all() == [ids[2]]
        assert self.store.restore(ids[:1])[0].outcome != "changed"

    def test_purging_leaves_the_journal_alone(self) -> None:
        ids = [self.reach(DONE), self.reach(FAILED)]
        before = self.journal()

        self.store.purge(ids)

        assert len(before) == 2
        assert self.journal() == before
