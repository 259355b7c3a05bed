"""What a plan needs of a store: to act on jobs only as they were seen, to take a cancel back, to be alone for a while."""

from __future__ import annotations

import threading
from datetime import timedelta

from jobqueue.store.base import Change, Located
from jobqueue.testing.contract.words import CLAIMED, DONE, FAILED, PENDING, Words


class Plans(Words):
    def seen(self, *ids: str) -> dict[str, Located]:
        return {id: self.store.get(id) for id in ids}

    # -- as they were seen

    def test_a_job_that_is_as_it_was_seen_is_changed(self) -> None:
        failed, done = self.reach(FAILED), self.reach(DONE)
        waiting = self.add()

        assert self.words(self.store.retry([failed], seen=self.seen(failed))) == ["changed"]
        assert self.words(self.store.purge([done], seen=self.seen(done))) == ["changed"]
        assert self.words(self.store.cancel([waiting], seen=self.seen(waiting))) == ["changed"]
        assert (self.status(failed), self.status(waiting)) == (PENDING, FAILED)

    def test_a_job_that_failed_again_since_is_not_retried(self) -> None:
        id = self.reach(FAILED)
        seen = self.seen(id)
        self.store.retry([id])
        self.fail(self.claim(), final=True)

        [change] = self.store.retry([id], seen=seen)

        assert (change.outcome, self.status(id)) == ("refused", FAILED)
        assert "has changed since it was looked at" in change.why

    def test_a_job_that_is_done_by_now_is_neither_retried_nor_purged_as_a_failed_one(self) -> None:
        id = self.reach(FAILED)
        seen = self.seen(id)
        self.store.retry([id])
        self.complete(self.claim(), "well")

        assert self.words(self.store.retry([id], seen=seen)) == ["refused"]
        assert self.words(self.store.purge([id], seen=seen)) == ["refused"]
        assert (self.status(id), self.stored(id).result) == (DONE, "well")

    def test_a_job_that_began_since_is_not_cancelled(self) -> None:
        id = self.add()
        seen = self.seen(id)
        self.claim()

        assert self.words(self.store.cancel([id], seen=seen)) == ["refused"]
        assert (self.status(id), self.store.get(id).cancelling) == (CLAIMED, False)

    def test_a_running_job_that_was_seen_running_is_asked_to_stop(self) -> None:
        id = self.add()
        self.claim()

        assert self.words(self.store.cancel([id], seen=self.seen(id))) == ["cancelling"]

    def test_a_job_that_was_not_seen_is_not_touched(self) -> None:
        id = self.reach(FAILED)

        assert self.words(self.store.retry([id], seen={})) == ["refused"]
        assert self.status(id) is FAILED

    def words(self, changes: list[Change]) -> list[str]:
        return [change.outcome for change in changes]

    # -- taking a cancel back

    def test_a_cancel_that_is_taken_back_leaves_no_trace(self) -> None:
        later = self.clock.now() + timedelta(hours=1)
        expires = self.clock.now() + timedelta(hours=2)
        id = self.add(priority=3, run_after=later, expires_at=expires, max_attempts=7)
        before = self.stored(id)
        [cancelled] = self.store.cancel([id])

        [change] = self.store.uncancel([id], seen={id: cancelled.located} if cancelled.located else {})

        assert change.outcome == "changed"
        after = self.stored(id)
        fields = (
            "payload",
            "priority",
            "run_after",
            "expires_at",
            "max_attempts",
            "attempts",
            "history",
            "error",
            "finished_at",
        )
        assert [getattr(after, field) for field in fields] == [getattr(before, field) for field in fields]
        assert (self.status(id), self.store.position(id)) == (PENDING, 1)
        assert self.claim_all() == []
        self.clock.advance(3601)
        assert self.claim_all() == [id]

    def test_a_retrying_job_keeps_its_attempts_when_its_cancel_is_taken_back(self) -> None:
        id = self.add()
        self.fail(self.claim(), "once")
        self.store.cancel([id])

        self.store.uncancel([id])

        job = self.stored(id)
        assert (job.attempts, [attempt.outcome for attempt in job.history]) == (1, ["failed"])

    def test_a_cancel_is_not_taken_back_from_a_job_that_was_retried_since(self) -> None:
        id = self.add()
        [cancelled] = self.store.cancel([id])
        self.store.retry([id])
        self.complete(self.claim(), 1)

        [change] = self.store.uncancel([id], seen={id: cancelled.located} if cancelled.located else {})

        assert (change.outcome, self.status(id)) == ("refused", DONE)

    # -- alone

    def test_two_are_never_in_a_block_of_one_name(self) -> None:
        inside, most = [0], [0]

        def enter() -> None:
            for _ in range(20):
                with self.store.alone("batch:b1"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    with self.store.alone("another name"):
                        pass
                    inside[0] -= 1

        threads = [threading.Thread(target=enter) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert most == [1]
