"""One owner at a time."""

from __future__ import annotations

from jobqueue.model import transition
from jobqueue.testing.contract.words import CLAIMED, DONE, PENDING, Words, together


class Claims(Words):
    def test_a_claimed_job_has_one_owner(self) -> None:
        id = self.add()
        other = self.join("worker-2")

        claim = self.claim()

        assert (claim.owner, claim.claimed_at) == (self.owner, self.clock.now())
        assert self.store.claim(other) == []
        located = self.store.get(id)
        assert (located.status, located.owner, located.job.locked_by) == (CLAIMED, self.owner, self.owner)
        assert self.store.extend(claim.owner, [claim]) == {id: "ok"}

    def test_an_attempt_is_seen_from_its_beginning_and_counts_at_its_end(self) -> None:
        id = self.add()

        claim = self.claim()

        assert self.stored(id).attempts == 1  # for whoever looks, the running attempt is one
        assert claim.job.attempts == 0  # for whoever runs it, none has finished

    def test_many_claimers_never_get_the_same_job(self) -> None:
        ids = [self.add() for _ in range(60)]
        owners = [self.join(f"racer-{number}") for number in range(4)]
        taken: list[str] = []

        def race(number: int) -> None:
            while claims := self.store.claim(owners[number], limit=2):
                taken.extend(claim.job.id for claim in claims)

        together(race, len(owners))

        assert sorted(taken) == sorted(ids)

    def test_the_outcome_of_a_lost_claim_is_refused(self) -> None:
        lost = self.claim_of_a_dead_worker()

        assert self.store.extend(lost.owner, [lost]) == {lost.job.id: "lost"}
        assert self.complete(lost, "too late") is False

        assert self.status(lost.job.id) is PENDING
        assert [attempt.outcome for attempt in self.journal()] == ["crashed"]

    def test_a_lost_claim_has_no_hold_on_the_next_one(self) -> None:
        lost = self.claim_of_a_dead_worker()
        self.clock.advance("10m")
        claim = self.claim()

        assert self.store.extend(lost.owner, [lost]) == {lost.job.id: "lost"}
        assert self.complete(lost, "from the dead") is False
        assert self.complete(claim, "from the living") is True

        assert self.stored(claim.job.id).result == "from the living"

    def test_an_outcome_counts_once(self) -> None:
        id = self.add()
        claim = self.claim()

        answers = [self.complete(claim, "first"), self.complete(claim, "second")]

        assert answers == [True, False]
        assert self.stored(id).result == "first"
        assert len(self.journal()) == 1

    def test_one_lost_claim_does_not_spoil_its_group(self) -> None:
        lost = self.claim_of_a_dead_worker()
        self.add()
        self.add()
        mine = {claim.job.id: claim for claim in self.store.claim(self.owner, limit=3)}
        mine.pop(lost.job.id)
        first, second = mine.values()

        claims = [first, lost, second]
        answers = self.store.apply([(claim, transition.complete(claim.job, None, self.run(claim))) for claim in claims])

        assert answers == [True, False, True]
        assert [self.status(claim.job.id) for claim in claims] == [DONE, CLAIMED, DONE]
