"""Schedules, and the duties that one worker at a time has."""

from __future__ import annotations

from jobqueue.model.schedule import ScheduleRecord
from jobqueue.testing.contract.words import DONE, FAILED, Words, together


class Schedules(Words):
    def nightly(self, name: str = "nightly", type: str = "report") -> ScheduleRecord:
        now = self.clock.now()
        return ScheduleRecord(name=name, type=type, payload={"a": [1]}, cron="@daily", created_at=now, handled=now)

    def test_a_schedule_is_kept_as_it_was_put(self) -> None:
        record = self.nightly()

        self.store.schedules.put(record)

        assert self.store.schedules.get("nightly") == record
        assert self.store.schedules.all() == (record,)
        assert self.store.schedules.get("other") is None

    def test_schedules_come_by_name_and_are_replaced(self) -> None:
        for record in (self.nightly("b"), self.nightly("a"), self.nightly("b", type="other")):
            self.store.schedules.put(record)

        assert [(record.name, record.type) for record in self.store.schedules.all()] == [("a", "report"), ("b", "other")]

    def test_a_schedule_that_was_removed_is_gone(self) -> None:
        self.store.schedules.put(self.nightly())

        assert self.store.schedules.remove("nightly")

        assert not self.store.schedules.remove("nightly")
        assert self.store.schedules.all() == ()

    def test_where_nothing_has_changed_the_answer_is_the_same(self) -> None:
        self.store.schedules.put(self.nightly())
        before = self.store.schedules.all()

        assert self.store.schedules.all() is before

        self.store.schedules.put(self.nightly("b"))
        assert self.store.schedules.all() is not before

    def test_one_at_a_time_changes_schedules(self) -> None:
        seen = []

        def change(number: int) -> None:
            with self.store.schedules.held():
                known = self.store.schedules.get("nightly") or self.nightly()
                self.store.schedules.put(self.nightly(type=known.type + "+"))

        together(change, 8)
        with self.store.schedules.held() as ours, self.store.schedules.held(wait=False) as others:
            seen.append((ours, others))

        assert seen == [(True, False)]
        assert [record.type for record in self.store.schedules.all()] == ["report" + "+" * 8]

    def test_one_has_a_duty_until_it_lets_go(self) -> None:
        with self.store.duty("retention") as ours, self.store.duty("retention") as others:
            assert (ours, others) == (True, False)
        with self.store.duty("retention") as again:
            assert again

    def test_finished_jobs_rest(self) -> None:
        self.put(self.job(), self.job(), self.job())
        first, second = self.claim(), self.claim()
        self.complete(first)

        resting = list(self.store.resting(DONE))

        assert [job.id for job in resting] == [first.job.id]
        assert resting[0].size > 0
        assert list(self.store.resting(FAILED)) == []
        assert list(self.store.resting(DONE, [first.job.id, second.job.id, "none"])) == resting
