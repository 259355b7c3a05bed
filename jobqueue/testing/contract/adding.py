"""Putting jobs in, and getting them back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jobqueue.errors import JobNotFound
from jobqueue.model.control import Control
from jobqueue.model.retry import Backoff
from jobqueue.model.status import Status
from jobqueue.testing.contract.words import CLAIMED, DONE, FAILED, PENDING, Words, said


class Adding(Words):
    def test_a_job_is_stored_as_it_was_put(self) -> None:
        job = self.job(
            payload={"url": "https://example.org"},
            name="the-first",
            priority=5,
            expires_at=self.clock.now() + timedelta(days=1),
            max_attempts=7,
            backoff=Backoff(base=3.0),
            timeout=1.5,
            idempotency_key="export-7",
            key_scope="24h",
            concurrency_key="repo",
            pipeline_version="parser-1",
            project="p1",
            batch="b1",
            redo_of={"row": 3},
            run_id=42,
            tags=("a", "b"),
            log_level="debug",
            extra={"theirs": [1]},
        )

        [put] = self.put(job)

        assert put.outcome == "created"
        for located in (put.located, self.store.get(job.id)):
            assert located.status is PENDING
            assert located.owner is None
            assert said(located.job) == said(job)

    def test_a_batch_is_put_in_order(self) -> None:
        jobs = [self.job(payload={"row": row}) for row in range(30)]

        puts = self.put(*jobs)

        assert [put.located.job.id for put in puts] == [job.id for job in jobs]
        assert self.claim_all() == [job.id for job in jobs]

    def test_a_known_id_gives_the_stored_job_back(self) -> None:
        self.add(id="nightly-7", payload={"n": 1})

        [put] = self.put(self.job(id="nightly-7", payload={"n": 2}))

        assert put.outcome == "exists"
        assert put.located.job.payload == {"n": 1}
        assert self.stored("nightly-7").payload == {"n": 1}
        assert self.store.counts()[PENDING] == 1

    def test_an_id_is_known_whatever_became_of_its_job(self) -> None:
        done = self.reach(DONE, id="the-done")
        failed = self.reach(FAILED, id="the-failed")
        claimed = self.reach(CLAIMED, id="the-claimed")

        puts = self.put(*(self.job(id=id) for id in (done, failed, claimed)))

        assert [put.outcome for put in puts] == ["exists"] * 3
        assert [put.located.status for put in puts] == [DONE, FAILED, CLAIMED]

    def test_the_same_id_twice_in_a_batch_makes_one_job(self) -> None:
        twins = [self.job(id="twin", payload={"n": 1}), self.job(id="twin", payload={"n": 2})]

        puts = self.put(*twins)

        assert [put.outcome for put in puts] == ["created", "exists"]
        assert self.stored("twin").payload == {"n": 1}

    def test_a_given_id_and_a_key_are_both_looked_at(self) -> None:
        self.add(id="taken")
        self.add(id="with-key", idempotency_key="k", key_scope="active")
        second = self.store.claim(self.owner, limit=2)[1]
        self.complete(second)

        known_id = self.job(id="taken", idempotency_key="another")
        freed_key = self.job(id="fresh", idempotency_key="k")
        taken_key = self.job(id="other", idempotency_key="k")
        puts = self.put(known_id, freed_key, taken_key)

        assert [(put.outcome, put.located.job.id) for put in puts] == [
            ("exists", "taken"),
            ("created", "fresh"),
            ("exists", "fresh"),
        ]

    def test_any_json_comes_back_as_it_was(self) -> None:
        payload = {
            "größe 📏": "naïve\u2028line\u0000nul",
            "עברית": ["日本語", "\U0001f469\u200d\U0001f680"],
            "numbers": [0, -1, 2**53 + 1, 2**70, 1e300, 0.1, -0.5],
            "nothing": [None, True, False, "", [], {}],
            "deep": {"a": [{"b": [[1]]}]},
        }

        id = self.add("größe/../📏", payload, name="名前")

        assert self.stored(id).payload == payload
        assert (self.stored(id).type, self.stored(id).name) == ("größe/../📏", "名前")
        assert self.claim().job.payload == payload

    def test_a_large_payload_comes_back_whole(self) -> None:
        text = "ab" * 1_000_000

        id = self.add(payload={"text": text})

        assert self.stored(id).payload["text"] == text

    def test_nobody_can_change_a_stored_payload_from_outside(self) -> None:
        payload: dict[str, Any] = {"rows": [1]}
        id = self.add(payload=payload)

        payload["rows"].append(2)
        self.claim().job.payload["rows"].append(3)

        assert self.stored(id).payload == {"rows": [1]}

    def test_an_empty_queue_has_empty_answers(self) -> None:
        assert self.store.claim(self.owner, limit=10) == []
        assert self.store.extend("", []) == {}
        assert self.store.apply([]) == []
        assert self.store.put([]) == []
        assert self.store.rescue() == []
        assert self.store.due_in() is None
        assert self.store.counts() == dict.fromkeys(Status, 0)
        assert self.store.scan().total == 0
        assert self.store.scan().items == []
        assert self.store.control() == Control()
        assert self.journal() == []

    def test_an_unknown_id_is_not_found(self) -> None:
        import pytest

        self.add()

        with pytest.raises(JobNotFound, match="no-such-job"):
            self.store.get("no-such-job")

        for verb in (self.store.cancel, self.store.retry, self.store.purge, self.store.restore):
            assert [(change.id, change.outcome) for change in verb(["no-such-job"])] == [("no-such-job", "missing")]
