"""What files that are no jobs cost those that are: good jobs among them, and a worker that is left alone with them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from limits import Cost
from report import Row, Target
from steps import HANDLERS, payload

from jobqueue import Queue, Worker
from jobqueue.queue.config import Config

BAD = (b"{", b"", b'{"type": 7}', b'{"type": "scan", "payload": {"x": NaN}}', b"\x1f\x8b\x08\x00", b"[" * 1000)
PATIENCE = 60.0


def drop_bad(path: Path, count: int) -> None:
    """Of every four: two that will be set aside, a symlink, and a name that is ignored."""
    for number in range(count):
        place = path / "pending" / f"bad-{number}.json"
        if number % 4 == 0:
            place.symlink_to("/dev/zero")
        else:
            (place if number % 4 < 3 else place.with_suffix(".json~")).write_bytes(BAD[number % len(BAD)])


def among_bad(path: Path, size: int, bad: int, settle_time: float) -> Cost:
    """Each of `size` no-op jobs in a whole worker, from the first handler's first line to the last one's."""
    logging.getLogger("jobqueue").setLevel(logging.ERROR)
    with Queue(path, durability="relaxed", config=Config(settle_time=settle_time)) as queue:
        drop_bad(path, bad)
        first = queue.enqueue("stamp", {"n": 0}, priority="urgent")
        queue.enqueue_many("noop", [payload(number) for number in range(size)])
        last = queue.enqueue("stamp", {"n": 1}, priority="low")
        cpu = time.process_time()
        with Worker(queue, HANDLERS, executor="inline"):
            last.wait(PATIENCE)
            cpu = time.process_time() - cpu
        return Cost((last.result() - first.result()) / 1000 / size, cpu / size * 1e6)


def idle_cpu(path: Path, at_rest: int, seconds: float) -> float:
    """CPU microseconds that an idle worker process takes in a second, among so many files that stay where they are."""
    path.mkdir(parents=True)
    settings = {"queue_dir": "queue", "durability": "relaxed", "handlers": [HANDLERS], "executor": "inline"}
    (path / "jobqueue.yaml").write_text(json.dumps(settings))
    with Queue(path / "queue", durability="relaxed", config=Config()) as queue:
        for number in range(at_rest):
            (path / "queue" / "pending" / f".ignored-{number}.json").touch()
        for number in range(at_rest // 100):
            (path / "queue" / "pending" / f"folder-{number}.json").mkdir()
        command = [sys.executable, "-m", "jobqueue.worker", "--log-level", "error"]
        with subprocess.Popen(command, cwd=path) as worker:
            try:
                queue.enqueue("stamp", {"n": 0}).wait(PATIENCE)
                time.sleep(3)  # what it met at its start has come to rest
                before = cpu_of(worker.pid)
                time.sleep(seconds)
                return (cpu_of(worker.pid) - before) / seconds
            finally:
                worker.terminate()


def cpu_of(pid: int) -> float:
    """User and system time so far, in microseconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") * 1e6


def rows_among_bad(fresh: Callable[[], Path], plan: tuple[int, int]) -> list[Row]:
    """As many files that are no jobs as there are jobs: while they settle, and while they are set aside."""
    size, repeats = plan
    rows = []
    for step, settle_time, target in (
        ("drain, among hostile", 60.0, Target("2 x limit", ratio=2)),
        ("drain, hostile set aside", 0.05, None),
    ):
        costs, limits = [], []
        for _ in range(repeats):
            limits.append(among_bad(fresh(), size, 0, settle_time).us)
            costs.append(among_bad(fresh(), size, size, settle_time))
        us, cpu = median(cost.us for cost in costs), median(cost.cpu for cost in costs)
        rows.append(Row(step, size, "relaxed", us, median(limits), cpu, target, "limit: without them"))
    return rows


def row_of_idle(fresh: Callable[[], Path], plan: tuple[int, float]) -> Row:
    """In a second, beside what a worker on an empty queue takes; a clock tick is the least that can be told."""
    files, seconds = plan
    tick = 1e6 / os.sysconf("SC_CLK_TCK") / seconds
    cost, limit = (max(idle_cpu(fresh(), count, seconds), tick) for count in (files, 0))
    note = f"{cost / 1e4:.2f} % of a core; limit: an empty queue"
    return Row("idle CPU, hostile", files, "relaxed", cost, limit, cost, Target("1 % of a core", us=10_000), note)
