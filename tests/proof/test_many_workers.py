"""Two hundred workers on one folder, some of which are killed: every job is run to its end once, and all of them end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.model.status import Status
from jobqueue.queue.config import Config

CROWD = """
import os, sys, time
from jobqueue import JobContext, Queue, Worker, constant, handler
from jobqueue.queue.config import Config
from jobqueue.queue.registry import Registry

log = os.open("log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def note(*words):
    os.write(log, (" ".join(map(str, words)) + "\\n").encode())

@handler(retry=constant("1ms", attempts=50))
def works(n, ctx: JobContext):
    note("start", ctx.id, ctx.attempt, os.getpid())
    if n % 10 == 1 and ctx.attempt == 1:
        note("fail", ctx.id, ctx.attempt, os.getpid())
        raise ValueError(n)
    note("end", ctx.id, ctx.attempt, os.getpid())
    return n

@handler(retry=constant("1ms", attempts=2))
def fails(n, ctx: JobContext):
    note("start", ctx.id, ctx.attempt, os.getpid())
    note("fail", ctx.id, ctx.attempt, os.getpid())
    raise ValueError(n)

def work():
    queue = Queue("q", config=Config(durability="relaxed", settle_time=0.2))
    Worker(queue, Registry.of(works, fails)).run(drain=True)
    queue.close()

for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            sys.stdin.close()
            os.read(int(sys.argv[2]), 1)  # all of them begin at once
            work()
            code = 0
        finally:
            os._exit(code)
    print(pid, flush=True)
os.close(int(sys.argv[2]))
for _ in range(int(sys.argv[1])):
    pid, status = os.wait()
    print(pid, os.waitstatus_to_exitcode(status), flush=True)
"""


def crowd_of(workers: int, jobs: int, kills: int, folder: Path, seed: int) -> None:
    chosen = random.Random(seed)
    (folder / "crowd.py").write_text(CROWD)
    with Queue(folder / "q", config=Config(durability="relaxed", settle_time=0.2)) as queue:
        ids = [job.id for job in queue.enqueue_many("works", [{"n": n} for n in range(jobs - jobs // 20)])]
        ids += [job.id for job in queue.enqueue_many("fails", [{"n": n} for n in range(jobs // 20)])]
        killed, codes = run(workers, kills, folder, chosen, jobs)
        assert len(killed) == kills
        assert {pid: code for pid, code in codes.items() if code != 0} == dict.fromkeys(killed, -signal.SIGKILL)
        run(1, 0, folder, chosen, jobs)  # the last to be killed may have died when no other worker was left
        left = queue.store.counts()
        assert (left[Status.PENDING], left[Status.CLAIMED], sum(left.values())) == (0, 0, jobs)
        audit(folder, queue, ids, killed)
    assert os.listdir(folder / "q" / "claimed") == []
    assert os.listdir(folder / "q" / ".jobqueue" / "workers") == []


def run(workers: int, kills: int, folder: Path, chosen: random.Random, jobs: int) -> tuple[set[int], dict[int, int]]:
    """Which of them were killed, and how each has ended."""
    reading, writing = os.pipe()
    command = [sys.executable, "-W", "ignore", "crowd.py", str(workers), str(reading)]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, pass_fds=[reading]) as crowd:
        os.close(reading)
        assert crowd.stdout is not None
        pids = [int(crowd.stdout.readline()) for _ in range(workers)]
        os.close(writing)
        killed: set[int] = set()
        for number in range(kills):
            while runs_in(folder) < (number + 1) * jobs // (kills * 2):
                assert crowd.poll() is None
            victim = chosen.choice([pid for pid in pids if pid not in killed])
            os.kill(victim, signal.SIGKILL)
            killed.add(victim)
        codes = dict(tuple(map(int, line.split())) for line in crowd.stdout)  # type: ignore[misc]
    return killed, codes


def runs_in(folder: Path) -> int:
    log = folder / "log"
    return log.stat().st_size // 50 if log.exists() else 0


def audit(folder: Path, queue: Queue, ids: list[str], killed: set[int]) -> None:
    ends: defaultdict[str, Counter[tuple[str, int]]] = defaultdict(Counter)
    by_killed: Counter[str] = Counter()
    for line in (folder / "log").read_text().splitlines():
        what, id, attempt, pid = line.split()
        ends[id][what, int(attempt)] += 1
        by_killed[id] += what == "start" and int(pid) in killed
    attempts = list(queue.store.attempts())
    crashed = Counter(attempt.job for attempt in attempts if attempt.outcome == "crashed")
    for id in ids:
        located = queue.get(id).located
        assert located.status is (Status.FAILED if located.job.type == "fails" else Status.DONE)
        doubled = [what for what, times in ends[id].items() if times > 1]
        assert not doubled, f"{id}: {doubled} more than once"
        wanted = 2 if located.job.type == "fails" or located.job.payload["n"] % 10 == 1 else 1
        starts = sum(times for (what, _), times in ends[id].items() if what == "start")
        least = max(1, wanted - crashed[id])  # a worker may be killed after the claim and before the handler's first line
        assert least <= starts <= wanted + by_killed[id], f"{id} ran {starts} times"
    lines = Counter((attempt.job, attempt.number) for attempt in attempts if attempt.outcome != "crashed")
    assert {line for line, times in lines.items() if times > 1} == set()


@pytest.mark.parametrize(
    ("workers", "jobs", "kills"),
    [(40, 1000, 8), pytest.param(200, 5000, 20, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_a_crowd_of_workers_runs_every_job_to_its_end_once(workers: int, jobs: int, kills: int, tmp_path: Path) -> None:
    seed = int(os.environ.get("CROWD_SEED", random.SystemRandom().randrange(10**6)))
    print(f"CROWD_SEED={seed}")
    crowd_of(workers, jobs, kills, tmp_path, seed)
