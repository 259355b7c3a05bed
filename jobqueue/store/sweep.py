"""Now and then one worker clears away what nobody needs any more: old trash, old temporary files, keys without a job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.folder import Folder
from jobqueue.store.keys import KeyRecord, Keys
from jobqueue.store.layout import CACHE, SUFFIX, is_job_name, job_id
from jobqueue.store.notes import FileNotes

TRASH_FOR = 7 * 86400.0
NOTES_FOR = 3600.0
PROCESSED_FOR = 30 * 86400.0
"""Since a handler of that version looked last; it is made anew from the journal should one look again."""
CACHED_FOR = 30 * 86400.0
"""Since it was made; who still needs it makes it anew."""
STEP = 100
"""Files in one step: some milliseconds, for a worker has other work to do."""
TEMPORARY_FOR = 86400.0
"""A temporary file of a living writer is seconds old; should a stopped one wake after a day, its rename fails cleanly."""


def sweep(
    folder: Folder,
    keys: Keys,
    key_is_free: Callable[[KeyRecord], bool],
    notes: FileNotes,
    trash_for: float = TRASH_FOR,
) -> Iterator[int]:
    """Removes what is too old, a few files a step; each step tells how many. The caller holds the maintenance lock."""
    yield from sweep_old(folder.fds["trash"], trash_for)
    yield from sweep_old(folder.fds["tmp"], TEMPORARY_FOR)
    yield from sweep_old(folder.fds["processed"], PROCESSED_FOR)
    with suppress(OSError):  # most queues have none
        cache = files.open_folder(CACHE, folder.hidden)
        try:
            yield from sweep_old(cache, CACHED_FOR)
        finally:
            os.close(cache)
    for names in in_steps(files.names_in(folder.fds["keys"])):
        yield sum(sweep_key(keys, name, key_is_free) for name in names)
    yield from sweep_notes(folder, notes)


def in_steps(names: Iterable[str], size: int = STEP) -> Iterator[list[str]]:
    some = iter(names)
    while step := list(islice(some, size)):
        yield step


def sweep_old(fd: int, seconds: float) -> Iterator[int]:
    """By ctime, which tells when a file came here, and which nobody can set."""
    for names in in_steps(files.names_in(fd)):
        yield sum(remove_old(fd, name, seconds) for name in names)


def remove_old(fd: int, name: str, seconds: float) -> bool:
    with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
        if time.time() - os.stat(name, dir_fd=fd, follow_symlinks=False).st_ctime > seconds:
            files.remove(fd, name)
            return True
    return False


def sweep_notes(folder: Folder, notes: FileNotes, seconds: float = NOTES_FOR) -> Iterator[int]:
    """Notes of jobs that are neither in the four folders nor in the trash; tells of how many jobs."""
    known: set[str] = set()
    for fd in (*folder.by_status.values(), folder.fds["trash"]):
        for names in in_steps(files.names_in(fd), 10 * STEP):
            known.update(job_id(name) for name in names)
            yield 0
    for name in folder.names(Status.CLAIMED):
        known.add(job_id(name.rpartition("/")[2]))
    for ids in in_steps(notes.ids()):
        yield sum(forget_old(folder, notes, id, seconds) for id in ids if id not in known)


def forget_old(folder: Folder, notes: FileNotes, id: str, seconds: float) -> bool:
    """A job that moved while we looked, or came since, is found by a second look."""
    if not is_job_name(id + SUFFIX) or not (changed := notes.last_change(id)) or time.time() - changed <= seconds:
        return False
    if folder.find(id) is not None or files.exists(folder.fds["trash"], id + SUFFIX):
        return False
    notes.forget(id)
    return True


def sweep_key(keys: Keys, name: str, key_is_free: Callable[[KeyRecord], bool]) -> int:
    """A key is removed under its own lock, so that nobody is making a job for it at this moment."""
    file = keys.try_locked(name)
    if file is None:  # whoever has it may be stopped, and nobody knows for how long
        return 0
    try:
        record = keys.read(file)
        if record is None or key_is_free(record):
            files.remove(keys.folder, name)
            return 1
        return 0
    finally:
        os.close(file)
