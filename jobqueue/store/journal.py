"""The append-only record of what happened: one JSON object a line, one file for each writer and day.

    .jobqueue/journal/20261122-0.jsonl    the first of those who wrote at the same time on that day (UTC)
                      20261122-1.jsonl    the second; or what followed when the first was full, or when the clock was put back
                      20261101-0.jsonl.gz an old one, packed: the very same bytes (see keeping.py)

A writer holds the lock of its file for as long as it has it open, so that a file has one writer at a time, and there are no
more files than there were writers at the same time. Whoever takes over a file ends a line that the last one left torn.
In one file the times of attempts and events rise, give or take a moment; those of items, which come with their attempt, do not.

Metrics come from here, so that purging a job never changes them. It is never the truth about where a job is: what the disk
refuses goes out with the next lines, and keeps no job from finishing. A line is written at least once; the key of an
attempt tells doubles apart. What cannot be read is skipped.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import date, datetime
from io import BufferedIOBase
from itertools import count

import msgspec

from jobqueue.inert import inert_logger
from jobqueue.model.entry import AttemptEntry, Entry
from jobqueue.model.filter import LONG_AGO
from jobqueue.store import files
from jobqueue.store.derived import JournalFile
from jobqueue.store.journal_lines import (
    DISORDER,
    ENDING,
    LINE_FEED,
    PACKED,
    UNREADABLE,
    attempt_in,
    is_packed,
    latest_in,
    lines_in,
    moment_before,
    open_journal,
    start_of,
)

log = inert_logger("jobqueue")

LARGEST = 64 << 20
"""Bytes; a file that has reached them is full: all later work on it comes in pieces of a size that is known."""
MOST_UNWRITTEN = 16 << 20
LAST = 1 << 16
"""Bytes at the end of a file that tell its latest time."""
FILE = os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
NO_FILE = (errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.EACCES, errno.EPERM)
encoder = msgspec.json.Encoder()


class Journal:
    """Appends with one `write` for each group of entries; reads all files of all writers."""

    def __init__(self, folder: int) -> None:
        self.folder = folder
        self.unwritten = b""
        self.day = date.min
        self.latest = LONG_AGO
        self.size = 0
        self.file: int | None = None
        self.lock = threading.Lock()
        self.complained = False

    # -- writing

    def append(self, entries: Sequence[Entry], now: datetime) -> None:
        """What the disk refuses waits in memory, and goes out with the next entries. Raises only where more waits than
        memory should hold."""
        if not entries:
            return
        data = b"".join([encoder.encode(entry) + LINE_FEED for entry in entries])
        with self.lock:
            if len(self.unwritten) > MOST_UNWRITTEN and (error := self.write(now)) is not None:
                raise error
            self.unwritten += data
            if (error := self.write(now)) is not None and not self.complained:
                log.error("cannot write to the journal (%s); what is missing is written later", error.strerror)
            self.complained = error is not None

    def write(self, now: datetime) -> OSError | None:
        """Writes what waits; what made that impossible. What was written of it stands there as a torn line, and as doubles."""
        files.step("journal")
        try:
            files.write_all(self.file_of(now), self.unwritten)
        except OSError as error:
            self.let_go()
            return error
        self.size += len(self.unwritten)
        self.latest = max(self.latest, now)
        self.unwritten = b""
        return None

    def file_of(self, now: datetime) -> int:
        if self.file is None or now.date() != self.day or self.size >= LARGEST or self.latest > now + DISORDER:
            self.let_go()
            self.file = self.open_free(now)
            self.day = now.date()
        return self.file

    def open_free(self, now: datetime) -> int:
        """The first file of this day that nobody has open for writing, that is not full, and that holds nothing from later
        than now: where the clock was put back, another file begins, so that each is in the order of its times."""
        for number in count():
            name = f"{now:%Y%m%d}-{number}{ENDING}"
            while (file := self.open_locked(name)) is None:
                pass  # it was packed, or removed, between the open and the lock
            if file >= 0:
                try:
                    if self.takes_over(file, now):
                        return file
                except BaseException:
                    os.close(file)
                    raise
                os.close(file)
        raise AssertionError

    def takes_over(self, file: int, now: datetime) -> bool:
        self.size = os.fstat(file).st_size
        tail = os.pread(file, LAST, max(0, self.size - LAST))
        self.latest = latest_in(tail) or LONG_AGO
        if self.size >= LARGEST or self.latest > now + DISORDER:
            return False
        if tail and not tail.endswith(LINE_FEED):
            os.write(file, LINE_FEED)
        return True

    def open_locked(self, name: str) -> int | None:
        """-1 where another writer has it, or where it is none of ours; None where it no longer has this name."""
        if files.exists(self.folder, name + PACKED):
            return -1
        try:
            file = os.open(name, FILE | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=self.folder)
        except OSError as error:
            if error.errno in NO_FILE and files.exists(self.folder, name):
                return -1  # a folder, a link, somebody else's
            raise
        try:
            return self.locked(file, name)
        except BaseException:
            os.close(file)
            raise

    def locked(self, file: int, name: str) -> int | None:
        answer: int | None = -1
        if stat.S_ISREG(os.fstat(file).st_mode):
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                answer = file if self.is_at(file, name) else None
        if answer == file and files.exists(self.folder, name + PACKED):
            # It was packed between our first look and the open, which has made an empty one anew.
            if os.fstat(file).st_size == 0:
                files.remove(self.folder, name)
            answer = -1
        if answer != file:
            os.close(file)
        return answer

    def is_at(self, file: int, name: str) -> bool:
        try:
            return os.path.samestat(os.fstat(file), os.stat(name, dir_fd=self.folder, follow_symlinks=False))
        except FileNotFoundError:
            return False

    # -- reading

    def names(self, since: datetime | None = None) -> list[str]:
        """The files that may hold what came since then. One that is packed already counts once."""
        first_day = "" if since is None else moment_before(since).strftime("%Y%m%d").zfill(8)
        ours = (name for name in files.names(self.folder) if name.endswith((ENDING, ENDING + PACKED)))
        found = {name for name in ours if name[:8] >= first_day}
        return sorted(name for name in found if name + PACKED not in found or not self.is_regular(name + PACKED))

    def is_regular(self, name: str) -> bool:
        try:
            return stat.S_ISREG(os.stat(name, dir_fd=self.folder, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def look(self) -> list[JournalFile]:
        """Each file that counts, as it is now: by this, a reader that follows sees which have changed, and how."""
        found = []
        for name in self.names():
            with suppress(FileNotFoundError):
                seen = os.stat(name, dir_fd=self.folder, follow_symlinks=False)
                if stat.S_ISREG(seen.st_mode):
                    found.append(JournalFile(name, seen.st_ino, seen.st_size, seen.st_mtime_ns))
        return found

    @property
    def identity(self) -> tuple[int, int]:
        """The folder itself, whatever path leads to it."""
        seen = os.fstat(self.folder)
        return (seen.st_dev, seen.st_ino)

    def lines(self, since: datetime | None = None) -> Iterator[bytes]:
        """All lines as they stand there, and maybe some that are older, file by file; of one that is far too long the start."""
        for name in self.names(since):
            with suppress(*UNREADABLE), self.open(name) as stream:
                if since is not None and not is_packed(stream):
                    stream.seek(start_of(stream, since))
                yield from lines_in(stream)

    def open(self, name: str) -> AbstractContextManager[BufferedIOBase]:
        return open_journal(self.folder, name)

    def attempts(self, since: datetime | None = None) -> Iterator[AttemptEntry]:
        """The finished attempts, oldest first. Each once, however often it was written."""
        seen = {
            entry.key: entry
            for line in self.lines(since)
            if (entry := attempt_in(line)) is not None
            and (since is None or (entry.finished_at is not None and entry.finished_at >= since))
        }
        yield from sorted(seen.values(), key=lambda entry: entry.finished_at.timestamp() if entry.finished_at else 0.0)

    def close(self, now: datetime | None = None) -> None:
        """Tries a last time to write what waits."""
        with self.lock:
            if self.unwritten and now is not None and (error := self.write(now)) is not None:
                log.error("%d bytes are missing in the journal (%s)", len(self.unwritten), error.strerror)
            self.let_go()

    def let_go(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None
