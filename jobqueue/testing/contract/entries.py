"""What the journal says beside the attempts: items, and what was done to the queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec

from jobqueue.model import transition
from jobqueue.model.entry import ITEM, EventEntry, ItemEntry
from jobqueue.model.job import Ran
from jobqueue.model.progress import Progress
from jobqueue.model.status import Status
from jobqueue.model.told import Told, tell
from jobqueue.model.transition import Run
from jobqueue.store.base import Claim
from jobqueue.testing.contract.words import DONE, SOON, Words


class Entries(Words):
    def entries(self) -> list[dict[str, Any]]:
        """All lines of the journal, decoded."""
        return [msgspec.json.decode(line) for line in self.store.journal_lines()]

    def events(self, what: str) -> list[EventEntry]:
        return [msgspec.convert(entry, EventEntry) for entry in self.entries() if entry.get("what") == what]

    def items(self) -> list[ItemEntry]:
        return [msgspec.convert(entry, ItemEntry) for entry in self.entries() if entry.get("what") == ITEM]

    def note(self, claim: Claim, *keys: str, track: str = "items") -> None:
        """As `ctx.track` does it."""
        for key in keys:
            row = {"track": track, "key": key, "seconds": 0.5, "metrics": {"tokens": 3.0}, "at": self.clock.now(), "round": 0}
            self.store.notes.add_item(claim.job.id, row | {"attempt": claim.job.next_attempt, "version": "v1"})
        progress = Progress(attempt=claim.job.next_attempt, percent=10.0, at=self.clock.now(), metrics={"tokens": 3.0})
        self.store.notes.set_progress(claim.job.id, progress)

    def test_an_attempt_carries_what_ran(self) -> None:
        id = self.add(project="p", batch="b", name="n")
        claim = self.claim()
        ran = Ran(seconds=0.25, code="c0de", version="v1", subject="commit")
        run = Run(claim.owner, claim.claimed_at, self.clock.advance("1s"), ran)

        self.store.apply([(claim, tell(transition.complete(claim.job, 1, run), Told(metrics={"tokens": 5.0})))])

        (entry,) = self.journal()
        assert (entry.job, entry.name, entry.project, entry.batch) == (id, "n", "p", "b")
        assert (entry.version, entry.code, entry.subject, entry.run_ms) == ("v1", "c0de", "commit", 250.0)
        assert entry.metrics == {"tokens": 5.0}
        assert entry.host is not None
        assert entry.created_at is not None
        assert entry.due_at == entry.created_at
        assert entry.claimed_at == claim.claimed_at
        assert entry.finished_at == claim.claimed_at + SOON

    def test_a_job_waits_since_its_time_has_come_and_since_a_retry(self) -> None:
        due = self.clock.now() + timedelta(minutes=5)
        id = self.add(run_after=due)
        self.clock.advance("6m")
        self.complete(self.claim())
        self.clock.advance("1h")
        self.store.retry([id])
        retried = self.clock.now()
        self.clock.advance("2s")
        self.complete(self.claim())

        first, second = self.journal()
        assert first.due_at == due
        assert first.wait_ms is not None
        assert 60_000 <= first.wait_ms < 61_000
        assert (second.due_at, second.wait_ms) == (retried, 2000.0)

    def test_each_item_of_an_attempt_is_told_once(self) -> None:
        self.add(project="p")
        claim = self.claim()
        self.note(claim, "a", "b", "a")
        self.note(claim, "a", track="others")
        told = Told(Progress(attempt=1, percent=10.0, at=self.clock.now()), {})
        self.store.apply([(claim, tell(transition.snooze(claim.job, self.clock.now(), self.run(claim)), told))])
        claim = self.claim()
        self.note(claim, "c")
        self.store.apply([(claim, tell(transition.complete(claim.job, None, self.run(claim)), told))])

        items = self.items()

        assert sorted((item.track, item.key) for item in items) == [
            ("items", "a"),
            ("items", "b"),
            ("items", "c"),
            ("others", "a"),
        ]
        assert {(item.version, item.project, item.seconds, item.number) for item in items} == {("v1", "p", 0.5, 1)}
        assert {item.metrics["tokens"] for item in items} == {3.0}
        assert [row["key"] for row in self.store.notes.items(claim.job.id)] == ["a", "b", "a", "a", "c"]
        assert self.store.notes.processed("scan", "v1", "items") == {"a", "b", "c"}
        assert self.store.notes.processed("scan", "v2", "items") == set()

    def test_the_items_and_the_version_of_a_dead_worker_are_told(self) -> None:
        owner = self.join("worker-dead", versions={"scan": "v7"}, codes={"scan": "c0de"}, subjects={"scan": "repo"})
        self.add(payload={"repo": "octo/cat"})
        claim = self.claim(owner)
        self.note(claim, "a")
        self.store.leave(owner)

        assert self.store.rescue() == [claim.job.id]

        (entry,) = self.journal()
        assert (entry.outcome, entry.version, entry.code, entry.subject) == ("crashed", "v7", "c0de", "octo/cat")
        assert entry.metrics == {"tokens": 3.0}
        assert [item.key for item in self.items()] == ["a"]

    def test_what_people_do_is_told(self) -> None:
        ids = [put.located.job.id for put in self.put(*(self.job("mail", project="p", batch="b") for _ in range(3)))]
        self.store.cancel(ids[:1])
        self.store.retry(ids[:1])
        self.complete(self.claim())
        done = [located.job.id for located in self.store.scan(statuses=[DONE]).items]
        self.store.purge(done)
        self.store.restore(done)
        self.pause()
        self.store.set_control(type(self.store.control())())

        (event,) = self.events("enqueue")
        assert (event.count, event.type, event.project, event.batch, list(event.jobs)) == (3, "mail", "p", "b", ids)
        for what, jobs in (("cancel", ids[:1]), ("retry", ids[:1]), ("purge", done), ("restore", done)):
            (event,) = self.events(what)
            assert (event.count, list(event.jobs)) == (1, jobs)
            assert event.by
        assert [event.reason for event in self.events("pause")] == ["disk full"]
        assert len(self.events("resume")) == 1

    def test_what_is_not_changed_is_not_told(self) -> None:
        id = self.reach(Status.DONE)
        self.store.cancel([id, "nobody"])
        self.put(self.job(idempotency_key="k"))
        self.put(self.job(idempotency_key="k"))

        assert self.events("cancel") == []
        assert len(self.events("enqueue")) == 2

    def test_the_journal_is_kept_for_as_long_as_is_asked(self) -> None:
        self.reach(DONE)
        self.clock.advance("40d")
        young = self.reach(DONE)
        now = self.clock.now()
        for attempt in self.journal():
            assert attempt.finished_at is not None

        told = [kept for kept in self.store.keep_journal(now, None, dry_run=True) if kept is not None]
        assert told == []
        would = [kept.change for kept in self.store.keep_journal(now, 31 * 86400.0, dry_run=True) if kept is not None]
        assert len(self.journal()) == 2
        gone = [kept.change for kept in self.store.keep_journal(now, 31 * 86400.0) if kept is not None]

        assert would == ["removed"]
        assert "removed" in gone
        assert [attempt.job for attempt in self.journal()] == [young]
