"""The journal between real processes: writers that are killed in the middle of a write, a reader that follows, purges."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from jobqueue import Queue
from jobqueue.queue.config import Config

WRITER = """
import os, sys
from datetime import datetime, timezone
from jobqueue.model.entry import attempt_entry
from jobqueue.model.job import Attempt, Job
from jobqueue.store.journal import Journal
folder, name, groups, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
journal = Journal(os.open(folder, os.O_RDONLY))
for group in range(groups):
    now = datetime.now(timezone.utc)
    attempt = Attempt(number=1, outcome="done", worker=name, claimed_at=now, finished_at=now)
    ids = [f"{name}-{group}-{number}" for number in range(size)]
    entries = [attempt_entry(Job(id=id, type="scan", name="n" * 500), attempt) for id in ids]
    journal.append(entries, now)
    print(group, flush=True)
"""


def start(folder: Path, name: str, groups: int, size: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(folder), name, str(groups), str(size)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_writers_that_are_killed_lose_nothing_that_they_had_said(tmp_path: Path) -> None:
    """Each group is megabytes, so that the signal meets a write; what was reported as written is there, each once."""
    dice = random.Random(11)
    queue = Queue(tmp_path / "q", config=Config(durability="relaxed"))
    folder = tmp_path / "q" / ".jobqueue" / "journal"
    said: Counter[str] = Counter()
    for round in range(6):
        writers = {name: start(folder, name, 1000, 4000) for name in (f"a{round}", f"b{round}")}
        for name, writer in writers.items():
            assert writer.stdout is not None
            writer.stdout.readline()
            said[name] = 1
        time.sleep(dice.random() * 0.05)  # where in its work a writer is hit: any moment will do
        for name, writer in writers.items():
            writer.send_signal(signal.SIGKILL)
            said[name] += len(writer.communicate()[0].splitlines())

    found = Counter(entry.job for entry in queue.store.attempts())

    assert set(found.values()) == {1}
    for name, groups in said.items():
        missing = [group for group in range(groups) if f"{name}-{group}-3999" not in found or f"{name}-{group}-0" not in found]
        assert missing == [], (name, groups)
    queue.store.journal.append([], queue.clock.now())
    torn = [finding for finding in queue.check() if finding.what == "torn journal lines"]
    assert len(torn) <= 1  # at most the last line of each file, and two files serve all rounds
    assert len(list(folder.iterdir())) <= 2 * 6
    queue.close()


def test_a_reader_follows_two_workers_while_jobs_are_purged(tmp_path: Path) -> None:
    """Two worker processes, one of them killed on the way; every attempt is read once, and a purge changes nothing."""
    (tmp_path / "handlers.py").write_text("from jobqueue import handler\n\n@handler\ndef work(n):\n    return n\n")
    config = Config(durability="relaxed")
    queue = Queue(tmp_path / "q", config=config)
    ids = [job.id for job in queue.enqueue_many("work", [{"n": n} for n in range(1500)])]
    command = [sys.executable, "-m", "jobqueue.worker", "--queue", str(tmp_path / "q"), "--handlers", "handlers.py"]
    command += ["--executor", "inline", "--log-level", "warning"]
    workers = [subprocess.Popen(command, cwd=tmp_path) for _ in range(3)]
    seen: set[str] = set()
    deadline = time.monotonic() + 120
    try:
        while len(seen) < 1500:
            assert time.monotonic() < deadline, len(seen)
            attempts = list(queue.store.attempts())
            keys = [entry.key for entry in attempts]
            assert len(keys) == len(set(keys))
            now = {entry.job for entry in attempts if entry.outcome == "done"}
            assert seen <= now
            seen = now
            if len(seen) > 300 and workers[0].poll() is None:
                workers[0].send_signal(signal.SIGKILL)
            queue.purge(status="done")
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    outcomes = Counter((entry.job, entry.outcome) for entry in queue.store.attempts())
    assert {id for id, outcome in outcomes if outcome == "done"} == set(ids)
    assert max(outcomes.values()) == 1
    assert len(os.listdir(tmp_path / "q" / ".jobqueue" / "journal")) <= 4
    queue.close()
