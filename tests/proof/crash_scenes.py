"""Operations on a queue that may be ended at any step: what is there before, and what is done, noted as it is acknowledged.

Every run of a handler is noted in a file before its outcome is stored, so that whoever counts them counts what happened.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from jobqueue.model.filter import Filter
from jobqueue.model.job import Failure, Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, Transition, complete, fail, release, snooze
from jobqueue.store.base import Change, Claim, WorkerInfo
from jobqueue.store.moving import Held, Outcome
from jobqueue.store.spool import Spool

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
Decide = Callable[[Claim], Transition]


def now() -> datetime:
    return datetime.now(timezone.utc)


def job(name: str, **fields: Any) -> Job:
    return Job(id=name, type="scan", payload={"name": name, "filler": "x" * 100}, created_at=LONG_AGO, **fields)


def info(**fields: Any) -> WorkerInfo:
    return WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=now(), **fields)


def run_of(claim: Claim) -> Run:
    return Run(claim.owner, claim.claimed_at, now())


def done(claim: Claim) -> Transition:
    return complete(claim.job, {"by": claim.job.id}, run_of(claim))


def retried(claim: Claim) -> Transition:
    return fail(claim.job, Failure(message="again"), run_of(claim), delay=timedelta(0))


def failed(claim: Claim) -> Transition:
    return fail(claim.job, Failure(message="no"), run_of(claim), final=True)


def snoozed(claim: Claim) -> Transition:
    return snooze(claim.job, now() + timedelta(hours=1), run_of(claim))


def released(claim: Claim) -> Transition:
    return release(claim.job, run_of(claim))


class Scene:
    """A queue, and a file in which is noted what was acknowledged and what was run.

    `again` is set for whoever comes after a crash: what it asks for may have been done already.
    """

    def __init__(self, path: Path, durability: str) -> None:
        self.path = path
        self.durability = durability
        self.notes = path.parent / f"{path.name}.notes"
        self.again = False

    def open(self) -> Spool:
        return Spool(self.path, durability=self.durability, settle_time=0.05)

    def note(self, *words: str) -> None:
        with self.notes.open("a") as file:
            file.write("".join(word + "\n" for word in words))

    def noted(self) -> list[str]:
        return self.notes.read_text().split() if self.notes.exists() else []

    def copy(self, path: Path) -> Scene:
        """The same queue in another place: to be ended there at another step."""
        other = Scene(path, self.durability)
        shutil.copytree(self.path, other.path)
        if self.notes.exists():
            shutil.copy(self.notes, other.notes)
        other.again = self.again
        return other

    def work(self, spool: Spool, decide: Decide, limit: int = 2, owner: str = "") -> int:
        """Claims, runs, stores; returns how many jobs."""
        claims = spool.claim(owner or spool.join(info()), limit=limit)
        self.note(*(f"ran:{claim.job.id}@{claim.token[0]}" for claim in claims))
        ends = [(claim, decide(claim)) for claim in claims]
        assert all(spool.apply(ends))
        self.note(*(f"{end.to}:{claim.job.id}" for claim, end in ends))
        return len(claims)

    def took(self, changes: list[Change], word: str) -> None:
        for change in changes:
            assert self.again or change.outcome == "changed", change
            if change.outcome == "changed":
                self.note(f"{word}:{change.id}")


# Before


def put_three(scene: Scene, spool: Spool) -> None:
    spool.put([job("a"), job("b"), job("c")], given_ids=True)


def put_and_work(scene: Scene, spool: Spool) -> None:
    put_three(scene, spool)
    scene.work(spool, done)  # a and b are done, c is pending


def put_work_and_purge(scene: Scene, spool: Spool) -> None:
    put_and_work(scene, spool)
    scene.took(spool.purge(["a", "b"]), "trash")


def drop_bad(scene: Scene, spool: Spool) -> None:
    (spool.path / "pending" / "bad.json").write_bytes(b'{"type": ')
    put_three(scene, spool)


def put_expired(scene: Scene, spool: Spool) -> None:
    spool.put([job("a", expires_at=LONG_AGO), job("b", expires_at=LONG_AGO)], given_ids=True)


def die_with_claims(scene: Scene, spool: Spool) -> None:
    """Leaves claims of a dead owner: a has run out of attempts, b has attempts left, c was recorded as done."""
    spool.put([job("a", max_attempts=1), job("b"), job("c")], given_ids=True)
    claims = spool.claim(spool.join(info()), limit=3)
    assert [claim.job.id for claim in claims] == ["a", "b", "c"]
    scene.note(*(f"ran:{claim.job.id}@{claim.token[0]}" for claim in claims))
    record_only(spool, claims[2])


def record_only(spool: Spool, claim: Claim) -> None:
    """The outcome stands in the claim folder, and was not moved on."""
    moving, transition = spool.moving, done(claim)
    outcome = Outcome(Held(*claim.token), transition.to, transition)
    temporary = moving.scratch.write([moving.body(outcome)])
    moving.exchange([outcome], temporary)
    moving.scratch.discard(temporary)


def put_keyed(scene: Scene, spool: Spool) -> None:
    spool.put([job(id, concurrency_key="k") for id in "abc"], given_ids=True)


# What is done


def enqueue(scene: Scene, spool: Spool) -> None:
    scene.note(*(f"pending:{put.located.job.id}" for put in spool.put([job("new")], given_ids=True)))


def enqueue_many(scene: Scene, spool: Spool) -> None:
    scene.note(*(f"pending:{put.located.job.id}" for put in spool.put([job(f"new-{number}") for number in range(7)])))


def enqueue_with_key(scene: Scene, spool: Spool) -> None:
    (put,) = spool.put([job("new", idempotency_key="k")])
    scene.note(f"pending:{put.located.job.id}")


def supersede(scene: Scene, spool: Spool) -> None:
    (put,) = spool.put([job("new", concurrency_key="k", idempotency_key="k", on_conflict="supersede")])
    scene.note(f"pending:{put.located.job.id}")
    if put.superseded == 3:
        scene.note("failed:a", "failed:b", "failed:c")


def reject(scene: Scene, spool: Spool) -> None:
    (put,) = spool.put([job("new", concurrency_key="other", idempotency_key="k", on_conflict="reject")])
    scene.note(f"pending:{put.located.job.id}")
    (other,) = spool.put([job("newer", concurrency_key="other", on_conflict="reject")])
    assert (other.outcome, other.located.job.id) == ("rejected", put.located.job.id)


def work(decide: Decide) -> Callable[[Scene, Spool], None]:
    def operation(scene: Scene, spool: Spool) -> None:
        scene.work(spool, decide)

    return operation


def end_though_asked_to_stop(scene: Scene, spool: Spool) -> None:
    """The request comes after the worker's last look and before the end stands in the claim folder: the end wins."""
    exchange = spool.moving.exchange

    def asked(*arguments: Any) -> Any:
        spool.moving.exchange = exchange
        assert scene.again or spool.cancel(["a"])[0].outcome == "cancelling"
        return exchange(*arguments)

    spool.moving.exchange = asked
    scene.work(spool, done)


