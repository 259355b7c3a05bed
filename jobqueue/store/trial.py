"""What a queue rests on, each done once in a temporary folder: rename, exchange, lock, events, sync, lease."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from signal import SIGURG
from typing import NamedTuple

from jobqueue.store import files
from jobqueue.store.finding import Finding
from jobqueue.store.folder import Folder
from jobqueue.store.intake import F_SETLEASE, F_SETSIG, is_being_written
from jobqueue.store.locks import Locks
from jobqueue.store.mounts import ELSEWHERE
from jobqueue.store.watch import Watch

EVENT_WITHIN = 1.0
"""Seconds."""


class Trial(NamedTuple):
    """The temporary folder in which things are tried. `path` leads to it even when the queue folder was moved."""

    fd: int
    path: Path


@contextmanager
def trial(folder: Folder) -> Iterator[Trial]:
    parent = folder.fds["tmp"]
    name = f"{os.getpid()}-{os.urandom(6).hex()}-selftest"
    files.make_folder(name, parent)
    try:
        fd = files.open_folder(name, parent)
        try:
            yield Trial(fd, Path(os.readlink(f"/proc/self/fd/{fd}")))
        finally:
            empty(fd)
            os.close(fd)
    finally:
        with suppress(OSError):
            files.remove_folder(parent, name)


def empty(fd: int) -> None:
    for name in files.names(fd):
        with suppress(OSError):
            files.remove(fd, name)


def try_rename(place: Trial) -> Finding:
    files.write_new(place.fd, "mine", b"mine")
    files.write_new(place.fd, "taken", b"taken")
    files.move(place.fd, "mine", place.fd, "moved")
    if files.exists(place.fd, "mine") or files.read_small(place.fd, "moved") != b"mine":
        return Finding("fail", "rename", "a renamed file is not where it should be", ELSEWHERE)
    try:
        files.move(place.fd, "moved", place.fd, "taken")
    except FileExistsError:
        return Finding("ok", "rename", "moves, and never overwrites")
    return Finding("fail", "rename", "overwrites a file that is there: one job could replace another", ELSEWHERE)


def try_exchange(place: Trial) -> Finding:
    files.write_new(place.fd, "left", b"left")
    files.write_new(place.fd, "right", b"right")
    files.swap(place.fd, "left", place.fd, "right")
    if (files.read_small(place.fd, "left"), files.read_small(place.fd, "right")) != (b"right", b"left"):
        return Finding("fail", "exchange", "two files did not change places", ELSEWHERE)
    return Finding("ok", "exchange", "two files change places in one step")


def try_new_file(place: Trial) -> Finding:
    """A job must be private from the first moment, whatever the umask."""
    files.write_new(place.fd, "new", b"{}")
    seen = os.stat("new", dir_fd=place.fd)
    if stat.S_IMODE(seen.st_mode) != 0o600 or seen.st_uid != os.geteuid():
        found = f"a new file has mode {stat.S_IMODE(seen.st_mode):04o} and owner {seen.st_uid}: not yours alone"
        return Finding("warn", "new files", found, "use a file system that keeps permissions")
    return Finding("ok", "new files", "mode 0600, your own")


def try_links(place: Trial) -> Finding:
    """The link count is how a dropped hard link is told from a file of its own."""
    files.write_new(place.fd, "one", b"{}")
    before = os.stat("one", dir_fd=place.fd).st_nlink
    try:
        files.link(place.fd, "one", "two")
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK) and before == 1:
            return Finding("ok", "link count", "1; there are no hard links here")
        raise
    after = os.stat("one", dir_fd=place.fd).st_nlink
    if (before, after) != (1, 2):
        found = f"{before} for one name and {after} for two: dropped hard links are not told apart"
        return Finding("warn", "link count", found, "drop copies, never links")
    return Finding("ok", "link count", "counts names")


def try_lock(place: Trial) -> Finding:
    """Held once, refused to a second descriptor, and after the release the same file is there, free again."""
    owner, other = Locks(place.path), Locks(place.path)
    owner.take("lock")
    held = os.stat("lock", dir_fd=place.fd).st_ino
    with other.seize("lock") as granted_twice:
        pass
    owner.release("lock")
    if granted_twice:
        return Finding("fail", "lock", "granted twice: a live worker would be taken for dead", ELSEWHERE)
    if not files.exists(place.fd, "lock") or os.stat("lock", dir_fd=place.fd).st_ino != held:
        return Finding("fail", "lock", "the lock file changes on release", "pip install --upgrade 'filelock>=4.2.11'")
    with other.seize("lock") as granted:
        pass
    if not granted:
        return Finding("fail", "lock", "not free after its release: a dead worker would keep its jobs", ELSEWHERE)
    return Finding("ok", "lock", "exclusive, and free after its release")


def try_events(place: Trial) -> Finding:
    files.write_new(place.fd, "quiet.json", b"{}")
    names: SimpleQueue[str] = SimpleQueue()
    watch = Watch(str(place.path), names, quiet=True)
    try:
        if not watch.start():
            return Finding("warn", "events", f"none ({watch.broken}): polling every 50 ms", "see fs.inotify in sysctl")
        started = time.monotonic()
        files.move(place.fd, "quiet.json", place.fd, "loud.json")
        took = heard(names, "loud.json", started)
    finally:
        watch.stop()
    if took is None:
        return Finding("warn", "events", f"a rename was not reported within {EVENT_WITHIN:.0f} s: polling every 50 ms")
    return Finding("ok", "events", f"a rename is reported after {took * 1000:.1f} ms")


def heard(names: SimpleQueue[str], name: str, started: float) -> float | None:
    """Seconds until this name was reported, or None."""
    with suppress(Empty):
        while (left := started + EVENT_WITHIN - time.monotonic()) > 0:
            if names.get(timeout=left) == name:
                return time.monotonic() - started
    return None


def try_sync(place: Trial) -> Finding:
    file = os.open("synced", files.NEW, 0o600, dir_fd=place.fd)
    try:
        files.write_all(file, b"{}\n")
        started = time.perf_counter()
        files.sync_file(file)
        took = time.perf_counter() - started
    finally:
        os.close(file)
    files.sync_folder(place.fd)
    return Finding("ok", "fsync", f"{took * 1000:.1f} ms")


def try_lease(place: Trial) -> Finding:
    """A read lease is granted only while nobody writes: how a drop that is still being copied is known."""
    files.write_new(place.fd, "leased", b"{}")
    file = os.open("leased", files.LOOK, dir_fd=place.fd)
    try:
        fcntl.fcntl(file, F_SETSIG, SIGURG)
        fcntl.fcntl(file, F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, F_SETLEASE, fcntl.F_UNLCK)
        writer = os.open("leased", os.O_WRONLY | os.O_NOFOLLOW, dir_fd=place.fd)
        try:
            seen = is_being_written(file)
        finally:
            os.close(writer)
    except OSError as error:
        return no_lease(f"not given here ({error.strerror})")
    finally:
        os.close(file)
    return (
        Finding("ok", "read lease", "tells a file that is being written") if seen else no_lease("given while a file is written")
    )


def no_lease(found: str) -> Finding:
    fix = "drop files by mv from a folder beside, which is one step"
    return Finding("warn", "read lease", f"{found}: a slow copy into pending/ is judged by its settle time alone", fix)


TRIALS: tuple[tuple[str, Callable[[Trial], Finding]], ...] = (
    ("rename", try_rename),
    ("exchange", try_exchange),
    ("new files", try_new_file),
    ("link count", try_links),
    ("lock", try_lock),
    ("events", try_events),
    ("fsync", try_sync),
    ("read lease", try_lease),
)
