"""Limits on disk: one small file for each limited thing, locked for the moment in which a job is claimed under it.

    .jobqueue/limits/<hash>   {"name": "type:fetch", "starts": [1763885521.2, ...], "holders": {"10-...json": "worker-..."}}

A holder counts only while its owner is alive (the kernel says so) and its file still lies in that claim folder. So nothing
has to be released: a job that finished, was taken back from a dead worker or was moved by hand has freed its place by that,
and a crash anywhere leaves nothing stuck. The children of a worker hold its lock too, so a place is free only when the
process that ran the job is really gone; a stopped process keeps its place.

All files that concern a job are locked while it is claimed: check, write, then the rename. What is written before and then
does not happen is no holder (its file lies elsewhere), so a crash in between can make a limit stricter for a moment, but
never exceed it. Nobody waits for a lock: one that is taken means "not now", so a process that was stopped while it held one
stops nothing but the jobs under that very limit.

A file that cannot be read is counted anew from claimed/, with its rate used up: too strict for one window, never too lax.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime

import msgspec

from jobqueue.inert import inert_logger
from jobqueue.model.gate import RUN, Verdict, judge_limit
from jobqueue.model.job import Job
from jobqueue.model.limit import KEY, MOST_STARTS, Limit, Rules, limits_on, merge
from jobqueue.store import files
from jobqueue.store.base import Claim
from jobqueue.store.codec import UNREADABLE
from jobqueue.store.folder import Folder
from jobqueue.store.intake import look
from jobqueue.store.keys import Keys, key_file_name
from jobqueue.store.layout import OPERATION, job_id, owner_of
from jobqueue.store.locks import Locks

log = inert_logger("jobqueue")

LARGEST = 16 << 20


class Counted(msgspec.Struct, omit_defaults=True):
    """What was counted of one limit. `holders` are claim folders by file name; None where nobody had to count them yet."""

    name: str
    starts: list[float] = []
    holders: dict[str, str] | None = None


class Limiting:
    """`told` are the limits that each worker of this process brought with it."""

    def __init__(self, folder: Folder, locks: Locks) -> None:
        self.folder = folder
        self.locks = locks
        self.files = Keys(folder.fds["limits"], durable=False)
        self.told: dict[str, Rules] = {}
        self.said: Rules = {}
        self.rules: Rules = {}

    def tell(self, owner: str, rules: Rules | None) -> None:
        """What a worker's handlers and settings say; None when it leaves."""
        self.told.pop(owner, None)
        if rules:
            self.told[owner] = rules
        self.hear(self.said)

    def hear(self, said: Rules) -> None:
        """What people have said on the queue goes before what workers bring."""
        self.said = said
        self.rules = self.merged(said, self.told.values())

    def on(self, job: Job) -> dict[str, Limit]:
        return limits_on(job, self.rules) if self.rules or job.concurrency_key is not None else {}

    @contextmanager
    def locked(self, limits: Mapping[str, Limit]) -> Iterator[Places | str]:
        """The files of these limits, locked; or the name of one that is locked by somebody else."""
        with ExitStack() as stack:
            opened: dict[str, int] = {}
            for name in sorted(limits, key=key_file_name):
                file = self.try_lock(key_file_name(name))
                if file is None:
                    yield name
                    return
                stack.callback(os.close, file)
                opened[name] = file
            yield Places(self, limits, {name: (file, self.read(file, name)) for name, file in opened.items()})

    def try_lock(self, file_name: str) -> int | None:
        """None where somebody else has it, or the disk has no room for a new file."""
        try:
            return self.files.try_locked(file_name)
        except OSError:
            return None

    def read(self, file: int, name: str) -> Counted:
        data = os.pread(file, LARGEST, 0)
        if not data:
            return Counted(name)
        try:
            return msgspec.json.decode(data, type=Counted)
        except UNREADABLE:
            return Counted(name, [time.time()] * MOST_STARTS, self.recount(name))

    def recount(self, name: str) -> dict[str, str]:
        """The running jobs that are under a limit, found by reading all that run."""
        holders = {}
        for place in self.folder.claimed_places():
            job = look(place.folder, place.name).job
            if job is not None and not place.claim_folder.startswith(OPERATION) and name in names_on(job):
                holders[as_text(place.name)] = place.claim_folder
        return holders

    def live(self, holders: Mapping[str, str]) -> dict[str, str]:
        return {name: folder for name, folder in holders.items() if self.holds(as_name(name), folder)}

    def holds(self, name: str, claim_folder: str) -> bool:
        if not is_plain(name) or not is_plain(claim_folder):
            return False
        try:
            here = files.exists(self.folder.claimed, f"{claim_folder}/{name}")
        except OSError:
            return False
        return here and self.locks.alive(owner_of(claim_folder))

    # -- looking, without a lock

    def look(self, name: str) -> Counted:
        try:
            data = files.read_small(self.files.folder, key_file_name(name), LARGEST)
            return msgspec.json.decode(data, type=Counted)
        except (OSError, *UNREADABLE):
            return Counted(name)

    def running(self, name: str) -> list[str]:
        """The ids of the jobs that hold a place, the one that started first in front."""
        counted = self.look(name)
        holders = self.recount(name) if counted.holders is None and not name.startswith(KEY) else counted.holders
        return [job_id(as_name(name)) for name in self.live(holders or {})]

    def merged(self, said: Rules, told: Iterable[Rules]) -> Rules:
        """All that holds, with what the workers of other processes bring."""
        rules: Rules = {}
        for brought in told:
            rules = merge(brought, rules)
        return merge(said, rules)

    def judge(self, job: Job, rules: Rules, now: datetime) -> Verdict:
        """Which limit keeps a job from starting now, as far as can be seen without locking anything."""
        for name, limit in limits_on(job, rules).items():
            running = self.running(name) if limit.concurrency is not None else []
            verdict = judge_limit(name, limit, running, self.look(name).starts, now)
            if verdict.action != "run":
                return verdict
        return RUN

    def sweep(self) -> int:
        """Removes the files of keys that nobody holds; each under its lock."""
        removed = 0
        for file_name in files.names(self.files.folder):
            file = None if "." in file_name else self.files.try_locked(file_name)
            if file is None:
                continue
            try:
                counted = self.read(file, "")
                if counted.name.startswith(KEY) and not self.live(counted.holders or {}):
                    files.remove(self.files.folder, file_name)
                    removed += 1
            finally:
                os.close(file)
        return removed


