"""What was derived from the journal, kept for the next process: `.jobqueue/cache/`, made when it is first written to.

Nothing depends on it. It may be removed at any time, by anybody; who cannot write here goes without. It is put in place in
one step and never synced: after a power cut it may hold anything, so that its reader must check what it reads.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from jobqueue.store import files
from jobqueue.store.layout import CACHE

LARGEST = 4 << 30
MOST_KEPT = 2 << 30
"""Bytes in all: the oldest go first."""


class FileCache:
    """`hidden` and `temporary` are descriptors of `.jobqueue/` and of its `tmp/`."""

    def __init__(self, hidden: int, temporary: int) -> None:
        self.hidden = hidden
        self.temporary = temporary
        self.ours = False

    def apart(self) -> FileCache:
        made = FileCache(os.dup(self.hidden), os.dup(self.temporary))
        made.ours = True
        return made

    def close(self) -> None:
        if self.ours:
            os.close(self.hidden)
            os.close(self.temporary)

    @contextmanager
    def opened(self, *, make: bool = False) -> Iterator[int]:
        if make:
            files.make_folder(CACHE, self.hidden)
        cache = files.open_folder(CACHE, self.hidden)
        try:
            seen = os.fstat(cache)
            if seen.st_uid != os.fstat(self.hidden).st_uid or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PermissionError("others may write here")
            yield cache
        finally:
            os.close(cache)

    def names(self) -> list[str]:
        with suppress(OSError), self.opened() as cache:
            return sorted(files.names(cache))
        return []

    def read(self, name: str) -> bytes | None:
        with suppress(OSError), self.opened() as cache:
            file = os.open(name, files.LOOK, dir_fd=cache)
            with os.fdopen(file, "rb") as stream:
                seen = os.fstat(file)
                return stream.read() if stat.S_ISREG(seen.st_mode) and seen.st_size <= LARGEST else None
        return None

    def write(self, name: str, parts: Iterable[bytes | memoryview]) -> bool:
        temporary = f"cache-{os.urandom(8).hex()}"
        try:
            with self.opened(make=True) as cache:
                files.write_parts(self.temporary, temporary, parts)
                files.replace(self.temporary, temporary, cache, name)
                self.bound(cache, name)
        except OSError:
            with suppress(OSError):
                files.remove(self.temporary, temporary)
            return False
        return True

    def bound(self, cache: int, newest: str) -> None:
        """Makes room: what was written first goes first."""
        found = []
        for name in files.names(cache):
            with suppress(FileNotFoundError):
                seen = os.stat(name, dir_fd=cache, follow_symlinks=False)
                found.append((name == newest, seen.st_ctime, name, seen.st_size))
        total = sum(size for *_, size in found)
        for _, _, name, size in sorted(found):
            if total > MOST_KEPT and name != newest:
                with suppress(OSError):
                    files.remove(cache, name)
                total -= size

    def remove(self, name: str) -> None:
        with suppress(OSError), self.opened() as cache:
            files.remove(cache, name)
