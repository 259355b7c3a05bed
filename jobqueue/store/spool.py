"""The spool: jobs as JSON files in four folders, moved by atomic renames. The protocol on disk is told in ARCHITECTURE.md.

    enqueue   tmp/r [F] -> pending/n [D] -> acknowledged
    claim     pending/n -> claimed/w/n                                    one rename, nothing else
    finish    outcome to tmp/r [F]; exchange with claimed/w/n; claimed/w/n -> done|failed|pending [D]
    rescue    the lock of w is free: an outcome that stands in claimed/w/n rolls forward, all else goes back
    others    pending|done|failed/n -> claimed/op/n, and from there like finish

[F] = the file is synced before, [D] = the folder is synced after, before anything is acknowledged.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime

from jobqueue.errors import InvalidJob, JobNotFound, QueueFolderError
from jobqueue.model.budget import Spent
from jobqueue.model.clock import Clock, SystemClock
from jobqueue.model.control import Control
from jobqueue.model.entry import AttemptEntry
from jobqueue.model.filter import Filter
from jobqueue.model.gate import RUN, Verdict, judge
from jobqueue.model.job import Failure, Job
from jobqueue.model.limit import Limit
from jobqueue.model.retention import Resting
from jobqueue.model.status import Status
from jobqueue.model.transition import SUPERSEDED, Transition
from jobqueue.store import files
from jobqueue.store.arrivals import ANY, Arrivals
from jobqueue.store.base import Change, Claim, Digest, Kept, Located, Notes, Page, Put, Schedules, Seen, WorkerInfo
from jobqueue.store.bounds import Bounds
from jobqueue.store.cache import FileCache
from jobqueue.store.claiming import Claiming
from jobqueue.store.commit import Scratch
from jobqueue.store.derived import Cache, JournalFiles
from jobqueue.store.digesting import Digesting
from jobqueue.store.folder import Folder
from jobqueue.store.journal import Journal
from jobqueue.store.keeping import Keeping
from jobqueue.store.keys import ALONE, Keys
from jobqueue.store.layout import (
    MAINTENANCE,
    SCHEDULES,
    SUFFIX,
    file_name,
    is_ours,
    job_id,
    owner_of,
)
from jobqueue.store.locks import Locks
from jobqueue.store.moving import Held, Moving
from jobqueue.store.notes import MAX_LOG_SIZE, FileNotes
from jobqueue.store.owners import Owners
from jobqueue.store.putting import Putting
from jobqueue.store.reading import Reading
from jobqueue.store.recording import Recording
from jobqueue.store.rescuing import Rescuing
from jobqueue.store.ruling import Ruling
from jobqueue.store.schedules import FileSchedules
from jobqueue.store.sweep import sweep
from jobqueue.store.verbs import Verbs


class Spool:
    """The Store over a folder. One object may be used by many threads; each process opens its own."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        clock: Clock | None = None,
        durability: str = "strict",
        settle_time: float = 2.0,
        max_file_size: int = 1 << 20,
        max_log_size: int = MAX_LOG_SIZE,
        create: bool = True,
    ) -> None:
        if durability not in ("strict", "relaxed"):
            raise InvalidJob(f"durability: {durability!r} is unknown; give strict (survives a power cut) or relaxed")
        self.clock: Clock = clock or SystemClock()
        self.folder = Folder(path, create=create)
        self.path = self.folder.path
        self.url = str(self.path)
        self.durability = durability
        durable = durability == "strict"
        self.features = frozenset({"types", "filter", "order", "trash"} | ({"durable"} if durable else set()))
        self.limit = max_file_size
        self.settle_time = settle_time
        self.locks = Locks(self.path / ".jobqueue" / "locks", self.folder.fds["locks"])
        self.scratch = Scratch(self.folder.fds["tmp"], durable)
        self.journal = Journal(self.folder.fds["journal"])
        self.journal_files: JournalFiles | None = self.journal
        self.cache: Cache | None = FileCache(self.folder.hidden, self.folder.fds["tmp"])
        self.keys = Keys(self.folder.fds["keys"], durable)
        self.keys_alone = Keys(self.folder.fds["limits"], durable=False, ending=ALONE)
        self.file_notes = FileNotes(self.folder, durable=durable, max_log_size=max_log_size)
        self.notes: Notes = self.file_notes
        self.reading = Reading(self.folder, max_file_size, self.notes)
        self.digesting = Digesting(self.reading)
        self.recording = Recording(self.journal, self.notes, self.clock)
        self.owners = Owners(self.folder, self.locks, self.scratch)
        self.moving = Moving(self.folder, self.locks, self.scratch, self.owners, self.recording, self.clock, self.notes)
        self.rescuing = Rescuing(self.folder, self.locks, self.owners, self.moving, self.clock, self.notes)
        self.ruling = Ruling(self.folder, self.scratch, self.locks)
        self.schedules: Schedules = FileSchedules(self.folder.fds[SCHEDULES], self.scratch, self.locks)
        self.arrivals = Arrivals(self.folder.hidden)
        self.bounds = Bounds(
            *(self.folder, self.locks, self.reading, self.ruling, self.journal, self.arrivals, self.clock),
            workers=self.workers,
            cancel=self.supersede,
        )
        self.putting = Putting(
            self.folder,
            self.scratch,
            self.keys,
            self.bounds.conflicts,
            self.arrivals,
            self.reading,
            self.moving,
            self.clock,
            max_file_size,
        )
        self.verbs = Verbs(
            self.folder, self.scratch, self.arrivals, self.reading, self.moving, self.rescuing.rescue, self.clock
        )
        self.claiming = Claiming(
            self.folder,
            self.clock,
            self.arrivals,
            settle_time=settle_time,
            max_file_size=max_file_size,
            control=self.ruling.read,
            parent_state=self.parent_state,
            end=self.end_pending,
            reject=self.set_aside,
            cancel_asked=self.moving.cancel_asked,
            take_key=self.putting.take_key,
            limiting=self.bounds.limiting,
            supersede=self.supersede,
        )
        self.closed = False

    # -- adding

    def put(self, jobs: Sequence[Job], *, force: bool = False, given_ids: bool = False) -> list[Put]:
        puts = self.putting.put(jobs, force=force, given_ids=given_ids)
        self.recording.enqueued(puts)
        return puts

    def adopt(self, job: Job, status: Status) -> Located:
        self.putting.adopt(job, status)
        return Located(job, status)

    # -- workers

    def join(self, info: WorkerInfo) -> str:
        owner = self.owners.join(info)
        self.bounds.tell(owner, info)
        return owner

    def life_line(self, owner: str) -> int | None:
        return self.locks.descriptor(owner)

    def hand_back(self, owner: str) -> None:
        self.owners.hand_back(owner)

    def leave(self, owner: str) -> None:
        self.bounds.tell(owner, None)
        self.owners.leave(owner)

    def workers(self) -> list[WorkerInfo]:
        return self.owners.alive()

    def claim(self, owner: str, *, limit: int = 1, types: Set[str] | None = None) -> list[Claim]:
        claims = self.claiming.claim(owner, limit, types)
        for claim in claims:
            if claim.job.written_by is None and not is_ours(claim.token[1]):
                self.notes.forget(claim.job.id)  # those of an earlier job of this name: this one never ran
        return claims

    def due_in(self) -> float | None:
        return self.claiming.due_in()

    def extend(self, owner: str, claims: Sequence[Claim]) -> dict[str, str]:
        intact = self.locks.descriptor(owner) is None or self.locks.intact(owner)
        if not self.folder.in_place():  # looked at last: with the folder goes the lock file in it
            raise QueueFolderError(f"{self.path}: the folder was moved, removed or replaced while it was in use")
        if not intact:
            raise QueueFolderError(f"{self.path}: the lock file of {owner} was removed, so others take this worker for dead")
        return {claim.job.id: self.state_of(claim) for claim in claims}

    def state_of(self, claim: Claim) -> str:
        claim_folder, name = claim.token
        if self.locks.descriptor(claim.owner) is None:
            return "lost"
        try:
            here = files.exists(self.folder.open_briefly(claim_folder), name)
        except FileNotFoundError:
            here = False
        if not here:
            return "lost"
        return "cancel" if self.moving.cancel_asked(name) else "ok"

    def cancel_mark(self, claim: Claim) -> str:
        return f"{self.url}/.jobqueue/cancel/{claim.token[1]}"

    def apply(self, outcomes: Sequence[tuple[Claim, Transition]]) -> list[bool]:
        held = [(Held(*claim.token), transition) for claim, transition in outcomes]
        names = self.moving.finish(held)
        back = [name for name, (_, transition) in zip(names, outcomes, strict=True) if name and transition.to is Status.PENDING]
        if back:
            self.arrivals.announce(back)
        for (claim, transition), name in zip(outcomes, names, strict=True):
            if transition.noted and name is not None:
                self.notes.ended(claim.job.id, done=transition.to is Status.DONE)
        self.bounds.ended(outcomes)
        return [name is not None for name in names]

    def rescue(self) -> list[str]:
        moved = self.rescuing.rescue()
        if moved:
            self.arrivals.announce([id + ".json" for id in moved])
            self.arrivals.free([ANY])
        return moved

    def sweep(self) -> int:
        return sum(self.sweeping())

    def sweeping(self) -> Iterator[int]:
        """Clears away old trash and temporary files and the keys of jobs that are gone; one worker at a time."""
        with self.locks.try_hold(MAINTENANCE) as ours:
            if ours:
                yield from sweep(self.folder, self.keys, self.putting.key_is_free, self.file_notes)
                yield self.bounds.sweep()

    def keep_journal(self, now: datetime, age: float | None, *, dry_run: bool = False) -> Iterator[Kept | None]:
        return Keeping(self.journal, self.scratch).keep(now, age, dry_run=dry_run)

    def resting(self, status: Status, ids: Sequence[str] | None = None) -> Iterator[Resting]:
        return self.reading.resting(status) if ids is None else self.reading.resting_of(status, ids)

    def duty(self, name: str) -> AbstractContextManager[bool]:
        return self.locks.try_hold(name)

    def alone(self, name: str) -> AbstractContextManager[None]:
        return self.keys_alone.alone(name)

    def wait(self, timeout: float, *, news: bool = True) -> bool:
        if news:
            return self.claiming.wait(timeout)
        self.claiming.sleep(timeout)
        return True

    def wake(self) -> None:
        self.claiming.wake()

    # -- reading

    def get(self, id: str) -> Located:
        try:
            return self.reading.get(id)
        except JobNotFound:
            trashed = self.moving.in_trash(name) if (name := file_name(id)) else None
            hint = "it was purged; queue.restore(...) brings it back" if trashed else ""
            raise JobNotFound(id, hint) from None

    def where(self, id: str) -> Status | None:
        place = self.folder.find(id)
        return None if place is None else place.status

    def last(self, type: str | None = None) -> Located | None:
        return self.reading.last(type)

    def held(self, owner: str) -> list[Located]:
        return self.reading.held(owner)

    def stalled(self) -> int:
        owners = {owner_of(name) for name in self.folder.claim_folder_names()}
        return sum(len(self.held(owner)) for owner in owners if not self.locks.alive(owner))

    def scan(
        self,
        *,
        statuses: Sequence[Status] = tuple(Status),
        where: Filter | None = None,
        order: str = "urgent",
        limit: int | None = 50,
        offset: int = 0,
    ) -> Page:
        return self.reading.scan(statuses, where, order, limit, offset)

    def attempts(self, *, since: datetime | None = None) -> Iterator[AttemptEntry]:
        return self.journal.attempts(since)

    def journal_lines(self, *, since: datetime | None = None) -> Iterator[bytes]:
        return self.journal.lines(since)

    def ids(self, status: Status) -> list[str]:
        return self.reading.ids(status)

    def counts(self) -> dict[Status, int]:
        return self.reading.counts()

    def digests(self, statuses: Sequence[Status], ids: Iterable[str] | None = None) -> Iterable[Digest]:
        return self.digesting.all(statuses) if ids is None else self.digesting.some(statuses, ids)

    def judge(self, located: Located) -> Verdict:
        if located.status is not Status.PENDING:
            return RUN
        if located.reason is not None:
            return Verdict("hold", f"it cannot be read as a job yet: {located.reason}", hold="settle")
        job, now = located.job, self.clock.now()
        verdict = judge(job, now, control=self.control(), types=None, parent_state=self.parent_state)
        return verdict if verdict.action != "run" else self.bounds.limiting.judge(job, self.limits(), now)

    def position(self, id: str) -> int | None:
        name = file_name(id)
        ordered = sorted(self.reading.places(Status.PENDING), key=self.reading.key)
        return next((number for number, place in enumerate(ordered, 1) if place.name == name), None)

    def parent_state(self, id: str) -> str:
        name = file_name(id)
        return self.reading.parent_state(id, self.moving.in_trash(name) if name else None)

    # -- what people do

    def supersede(self, ids: Sequence[str], by: str) -> list[Change]:
        return self.cancel(ids, SUPERSEDED + by)

    def cancel(self, ids: Sequence[str], message: str = "cancelled", *, seen: Seen = None) -> list[Change]:
        return self.recorded("cancel", self.verbs.cancel(ids, message, seen))

    def uncancel(self, ids: Sequence[str], *, seen: Seen = None) -> list[Change]:
        return self.recorded("restore", self.verbs.uncancel(ids, seen))

    def retry(self, ids: Sequence[str], *, run_after: datetime | None = None, seen: Seen = None) -> list[Change]:
        return self.recorded("retry", self.verbs.retry(ids, run_after=run_after, seen=seen))

    def purge(
        self, ids: Sequence[str], *, where: Filter | None = None, pending: bool = False, seen: Seen = None
    ) -> list[Change]:
        return self.recorded("purge", self.verbs.purge(ids, where=where, pending=pending, seen=seen))

    def restore(self, ids: Sequence[str]) -> list[Change]:
        return self.recorded("restore", self.verbs.restore(ids))

    def recorded(self, verb: str, changes: list[Change]) -> list[Change]:
        self.recording.changed(verb, changes)
        return changes

    def end_pending(self, endings: Sequence[tuple[str, Failure]]) -> list[str]:
        fixed = self.verbs.end_pending(endings)
        self.recording.ended([(id, error) for id, error in endings if id + SUFFIX not in fixed])
        return fixed

    def set_aside(self, rejects: Sequence[tuple[str, str]]) -> list[str]:
        fixed = self.moving.set_aside(rejects)
        self.recording.rejected([job_id(name) for name, _ in rejects if name not in fixed])
        return fixed

    def trashed(self) -> list[Job]:
        return self.verbs.trashed()

    # -- control

    def control(self) -> Control:
        return self.ruling.read().at(self.clock.now())

    def limits(self) -> dict[str, Limit]:
        return self.bounds.limits()

    def spent(self) -> list[Spent]:
        return self.bounds.spent()

    def set_control(self, control: Control) -> None:
        before = self.ruling.read()
        self.ruling.write(control)
        self.recording.ruled(before, control)
        self.wake()

    def change_control(self, change: Callable[[Control], Control]) -> Control:
        before, control = self.ruling.change(change)
        self.recording.ruled(before, control)
        self.wake()
        return control

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.claiming.close()
            self.arrivals.close()
            self.journal.close(self.clock.now())
            self.locks.close()
            self.folder.close()


__all__ = ["Spool"]
