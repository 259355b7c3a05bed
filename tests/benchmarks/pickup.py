"""How long a job waits for an idle worker: a real worker process, and jobs sent one at a time."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from steps import HANDLERS, open_queue

from jobqueue import Queue

GAP = (0.030, 0.060)
"""Seconds between two jobs, or two pairs of jobs."""
PAIR_GAP = (0.002, 0.008)
"""Seconds between the two jobs of a pair: the second comes right after a claim."""
SECOND = 1_000_000
PATIENCE = 20.0


class Pickup(NamedTuple):
    """Microseconds from the start, and from the end, of the call that sent a job to its handler's first line."""

    second: bool
    from_start: float
    from_return: float


class IdleWorker:
    """A worker process with the inline executor on a relaxed queue, and what it took to reach it, in ns by job."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self.path = path
        self.queue: Queue = open_queue(path / "queue", "relaxed")
        self.sent: dict[int, int] = {}
        """When the call that sends a job began, by its number: those of a pair are `n` and `n + SECOND`."""
        self.returned: dict[int, int] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.random = random.Random(7)

    def start(self) -> None:
        settings = {"queue_dir": "queue", "durability": "relaxed", "handlers": [HANDLERS], "executor": "inline"}
        (self.path / "jobqueue.yaml").write_text(json.dumps(settings))
        command = [sys.executable, "-m", "jobqueue.worker", "--log-level", "warning"]
        self.process = subprocess.Popen(command, cwd=self.path)
        self.queue.enqueue("stamp", {"n": -1}).wait(PATIENCE)
        time.sleep(0.5)

    def sleep(self, gap: tuple[float, float] = GAP) -> None:
        time.sleep(self.random.uniform(*gap))

    def enqueue(self, number: int) -> None:
        started = time.monotonic_ns()
        self.queue.enqueue("stamp", {"n": number})
        self.returned[number] = time.monotonic_ns()
        self.sent[number] = started

    def send_pair(self, number: int) -> None:
        """The first finds the worker idle, the second right after a claim."""
        self.sleep()
        self.enqueue(number)
        self.sleep(PAIR_GAP)
        self.enqueue(number + SECOND)

    def drop(self, number: int) -> None:
        self.sleep()
        beside = self.path / f"{number}.json"
        beside.write_text(json.dumps({"type": "stamp", "payload": {"n": number}}))
        started = time.monotonic_ns()
        os.rename(beside, self.path / "queue" / "pending" / f"drop-{number}.json")
        self.sent[number] = self.returned[number] = started

    def stop(self) -> list[Pickup]:
        """Ends the worker; how long each job took to its handler's first line."""
        deadline = time.monotonic() + PATIENCE
        while len(ran := self.results()) < len(self.sent) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert self.process is not None
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.queue.close()
        assert len(ran) == len(self.sent), f"{len(ran)} of {len(self.sent)} jobs ran"
        return [
            Pickup(number >= SECOND, (ran[number] - sent) / 1000, (ran[number] - self.returned[number]) / 1000)
            for number, sent in self.sent.items()
        ]

    def results(self) -> dict[int, int]:
        files = [json.loads(path.read_bytes()) for path in (self.path / "queue" / "done").glob("*.json")]
        return {file["payload"]["n"]: file["result"] for file in files if file["payload"]["n"] >= 0}

    def kill(self) -> None:
        """For the case that something went wrong before `stop`."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def bare_pickup(path: Path, count: int, body: bytes) -> list[float]:
    """Microseconds from the rename into pending/ to the claimed and read file in a process that waits in bare inotify."""
    for name in ("tmp", "pending", "claimed"):
        (path / name).mkdir(parents=True)
    script = Path(__file__).with_name("inotify.py")
    command = [sys.executable, str(script), str(path / "pending"), str(path / "claimed"), str(count)]
    sent: dict[str, int] = {}
    with subprocess.Popen(command, stdout=subprocess.PIPE) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        for number in range(count):
            time.sleep(random.uniform(*GAP))
            name = f"{number}.json"
            sent[name] = time.monotonic_ns()
            (path / "tmp" / name).write_bytes(body)
            os.rename(path / "tmp" / name, path / "pending" / name)
        seen = dict(json.loads(watcher.stdout.read()))
    return [(seen[name] - started) / 1000 for name, started in sent.items()]


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
