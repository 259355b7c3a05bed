"""What the journal says of an attempt: every field, for every way to end, in every executor, from real workers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jobqueue import JobHandle, Queue
from jobqueue.model.entry import AttemptEntry, ItemEntry, milliseconds
from jobqueue.queue.code import code_hash
from jobqueue.queue.config import Config
from jobqueue.queue.registry import Registry

HANDLERS = """
import os, signal, time
from jobqueue import JobContext, Snooze, constant, handler

def wait_for(path):
    deadline = time.monotonic() + 60
    while not os.path.exists(path):
        assert time.monotonic() < deadline
        time.sleep(0.005)

@handler(subject="about", pipeline_version="v7", retry=constant(0.01, attempts=1))
def work(about, how, gate, ctx: JobContext):
    for item in ctx.track(["a", "b"], key=str):
        ctx.metric("units")
    while ctx.telling.metrics != ctx.notes.progress(ctx.id).metrics:  # written a moment later, by a thread
        time.sleep(0.005)
    open(gate + ".started", "w").close()
    if how == "fail":
        raise ValueError("it broke")
    if how == "exit":
        os._exit(7)
    if how == "again" and not os.path.exists(gate):
        open(gate, "w").close()
        raise Snooze(0.01)
    if how == "hang":
        while True:
            ctx.check_cancelled()
            time.sleep(0.01)
    if how == "gate":
        wait_for(gate)
    return about

@handler
def plain():
    return 1
"""
WORKER = """
import os, sys
from jobqueue.store import files
die_at = os.environ.get("DIE_AT")
if die_at:
    files.probe = lambda name: os._exit(9) if name == die_at else None
