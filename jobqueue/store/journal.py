"""The append-only record of what happened: one JSON object a line, one file for each writer and day.

    .jobqueue/journal/20261122-0.jsonl    the first of those who wrote at the same time on that day (UTC)
                      20261122-1.jsonl    the second
                      20261101-0.jsonl.gz an old one

A writer holds the lock of its file for as long as it has it open, so that a file has one writer at a time, and there are no
more files than there were writers at the same time. Whoever takes over a file ends a line that the last one left torn.

Metrics come from here, so that purging a job never changes them. It is never the truth about where a job is: what the disk
refuses goes out with the next lines, and keeps no job from finishing. A line is written at least once; the key of an
attempt tells doubles apart. What cannot be read is skipped.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import stat
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from itertools import count
from typing import IO

import msgspec

from jobqueue.inert import inert_logger
from jobqueue.model.entry import AttemptEntry, Entry
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE as UNREADABLE_TEXT
from jobqueue.store.derived import JournalFile

log = inert_logger("jobqueue")

ENDING = ".jsonl"
PACKED = ".gz"
LINE_FEED = b"\n"
MOST_UNWRITTEN = 16 << 20
TAIL = 1 << 16
"""Bytes that are read first from the end of a file by who wants what is new; the double of it then, and so on."""
UNREADABLE = (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error)
"""A file that was packed meanwhile, or one that is packed and damaged: the rest of it is skipped."""
DISORDER = timedelta(minutes=1)
FILE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
encoder = msgspec.json.Encoder()
attempt_decoder = msgspec.json.Decoder(AttemptEntry)


class Journal:
    """Appends with one `write` for each group of entries; reads all files of all writers."""

    def __init__(self, folder: int) -> None:
        self.folder = folder
        self.unwritten = b""
        self.day = date.min
        self.file: int | None = None
        self.lock = threading.Lock()
        self.complained = False

    # -- writing

    def append(self, entries: Sequence[Entry], now: datetime) -> None:
        """Never raises for the disk: what it refuses waits in memory, and goes out with the next entries."""
        if not entries:
            return
        data = b"".join([encoder.encode(entry) + LINE_FEED for entry in entries])
        with self.lock:
            self.unwritten += data
            files.step("journal")
            try:
                files.write_all(self.file_of(now), self.unwritten)
            except OSError as error:
                self.refused(error)
            else:
                self.unwritten = b""
                self.complained = False

    def refused(self, error: OSError) -> None:
        """Whatever of it was written stands there as a torn line, and comes again; so does what was whole: as a double."""
        if not self.complained:
            log.error("the journal cannot be written (%s); %d bytes wait", error.strerror, len(self.unwritten))
        self.complained = True
        self.close()
        if len(self.unwritten) > MOST_UNWRITTEN:
            log.error("the journal could not be written for long: %d bytes of it are lost", len(self.unwritten))
            self.unwritten = b""

    def file_of(self, now: datetime) -> int:
        if self.file is None or now.date() != self.day:
            self.close()
            self.file = self.open_free(f"{now:%Y%m%d}")
            self.day = now.date()
        return self.file

    def open_free(self, day: str) -> int:
        """The first file of this day that nobody has open for writing."""
        for number in count():
            while (file := self.open_locked(f"{day}-{number}{ENDING}")) is None:
                pass  # it was packed, or removed, between the open and the lock
            if file >= 0:
                end_torn_line(file)
                return file
        raise AssertionError

    def open_locked(self, name: str) -> int | None:
        """-1 where another writer has it; None where it is no longer what has this name."""
        file = os.open(name, FILE, 0o600, dir_fd=self.folder)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(file), os.stat(name, dir_fd=self.folder, follow_symlinks=False)):
                return file
        except BlockingIOError:
            os.close(file)
            return -1
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(file)
            raise
        os.close(file)
        return None

    # -- reading

    def names(self, since: datetime | None = None) -> list[str]:
        """The files that may hold what came since then. One that is packed already counts once."""
        first_day = "" if since is None else f"{since:%Y%m%d}"
        found = {name for name in os.listdir(self.folder) if name.endswith((ENDING, ENDING + PACKED)) and name[:8] >= first_day}
        return sorted(name for name in found if name + PACKED not in found)

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
        """All lines as they stand there, and maybe some that are older, file by file."""
        for name in self.names(since):
            with suppress(*UNREADABLE), self.open(name) as stream:
                if since is not None and not name.endswith(PACKED):
                    stream.seek(start_of(stream, since))
                yield from stream

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        with os.fdopen(os.open(name, files.LOOK, dir_fd=self.folder), "rb") as stream:
            if name.endswith(PACKED):
                with gzip.open(stream) as unpacked:
                    yield unpacked  # type: ignore[misc]
            else:
                yield stream

    def attempts(self, since: datetime | None = None) -> Iterator[AttemptEntry]:
        """The finished attempts, oldest first. Each once, however often it was written."""
        seen = {
            entry.key: entry
            for line in self.lines(since)
            if (entry := attempt_in(line)) is not None
            and (since is None or (entry.finished_at is not None and entry.finished_at >= since))
        }
        yield from sorted(seen.values(), key=lambda entry: entry.finished_at.timestamp() if entry.finished_at else 0.0)

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None


def attempt_in(line: bytes) -> AttemptEntry | None:
    """None for a line that is torn, or about something else."""
    try:
        return attempt_decoder.decode(line)
    except UNREADABLE_TEXT:
        return None


def is_entry(line: bytes) -> bool:
    """Whether a line can be read: an attempt, or anything that says what it is."""
    if attempt_in(line) is not None:
        return True
    try:
        return bool(msgspec.json.decode(line, type=Said).what)
    except UNREADABLE_TEXT:
        return False


class Said(msgspec.Struct):
    what: str


def end_torn_line(file: int) -> None:
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != LINE_FEED:
        os.write(file, LINE_FEED)


def start_of(stream: IO[bytes], since: datetime) -> int:
    """A place in the file before everything that came since then: lines stand there in the order of their time, give or
    take a moment, so that looking back from the end finds it without reading it all."""
    size = stream.seek(0, os.SEEK_END)
    length = TAIL
    while length < size:
        stream.seek(size - length)
        stream.readline()
        start = stream.tell()
        entry = next((entry for line in stream if (entry := attempt_in(line)) is not None), None)
        if entry is not None and entry.finished_at is not None and entry.finished_at < since - DISORDER:
            return start
        length *= 2
    return 0
