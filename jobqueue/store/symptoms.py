"""What a queue folder shows from outside when something is not as it should be: stuck, rejected, unfinished, left over."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from itertools import islice

from jobqueue.inert import shell_word
from jobqueue.model.status import Status
from jobqueue.store import files
from jobqueue.store.finding import Finding, some
from jobqueue.store.folder import Place
from jobqueue.store.intake import look
from jobqueue.store.layout import HIDDEN, OPERATION, REASON, is_job_name, is_ours, owner_of, reason_name
from jobqueue.store.spool import Spool

LOOK_AT = 500
DAY = 86400.0


def look_for_stuck(spool: Spool) -> Iterator[Finding]:
    """Jobs whose owner's lock is free: its process has ended, however it looked."""
    folder = spool.folder
    dead: dict[str, int] = {}
    for name in folder.claim_folder_names():
        try:
            held = len([file for file in files.names(folder.open_briefly(name)) if is_job_name(file)])
        except FileNotFoundError:
            continue
        if held and not spool.locks.alive(owner_of(name)):
            dead[owner_of(name)] = dead.get(owner_of(name), 0) + held
    if dead:
        count = sum(dead.values())
        owners = some([f"{kind(owner)} {owner} ({held})" for owner, held in dead.items()])
        found = f"{count} job{'' if count == 1 else 's'} held by the dead: {owners}"
        fix = "they return by themselves when any worker or Queue runs rescue; at once with: queue.store.rescue()"
        yield Finding("warn", "stuck jobs", found, fix)


def kind(owner: str) -> str:
    return "operation" if owner.startswith(OPERATION) else "worker"


def look_for_rejected(spool: Spool) -> Iterator[Finding]:
    failed = spool.folder.fds["failed"]
    names = files.names(failed)
    reasons = {name for name in names if name.endswith(REASON)}
    rejected = sorted(name for name in names if is_job_name(name) and reason_name(name) in reasons)
    if rejected:
        first = spool.reading.reason(Place(Status.FAILED, failed, rejected[0]))
        found = f"{len(rejected)} in failed/; {rejected[0]}: {first}"
        yield Finding("warn", "rejected files", found, f"mend it, then: mv {shell_word('failed/' + rejected[0])} pending/")


def look_for_unfinished(spool: Spool) -> Iterator[Finding]:
    """Dropped files that are no jobs yet: still being written, or wrong and about to be set aside."""
    pending = spool.folder.pending
    dropped = (name for name in files.names(pending) if is_job_name(name) and not is_ours(name))
    looks = [(name, look(pending, name, spool.limit, check_writer=True)) for name in islice(dropped, LOOK_AT)]
    settling = [f"{name}: {seen.problem or 'being written'}" for name, seen in looks if seen.problem or seen.skip == "busy"]
    left = [f"{name} {seen.skip}" for name, seen in looks if seen.skip and seen.skip not in ("gone", "busy")]
    if settling:
        fix = f"a worker sets it aside when it has not changed for {spool.settle_time:g} s; drop whole files, by mv"
        yield Finding("warn", "unfinished drops", f"{len(settling)} in pending/: {some(settling)}", fix)
    if left:
        yield Finding("warn", "drops left alone", some(left), "no job can be made of it: move it away, or give it to yourself")


def look_for_leftovers(spool: Spool) -> Iterator[Finding]:
    tmp, old = spool.folder.fds["tmp"], 0
    for name in files.names(tmp):
        try:
            old += time.time() - os.stat(name, dir_fd=tmp, follow_symlinks=False).st_mtime > DAY
        except FileNotFoundError:
            continue
    if old:
        found = f"{old} in {HIDDEN}/tmp older than a day, left by processes that were killed"
        yield Finding("warn", "leftover files", found, "queue.check(repair=True)")


SYMPTOMS: tuple[tuple[str, Callable[[Spool], Iterator[Finding]]], ...] = (
    ("stuck jobs", look_for_stuck),
    ("rejected files", look_for_rejected),
    ("unfinished drops", look_for_unfinished),
    ("leftover files", look_for_leftovers),
)