class Places:
    """The limits on one job, their files locked."""

    def __init__(self, limiting: Limiting, limits: Mapping[str, Limit], opened: Mapping[str, tuple[int, Counted]]) -> None:
        self.limiting = limiting
        self.limits = limits
        self.opened = opened

    def refusal(self, now: datetime) -> Verdict:
        """The first limit that lets no other job start; `RUN` where all do."""
        for name, (file, counted) in self.opened.items():
            limit = self.limits[name]
            self.forget_the_future(file, counted, now.timestamp())
            verdict = judge_limit(name, limit, self.running(limit, counted), counted.starts, now)
            if verdict.action != "run":
                return verdict
        return RUN

    def holders(self, name: str) -> list[str]:
        """The ids of the jobs that hold a place under one limit."""
        return [job_id(as_name(holder)) for holder in self.opened[name][1].holders or {}]

    def running(self, limit: Limit, counted: Counted) -> list[str]:
        if limit.concurrency is None:
            return []
        if counted.holders is None:  # the first of its key; or a limit that is new, while jobs run already
            counted.holders = {} if counted.name.startswith(KEY) else self.limiting.recount(counted.name)
        if len(counted.holders) >= limit.concurrency:  # only then does it matter who of them is still there
            counted.holders = self.limiting.live(counted.holders)
        return self.holders(counted.name)

    def forget_the_future(self, file: int, counted: Counted, now: float) -> None:
        """The clock was put back: what seems to lie ahead counts as of now, and ages from here on."""
        if counted.starts and max(counted.starts) > now:
            counted.starts = [min(start, now) for start in counted.starts]
            write(file, counted)

    @property
    def with_places(self) -> tuple[str, ...]:
        return tuple(name for name, limit in self.limits.items() if limit.concurrency is not None)

    def enter(self, claim: Claim) -> bool:
        """Notes a start, before it happens; False where the disk refuses."""
        claim_folder, name = claim.token
        try:
            self.note(claim_folder, name, claim.claimed_at)
        except OSError as error:
            log.error("cannot note the start of %s (%s); trying again later", name, error.strerror)
            return False
        return True

    def note(self, claim_folder: str, name: str, now: datetime) -> None:
        for limit_name, (file, counted) in self.opened.items():
            limit = self.limits[limit_name]
            starts, holders = counted.starts, counted.holders
            if limit.rate is not None:
                starts = [*starts, now.timestamp()][-limit.rate.kept.count :]
            if limit.concurrency is not None:
                holders = {**(holders or {}), as_text(name): claim_folder}
            write(file, Counted(limit_name, starts, holders))

    def undo(self) -> None:
        """Somebody else took the job: nothing has started. Where the disk refuses, the limit is too strict for a while."""
        with suppress(OSError):
            for file, counted in self.opened.values():
                write(file, counted)


def write(file: int, counted: Counted) -> None:
    """In one `pwrite`, never shorter than before: what was there is covered, and whoever reads finds all or nothing new."""
    files.step("limit")
    data = msgspec.json.encode(counted)
    os.pwrite(file, data.ljust(os.fstat(file).st_size - 1) + b"\n", 0)


def is_plain(name: str) -> bool:
    """Whether a name out of a file that may be torn, or anybody's, can be that of something in a folder."""
    return name not in ("", ".", "..") and "/" not in name and "\0" not in name


def names_on(job: Job) -> set[str]:
    """The names of all limits that could be put on a job."""
    names = {"queue", f"type:{job.type}"}
    return names if job.concurrency_key is None else names | {KEY + job.concurrency_key}


def as_text(name: str) -> str:
    """A file name that JSON can hold, whatever its bytes."""
    return name if name.isascii() else os.fsencode(name).decode("latin-1")


def as_name(text: str) -> str:
    return text if text.isascii() else os.fsdecode(text.encode("latin-1", "replace"))
