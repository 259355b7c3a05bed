"""The doorbell: producers append the names of new jobs to one small file, and a busy worker reads what was added.

Without it a worker with a long backlog would have to list the folder, or take an event for each rename, to hear of an
urgent newcomer. It is a hint and nothing more: whatever is lost here is found by the rescan.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from jobqueue.store import files
from jobqueue.store.layout import ARRIVALS, file_name, is_job_name, job_id

LARGEST = 1 << 20
FREED = "/"
ANY = "any"


class Arrivals:
    def __init__(self, folder: int) -> None:
        self.folder = folder
        self.bell: int | None = None
        self.ear: int | None = None
        self.heard = 0
        self.freed: list[str] = []
        """The limits (their hashes) under which a place was freed, since somebody last took them from here."""
        self.rang = False
        """Whether this very process has announced something that its own ear has not heard yet."""

    def announce(self, names: Sequence[str]) -> None:
        """Rings once for a whole group; a full disk must not stop what was already put in place."""
        self.rang = True
        try:
            if self.bell is None:
                self.bell = os.open(ARRIVALS, files.APPEND, 0o600, dir_fd=self.folder)
            os.write(self.bell, b"".join(os.fsencode(name) + b"\n" for name in names))
        except OSError:
            return

    def free(self, hashes: Sequence[str]) -> None:
        """Rings for limits under which a place was freed; a slash tells them from the names of jobs."""
        self.announce([FREED + hash for hash in hashes])

    def rings(self) -> bool:
        """Whether something was added that `news` has not told yet."""
        return self.ear is not None and os.fstat(self.ear).st_size != self.heard

    def news(self) -> tuple[list[str], bool]:
        """The names that were announced since the last call, and whether some may have been missed."""
        if self.ear is None:
            self.ear = os.open(ARRIVALS, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.folder)
            self.heard = os.fstat(self.ear).st_size
            return [], True
        data = os.pread(self.ear, 1 << 16, self.heard)
        if not data:
            return [], self.was_emptied()
        whole = data.rfind(b"\n") + 1
        if whole == 0:
            self.heard += len(data) if len(data) == 1 << 16 else 0
            return [], False
        self.heard += whole
        names = [os.fsdecode(line) for line in data[:whole].split(b"\n") if line]
        self.freed += [name[1:] for name in names if name[0] == FREED]
        return [name for name in names if is_job_name(name) and file_name(job_id(name)) == name], False

    def was_emptied(self) -> bool:
        """Somebody emptied the file because it had grown; what stood between is for the rescan."""
        size = os.fstat(self.ear or 0).st_size
        if size < self.heard:
            self.heard = 0
            return True
        if size > LARGEST:
            os.ftruncate(self.ear or 0, 0)
            self.heard = 0
        return False

    def close(self) -> None:
        for file in (self.bell, self.ear):
            if file is not None:
                os.close(file)
        self.bell = self.ear = None
