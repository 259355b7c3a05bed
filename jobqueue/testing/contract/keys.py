"""Idempotency keys."""

from __future__ import annotations

from jobqueue.model.job import Job
from jobqueue.store.base import Put
from jobqueue.testing.contract.words import CLAIMED, PENDING, Words, together


class Keys(Words):
    def keyed(self, scope: str | None = None) -> Job:
        return self.job(idempotency_key="export-7", key_scope=scope)

    def try_key(self, scope: str | None = None) -> str:
        """What becomes of one more job with the key: created or exists."""
        [put] = self.put(self.keyed(scope))
        return put.outcome

    def test_a_key_gives_the_job_that_holds_it(self) -> None:
        first = self.keyed()
        self.put(first)

        [pending] = self.put(self.keyed())
        self.claim()
        [claimed] = self.put(self.keyed())

        assert (pending.outcome, pending.located.job.id, pending.located.status) == ("exists", first.id, PENDING)
        assert (claimed.outcome, claimed.located.job.id, claimed.located.status) == ("exists", first.id, CLAIMED)
        assert self.store.scan().total == 1

    def test_without_a_key_every_put_makes_a_job(self) -> None:
        puts = self.put(self.job(), self.job(), self.job(idempotency_key="a"), self.job(idempotency_key="b"))

        assert [put.outcome for put in puts] == ["created"] * 4

    def test_a_key_twice_in_a_batch_makes_one_job(self) -> None:
        first, second = self.keyed(), self.keyed()

        puts = self.put(first, second)

        assert [(put.outcome, put.located.job.id) for put in puts] == [("created", first.id), ("exists", first.id)]

    def test_a_key_at_the_same_moment_makes_one_job(self) -> None:
        jobs = [self.keyed() for _ in range(8)]
        answers: list[Put] = []

        together(lambda number: answers.extend(self.put(jobs[number])), len(jobs))

        assert sorted(put.outcome for put in answers) == ["created"] + ["exists"] * 7
        assert len({put.located.job.id for put in answers}) == 1

    def test_a_key_holds_as_long_as_its_job_exists(self) -> None:
        for scope in (None, "exists"):
            self.put(self.keyed(scope))
            claim = self.claim()
            self.complete(claim)
            self.clock.advance("90d")

            assert self.try_key(scope) == "exists"

            self.store.purge([claim.job.id])

            assert self.try_key(scope) == "created"
            self.store.purge(self.listed(), pending=True)

    def test_an_active_key_is_free_once_its_job_has_finished(self) -> None:
        assert self.try_key("active") == "created"
        claim = self.claim()
        assert self.try_key("active") == "exists"

        self.complete(claim)

        assert self.try_key("active") == "created"
        assert self.try_key("active") == "exists"

    def test_a_key_with_a_duration_holds_that_long(self) -> None:
        assert self.try_key("24h") == "created"
        claim = self.claim()
        self.complete(claim)

        self.clock.advance("23h")
        assert self.try_key("24h") == "exists"
        self.clock.advance("1h")

        assert self.try_key("24h") == "created"

    def test_a_key_with_a_duration_outlasts_a_purge(self) -> None:
        self.needs("trash")
        first = self.keyed("24h")
        self.put(first)
        self.complete(self.claim())
        self.store.purge([first.id])

        self.clock.advance("23h")
        [put] = self.put(self.keyed("24h"))

        assert (put.outcome, put.located.job.id) == ("exists", first.id)
        self.clock.advance("1h")
        assert self.try_key("24h") == "created"

    def test_a_key_with_a_duration_holds_while_its_job_is_active(self) -> None:
        self.try_key("24h")

        self.clock.advance("48h")

        assert self.try_key("24h") == "exists"
        claim = self.claim()
        assert self.try_key("24h") == "exists"
        self.complete(claim)
        assert self.try_key("24h") == "created"

    def test_force_makes_a_job_in_spite_of_the_key(self) -> None:
        self.put(self.keyed())

        [forced] = self.put(self.keyed(), force=True)

        assert forced.outcome == "created"
        assert self.store.counts()[PENDING] == 2
        assert self.try_key() == "exists"
