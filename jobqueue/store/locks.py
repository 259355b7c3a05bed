"""Who is alive: an owner holds `locks/<owner>` for its whole life, and the kernel drops it when its process ends."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import finalize

from filelock import FileLock

from jobqueue.errors import QueueFolderError
from jobqueue.store import files


def new_owner(kind: str) -> str:
    """A name that no other owner ever has: `worker-<pid>-<epoch ms>-<random>`."""
    return f"{kind}-{os.getpid()}-{time.time_ns() // 1_000_000}-{os.urandom(2).hex()}"


def host() -> str:
    return socket.gethostname()


class Locks:
    """The lock files of one queue folder. `fd` is a descriptor of the folder, for as long as this is in use; without it
    one is opened here. What the path leads to is looked at before and after each lock, since filelock takes a path."""

    def __init__(self, folder: Path, fd: int | None = None) -> None:
        self.folder = folder
        self.fd = files.open_folder(str(folder)) if fd is None else fd
        if fd is None:
            finalize(self, os.close, self.fd)
        self.held: dict[str, FileLock] = {}

    def take(self, owner: str) -> None:
        """Holds the lock of an owner until `drop` or the end of the process."""
        self.held[owner] = self.acquired(owner, timeout=0)

    def drop(self, owner: str) -> None:
        """Lets go of an owner that has ended well, and removes its lock file: the name never comes again."""
        lock = self.held.pop(owner, None)
        if lock is not None:
            with suppress(OSError):
                files.remove(self.fd, owner)
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
        lock = self.acquired(name, timeout=-1)
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def try_hold(self, name: str) -> Iterator[bool]:
        """The same without waiting: False where somebody else holds it."""
        try:
            lock = self.acquired(name, timeout=0)
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
            file = os.open(owner, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.fd)
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
            return os.path.samestat(os.fstat(descriptor), os.stat(owner, dir_fd=self.fd, follow_symlinks=False))
        except FileNotFoundError:
            return False

    def acquired(self, owner: str, *, timeout: float) -> FileLock:
        """The lock, held; nothing is made or kept where the path leads elsewhere than to our folder."""
        self.check(os.fstat(self.fd), self.folder)
        lock = FileLock(self.folder / owner, thread_local=False, mode=0o600, fallback_to_soft=False)
        lock.acquire(timeout=timeout)
        try:
            self.check(os.fstat(lock._context.lock_file_fd or -1), owner, self.fd)
        except BaseException:
            lock.release()
            raise
        return lock

    def check(self, ours: os.stat_result, path: Path | str, fd: int | None = None) -> None:
        try:
            if os.path.samestat(ours, os.stat(path, dir_fd=fd, follow_symlinks=False)):
                return
        except FileNotFoundError:
            pass
        raise QueueFolderError(f"{self.folder}: is gone: the queue folder was moved or removed while it was in use")

    def close(self) -> None:
        for owner in list(self.held):
            self.release(owner)
