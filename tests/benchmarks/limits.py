"""The physical limit: a job's life as bare system calls, with the syncs of the same durability and no queue around them.

enqueue   open(O_EXCL) in tmp/, write, close, rename into pending/
claim     rename into claimed/w/, open, read, close
finish    the outcome to a temporary file, rename to done/, unlink
strict    one by one: fsync of the file and of the folder; as a group: one syncfs, then one fsync of the folder
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import handlers

NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
GROUP = 256
"""Outcomes in one group, as a busy worker has them."""
FOLDERS = ("tmp", "pending", "claimed", "done")
libc = ctypes.CDLL(None, use_errno=True)


class Cost(NamedTuple):
    """Microseconds for each job: on the clock, and of the processor (of this process; NaN where it is another's)."""

    us: float
    cpu: float

    def __add__(self, other: object) -> Cost:
        assert isinstance(other, Cost)
        return Cost(self.us + other.us, self.cpu + other.cpu)


class Bodies(NamedTuple):
    """The bytes of a waiting and of a finished job, as this queue writes them."""

    waiting: bytes
    finished: bytes


def timed(count: int, work: Callable[[], object]) -> Cost:
    """What each of `count` jobs cost in this work."""
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Cost(wall / count * 1e6, cpu / count * 1e6)


class Bare:
    """Folders like those of a queue, and the system calls of its steps."""

    def __init__(self, path: Path, bodies: Bodies, durable: bool) -> None:
        self.bodies = bodies
        self.durable = durable
        for name in FOLDERS:
            (path / name).mkdir(parents=True)
        self.tmp, self.pending, self.claimed, self.done = (os.open(path / name, os.O_RDONLY) for name in FOLDERS)

    def write(self, name: str, body: bytes, sync: bool) -> None:
        file = os.open(name, NEW, 0o600, dir_fd=self.tmp)
        os.write(file, body)
        if sync:
            os.fsync(file)
        os.close(file)

    def enqueue(self, names: Sequence[str]) -> None:
        for name in names:
            self.write(name, self.bodies.waiting, self.durable)
            os.rename(name, name, src_dir_fd=self.tmp, dst_dir_fd=self.pending)
            if self.durable:
                os.fsync(self.pending)

    def enqueue_group(self, names: Sequence[str]) -> None:
        for name in names:
            self.write(name, self.bodies.waiting, False)
        if self.durable:
            libc.syncfs(self.tmp)
        for name in names:
            os.rename(name, name, src_dir_fd=self.tmp, dst_dir_fd=self.pending)
        if self.durable:
            os.fsync(self.pending)

    def claim(self, names: Sequence[str]) -> None:
        for name in names:
            os.rename(name, name, src_dir_fd=self.pending, dst_dir_fd=self.claimed)
            file = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.claimed)
            os.read(file, 1 << 16)
            os.close(file)

    def finish(self, names: Sequence[str]) -> None:
        for name in names:
            self.write(name, self.bodies.finished, self.durable)
            os.rename(name, name, src_dir_fd=self.tmp, dst_dir_fd=self.done)
            os.unlink(name, dir_fd=self.claimed)
            if self.durable:
                os.fsync(self.done)

    def finish_groups(self, names: Sequence[str]) -> None:
        for start in range(0, len(names), GROUP):
            group = names[start : start + GROUP]
            for name in group:
                self.write(name, self.bodies.finished, False)
            if self.durable:
                libc.syncfs(self.tmp)
            for name in group:
                os.rename(name, name, src_dir_fd=self.tmp, dst_dir_fd=self.done)
                os.unlink(name, dir_fd=self.claimed)
            if self.durable:
                os.fsync(self.done)

    def close(self) -> None:
        for folder in (self.tmp, self.pending, self.claimed, self.done):
            os.close(folder)


def bare_names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-20261122T{number:012}-7f3a9c2b.json" for number in range(count)]


def bare_life(path: Path, size: int, durable: bool, singles: int, bodies: Bodies) -> dict[str, Cost]:
    """What each step costs as bare calls, `size` jobs long; one by one they go at most `singles` times."""
    one_by_one, names = bare_names("05", min(singles, size)), bare_names("10", size)
    half = min(singles, size // 2)
    bare = Bare(path, bodies, durable)
    costs = {
        "enqueue": timed(len(one_by_one), lambda: bare.enqueue(one_by_one)),
        "enqueue_many": timed(size, lambda: bare.enqueue_group(names)),
        "claim": timed(size, lambda: bare.claim(names)),
        "finish": timed(half, lambda: bare.finish(names[:half])),
        "finish, groups": timed(size - half, lambda: bare.finish_groups(names[half:])),
    }
    bare.close()
    costs["drain, inline"] = costs["claim"] + costs["finish, groups"]
    return costs


def bare_pool(count: int) -> Cost:
    """One call after the other through a `ProcessPoolExecutor(1)`, each waited for."""
    payload: dict[str, object] = {"repo": "octo/cat", "n": 0, "text": "x" * 120}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pool.submit(handlers.answer, payload).result()
        return timed(count, lambda: [pool.submit(handlers.answer, payload).result() for _ in range(count)])


def bare_pool_map(count: int) -> Cost:
    """All calls at once through a `ProcessPoolExecutor(2)`: the most that the standard library makes of two processes."""
    payloads: list[dict[str, object]] = [{"repo": "octo/cat", "n": number, "text": "x" * 120} for number in range(count)]
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(handlers.answer, payloads[:20]))
        return timed(count, lambda: list(pool.map(handlers.answer, payloads)))
