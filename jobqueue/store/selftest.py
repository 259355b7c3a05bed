"""The folder is tried before it is trusted: each thing that a queue rests on is done once, on this very folder.

All happens in one temporary folder below .jobqueue/tmp, which is removed at the end, whatever comes.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from jobqueue.inert import shell_word
from jobqueue.store import files
from jobqueue.store.finding import Finding, Level, problems, size
from jobqueue.store.folder import Folder
from jobqueue.store.layout import HIDDEN, STATUS_FOLDERS, SUPPORT_FOLDERS
from jobqueue.store.mounts import ELSEWHERE, apart, judge_kind, judge_path, mount_of
from jobqueue.store.trial import TRIALS, trial

LITTLE_SPACE = 100 << 20
FEW_INODES = 1000


def selftest(folder: Folder) -> list[Finding]:
    """Tries each thing and says what works; never raises for what does not."""
    findings = [Finding("ok", "queue folder", str(folder.path))]
    for what, look in LOOKS:
        findings += guarded(what, lambda look=look: look(folder))  # type: ignore[misc]
    try:
        with trial(folder) as place:
            for what, attempt in TRIALS:
                findings += guarded(what, lambda attempt=attempt: attempt(place))  # type: ignore[misc]
    except OSError as error:
        found = f"nothing can be written below {HIDDEN}/tmp: {error.strerror or error}"
        findings.append(Finding("fail", "writing", found, f"look at df, mount and ls -ld {where(folder)}"))
    return findings


def guarded(what: str, look: Callable[[], Finding | None]) -> list[Finding]:
    try:
        finding = look()
    except (OSError, ValueError, IndexError, NotImplementedError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        return [Finding("fail", what, f"does not work here: {reason}", ELSEWHERE)]
    return [] if finding is None else [finding]


def summary(findings: Sequence[Finding]) -> str:
    """One line, problems first: `queue_dir: ext4, rename, exchange, lock, events ok; fsync 0.6 ms; 78 GB free`."""
    fine = {finding.what: finding.found for finding in findings if finding.level == "ok"}
    parts = [f"{finding.level.upper()} {finding.what}: {finding.found}" for finding in problems(findings)]
    works = [fine["file system"]] if "file system" in fine else []
    works += [what for what in ("rename", "exchange", "lock", "events") if what in fine]
    parts += [f"{', '.join(works)} ok"] if works else []
    parts += [f"fsync {fine['fsync']}"] if "fsync" in fine else []
    parts += [fine["free space"]] if "free space" in fine else []
    return f"{Path(fine.get('queue folder', 'queue')).name}: {'; '.join(parts)}"


def where(folder: Folder) -> str:
    """Its path, as a shell takes it."""
    return shell_word(str(folder.path))


# Looked at


def look_at_kind(folder: Folder) -> Finding:
    return judge_kind(mount_of(folder.root).kind)


def look_for_sync(folder: Folder) -> Finding | None:
    return judge_path(folder.path.resolve())


def look_for_mounts(folder: Folder) -> Finding:
    """Each folder is opened anew by its name: something may have been mounted there since the queue was opened."""
    names = [*STATUS_FOLDERS, HIDDEN, *(f"{HIDDEN}/{name}" for name in SUPPORT_FOLDERS)]
    opened: list[tuple[str, int]] = []
    try:
        for name in names:
            opened.append((name, files.open_folder(name, folder.root)))
        others = apart(opened, folder.root)
    except FileNotFoundError as error:
        return Finding("fail", "one file system", f"{error.filename}/ is gone", f"jobqueue init {where(folder)}")
    except NotADirectoryError as error:
        return Finding("fail", "one file system", f"{error.filename} is no folder (a link is not followed)", "move it away")
    finally:
        for _, file in opened:
            os.close(file)
    if others:
        found = f"{', '.join(others)} on another mount: a job cannot be moved there in one step"
        return Finding("fail", "one file system", found, "keep the whole queue on one file system")
    return Finding("ok", "one file system", f"all {len(names)} folders")


def look_at_permissions(folder: Folder) -> Finding:
    seen, me = os.fstat(folder.root), os.geteuid()
    mode = stat.S_IMODE(seen.st_mode)
    umask = re.findall(r"^Umask:\s*(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    found = f"mode {mode:04o}, owner {seen.st_uid}" + (f", umask {umask[0]}" if umask else "")
    if not folder.in_place():
        return Finding("fail", "permissions", "the folder was moved or replaced since it was opened", "open the queue again")
    if mode & 0o022:
        return Finding("fail", "permissions", f"{found}: others could run jobs as you", f"chmod go-w {where(folder)}")
    if seen.st_uid != me:
        found = f"{found}, but you are {me}: what you enqueue, that owner's workers cannot take"
        return Finding("warn", "permissions", found, f"work as the owner, or: chown -R {me} {where(folder)}")
    if mode & 0o077:
        return Finding("warn", "permissions", f"{found}: others can see the names of jobs", f"chmod 700 {where(folder)}")
    return Finding("ok", "permissions", found)


def look_at_parents(folder: Folder) -> Finding | None:
    """Whoever may rename what lies on the way to the queue can put another in its place: one of yours, since no other is
    opened, so nothing of theirs is run; but your jobs are then elsewhere."""
    for parent in folder.path.resolve().parents:
        seen = os.stat(parent)
        loose = seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if loose and not seen.st_mode & stat.S_ISVTX:
            found = f"{parent} has mode {stat.S_IMODE(seen.st_mode):04o}: others could move the queue away"
            return Finding("warn", "way to the queue", found, f"chmod go-w {shell_word(str(parent))}")
        if seen.st_uid not in (0, os.geteuid(), os.fstat(folder.root).st_uid):
            found = f"{parent} belongs to user {seen.st_uid}, who could move the queue away"
            return Finding("warn", "way to the queue", found, "keep the queue in a folder of your own")
    return Finding("ok", "way to the queue", "nobody else can move it away")


def look_at_space(folder: Folder) -> Finding:
    seen = os.fstatvfs(folder.root)
    free = seen.f_bavail * seen.f_frsize
    level: Level = "fail" if free == 0 else "warn" if free < LITTLE_SPACE else "ok"
    return Finding(level, "free space", f"{size(free)} free", "" if level == "ok" else "make room: jobqueue purge, or see df")


def look_at_inodes(folder: Folder) -> Finding:
    seen = os.fstatvfs(folder.root)
    if seen.f_files == 0:
        return Finding("ok", "inodes", "without a limit")
    level: Level = "fail" if seen.f_favail == 0 else "warn" if seen.f_favail < FEW_INODES else "ok"
    fix = "" if level == "ok" else "each job is a file: jobqueue purge, or see df -i"
    return Finding(level, "inodes", f"{seen.f_favail:,} free", fix)


LOOKS: tuple[tuple[str, Callable[[Folder], Finding | None]], ...] = (
    ("file system", look_at_kind),
    ("synchronised folder", look_for_sync),
    ("one file system", look_for_mounts),
    ("permissions", look_at_permissions),
    ("way to the queue", look_at_parents),
    ("free space", look_at_space),
    ("inodes", look_at_inodes),
)

__all__ = ["Finding", "selftest", "summary"]