from jobqueue.worker.__main__ import main
sys.exit(main())
"""


@dataclass(frozen=True)
class Ending:
    """`act` is done to the queue, the job and the worker once the handler is at work; `expected` are outcome, reason and
    whether the attempt had counted something."""

    name: str
    how: str
    expected: tuple[tuple[int, str, str | None], ...]
    executors: tuple[str, ...] = ("inline", "thread", "process")
    options: dict[str, Any] = field(default_factory=dict)
    act: Callable[[Queue, JobHandle[Any], subprocess.Popen[bytes]], object] = lambda queue, job, worker: None
    environ: dict[str, str] = field(default_factory=dict)
    kind: str = "work"


def kill(queue: Queue, job: JobHandle[Any], worker: subprocess.Popen[bytes]) -> None:
    worker.kill()
    worker.wait()


def stop(queue: Queue, job: JobHandle[Any], worker: subprocess.Popen[bytes]) -> None:
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)


ENDINGS = (
    Ending("done", "return", ((1, "done", None),)),
    Ending("failed", "fail", ((1, "failed", "error"), (2, "failed", "error")), options={"max_attempts": 2, "backoff": "10ms"}),
    Ending("crashed child", "exit", ((1, "crashed", "crashed"),), ("process",)),
    Ending("crashed worker", "hang", ((1, "crashed", "crashed"),), act=kill),
    Ending("timeout", "hang", ((1, "failed", "timeout"),), ("process",), {"timeout": 2.0}),
    Ending("cancelled", "hang", ((1, "cancelled", "cancelled"),), act=lambda queue, job, worker: queue.cancel(job)),
    Ending("snoozed", "again", ((1, "snoozed", None), (1, "done", None))),
    Ending("released", "gate", ((1, "released", None),), act=stop),
    Ending("unknown type", "", ((1, "failed", "unknown_type"),), kind="nobody"),
    Ending("rolled forward", "return", ((1, "done", None),), environ={"DIE_AT": "journal"}),
)
CASES = [(ending, executor) for ending in ENDINGS for executor in ending.executors]


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


class Place:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.handlers = path / "handlers.py"
        self.handlers.write_text(HANDLERS)
        self.queue = Queue(path / "q", config=Config(durability="relaxed", settle_time=0.05))
        self.workers: list[subprocess.Popen[bytes]] = []

    def worker(self, executor: str, **environ: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WORKER, "--queue", str(self.path / "q"), "--handlers", str(self.handlers)]
        command += ["--executor", executor, "--grace", "0s", "--log-level", "error"]
        worker = subprocess.Popen(command, cwd=self.path, env=os.environ | environ)
        self.workers.append(worker)
        return worker

    def entries(self) -> list[AttemptEntry]:
        """As they stand in the journal, so that one that was written twice is seen."""
        lines = [line for line in self.queue.store.journal_lines() if not line.startswith(b'{"what"')]
        return [msgspec.json.decode(line, type=AttemptEntry) for line in lines]

    def items(self) -> list[ItemEntry]:
        lines = [line for line in self.queue.store.journal_lines() if line.startswith(b'{"what":"item"')]
        return [msgspec.json.decode(line, type=ItemEntry) for line in lines]

    def close(self) -> None:
        for worker in self.workers:
            if worker.poll() is None:
                worker.kill()
            worker.wait()
        self.queue.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(("ending", "executor"), CASES, ids=[f"{ending.name}, {executor}" for ending, executor in CASES])
def test_every_attempt_has_its_entry_with_every_field(place: Place, ending: Ending, executor: str) -> None:
    gate = place.path / "gate"
    options = {"name": "n", "project": "p", "batch": "b", **ending.options}
    job = place.queue.enqueue(ending.kind, {"about": "commit-1", "how": ending.how, "gate": str(gate)}, **options)
    worker = place.worker(executor, **ending.environ)
    if ending.kind == "work":
        until(lambda: Path(f"{gate}.started").exists())
    ending.act(place.queue, job, worker)
    if ending.environ:
        worker.wait(60)
    until(lambda: place.queue.store.rescue() or len(place.entries()) >= len(ending.expected))
    until(lambda: len(place.entries()) >= len(ending.expected))

    entries = sorted(place.entries(), key=lambda entry: entry.claimed_at or datetime.max)
    told = [(entry.number, entry.outcome, entry.error.reason if entry.error else None) for entry in entries]
    assert told == list(ending.expected)
    due = job.created_at
    for entry in entries:
        check_fields(entry, job, known=ending.kind == "work")
        assert entry.due_at is not None
        assert due is not None
        assert entry.due_at >= due
        due = entry.finished_at
    assert entries[0].due_at == job.created_at
    check_items(place, ending)


def check_fields(entry: AttemptEntry, job: JobHandle[Any], *, known: bool) -> None:
    assert (entry.job, entry.type, entry.created_at) == (job.id, job.type, job.created_at)
    assert (entry.name, entry.project, entry.batch) == ("n", "p", "b")
    assert entry.host == socket.gethostname()
    assert entry.worker is not None
    assert entry.worker.startswith("worker-")
    assert entry.claimed_at is not None
    assert entry.finished_at is not None
    assert entry.claimed_at <= entry.finished_at
    assert entry.wait_ms == milliseconds(entry.due_at, entry.claimed_at)
    assert entry.wait_ms is not None
    assert entry.wait_ms >= -20  # the time of a claim that a rescuer finds is that of the file system, which ticks
    assert entry.run_ms is not None
    wall = milliseconds(entry.claimed_at, entry.finished_at)
    assert wall is not None
    assert 0 <= entry.run_ms <= wall + 20
    if entry.error is not None:
        assert entry.error.traceback is None
        assert entry.error.message
    code = Registry.load(Path(job.payload["gate"]).with_name("handlers.py")).codes["work"] if known else None
    expected = ("commit-1", "v7", code, {"units": 2.0}) if known else (None, None, None, {})
    if entry.number == 2 or (entry.number == 1 and entry.outcome == "done" and entry.metrics == {}):
        expected = (*expected[:3], {})  # the items were done before: nothing was counted again
    assert (entry.subject, entry.version, entry.code, entry.metrics) == expected


def check_items(place: Place, ending: Ending) -> None:
    """One entry for each item, also of an attempt whose process or worker was killed."""
    found = Counter((item.job, item.round, item.track, item.key) for item in place.items())
    keys = ("a", "b") if ending.kind == "work" else ()
    assert [key for _, _, _, key in sorted(found)] == list(keys)
    assert set(found.values()) <= {1}
    assert {(item.version, item.number, item.type) for item in place.items()} <= {("v7", 1, "work")}
    assert all(item.at is not None and item.seconds is not None and item.metrics == {"units": 1.0} for item in place.items())


# -- since when it waits


def run(place: Place) -> AttemptEntry:
    before = len(place.entries())
    place.queue.drain(str(place.handlers))
    entries = place.entries()
    assert len(entries) == before + 1
    return entries[-1]


def test_a_retried_job_waits_since_the_retry(place: Place) -> None:
    job = place.queue.enqueue("plain")
    first = run(place)
    asked = datetime.now(timezone.utc)
    place.queue.retry(job)
    second = run(place)

    assert second.due_at is not None
    assert second.due_at >= asked > first.finished_at  # type: ignore[operator]
    assert (second.number, second.wait_ms) == (1, milliseconds(second.due_at, second.claimed_at))


def test_a_delayed_job_waits_since_its_time_has_come(place: Place) -> None:
    job = place.queue.enqueue("plain", delay="300ms")
    until(lambda: datetime.now(timezone.utc) > job.run_after)  # type: ignore[operator]
    entry = run(place)

    assert entry.due_at == job.run_after
    assert entry.created_at == job.created_at
    assert entry.wait_ms == milliseconds(job.run_after, entry.claimed_at)


@pytest.mark.parametrize("says", [{}, {"created_at": "2020-01-01T00:00:00Z"}])
def test_a_dropped_file_waits_since_it_came(place: Place, says: dict[str, str]) -> None:
    """Whatever it says of when it was made."""
    path = place.path / "q" / "pending" / "mine.json"
    before = datetime.fromtimestamp(int(time.time()), timezone.utc)
    path.write_text(json.dumps({"type": "plain", **says}))
    came = datetime.fromtimestamp(path.stat().st_ctime, timezone.utc)
    entry = run(place)

    assert entry.due_at == came >= before
    assert entry.wait_ms is not None
    assert entry.wait_ms >= 0
    if says:
        assert entry.created_at == datetime(2020, 1, 1, tzinfo=timezone.utc)


def test_a_dropped_file_whose_worker_died_has_waited_since_it_came(place: Place) -> None:
    path = place.path / "q" / "pending" / "mine.json"
    gate = str(place.path / "gate")
    path.write_text(json.dumps({"type": "work", "payload": {"about": "x", "how": "hang", "gate": gate}}))
    came = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    worker = place.worker("inline")
    until(lambda: Path(f"{gate}.started").exists())
    kill(place.queue, place.queue.get("mine"), worker)
    until(place.queue.store.rescue)

    (entry,) = place.entries()
    assert abs((entry.due_at - came).total_seconds()) < 0.001  # type: ignore[operator]
    assert (entry.outcome, entry.version, entry.subject) == ("crashed", "v7", "x")


def test_the_code_is_the_hash_of_the_source(place: Place) -> None:
    place.queue.enqueue("plain")
    entry = run(place)
    function = Registry.load(place.handlers).get("plain")
    assert function is not None
    assert entry.code == code_hash(function.function)
    assert entry.version == f"code:{entry.code}"
