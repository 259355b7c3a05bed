"""The log of one job: appended to, and never larger than its limit.

When it is full, the first quarter and the last part stay, and a line between them says how much was left out:

    --- 1048576 bytes left out ---

Positions count every byte that was ever written, so that whoever follows the log finds its place again afterwards.
"""

from __future__ import annotations

import os
import re

from jobqueue.inert import inert_logger
from jobqueue.store import files
from jobqueue.store.commit import Scratch

log = inert_logger("jobqueue")

LEFT_OUT = "\n--- %d bytes left out ---\n"
GAP = re.compile(rb"\n--- (\d{1,18}) bytes left out ---\n")
LONG_LINE = 4096
READ_AND_APPEND = files.APPEND & ~os.O_WRONLY | os.O_RDWR


class FileLog:
    """Appends for one attempt at a time. `heading` is a line that goes before the first bytes of the attempt."""

    def __init__(self, folder: int, name: str, scratch: Scratch, limit: int, heading: str = "") -> None:
        self.folder = folder
        self.name = name
        self.scratch = scratch
        self.limit = limit
        self.heading = heading
        self.file: int | None = None
        self.size = 0
        self.refused = False

    def write(self, data: bytes) -> None:
        try:
            self.append(data)
        except OSError as error:
            if not self.refused:
                self.refused = True  # first: what is logged here may come back as output of the job
                log.warning("the log %s cannot be written, and output is lost: %s", self.name, error.strerror)

    def append(self, data: bytes) -> None:
        if self.file is None:
            data = self.open() + data
        if self.size + len(data) > self.limit:
            self.make_room(data)
            return
        assert self.file is not None
        files.write_all(self.file, data)
        self.size += len(data)

    def open(self) -> bytes:
        """Opens the file; returns what goes before the first bytes."""
        self.file = os.open(self.name, READ_AND_APPEND, 0o600, dir_fd=self.folder)
        self.size = os.fstat(self.file).st_size
        torn = self.size > 0 and os.pread(self.file, 1, self.size - 1) != b"\n"
        heading = f"{self.heading}\n" if self.heading else ""
        return ("\n" * torn + heading).encode("utf-8", "backslashreplace")

    def make_room(self, data: bytes) -> None:
        """Leaves out the middle of what was written so far together with `data`."""
        assert self.file is not None
        everything = os.pread(self.file, self.size, 0) + data
        shortened = leave_out(everything, self.limit // 4, self.limit * 3 // 8)
        self.scratch.replace(self.folder, self.name, shortened)
        self.close()
        self.file = os.open(self.name, READ_AND_APPEND, 0o600, dir_fd=self.folder)
        self.size = len(shortened)

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None


def leave_out(data: bytes, head: int, tail: int) -> bytes:
    """The first and the last bytes, cut at line ends where there are any near, and between them how many are missing."""
    before, missing, behind = parts(data)
    if not missing:
        before = cut(data, head)
        behind = data[len(before) :]
    end = behind[-tail:]
    end = end[end.find(b"\n", 0, LONG_LINE) + 1 :]
    return before + (LEFT_OUT % (missing + len(behind) - len(end))).encode() + end


def cut(data: bytes, size: int) -> bytes:
    end = data.rfind(b"\n", max(0, size - LONG_LINE), size)
    return data[: size if end < 0 else end]


def read_log(folder: int, name: str, start: int = 0, last: int | None = None) -> tuple[bytes, int]:
    """The bytes from position `start` on, or the `last` so many of them; and the position behind them.

    Bytes that were left out meanwhile are skipped, with the line that says so in their place.
    """
    try:
        file = os.open(name, files.LOOK, dir_fd=folder)
    except OSError:
        return b"", start
    try:
        size = os.fstat(file).st_size
        data = os.pread(file, size, 0)
    finally:
        os.close(file)
    return section(data, start, last)


def section(data: bytes, start: int, last: int | None) -> tuple[bytes, int]:
    head, missing, behind = parts(data)
    if start <= len(head):
        found = data[start:]
    elif start < len(head) + missing:
        found = LEFT_OUT.encode() % missing + behind
    else:
        found = behind[start - len(head) - missing :]
    return (found if last is None else found[-last:] if last else b""), len(head) + missing + len(behind)


def parts(data: bytes) -> tuple[bytes, int, bytes]:
    """What stands before the gap, how many bytes are missing in it, and what stands behind it."""
    gap = GAP.search(data)
    return (data, 0, b"") if gap is None else (data[: gap.start()], int(gap[1]), data[gap.end() :])
