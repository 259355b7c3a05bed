"""Limits hold across worker processes: what was observed is counted, by when and where jobs ran."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from jobqueue import Queue
from jobqueue.model.status import Status

RATE, WINDOW = 250, 1.0
HANDLERS = """
import os, time
from jobqueue import handler

def note(path, *words):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)

def timed(log, type, key="-"):
    note(log, time.monotonic(), "+", type, key)
    time.sleep(0.002)
    note(log, time.monotonic(), "-", type, key)

@handler(rate="250/s")
def rated(log):
    timed(log, "rated")

@handler(concurrency_key="{owner}/{repo}")
def keyed(log, owner, repo):
    timed(log, "keyed", owner + "/" + repo)

@handler(concurrency=2)
def narrow(log):
    timed(log, "narrow")

@handler
def free(log):
    timed(log, "free")
"""


def most_in_a_window(starts: list[float], seconds: float) -> int:
    """The largest number of starts in any window that is closed at its beginning and open at its end."""
    starts = sorted(starts)
    most, first = 0, 0
    for last, start in enumerate(starts):
        while start - starts[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def most_at_a_time(lines: list[list[str]], what: int) -> Counter[str]:
    """How many ran at a time at most, for each type (2) or key (3)."""
    running: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for line in sorted(lines, key=lambda line: float(line[0])):
        running[line[what]] += 1 if line[1] == "+" else -1
        most[line[what]] = max(most[line[what]], running[line[what]])
    return most


def test_a_thousand_jobs_through_two_workers_never_exceed_a_limit(
    workers: Any, queue: Queue, log: Path, lines: Any, wait_until: Any
) -> None:
    workers.handlers.write_text(HANDLERS)
    for type, number in (("rated", 500), ("narrow", 125), ("free", 125)):
        queue.enqueue_many(type, [{"log": str(log)}] * number)
    keys = [f"octo/r{number % 7}" for number in range(250)]
    for key in keys:
        owner, repo = key.split("/")
        queue.enqueue("keyed", {"log": str(log), "owner": owner, "repo": repo}, concurrency_key=key)

    queue.pause()
    started = [workers.start("--executor", "thread", "--concurrency", "4") for _ in range(2)]
    wait_until(lambda: len(queue.workers()) == 2)
    queue.resume()
    wait_until(lambda: len(queue.store.folder.names(Status.DONE)) == 1000, 100)
    for worker in started:
        workers.stop(worker)

    seen = [line.split() for line in lines()]
    assert len(seen) == 2 * 1000  # each job ran once
    claims = [job.claimed_at for job in queue.jobs("done", type="rated", limit=None)]
    assert most_in_a_window([moment.timestamp() for moment in claims if moment is not None], WINDOW) <= RATE
    assert most_at_a_time(seen, 2)["narrow"] <= 2
    by_key = most_at_a_time(seen, 3)
    assert {by_key[key] for key in keys} == {1}
    assert len({job.locked_by for job in queue.jobs("done", limit=None)}) == 2
