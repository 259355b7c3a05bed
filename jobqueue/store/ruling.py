"""The file that says what the whole queue was told: paused or not, by whom and why."""

from __future__ import annotations

import os
from collections.abc import Callable

import msgspec

from jobqueue.errors import QueueFolderError
from jobqueue.model.control import Control
from jobqueue.store import files
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.commit import Scratch
from jobqueue.store.folder import Folder
from jobqueue.store.layout import CONTROL, RULING
from jobqueue.store.locks import Locks


class Ruling:
    def __init__(self, folder: Folder, scratch: Scratch, locks: Locks) -> None:
        self.folder = folder
        self.scratch = scratch
        self.locks = locks
        self.seen: tuple[int, int] = (0, 0)
        self.known = Control()

    def read(self) -> Control:
        """Read again only when the file was replaced: one `stat` tells."""
        try:
            seen = os.stat(CONTROL, dir_fd=self.folder.hidden, follow_symlinks=False)
        except FileNotFoundError:
            self.known = Control()
            return self.known
        mark = (seen.st_ino, seen.st_mtime_ns)
        if mark != self.seen:
            try:
                self.known = msgspec.json.decode(files.read_small(self.folder.hidden, CONTROL), type=Control)
            except UNREADABLE as error:
                raise QueueFolderError(
                    f"{self.folder.path}/.jobqueue/{CONTROL}: cannot be read ({error}); remove it to resume"
                ) from None
            self.seen = mark
        return self.known

    def write(self, control: Control) -> None:
        self.scratch.replace(self.folder.hidden, CONTROL, msgspec.json.format(msgspec.json.encode(control), indent=2) + b"\n")

    def try_change(self, change: Callable[[Control], Control]) -> bool:
        """The same for whoever must not wait; False where somebody else holds the lock."""
        with self.locks.try_hold(RULING) as ours:
            if ours:
                self.write(change(self.read()))
        return ours

    def change(self, change: Callable[[Control], Control]) -> tuple[Control, Control]:
        """Reads, changes and writes under a lock, so that two people's changes do not undo each other: before and after."""
        with self.locks.hold(RULING):
            before = self.read()
            control = change(before)
            self.write(control)
        return before, control
