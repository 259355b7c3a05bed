"""Limits, concurrency keys and budgets."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from jobqueue.model import transition
from jobqueue.model.control import Control, Pause
from jobqueue.model.job import Job
from jobqueue.model.limit import Budget, Limit, limit_name, parse_rate
from jobqueue.store.base import Claim, Put
from jobqueue.testing.contract.words import CLAIMED, FAILED, PENDING, Words


class Limits(Words):
    def limit(self, type: str | None = None, *, rate: str | None = None, concurrency: int | None = None) -> None:
        said = Limit(rate=None if rate is None else parse_rate(rate), concurrency=concurrency)
        self.store.change_control(lambda control: replace(control, limits={**control.limits, limit_name(type): said}))

    def rival(self, key: str = "repo:x", on_conflict: Any = "wait", **fields: Any) -> Job:
        return self.job(concurrency_key=key, on_conflict=on_conflict, **fields)

    def put_one(self, job: Job) -> Put:
        [put] = self.put(job)
        return put

    def use(self, claim: Claim, **metrics: float) -> bool:
        """The job ends well, and has used so much."""
        ended = transition.complete(replace(claim.job, metrics=metrics), None, self.run(claim))
        assert ended.attempt is not None
        return self.store.apply([(claim, replace(ended, attempt=replace(ended.attempt, metrics=metrics)))])[0]

    def test_no_more_jobs_of_a_type_run_at_a_time_than_was_said(self) -> None:
        self.limit("scan", concurrency=2)
        ids = [self.add() for _ in range(3)]
        other = self.add("mail")

        first, second, third = self.store.claim(self.owner, limit=10)

        assert [first.job.id, second.job.id, third.job.id] == [*ids[:2], other]
        assert self.store.judge(self.store.get(ids[2])).why == "2 of 2 'scan' jobs are running"
        self.complete(first)
        assert self.claim_all() == [ids[2]]

    def test_no_more_jobs_of_the_queue_run_at_a_time_than_was_said(self) -> None:
        self.limit(concurrency=1)
        self.add()
        id = self.add("mail")

        assert len(self.claim_all()) == 1
        assert self.store.judge(self.store.get(id)).why == "1 of 1 jobs are running"

    def test_no_more_jobs_start_in_any_window_than_the_rate_says(self) -> None:
        self.limit("scan", rate="2/m")
        first = self.add()
        assert self.claim_all() == [first]
        self.clock.advance("20s")

        ids = [first, *(self.add() for _ in range(3))]

        assert self.claim_all() == ids[1:2]
        self.clock.advance("39s")
        assert self.claim_all() == []
        assert self.store.judge(self.store.get(ids[2])).why.startswith("the rate of 'scan' (2/m) is used up until 12:01:0")
        self.clock.advance("1s")
        assert self.claim_all() == ids[2:3]
        assert self.claim_all() == []

    def test_a_limit_that_was_taken_back_holds_nothing_up(self) -> None:
        self.limit("scan", concurrency=1)
        ids = [self.add() for _ in range(3)]
        assert self.claim_all() == ids[:1]

        self.store.change_control(lambda control: replace(control, limits={}))

        assert self.claim_all() == ids[1:]

    def test_what_was_said_on_the_queue_goes_before_what_workers_bring(self) -> None:
        brought = {limit_name("scan"): Limit(concurrency=1, rate=parse_rate("9/m"))}
        worker = self.join("limited", limits=brought)
        for _ in range(4):
            self.add()
        assert self.store.limits() == brought
        assert len(self.store.claim(worker, limit=10)) == 1

        self.limit("scan", concurrency=3)

        assert self.store.limits() == {limit_name("scan"): Limit(concurrency=3, rate=parse_rate("9/m"))}
        assert len(self.store.claim(worker, limit=10)) == 2

    def test_one_job_of_a_key_runs_at_a_time(self) -> None:
        first, second, other = (self.put_one(self.rival(key)).located.job.id for key in ("a", "a", "b"))

        claims = self.store.claim(self.owner, limit=10)

        assert [claim.job.id for claim in claims] == [first, other]
        assert self.store.judge(self.store.get(second)).why == f"its concurrency key is held by {first}"
        self.complete(claims[0])
        assert self.claim_all() == [second]

    def test_the_key_of_a_dead_worker_is_free(self) -> None:
        self.put_one(self.rival())
        dead = self.join("worker-dead")
        self.claim(dead)
        second = self.put_one(self.rival()).located.job.id
        assert self.claim_all() == []

        self.store.leave(dead)

        self.store.rescue()
        self.clock.advance("1h")
        assert len(self.claim_all()) == 1
        assert self.status(second) is PENDING  # the first runs again, and has its key again

    def test_a_retry_that_waits_holds_no_key(self) -> None:
        self.put_one(self.rival())
        second = self.put_one(self.rival()).located.job.id

        self.fail(self.claim())

        assert self.claim_all() == [second]

    def test_reject_makes_nothing_while_the_key_is_held(self) -> None:
        first = self.put_one(self.rival()).located.job.id

        waiting = self.put_one(self.rival(on_conflict="reject"))
        claim = self.claim()
        running = self.put_one(self.rival(on_conflict="reject"))

        assert (waiting.outcome, waiting.located.job.id, waiting.located.status) == ("rejected", first, PENDING)
        assert (running.outcome, running.located.job.id, running.located.status) == ("rejected", first, CLAIMED)
        assert self.store.scan().total == 1
        self.complete(claim)
        assert self.put_one(self.rival(on_conflict="reject")).outcome == "created"

    def test_reject_in_one_group_makes_one_job(self) -> None:
        puts = self.put(*(self.rival(on_conflict="reject") for _ in range(3)), self.rival("b", "reject"))

        assert [put.outcome for put in puts] == ["created", "rejected", "rejected", "created"]

    def test_supersede_ends_the_others_and_says_who_took_their_place(self) -> None:
        running = self.put_one(self.rival()).located.job.id
        claim = self.claim()
        waiting = self.put_one(self.rival()).located.job.id

        put = self.put_one(self.rival(on_conflict="supersede"))

        assert (put.outcome, put.superseded) == ("created", 2)
        assert self.status(waiting) is FAILED
        error = self.stored(waiting).error
        assert error is not None
        assert (error.reason, error.message) == ("cancelled", f"superseded by {put.located.job.id}")
        assert self.store.extend(claim.owner, [claim]) == {running: "cancel"}
        assert self.claim_all() == []
        self.complete(claim)
        assert self.claim_all() == [put.located.job.id]

    def test_a_pause_ends_by_itself(self) -> None:
        until = self.clock.now() + timedelta(hours=1)
        pause = Pause(by="ann", at=self.clock.now(), until=until)
        self.store.set_control(Control(paused_types={"scan": pause}))
        id = self.add()
        assert self.claim_all() == []
        assert "until 2026-01-01 13:00 UTC" in self.store.judge(self.store.get(id)).why

        self.clock.advance("1h")

        assert self.store.control() == Control()
        assert self.claim_all() == [id]

    def budget(self, amount: float, per: str = "day") -> None:
        budgets = {"scan": (Budget("tokens", amount, per),)}
        self.store.change_control(lambda control: replace(control, budgets=budgets))

    def test_a_type_whose_budget_is_spent_is_paused_until_the_next_period(self) -> None:
        self.budget(100)
        ids = [self.add() for _ in range(3)]

        self.use(self.claim(), tokens=60, calls=1000)
        assert [spent.spent for spent in self.store.spent()] == [60]
        self.use(self.claim(), tokens=60)

        assert self.claim_all() == []
        why = self.store.judge(self.store.get(ids[2])).why
        assert why == (
            "the type 'scan' is paused by budget since 2026-01-01 12:00 UTC until 2026-01-02 00:00 UTC: "
            "the budget of 100 tokens per day is spent (120)"
        )
        self.clock.advance("12h")
        assert self.claim_all() == ids[2:]
        assert [spent.spent for spent in self.store.spent()] == [0]

    def test_a_budget_counts_what_was_used_before_it_was_set(self) -> None:
        self.add()
        self.use(self.claim(), tokens=70)

        self.budget(100)

        [spent] = self.store.spent()
        assert (spent.spent, spent.left, spent.over) == (70, 30, False)
