"""Who is alive: an owner holds `locks/<owner>` for its whole life, and the kernel drops it when its process ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock

from jobqueue.errors import QueueFolderError
from jobqueue.store import files


def new_owner(kind: str) -> str:
    """A name that no other owner ever has: `worker-<pid>-<epoch ms>-<random>`."""
    return f"{kind}-{os.getpid()}-{time.time_ns() // 1_000_000}-{os.urandom(2).hex()}"


def host() -> str:
    return socket.gethostname()


class Locks:
    """The lock files of one queue folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.held: dict[str, FileLock] = {}

    def take(self, owner: str) -> None:
        """Holds the lock of an owner until `drop` or the end of the process."""
        lock = self.lock_file(owner)
        lock.acquire(timeout=0)
        self.held[owner] = lock

    def drop(self, owner: str) -> None:
        """Lets go of an owner that has ended well, and removes its lock file: the name never comes again."""
        lock = self.held.pop(owner, None)
        if lock is not None:
            with suppress(OSError):
                files.remove_path(self.folder / owner)
            lock.release()

    def release(self, owner: str) -> None:
        """Lets go of an owner and leaves its lock file: what it still holds is for `rescue`."""
        lock = self.held.pop(owner, None)
        if lock is not None:
            lock.release()

    @contextmanager
    def seize(self, owner: str) -> Iterator[bool]:
        """Holds the lock of a dead owner for as long as the block lasts; False where the owner lives, or may live."""
        if self.holds(owner):
            yield False
            return
        with self.try_hold(owner) as dead:
            yield dead

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Waits for a lock that is about something, not someone, and holds it for as long as the block lasts."""
        with self.lock_file(name):
            yield

    @contextmanager
    def try_hold(self, name: str) -> Iterator[bool]:
        """The same without waiting: False where somebody else holds it."""
        try:
            lock = self.lock_file(name)
            lock.acquire(timeout=0)
        except OSError:  # held by somebody, or (a folder, a link, no more descriptors) nobody can tell
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def holds(self, owner: str) -> bool:
        """Whether it is ours. In a forked child, filelock has let go of what only the parent holds."""
        lock = self.held.get(owner)
        return lock is not None and lock.is_locked

    def alive(self, owner: str) -> bool:
        """Whether some process holds the lock right now."""
        if self.holds(owner):
            return True
        try:
            file = os.open(self.folder / owner, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        except OSError:  # a folder, a link, not ours: nobody can tell, so nothing is taken from it
            return True
        try:  # the very lock that filelock takes, asked for 50 times faster: a worker asks about all others every second
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)
        return False

    def descriptor(self, owner: str) -> int | None:
        lock = self.held.get(owner)
        return None if lock is None else lock._context.lock_file_fd

    def intact(self, owner: str) -> bool:
        """Whether the lock file is still the one we hold: a removed one would let others think we are dead."""
        descriptor = self.descriptor(owner)
        if descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.folder / owner))
        except FileNotFoundError:
            return False

    def lock_file(self, owner: str) -> FileLock:
        if not self.folder.is_dir():  # filelock would make it, and so half a queue where one was removed
            raise QueueFolderError(f"{self.folder}: is gone: the queue folder was moved or removed while it was in use")
        return FileLock(self.folder / owner, thread_local=False, mode=0o600, fallback_to_soft=False)

    def close(self) -> None:
        for owner in list(self.held):
            self.release(owner)
