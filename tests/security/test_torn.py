"""What a power cut, another version or another program has left in a support file stops nobody."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jobqueue import Queue, handler
from jobqueue.errors import JobQueueError, Unsupported
from jobqueue.queue.config import Config
from jobqueue.queue.doctor import doctor
from jobqueue.store.base import WorkerInfo
from jobqueue.store.check import check
from jobqueue.store.keys import key_file_name
from jobqueue.worker.worker import Worker

TORN = {
    "empty": b"",
    "nuls": b"\0" * 4096,
    "half": b'{"owner": "x", "starts": [1.',
    "no text": b'{"key": "\xff\xfe"}',
    "half a character": b'{"id": "\\ud800"}',
    "deep": b'{"extra":' * 50_000,
    "deep lists": b'{"holders": ' + b"[" * 50_000,
    "number": b'{"pid": ' + b"9" * 5000 + b"}",
    "other type": b"[1, 2, 3]",
    "other shape": b'{"owner": 1, "starts": {}, "holders": [], "key": [], "id": {}, "round": {}, "job": 3}',
    "paths": json.dumps(
        {"owner": "../../x", "host": "h", "pid": -1, "started_at": "2026-01-01T00:00:00Z", "name": "queue", "key": "x"}
        | {"id": "../../a\0b", "starts": [], "holders": {"../x": "..", "a\0b": "c\0d", "..": "w"}, "job": "../x", "type": "x"}
    ).encode(),
}


@handler
def work() -> str:
    return "done"


def spoil(folder: Path, data: bytes, job: str, owner: str) -> None:
    hidden = folder / ".jobqueue"
    names = {
        "workers": [f"{owner}.json", "worker-1-2-3.json"],
        "keys": [key_file_name("key:k"), "foreign"],
        "limits": [key_file_name("queue"), key_file_name("type:work"), key_file_name("key:c"), "foreign"],
        "progress": [f"{job}.json"],
        "checkpoints": [f"{job}.json"],
        "items": [f"{job}.rows"],
        "logs": [f"{job}.log"],
        "journal": ["20260101-1-2.jsonl"],
        "schedules": ["nightly.json"],
        "cancel": ["other.json"],
        "tmp": ["1-2-3"],
        "trash": ["old.json"],
    }
    for part, inside in names.items():
        for name in inside:
            (hidden / part / name).write_bytes(data)
    with (hidden / "arrivals").open("ab") as arrivals:
        arrivals.write(data + b"\n" + data + b"x.json\n../../up.json\n/\n" + b"n" * 300 + b".json\n")


@pytest.mark.parametrize("data", TORN.values(), ids=TORN)
def test_a_spoiled_support_file_stops_nobody(data: bytes, tmp_path: Path) -> None:
    queue = Queue(tmp_path / "q", config=Config(durability="relaxed", settle_time=0.0))
    queue.limit(concurrency=3)
    queue.limit("work", rate="1000/s")
    worker = Worker(queue, [work])
    worker.begin()
    worker.tick()  # it listens to arrivals from here on
    job = queue.enqueue("work", {}, idempotency_key="k", concurrency_key="c")
    spoil(tmp_path / "q", data, job.id, worker.owner)

    for _ in range(3):
        worker.tick()
    second = queue.enqueue("work", {}, idempotency_key="k", concurrency_key="c", on_conflict="reject")
    queue.workers()
    assert queue.stats().total >= 1
    list(queue.jobs())
    for one in (job, second):
        one.items(), one.log(), one.progress, one.why(), repr(one)
    queue.store.spent()
    list(queue.store.attempts())
    queue.store.sweep()
    queue.store.rescue()
    assert all(finding.what != "could not be looked at" for finding in [*check(queue.store), *doctor(queue)])
    worker.end()
    queue.close()
    with Queue(tmp_path / "q") as again:
        Worker(again, [work]).run(drain=True, patience=0.2)
        assert {found.status.value for found in (again.get(job.id), again.get(second.id))} <= {"done", "pending"}


UNREADABLE = [name for name in TORN if name not in ("no text", "number", "other shape", "paths")]


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_spoiled_control_file_says_what_to_do(name: str, tmp_path: Path) -> None:
    """It might hold a pause: so nothing starts until somebody has looked. A JSON object of another program holds none."""
    with Queue(tmp_path / "q") as queue:
        (tmp_path / "q" / ".jobqueue" / "control.json").write_bytes(TORN[name])
        with pytest.raises(JobQueueError, match="remove it to resume"):
            queue.control()


def test_a_worker_is_who_the_name_of_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is made from an owner, and a signal is sent to a pid: neither is taken from what a file says unseen."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *signal: sent.append(signal))  # should it be sent, then to every process there is
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o700)
    (outside / "theirs.json").write_text('{"type": "secret"}')
    with Queue(tmp_path / "q") as queue:
        store = queue.store
        owner = store.join(WorkerInfo(owner="", host="h", pid=os.getpid(), started_at=queue.clock.now(), types=("x",)))
        file = tmp_path / "q" / ".jobqueue" / "workers" / f"{owner}.json"
        said = json.loads(file.read_text()) | {"owner": "../../outside"}
        for pid in (0, -1, 1):
            file.write_text(json.dumps(said | {"pid": pid, "host": os.uname().nodename}))
            (worker,) = queue.workers()
            assert (worker.owner, worker.running) == (owner, [])
            with pytest.raises(Unsupported, match="is no process of a worker"):
                worker.stop()
        assert sent == []
        store.leave(owner)
