"""Operations of a queue whose disk may refuse a call: what is there before, what is done, and where each job lies then."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from jobqueue.model.job import Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete, snooze
from jobqueue.store.base import WorkerInfo
from jobqueue.store.keys import key_file_name
from jobqueue.store.layout import folders_of
from jobqueue.store.spool import Spool

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
LONG_BEFORE = -1e9


class Refused(OSError):
    """The answer says that a job was not changed, and why."""


def job(id: str, **fields: Any) -> Job:
    return Job(id=id, type="scan", payload={"words": "x" * 50}, created_at=LONG_AGO, **fields)


class Scene:
    """A queue with jobs a, b (pending) and d, e (done), and a worker."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spool = Spool(path, durability="strict", settle_time=0)
        self.spool.claiming.strangers.settling.seconds = 0.0
        self.owner = self.spool.join(self.info())
        self.spool.put([job("d"), job("e")], given_ids=True)
        self.claims = self.spool.claim(self.owner, limit=2)
        assert self.finish()
        self.spool.put([job("a"), job("b")], given_ids=True)

    def info(self) -> WorkerInfo:
        return WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=LONG_AGO)

    def finish(self) -> bool:
        now = datetime.now(timezone.utc)
        done = [(claim, complete(claim.job, 1, Run(self.owner, claim.claimed_at, now))) for claim in self.claims]
        return all(self.spool.apply(done))

    def places(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        roots = {status.value: self.path / status.value for status in Status}
        roots["trash"] = self.path / ".jobqueue" / "trash"
        for status, root in roots.items():
            for file in root.rglob("*.json"):
                assert file.stem == "bad" or json.loads(file.read_text())["payload"] == {"words": "x" * 50}, "torn"
                found.setdefault(file.stem, []).append(status)
        return found


def enqueue(scene: Scene) -> None:
    scene.spool.put([job("new")], given_ids=True)


def enqueue_many(scene: Scene) -> None:
    scene.spool.put([job(f"new{number}", idempotency_key=f"k{number}") for number in range(7)])


def claim(scene: Scene) -> None:
    for _ in range(4):
        scene.claims += scene.spool.claim(scene.owner, limit=2 - len(scene.claims))
        look_again(scene)
    assert len(scene.claims) == 2, scene.places()


def look_again(scene: Scene) -> None:
    """As if the time were over after which what could not be opened, or claimed, or listed is tried again."""
    claiming = scene.spool.claiming
    claiming.wake()
    claiming.skipped_at = claiming.soon_at = LONG_BEFORE
    claiming.listed_mtime, claiming.listing_took = -1, 0.0


def prepare_claims(scene: Scene) -> None:
    scene.claims = []


def prepare_finish(scene: Scene) -> None:
    scene.claims = scene.spool.claim(scene.owner, limit=2)
    assert len(scene.claims) == 2, scene.places()


def finish(scene: Scene) -> None:
    """At a second try an outcome that the first has put in place already is answered with False: it lies in done/."""
    if not scene.finish():
        places = scene.places()
        assert [places["a"], places["b"]] == [["done"], ["done"]]


def prepare_rescue(scene: Scene) -> None:
    prepare_finish(scene)
    scene.spool.locks.release(scene.owner)


def rescue(scene: Scene) -> None:
    scene.spool.rescue()
    assert not os.listdir(scene.path / "claimed")


def changed(verb: str, *ids: str) -> Callable[[Scene], None]:
    """Every job must be answered for: changed now, or (at a second try) refused because the first has done it already."""

    def operate(scene: Scene) -> None:
        for change in getattr(scene.spool, verb)(list(ids)):
            if change.outcome != "changed" and scene.places()[change.id] != [OPERATIONS[verb][2][change.id]]:
                raise Refused(change.why)

    return operate


def nothing(scene: Scene) -> None:
    pass


def prepare_restore(scene: Scene) -> None:
    assert [change.outcome for change in scene.spool.purge(["d", "e"])] == ["changed", "changed"]


def drop_bad(scene: Scene) -> None:
    (scene.path / "pending" / "bad.json").write_bytes(b"{")


def set_aside(scene: Scene) -> None:
    for _ in range(6):
        claim_none(scene)
    assert scene.places()["bad"] == ["failed"]
    assert (scene.path / "failed" / "bad.reason").read_text()


def claim_none(scene: Scene) -> None:
    look_again(scene)
    assert scene.spool.claim(scene.owner, types=frozenset()) == []


def put_expired(scene: Scene) -> None:
    scene.spool.put([job("x", expires_at=LONG_AGO), job("y", expires_at=LONG_AGO)], given_ids=True)


def expire(scene: Scene) -> None:
    for _ in range(6):
        claim_none(scene)
    assert scene.places()["x"] == scene.places()["y"] == ["failed"]


def hand_back(scene: Scene) -> None:
    scene.spool.hand_back(scene.owner)
    scene.spool.locks.release(scene.owner)
    rescue(scene)
    assert [scene.spool.get(id).job.attempts for id in "ab"] == [0, 0]


def come_and_go(scene: Scene) -> None:
    """A second worker, of which nothing is left, whatever failed."""
    scene.spool.leave(scene.spool.join(scene.info()))
    scene.spool.rescue()
    assert set(os.listdir(scene.path / "claimed")) == set(folders_of(scene.owner))
    assert [info.owner for info in scene.spool.workers()] == [scene.owner]


def snooze_both(scene: Scene) -> None:
    now = datetime.now(timezone.utc)
    until = now + timedelta(hours=1)
    ends = [(claim, snooze(claim.job, until, Run(scene.owner, claim.claimed_at, now))) for claim in scene.claims]
    if not all(scene.spool.apply(ends)):
        assert scene.places()["a"] == scene.places()["b"] == ["pending"]


def adopt(scene: Scene) -> None:
    if scene.spool.where("new") is None:
        ended = {"finished_at": LONG_AGO, "attempts": 1, "written_by": "another", "result": 1}
        scene.spool.adopt(job("new", **ended), Status.DONE)


def leave_a_key(scene: Scene) -> None:
    """Of a job that somebody has taken away."""
    scene.spool.put([job("gone", idempotency_key="k")])
    (scene.path / "pending" / "gone.json").unlink()


def sweep(scene: Scene) -> None:
    scene.spool.sweep()
    assert key_file_name("key:k") not in os.listdir(scene.path / ".jobqueue" / "keys")


def put_rivals(scene: Scene) -> None:
    scene.spool.put([job("x", concurrency_key="k"), job("y", concurrency_key="k")], given_ids=True)


def supersede(scene: Scene) -> None:
    (put,) = scene.spool.put([job("new", concurrency_key="k", on_conflict="supersede")])
    assert scene.spool.where(put.located.job.id) is Status.PENDING
    if any(scene.places()[id] == ["pending"] for id in "xy"):
        raise Refused(f"only {put.superseded} made way")


def reject(scene: Scene) -> None:
    (put,) = scene.spool.put([job("new", concurrency_key="k", on_conflict="reject")])
    assert put.outcome == "rejected"


def claim_one_of(scene: Scene) -> None:
    """Two jobs under one key, of which only one may run."""
    for _ in range(6):
        scene.claims += scene.spool.claim(scene.owner, limit=4 - len(scene.claims))
        look_again(scene)
        scene.spool.claiming.lines.open_all()
    assert len(scene.claims) == 3, scene.places()
    assert sorted(scene.places()[id] for id in "xy") == [["claimed"], ["pending"]]


def put_rivals_and_forget(scene: Scene) -> None:
    put_rivals(scene)
    prepare_claims(scene)


Operate = Callable[[Scene], None]
OPERATIONS: dict[str, tuple[Operate, Operate, dict[str, str]]] = {
    "enqueue": (nothing, enqueue, {"new": "pending"}),
    "enqueue-many": (nothing, enqueue_many, {f"new{number}": "pending" for number in range(7)}),
    "claim": (prepare_claims, claim, {"a": "claimed", "b": "claimed"}),
    "finish": (prepare_finish, finish, {"a": "done", "b": "done"}),
    "rescue": (prepare_rescue, rescue, {"a": "pending", "b": "pending"}),
    "cancel": (nothing, changed("cancel", "a", "b"), {"a": "failed", "b": "failed"}),
    "retry": (nothing, changed("retry", "d", "e"), {"d": "pending", "e": "pending"}),
    "purge": (nothing, changed("purge", "d", "e"), {"d": "trash", "e": "trash"}),
    "restore": (prepare_restore, changed("restore", "d", "e"), {"d": "done", "e": "done"}),
    "set-aside": (drop_bad, set_aside, {"bad": "failed"}),
    "expire": (put_expired, expire, {"x": "failed", "y": "failed"}),
    "hand-back": (prepare_finish, hand_back, {"a": "pending", "b": "pending"}),
    "join-and-leave": (nothing, come_and_go, {}),
    "snooze": (prepare_finish, snooze_both, {"a": "pending", "b": "pending"}),
    "adopt": (nothing, adopt, {"new": "done"}),
    "sweep": (leave_a_key, sweep, {}),
    "supersede": (put_rivals, supersede, {"x": "failed", "y": "failed"}),
    "reject": (put_rivals, reject, {"x": "pending", "y": "pending"}),
    "claim-under-a-key": (put_rivals_and_forget, claim_one_of, {"a": "claimed", "b": "claimed"}),
}
