"""Workers that come and go."""

from __future__ import annotations

import threading

from jobqueue.model.retry import RetryPolicy
from jobqueue.testing.contract.words import CLAIMED, FAILED, PENDING, Words


class Workers(Words):
    def test_workers_are_listed_while_they_live(self) -> None:
        second = self.join("worker-2", types=("mail",), concurrency=4)
        assert second != self.owner

        found = {info.owner: info for info in self.store.workers()}

        assert set(found) == {self.owner, second}
        assert (found[second].types, found[second].concurrency, found[second].alive) == (("mail",), 4, True)

        self.store.leave(second)

        assert [info.owner for info in self.store.workers()] == [self.owner]

    def test_the_jobs_of_a_dead_worker_come_back_and_the_attempt_counts(self) -> None:
        id = self.add()
        claim = self.claim(self.join("worker-2"))

        self.store.leave(claim.owner)
        assert self.claim_all() == []
        assert self.store.rescue() == [id]

        job = self.stored(id)
        assert (self.status(id), job.attempts) == (PENDING, 1)
        assert [(attempt.outcome, attempt.worker) for attempt in self.journal()] == [("crashed", claim.owner)]
        self.clock.advance("10m")
        assert self.claim_all() == [id]

    def test_jobs_that_were_handed_back_lose_no_attempt(self) -> None:
        id = self.add()
        claim = self.claim(self.join("worker-2"))

        self.store.hand_back(claim.owner)
        self.store.leave(claim.owner)
        self.store.rescue()

        assert (self.status(id), self.stored(id).attempts) == (PENDING, 0)
        assert [attempt.outcome for attempt in self.journal()] == ["released"]
        assert self.claim_all() == [id]

    def test_a_job_that_kills_its_workers_ends(self) -> None:
        id = self.add(max_attempts=2)

        for number in range(2):
            self.store.leave(self.claim(self.join(f"victim-{number}")).owner)
            self.store.rescue()
            self.clock.advance("1h")

        assert (self.reason(id), self.stored(id).attempts) == ("crashed", 2)
        assert self.claim_all() == []

    def test_the_dead_workers_own_policy_decides(self) -> None:
        once, twice = self.add("once"), self.add("twice")
        owner = self.join("worker-2", policies={"once": RetryPolicy(attempts=1), "twice": RetryPolicy(attempts=2)})
        self.store.claim(owner, limit=2)

        self.store.leave(owner)
        self.store.rescue()

        assert (self.status(once), self.status(twice)) == (FAILED, PENDING)

    def test_a_job_that_was_to_stop_does_not_come_back(self) -> None:
        id = self.add(max_attempts=1)
        claim = self.claim(self.join("worker-2"))
        self.store.cancel([id])

        self.store.leave(claim.owner)
        self.store.rescue()

        assert self.reason(id) == "cancelled"

    def test_the_living_keep_their_jobs_however_slow_they_are(self) -> None:
        id = self.add()
        claim = self.claim()

        self.clock.advance("30d")

        assert self.store.rescue() == []
        assert self.status(id) is CLAIMED
        assert self.complete(claim)

    def test_a_second_rescue_finds_nothing(self) -> None:
        lost = self.claim_of_a_dead_worker()

        assert self.store.rescue() == []

        assert self.stored(lost.job.id).attempts == 1
        assert len(self.journal()) == 1

    def test_wake_ends_a_wait(self) -> None:
        sleeper = threading.Thread(target=self.store.wait, args=(60,), daemon=True)
        sleeper.start()

        for _ in range(500):  # a wake may come before the wait has begun, and need not be remembered
            self.store.wake()
            sleeper.join(0.01)
            if not sleeper.is_alive():
                break

        assert not sleeper.is_alive()
