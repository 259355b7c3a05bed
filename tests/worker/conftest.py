"""What the tests of the worker share: a file of handlers, worker processes that are ended in any case, and waiting."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jobqueue import Queue
from jobqueue.queue.config import Config

HANDLERS = '''
import os, signal, subprocess, sys, threading, time
from pathlib import Path
from jobqueue import Discard, JobContext, Retry, Snooze, constant, handler

def note(path, *words):
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, (" ".join(map(str, words)) + "\\n").encode())
    os.close(file)

def wait_for(path, seconds=60):
    deadline = time.monotonic() + seconds
    while not os.path.exists(path):
        if time.monotonic() > deadline:
            raise TimeoutError(path)
        time.sleep(0.005)

@handler
def add(a, b=1):
    return {"sum": a + b}

@handler
def quick(log, ctx: JobContext):
    note(log, ctx.id, ctx.attempt, os.getpid())

@handler
def gated(log, gate, ctx: JobContext):
    """Says that it runs, and runs until the gate is there."""
    note(log, "start", ctx.id, ctx.attempt, os.getpid())
    wait_for(gate)
    note(log, "end", ctx.id, ctx.attempt, os.getpid())
    return "through"

@handler
def obedient(log, ctx: JobContext):
    note(log, "start", ctx.id, ctx.attempt, os.getpid())
    while True:
        ctx.check_cancelled()
        time.sleep(0.01)

@handler
def stubborn(log, ctx: JobContext):
    signal.signal(signal.SIGTERM, signal.SIG_IGN) if threading.current_thread() is threading.main_thread() else None
    note(log, "start", ctx.id, ctx.attempt, os.getpid())
    while True:
        time.sleep(0.05)

@handler(retry=constant("20ms", attempts=3))
def broken(message="it broke"):
    raise ValueError(message)

@handler
def silent_error():
    raise KeyError

@handler
def snoozes(log, ctx: JobContext):
    note(log, ctx.id, ctx.attempt)
    if len(Path(log).read_text().splitlines()) < 3:
        raise Snooze(0.02)
    return ctx.attempt

@handler
def snoozes_for_ever():
    raise Snooze("not a time")

@handler
def discards():
    raise Discard("never again")

@handler(retry=constant("1h", attempts=5))
def retries_soon(log, ctx: JobContext):
    note(log, ctx.id, ctx.attempt)
    if ctx.attempt < 3:
        raise Retry("not yet", delay=0.02)
    return ctx.attempt

@handler
def exits(code=3):
    sys.exit(code)

@handler
def interrupted():
    raise KeyboardInterrupt

@handler
def odd_error():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text")
        def __reduce__(self):
            raise TypeError("no pickle")
    raise Odd(lambda: 0)

@handler
def surrogate_error():
    raise ValueError("\\ud800 " + "x" * 50_000)

@handler
def unpicklable():
    return lambda: 0

@handler
def not_a_number():
    return {"x": float("nan")}

@handler
def huge():
    return "x" * (20 << 20)

@handler
def hard_exit(code=7):
    os._exit(code)

@handler
def segfault():
    os.kill(os.getpid(), signal.SIGSEGV)

@handler
def later_crash():
    threading.Timer(0.05, lambda: os._exit(9)).start()
    return "fine"

@handler(timeout=0.3)
def too_long(log, ctx: JobContext):
    note(log, "start", ctx.id, ctx.attempt, os.getpid())
    while True:
        time.sleep(0.05)

@handler
def vandal(folder):
    os.chdir(folder)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        if threading.current_thread() is threading.main_thread():
            signal.signal(number, signal.SIG_IGN)
    sys.stdout.write("noise\\n")
    return os.getcwd()

@handler
def where():
    return os.getcwd()

@handler
def leaves_a_daemon(log):
    """Starts a process that outlives its worker by far."""
    if os.fork() == 0:
        os.setsid()
        note(log, os.getpid())
        time.sleep(60)
        os._exit(0)
    os.system("sleep 60 & echo $! >> " + log)
    return "left"

@handler
def catches_everything(log):
    note(log, "start")
    for _ in range(3):
        try:
            wait_for("/nonexistent")
        except BaseException:
            note(log, "caught")
    wait_for("/nonexistent")

@handler
def counted(log, ctx: JobContext):
    note(log, "+", ctx.id)
    time.sleep(0.05)
    note(log, "-", ctx.id)
'''


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)
    return answer


class Workers:
    """Starts `python -m jobqueue.worker` over one queue, and ends whatever was started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.queue_dir = folder / "q"
        self.handlers = folder / "handlers.py"
        self.handlers.write_text(HANDLERS)
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *options: str, queue: Path | None = None, **more: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "jobqueue.worker", "--queue", str(queue or self.queue_dir)]
        command += ["--handlers", str(self.handlers), *options]
        return self.run(command, **more)

    def run(self, command: list[str], **more: Any) -> subprocess.Popen[str]:
        worker = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", cwd=self.folder, **more
        )
        self.started.append(worker)
        return worker

    def finish(self, worker: subprocess.Popen[str], seconds: float = 30) -> tuple[int, str]:
        output, _ = worker.communicate(timeout=seconds)
        return worker.returncode, output

    def stop(self, worker: subprocess.Popen[str], number: int = signal.SIGTERM) -> tuple[int, str]:
        worker.send_signal(number)
        return self.finish(worker)

    def close(self) -> None:
        for worker in self.started:
            if worker.poll() is None:
                worker.send_signal(signal.SIGCONT)
                worker.kill()
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    made = Workers(tmp_path)
    yield made
    made.close()


@pytest.fixture
def queue(workers: Workers) -> Iterator[Queue]:
    with Queue(workers.queue_dir, config=Config(durability="relaxed", settle_time=0.1)) as made:
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    return until


@pytest.fixture
def lines(log: Path) -> Callable[[], list[str]]:
    """What the handlers have noted so far."""
    return lambda: log.read_text().splitlines() if log.exists() else []


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def is_alive() -> Callable[[int], bool]:
    """Whether a process runs (one that has ended and waits for its parent does not)."""

    def look(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return look
