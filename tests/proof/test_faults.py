"""The disk, or the kernel, refuses the k-th call of an operation, for every k: a clear answer, and nothing lost or doubled."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from jobqueue.errors import JobQueueError
from jobqueue.model.job import Failure, Job
from jobqueue.model.status import Status
from jobqueue.model.transition import Run, complete, fail
from jobqueue.store.base import WorkerInfo
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock

from .faults_calls import failing, open_descriptors

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)
ERRORS = [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.EACCES]
MOST_CALLS = 400
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
        info = WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=LONG_AGO)
        self.owner = self.spool.join(info)
        self.spool.put([job("d"), job("e")], given_ids=True)
        self.claims = self.spool.claim(self.owner, limit=2)
        assert self.finish()
        self.spool.put([job("a"), job("b")], given_ids=True)

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
                assert json.loads(file.read_text())["payload"] == {"words": "x" * 50}, "torn"
                found.setdefault(file.stem, []).append(status)
        return found


def enqueue(scene: Scene) -> None:
    scene.spool.put([job("new")], given_ids=True)


def enqueue_many(scene: Scene) -> None:
    scene.spool.put([job(f"new{number}", idempotency_key=f"k{number}") for number in range(7)])


def claim(scene: Scene) -> None:
    for _ in range(4):
        scene.claims += scene.spool.claim(scene.owner, limit=2 - len(scene.claims))
        scene.spool.wake()
        scene.spool.claiming.skipped_at = LONG_BEFORE  # what could not be opened gets another look after half a minute
    assert len(scene.claims) == 2, scene.places()


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


OPERATIONS: dict[str, tuple[Callable[[Scene], None], Callable[[Scene], None], dict[str, str]]] = {
    "enqueue": (nothing, enqueue, {"new": "pending"}),
    "enqueue-many": (nothing, enqueue_many, {f"new{number}": "pending" for number in range(7)}),
    "claim": (prepare_claims, claim, {"a": "claimed", "b": "claimed"}),
    "finish": (prepare_finish, finish, {"a": "done", "b": "done"}),
    "rescue": (prepare_rescue, rescue, {"a": "pending", "b": "pending"}),
    "cancel": (nothing, changed("cancel", "a", "b"), {"a": "failed", "b": "failed"}),
    "retry": (nothing, changed("retry", "d", "e"), {"d": "pending", "e": "pending"}),
    "purge": (nothing, changed("purge", "d", "e"), {"d": "trash", "e": "trash"}),
}


def cases() -> list[Any]:
    return [
        pytest.param(
            operation,
            number,
            id=f"{operation}-{errno.errorcode[number]}",
        )
        for operation in OPERATIONS
        for number in ERRORS
    ]


@pytest.mark.parametrize(("operation", "number"), cases())
def test_whichever_call_fails_nothing_is_lost_and_a_second_try_works(operation: str, number: int, tmp_path: Path) -> None:
    prepare, operate, expected = OPERATIONS[operation]
    for at in count():
        assert at < MOST_CALLS
        scene = Scene(tmp_path / f"q{at}")
        prepare(scene)
        before = scene.places()
        with failing(at, number) as faults:
            error = try_once(scene, operate)
        known = scene.places()
        assert all(len(found) == 1 for found in known.values()), f"doubled after {faults.hit} failed: {known}"
        assert before.keys() <= known.keys(), f"lost after {faults.hit} failed"
        if error is None:
            assert {id: known[id] for id in expected} == {id: [place] for id, place in expected.items()}, faults.hit
        else:
            second_try(scene, operate, expected, faults.hit)
        scene.spool.close()
        if not faults.hit:
            assert error is None
            return


def try_once(scene: Scene, operate: Callable[[Scene], None]) -> BaseException | None:
    """What was raised: an error of ours, or the system's own, and nothing else. An answer of less than all counts too."""
    try:
        operate(scene)
    except (JobQueueError, OSError, AssertionError) as error:
        return error
    return None


def second_try(scene: Scene, operate: Callable[[Scene], None], expected: dict[str, str], hit: str) -> None:
    """The fault is gone: what was left half done is taken back by a rescue, and the same operation works."""
    scene.spool.rescue()
    operate(scene)
    places = scene.places()
    for id, place in expected.items():
        assert places[id] == [place], f"{id} after {hit} failed"
    assert not os.listdir(scene.path / ".jobqueue" / "tmp"), f"a temporary file is left after {hit} failed"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_call_that_fails_leaves_no_descriptor_open(operation: str, tmp_path: Path) -> None:
    prepare, operate, _ = OPERATIONS[operation]
    for at in count():
        before = open_descriptors()
        scene = Scene(tmp_path / f"q{at}")
        prepare(scene)
        with failing(at, errno.EIO) as faults:
            try_once(scene, operate)
        scene.spool.close()
        assert open_descriptors() <= before, f"left open after {faults.hit} failed"
        if not faults.hit:
            return


HUNGRY = """
import os, resource, sys
from jobqueue import Queue
from jobqueue.errors import JobQueueError
queue = Queue(sys.argv[1])
first = queue.enqueue("scan", {"n": 0})
taken = []
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
refused = 0
for number in range(1, 12):
    try:
        queue.enqueue("scan", {"n": number})
        break
    except (JobQueueError, OSError) as error:
        assert "Too many open files" in str(error), error
        refused += 1
        os.close(taken.pop())
print(refused, sum(queue.store.counts().values()))
"""


def test_a_process_without_descriptors_is_told_so_and_goes_on_when_it_has_some(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", HUNGRY, tmp_path / "q"], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    refused, jobs = map(int, ran.stdout.split())
    assert refused > 0
    assert jobs == 2


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_clock_that_jumps_loses_nothing_and_doubles_nothing(hours: int, tmp_path: Path) -> None:
    clock = FakeClock()
    spool = Spool(tmp_path / "q", clock=clock, durability="relaxed")
    owner = spool.join(WorkerInfo(owner="", host="here", pid=os.getpid(), started_at=clock.now()))
    spool.put([job("a", max_attempts=3), job("b", max_attempts=3)], given_ids=True)
    (first,) = spool.claim(owner)
    clock.time += timedelta(hours=hours)
    run = Run(owner, first.claimed_at, clock.now())
    assert spool.apply([(first, fail(first.job, Failure(), run, delay=timedelta(0)))]) == [True]
    clock.time += timedelta(hours=-hours) + timedelta(hours=abs(hours))
    spool.wake()
    ran = []
    while claims := spool.claim(owner):
        ran += [claim.job.id for claim in claims]
        spool.apply([(one, complete(one.job, 1, Run(owner, one.claimed_at, clock.now()))) for one in claims])
    assert sorted(ran) == ["a", "b"]
    assert spool.counts()[Status.DONE] == 2
    spool.close()
