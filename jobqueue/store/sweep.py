"""Now and then one worker clears away what nobody needs any more: old trash, old temporary files, keys without a job."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.folder import Folder
from jobqueue.store.keys import KeyRecord, Keys
from jobqueue.store.layout import CACHE, SUFFIX, is_job_name, job_id
from jobqueue.store.notes import FileNotes

TRASH_FOR = 7 * 86400.0
NOTES_FOR = 3600.0
CACHED_FOR = 30 * 86400.0
TEMPORARY_FOR = 86400.0
"""A temporary file of a living writer is seconds old; should a stopped one wake after a day, its rename fails cleanly."""


def sweep(
    folder: Folder,
    keys: Keys,
    key_is_free: Callable[[KeyRecord], bool],
    notes: FileNotes,
    trash_for: float = TRASH_FOR,
) -> int:
    """Removes what is too old; returns how many files. The caller holds the maintenance lock."""
    removed = sweep_old(folder.fds["trash"], trash_for) + sweep_old(folder.fds["tmp"], TEMPORARY_FOR)
    for name in os.listdir(folder.fds["keys"]):
        removed += sweep_key(keys, name, key_is_free)
    return removed + sweep_notes(folder, notes) + sweep_cache(folder)


def sweep_old(fd: int, seconds: float) -> int:
    """By ctime, which tells when a file came here, and which nobody can set."""
    removed = 0
    for name in os.listdir(fd):
        with suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            if time.time() - os.stat(name, dir_fd=fd, follow_symlinks=False).st_ctime > seconds:
                files.remove(fd, name)
                removed += 1
    return removed


def sweep_cache(folder: Folder, seconds: float = CACHED_FOR) -> int:
    """What was derived long ago; who still needs it makes it anew."""
    try:
        cache = files.open_folder(CACHE, folder.hidden)
    except (FileNotFoundError, NotADirectoryError):
        return 0
    try:
        return sweep_old(cache, seconds)
    finally:
        os.close(cache)


def sweep_notes(folder: Folder, notes: FileNotes, seconds: float = NOTES_FOR) -> int:
    """Notes of jobs that are neither in the four folders nor in the trash; returns of how many jobs."""
    known = {job_id(name.rpartition("/")[2]) for status in Status for name in folder.names(status)}
    known |= {job_id(name) for name in os.listdir(folder.fds["trash"])}
    removed = 0
    for id in notes.ids() - known:
        # A job that moved while we looked, or came since, is found by a second look.
        if is_job_name(id + SUFFIX) and time.time() - notes.last_change(id) > seconds and folder.find(id) is None:
            notes.forget(id)
            removed += 1
    return removed


def sweep_key(keys: Keys, name: str, key_is_free: Callable[[KeyRecord], bool]) -> int:
    """A key is removed under its own lock, so that nobody is making a job for it at this moment."""
    file = keys.open_locked(name)
    try:
        record = keys.read(file)
        if record is None or key_is_free(record):
            files.remove(keys.folder, name)
            return 1
        return 0
    finally:
        os.close(file)
