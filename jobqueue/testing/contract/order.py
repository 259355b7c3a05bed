"""Which job comes next, and which does not run yet."""

from __future__ import annotations

from datetime import timedelta

from jobqueue.model.control import Control
from jobqueue.testing.contract.words import CLAIMED, DONE, FAILED, PENDING, Words


class Order(Words):
    def test_the_lower_priority_number_goes_first_then_the_oldest(self) -> None:
        low = self.add(priority=20)
        old = self.add()
        young = self.add()
        urgent = self.add(priority=0)

        order = self.claim_all()

        assert order == [urgent, old, young, low]

    def test_an_id_given_by_hand_takes_its_place_by_age(self) -> None:
        self.needs("order")
        first, given, third = self.add(), self.add(id="nightly.report-7"), self.add()
        urgent = self.add(id="zzz", priority=1)

        order = self.claim_all()

        assert order == [urgent, first, given, third]

    def test_a_claim_takes_no_more_than_its_limit(self) -> None:
        ids = [self.add() for _ in range(5)]

        claims = self.store.claim(self.owner, limit=3)

        assert [claim.job.id for claim in claims] == ids[:3]
        assert self.store.counts() == {PENDING: 2, CLAIMED: 3, DONE: 0, FAILED: 0}

    def test_run_after_holds_a_job_back_until_its_time(self) -> None:
        later = self.add(run_after=self.clock.now() + timedelta(minutes=10), priority=0)
        now = self.add()

        assert self.claim_all() == [now]
        wait = self.store.due_in()
        assert wait is not None
        assert 599 < wait <= 600

        self.clock.advance("10m")

        assert self.claim_all() == [later]
        assert self.store.due_in() is None

    def test_run_after_in_the_past_holds_nothing_back(self) -> None:
        past = self.add(run_after=self.clock.now() - timedelta(days=1))

        assert self.store.due_in() is None
        assert self.claim_all() == [past]

    def test_due_in_tells_the_earliest_time(self) -> None:
        for minutes in (30, 10, 20):
            self.add(run_after=self.clock.now() + timedelta(minutes=minutes))

        self.claim_all()

        assert 599 < (self.store.due_in() or 0) <= 600

    def test_a_job_that_expired_before_a_worker_was_free_never_runs(self) -> None:
        expired = self.add(expires_at=self.clock.now() + timedelta(minutes=1))
        lasting = self.add(expires_at=self.clock.now() + timedelta(minutes=9))

        self.clock.advance("2m")
        order = self.claim_all()

        assert order == [lasting]
        assert self.reason(expired) == "expired"
        assert self.stored(expired).attempts == 0
        assert self.journal() == []

    def test_a_paused_queue_hands_out_nothing(self) -> None:
        ids = [self.add(), self.add("mail")]

        self.pause()

        assert self.claim_all() == []
        assert self.store.counts()[PENDING] == 2
        control = self.store.control()
        assert control.paused is not None
        assert (control.paused.by, control.paused.reason) == ("ann", "disk full")

        self.store.set_control(Control())

        assert self.claim_all() == ids

    def test_a_paused_type_holds_back_its_own_jobs_only(self) -> None:
        mail, scan = self.add("mail"), self.add("scan")

        self.pause("mail")

        assert self.claim_all() == [scan]

        self.store.set_control(Control())

        assert self.claim_all() == [mail]

    def test_a_worker_for_some_types_leaves_the_others_pending(self) -> None:
        self.needs("types")
        mail, scan, other = self.add("mail"), self.add("scan"), self.add("other")

        assert self.claim_all(types={"scan", "other"}) == [scan, other]

        assert self.status(mail) is PENDING
        assert self.claim_all() == [mail]

    def test_judge_tells_why_a_job_does_not_run(self) -> None:
        ready = self.add()
        later = self.add(run_after=self.clock.now() + timedelta(hours=2))
        mail = self.add("mail")
        waiting = self.add(after=(ready,))

        self.pause("mail")
        verdicts = {id: self.store.judge(self.store.get(id)) for id in (ready, later, mail, waiting)}

        assert verdicts[ready].action == "run"
        assert (verdicts[later].action, verdicts[later].until) == ("wait", self.stored(later).run_after)
        assert (verdicts[mail].action, verdicts[mail].hold) == ("hold", "pause")
        assert "ann" in verdicts[mail].why
        assert verdicts[waiting].action == "hold"
        assert ready in verdicts[waiting].why

    def test_position_counts_from_one_in_the_true_order(self) -> None:
        self.needs("order")
        second, third, first = self.add(), self.add(), self.add(priority=0)

        assert [self.store.position(id) for id in (first, second, third)] == [1, 2, 3]

        self.claim()

        assert [self.store.position(id) for id in (first, second, third)] == [None, 1, 2]
