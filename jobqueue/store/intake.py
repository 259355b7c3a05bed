"""Looking at one file that may be a job: what it is, whether it is still being written, and what is wrong with it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from itertools import islice
from typing import NamedTuple

from jobqueue.errors import UnreadableJob
from jobqueue.model.job import Job
from jobqueue.model.request import read_record
from jobqueue.store import files
from jobqueue.store.codec import decode
from jobqueue.store.layout import job_id

F_SETSIG = getattr(fcntl, "F_SETSIG", 10)
F_SETLEASE = getattr(fcntl, "F_SETLEASE", 1024)
KINDS = {stat.S_IFLNK: "a symlink", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}

LARGEST = 256 << 20
"""Files that this package wrote may grow above the limit for dropped ones: by a result, or a long history."""
PART = 4 << 20
"""Bytes that are read at once."""
SHORTEST = 0.05
"""Seconds between two looks at a file that somebody is writing, whatever the settle time: else it would keep us busy."""
Mark = tuple[int, int, int]
"""Inode, time of the last write (ns) and size: what changes when a file changes."""


class Look(NamedTuple):
    """What was found under a name: exactly one of `job`, `problem` (it cannot be a job) or `skip` (leave it alone)."""

    job: Job | None = None
    problem: str = ""
    skip: str = ""
    mark: Mark = (0, 0, 0)
    moved_at: float = 0.0
    """The ctime of the file, seconds: a rename sets it, so for a claimed job it is the time of the claim."""


GONE = Look(skip="gone")


def look(folder: int, name: str, limit: int = LARGEST, *, check_writer: bool = False) -> Look:
    """Reads a job without ever following, blocking on or trusting what has its name.

    With `check_writer`, a file that some process has open for writing is `skip="busy"`.
    """
    try:
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return Look(skip=f"cannot be looked at: {error.strerror}")
    mark = (seen.st_ino, seen.st_mtime_ns, seen.st_size)
    if (problem := wrong_kind(seen, limit)) is not None:
        skip = "is a folder, not a job" if stat.S_ISDIR(seen.st_mode) else ""
        return Look(problem="" if skip else problem, skip=skip, mark=mark, moved_at=seen.st_ctime)
    try:
        file = files.open_to_look(folder, name)
    except FileNotFoundError:
        return GONE
    except OSError as error:
        return Look(skip=f"cannot be opened: {error.strerror}", mark=mark)
    try:
        return read(file, name, mark, check_writer)
    except OSError as error:
        return Look(skip=f"cannot be read: {error.strerror}", mark=mark)
    finally:
        os.close(file)


def wrong_kind(seen: os.stat_result, limit: int) -> str | None:
    if not stat.S_ISREG(seen.st_mode):
        return f"{KINDS.get(stat.S_IFMT(seen.st_mode), 'a device')}; only a regular file can be a job"
    if seen.st_nlink > 1:
        return f"a hard link ({seen.st_nlink} names for one file): a change elsewhere would change the job; drop a copy"
    if seen.st_size > limit:
        return f"{seen.st_size:,} bytes, above the limit of {limit:,}; keep the data in a file and pass its path"
    return None


def read(file: int, name: str, mark: Mark, check_writer: bool) -> Look:
    opened = os.fstat(file)
    if (opened.st_ino, opened.st_mtime_ns, opened.st_size) != mark or not stat.S_ISREG(opened.st_mode):
        return Look(skip="busy", mark=mark)  # it changed between the two looks
    if check_writer and is_being_written(file):
        return Look(skip="busy", mark=mark)
    try:
        job = read_record(job_id(name), decode(read_all(file, opened.st_size)))
    except UnreadableJob as error:
        if not check_writer and is_being_written(file):
            return Look(skip="busy", mark=mark)
        return Look(problem=str(error), mark=mark, moved_at=opened.st_ctime)
    return Look(job=job, mark=mark, moved_at=opened.st_ctime)


def read_all(file: int, size: int) -> bytes:
    """The bytes of a file, in parts: of one with NULs in it, which no JSON has (a sparse one, say), not all of them."""
    data = os.read(file, min(size + 1, PART))  # not the limit: the buffer is made first, and a large one costs 20 us
    if len(data) >= size or not data:
        return data
    parts, left = [data], size - len(data)
    while left > 0 and b"\0" not in parts[-1] and (data := os.read(file, min(left, PART))):
        parts.append(data)
        left -= len(data)
    return b"".join(parts)


def is_being_written(file: int) -> bool:
    """Whether some process has the file open for writing: the kernel grants a read lease only where none has."""
    try:
        # Should somebody open it while we hold the lease, the kernel sends a signal: one that is ignored by default.
        fcntl.fcntl(file, F_SETSIG, signal.SIGURG)
        fcntl.fcntl(file, F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EACCES) and not owned_by_another(file)
    fcntl.fcntl(file, F_SETLEASE, fcntl.F_UNLCK)
    return False


def owned_by_another(file: int) -> bool:
    return os.fstat(file).st_uid != os.geteuid()


class Settling:
    """Files that are no jobs yet: each gets the settle time, without a change and without a writer, to become one."""

    def __init__(self, seconds: float) -> None:
        self.seconds = max(seconds, SHORTEST)
        self.since: dict[str, tuple[Mark, float]] = {}

    def left(self, name: str, mark: Mark) -> float:
        """Seconds until this file, if it stays as it is, may be judged; zero or less when it may be now."""
        now = time.monotonic()
        known = self.since.get(name)
        if known is None or known[0] != mark:
            self.since.pop(name, None)
            self.since[name] = (mark, now)  # at the end: the first of them is always the one that has waited longest
            return self.seconds
        return self.seconds - (now - known[1])

    def forget(self, name: str) -> None:
        self.since.pop(name, None)

    def next_look(self) -> float | None:
        """Seconds until the first of them may be judged."""
        if not self.since:
            return None
        _, since = next(iter(self.since.values()))
        return max(0.0, since + self.seconds - time.monotonic())

    def settled(self, most: int) -> list[tuple[str, Mark]]:
        """Those whose time is over, at most so many."""
        now = time.monotonic()
        found = []
        for name, (mark, since) in islice(self.since.items(), most):
            if now - since < self.seconds:
                break
            found.append((name, mark))
        return found
