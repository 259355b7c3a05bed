"""The kernel's file events run out: no instance, no watch, a queue of them that overflows. Looking again serves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from jobqueue import Queue
from jobqueue.queue.config import Config

HANDLERS = """
from jobqueue import handler

@handler
def quick(n):
    return n
"""
LIMITS = ("max_inotify_instances", "max_inotify_watches")
SAID = "no file events for"


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)


class World:
    """A queue and workers over it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.output = folder, folder / "output"
        (folder / "handlers.py").write_text(HANDLERS)
        self.queue = Queue(folder / "q", config=Config(durability="relaxed", settle_time=0.1))
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self, *before: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-W", "ignore", "-m", "jobqueue.worker", "--queue", "q", "--handlers", "handlers.py"]
        with self.output.open("ab") as output:
            worker = subprocess.Popen([*before, *command], cwd=self.folder, stdout=output, stderr=output)
        self.started.append(worker)
        return worker

    def said(self, text: str) -> int:
        return self.output.read_text().count(text)

    def drop(self, name: str) -> None:
        """As a person does, so that no worker hears of it but by an event or by looking."""
        made = self.folder / "new"
        made.write_text('{"type": "quick", "payload": {"n": 1}}')
        made.rename(self.folder / "q" / "pending" / f"{name}.json")

    def done(self, name: str) -> bool:
        return (self.folder / "q" / "done" / f"{name}.json").exists()

    def close(self) -> None:
        for worker in self.started:
            worker.send_signal(signal.SIGCONT)
            worker.terminate()
        for worker in self.started:
            worker.wait(30)
        self.queue.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def in_a_namespace(limit: str) -> list[str]:
    """A command in front of another, which then may take no inotify instance, or set no watch."""
    command = ["unshare", "--user", "--map-root-user", "sh", "-c", f'echo 0 > /proc/sys/user/{limit} && exec "$@"', "sh"]
    tried = subprocess.run([*command, "true"], capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip(f"no user namespace here: {tried.stderr.strip()}")
    return command


@pytest.mark.parametrize("limit", LIMITS)
def test_a_worker_that_gets_no_events_says_so_once_and_finds_its_jobs(limit: str, world: World) -> None:
    world.start(*in_a_namespace(limit))
    for n in range(5):
        world.drop(f"d{n}")
        until(lambda n=n: world.done(f"d{n}"))
        assert world.queue.enqueue("quick", {"n": n}).wait("30s").status == "done"
    assert world.said(SAID) == 1


@pytest.mark.alone
def test_a_user_that_has_taken_all_instances_stops_no_worker(world: World) -> None:
    """Many programs watch folders; whoever comes last gets nothing, and must live with it."""
    taken = subprocess.Popen([sys.executable, "-c", TAKE_ALL], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert taken.stdout is not None
    try:
        assert int(taken.stdout.readline()) > 0
        world.start()
        world.drop("d")
        until(lambda: world.done("d"))
        until(lambda: world.said(SAID) == 1)
    finally:
        taken.communicate(b"enough\n", timeout=30)


TAKE_ALL = """
import ctypes, sys
libc = ctypes.CDLL(None)
taken = 0
while libc.inotify_init1(0) >= 0:
    taken += 1
print(taken, flush=True)
sys.stdin.readline()
"""


def most_queued_events() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


def test_jobs_are_found_though_the_queue_of_events_has_overflowed(world: World) -> None:
    """An idle worker is stopped while more happens in pending/ than the kernel keeps for it; what comes then is unheard of."""
    most = most_queued_events()
    if most > 40_000:
        pytest.skip(f"this kernel keeps {most} events")
    worker = world.start()
    world.drop("first")
    until(lambda: world.done("first"))
    until(lambda: watches(worker.pid))
    worker.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, worker.pid, os.WSTOPPED | os.WNOWAIT)
    pending = world.folder / "q" / "pending"
    for n in range(most // 2 + 100):  # each of them is created and closed
        (pending / f".noise{n}").touch()
    for n in range(20):
        world.drop(f"late{n}")
    for n in range(most // 2 + 100):
        (pending / f".noise{n}").unlink()
    worker.send_signal(signal.SIGCONT)
    until(lambda: all(world.done(f"late{n}") for n in range(20)))
    world.drop("last")
    until(lambda: world.done("last"))
    until(lambda: world.said("queue overflowed") == 1)  # its thread may still be reading what came before


def watches(pid: int) -> bool:
    """Whether a process has an inotify watch."""
    for file in Path(f"/proc/{pid}/fdinfo").iterdir():
        with suppress(FileNotFoundError):
            if "inotify wd:" in file.read_text():
                return True
    return False
