"""The doctor: each thing that can be wrong with a queue is said, with what to do, and nothing makes it raise."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from jobqueue.model.clock import SystemClock
from jobqueue.queue import doctor
from jobqueue.queue.queue import Queue
from jobqueue.store.base import WorkerInfo
from jobqueue.store.finding import Finding
from jobqueue.store.spool import Spool
from jobqueue.testing import FakeClock

LONG_AGO = time.time() - 2 * 86400


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path / "q", durability="relaxed") as queue:
        yield queue


def found(queue: Queue, what: str) -> Finding | None:
    findings = [finding for finding in queue.doctor() if finding.what == what]
    assert len(findings) < 2
    return findings[0] if findings else None


def sick(queue: Queue, what: str, level: str = "warn") -> Finding:
    finding = found(queue, what)
    assert finding is not None
    assert (finding.level, bool(finding.fix)) == (level, True)
    return finding


def place(queue: Queue, *parts: str) -> Path:
    return Path(queue.store.url, *parts)


def join(queue: Queue, *types: str) -> str:
    info = WorkerInfo(owner="worker-1", host="here", pid=7, started_at=datetime.now(timezone.utc), types=types or None)
    return queue.store.join(info)


@contextmanager
def other_worker(queue: Queue) -> Iterator[Callable[[], None]]:
    """Another process that has claimed all there is; yields what kills it."""
    code = (
        "import sys, time; from jobqueue.queue.queue import Queue; from jobqueue.store.base import WorkerInfo\n"
        "queue = Queue(sys.argv[1])\n"
        "info = WorkerInfo(owner='worker-other', host='here', pid=2, started_at=queue.clock.now())\n"
        "print(len(queue.store.claim(queue.store.join(info), limit=100)), flush=True); time.sleep(100)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code, queue.store.url], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None

    def kill() -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    try:
        assert process.stdout.readline().strip().isdigit()
        yield kill
    finally:
        kill()
        process.stdout.close()


# A healthy queue


def test_a_served_queue_is_healthy(queue: Queue) -> None:
    join(queue)
    queue.enqueue("scan")
    findings = {finding.what: finding for finding in queue.doctor()}
    assert findings["workers"].found == "1 alive: worker-1 (pid 7 on here)"
    assert {"rename", "exchange", "lock", "events", "fsync", "free space"} <= findings.keys(), "the folder is tried"
    assert not {"stuck jobs", "rejected files", "unfinished drops", "leftover files", "paused"} & findings.keys()
    assert [finding for finding in findings.values() if finding.level == "fail"] == []


def test_versions_and_memory_are_said(queue: Queue) -> None:
    versions = found(queue, "versions")
    assert versions is not None
    assert versions.found.startswith("Python 3.")
    assert "filelock 4." in versions.found
    memory = found(queue, "memory")
    assert memory is not None
    assert memory.found.endswith(" available")


def test_a_queue_in_memory_has_only_what_applies() -> None:
    queue = Queue(":memory:")
    queue.pause("lunch", by="ann")
    queue.enqueue("scan")
    findings = {finding.what: finding.level for finding in queue.doctor()}
    assert findings.keys() == {"store", "workers", "types without a worker", "paused", "waiting longest", "memory", "versions"}
    assert findings["paused"] == "warn"


# Workers and types


def test_no_worker_is_alive(queue: Queue) -> None:
    assert "python -m jobqueue.worker" in sick(queue, "workers").fix


def test_a_killed_worker_is_not_alive(queue: Queue) -> None:
    with other_worker(queue) as kill:
        alive = found(queue, "workers")
        assert alive is not None
        assert alive.found == "1 alive: worker-other (pid 2 on here)"
        kill()
    sick(queue, "workers")


def test_types_that_no_worker_serves(queue: Queue) -> None:
    join(queue, "other")
    queue.enqueue_many("scan", [{}, {}])
    queue.enqueue("fetch")
    queue.enqueue("other")
    finding = sick(queue, "types without a worker")
    assert finding.found == "'fetch' (1 pending); 'scan' (2 pending)"
    assert "--handlers" in finding.fix


# Jobs


def test_jobs_of_a_killed_worker_are_stuck(queue: Queue) -> None:
    queue.enqueue_many("scan", [{}, {}])
    with other_worker(queue) as kill:
        assert found(queue, "stuck jobs") is None
        kill()
    finding = sick(queue, "stuck jobs")
    assert finding.found == "2 jobs held by the dead: worker worker-other (2)"
    assert "return by themselves" in finding.fix
    queue.store.rescue()
    assert found(queue, "stuck jobs") is None


def test_what_an_ended_operation_left_is_stuck(queue: Queue) -> None:
    job = queue.enqueue("scan")
    place(queue, "claimed", "op-1-1-abcd").mkdir()
    place(queue, "pending", f"{job.id}.json").rename(place(queue, "claimed", "op-1-1-abcd", f"{job.id}.json"))
    assert sick(queue, "stuck jobs").found == "1 job held by the dead: operation op-1-1-abcd (1)"


def test_a_paused_queue(queue: Queue) -> None:
    queue.pause("disk maintenance", by="ann")
    finding = sick(queue, "paused")
    assert finding.found.startswith("the queue is paused by ann since 2")
    assert finding.found.endswith(": disk maintenance")


def test_a_paused_type(queue: Queue) -> None:
    queue.pause("too dear", type="scan", by="bob")
    finding = sick(queue, "paused")
    assert finding.found.startswith("the type 'scan' is paused by bob since 2")
    assert finding.fix == "queue.resume(type='scan')"


def test_the_jobs_that_wait_longest(tmp_path: Path) -> None:
    clock = FakeClock(SystemClock().now())
    with Queue(tmp_path / "q", durability="relaxed", clock=clock) as queue:
        ids = []
        for _ in range(4):
            ids.append(queue.enqueue("scan").id)
            clock.advance("10m")
        delayed = queue.with_options(delay="3d").enqueue("scan")
        finding = found(queue, "waiting longest")
        assert finding is not None
        assert finding.level == "ok"
        assert finding.found == f"{ids[0]} (scan) for 40 min; {ids[1]} (scan) for 30 min; {ids[2]} (scan) for 20 min"
        assert delayed.id not in finding.found

        clock.advance("2h")
        assert "no live worker" in sick(queue, "waiting longest").fix


def test_rejected_files(queue: Queue) -> None:
    drop = place(queue, "pending", "x.json")
    drop.write_text("{'type': 'scan'}")
    owner = join(queue)
    spool = queue.store
    assert isinstance(spool, Spool)
    spool.claiming.strangers.settling.seconds = 0
    for _ in range(3):
        spool.claim(owner)
    assert not drop.exists()

    finding = sick(queue, "rejected files")
    assert finding.found.startswith("1 in failed/; x.json: line 1, column 2: not JSON")
    assert finding.fix == "mend it, then: mv failed/x.json pending/"


def test_drops_that_are_not_finished(queue: Queue) -> None:
    place(queue, "pending", "half.json").write_text('{"type": ')
    with place(queue, "pending", "slow.json").open("w") as writer:
        writer.write('{"type": "scan"}')
        writer.flush()
        finding = sick(queue, "unfinished drops")
    assert finding.found.startswith("2 in pending/: ")
    assert "half.json: line 1" in finding.found
    assert "slow.json: being written" in finding.found
    assert "for 2 s" in finding.fix


def test_drops_that_are_left_alone(queue: Queue) -> None:
    place(queue, "pending", "x.json").mkdir()
    assert sick(queue, "drops left alone").found == "x.json is a folder, not a job"


def test_leftover_temporary_files(queue: Queue) -> None:
    left = place(queue, ".jobqueue", "tmp", "4194305-0123456789ab-1")
    left.write_text("x")
    assert found(queue, "leftover files") is None
    os.utime(left, (LONG_AGO, LONG_AGO))
    assert sick(queue, "leftover files").fix == "queue.check(repair=True)"
    queue.check(repair=True)
    assert found(queue, "leftover files") is None


# The machine


def test_little_memory(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("MemTotal:  16000000 kB\nMemAvailable:     100000 kB\n")
    monkeypatch.setattr(doctor, "MEMINFO", tmp_path / "meminfo")
    assert sick(queue, "memory").found == "102 MB available"


def test_no_word_of_memory(queue: Queue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "meminfo").write_text("nothing\n")
    monkeypatch.setattr(doctor, "MEMINFO", tmp_path / "meminfo")
    assert found(queue, "memory") is None


# Broken queues: findings, never an exception


def test_a_folder_that_others_may_write_to(queue: Queue) -> None:
    place(queue).chmod(0o777)
    sick(queue, "permissions", "fail")


def test_a_broken_control_file(queue: Queue) -> None:
    queue.enqueue("scan")
    place(queue, ".jobqueue", "control.json").write_text("{")
    assert "control.json: cannot be read" in sick(queue, "paused", "fail").found


def test_broken_worker_files(queue: Queue) -> None:
    owner = join(queue)
    place(queue, ".jobqueue", "workers", f"{owner}.json").write_text("[]")
    place(queue, ".jobqueue", "workers", "x.json").mkdir()
    sick(queue, "workers")


def test_a_removed_queue(queue: Queue) -> None:
    queue.enqueue("scan")
    shutil.rmtree(place(queue))
    levels = {finding.what: finding.level for finding in queue.doctor()}
    assert levels["permissions"] == levels["writing"] == "fail"
    assert not place(queue).exists(), "looking makes nothing"


def test_a_closed_queue(tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q")
    queue.close()
    assert [(finding.level, finding.found) for finding in queue.doctor()] == [("fail", "was closed")]
    assert [(finding.level, finding.found) for finding in queue.check(repair=True)] == [("fail", "was closed")]


def test_every_look_may_fail(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    for name in ("workers", "digests", "control", "scan"):
        monkeypatch.setattr(queue.store, name, broken)
    findings = {finding.what: finding for finding in queue.doctor()}
    for what in ("workers", "types without a worker", "paused", "waiting longest"):
        assert findings[what].level == "fail"
        assert findings[what].found == "could not be looked at: RuntimeError: boom"


def test_a_wait_counts_from_when_a_job_was_due(tmp_path: Path) -> None:
    clock = FakeClock(SystemClock().now())
    with Queue(tmp_path / "q", durability="relaxed", clock=clock) as queue:
        job = queue.with_options(delay=timedelta(hours=5)).enqueue("scan")
        clock.advance("5h")
        clock.advance("2m")
        finding = found(queue, "waiting longest")
        assert finding is not None
        assert finding.found == f"{job.id} (scan) for 2 min"
