"""A small real file system that is full to the last block, or to the last inode: a worker drains the queue, and once there
is room again everything works."""

from __future__ import annotations

import json
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
from jobqueue.errors import JobQueueError
from jobqueue.queue.config import Config
from jobqueue.store.commit import BALLAST_SIZE

from .small_disk import small_disk

HANDLERS = """
import os, time
from jobqueue import JobContext, handler

@handler
def work(n, gate, log, ctx: JobContext):
    with open(log, "a") as file:
        file.write(f"{ctx.id}\\n")
    while not os.path.exists(gate):
        time.sleep(0.01)
    return {"n": n}
"""
JOBS = 200


def until(condition: Callable[[], object], worker: subprocess.Popen[bytes], seconds: float = 100) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert worker.poll() is None, "the worker has ended"
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def fill_blocks(folder: Path) -> None:
    """Takes every byte that the file system gives."""
    file = os.open(folder / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for size in (1 << 16, 4096, 512, 1):
        with suppress(OSError):
            while True:
                os.write(file, bytes(size))
    with suppress(OSError):
        os.fsync(file)
    os.close(file)


def fill_inodes(folder: Path) -> None:
    (folder / "fillers").mkdir()
    with suppress(OSError):
        for n in range(1_000_000):
            (folder / "fillers" / f"{n}").touch()


def empty(folder: Path) -> None:
    (folder / "filler").unlink(missing_ok=True)
    if (folder / "fillers").exists():
        for file in (folder / "fillers").iterdir():
            file.unlink()


@pytest.fixture(params=["ext4", "tmpfs"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, request.param) as mounted:
        yield mounted


@pytest.mark.parametrize("fill", [fill_blocks, fill_inodes], ids=["blocks", "inodes"])
def test_a_worker_drains_a_disk_that_is_full_and_then_everything_works(
    fill: Callable[[Path], None], disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "handlers.py").write_text(HANDLERS)
    gate, log = tmp_path / "gate", tmp_path / "log"
    with Queue(disk / "q", config=Config(settle_time=0.1)) as queue:
        payload = {"gate": str(gate), "log": str(log)}
        jobs = queue.enqueue_many("work", [payload | {"n": n} for n in range(JOBS)])
        command = [sys.executable, "-W", "ignore", "-m", "jobqueue.worker", "--queue", str(disk / "q")]
        with (tmp_path / "output").open("wb") as output:
            worker = subprocess.Popen([*command, "--handlers", "handlers.py"], cwd=tmp_path, stdout=output, stderr=output)
        try:
            until(log.exists, worker)
            fill(disk)
            with pytest.raises((JobQueueError, OSError), match="No space left"):
                queue.enqueue("work", payload | {"n": -1})
            gate.touch()
            until(lambda: queue.stats().done == JOBS, worker)
            empty(disk)
            ballast = next((disk / "q" / ".jobqueue" / "workers").glob("*.ballast"))
            more = queue.enqueue_many("work", [payload | {"n": n} for n in range(20)])
            until(lambda: queue.stats().done == JOBS + 20, worker)
            until(lambda: ballast.stat().st_size == BALLAST_SIZE, worker)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0
            print((tmp_path / "output").read_text()[-3000:])
        assert sorted(log.read_text().split()) == sorted(job.id for job in (*jobs, *more)), "each job once"
        assert all(json.loads(path.read_text())["result"] for path in (disk / "q" / "done").iterdir())
        assert {attempt.job for attempt in queue.store.attempts()} == {job.id for job in (*jobs, *more)}
        assert os.listdir(disk / "q" / ".jobqueue" / "tmp") == []
        assert os.listdir(disk / "q" / ".jobqueue" / "workers") == []
