"""The journal, and the lists."""

from __future__ import annotations

from typing import Any

from jobqueue.model.filter import Filter, make_filter
from jobqueue.model.status import Status
from jobqueue.store.base import digest
from jobqueue.testing.contract.words import CLAIMED, DONE, FAILED, PENDING, SOON, Words


class Lists(Words):
    def test_the_journal_tells_every_attempt_oldest_first(self) -> None:
        first = self.reach(DONE, "mail")
        began = self.clock.now()
        second = self.reach(FAILED, "scan")

        lines = self.journal()

        told = [(attempt.job, attempt.type, attempt.outcome) for attempt in lines]
        assert told == [(first, "mail", "done"), (second, "scan", "failed")]
        attempt = lines[1]
        assert (attempt.number, attempt.worker, attempt.finished_at) == (1, self.owner, self.clock.now())
        assert attempt.claimed_at == self.clock.now() - SOON
        assert attempt.error is not None
        assert attempt.error.message == "boom"
        assert [entry.job for entry in self.store.attempts(since=began + SOON / 2)] == [second]

    def test_counts_agree_with_the_lists(self) -> None:
        for status, number in ((DONE, 3), (FAILED, 2), (CLAIMED, 4), (PENDING, 1)):
            for _ in range(number):
                self.reach(status)

        counts = self.store.counts()

        assert counts == {DONE: 3, FAILED: 2, CLAIMED: 4, PENDING: 1}
        assert counts == {status: len(self.listed(statuses=[status], limit=None)) for status in Status}
        assert counts == {status: self.store.scan(statuses=[status]).total for status in Status}
        assert self.store.scan().total == 10

    def test_the_ids_of_a_status_are_those_of_its_jobs(self) -> None:
        for status in (DONE, DONE, FAILED, CLAIMED, PENDING):
            self.reach(status)

        for status in Status:
            assert sorted(self.store.ids(status)) == sorted(self.listed(statuses=[status], limit=None))

    def test_a_digest_says_of_a_job_what_its_file_says(self) -> None:
        ids = {status: self.reach(status, "scan") for status in (DONE, FAILED, CLAIMED, PENDING)}
        given = self.add("mail", name="Ann", project="p1", batch="b1", run_after=self.clock.now() + SOON)
        items = {located.job.id: located for located in self.store.scan(limit=None).items}

        digests = {one.id: one for one in self.store.digests(tuple(Status))}
        some = {
            one.id: one for one in self.store.digests((DONE, PENDING), [ids[DONE], ids[FAILED], given, "nobody", "no/body"])
        }

        assert digests == {id: digest(located) for id, located in items.items()}
        assert some == {id: digests[id] for id in (ids[DONE], given)}
        assert digests[ids[FAILED]].reason == "error"
        assert {one.id: one.status for one in digests.values() if one.id != given} == {id: status for status, id in ids.items()}

    def test_a_list_says_where_each_job_is(self) -> None:
        ids = {status: self.reach(status) for status in (DONE, FAILED, CLAIMED, PENDING)}

        items = self.store.scan().items

        assert {located.status: located.job.id for located in items} == ids
        assert {located.owner for located in items if located.status is CLAIMED} == {self.owner}

    def test_a_list_can_be_filtered(self) -> None:
        self.needs("filter")
        mail = self.add("mail", {"to": "Ann@Example.org"}, project="p1", tags=("nightly", "x"))
        scan = self.add("scan", project="p2", batch="b1", idempotency_key="k1")
        cancelled = self.add("scan", project="p1")
        self.store.cancel([cancelled])

        def found(**fields: Any) -> set[str]:
            page = self.store.scan(where=Filter(**fields))
            assert page.total == len(page.items)
            return {located.job.id for located in page.items}

        assert found(types=("mail",)) == {mail}
        assert found(types=("mail", "scan")) == {mail, scan, cancelled}
        assert found(project="p1") == {mail, cancelled}
        assert found(batch="b1") == {scan}
        assert found(tag="nightly") == {mail}
        assert found(key="k1") == {scan}
        assert found(text="ann@example") == {mail}
        assert found(reason="cancelled") == {cancelled}
        assert found(project="p1", types=("scan",)) == {cancelled}
        assert found(project="p3") == set()

    def test_a_list_can_be_cut_by_time(self) -> None:
        self.needs("filter")
        old = self.reach(DONE)
        self.clock.advance("2h")
        young = self.reach(DONE)

        now = self.clock.now()

        assert self.listed(where=make_filter(now, since="1h")) == [young]
        assert self.listed(where=make_filter(now, older_than="1h")) == [old]

    def test_a_list_has_the_order_that_was_asked_for(self) -> None:
        self.needs("order")
        old, urgent, young = self.add(), self.add(priority=0), self.add()

        assert self.listed() == [urgent, old, young]
        assert self.listed(order="oldest") == [old, urgent, young]
        assert self.listed(order="newest") == [young, urgent, old]

    def test_finished_jobs_are_listed_newest_first_too(self) -> None:
        self.needs("order")
        ids = [self.reach(DONE, priority=priority) for priority in (5, 0, 9)]

        assert self.listed(statuses=[DONE], order="newest") == ids[::-1]
        assert self.listed(statuses=[DONE], order="oldest") == ids

    def test_a_list_comes_in_pages(self) -> None:
        ids = [self.add() for _ in range(60)]

        assert self.listed(limit=2, offset=3) == ids[3:5]
        assert self.listed(limit=None) == ids
        assert self.listed() == ids[:50]
        assert self.listed(limit=7, offset=58) == ids[58:]
        assert (self.listed(offset=99), self.store.scan(offset=99).total) == ([], 60)
        assert self.store.scan(limit=2).total == 60
