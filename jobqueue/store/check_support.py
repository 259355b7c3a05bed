"""Checks of what lies around the jobs: claim folders, locks, temporary files, marks, keys, modes."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from jobqueue.errors import QueueFolderError
from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.check_journal import find_strays_in_journal, find_torn_lines
from jobqueue.store.keys import KeyRecord
from jobqueue.store.layout import (
    BALLAST,
    CONTROL,
    HIDDEN,
    RESERVE,
    SHARED_LOCKS,
    SPARE,
    STATUS_FOLDERS,
    SUPPORT_FOLDERS,
    file_name,
    is_job_name,
    owner_of,
)
from jobqueue.store.problem import Problem, age, stat_of
from jobqueue.store.spool import Spool

MINUTE, DAY = 60.0, 86400.0
AT_LEAST = 0o700


# Claims


def find_dead_claims(spool: Spool) -> Iterator[Problem]:
    for name in spool.folder.claim_folder_names():
        owner = owner_of(name)
        if not spool.locks.alive(owner):
            held = len(files_in(spool, name))
            dead = "is dead" if files.exists(spool.folder.fds["locks"], owner) else "has no lock file"
            yield Problem(
                "claims of the dead",
                f"claimed/{name}",
                f"holds {held} job{'' if held == 1 else 's'}, and its owner {dead}",
                "any worker or Queue takes them back; what then still lies there is no job: move it away",
                partial(rescue, spool, name),
                "rescued",
            )


def files_in(spool: Spool, claim_folder: str) -> list[str]:
    try:
        return [name for name in files.names(spool.folder.open_briefly(claim_folder)) if is_job_name(name)]
    except FileNotFoundError:
        return []


def rescue(spool: Spool, claim_folder: str) -> bool:
    """One rescue serves all claim folders; what is left of one afterwards cannot be moved by us."""
    if files.exists(spool.folder.claimed, claim_folder):
        spool.rescue()
    return not files.exists(spool.folder.claimed, claim_folder)


def find_strays(spool: Spool) -> Iterator[Problem]:
    owned = set(spool.folder.claim_folder_names())
    for name in files.names(spool.folder.claimed):
        if name not in owned and name[0] != "." and name not in spool.folder.claim_folder_names():
            yield Problem("stray in claimed/", f"claimed/{name}", "belongs to no owner, so nobody runs it", "mv it to pending/")


# Temporary files


def find_old_temporary_files(spool: Spool) -> Iterator[Problem]:
    """A process that lives keeps its own, however old: a stopped one goes on where it was."""
    tmp = spool.folder.fds["tmp"]
    for name in files.names(tmp):
        if age(tmp, name) > DAY and not is_running(name.partition("-")[0]):
            mend = partial(remove_temporary, tmp, name)
            yield Problem("old temporary files", f"{HIDDEN}/tmp/{name}", "", "remove it", mend, "removed")


def is_running(pid: str) -> bool:
    return pid.isascii() and pid.isdigit() and os.path.exists(f"/proc/{pid}")


def remove_temporary(tmp: int, name: str) -> bool:
    seen = stat_of(tmp, name)
    if seen is None or not stat.S_ISDIR(seen.st_mode):
        files.remove(tmp, name)
        return True
    inside = files.open_folder(name, tmp)
    try:
        for entry in files.names(inside):
            files.remove(inside, entry)
    finally:
        os.close(inside)
    return files.remove_folder(tmp, name)


# Marks and keys


def find_idle_marks(spool: Spool) -> Iterator[Problem]:
    """A mark is made a moment before its job is looked for, so a new one is left alone."""
    marks = spool.folder.fds["cancel"]
    for name in files.names(marks):
        if age(marks, name) > MINUTE and not may_run(spool, name):
            mend = partial(remove_mark, spool, name)
            yield Problem(
                "cancel mark without a job that could run", f"{HIDDEN}/cancel/{name}", "", "remove it", mend, "removed"
            )


def remove_mark(spool: Spool, name: str) -> bool:
    if may_run(spool, name):
        return False
    spool.moving.unmark(name)
    return True


def may_run(spool: Spool, name: str) -> bool:
    """Whether a mark has work to do: a job that went back to pending/ with its mark is ended by its next claim."""
    place = spool.folder.find(name.removesuffix(".json"))
    return place is not None and place.status in (Status.PENDING, Status.CLAIMED)


def find_free_keys(spool: Spool) -> Iterator[Problem]:
    """Key files that hold nothing any more. One that is locked is being used right now."""
    for name in files.names(spool.folder.fds["keys"]):
        with use_of_key(spool, name) as why_none:
            pass
        if why_none:
            mend = partial(remove_key, spool, name)
            yield Problem("key of no job", f"{HIDDEN}/keys/{name}", why_none, "nothing depends on it", mend, "removed")


def remove_key(spool: Spool, name: str) -> bool:
    with use_of_key(spool, name) as why_none:
        if why_none:
            files.remove(spool.folder.fds["keys"], name)
        return bool(why_none)


@contextmanager
def use_of_key(spool: Spool, name: str) -> Iterator[str]:
    """Why a key file is of no use, with its lock held for as long as the block lasts; nothing where it may be of use."""
    try:
        file = os.open(name, os.O_RDWR | files.LOOK, dir_fd=spool.folder.fds["keys"])
    except OSError:
        yield ""
        return
    try:
        yield why_free(spool, spool.keys.read(file)) if locked_at_once(file) and spool.keys.is_at(file, name) else ""
    finally:
        os.close(file)


def locked_at_once(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def why_free(spool: Spool, record: KeyRecord | None) -> str:
    if record is None:
        return "says nothing: never used, or torn by a power cut"
    name = file_name(record.id)
    if name is not None and (spool.folder.find(record.id) or spool.moving.in_trash(name)):
        return ""
    return f"its job {record.id} is gone"


# Locks and workers


def find_lone_locks(spool: Spool) -> Iterator[Problem]:
    """A lock is taken before its claim folder is made, and stays a moment longer: a new or a held one is left alone."""
    locks = spool.folder.fds["locks"]
    for name in files.names(locks):
        if (seen := stat_of(locks, name)) is not None and not stat.S_ISREG(seen.st_mode):
            yield Problem("lock that is no file", f"{HIDDEN}/locks/{name}", "so its owner seems to live for ever", "remove it")
        elif (
            name not in SHARED_LOCKS
            and age(locks, name) > MINUTE
            and not has_traces(spool, name)
            and not spool.locks.alive(name)
        ):
            mend = partial(remove_lock, spool, name)
            yield Problem("lock of nobody", f"{HIDDEN}/locks/{name}", "", "remove it", mend, "removed")


def has_traces(spool: Spool, owner: str) -> bool:
    held = any(owner_of(name) == owner for name in spool.folder.claim_folder_names())
    return held or files.exists(spool.folder.fds["workers"], owner + ".json")


def remove_lock(spool: Spool, name: str) -> bool:
    with spool.locks.seize(name) as dead:
        if not dead or has_traces(spool, name):
            return False
        files.remove(spool.folder.fds["locks"], name)
        return True


def find_dead_workers(spool: Spool) -> Iterator[Problem]:
    """What a worker said of itself. Where it holds jobs, `claims of the dead` says so and rescue removes both."""
    workers = spool.folder.fds["workers"]
    claiming = {owner_of(name) for name in spool.folder.claim_folder_names()}
    for name in files.names(workers):
        owner = name.removesuffix(".json").removesuffix(RESERVE).removesuffix(BALLAST)
        path = f"{HIDDEN}/workers/{name}"
        if spool.locks.alive(owner):
            if not name.endswith(SPARE) and spool.owners.seen(owner) is None:
                fix = "start that worker again: until then others do not know what it serves"
                yield Problem("unreadable worker file", path, "of a live worker", fix)
        elif owner not in claiming:
            mend = partial(remove_worker, spool, name, owner)
            yield Problem("file of a dead worker", path, "", "remove it", mend, "removed")


def remove_worker(spool: Spool, name: str, owner: str) -> bool:
    with spool.locks.seize(owner) as dead:
        if dead:
            files.remove(spool.folder.fds["workers"], name)
            files.remove(spool.folder.fds["locks"], owner)
        return dead


# Modes, control


def find_wrong_modes(spool: Spool) -> Iterator[Problem]:
    fds = spool.folder.fds
    for name in (HIDDEN, *SUPPORT_FOLDERS):
        seen = os.fstat(fds[name])
        mode = stat.S_IMODE(seen.st_mode)
        path = name if name == HIDDEN else f"{HIDDEN}/{name}"
        if mode & 0o777 != AT_LEAST:
            mend = partial(make_folder_private, fds[name])
            yield Problem("mode of a folder", path, f"is {mode:04o}", f"chmod 700 {path}", mend, "chmod 700")
    for name, fd in ((".", spool.folder.root), *((name, fds[name]) for name in STATUS_FOLDERS)):
        mode = stat.S_IMODE(os.fstat(fd).st_mode)
        if mode & 0o022 or mode & AT_LEAST != AT_LEAST:
            found = f"is {mode:04o}: others could run jobs as you" if mode & 0o022 else f"is {mode:04o}: not all yours"
            yield Problem("mode of a folder", name, found, f"chmod 700 {name}", level="fail")


def find_moved_folder(spool: Spool) -> Iterator[Problem]:
    if not spool.folder.in_place():
        found = "was moved, removed or replaced since it was opened"
        yield Problem("queue folder", str(spool.path), found, "open the queue again", level="fail")


def make_folder_private(fd: int) -> bool:
    files.set_mode(fd, AT_LEAST)
    return True


def find_broken_control(spool: Spool) -> Iterator[Problem]:
    try:
        spool.control()
    except (QueueFolderError, OSError) as error:
        fix = f"mend it, or remove it to resume: rm {HIDDEN}/{CONTROL}"
        yield Problem("control file", f"{HIDDEN}/{CONTROL}", f"stops every worker: {error}", fix, level="fail")


SUPPORT_CHECKS: tuple[Callable[[Spool], Iterator[Problem]], ...] = (
    find_moved_folder,
    find_dead_claims,
    find_strays,
    find_old_temporary_files,
    find_idle_marks,
    find_free_keys,
    find_dead_workers,
    find_lone_locks,
    find_wrong_modes,
    find_broken_control,
    find_strays_in_journal,
    find_torn_lines,
)