def under_a_limit(scene: Scene, spool: Spool) -> None:
    """Two claims, one after the other, by the same key."""
    owner = spool.join(info())
    for _ in range(2):
        scene.work(spool, done, owner=owner)
        spool.wake()


def hand_back(scene: Scene, spool: Spool) -> None:
    owner = spool.join(info())
    spool.claim(owner, limit=2)
    spool.hand_back(owner)
    spool.locks.release(owner)
    spool.rescue()


def leave(scene: Scene, spool: Spool) -> None:
    owner = spool.join(info())
    scene.work(spool, done, owner=owner)
    spool.leave(owner)


def adopt(scene: Scene, spool: Spool) -> None:
    """A job that was done elsewhere."""
    if spool.where("adopted") is None:
        spool.adopt(
            job("adopted", finished_at=LONG_AGO, attempts=1, written_by="another", result={"by": "another"}), Status.DONE
        )
    scene.note("done:adopted")


def cancel(scene: Scene, spool: Spool) -> None:
    scene.took(spool.cancel(["a", "b"]), "failed")


def retry(scene: Scene, spool: Spool) -> None:
    scene.note("asked:a", "asked:b")
    scene.took(spool.retry(["a", "b"]), "pending")


def purge(scene: Scene, spool: Spool) -> None:
    scene.note("asking:a", "asking:b")
    scene.took(spool.purge(["a", "b"], where=Filter(types=("scan",))), "trash")


def restore(scene: Scene, spool: Spool) -> None:
    scene.note("asking:a", "asking:b")
    scene.took(spool.restore(["a", "b"]), "done")


def set_aside(scene: Scene, spool: Spool) -> None:
    owner = spool.join(info())
    deadline = time.monotonic() + 10
    while spool.claiming.strangers.settling.since or spool.claiming.index.strange or not spool.claiming.index.keys:
        assert not spool.claim(owner, types=frozenset())
        assert time.monotonic() < deadline
        spool.wait(0.02, news=False)
    note_ended(scene, "bad")


def expire(scene: Scene, spool: Spool) -> None:
    assert spool.claim(spool.join(info()), limit=5) == []
    note_ended(scene, "a", "b")


def note_ended(scene: Scene, *ids: str) -> None:
    """What a claim does on the side is acknowledged to nobody; it is done, or it is left for later."""
    scene.note(*(f"failed:{id}" for id in ids if (scene.path / "failed" / f"{id}.json").exists()))


def rescue(scene: Scene, spool: Spool) -> None:
    spool.rescue()
    scene.note("failed:a", "pending:b", "done:c")


Operate = Callable[[Scene, Spool], None]
OPERATIONS: dict[str, tuple[Operate, Operate]] = {
    "enqueue": (put_three, enqueue),
    "enqueue-many": (put_three, enqueue_many),
    "enqueue-with-key": (put_three, enqueue_with_key),
    "supersede": (put_keyed, supersede),
    "reject": (put_three, reject),
    "done": (put_three, work(done)),
    "retried": (put_three, work(retried)),
    "failed": (put_three, work(failed)),
    "snoozed": (put_three, work(snoozed)),
    "released": (put_three, work(released)),
    "ended-though-asked-to-stop": (put_three, end_though_asked_to_stop),
    "under-a-limit": (put_keyed, under_a_limit),
    "hand-back": (put_three, hand_back),
    "leave": (put_three, leave),
    "adopt": (put_three, adopt),
    "cancel": (put_three, cancel),
    "retry": (put_and_work, retry),
    "purge": (put_and_work, purge),
    "restore": (put_work_and_purge, restore),
    "set-aside": (drop_bad, set_aside),
    "expire": (put_expired, expire),
    "rescue": (die_with_claims, rescue),
}
GIVEN = {name: "ab" if prepare is put_expired else "abc" for name, (prepare, _) in OPERATIONS.items()}
