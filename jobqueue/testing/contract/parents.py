"""Jobs that wait for others."""

from __future__ import annotations

from datetime import timedelta

from jobqueue.testing.contract.words import DONE, FAILED, Words


class Parents(Words):
    def test_a_child_waits_for_its_parents(self) -> None:
        first, second = self.add(), self.add()
        child = self.add(after=(first, second), priority=0)
        claims = self.store.claim(self.owner, limit=10)
        assert [claim.job.id for claim in claims] == [first, second]

        self.complete(claims[0])
        assert self.claim_all() == []
        self.complete(claims[1])

        assert self.claim_all() == [child]

    def test_a_parent_that_will_be_tried_again_has_not_failed_yet(self) -> None:
        parent = self.add()
        child = self.add(after=(parent,))

        self.fail(self.claim())
        assert self.claim_all() == []
        self.clock.advance("1h")
        self.complete(self.claim())

        assert self.claim_all() == [child]

    def test_a_failed_parent_skips_runs_or_fails_its_children(self) -> None:
        parent = self.reach(FAILED)
        skipped = self.add(after=(parent,))
        run = self.add(after=(parent,), on_parent_failure="run")
        failed = self.add(after=(parent,), on_parent_failure="fail")

        order = self.claim_all()

        assert order == [run]
        assert (self.reason(skipped), self.reason(failed)) == ("skipped", "parent_failed")
        assert [entry.job for entry in self.journal()] == [parent]

    def test_a_parent_that_nobody_knows_is_gone(self) -> None:
        child = self.add(after=("no-such-job",))
        sturdy = self.add(after=("no-such-job",), on_parent_failure="run")

        order = self.claim_all()

        assert order == [sturdy]
        assert self.reason(child) == "skipped"

    def test_a_purged_parent_counts_as_what_it_was(self) -> None:
        self.needs("trash")
        done, failed = self.reach(DONE), self.reach(FAILED)
        waiting = self.add(run_after=self.clock.now() + timedelta(days=1))
        self.store.purge([done, failed, waiting], pending=True)
        children = [self.add(after=(parent,)) for parent in (done, failed, waiting)]

        order = self.claim_all()

        assert order == children[:1]
        assert [self.reason(id) for id in children[1:]] == ["skipped", "skipped"]
