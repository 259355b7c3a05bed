"""Keeping the journal: files of days that are over are packed, and those that are too old go. All of it in small steps.

    20261101-0.jsonl -> tmp/r [synced, read back and compared] -> 20261101-0.jsonl.gz [folder synced]; then the plain one goes

Until it has gone there are two with the same bytes, and readers take the packed one. A file whose lock somebody holds is
still being written, and is left alone.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import re
import zlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from itertools import count

from jobqueue.inert import inert_logger
from jobqueue.store import files
from jobqueue.store.base import Kept
from jobqueue.store.commit import Scratch
from jobqueue.store.journal import Journal
from jobqueue.store.journal_lines import ENDING, MOST_UNPACKED, PACKED

log = inert_logger("jobqueue")

PACKED_AFTER = timedelta(days=2)
"""From the end of its day on: whoever looks at what is new finds it in plain files."""
AT_ONCE = 1 << 16
LOOK_EVERY = 0.002
LEVEL = 6
GZIP = zlib.MAX_WBITS + 16
NAME = re.compile(r"(\d{8})-([\w-]+)" + re.escape(ENDING) + f"({re.escape(PACKED)})?", re.ASCII)
LOCKABLE = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Keeping:
    def __init__(self, journal: Journal, scratch: Scratch) -> None:
        self.journal = journal
        self.folder = journal.folder
        self.scratch = scratch

    def keep(self, now: datetime, age: float | None = None, *, dry_run: bool = False) -> Iterator[Kept | None]:
        """Removes what is older than `age` (seconds), and packs what is left; with `dry_run` it tells what would go.

        Each step takes a few milliseconds; None is a step in between.
        """
        names = sorted(name for name in files.names(self.folder) if day_of(name) is not None)
        yield None
        for name in names:
            ends = datetime.combine(day_of(name) or date.min, datetime.min.time(), now.tzinfo) + timedelta(days=1)
            if age is not None and ends < now - timedelta(seconds=age):
                yield self.remove(name, dry_run)
            elif ends <= now - PACKED_AFTER and not name.endswith(PACKED) and not dry_run:
                yield from self.pack(name)

    def remove(self, name: str, dry_run: bool) -> Kept | None:
        with self.seized(name) as file:
            if file is None:
                return None
            size = os.fstat(file).st_size
            if not dry_run:
                files.remove(self.folder, name)
            return Kept(name, size, "removed")

    @contextmanager
    def seized(self, name: str) -> Iterator[int | None]:
        """A file of ours, locked for as long as the block lasts; None for one that somebody writes, or that is none."""
        try:
            file = os.open(name, LOCKABLE | os.O_NOFOLLOW, dir_fd=self.folder)
        except OSError:
            yield None
            return
        try:
            yield file if self.journal.is_regular(name) and locked(file) and self.journal.is_at(file, name) else None
        finally:
            os.close(file)

    def pack(self, name: str) -> Iterator[Kept | None]:
        with self.seized(name) as file:
            if file is None or os.fstat(file).st_size > MOST_UNPACKED:
                return
            if files.exists(self.folder, name + PACKED):
                yield from self.part(file, name)
                return
            temporary = self.scratch.new_name()
            try:
                yield from self.write_packed(file, temporary)
                if not (yield from self.same(file, self.scratch.folder, temporary)):
                    log.error("journal: %s could not be packed: what was written is not what is read; it stays as it is", name)
                    return
                files.move(self.scratch.folder, temporary, self.folder, name + PACKED)
                yield from self.synced(files.sync_folder, self.folder)
                files.remove(self.folder, name)
            finally:
                self.scratch.discard([temporary])
            yield Kept(name, os.fstat(file).st_size, "packed")

    def write_packed(self, file: int, temporary: str) -> Iterator[None]:
        """Whole and on disk when it ends."""
        target = os.open(temporary, files.NEW, 0o600, dir_fd=self.scratch.folder)
        try:
            packer, position = zlib.compressobj(LEVEL, zlib.DEFLATED, GZIP), 0
            while block := os.pread(file, AT_ONCE, position):
                position += len(block)
                if data := packer.compress(block):
                    files.write_all(target, data)
                yield
            files.write_all(target, packer.flush())
            yield from self.synced(files.sync_file, target)
        finally:
            os.close(target)

    def synced(self, sync: Callable[[int], None], file: int) -> Iterator[None]:
        """In a thread: a sync of megabytes takes longer than the worker that does this may be held up."""
        if not self.scratch.durable:
            return
        with ThreadPoolExecutor(1, "jobqueue-journal") as pool:
            future = pool.submit(sync, file)
            while not future.done():
                wait([future], LOOK_EVERY)
                yield
            future.result()

    def same(self, file: int, folder: int, packed: str) -> Generator[None, None, bool]:
        """Whether a packed file holds the very bytes of a plain one: the answer of this generator."""
        position = 0
        try:
            with os.fdopen(files.open_regular(folder, packed), "rb") as stream, gzip.open(stream) as unpacked:
                while block := unpacked.read(AT_ONCE):
                    if os.pread(file, len(block), position) != block:
                        return False
                    position += len(block)
                    yield
        except (OSError, EOFError, zlib.error):
            return False
        return position == os.fstat(file).st_size

    def part(self, file: int, name: str) -> Iterator[Kept | None]:
        """Both are there. Where a crash has left them so, the plain one goes; else it gets a name under which it is read."""
        if (yield from self.same(file, self.folder, name + PACKED)):
            files.remove(self.folder, name)
            yield Kept(name, os.fstat(file).st_size, "packed")
            return
        for number in count():
            other = f"{name[:8]}-{number}{ENDING}"
            if not files.exists(self.folder, other + PACKED):
                with suppress(FileExistsError):
                    files.move(self.folder, name, self.folder, other)
                    log.warning("journal: %s is not what is in %s; it is %s from now on", name, name + PACKED, other)
                    return


def locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def day_of(name: str) -> date | None:
    """The day of a file of the journal; None for what is none, which is left alone for ever."""
    match = NAME.fullmatch(name)
    try:
        return None if match is None else datetime.strptime(match[1], "%Y%m%d").date()
    except ValueError:
        return None
