"""The storm: processes of every kind at one queue, killed at random and replaced, until it is over and all settles."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from jobqueue import Queue
from jobqueue.errors import NoWorkerWarning
from jobqueue.queue.config import Config

from .storm_actors import SETTLE, Actor, move
from .storm_log import AT_A_TIME, HANDLERS, Log

ROLES = ("producer", "retrier", "canceller", "purger", "person", "opener", "ruler")
DEATH_OF_PARENT = 1


@dataclass
class Process:
    role: str
    pid: int
    child: subprocess.Popen[bytes] | None = None

    def kill(self, how: signal.Signals) -> None:
        """An actor with the programs that it has started; a worker alone, whose children are its own business."""
        if self.child is not None:
            self.child.send_signal(how)
        else:
            os.killpg(self.pid, how)

    def lives(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def wait(self) -> int:
        if self.child is not None:
            return self.child.wait(60)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Storm:
    """All of it lies in one folder: the queue, the logs, and what people have outside of it.

    Without a `durability` each process has its own.
    """

    def __init__(self, folder: Path, seed: int, durability: str | None = None) -> None:
        self.folder = folder
        self.seed = seed
        self.durability = durability
        self.random = random.Random(seed)
        self.queue_dir = folder / "q"
        for name in ("outside", "aside"):
            (folder / name).mkdir()
        (folder / "handlers.py").write_text(HANDLERS)
        (folder / "jobqueue.yaml").write_text(f"settle_time: {SETTLE}\n")
        self.running: list[Process] = []
        self.serial = 0
        self.killed: set[int] = set()
        self.told_to_stop: set[int] = set()
        self.kills: Counter[str] = Counter()
        self.started: Counter[str] = Counter()
        self.seconds = 0.0
        self.log = Log(folder / "log", "storm", 0)
        with self.open() as queue:
            queue.limit("limited", concurrency=AT_A_TIME)

    def open(self) -> Queue:
        return Queue(self.queue_dir, config=Config(durability="relaxed", settle_time=SETTLE))

    # -- processes

    def start(self, role: str) -> None:
        self.serial += 1
        self.started[role] += 1
        self.running.append(self.start_worker() if role == "worker" else self.start_actor(role))

    def start_worker(self) -> Process:
        executor = self.random.choice(["inline", "thread", "process"])
        options = ["--executor", executor, "--concurrency", "1" if executor == "inline" else "3", "--grace", "5s"]
        durability = self.durability or self.random.choice(["strict", "relaxed"])
        with (self.folder / "output").open("ab") as output:
            worker = subprocess.Popen(
                [sys.executable, "-m", "jobqueue.worker", "--queue", self.queue_dir, "--handlers", "handlers.py", *options],
                cwd=self.folder,
                stdout=output,
                stderr=output,
                env={**os.environ, "STORM_RUNS": str(self.folder / "runs"), "JOBQUEUE_DURABILITY": durability},
            )
        return Process("worker", worker.pid, worker)

    def start_actor(self, role: str) -> Process:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            act(self.folder, role, self.serial, self.seed, self.durability)
        while pid != os.getpgid(pid):  # until it leads its own group, which is killed with it
            time.sleep(0.0005)
        return Process(role, pid)

    def strike(self, role: str | None = None) -> None:
        """One process dies, most often without a warning; another takes its place."""
        for one in self.running:
            assert one.lives(), f"a {one.role} ended by itself: {self.output()}"
        chosen = self.random.choice([one for one in self.running if role in (None, one.role)])
        self.running.remove(chosen)
        how = signal.SIGTERM if chosen.role == "worker" and self.random.random() < 0.2 else signal.SIGKILL
        if how is signal.SIGTERM:
            self.told_to_stop.add(chosen.pid)
        chosen.kill(how)
        code = chosen.wait()
        assert code in (-how, 0), f"a {chosen.role} ended by itself with {code}: {self.output()}"
        self.killed.add(chosen.pid)
        self.kills[chosen.role] += 1
        self.start(chosen.role)

    def output(self) -> str:
        return (self.folder / "output").read_text()[-3000:]

    # -- its course

    def rage(self, seconds: float, pause: float, producers: int = 2, workers: int = 3) -> None:
        for role in (*["producer"] * producers, *["worker"] * workers, *ROLES[1:]):
            self.start(role)
        began = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            time.sleep(self.random.random() * pause)
            self.strike()
        self.seconds = now - began

    def settle(self, seconds: float) -> None:
        """The storm is over: nobody asks for anything any more, and what is left runs to its end."""
        for process in [one for one in self.running if one.role != "worker"]:
            self.running.remove(process)
            process.kill(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL, f"a {process.role} ended by itself: {self.output()}"
            self.killed.add(process.pid)
        with self.open() as queue:
            for type in (None, "work", "fails"):
                queue.resume(type=type)
            for file in sorted((self.folder / "aside").iterdir()):
                move(self.folder / "aside", file.name, self.queue_dir / "pending")
            deadline = time.monotonic() + seconds
            while (stats := queue.stats()).pending or stats.claimed:
                assert time.monotonic() < deadline, f"{stats} after the storm; {self.output()}"
                time.sleep(0.05)
            for process in self.running:
                self.told_to_stop.add(process.pid)
                process.kill(signal.SIGTERM)
            for process in self.running:
                if (code := process.wait()) != 0:  # it was still starting
                    assert code == -signal.SIGTERM, self.output()
                    self.killed.add(process.pid)
            self.running.clear()
            queue.store.rescue()

    def close(self) -> None:
        for process in self.running:
            process.kill(signal.SIGKILL)
            process.wait()
        self.running.clear()


def act(folder: Path, role: str, serial: int, seed: int, durability: str | None) -> None:
    """The life of an actor, in its own process."""
    code = 1
    try:
        os.setpgid(0, 0)
        ctypes.CDLL(None).prctl(DEATH_OF_PARENT, signal.SIGKILL)
        with (folder / "output").open("ab", buffering=0) as output:
            os.dup2(output.fileno(), 2)
        warnings.simplefilter("ignore", NoWorkerWarning)
        actor = Actor(folder, role, serial, seed, durability)
        while True:
            actor.turn()
    except BaseException:
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)
